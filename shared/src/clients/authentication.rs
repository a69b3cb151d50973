//! Client authentication, for the token, revocation and introspection endpoints.
//!
//! A client authenticates by a secret (RFC 6749 §2.3.1), an assertion (RFC 7523) or a TLS client certificate (RFC
//! 8705). A request uses exactly one of them.

use std::error::Error;
use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::clients::assertion::{Assertion, audiences};
use crate::clients::remote_keys::RemoteKeys;
use crate::identity::secrets::{SecretDigest, SecretKind, is_identifier};
use crate::identity::subjects::FIRST_PARTY_CLIENT_ID;
use crate::jose::confirmation::certificate_thumbprint;
use crate::jose::jwt::{JwtError, UnverifiedJwt, VerifiedJwt};
use crate::jose::key_set::KeySet;
use crate::oauth::credentials::{BasicCredentials, Credentials};
use crate::oauth::error::OAuthError;
use crate::oauth::form::Form;
use crate::oauth::identifiers::JWT_BEARER_ASSERTION;
use crate::runtime::bounded::{BoundedMap, bounded_map};
use crate::runtime::call::Call;
use crate::runtime::settings::{ConfigError, Issuer, JwksUrls, Settings};
use crate::store::clients::{Client, ClientKeys, Clients};
use crate::store::replay::ReplayStore;
use crate::store::table::Table;

/// A day in seconds, the precision of a secret's last use.
const DAY: u64 = 86_400;

/// How many JWKS URLs are cached. Invariant: more than the clients of a deployment, and few enough for the memory of a
/// function.
const MAX_KEY_URLS: usize = 256;

/// An authenticated client.
pub struct Authenticated {
    /// The client.
    pub client: Client,
    /// Thumbprint of the client certificate, if that is how the client authenticated. Its tokens are bound to the
    /// certificate.
    pub certificate: Option<String>,
    /// Name of the secret, if that is how the client authenticated.
    secret: Option<String>,
}

/// The caller of an endpoint where client authentication is optional.
pub enum ClientIdentity {
    /// A registered client.
    Client(Box<Authenticated>),
    /// First-party sign-in, which needs no client authentication: `client_id=latchkey`.
    FirstParty,
    /// The request identifies no client.
    Unidentified,
}

/// Authenticates clients.
pub struct ClientAuth {
    clients: Clients,
    replay_store: ReplayStore,
    issuer: Issuer,
    strict_audience: bool,
    jwks_urls: JwksUrls,
    remote_keys: BoundedMap<String, Arc<RemoteKeys>>,
}

impl ClientAuth {
    /// Reads `ISSUER` and `STRICT_ASSERTION_AUDIENCE`. The clients are in this table.
    pub fn from_settings(settings: &Settings, table: &Table) -> Result<Self, ConfigError> {
        Ok(Self {
            clients: Clients::new(table.clone()),
            replay_store: ReplayStore::new(table.clone()),
            issuer: settings.issuer()?,
            strict_audience: settings.strict_assertion_audience()?,
            jwks_urls: settings.jwks_urls(),
            remote_keys: bounded_map(MAX_KEY_URLS),
        })
    }

    /// Authenticates the client of a request.
    ///
    /// # Errors
    /// `invalid_request` if the request uses several authentication methods or names two clients. `invalid_client` if
    /// client authentication is missing or fails. The caller sees the same response for every cause, and the log has
    /// the cause.
    pub async fn authenticate(&self, form: &mut Form, call: Call<'_>) -> Result<Authenticated, OAuthError> {
        match self.identify(form, call).await? {
            ClientIdentity::Client(authenticated) => Ok(*authenticated),
            ClientIdentity::FirstParty | ClientIdentity::Unidentified => {
                Err(OAuthError::invalid_client().with_cause("request has no client authentication"))
            }
        }
    }

    /// Authenticates the client of a request where client authentication is optional.
    ///
    /// # Errors
    /// As [`ClientAuth::authenticate`], except that client authentication may be missing.
    pub async fn identify(&self, form: &mut Form, call: Call<'_>) -> Result<ClientIdentity, OAuthError> {
        let authenticated = match read_credentials(call, form)? {
            PresentedCredentials::Nothing { client_id } => return without_credentials(client_id.as_deref()),
            PresentedCredentials::Secret(credentials) => self.by_secret(credentials, call.now).await,
            PresentedCredentials::Assertion(assertion) => {
                self.by_assertion(form.text("client_id"), &assertion, call).await
            }
            PresentedCredentials::Certificate { client_id, subject, thumbprint } => {
                self.by_certificate(&client_id, &subject, thumbprint).await
            }
        };
        Ok(ClientIdentity::Client(Box::new(authenticated?)))
    }

    /// A registered client by its id, without authentication.
    pub async fn find_client(&self, client_id: &str) -> Result<Option<Client>, OAuthError> {
        Ok(self.clients.get(client_id).await?)
    }

