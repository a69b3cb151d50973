//! Client authentication: who a request to the token endpoint and its neighbours is from.
//!
//! By a secret (RFC 6749 §2.3.1), by a signed assertion (RFC 7523), or by the certificate of a mutual-TLS
//! connection (RFC 8705). One request uses one of them.

use std::error::Error;
use std::sync::Arc;

use lambda_http::Request;
use secrecy::ExposeSecret;

use super::FIRST_PARTY;
use super::client_assertion::{Assertion, audiences};
use crate::bounded::{BoundedMap, bounded_map};
use crate::config::{ConfigError, Issuer, JwksUrls, Settings};
use crate::identity::secrets::{SecretDigest, SecretKind, is_name};
use crate::store::clients::{Client, ClientKeys, Clients};
use crate::store::seen::Seen;
use crate::store::table::Table;
use crate::token::confirmation::certificate_thumbprint;
use crate::token::jwt::{JwtError, UnverifiedJwt, VerifiedJwt};
use crate::token::key_set::KeySet;
use crate::token::remote_keys::RemoteKeys;
use crate::wire::context::{client_certificate, domain, route_path};
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
    issuer_alone: bool,
    jwks_urls: JwksUrls,
    remote_keys: BoundedMap<String, Arc<RemoteKeys>>,
}

impl ClientAuth {
    /// Reads `ISSUER` and `STRICT_ASSERTION_AUDIENCE`; the clients are in this table.
    pub fn from_settings(settings: &Settings, table: &Table) -> Result<Self, ConfigError> {
        Ok(Self {
            clients: Clients::new(table.clone()),
            seen: Seen::new(table.clone()),
            issuer: settings.issuer()?,
            issuer_alone: settings.strict_assertion_audience()?,
            jwks_urls: settings.jwks_urls(),
            remote_keys: bounded_map(MAX_KEY_URLS),
        })
    }

