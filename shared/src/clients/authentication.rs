//! Client authentication: who a request to the token endpoint and its neighbours is from.
//!
//! By a secret (RFC 6749 §2.3.1), by a signed assertion (RFC 7523), or by the certificate of a mutual-TLS
//! connection (RFC 8705). One request uses one of them.

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
use crate::oauth::error::{JWT_BEARER_ASSERTION, OAuthError};
use crate::oauth::http::{BasicCredentials, Credentials, Form};
use crate::runtime::bounded::{BoundedMap, bounded_map};
use crate::runtime::call::Call;
use crate::runtime::settings::{ConfigError, Issuer, JwksUrls, Settings};
use crate::store::clients::{Client, ClientKeys, Clients};
use crate::store::replay::ReplayStore;
use crate::store::table::Table;

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
pub enum ClientIdentity {
    /// A registered client.
    Client(Box<Authenticated>),
    /// Somebody who signed in here and needs no client: `client_id=latchkey`.
    FirstParty,
    /// Somebody who doesn't say.
    Unidentified,
}

/// Recognises clients.
pub struct ClientAuth {
    clients: Clients,
    replays: ReplayStore,
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
            replays: ReplayStore::new(table.clone()),
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
    pub async fn authenticate(&self, form: &mut Form, call: Call<'_>) -> Result<Authenticated, OAuthError> {
        match self.identify(form, call).await? {
            ClientIdentity::Client(authenticated) => Ok(*authenticated),
            ClientIdentity::FirstParty | ClientIdentity::Unidentified => {
                Err(OAuthError::invalid_client().with_cause("there is no client authentication"))
            }
        }
    }

    /// Whom a request is from, where it need not be a client.
    ///
    /// # Errors
    /// As [`ClientAuth::authenticate`], save that there may be no credentials at all.
    pub async fn identify(&self, form: &mut Form, call: Call<'_>) -> Result<ClientIdentity, OAuthError> {
        let authenticated = match presented(call, form)? {
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

    /// A registered client by its id alone: for whoever has another way to know that it is meant.
    pub async fn find_client(&self, client_id: &str) -> Result<Option<Client>, OAuthError> {
        Ok(self.clients.get(client_id).await?)
    }

    async fn by_secret(&self, credentials: BasicCredentials, now: u64) -> Result<Authenticated, OAuthError> {
        let BasicCredentials { id, secret } = credentials;
        // A malformed secret is rejected before any look-up.
        let presented = SecretDigest::of(SecretKind::ClientSecret, &secret)
            .ok_or_else(|| claimed_by(&id).with_cause("the secret is no client secret of ours"))?;
        let client = self.known(&id).await?;
        // Every secret is compared, so that the time doesn't tell which one was right.
        let (mut right, mut expired) = (None, false);
        for secret in &client.secrets {
            match secret.digest.matches(&presented) {
                true if secret.is_active(now) => right = Some(secret.name().to_owned()),
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
        call: Call<'_>,
    ) -> Result<Authenticated, OAuthError> {
        let unreadable = |error: JwtError| OAuthError::invalid_client().with_cause(error);
        let jwt = assertion.parse().map_err(unreadable)?;
        let client_id = jwt.unverified_issuer().ok_or_else(|| unreadable(JwtError::InvalidClaim("iss")))?;
        if named.is_some_and(|named| named != client_id) {
            return Err(OAuthError::invalid_request("the assertion and the body name two clients"));
        }
        let client = self.known(&client_id).await?;
        let jwt = self.verified(&client, jwt, call.now).await?;
        let issuer = self.issuer.of_call(call)?;
        let audiences = audiences(&issuer, call.route_path(), self.issuer_alone);
        let replay_key = Assertion::validate(&jwt, &client.client_id, &audiences, call.now);
        let replay_key = replay_key.map_err(|error| rejected(&client, error))?;
        // Last, so that only a good assertion is remembered.
        let issuer = format!("client:{}", client.client_id);
        match self.replays.record_first_use(&issuer, &replay_key.token_id, replay_key.expires_at).await? {
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
        let client = self.find_client(client_id).await?;
        client.ok_or_else(|| claimed_by(client_id).with_cause("the client is unknown"))
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
    pub async fn record_secret_use(&self, authenticated: &Authenticated, now: u64) {
        let Authenticated { client, secret: Some(name), .. } = authenticated else { return };
        let today = now - now % DAY;
        if client.secret_use.get(name).is_some_and(|day| *day >= today) {
            return;
        }
        let mut days = client.secret_use.clone();
        // Secrets that are gone take their notes along.
        days.retain(|name, _| client.secrets.iter().any(|secret| secret.name() == name));
        days.insert(name.clone(), today);
        let _ = self.clients.record_secret_use(&client.client_id, &days).await;
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
    OAuthError::invalid_client().with_client_id(&client.client_id).with_cause(cause)
}

/// The same where no client of that id was found or looked up. The log gets what has the form of an id, and no secret
/// of ours: people swap the two fields.
fn claimed_by(client_id: &str) -> OAuthError {
    let is_secret = client_id.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("lk_"));
    let error = OAuthError::invalid_client();
    if is_identifier(client_id) && !is_secret { error.with_client_id(client_id) } else { error }
}

fn without_credentials(client_id: Option<&str>) -> Result<ClientIdentity, OAuthError> {
    match client_id {
        None => Ok(ClientIdentity::Unidentified),
        Some(FIRST_PARTY_CLIENT_ID) => Ok(ClientIdentity::FirstParty),
        Some(id) => Err(claimed_by(id).with_cause("the client does not authenticate")),
    }
}

/// How a client shows who it is.
enum PresentedCredentials {
    Nothing { client_id: Option<String> },
    Secret(BasicCredentials),
    Assertion(Assertion),
    Certificate { client_id: String, subject: String, thumbprint: String },
}

/// The one set of credentials in the request.
fn presented(call: Call<'_>, form: &mut Form) -> Result<PresentedCredentials, OAuthError> {
    let several = || OAuthError::invalid_request("the client authenticates in more than one way");
    let body_secret = form.secret("client_secret");
    let assertion = assertion(form)?;
    let body_id = form.text("client_id");
    let presented = match (Credentials::read(call.request.headers())?, body_secret, assertion) {
        (Credentials::Basic(basic), None, None) => {
            if body_id.is_some_and(|id| id != basic.id) {
                return Err(OAuthError::invalid_request("the header and the body name two clients"));
            }
            if is_public(&basic.id) && basic.secret.expose_secret().is_empty() {
                // Libraries that know no clients without a secret send an empty one: it is as `client_id` in the body.
                PresentedCredentials::Nothing { client_id: Some(basic.id) }
            } else {
                PresentedCredentials::Secret(basic)
            }
        }
        (Credentials::Missing, Some(secret), None) => match body_id {
            Some(id) => PresentedCredentials::Secret(BasicCredentials { id: id.to_owned(), secret }),
            None => return Err(OAuthError::invalid_client().with_cause("client_id is missing")),
        },
        (Credentials::Missing, None, Some(assertion)) => PresentedCredentials::Assertion(assertion),
        (Credentials::Missing, None, None) => by_connection(call, body_id),
        (Credentials::Basic(_), ..) | (_, Some(_), Some(_)) => return Err(several()),
        _ => return Err(OAuthError::invalid_client().with_cause("the Authorization header is not Basic")),
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