    async fn by_secret(&self, credentials: BasicCredentials, now: u64) -> Result<Authenticated, OAuthError> {
        let BasicCredentials { id, secret } = credentials;
        // A malformed secret is rejected before the store is read.
        let presented = SecretDigest::of(SecretKind::ClientSecret, &secret)
            .ok_or_else(|| rejected_claim_of(&id).with_cause("malformed client secret"))?;
        let client = self.registered(&id).await?;
        // All secrets are compared, so that the response time does not tell which one matched.
        let (mut right, mut expired) = (None, false);
        for secret in &client.secrets {
            match secret.digest.matches(&presented) {
                true if secret.is_active(now) => right = Some(secret.name().to_owned()),
                true => expired = true,
                false => {}
            }
        }
        match right {
            Some(name) => authenticated(client, None, Some(name)),
            None if expired => Err(rejected(&client, "client secret has expired")),
            None => Err(rejected(&client, "incorrect client secret")),
        }
    }

    async fn by_assertion(
        &self,
        named: Option<&str>,
        assertion: &Assertion,
        call: Call<'_>,
    ) -> Result<Authenticated, OAuthError> {
        let unreadable = |error: JwtError| OAuthError::invalid_client().with_cause(error);
        let jwt = assertion.parse().map_err(unreadable)?;
        let client_id = jwt.unverified_issuer().ok_or_else(|| unreadable(JwtError::InvalidClaim("iss")))?;
        if named.is_some_and(|named| named != client_id) {
            return Err(OAuthError::invalid_request("client_id does not match the client assertion"));
        }
        let client = self.registered(&client_id).await?;
        let jwt = self.verified(&client, jwt, call.now).await?;
        let issuer = self.issuer.of_call(call)?;
        let audiences = audiences(&issuer, call.route_path(), self.strict_audience);
        let replay_key = Assertion::validate(&jwt, &client.client_id, &audiences, call.now);
        let replay_key = replay_key.map_err(|error| rejected(&client, error))?;
        // Last, so that only a valid assertion is written to the replay store.
        let issuer = format!("client:{}", client.client_id);
        match self.replay_store.record_first_use(&issuer, &replay_key.token_id, replay_key.expires_at).await?
        {
            true => authenticated(client, None, None),
            false => Err(rejected(&client, "client assertion replayed")),
        }
    }

