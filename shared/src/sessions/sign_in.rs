//! The user of a sign-in, and the requested tokens.

use crate::jose::confirmation::Confirmation;
use crate::oauth::scope::Scopes;
use crate::signing::issue::AccessTokenSpec;
use crate::store::users::Account;

/// A user who has signed in.
pub struct SignedIn {
    /// The user.
    pub account: Account,
    /// Email address for the access token.
    pub email: Option<String>,
    /// Scopes that this sign-in may have.
    pub scopes: Scopes,
    /// The trusted issuer of a federated sign-in. None after a password.
    pub issuer: Option<String>,
}

/// What a sign-in requests: client, audience, scopes, confirmation and refresh policy.
pub struct TokenRequest {
    /// Client that the tokens are issued to.
    pub client_id: String,
    /// Audience.
    pub audience: String,
    /// Scopes.
    pub scopes: Scopes,
    /// Lifetime of the access token in seconds, if not the default.
    pub ttl: Option<u64>,
    /// Keys that the access token is bound to.
    pub confirmation: Confirmation,
    /// Whether and how the sign-in can be refreshed.
    pub refresh: RefreshPolicy,
}

/// The token family of an access token.
pub struct InFamily {
    /// `sid`
    pub session_id: String,
    /// When the family ends, in seconds since 1970. Its access tokens end by then too.
    pub ends_at: u64,
}

/// The refresh policy of a sign-in.
pub enum RefreshPolicy {
    /// No refresh token.
    Never,
    /// The authenticated client refreshes, as long as it has this epoch.
    ByClient {
        /// The client's epoch.
        epoch: String,
    },
    /// The bearer of the refresh token refreshes, as in first-party sign-in.
    ByBearer,
    /// The holder of this key refreshes (RFC 9449 §5).
    ByKey(String),
}

impl RefreshPolicy {
    /// The policy of a public client. A proven key binds the refresh token.
    pub fn for_public_client(key: Option<String>) -> Self {
        key.map_or(Self::ByBearer, Self::ByKey)
    }
}

/// The access token of a user.
pub(super) fn access_token_spec(
    account: Account,
    email: Option<String>,
    request: TokenRequest,
    in_family: Option<InFamily>,
) -> AccessTokenSpec {
    let (session_id, ends_at) = in_family.map(|family| (family.session_id, family.ends_at)).unzip();
    AccessTokenSpec {
        subject: account.sub,
        client_id: request.client_id,
        audience: request.audience,
        scopes: request.scopes,
        ttl: request.ttl,
        session_id,
        ends_at,
        confirmation: request.confirmation,
        username: Some(account.username),
        email,
        custom: Default::default(),
    }
}
