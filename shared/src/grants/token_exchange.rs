//! Token exchange: RFC 8693, from a trusted issuer's token to one of ours.
//!
//! A rule says what the token stands for: a registered client, so that a job in the cloud needs no
//! stored secret, or a person.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};

use crate::clients::authentication::{Authenticated, ClientAuth};
use crate::clients::remote_keys::IssuerError;
use crate::federation::issuers::TrustedIssuers;
use crate::federation::sign_in;
use crate::grants::client_credentials::own_token;
use crate::identity::subjects::FIRST_PARTY_CLIENT_ID;
use crate::jose::confirmation::Confirmation;
use crate::oauth::error::{
    ACCESS_TOKEN_TYPE, ErrorKind, OAuthError, REQUESTED_TOKEN_TYPES, SUBJECT_TOKEN_TYPES,
};
use crate::oauth::http::Form;
use crate::oauth::scope::Scopes;
use crate::oauth::token_request::{restrict_scopes, select_audience};
use crate::sessions::{RefreshPolicy, SignedIn, TokenRequest};
use crate::signing::issue::AccessTokenSpec;
use crate::store::clients::{Client, GrantType};
use crate::store::identities::Identities;

/// What a token is exchanged for.
pub enum Exchanged {
    /// A token for a client, with its quota to be charged.
    Client(Client, AccessTokenSpec),
    /// A session for a person.
    User(SignedIn, TokenRequest),
}

/// What the exchange needs.
pub struct Exchange<'a> {
    /// Whose tokens are taken.
    pub issuers: &'a TrustedIssuers,
    /// The people whom they vouch for.
    pub identities: &'a Identities,
    /// The clients that rules name.
    pub clients: &'a ClientAuth,
    /// The deployment's audiences.
    pub audiences: &'a [String],
    /// Our own issuer, whose tokens are refreshed and not exchanged: an access token that was found must not yield a
    /// refresh token.
    pub own_issuer: Option<Cow<'a, str>>,
}

