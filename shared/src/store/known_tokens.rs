//! Tokens whose signature was found good lately: it need not be checked twice.
//!
//! That is all that is remembered. Type, issuer, audience, times, scopes, binding and revocation are for
//! whoever asks to judge, at every call; and a bundle holds its own, so that what is remembered lives no
//! longer than the keys that it was found with.

use std::sync::Arc;

use crate::bounded::Bounded;
use crate::token::jwt::{JwtError, TokenDigest, UnverifiedJwt, VerifiedJwt};
use crate::token::key::PublicKey;

/// Tokens held at once. Invariant: only tokens that we have signed get in, whose claims take about a kilobyte
/// each, so that no flood of tokens takes the memory.
const CAPACITY: usize = 1024;

/// The tokens' claims, by the SHA-256 of the whole text: no token can be taken out of here.
#[derive(Default)]
pub(super) struct KnownTokens(Bounded<TokenDigest, Arc<VerifiedJwt>, CAPACITY>);

impl KnownTokens {
    /// The token's claims, if `key` has signed it. The caller found the key by the token's own key id, among
    /// those that are trusted now.
    pub fn verified(&self, jwt: UnverifiedJwt<'_>, key: &PublicKey) -> Result<Arc<VerifiedJwt>, JwtError> {
        let digest = jwt.digest();
        if let Some(known) = self.0.get(&digest) {
            return Ok(known);
        }
        let verified = Arc::new(jwt.verify(key)?);
        self.0.insert(digest, verified.clone());
        Ok(verified)
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
        let is_known =
            |token: &str| known.0.get(&UnverifiedJwt::parse(token, 8192).unwrap().digest()).is_some();
        assert!(is_known(&good) && !is_known(&bad));
    }
}
