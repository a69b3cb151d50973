//! What may stand as a resource in a policy, which is kept and asked about other calls.

use crate::path::{is_nobodys, segments};

/// The longest resource that API Gateway takes, in bytes
/// (docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html). The ARN that it asks
/// about may be three times as long.
pub const MAX_LENGTH: usize = 512;

/// The first digits of what is encoded and may make another path of one: ASCII's controls but the last, digits and
/// punctuation, and `P` to `_`. All other letters, `@` and what is not ASCII begin otherwise.
const AMBIGUOUS: [char; 5] = ['0', '1', '2', '3', '5'];

/// What a policy that holds a wildcard denies: paths that are nobody's, and all that may be read as another path than
/// it is written.
pub fn ambiguous(stage: &str) -> impl Iterator<Item = String> {
    let plain = ["*/./*", "*/.", "*/../*", "*/..", "*;*", "*#*"].map(str::to_owned);
    let encoded = AMBIGUOUS.map(|digit| format!("*%{digit}*"));
    plain.into_iter().chain(encoded).map(move |path| format!("{stage}/{path}"))
}

/// Whether a path is among them, so that a policy can't both hold a wildcard and open it.
pub fn is_ambiguous(path: &str) -> bool {
    is_nobodys(&segments(path))
        || path.contains([';', '#'])
        || path.split('%').skip(1).any(|rest| rest.starts_with(AMBIGUOUS))
}

/// Whether a text stands for itself alone: there are wildcards, and variables that a header of the next call may fill
/// (docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html).
pub fn is_literal(text: &str) -> bool {
    !text.contains(['*', '?']) && !text.contains("${")
}
