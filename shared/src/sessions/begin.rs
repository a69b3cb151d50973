//! Begins token families: the tokens that a sign-in gets.

use crate::identity::refresh_token::RefreshToken;
use crate::identity::secrets::random_id;
use crate::oauth::error::OAuthError;
use crate::runtime::call::Call;
use crate::sessions::Sessions;
use crate::sessions::sign_in::{InFamily, RefreshPolicy, SignedIn, TokenRequest, access_token_spec};
use crate::signing::issue::IssuedToken;
use crate::store::token_families::Family;

impl Sessions {
    /// Begins a token family, if the refresh policy allows it, and issues the tokens.
    pub async fn begin(
        &self,
        signed_in: SignedIn,
        request: TokenRequest,
        call: Call<'_>,
    ) -> Result<IssuedToken, OAuthError> {
        let now = call.now;
        let bound = match &request.refresh {
            RefreshPolicy::Never => None,
            RefreshPolicy::ByClient { epoch } => Some((epoch.clone(), None)),
            RefreshPolicy::ByBearer => Some((String::new(), None)),
            RefreshPolicy::ByKey(key) => Some((String::new(), Some(key.clone()))),
        };
        let (Some(ttl), Some((client_epoch, key))) = (self.life.ttl, bound) else {
            return self
                .signer
                .issue(access_token_spec(signed_in.account, signed_in.email, request, None), call)
                .await;
        };
        let (first, session_id) = (RefreshToken::first(), random_id(""));
        let family = Family {
            session_id: session_id.clone(),
            client_id: request.client_id.clone(),
            username: signed_in.account.username.clone(),
            sub: signed_in.account.sub.clone(),
            epoch: signed_in.account.epoch.clone(),
            issuer: signed_in.issuer,
            scopes: request.scopes.clone(),
            audience: Some(request.audience.clone()),
            client_epoch: Some(client_epoch),
            email: signed_in.email.clone(),
            created_at: Some(now),
            key,
            current: first.digest().clone(),
            previous: None,
            salt: None,
            rotated_at: now,
            ends_at: now.saturating_add(ttl),
            expires_at: self.idle_end(now.saturating_add(ttl), now),
            revoked: false,
        };
        let in_family = InFamily { session_id, ends_at: family.ends_at };
        let spec = access_token_spec(signed_in.account, signed_in.email, request, Some(in_family));
        let mut issued = self.signer.issue(spec, call).await?;
        self.families.create(first.family(), &family).await?;
        issued.refresh_token = Some(first);
        Ok(issued)
    }
}
