//! A trusted issuer, and the validation of its tokens' claims.

use serde_json::Value;

use crate::clients::remote_keys::{IssuerError, RemoteKeys};
use crate::federation::audience::Audience;
use crate::federation::claim_rule::ClaimRule;
use crate::federation::identity::FederatedIdentity;
use crate::jose::algorithm::Algorithm;
use crate::jose::jwt::{JwtError, LEEWAY, UnverifiedJwt, VerifiedJwt};
use crate::oauth::identifiers::ID_TOKEN_TYPE;
use crate::oauth::scope::Scopes;

/// Maximum length of a subject (OpenID Connect Core §2).
const MAX_SUBJECT: usize = 255;

/// Maximum length of an email address, in bytes (RFC 5321 §4.5.3.1.3).
const MAX_EMAIL: usize = 254;

/// The rejected claim of a Google token for an app that is not configured, with the remedy. A mobile app requests
/// tokens with its own client id in `azp` and the server's in `aud`.
pub(super) const UNLISTED_AZP: &str =
    "azp (GOOGLE_CLIENT_IDS must list this client id as well as the one in aud)";

/// Audiences of an issuer and the claim rules for their tokens.
pub(super) struct AcceptedAudiences {
    /// Whether only Google users are accepted. Any Google customer can get a token of a service account for a public
    /// client id.
    pub(super) users_only: bool,
    pub(super) audiences: Vec<String>,
    pub(super) rules: Vec<(ClaimRule, Scopes)>,
}

/// How an issuer's tokens differ from those that the standards describe.
pub(super) struct Profile {
    /// Other spellings of the issuer.
    aliases: &'static [&'static str],
    /// The only accepted algorithm. None accepts every supported one.
    algorithm: Option<Algorithm>,
    /// Maximum lifetime of a token, in seconds.
    pub(super) max_ttl: u64,
    /// Whether a token must have `iat`, which is optional (RFC 7519 §4.1.6).
    requires_iat: bool,
    /// Whether `aud` is a single string.
    single_audience: bool,
    /// Whether `azp`, the client that requested the token, must be one of ours too.
    checks_authorized_party: bool,
}

/// Google (developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken).
pub(super) const GOOGLE: Profile = Profile {
    aliases: &["accounts.google.com"],
    algorithm: Some(Algorithm::Rs256),
    max_ttl: 3600 + LEEWAY,
    requires_iat: true,
    single_audience: true,
    checks_authorized_party: true,
};

/// Every other issuer. Kubernetes tokens may live a day, and those of Azure's managed identities some minutes more.
pub(super) const STANDARD: Profile = Profile {
    aliases: &[],
    algorithm: None,
    max_ttl: 25 * 3600,
    requires_iat: false,
    single_audience: false,
    checks_authorized_party: false,
};

/// A trusted issuer.
pub(super) struct TrustedIssuer {
    /// The issuer's name, under which identities are stored.
    pub(super) name: String,
    profile: Profile,
    pub(super) keys: RemoteKeys,
    pub(super) audiences: Vec<Audience>,
    pub(super) accepted: Vec<AcceptedAudiences>,
}

impl TrustedIssuer {
    pub(super) fn new(name: String, profile: Profile, keys: RemoteKeys) -> Self {
        Self { name, profile, keys, audiences: Vec::new(), accepted: Vec::new() }
    }

