//! What a sign-in is: who signed in, and for which tokens.

use crate::jose::confirmation::Confirmation;
use crate::oauth::scope::Scopes;
use crate::signing::issue::AccessTokenSpec;
use crate::store::users::Account;

/// Somebody who has just shown who they are.
pub struct SignedIn {
    /// The user.
    pub account: Account,
    /// The address that goes into the token.
    pub email: Option<String>,
    /// The scopes that this sign-in may have.
    pub scopes: Scopes,
    /// Who vouched for them, if it was not a password.
    pub issuer: Option<String>,
}

/// On what terms somebody gets tokens.
pub struct TokenRequest {
    /// The client that they are issued to.
    pub client_id: String,
    /// Which audience.
    pub audience: String,
    /// Which scopes.
    pub scopes: Scopes,
    /// Life of the access token in seconds, if not the default.
    pub ttl: Option<u64>,
    /// What the access token is bound to.
    pub confirmation: Confirmation,
    /// Whether there is a refresh token, and the key that it is bound to.
    pub refresh: RefreshPolicy,
}

/// The token family that an access token is of.
pub struct InFamily {
    /// `sid`
    pub session_id: String,
    /// When the family ends at the latest: its access tokens end by then too.
    pub ends_at: u64,
}

/// Whether a sign-in can be refreshed.
pub enum RefreshPolicy {
    /// It can't.
    Never,
    /// By the client, which authenticates itself and must still be that of this epoch.
    ByClient {
        /// The client's epoch.
        epoch: String,
    },
    /// By the bearer of the token: first-party sign-in.
    ByBearer,
    /// By whoever proves to hold this key too (RFC 9449 §5).
    ByKey(String),
}

impl RefreshPolicy {
    /// For a public client: bound to the key that it has proved to hold, if it has.
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