impl Exchange<'_> {
    /// Exchanges the token in the form. `actor` is the client that asks, if one has authenticated itself,
    /// and `key` the one that the request proves to hold.
    ///
    /// # Errors
    /// `invalid_request` for every token that is not good (RFC 8693 §2.2.2).
    pub async fn exchange(
        &self,
        actor: Option<&Authenticated>,
        form: &mut Form,
        key: Option<String>,
        now: u64,
    ) -> Result<Exchanged, OAuthError> {
        if actor.is_some_and(|actor| !actor.client.may_use(GrantType::TokenExchange)) {
            return Err(OAuthError::new(
                ErrorKind::UnauthorizedClient,
                "this client may not exchange tokens",
            ));
        }
        let SubjectToken { token, token_type } = subject_token(form)?;
        let federated = match self.issuers.verify(token.expose_secret(), token_type, now).await {
            Ok(federated) => federated,
            Err(IssuerError::Keys(error)) => return Err(error.into()),
            Err(error) => return Err(refused().with_cause(error)),
        };
        if self.own_issuer.as_deref() == Some(federated.issuer.as_str()) {
            return Err(refused().with_cause("the subject token is our own"));
        }
        // Before a user is made: a rejected exchange leaves nothing behind.
        if !federated.may_be_exchanged_by(actor.map(|actor| actor.client.client_id.as_str())) {
            return Err(OAuthError::new(
                ErrorKind::UnauthorizedClient,
                "the subject token may not be exchanged by this client",
            )
            .with_cause(
                "the token's audience is for other callers: AUDIENCE is for first-party sign-in and AUDIENCE=CLIENT for \
                 that client, in GOOGLE_CLIENT_IDS and in audiences of TRUSTED_ISSUERS",
            ));
        }
        let certificate = actor.and_then(|actor| actor.certificate.clone());
        let confirmation = Confirmation { key, certificate };
        match &federated.client {
            Some(client_id) => self.for_client(client_id, &federated.scopes, confirmation, form).await,
            None => {
                let terms = self.terms(&federated.scopes, actor, confirmation, form)?;
                let signed_in = sign_in::sign_in(self.identities, federated, refused, now).await?;
                Ok(Exchanged::User(signed_in, terms))
            }
        }
    }

    async fn for_client(
        &self,
        client_id: &str,
        scopes: &Scopes,
        confirmation: Confirmation,
        form: &Form,
    ) -> Result<Exchanged, OAuthError> {
        let client = self.clients.find_client(client_id).await?.filter(|client| !client.disabled);
        let client = client.ok_or_else(|| {
            refused().with_client_id(client_id).with_cause("the rule's client is unknown or disabled")
        })?;
        let allowed = scopes.intersection(&client.scopes);
        let grant = own_token(client.clone(), allowed, confirmation, form, self.audiences)?;
        Ok(Exchanged::Client(client, grant))
    }

    /// The terms for a user, of whom a rule gives these scopes.
    fn terms(
        &self,
        scopes: &Scopes,
        actor: Option<&Authenticated>,
        confirmation: Confirmation,
        form: &Form,
    ) -> Result<TokenRequest, OAuthError> {
        let client = actor.map(|actor| &actor.client);
        // A client that acts for a user never gets more than it may have itself.
        let allowed = client.map_or_else(|| scopes.clone(), |client| scopes.intersection(&client.scopes));
        let audiences = client.map(|client| client.audiences.as_slice()).filter(|own| !own.is_empty());
        Ok(TokenRequest {
            client_id: client
                .map_or_else(|| FIRST_PARTY_CLIENT_ID.to_owned(), |client| client.client_id.clone()),
            audience: select_audience(form.target()?, audiences.unwrap_or(self.audiences))?,
            scopes: restrict_scopes(&allowed, form.text("scope"))?,
            ttl: client.and_then(|client| client.token_ttl),
            refresh: match client {
                Some(client) if client.may_use(GrantType::RefreshToken) => {
                    RefreshPolicy::ByClient { epoch: client.epoch.clone() }
                }
                Some(_) => RefreshPolicy::Never,
                None => RefreshPolicy::for_public_client(confirmation.key.clone()),
            },
            confirmation,
        })
    }
}

/// The token that is exchanged, and what the client says it is.
struct SubjectToken {
    token: SecretString,
    token_type: &'static str,
}

/// The token, when the request is one that can be answered.
fn subject_token(form: &mut Form) -> Result<SubjectToken, OAuthError> {
    if form.text("actor_token").is_some() || form.text("actor_token_type").is_some() {
        return Err(OAuthError::invalid_request("actor tokens are not supported"));
    }
    issued_token_type(form)?;
    let token_type = form.text("subject_token_type");
    let token_type = SUBJECT_TOKEN_TYPES.into_iter().find(|known| token_type == Some(known));
    let token_type = token_type
        .ok_or_else(|| OAuthError::invalid_request("subject_token_type is missing or not supported"))?;
    let token = form.secret("subject_token");
    let token = token.ok_or_else(|| OAuthError::invalid_request("subject_token is missing"))?;
    Ok(SubjectToken { token, token_type })
}

/// What the answer calls the access token: as the request does (RFC 8693 §2.2.1).
///
/// # Errors
/// `invalid_request` for a token of another kind.
pub fn issued_token_type(form: &Form) -> Result<&'static str, OAuthError> {
    let Some(requested) = form.text("requested_token_type") else { return Ok(ACCESS_TOKEN_TYPE) };
    let known = REQUESTED_TOKEN_TYPES.into_iter().find(|known| *known == requested);
    known.ok_or_else(|| OAuthError::invalid_request("only access tokens are issued"))
}

fn refused() -> OAuthError {
    OAuthError::invalid_request("the subject token is not accepted")
}