    /// The client that a request is from.
    ///
    /// # Errors
    /// `invalid_request` when there are two sets of credentials or two clients; `invalid_client`, the
    /// same for every reason, when there is none or it is not authenticated. The log has the reason.
    pub async fn authenticate(
        &self,
        request: &Request,
        form: &mut Form,
        now: u64,
    ) -> Result<Authenticated, OAuthError> {
        match self.caller(request, form, now).await? {
            Caller::Client(authenticated) => Ok(*authenticated),
            Caller::FirstParty | Caller::Nobody => {
                Err(OAuthError::invalid_client().because("there is no client authentication"))
            }
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
                self.by_assertion(form.text("client_id"), &assertion, request, now).await
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
        let BasicCredentials { id, secret } = credentials;
        // A malformed secret is rejected before any look-up.
        let presented = SecretDigest::of(SecretKind::ClientSecret, &secret)
            .ok_or_else(|| claimed_by(&id).because("the secret is no client secret of ours"))?;
        let client = self.known(&id).await?;
        // Every secret is compared, so that the time doesn't tell which one was right.
        let (mut right, mut expired) = (None, false);
        for secret in &client.secrets {
            match secret.digest.matches(&presented) {
                true if secret.is_good(now) => right = Some(secret.name().to_owned()),
                true => expired = true,
                false => {}
            }
        }
        match right {
            Some(name) => admit(client, None, Some(name)),
            None if expired => Err(rejected(&client, "the secret has expired")),
            None => Err(rejected(&client, "the secret is wrong")),
        }
    }

    async fn by_assertion(
        &self,
        named: Option<&str>,
        assertion: &Assertion,
        request: &Request,
        now: u64,
    ) -> Result<Authenticated, OAuthError> {
        let unreadable = |error: JwtError| OAuthError::invalid_client().because(error);
        let jwt = assertion.parse().map_err(unreadable)?;
        let client_id = jwt.unverified_issuer().ok_or_else(|| unreadable(JwtError::InvalidClaim("iss")))?;
        if named.is_some_and(|named| named != client_id) {
            return Err(OAuthError::invalid_request("the assertion and the body name two clients"));
        }
        let client = self.known(&client_id).await?;
        let jwt = self.verified(&client, jwt, now).await?;
        let issuer = self.issuer.resolve(domain(request));
        let issuer = issuer.ok_or_else(|| OAuthError::unavailable("the issuer is not known"))?;
        let audiences = audiences(&issuer, route_path(request), self.issuer_alone);
        let once = Assertion::validate(&jwt, &client.client_id, &audiences, now);
        let once = once.map_err(|error| rejected(&client, error))?;
        // Last, so that only a good assertion is remembered.
        let issuer = format!("client:{}", client.client_id);
        let first = self.seen.is_first(&issuer, &once.token_id, once.expires_at).await;
        match first.map_err(OAuthError::unavailable)? {
            true => admit(client, None, None),
            false => Err(rejected(&client, "the assertion was used before")),
        }
    }

    /// The assertion, if one of the client's keys has signed it. Keys that can't be had are one answer with a wrong
    /// signature: another would tell which clients there are.
    async fn verified(
        &self,
        client: &Client,
        jwt: UnverifiedJwt<'_>,
        now: u64,
    ) -> Result<VerifiedJwt, OAuthError> {
        match &client.public_keys {
            None => Err(rejected(client, "the client has no keys")),
            Some(ClientKeys::Jwks(text)) => {
                let keys = KeySet::read(text.as_bytes());
                let key = keys.choose(&jwt).ok_or(JwtError::UnknownKey);
                key.and_then(|key| jwt.verify(key)).map_err(|error| rejected(client, error))
            }
            Some(ClientKeys::Url(url)) => {
                let keys = self.remote_keys(url);
                let keys =
                    keys.ok_or_else(|| rejected(client, "the client's JWKS URL is not an https:// URL"))?;
                keys.verify(jwt, now).await.map_err(|error| rejected(client, error))
            }
        }
    }

    fn remote_keys(&self, url: &str) -> Option<Arc<RemoteKeys>> {
        let keys = self.remote_keys.get_or_insert_with(url, || {
            self.jwks_urls.parse(url).map(|url| Arc::new(RemoteKeys::new(url))).ok_or(())
        });
        keys.ok()
    }

    /// The client of that id, which a request claims to be from.
    async fn known(&self, client_id: &str) -> Result<Client, OAuthError> {
        let client = self.client(client_id).await?;
        client.ok_or_else(|| claimed_by(client_id).because("the client is unknown"))
    }

    async fn by_certificate(
        &self,
        client_id: &str,
        subject: &str,
        thumbprint: String,
    ) -> Result<Authenticated, OAuthError> {
        let client = self.known(client_id).await?;
        if client.certificate_subject.as_deref() != Some(subject) {
            return Err(rejected(&client, "the certificate's subject is not the client's"));
        }
        admit(client, Some(thumbprint), None)
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

/// What every client needs, whatever its credentials.
fn admit(
    client: Client,
    certificate: Option<String>,
    secret: Option<String>,
) -> Result<Authenticated, OAuthError> {
    if client.disabled {
        return Err(rejected(&client, "the client is disabled"));
    }
    Ok(Authenticated { client, certificate, secret })
}

/// One answer for every cause.
fn rejected(client: &Client, cause: impl Into<Box<dyn Error + Send + Sync>>) -> OAuthError {
    OAuthError::invalid_client().from_client(&client.client_id).because(cause)
}

/// The same where no client of that id was found or looked up. The log gets what has the form of an id, and no secret
/// of ours: people swap the two fields.
fn claimed_by(client_id: &str) -> OAuthError {
    let is_secret = client_id.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("lk_"));
    let error = OAuthError::invalid_client();
    if is_name(client_id) && !is_secret { error.from_client(client_id) } else { error }
}

fn nobody(client_id: Option<&str>) -> Result<Caller, OAuthError> {
    match client_id {
        None => Ok(Caller::Nobody),
        Some(FIRST_PARTY) => Ok(Caller::FirstParty),
        Some(id) => Err(claimed_by(id).because("the client does not authenticate")),
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
            None => return Err(OAuthError::invalid_client().because("client_id is missing")),
        },
        (Credentials::Missing, None, Some(assertion)) => Presented::Assertion(assertion),
        (Credentials::Missing, None, None) => by_connection(request, body_id),
        (Credentials::Basic(_), ..) | (_, Some(_), Some(_)) => return Err(several()),
        _ => return Err(OAuthError::invalid_client().because("the Authorization header is not Basic")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_client_is_logged_when_it_has_the_form_of_a_client_id() {
        let logged = |id| claimed_by(id).client().map(str::to_owned);
        let long = "x".repeat(128);
        for id in ["billing", "a.b_c-1", long.as_str()] {
            assert_eq!(logged(id).as_deref(), Some(id));
        }
        for id in ["", "a b", "a\n", "\"", "é", "lk_cs_1", "LK_ak_1", "lk_", &format!("{long}x")] {
            assert_eq!(logged(id), None, "{id:?}");
        }
    }
}
