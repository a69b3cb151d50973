//! Client authentication: who a request to the token endpoint and its neighbours is from.
//!
//! By a secret (RFC 6749 §2.3.1), by a signed assertion (RFC 7523), or by the certificate of a mutual-TLS
//! connection (RFC 8705). One request uses one of them.

use std::sync::Arc;

use lambda_http::Request;
use secrecy::ExposeSecret;

use super::FIRST_PARTY;
use super::client_assertion::{Assertion, inline_keys};
use crate::bounded::{BoundedMap, bounded_map};
use crate::config::{ConfigError, Issuer, Settings, secure_url};
use crate::identity::secrets::{SecretDigest, SecretKind};
use crate::store::clients::{Client, ClientKeys, Clients};
use crate::store::seen::Seen;
use crate::store::table::Table;
use crate::token::confirmation::certificate_thumbprint;
use crate::token::jwt::{UnverifiedJwt, VerifiedJwt};
use crate::token::remote_keys::{IssuerError, RemoteKeys};
use crate::wire::context::{client_certificate, domain};
use crate::wire::http::{BasicCredentials, Credentials, Form};
use crate::wire::oauth::{JWT_BEARER_ASSERTION, OAuthError};

/// A day in seconds: how exactly the use of a secret is noted.
const DAY: u64 = 86_400;

/// JWKS URLs whose keys are kept. Invariant: far above the clients of one deployment, and small enough
/// that their keys don't fill the memory.
const MAX_KEY_URLS: usize = 256;

/// A client that has shown who it is.
pub struct Authenticated {
    /// The client.
    pub client: Client,
    /// The thumbprint of its certificate, if that is how it was recognised: its tokens are bound to it.
    pub certificate: Option<String>,
    /// The name of the secret that it showed, if that is how it was recognised.
    secret: Option<String>,
}

/// Whom a request is from.
pub enum Caller {
    /// A registered client.
    Client(Box<Authenticated>),
    /// Somebody who signed in here and needs no client: `client_id=latchkey`.
    FirstParty,
    /// Somebody who doesn't say.
    Nobody,
}

/// Recognises clients.
pub struct ClientAuth {
    clients: Clients,
    seen: Seen,
    issuer: Issuer,
    remote_keys: BoundedMap<String, Arc<RemoteKeys>>,
}

impl ClientAuth {
    /// Reads `ISSUER`; the clients are in this table.
    pub fn from_settings(settings: &Settings, table: &Table) -> Result<Self, ConfigError> {
        Ok(Self {
            clients: Clients::new(table.clone()),
            seen: Seen::new(table.clone()),
            issuer: settings.issuer()?,
            remote_keys: bounded_map(MAX_KEY_URLS),
        })
    }

    /// The client that a request is from.
    ///
    /// # Errors
    /// `invalid_request` when there are two sets of credentials or two clients; `invalid_client`, the
    /// same for every reason, when there is none or it is not authenticated.
    pub async fn authenticate(
        &self,
        request: &Request,
        form: &mut Form,
        now: u64,
    ) -> Result<Authenticated, OAuthError> {
        match self.caller(request, form, now).await? {
            Caller::Client(authenticated) => Ok(*authenticated),
            Caller::FirstParty | Caller::Nobody => Err(OAuthError::invalid_client()),
        }
    }

    /// Whom a request is from, where it need not be a client.
    ///
    /// # Errors
    /// As [`ClientAuth::authenticate`], save that there may be no credentials at all.
    pub async fn caller(&self, request: &Request, form: &mut Form, now: u64) -> Result<Caller, OAuthError> {
        let authenticated = match presented(request, form)? {
            Presented::Nothing { client_id } => return nobody(client_id.as_deref()),
            Presented::Secret(credentials) => self.by_secret(credentials, now).await,
            Presented::Assertion(assertion) => {
                self.by_assertion(form.text("client_id"), &assertion, domain(request), now).await
            }
            Presented::Certificate { client_id, subject, thumbprint } => {
                self.by_certificate(&client_id, &subject, thumbprint).await
            }
        };
        Ok(Caller::Client(Box::new(authenticated?)))
    }

