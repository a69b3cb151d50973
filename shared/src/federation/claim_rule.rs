//! Claim rules: which tokens of a trusted issuer are mapped to which client or to a user, with which scopes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::identity::subjects::is_client_id;
use crate::jose::jwt::VerifiedJwt;
use crate::oauth::scope::Scopes;

/// A claim rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimRule {
    /// The required claims, each with one value or a list of alternatives. A name that begins with `/` is a JSON
    /// pointer (RFC 6901) to a nested claim.
    #[serde(default)]
    pub(super) when: BTreeMap<String, Value>,
    /// The registered client that the token is mapped to. None maps it to a user.
    pub(super) client: Option<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
}

impl ClaimRule {
    /// The scopes of a rule that is well-formed.
    ///
    /// # Errors
    /// What is wrong with the rule.
    pub(super) fn scopes(&self) -> Result<Scopes, &'static str> {
        if self.when.values().any(holds_null) {
            return Err("has a rule with null in `when`; a null claim counts as absent");
        }
        // Any GitHub user can get a token from GitHub, so a rule for a client must have conditions.
        if self.client.is_some() && self.when.is_empty() {
            return Err("has a rule with `client` and without `when`");
        }
        if self.client.as_deref().is_some_and(|client| !is_client_id(client)) {
            return Err("has a rule with an invalid client id");
        }
        Scopes::from_names(&self.scopes).map_err(|_| "has a rule with an invalid scope")
    }

    /// Whether the claims of a token meet the conditions.
    pub(super) fn matches(&self, jwt: &VerifiedJwt) -> bool {
        // An unverified address can be any text.
        let verified = jwt.claims.get("email_verified").is_some_and(|verified| verified == true);
        self.when.iter().all(|(name, wanted)| {
            if ["email", "/email"].contains(&name.as_str()) && !verified {
                return false;
            }
            let found =
                if name.starts_with('/') { jwt.claims.pointer(name) } else { jwt.claims.get(name).cloned() };
            found.is_some_and(|found| match wanted {
                Value::Array(several) => several.contains(&found),
                one => *one == found,
            })
        })
    }
}

/// Whether a value is null or contains null at any depth.
fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(holds_null),
        Value::Object(members) => members.values().any(holds_null),
        _ => false,
    }
}
