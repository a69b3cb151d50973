//! Every `error_description` with its status and code, in one snapshot. Client developers search for these texts, so a
//! changed one must show in review.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use shared::oauth::error::{ErrorKind, OAuthError};

use crate::layering::rust_files;

/// What a call of a constructor of `OAuthError` describes, from its name on. A description must be a literal beside its
/// kind: none for any other call, and for a constructor that is missing here.
fn described(call: &str) -> Option<OAuthError> {
    let (constructor, arguments) = call.split_once('(')?;
    let (kind, arguments) = match constructor {
        "invalid_client" => return Some(OAuthError::invalid_client()),
        "unavailable" => return Some(OAuthError::unavailable("cause")),
        "invalid_request" => (ErrorKind::InvalidRequest, arguments),
        "too_many_requests" => (ErrorKind::TooManyRequests, arguments),
        "new" => {
            let (name, rest) = arguments.trim_start().strip_prefix("ErrorKind::")?.split_once(',')?;
            (ErrorKind::ALL.into_iter().find(|kind| format!("{kind:?}") == name)?, rest)
        }
        _ => return None,
    };
    let (description, _) = arguments.trim_start().strip_prefix('"')?.split_once('"')?;
    Some(OAuthError::new(kind, description.to_owned().leak()))
}

/// A `status code: description` line for each call in the source of `shared` and of the functions.
fn descriptions() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = rust_files(&root.join("shared/src"));
    for function in fs::read_dir(root.join("functions")).unwrap() {
        files.extend(rust_files(&function.unwrap().path().join("src")));
    }
    let mut lines = BTreeSet::new();
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        // `.map_err(OAuthError::unavailable)`: as good as a call.
        let source = source.replace("OAuthError::unavailable)", "OAuthError::unavailable()");
        for call in source.split("OAuthError::").skip(1) {
            let error = described(call).unwrap_or_else(|| {
                let start: String = call.chars().take(80).collect();
                panic!("{}: not a literal description: OAuthError::{start}", file.display())
            });
            let kind = error.kind();
            lines.insert(format!("{} {}: {}", kind.status().as_u16(), kind.code(), error.description()));
        }
    }
    lines
}

#[test]
fn error_descriptions_are_as_reviewed() {
    let lines: Vec<String> = descriptions().into_iter().collect();
    insta::assert_snapshot!(lines.join("\n"));
}
