//! The refresh token grant (RFC 6749 §6), with rotation and reuse detection (RFC 9700 §4.14.2).
//!
//! A refresh costs one write. A client that lost a response can repeat the request within the grace period and gets the
//! same successor. A later use of the old token is reuse and revokes the token family.

use secrecy::SecretString;

use crate::identity::refresh_token::RefreshToken;
use crate::identity::secrets::random_id;
use crate::identity::subjects::FIRST_PARTY_CLIENT_ID;
use crate::jose::confirmation::Confirmation;
use crate::oauth::error::{ErrorKind, OAuthError};
use crate::oauth::scope::Scopes;
use crate::oauth::token_request::{restrict_scopes, select_audience};
use crate::runtime::call::Call;
use crate::sessions::Sessions;
use crate::sessions::sign_in::{InFamily, RefreshPolicy, TokenRequest, access_token_spec};
use crate::signing::issue::IssuedToken;
use crate::store::clients::{Client, GrantType};
use crate::store::token_families::{Family, RotateRequest, TokenStatus};
use crate::store::users::Account;
use crate::trust::proof_of_possession::Possession;
use crate::trust::revocation_limits::Granted;

/// A refresh request.
pub struct RefreshRequest<'a> {
    /// Refresh token.
    pub token: SecretString,
    /// The authenticated client. None for first-party sign-in.
    pub client: Option<&'a Client>,
    /// The thumbprint of the client's certificate.
    pub certificate: Option<String>,
    /// Requested scopes.
    pub scope: Option<&'a str>,
    /// Requested resource.
    pub resource: Option<&'a str>,
    /// DPoP proof of the request.
    pub possession: Possession,
    /// The scopes that an issuer's rules give to any user today; none for an issuer that is not trusted.
    pub issuer_scopes: &'a (dyn Fn(&str) -> Option<Scopes> + Sync),
}

impl Sessions {
    /// Rotates a refresh token and issues an access token.
    ///
    /// # Errors
    /// `invalid_grant` for every invalid token, whatever the cause.
    pub async fn refresh(
        &self,
        request: RefreshRequest<'_>,
        call: Call<'_>,
    ) -> Result<IssuedToken, OAuthError> {
        let now = call.now;
        let RefreshRequest { token, client, certificate, scope, resource, possession, issuer_scopes } =
            request;
        let token =
            RefreshToken::parse(token).ok_or_else(|| rejected().with_cause("malformed refresh token"))?;
        let family = self.families.get(token.family()).await?;
        let family = family.ok_or_else(|| rejected().with_cause("unknown refresh token"))?;
        check_client(&family, client)?;
        // Before reuse detection: a caller without the key has found the token, and must not be able to revoke the
        // family.
        let key = possession.key();
        check_key(&family, key.as_deref())?;
        self.record_use(&possession).await?;
        let status = family.token_status(&token, self.life, now);
        let status = self.require_active(&family, &token, status, now).await?;
        let (account, today) = self.active_account(&family, issuer_scopes).await?;

        // The scopes of the sign-in without those that the user or the client has lost since.
        let of_user = family.scopes.intersection(&today);
        let allowed = client.map_or(of_user.clone(), |client| of_user.intersection(&client.scopes));
        let scopes = restrict_scopes(&allowed, scope)?;
        let audience = select_audience(resource, &self.allowed_audiences(&family, client)?)?;
        let confirmation = Confirmation { key, certificate };
        let token_request = TokenRequest {
            client_id: family.client_id.clone(),
            audience,
            scopes,
            ttl: client.and_then(|client| client.token_ttl),
            confirmation,
            refresh: RefreshPolicy::Never,
        };
        let email = family.email(&account);
        let ends_at = family.ends_at(self.life);
        let in_family = InFamily { session_id: family.session_id.clone(), ends_at };
        let spec = access_token_spec(account, email, token_request, Some(in_family));
        let mut issued = self.signer.issue(spec, call).await?;
        // The write comes last. Until then nothing has changed, and afterwards the client can lose the response and
        // repeat the request. The write does not bind the family to the proven key. Otherwise a thief could bind a
        // stolen family to a key, and the owner's next refresh could not reveal the theft.
        issued.refresh_token = Some(self.rotate(&family, token, status, now).await?);
        Ok(issued)
    }

