//! Token exchange: RFC 8693, from a trusted issuer's token to one of ours.
//!
//! A rule says what the token stands for: a registered client, so that a job in the cloud needs no
//! stored secret, or a person.

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
use crate::token::issuers::{TrustedIssuers, Vouched};
use crate::token::remote_keys::IssuerError;
use crate::wire::http::Form;
use crate::wire::oauth::{ErrorKind, OAuthError, REQUESTED_TOKEN_TYPES, SUBJECT_TOKEN_TYPES};

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
        let token = subject_token(form)?;
        let vouched = match self.issuers.verify(token.expose_secret(), now).await {
            Ok(vouched) => vouched,
            Err(IssuerError::Token(_)) => return Err(refused()),
            Err(IssuerError::Keys(error)) => return Err(OAuthError::unavailable(error)),
        };
        let asked = asked_for(form)?.map(str::to_owned);
        let certificate = actor.and_then(|actor| actor.certificate.clone());
        let confirmation = Confirmation { key: key.clone(), certificate };
        match vouched.client.clone() {
            Some(client_id) => {
                self.for_client(&client_id, vouched, actor, confirmation, form, asked.as_deref()).await
            }
            None => {
                let signed_in = federation::sign_in(self.identities, vouched, refused, now).await?;
                self.for_person(signed_in, actor, confirmation, key, form, asked.as_deref())
            }
        }
    }

    async fn for_client(
        &self,
        client_id: &str,
        vouched: Vouched,
        actor: Option<&Authenticated>,
        confirmation: Confirmation,
        form: &Form,
        asked: Option<&str>,
    ) -> Result<Exchanged, OAuthError> {
        if actor.is_some_and(|actor| actor.client.client_id != client_id) {
            return Err(OAuthError::new(
                ErrorKind::UnauthorizedClient,
                "the token stands for another client",
            ));
        }
        let client = self.clients.client(client_id).await?.filter(|client| !client.disabled);
        let client = client.ok_or_else(|| refused().because("the rule's client is unknown or disabled"))?;
        let allowed = vouched.scopes.intersection(&client.scopes);
        let grant = own_token(client.clone(), allowed, confirmation, form, asked, self.audiences)?;
        Ok(Exchanged::Client(client, grant))
    }

    fn for_person(
        &self,
        signed_in: SignedIn,
        actor: Option<&Authenticated>,
        confirmation: Confirmation,
        key: Option<String>,
        form: &Form,
        asked: Option<&str>,
    ) -> Result<Exchanged, OAuthError> {
        let client = actor.map(|actor| &actor.client);
        // A client that acts for somebody never gets more than it may have itself.
        let allowed = match client {
            Some(client) => signed_in.scopes.intersection(&client.scopes),
            None => signed_in.scopes.clone(),
        };
        let audiences = client.map(|client| client.audiences.as_slice()).filter(|own| !own.is_empty());
        let terms = Terms {
            client_id: client.map_or_else(|| FIRST_PARTY.to_owned(), |client| client.client_id.clone()),
            client_epoch: client.map(|client| client.epoch.clone()).unwrap_or_default(),
            audience: resource(asked, audiences.unwrap_or(self.audiences))?,
            scopes: narrowed(&allowed, form.text("scope"))?,
            ttl: client.and_then(|client| client.token_ttl),
            confirmation,
            refresh: match client {
                Some(client) if client.may_use(GrantType::RefreshToken) => Refresh::ByBearer,
                Some(_) => Refresh::Never,
                None => Refresh::for_public_client(key),
            },
        };
        Ok(Exchanged::Person(signed_in, terms))
    }
}

/// The token, when the request is one that can be answered.
fn subject_token(form: &mut Form) -> Result<SecretString, OAuthError> {
    let one_of = |name: &str, known: &[&str]| form.text(name).is_none_or(|text| known.contains(&text));
    if form.text("actor_token").is_some() || form.text("actor_token_type").is_some() {
        return Err(OAuthError::invalid_request("actor tokens are not supported"));
    }
    if !one_of("requested_token_type", &REQUESTED_TOKEN_TYPES) {
        return Err(OAuthError::invalid_request("only access tokens are issued"));
    }
    if form.text("subject_token_type").is_none() || !one_of("subject_token_type", &SUBJECT_TOKEN_TYPES) {
        return Err(OAuthError::invalid_request("subject_token_type is missing or not supported"));
    }
    form.secret("subject_token").ok_or_else(|| OAuthError::invalid_request("subject_token is missing"))
}

/// The target: `resource` and `audience` are two words for it (RFC 8693 §2.1).
fn asked_for(form: &Form) -> Result<Option<&str>, OAuthError> {
    match (form.text("resource"), form.text("audience")) {
        (Some(resource), Some(audience)) if resource != audience => {
            Err(OAuthError::new(ErrorKind::InvalidTarget, "resource and audience name two targets"))
        }
        (resource, audience) => Ok(resource.or(audience)),
    }
}

fn refused() -> OAuthError {
    OAuthError::invalid_request("the subject token is not accepted")
}
