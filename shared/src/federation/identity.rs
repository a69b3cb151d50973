//! The federated identity of a verified subject token.

use std::collections::BTreeSet;

use crate::oauth::scope::Scopes;

/// A verified subject token: the federated identity and what the claim rules map it to.
#[derive(Debug, PartialEq, Eq)]
pub struct FederatedIdentity {
    /// Issuer. Issuer and subject identify a user, because an email address can pass to another person.
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// `email`, if the issuer has verified it and it is not too long.
    pub email: Option<String>,
    /// The client that the token is mapped to. None for a user.
    pub client: Option<String>,
    /// The scopes of the claim rule.
    pub scopes: Scopes,
    /// The clients that may exchange the token, for each accepted audience of the token.
    pub(super) allowed_clients: Vec<BTreeSet<String>>,
}

impl FederatedIdentity {
    /// Whether this client may exchange the token, or first-party sign-in if it is none. An audience with clients
    /// allows these clients only. Any other audience allows first-party sign-in and, for a client's own token, that
    /// client.
    pub fn may_be_exchanged_by(&self, client: Option<&str>) -> bool {
        let Some(client) = client else { return self.allowed_clients.iter().all(BTreeSet::is_empty) };
        let is_own = self.client.as_deref() == Some(client);
        let named = |clients: &BTreeSet<String>| {
            if clients.is_empty() { is_own } else { clients.contains(client) }
        };
        (is_own || self.client.is_none()) && self.allowed_clients.iter().all(named)
    }
}