    /// Stores the rotation and returns the successor.
    async fn rotate(
        &self,
        family: &Family,
        token: RefreshToken,
        status: ActiveToken,
        now: u64,
    ) -> Result<RefreshToken, OAuthError> {
        if let ActiveToken::Retry(salt) = status {
            return Ok(token.successor(&salt));
        }
        let salt = random_id("");
        let next = token.successor(&salt);
        let ends_at = family.ends_at(self.life);
        let step =
            RotateRequest { from: &token, to: &next, salt: &salt, expires_at: self.idle_end(ends_at, now) };
        match self.families.rotate(step, now).await? {
            None => Ok(next),
            // A concurrent request rotated the same token. Both get the same successor.
            Some(current) => {
                let status = current.token_status(&token, self.life, now);
                match self.require_active(&current, &token, status, now).await? {
                    ActiveToken::Retry(salt) => Ok(token.successor(&salt)),
                    ActiveToken::Current => {
                        Err(OAuthError::unavailable("refresh token rotation was not stored"))
                    }
                }
            }
        }
    }

    /// Returns whether the token is current or in its grace period. Reuse revokes the token family.
    async fn require_active(
        &self,
        family: &Family,
        token: &RefreshToken,
        status: TokenStatus,
        now: u64,
    ) -> Result<ActiveToken, OAuthError> {
        match status {
            TokenStatus::Current => Ok(ActiveToken::Current),
            TokenStatus::Retry(salt) => Ok(ActiveToken::Retry(salt)),
            TokenStatus::Ended => Err(rejected()
                .with_subject(&family.sub)
                .with_cause("refresh token has expired or its token family was revoked")),
            TokenStatus::Reused => {
                // In this order, so that the next use of the token completes an interrupted revocation.
                let until = family.latest_use(now);
                self.revocations.session(Granted::of_family(family), &family.session_id, until).await?;
                self.families.revoke(token.family()).await?;
                Err(rejected()
                    .with_subject(&family.sub)
                    .with_cause("refresh token reuse detected; token family revoked"))
            }
        }
    }

    /// The user of a family, if the user has not changed since the sign-in, with the user's scopes today. A federated
    /// user has those that the claim rules of the issuer give to users today.
    async fn active_account(
        &self,
        family: &Family,
        issuer_scopes: &(dyn Fn(&str) -> Option<Scopes> + Sync),
    ) -> Result<(Account, Scopes), OAuthError> {
        let account =
            self.users.account(&family.username).await?.filter(|account| family.belongs_to(account));
        let with_scopes = account.and_then(|account| {
            let today = match &family.issuer {
                Some(issuer) => issuer_scopes(issuer)?,
                None => account.scopes.clone(),
            };
            Some((account, today))
        });
        with_scopes.ok_or_else(|| {
            rejected().with_subject(&family.sub).with_cause(
                "user was deleted, disabled or changed, or the user's issuer is no longer trusted",
            )
        })
    }

    /// The audience of the sign-in, if the client may still have it.
    fn allowed_audiences(&self, family: &Family, client: Option<&Client>) -> Result<Vec<String>, OAuthError> {
        let own = client.map(|client| client.audiences.as_slice()).filter(|own| !own.is_empty());
        let today = own.unwrap_or(self.signer.audiences());
        match &family.audience {
            Some(audience) if today.contains(audience) => Ok(vec![audience.clone()]),
            Some(_) => Err(rejected()
                .with_subject(&family.sub)
                .with_cause("audience of the sign-in is no longer allowed for the client")),
            None => Ok(today.to_vec()),
        }
    }
}

/// A usable refresh token.
enum ActiveToken {
    /// The latest one of its family.
    Current,
    /// The previous one, within the grace period. Its successor has this salt.
    Retry(String),
}

fn rejected() -> OAuthError {
    OAuthError::new(ErrorKind::InvalidGrant, "refresh token is invalid, expired or revoked; sign in again")
}

/// Checks that the token was issued to this client and that the client may still refresh.
fn check_client(family: &Family, client: Option<&Client>) -> Result<(), OAuthError> {
    if client.map_or(FIRST_PARTY_CLIENT_ID, |client| &client.client_id) != family.client_id {
        return Err(rejected()
            .with_subject(&family.sub)
            .with_cause("refresh token was issued to another client"));
    }
    if client.is_some_and(|client| !family.is_of_client(client)) {
        return Err(rejected()
            .with_subject(&family.sub)
            .with_cause("client was deleted and created again since the sign-in"));
    }
    if client.is_some_and(|client| !client.may_use(GrantType::RefreshToken)) {
        return Err(OAuthError::new(
            ErrorKind::UnauthorizedClient,
            "client is not authorized for the refresh_token grant",
        ));
    }
    Ok(())
}

fn check_key(family: &Family, proven: Option<&str>) -> Result<(), OAuthError> {
    match (&family.key, proven) {
        (Some(key), proven) if proven != Some(key) => Err(OAuthError::new(
            ErrorKind::InvalidDpopProof,
            "refresh token is bound to a key; send a DPoP proof signed with that key",
        )),
        _ => Ok(()),
    }
}
