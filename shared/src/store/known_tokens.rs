//! Tokens whose signature was found good lately: it need not be checked twice.
//!
//! That is all that is remembered. Type, issuer, audience, times, scopes, binding and revocation are for
//! whoever asks to judge, at every call; and a bundle holds its own, so that what is remembered lives no
//! longer than the keys that it was found with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::token::jwt::{JwtError, TokenDigest, UnverifiedJwt, VerifiedJwt};
use crate::token::key::PublicKey;

/// Tokens held at once. Invariant: only tokens that we have signed get in, whose claims take about a kilobyte
/// each, so that no flood of tokens takes the memory.
const CAPACITY: usize = 1024;

/// The tokens' claims, by the SHA-256 of the whole text: no token can be taken out of here.
#[derive(Default)]
pub(super) struct KnownTokens(Mutex<HashMap<TokenDigest, Arc<VerifiedJwt>>>);

impl KnownTokens {
    /// The token's claims, if `key` has signed it. The caller found the key by the token's own key id, among
    /// those that are trusted now.
    pub fn verified(&self, jwt: UnverifiedJwt<'_>, key: &PublicKey) -> Result<Arc<VerifiedJwt>, JwtError> {
        let digest = jwt.digest();
        if let Some(known) = self.known().get(&digest) {
            return Ok(known.clone());
        }
        let verified = Arc::new(jwt.verify(key)?);
        let mut known = self.known();
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert(digest, verified.clone());
        Ok(verified)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<TokenDigest, Arc<VerifiedJwt>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::forge::Forge;

    fn token(forge: &Forge, number: usize) -> String {
        forge.token(r#"{"alg":"EdDSA","kid":"1","typ":"at+jwt"}"#, &format!(r#"{{"jti":"{number}"}}"#))
    }

    #[test]
    fn only_good_signatures_are_remembered() {
        let (forge, other, known) = (Forge::new(), Forge::new(), KnownTokens::default());
        let verified = |token: &str| known.verified(UnverifiedJwt::parse(token, 8192)?, &forge.public_key);
        let good = token(&forge, 1);
        let bad = token(&other, 1);
        for _ in 0..2 {
            assert_eq!(verified(&good).unwrap().claims.string("jti"), Some("1"));
            assert_eq!(verified(&bad).err(), Some(JwtError::InvalidSignature));
            // The claims of a token that is known, with another signature.
            let (claims, _) = good.rsplit_once('.').unwrap();
            let (_, signature) = bad.rsplit_once('.').unwrap();
            assert_eq!(verified(&format!("{claims}.{signature}")).err(), Some(JwtError::InvalidSignature));
        }
        assert_eq!(known.known().len(), 1);
    }

    #[test]
    fn no_flood_of_tokens_takes_the_memory() {
        let (forge, known) = (Forge::new(), KnownTokens::default());
        for number in 0..CAPACITY + 10 {
            let token = token(&forge, number);
            known.verified(UnverifiedJwt::parse(&token, 8192).unwrap(), &forge.public_key).unwrap();
            assert!(known.known().len() <= CAPACITY);
        }
    }
}
