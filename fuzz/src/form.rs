//! Form bodies. The first line of the input is the content type, and the rest is the body.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::ExposeSecret;
use shared::oauth::form::Form;

use crate::text::{form_decoded, post};

/// The target.
pub fn run(data: &[u8]) {
    let Some(request) = post(data) else { return };
    let Ok(mut form) = Form::read(&request) else { return };
    let content_type = request.headers()["content-type"].to_str().expect("ASCII").to_ascii_lowercase();
    assert!(content_type.trim().starts_with("application/x-www-form-urlencoded"));
    let body: &[u8] = request.body();
    let (mut fields, mut targets) = (BTreeMap::new(), BTreeSet::new());
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let decoded =
            |bytes: &[u8]| String::from_utf8(form_decoded(bytes)).expect("an accepted form is UTF-8");
        let (name, value) = (decoded(&pair[..end]), decoded(pair.get(end + 1..).unwrap_or_default()));
        if ["resource", "audience"].contains(&name.as_str()) {
            targets.insert(value);
            continue;
        }
        assert!(fields.insert(name, value).is_none(), "duplicate parameter");
    }
    targets.remove("");
    match form.target() {
        Ok(target) => assert_eq!(BTreeSet::from_iter(target.map(str::to_owned)), targets),
        Err(_) => assert!(targets.len() > 1, "a single target is rejected"),
    }
    for (name, value) in fields {
        let expected = Some(value.as_str()).filter(|value| !value.is_empty());
        assert_eq!(form.text(&name), expected, "an empty parameter is ignored");
        assert_eq!(form.secret(&name).as_ref().map(ExposeSecret::expose_secret), expected);
        assert_eq!(form.text(&name), None, "a secret can be read once");
    }
}