    /// A registered client by its id alone: for whoever has another way to know that it is meant.
    pub async fn client(&self, client_id: &str) -> Result<Option<Client>, OAuthError> {
        self.clients.get(client_id).await.map_err(OAuthError::unavailable)
    }

    async fn by_secret(&self, credentials: BasicCredentials, now: u64) -> Result<Authenticated, OAuthError> {
        // A malformed secret is nobody's: it is refused before any look-up.
        let presented = SecretDigest::of(SecretKind::ClientSecret, &credentials.secret)
            .ok_or_else(OAuthError::invalid_client)?;
        let client = self.client(&credentials.id).await?.ok_or_else(OAuthError::invalid_client)?;
        // Every secret is compared, so that the time doesn't tell which one was right.
        let right = client.secrets.iter().fold(None, |right, secret| {
            let this = secret.digest.matches(&presented) && secret.is_good(now);
            if this { Some(secret.name().to_owned()) } else { right }
        });
        admit(client, right.is_some(), None, right)
    }

    async fn by_assertion(
        &self,
        named: Option<&str>,
        assertion: &Assertion,
        domain: Option<&str>,
        now: u64,
    ) -> Result<Authenticated, OAuthError> {
        let refused = || OAuthError::invalid_client();
        let jwt = assertion.parse().map_err(|_| refused())?;
        let client_id = jwt.unverified_issuer().ok_or_else(refused)?;
        if named.is_some_and(|named| named != client_id) {
            return Err(OAuthError::invalid_request("the assertion and the body name two clients"));
        }
        let client = self.client(&client_id).await?.ok_or_else(refused)?;
        let Some(jwt) = self.verified(&client, jwt, now).await? else {
            return admit(client, false, None, None);
        };
        let issuer = self.issuer.resolve(domain);
        let issuer = issuer.ok_or_else(|| OAuthError::unavailable("the issuer is not known"))?;
        let Ok(once) = Assertion::judge(&jwt, &client.client_id, &issuer, now) else {
            return admit(client, false, None, None);
        };
        // Last, so that only a good assertion is remembered.
        let issuer = format!("client:{}", client.client_id);
        let first = self.seen.is_first(&issuer, &once.token_id, once.expires_at).await;
        let first = first.map_err(OAuthError::unavailable)?;
        admit(client, first, None, None)
    }

    /// The assertion, if one of the client's keys has signed it.
    async fn verified(
        &self,
        client: &Client,
        jwt: UnverifiedJwt<'_>,
        now: u64,
    ) -> Result<Option<VerifiedJwt>, OAuthError> {
        match &client.public_keys {
            None => Ok(None),
            Some(ClientKeys::Jwks(text)) => {
                let keys = inline_keys(text).ok();
                let key = keys.as_ref().and_then(|keys| keys.choose(&jwt));
                Ok(key.and_then(|key| jwt.verify(key).ok()))
            }
            Some(ClientKeys::Url(url)) => match self.remote_keys(url)?.verify(jwt, now).await {
                Ok(jwt) => Ok(Some(jwt)),
                Err(IssuerError::Token(_)) => Ok(None),
                Err(IssuerError::Keys(error)) => Err(OAuthError::unavailable(error)),
            },
        }
    }

    fn remote_keys(&self, url: &str) -> Result<Arc<RemoteKeys>, OAuthError> {
        self.remote_keys.get_or_insert_with(url, || {
            let parsed =
                secure_url(url).ok_or_else(|| OAuthError::unavailable("the client's JWKS URL is not one"))?;
            Ok(Arc::new(RemoteKeys::new(parsed)))
        })
    }

    async fn by_certificate(
        &self,
        client_id: &str,
        subject: &str,
        thumbprint: String,
    ) -> Result<Authenticated, OAuthError> {
        let client = self.client(client_id).await?.ok_or_else(OAuthError::invalid_client)?;
        let right = client.certificate_subject.as_deref() == Some(subject);
        admit(client, right, Some(thumbprint), None)
    }