    /// Accepts tokens for these audiences by these rules.
    pub(super) fn accept(&mut self, audiences: &[String], rules: Vec<ClaimRule>) -> Result<(), &'static str> {
        let audiences = Audience::add(&mut self.audiences, audiences)?;
        if audiences.is_empty() || rules.is_empty() {
            return Err("has an issuer without audiences or without rules");
        }
        let with_scopes = |rule: ClaimRule| rule.scopes().map(|scopes| (rule, scopes));
        let rules = rules.into_iter().map(with_scopes).collect::<Result<_, _>>()?;
        self.accepted.push(AcceptedAudiences { users_only: false, audiences, rules });
        Ok(())
    }

    /// Whether a token with this `iss` is the issuer's.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.name == name || self.profile.aliases.contains(&name)
    }

    /// Verifies a token.
    pub(super) async fn verify(
        &self,
        jwt: UnverifiedJwt<'_>,
        token_type: &str,
        now: u64,
    ) -> Result<FederatedIdentity, IssuerError> {
        if self.profile.algorithm.is_some_and(|algorithm| jwt.algorithm() != algorithm) {
            return Err(JwtError::InvalidHeader("alg").into());
        }
        let jwt = self.keys.verify(jwt, now).await?;
        Ok(self.validate(&jwt, token_type, now)?)
    }

    /// Validates the claims of a token with a verified signature.
    pub(super) fn validate(
        &self,
        jwt: &VerifiedJwt,
        token_type: &str,
        now: u64,
    ) -> Result<FederatedIdentity, JwtError> {
        // An ID token has the type `JWT` or none. An access token may too, because many issuers are older than RFC 9068
        // §2.1.
        let is_accepted = match jwt.media_type().as_deref() {
            None | Some("jwt") => true,
            Some("at+jwt") => token_type != ID_TOKEN_TYPE,
            Some(_) => false,
        };
        if !is_accepted {
            return Err(JwtError::InvalidClaim("typ"));
        }
        if !jwt.claims.string("iss").is_some_and(|name| self.has_name(name)) {
            return Err(JwtError::InvalidClaim("iss"));
        }
        match self.profile.requires_iat {
            true => jwt.validate_times(now, self.profile.max_ttl)?,
            false => jwt.validate_times_without_iat(now, self.profile.max_ttl)?,
        };
        let subject = jwt.claims.string("sub").filter(|text| (1..=MAX_SUBJECT).contains(&text.len()));
        let subject = subject.ok_or(JwtError::InvalidClaim("sub"))?;
        let audiences = self.audiences_of(jwt);
        let accepted = self.accepted_for(jwt, &audiences, subject)?;
        let ours = self.audiences.iter().filter(|ours| audiences.contains(&ours.name.as_str()));
        let rule = accepted.rules.iter().find(|(rule, _)| rule.matches(jwt));
        // Google sign-in has one rule, for the hosted domain.
        let unmatched =
            if accepted.users_only { "hd" } else { "sub, or another in the `when` of a claim rule," };
        let (rule, scopes) = rule.ok_or(JwtError::InvalidClaim(unmatched))?;
        let verified = jwt.claims.get("email_verified").is_some_and(|verified| verified == true);
        let email = jwt.claims.string("email").filter(|email| verified && email.len() <= MAX_EMAIL);
        Ok(FederatedIdentity {
            issuer: self.name.clone(),
            subject: subject.to_owned(),
            email: email.map(str::to_owned),
            client: rule.client.clone(),
            scopes: scopes.clone(),
            allowed_clients: ours.map(|ours| ours.allowed_clients.clone()).collect(),
        })
    }

    /// The audiences of a token.
    fn audiences_of<'a>(&self, jwt: &'a VerifiedJwt) -> Vec<&'a str> {
        match jwt.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) if !self.profile.single_audience => {
                many.iter().map(Value::as_str).collect::<Option<_>>().unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// The rules for a token with one of our audiences. `azp` is one of them too, or the service account itself if a claim
    /// rule accepts it.
    fn accepted_for(
        &self,
        jwt: &VerifiedJwt,
        audiences: &[&str],
        subject: &str,
    ) -> Result<&AcceptedAudiences, JwtError> {
        let mut wrong = "aud";
        for accepted in &self.accepted {
            let is_ours = |name: &str| accepted.audiences.iter().any(|ours| ours == name);
            if !audiences.iter().any(|name| is_ours(name)) {
                continue;
            }
            let party = jwt.claims.get("azp").filter(|_| self.profile.checks_authorized_party);
            if party.is_none_or(|party| {
                party.as_str().is_some_and(is_ours) || (party == subject && !accepted.users_only)
            }) {
                return Ok(accepted);
            }
            wrong = UNLISTED_AZP;
        }
        Err(JwtError::InvalidClaim(wrong))
    }
}
