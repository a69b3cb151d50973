//! Token exchange (RFC 8693): a token of a trusted issuer for one of ours.
//!
//! A claim rule maps the subject token to a registered client or to a user. A job in the cloud thus needs no stored
//! secret.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};

use crate::clients::authentication::{Authenticated, ClientAuth};
use crate::clients::remote_keys::IssuerError;
use crate::federation::issuers::TrustedIssuers;
use crate::federation::sign_in;
use crate::grants::client_credentials::own_token;
use crate::identity::subjects::FIRST_PARTY_CLIENT_ID;
use crate::jose::confirmation::Confirmation;
use crate::oauth::error::{ErrorKind, OAuthError};
use crate::oauth::form::Form;
use crate::oauth::identifiers::{ACCESS_TOKEN_TYPE, REQUESTED_TOKEN_TYPES, SUBJECT_TOKEN_TYPES};
use crate::oauth::scope::Scopes;
use crate::oauth::token_request::{restrict_scopes, select_audience};
use crate::sessions::{RefreshPolicy, SignedIn, TokenRequest};
use crate::signing::issue::AccessTokenSpec;
use crate::store::clients::{Client, GrantType};
use crate::store::identities::Identities;

/// The result of an exchange.
pub enum Exchanged {
    /// An access token for a client, whose quota has to be charged.
    Client(Client, AccessTokenSpec),
    /// A sign-in of a user.
    User(SignedIn, TokenRequest),
}

/// The dependencies of an exchange.
pub struct Exchange<'a> {
    /// The trusted issuers.
    pub issuers: &'a TrustedIssuers,
    /// The federated identities.
    pub identities: &'a Identities,
    /// The clients that claim rules name.
    pub clients: &'a ClientAuth,
    /// The audiences of the deployment.
    pub audiences: &'a [String],
    /// Our own issuer. Its tokens are rejected: an access token that leaked must not yield a refresh token.
    pub own_issuer: Option<Cow<'a, str>>,
}

impl Exchange<'_> {
    /// Exchanges the subject token of a form. `client_auth` is the authenticated client, if any, and `key` is the thumbprint
    /// of the key that the request proves to hold.
    ///
    /// # Errors
    /// `invalid_request` for every invalid subject token (RFC 8693 §2.2.2).
    pub async fn exchange(
        &self,
        client_auth: Option<&Authenticated>,
        form: &mut Form,
        key: Option<String>,
        now: u64,
    ) -> Result<Exchanged, OAuthError> {
        if client_auth.is_some_and(|client_auth| !client_auth.client.may_use(GrantType::TokenExchange)) {
            return Err(OAuthError::new(
                ErrorKind::UnauthorizedClient,
                "client is not authorized for the token-exchange grant",
            ));
        }
        let SubjectToken { token, token_type } = subject_token(form)?;
        let federated = match self.issuers.verify(token.expose_secret(), token_type, now).await {
            Ok(federated) => federated,
            Err(IssuerError::Keys(error)) => return Err(error.into()),
            Err(error) => return Err(rejected().with_cause(error)),
        };
        if self.own_issuer.as_deref() == Some(federated.issuer.as_str()) {
            return Err(rejected().with_cause("subject token was issued by this deployment"));
        }
        // Before the user is created, so that a rejected exchange stores nothing.
        if !federated
            .may_be_exchanged_by(client_auth.map(|client_auth| client_auth.client.client_id.as_str()))
        {
            return Err(OAuthError::new(
                ErrorKind::UnauthorizedClient,
                "client is not authorized to exchange this subject token",
            )
            .with_cause(
                "audience of the subject token is reserved for other callers; in GOOGLE_CLIENT_IDS and TRUSTED_ISSUERS \
                 AUDIENCE is for first-party sign-in and AUDIENCE=CLIENT for that client",
            ));
        }
        let certificate = client_auth.and_then(|client_auth| client_auth.certificate.clone());
        let confirmation = Confirmation { key, certificate };
        match &federated.client {
            Some(client_id) => self.for_client(client_id, &federated.scopes, confirmation, form).await,
            None => {
                let request = self.token_request(&federated.scopes, client_auth, confirmation, form)?;
                let signed_in = sign_in::sign_in(self.identities, federated, rejected, now).await?;
                Ok(Exchanged::User(signed_in, request))
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
        let mut client = client.ok_or_else(|| {
            rejected().with_client_id(client_id).with_cause("client of the claim rule is unknown or disabled")
        })?;
        client.scopes = scopes.intersection(&client.scopes);
        let grant = own_token(client.clone(), confirmation, form, self.audiences)?;
        Ok(Exchanged::Client(client, grant))
    }

    /// The sign-in of a user with the scopes of a claim rule.
    fn token_request(
        &self,
        scopes: &Scopes,
        client_auth: Option<&Authenticated>,
        confirmation: Confirmation,
        form: &Form,
    ) -> Result<TokenRequest, OAuthError> {
        let client = client_auth.map(|client_auth| &client_auth.client);
        // A client never gets more scopes for a user than it has itself.
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

/// The subject token and its type.
struct SubjectToken {
    token: SecretString,
    token_type: &'static str,
}

/// Reads the subject token of a supported request.
fn subject_token(form: &mut Form) -> Result<SubjectToken, OAuthError> {
    if form.text("actor_token").is_some() || form.text("actor_token_type").is_some() {
        return Err(OAuthError::invalid_request("actor_token and actor_token_type are not supported"));
    }
    issued_token_type(form)?;
    let token_type = form.text("subject_token_type");
    let token_type = SUBJECT_TOKEN_TYPES.into_iter().find(|known| token_type == Some(known));
    let token_type =
        token_type.ok_or_else(|| OAuthError::invalid_request("missing or unsupported subject_token_type"))?;
    let token = form.secret("subject_token");
    let token = token.ok_or_else(|| OAuthError::invalid_request("missing subject_token"))?;
    Ok(SubjectToken { token, token_type })
}

/// The `issued_token_type` of the response, as requested (RFC 8693 §2.2.1).
///
/// # Errors
/// `invalid_request` for an unsupported type.
pub fn issued_token_type(form: &Form) -> Result<&'static str, OAuthError> {
    let Some(requested) = form.text("requested_token_type") else { return Ok(ACCESS_TOKEN_TYPE) };
    let known = REQUESTED_TOKEN_TYPES.into_iter().find(|known| *known == requested);
    known.ok_or_else(|| OAuthError::invalid_request("unsupported requested_token_type"))
}

fn rejected() -> OAuthError {
    OAuthError::invalid_request("subject token rejected")
}
