//! Token exchange: RFC 8693, from a trusted issuer's token to one of ours.
//!
//! A rule says what the token stands for: a registered client, so that a job in the cloud needs no
//! stored secret, or a person.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};

use super::FIRST_PARTY;
use super::client_auth::{Authenticated, ClientAuth};
use super::client_credentials::own_token;
use super::federation;
use super::requests::{narrowed, resource};
use super::sessions::{Refresh, SignedIn, Terms};
use crate::store::clients::{Client, GrantType};
use crate::store::identities::Identities;
use crate::token::confirmation::Confirmation;
use crate::token::issue::Grant;
use crate::token::issuers::TrustedIssuers;
use crate::token::remote_keys::IssuerError;
use crate::wire::http::Form;
use crate::wire::oauth::{
    ACCESS_TOKEN_TYPE, ErrorKind, OAuthError, REQUESTED_TOKEN_TYPES, SUBJECT_TOKEN_TYPES,
};
use crate::wire::scope::Scopes;

/// What a token is exchanged for.
pub enum Exchanged {
    /// A token for a client, with its quota to be charged.
    Client(Client, Grant),
    /// A session for a person.
    Person(SignedIn, Terms),
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
        let vouched = match self.issuers.verify(token.expose_secret(), token_type, now).await {
            Ok(vouched) => vouched,
            Err(IssuerError::Keys(error)) => return Err(OAuthError::unavailable(error)),
            Err(error) => return Err(refused().because(error)),
        };
        if self.own_issuer.as_deref() == Some(vouched.issuer.as_str()) {
            return Err(refused().because("the subject token is our own"));
        }
        // Before a user is made: a rejected exchange leaves nothing behind.
        if !vouched.may_be_exchanged_by(actor.map(|actor| actor.client.client_id.as_str())) {
            return Err(OAuthError::new(
                ErrorKind::UnauthorizedClient,
                "the subject token may not be exchanged by this client",
            )
            .because(
                "the token's audience is for other callers: AUDIENCE is for first-party sign-in and AUDIENCE=CLIENT for \
                 that client, in GOOGLE_CLIENT_IDS and in audiences of TRUSTED_ISSUERS",
            ));
        }
        let certificate = actor.and_then(|actor| actor.certificate.clone());
        let confirmation = Confirmation { key, certificate };
        match &vouched.client {
            Some(client_id) => self.for_client(client_id, &vouched.scopes, confirmation, form).await,
            None => {
                let terms = self.terms(&vouched.scopes, actor, confirmation, form)?;
                let signed_in = federation::sign_in(self.identities, vouched, refused, now).await?;
                Ok(Exchanged::Person(signed_in, terms))
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
        let client = self.clients.client(client_id).await?.filter(|client| !client.disabled);
        let client = client.ok_or_else(|| {
            refused().from_client(client_id).because("the rule's client is unknown or disabled")
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
    ) -> Result<Terms, OAuthError> {
        let client = actor.map(|actor| &actor.client);
        // A client that acts for a user never gets more than it may have itself.
        let allowed = client.map_or_else(|| scopes.clone(), |client| scopes.intersection(&client.scopes));
        let audiences = client.map(|client| client.audiences.as_slice()).filter(|own| !own.is_empty());
        Ok(Terms {
            client_id: client.map_or_else(|| FIRST_PARTY.to_owned(), |client| client.client_id.clone()),
            audience: resource(form.target()?, audiences.unwrap_or(self.audiences))?,
            scopes: narrowed(&allowed, form.text("scope"))?,
            ttl: client.and_then(|client| client.token_ttl),
            refresh: match client {
                Some(client) if client.may_use(GrantType::RefreshToken) => {
                    Refresh::ByClient { epoch: client.epoch.clone() }
                }
                Some(_) => Refresh::Never,
                None => Refresh::for_public_client(confirmation.key.clone()),
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
