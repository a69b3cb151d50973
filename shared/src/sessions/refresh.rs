//! The refresh grant: RFC 6749 §6, with rotation and reuse detection (RFC 9700 §4.14.2).
//!
//! A refresh costs one write. A client whose answer was lost may ask again with the same token for a
//! short while and gets the same successor; after that a second use means that somebody has a copy, and
//! the whole family is dead.

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

/// What a client shows.
pub struct RefreshRequest<'a> {
    /// The refresh token.
    pub token: SecretString,
    /// The client that has authenticated itself; none for a user who signed in without one.
    pub client: Option<&'a Client>,
    /// The thumbprint of the client's certificate.
    pub certificate: Option<String>,
    /// The scopes asked for.
    pub scope: Option<&'a str>,
    /// The resource asked for.
    pub resource: Option<&'a str>,
    /// The key that the request proves to hold.
    pub possession: Possession,
    /// The scopes that an issuer's rules give to any user today; none for an issuer that is not trusted.
    pub issuer_scopes: &'a (dyn Fn(&str) -> Option<Scopes> + Sync),
}

impl Sessions {
    /// New tokens for a refresh token.
    ///
    /// # Errors
    /// `invalid_grant` for every token that is not good, whatever is wrong with it.
    pub async fn refresh(
        &self,
        request: RefreshRequest<'_>,
        call: Call<'_>,
    ) -> Result<IssuedToken, OAuthError> {
        let now = call.now;
        let token = RefreshToken::parse(request.token.clone())
            .ok_or_else(|| refused().with_cause("the refresh token is malformed"))?;
        let family = self.families.get(token.family()).await?;
        let family = family.ok_or_else(|| refused().with_cause("the refresh token is unknown"))?;
        check_client(&family, request.client)?;
        // Before anything is held against the family: whoever lacks the key has only found the token.
        let key = request.possession.key();
        check_key(&family, key.as_deref())?;
        request.possession.record_use(&self.replays).await?;
        let standing = family.token_status(&token, self.life, now);
        let standing = self.require_active(&family, &token, standing, now).await?;
        let account = self.active_account(&family, request.issuer_scopes).await?;

        let scopes = restrict_scopes(&allowed_scopes(&family, &account, &request), request.scope)?;
        let audience = select_audience(request.resource, &self.allowed_audiences(&family, request.client)?)?;
        let confirmation = Confirmation { key, certificate: request.certificate };
        let token_request = TokenRequest {
            client_id: family.client_id.clone(),
            audience,
            scopes,
            ttl: request.client.and_then(|client| client.token_ttl),
            confirmation,
            refresh: RefreshPolicy::Never,
        };
        let email = family.email(&account);
        let ends_at = family.ends_at(self.life);
        let in_family = InFamily { session_id: family.session_id.clone(), ends_at };
        let spec = access_token_spec(account, email, token_request, Some(in_family));
        let mut issued = self.signer.issue(spec, call).await?;
        // The write comes last: until it is done nothing has changed, and once it is done the client can
        // lose the answer and ask again. It binds the family to nothing: a session that began without a key
        // goes on without, or a thief's key would keep its owner out, whose turn shows the theft.
        issued.refresh_token = Some(self.rotate(&family, token, standing, now).await?);
        Ok(issued)
    }

    /// The token that follows.
    async fn rotate(
        &self,
        family: &Family,
        token: RefreshToken,
        standing: Live,
        now: u64,
    ) -> Result<RefreshToken, OAuthError> {
        if let Live::Retry(salt) = standing {
            return Ok(token.successor(&salt));
        }
        let salt = random_id("");
        let next = token.successor(&salt);
        let ends_at = family.ends_at(self.life);
        let step =
            RotateRequest { from: &token, to: &next, salt: &salt, expires_at: self.idle_end(ends_at, now) };
        match self.families.rotate(step, now).await? {
            None => Ok(next),
            // Somebody was faster with the same token: they and we get the same successor.
            Some(meanwhile) => {
                let standing = meanwhile.token_status(&token, self.life, now);
                match self.require_active(&meanwhile, &token, standing, now).await? {
                    Live::Retry(salt) => Ok(token.successor(&salt)),
                    Live::Current => Err(OAuthError::unavailable("the refresh could not be stored")),
                }
            }
        }
    }

