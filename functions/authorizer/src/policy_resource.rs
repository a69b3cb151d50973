//! Resources of a policy. API Gateway caches the policy and applies it to other calls with the same credential.

use crate::event::MethodArn;
use crate::route::is_unsafe;

/// The longest resource that API Gateway takes, in bytes
/// (docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html). The ARN of a call
/// may be three times as long.
pub const MAX_LENGTH: usize = 512;

/// The first digits of encoded characters that can make another path of one: ASCII's controls but the last, digits
/// and punctuation, and `P` to `_`.
const AMBIGUOUS: [char; 5] = ['0', '1', '2', '3', '5'];

/// What a policy allows and denies.
pub struct PolicyResources {
    pub allowed: Vec<String>,
    pub denied: Vec<String>,
}

impl PolicyResources {
    /// The routes that the caller's scopes open, and the call itself. If they exceed the budget, the call alone.
    pub fn new(arn: &MethodArn<'_>, open: Vec<String>, is_permitted: bool, budget: usize) -> Self {
        let call = call_resource(arn);
        let (mut allowed, mut denied) = (open, Vec::new());
        // A wildcard comes with denials of ambiguous paths. It is left out where they would deny this call though it
        // is permitted, and where this call must be denied but no resource can name it.
        if is_ambiguous(arn.path) || call.is_none() && !is_permitted {
            allowed.retain(|resource| !resource.contains('*'));
        }
        if allowed.iter().any(|resource| resource.contains('*')) {
            denied.extend(ambiguous(arn.stage));
        }
        let own = if is_permitted { &mut allowed } else { &mut denied };
        own.extend(call.clone().filter(|call| !own.contains(call)));
        if json_length(&allowed) + json_length(&denied) > budget {
            let call = Vec::from_iter(call.filter(|call| json_length(&[call]) <= budget));
            (allowed, denied) = if is_permitted { (call, Vec::new()) } else { (Vec::new(), call) };
        }
        if allowed.is_empty() && denied.is_empty() {
            denied.push(format!("{}/*", arn.stage));
        }
        Self { allowed, denied }
    }
}

/// What a policy with a wildcard denies: dot segments, and paths that a back end can read as another path.
fn ambiguous(stage: &str) -> impl Iterator<Item = String> {
    let plain = ["*/./*", "*/.", "*/../*", "*/..", r"*\*", "*;*", "*#*"].map(str::to_owned);
    let encoded = AMBIGUOUS.map(|digit| format!("*%{digit}*"));
    plain.into_iter().chain(encoded).map(move |path| format!("{stage}/{path}"))
}

/// Whether [`ambiguous`] may deny a path.
fn is_ambiguous(path: &str) -> bool {
    let is_encoded = path.split('%').skip(1).any(|rest| rest.starts_with(AMBIGUOUS));
    is_unsafe(path) || path.contains([';', '#']) || is_encoded
}

/// The resource for this call alone. None if it is too long, or if the caller wrote a wildcard or a variable into it
/// (docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html).
fn call_resource(arn: &MethodArn<'_>) -> Option<String> {
    let is_literal = !arn.whole.contains(['*', '?']) && !arn.whole.contains("${");
    (is_literal && arn.whole.len() <= MAX_LENGTH).then(|| arn.whole.to_owned())
}

/// The length of a value in the answer, in bytes.
pub fn json_length(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX / 2, |json| json.len())
}