    /// Notes on which day a client's secret was used last: one write a day at most. It is a note, so a
    /// failure is no reason to refuse anything.
    pub async fn note_use(&self, authenticated: &Authenticated, now: u64) {
        let Authenticated { client, secret: Some(name), .. } = authenticated else { return };
        let today = now - now % DAY;
        if client.secret_use.get(name).is_some_and(|day| *day >= today) {
            return;
        }
        let mut days = client.secret_use.clone();
        // Secrets that are gone take their notes along.
        days.retain(|name, _| client.secrets.iter().any(|secret| secret.name() == name));
        days.insert(name.clone(), today);
        let _ = self.clients.note_secret_use(&client.client_id, &days).await;
    }
}

/// Wrong and disabled are one answer.
fn admit(
    client: Client,
    right: bool,
    certificate: Option<String>,
    secret: Option<String>,
) -> Result<Authenticated, OAuthError> {
    if right && !client.disabled {
        Ok(Authenticated { client, certificate, secret })
    } else {
        Err(OAuthError::invalid_client().concerning(&client.client_id))
    }
}

fn nobody(client_id: Option<&str>) -> Result<Caller, OAuthError> {
    match client_id {
        None => Ok(Caller::Nobody),
        Some(FIRST_PARTY) => Ok(Caller::FirstParty),
        Some(_) => Err(OAuthError::invalid_client()),
    }
}

/// How a client shows who it is.
enum Presented {
    Nothing { client_id: Option<String> },
    Secret(BasicCredentials),
    Assertion(Assertion),
    Certificate { client_id: String, subject: String, thumbprint: String },
}

/// The one set of credentials in the request.
fn presented(request: &Request, form: &mut Form) -> Result<Presented, OAuthError> {
    let several = || OAuthError::invalid_request("the client authenticates in more than one way");
    let body_secret = form.secret("client_secret");
    let assertion = assertion(form)?;
    let body_id = form.text("client_id");
    let presented = match (Credentials::read(request.headers())?, body_secret, assertion) {
        (Credentials::Basic(basic), None, None) => {
            if body_id.is_some_and(|id| id != basic.id) {
                return Err(OAuthError::invalid_request("the header and the body name two clients"));
            }
            if is_public(&basic.id) && basic.secret.expose_secret().is_empty() {
                // Libraries that know no clients without a secret send an empty one: it is as `client_id` in the body.
                Presented::Nothing { client_id: Some(basic.id) }
            } else {
                Presented::Secret(basic)
            }
        }
        (Credentials::Missing, Some(secret), None) => match body_id {
            Some(id) => Presented::Secret(BasicCredentials { id: id.to_owned(), secret }),
            None => return Err(OAuthError::invalid_client()),
        },
        (Credentials::Missing, None, Some(assertion)) => Presented::Assertion(assertion),
        (Credentials::Missing, None, None) => by_connection(request, body_id),
        (Credentials::Basic(_), ..) | (_, Some(_), Some(_)) => return Err(several()),
        _ => return Err(OAuthError::invalid_client()),
    };
    Ok(presented)
}

fn assertion(form: &mut Form) -> Result<Option<Assertion>, OAuthError> {
    let (kind, assertion) = (form.text("client_assertion_type"), form.text("client_assertion").is_some());
    match (kind, assertion) {
        (None, false) => Ok(None),
        (Some(JWT_BEARER_ASSERTION), true) => Ok(form.secret("client_assertion").map(Assertion::new)),
        _ => Err(OAuthError::invalid_request(
            "client_assertion and client_assertion_type belong together, and the type is jwt-bearer",
        )),
    }
}

/// Without other credentials the certificate of the connection counts, for the client that the body names.
fn by_connection(request: &Request, client_id: Option<&str>) -> Presented {
    let certificate = client_certificate(request);
    let thumbprint = certificate.as_ref().and_then(|certificate| certificate_thumbprint(certificate.pem));
    match (client_id.filter(|id| !is_public(id)), certificate, thumbprint) {
        (Some(client_id), Some(certificate), Some(thumbprint)) => Presented::Certificate {
            client_id: client_id.to_owned(),
            subject: certificate.subject.to_owned(),
            thumbprint,
        },
        _ => Presented::Nothing { client_id: client_id.map(str::to_owned) },
    }
}

/// Whether a client has no credentials (RFC 6749 §2.1).
fn is_public(client_id: &str) -> bool {
    client_id == FIRST_PARTY
}
