//! What goes into the log: one line of JSON per decision.
//!
//! There is no logger to configure: a line is written here or not at all, so nothing that a library
//! says at whatever level, requests and responses included, can reach the log.

use std::io::Write;

use serde::Serialize;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A token was issued.
    Issued,
    /// No token was issued.
    Refused,
    /// A call may go on.
    Allowed,
    /// A call may not go on.
    Denied,
    /// A token was revoked, or there was nothing to revoke.
    Revoked,
    /// A client was told about a token.
    Told,
    /// It could not be decided.
    Failed,
}

/// The record of one decision. Whoever fills it in puts only ids that were looked up and found: what a
/// client merely claims to be may be a secret that was typed into the wrong field.
#[derive(Serialize)]
pub struct Decision<'a> {
    /// Which function decided.
    pub function: &'static str,
    /// What it decided.
    pub outcome: Outcome,
    /// Why it was not a yes: an OAuth error code, or one of the authorizer's reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// API Gateway's id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// The subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<&'a str>,
    /// The client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<&'a str>,
    /// The token's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<&'a str>,
    /// What went wrong behind us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'a str>,
}

impl Decision<'_> {
    /// Writes the line.
    pub fn log(&self) {
        write_line(self);
    }
}

/// Sends a panic's place to the log, without its message, which may hold anything.
pub fn install(function: &'static str) {
    #[derive(Serialize)]
    struct Panic {
        function: &'static str,
        panic_at: Option<String>,
    }
    std::panic::set_hook(Box::new(move |panic| {
        write_line(&Panic { function, panic_at: panic.location().map(ToString::to_string) });
    }));
}

/// One write a line, so that lines of several threads don't mix. A log that can't be written is no
/// reason to fail a request.
fn write_line(record: &impl Serialize) {
    if let Ok(mut line) = serde_json::to_vec(record) {
        line.push(b'\n');
        let _ = std::io::stderr().lock().write_all(&line);
    }
}