    /// Lets through what is good. A token that was used long ago kills its family.
    async fn require_active(
        &self,
        family: &Family,
        token: &RefreshToken,
        standing: TokenStatus,
        now: u64,
    ) -> Result<Live, OAuthError> {
        match standing {
            TokenStatus::Current => Ok(Live::Current),
            TokenStatus::Retry(salt) => Ok(Live::Retry(salt)),
            TokenStatus::Dead => Err(refused()
                .with_subject(&family.sub)
                .with_cause("the refresh token has expired or its session was ended")),
            TokenStatus::Reused => {
                // In this order: stopped in between, the next use of the token does the rest.
                let until = family.latest_use(now);
                let revoked =
                    self.revocations.session(Granted::of_family(family), &family.session_id, until).await;
                revoked?;
                self.families.revoke(token.family()).await?;
                Err(refused()
                    .with_subject(&family.sub)
                    .with_cause("the refresh token was used before: its session is ended"))
            }
        }
    }

    /// The user behind a family, if they are still who they were at the sign-in.
    async fn active_account(
        &self,
        family: &Family,
        issuer_scopes: &(dyn Fn(&str) -> Option<Scopes> + Sync),
    ) -> Result<Account, OAuthError> {
        let account = self.users.account(&family.username).await?;
        let is_trusted = family.issuer.as_deref().is_none_or(|issuer| issuer_scopes(issuer).is_some());
        account.filter(|account| is_trusted && family.belongs_to(account)).ok_or_else(|| {
            refused()
                .with_subject(&family.sub)
                .with_cause("the user is gone, disabled or changed, or their issuer is no longer trusted")
        })
    }

    /// The audiences that a token family may still have: that of the sign-in, if its client may still have it.
    fn allowed_audiences(&self, family: &Family, client: Option<&Client>) -> Result<Vec<String>, OAuthError> {
        let own = client.map(|client| client.audiences.as_slice()).filter(|own| !own.is_empty());
        let today = own.unwrap_or(self.signer.audiences());
        match &family.audience {
            Some(audience) if today.contains(audience) => Ok(vec![audience.clone()]),
            Some(_) => Err(refused()
                .with_subject(&family.sub)
                .with_cause("the audience of the sign-in is no longer the client's")),
            None => Ok(today.to_vec()),
        }
    }
}

/// A token that is good.
enum Live {
    /// It has no successor yet.
    Current,
    /// It has one, made with this salt.
    Retry(String),
}

/// The scopes that a token family may still have: those of the sign-in, less what its user and its client have lost
/// since. A federated user has what the rules of their issuer give to any user today.
fn allowed_scopes(family: &Family, account: &Account, request: &RefreshRequest<'_>) -> Scopes {
    let today = match &family.issuer {
        Some(issuer) => (request.issuer_scopes)(issuer).unwrap_or_default(),
        None => account.scopes.clone(),
    };
    let of_user = family.scopes.intersection(&today);
    request.client.map_or(of_user.clone(), |client| of_user.intersection(&client.scopes))
}

fn refused() -> OAuthError {
    OAuthError::new(ErrorKind::InvalidGrant, "the refresh token is not valid")
}

/// The token is the client's own, and the client may still refresh.
fn check_client(family: &Family, client: Option<&Client>) -> Result<(), OAuthError> {
    if client.map_or(FIRST_PARTY_CLIENT_ID, |client| &client.client_id) != family.client_id {
        return Err(refused()
            .with_subject(&family.sub)
            .with_cause("the refresh token was issued to another client"));
    }
    if client.is_some_and(|client| !family.is_of_client(client)) {
        return Err(refused()
            .with_subject(&family.sub)
            .with_cause("the client was deleted and created again since the sign-in"));
    }
    if client.is_some_and(|client| !client.may_use(GrantType::RefreshToken)) {
        return Err(OAuthError::new(ErrorKind::UnauthorizedClient, "this client may not refresh tokens"));
    }
    Ok(())
}

fn check_key(family: &Family, proven: Option<&str>) -> Result<(), OAuthError> {
    match (&family.key, proven) {
        (Some(key), proven) if proven != Some(key) => {
            Err(OAuthError::new(ErrorKind::InvalidDpopProof, "the refresh token is bound to another key"))
        }
        _ => Ok(()),
    }
}
