//! The refresh grant: RFC 6749 §6, with rotation and reuse detection (RFC 9700 §4.14.2).
//!
//! A refresh costs one write. A client whose answer was lost may ask again with the same token for a
//! short while and gets the same successor; after that a second use means that somebody has a copy, and
//! the whole family is dead.

use secrecy::SecretString;

use super::FIRST_PARTY;
use super::client_auth::Authenticated;
use super::dpop::Possession;
use super::requests::{narrowed, resource};
use super::sessions::{InFamily, Refresh, Sessions, Terms, grant};
use crate::grants::mint::Mint;
use crate::identity::refresh_tokens::RefreshToken;
use crate::identity::secrets::random_id;
use crate::store::accounts::{Account, Accounts};
use crate::store::clients::GrantType;
use crate::store::refresh::{Family, Standing, Step};
use crate::store::revocations::Revocations;
use crate::store::seen::Seen;
use crate::store::table::Table;
use crate::token::confirmation::Confirmation;
use crate::token::issue::Issued;
use crate::token::issuers::TrustedIssuers;
use crate::wire::oauth::{ErrorKind, OAuthError};
use crate::wire::scope::Scopes;

/// What a client shows.
pub struct Presented<'a> {
    /// The refresh token.
    pub token: SecretString,
    /// The client that has authenticated itself; none for somebody who signed in without one.
    pub client: Option<&'a Authenticated>,
    /// The scopes asked for.
    pub scope: Option<&'a str>,
    /// The resource asked for.
    pub resource: Option<&'a str>,
    /// The key that the request proves to hold.
    pub possession: Possession,
}

/// Carries sessions on.
pub struct Refreshing {
    accounts: Accounts,
    revocations: Revocations,
    seen: Seen,
}

impl Refreshing {
    /// In this table.
    pub fn new(table: &Table) -> Self {
        Self {
            accounts: Accounts::new(table.clone()),
            revocations: Revocations::new(table.clone()),
            seen: Seen::new(table.clone()),
        }
    }

    /// New tokens for a refresh token.
    ///
    /// # Errors
    /// `invalid_grant` for every token that is not good, whatever is wrong with it.
    pub async fn refresh(
        &self,
        presented: Presented<'_>,
        sessions: &Sessions,
        issuers: &TrustedIssuers,
        mint: &Mint,
        domain: Option<&str>,
        now: u64,
    ) -> Result<Issued, OAuthError> {
        let token = RefreshToken::parse(presented.token)
            .ok_or_else(|| refused().because("the refresh token is malformed"))?;
        let family = sessions.families().get(token.family()).await.map_err(OAuthError::unavailable)?;
        let family = family.ok_or_else(|| refused().because("the refresh token is unknown"))?;
        check_client(&family, presented.client)?;
        // Before anything is held against the family: whoever lacks the key has only found the token.
        let key = presented.possession.key();
        check_key(&family, key.as_deref())?;
        presented.possession.record_use(&self.seen).await?;
        let standing = family.standing(&token, sessions.life(), now);
        let standing = self.live(&family, &token, standing, sessions, now).await?;
        let account = self.account(&family, issuers).await?;

        let scopes = narrowed(&allowed(&family, &account, issuers, presented.client), presented.scope)?;
        let audience = resource(presented.resource, &audiences(&family, presented.client, mint)?)?;
        let confirmation =
            Confirmation { key, certificate: presented.client.and_then(|client| client.certificate.clone()) };
        let terms = Terms {
            client_id: family.client_id.clone(),
            audience,
            scopes,
            ttl: presented.client.and_then(|client| client.client.token_ttl),
            confirmation,
            refresh: Refresh::Never,
        };
        let email = family.email(&account);
        let ends_at = family.ends_at(sessions.life());
        let in_family = InFamily { session_id: family.session_id.clone(), ends_at };
        let grant = grant(account, email, terms, Some(in_family));
        let mut issued = mint.issue(grant, domain, now).await?;
        // The write comes last: until it is done nothing has changed, and once it is done the client can
        // lose the answer and ask again. It binds the family to nothing: a session that began without a key
        // goes on without, or a thief's key would keep its owner out, whose turn shows the theft.
        issued.refresh_token = Some(self.advance(&family, token, standing, sessions, now).await?);
        Ok(issued)
    }