    /// Verifies an assertion with the keys of the client. A failure to load the keys has the same response as a wrong
    /// signature, because another one would tell which clients exist.
    async fn verified(
        &self,
        client: &Client,
        jwt: UnverifiedJwt<'_>,
        now: u64,
    ) -> Result<VerifiedJwt, OAuthError> {
        match &client.public_keys {
            None => Err(rejected(client, "client has no public keys")),
            Some(ClientKeys::Jwks(text)) => {
                let keys = KeySet::read(text.as_bytes());
                let key = keys.choose(&jwt).ok_or(JwtError::UnknownKey);
                key.and_then(|key| jwt.verify(key)).map_err(|error| rejected(client, error))
            }
            Some(ClientKeys::Url(url)) => {
                let keys = self.remote_keys(url);
                let keys = keys.ok_or_else(|| rejected(client, "client JWKS URL is not an https:// URL"))?;
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

    /// The client that a request claims to be from.
    async fn registered(&self, client_id: &str) -> Result<Client, OAuthError> {
        let client = self.find_client(client_id).await?;
        client.ok_or_else(|| rejected_claim_of(client_id).with_cause("unknown client"))
    }

    async fn by_certificate(
        &self,
        client_id: &str,
        subject: &str,
        thumbprint: String,
    ) -> Result<Authenticated, OAuthError> {
        let client = self.registered(client_id).await?;
        if client.certificate_subject.as_deref() != Some(subject) {
            return Err(rejected(&client, "certificate subject does not match the client"));
        }
        authenticated(client, Some(thumbprint), None)
    }

    /// Records the day of the secret's last use, with at most one write a day. A failure does not fail the request.
    pub async fn record_secret_use(&self, authenticated: &Authenticated, now: u64) {
        let Authenticated { client, secret: Some(name), .. } = authenticated else { return };
        let today = now - now % DAY;
        if client.secret_use.get(name).is_some_and(|day| *day >= today) {
            return;
        }
        let mut days = client.secret_use.clone();
        // Forgets the use of deleted secrets.
        days.retain(|name, _| client.secrets.iter().any(|secret| secret.name() == name));
        days.insert(name.clone(), today);
        let _ = self.clients.record_secret_use(&client.client_id, &days).await;
    }
}

/// The checks that every authentication method ends with.
fn authenticated(
    client: Client,
    certificate: Option<String>,
    secret: Option<String>,
) -> Result<Authenticated, OAuthError> {
    if client.disabled {
        return Err(rejected(&client, "client is disabled"));
    }
    Ok(Authenticated { client, certificate, secret })
}

/// The error for a known client. Its response is the same for every cause.
fn rejected(client: &Client, cause: impl Into<Box<dyn Error + Send + Sync>>) -> OAuthError {
    OAuthError::invalid_client().with_client_id(&client.client_id).with_cause(cause)
}

/// The error for a client that is unknown or not looked up yet. The log gets the client id only if it has the form of
/// one and does not look like a secret, because callers confuse the two fields.
fn rejected_claim_of(client_id: &str) -> OAuthError {
    let is_secret = client_id.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("lk_"));
    let error = OAuthError::invalid_client();
    if is_identifier(client_id) && !is_secret { error.with_client_id(client_id) } else { error }
}

fn without_credentials(client_id: Option<&str>) -> Result<ClientIdentity, OAuthError> {
    match client_id {
        None => Ok(ClientIdentity::Unidentified),
        Some(FIRST_PARTY_CLIENT_ID) => Ok(ClientIdentity::FirstParty),
        Some(id) => Err(rejected_claim_of(id).with_cause("client sent no credentials")),
    }
}

/// The credentials in a request.
enum PresentedCredentials {
    Nothing { client_id: Option<String> },
    Secret(BasicCredentials),
    Assertion(Assertion),
    Certificate { client_id: String, subject: String, thumbprint: String },
}

/// Reads the credentials of a request.
fn read_credentials(call: Call<'_>, form: &mut Form) -> Result<PresentedCredentials, OAuthError> {
    let multiple_methods =
        || OAuthError::invalid_request("multiple client authentication methods used; use one");
    let body_secret = form.secret("client_secret");
    let assertion = assertion(form)?;
    let body_id = form.text("client_id");
    let presented = match (Credentials::read(call.request.headers())?, body_secret, assertion) {
        (Credentials::Basic(basic), None, None) => {
            if body_id.is_some_and(|id| id != basic.id) {
                return Err(OAuthError::invalid_request("client_id does not match the Authorization header"));
            }
            if is_public(&basic.id) && basic.secret.expose_secret().is_empty() {
                // Libraries that require a client secret send an empty one for a public client. This is the same as
                // `client_id` in the body.
                PresentedCredentials::Nothing { client_id: Some(basic.id) }
            } else {
                PresentedCredentials::Secret(basic)
            }
        }
        (Credentials::Missing, Some(secret), None) => match body_id {
            Some(id) => PresentedCredentials::Secret(BasicCredentials { id: id.to_owned(), secret }),
            None => return Err(OAuthError::invalid_client().with_cause("client_secret without client_id")),
        },
        (Credentials::Missing, None, Some(assertion)) => PresentedCredentials::Assertion(assertion),
        (Credentials::Missing, None, None) => by_connection(call, body_id),
        (Credentials::Basic(_), ..) | (_, Some(_), Some(_)) => return Err(multiple_methods()),
        _ => return Err(OAuthError::invalid_client().with_cause("Authorization scheme is not Basic")),
    };
    Ok(presented)
}

fn assertion(form: &mut Form) -> Result<Option<Assertion>, OAuthError> {
    let (kind, assertion) = (form.text("client_assertion_type"), form.text("client_assertion").is_some());
    match (kind, assertion) {
        (None, false) => Ok(None),
        (Some(JWT_BEARER_ASSERTION), true) => Ok(form.secret("client_assertion").map(Assertion::new)),
        _ => Err(OAuthError::invalid_request(
            "client_assertion requires client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        )),
    }
}

/// Without other credentials, the certificate of the connection authenticates the client that the body names.
fn by_connection(call: Call<'_>, client_id: Option<&str>) -> PresentedCredentials {
    let certificate = call.client_certificate();
    let thumbprint = certificate.as_ref().and_then(|certificate| certificate_thumbprint(certificate.pem));
    match (client_id.filter(|id| !is_public(id)), certificate, thumbprint) {
        (Some(client_id), Some(certificate), Some(thumbprint)) => PresentedCredentials::Certificate {
            client_id: client_id.to_owned(),
            subject: certificate.subject.to_owned(),
            thumbprint,
        },
        _ => PresentedCredentials::Nothing { client_id: client_id.map(str::to_owned) },
    }
}

/// Whether a client has no credentials (RFC 6749 §2.1).
fn is_public(client_id: &str) -> bool {
    client_id == FIRST_PARTY_CLIENT_ID
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_client_is_logged_when_it_has_the_form_of_a_client_id() {
        let logged = |id| rejected_claim_of(id).client().map(str::to_owned);
        let long = "x".repeat(128);
        for id in ["billing", "a.b_c-1", long.as_str()] {
            assert_eq!(logged(id).as_deref(), Some(id));
        }
        for id in ["", "a b", "a\n", "\"", "é", "lk_cs_1", "LK_ak_1", "lk_", &format!("{long}x")] {
            assert_eq!(logged(id), None, "{id:?}");
        }
    }
}