    /// The token that follows.
    async fn advance(
        &self,
        family: &Family,
        token: RefreshToken,
        standing: Live,
        sessions: &Sessions,
        now: u64,
    ) -> Result<RefreshToken, OAuthError> {
        if let Live::Retry(salt) = standing {
            return Ok(token.successor(&salt));
        }
        let salt = random_id("");
        let next = token.successor(&salt);
        let ends_at = family.ends_at(sessions.life());
        let step = Step { from: &token, to: &next, salt: &salt, expires_at: sessions.idle_end(ends_at, now) };
        match sessions.families().advance(step, now).await.map_err(OAuthError::unavailable)? {
            None => Ok(next),
            // Somebody was faster with the same token: they and we get the same successor.
            Some(meanwhile) => {
                let standing = meanwhile.standing(&token, sessions.life(), now);
                match self.live(&meanwhile, &token, standing, sessions, now).await? {
                    Live::Retry(salt) => Ok(token.successor(&salt)),
                    Live::Current => Err(OAuthError::unavailable("the refresh could not be stored")),
                }
            }
        }
    }

    /// Lets through what is good. A token that was used long ago kills its family.
    async fn live(
        &self,
        family: &Family,
        token: &RefreshToken,
        standing: Standing,
        sessions: &Sessions,
        now: u64,
    ) -> Result<Live, OAuthError> {
        match standing {
            Standing::Current => Ok(Live::Current),
            Standing::Retry(salt) => Ok(Live::Retry(salt)),
            Standing::Dead => Err(refused()
                .concerning(&family.sub)
                .because("the refresh token has expired or its session was ended")),
            Standing::Reused => {
                // In this order: stopped in between, the next use of the token does the rest.
                let until = family.latest(now);
                let revoked = self.revocations.session(family.granted(), &family.session_id, until).await;
                revoked.map_err(OAuthError::unavailable)?;
                sessions.families().revoke(token.family()).await.map_err(OAuthError::unavailable)?;
                Err(refused()
                    .concerning(&family.sub)
                    .because("the refresh token was used before: its session is ended"))
            }
        }
    }

    /// The user behind a family, if they are still who they were at the sign-in.
    async fn account(&self, family: &Family, issuers: &TrustedIssuers) -> Result<Account, OAuthError> {
        let account = self.accounts.get(&family.username).await.map_err(OAuthError::unavailable)?;
        let vouched_for = family.issuer.as_deref().is_none_or(|issuer| issuers.trusts(issuer));
        account.filter(|account| vouched_for && family.is_of(account)).ok_or_else(|| {
            refused()
                .concerning(&family.sub)
                .because("the user is gone, disabled or changed, or their issuer is no longer trusted")
        })
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
fn allowed(
    family: &Family,
    account: &Account,
    issuers: &TrustedIssuers,
    client: Option<&Authenticated>,
) -> Scopes {
    let today = match &family.issuer {
        Some(issuer) => issuers.user_scopes(issuer),
        None => account.scopes.clone(),
    };
    let of_user = family.scopes.intersection(&today);
    client.map_or(of_user.clone(), |client| of_user.intersection(&client.client.scopes))
}

/// The audiences that a token family may still have: that of the sign-in, if its client may still have it.
fn audiences(
    family: &Family,
    client: Option<&Authenticated>,
    mint: &Mint,
) -> Result<Vec<String>, OAuthError> {
    let own = client.map(|client| client.client.audiences.as_slice()).filter(|own| !own.is_empty());
    let today = own.unwrap_or(mint.audiences());
    match &family.audience {
        Some(audience) if today.contains(audience) => Ok(vec![audience.clone()]),
        Some(_) => Err(refused()
            .concerning(&family.sub)
            .because("the audience of the sign-in is no longer the client's")),
        None => Ok(today.to_vec()),
    }
}

fn refused() -> OAuthError {
    OAuthError::new(ErrorKind::InvalidGrant, "the refresh token is not valid")
}

/// The token is the client's own, and the client may still refresh.
fn check_client(family: &Family, client: Option<&Authenticated>) -> Result<(), OAuthError> {
    let client = client.map(|authenticated| &authenticated.client);
    if client.map_or(FIRST_PARTY, |client| &client.client_id) != family.client_id {
        return Err(refused()
            .concerning(&family.sub)
            .because("the refresh token was issued to another client"));
    }
    if client.is_some_and(|client| !family.is_of_client(client)) {
        return Err(refused()
            .concerning(&family.sub)
            .because("the client was deleted and created again since the sign-in"));
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
