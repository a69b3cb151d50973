//! The signature cache: tokens with a verified signature. It outlives the trust snapshot, so that a reload costs no
//! verification.
//!
//! An entry says only that the signature was verified. Before every use the key is looked up in the current snapshot.
//! Type, issuer, audience, times, scopes, binding and revocation are validated in every call.

use std::sync::Arc;

use crate::jose::jwt::{JwtError, TokenDigest, UnverifiedJwt, VerifiedJwt};
use crate::jose::key::PublicKey;
use crate::runtime::bounded::{BoundedMap, bounded_map};

/// Capacity in tokens. Invariant: only tokens that we signed are cached, of at most 8 KiB and about a kilobyte each, so
/// that the cache can't fill the memory.
const CAPACITY: usize = 1024;

/// A verified token and the key that verified it.
#[derive(Clone)]
struct CachedSignature {
    key: Arc<PublicKey>,
    jwt: Arc<VerifiedJwt>,
}

/// Verified tokens by the SHA-256 of their text, so that the memory does not contain usable tokens.
pub(super) struct SignatureCache(BoundedMap<TokenDigest, CachedSignature>);

impl Default for SignatureCache {
    fn default() -> Self {
        Self(bounded_map(CAPACITY))
    }
}

impl SignatureCache {
    /// Verifies a token with `key`, which the current snapshot has for the token's key id.
    ///
    /// Invariant: an entry is used only for the key that verified it, compared by algorithm and bytes. With any other
    /// key the token is verified again.
    pub fn verify(&self, jwt: UnverifiedJwt<'_>, key: &Arc<PublicKey>) -> Result<Arc<VerifiedJwt>, JwtError> {
        let digest = jwt.digest();
        if let Some(entry) = self.0.get(&digest).filter(|entry| entry.key == *key) {
            return Ok(entry.jwt);
        }
        let jwt = Arc::new(jwt.verify(key)?);
        self.0.insert(digest, CachedSignature { key: key.clone(), jwt: jwt.clone() });
        Ok(jwt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::test_signer::TestSigner;

    const HEADER: &str = r#"{"alg":"EdDSA","kid":"1","typ":"at+jwt"}"#;

    /// The key as each reload of the snapshot parses it.
    fn key(forge: &TestSigner) -> Arc<PublicKey> {
        let jwk = serde_json::from_value(forge.public_jwk()).unwrap();
        Arc::new(PublicKey::from_jwk(&jwk).unwrap())
    }

    fn verify(
        cache: &SignatureCache,
        token: &str,
        key: &Arc<PublicKey>,
    ) -> Result<Arc<VerifiedJwt>, JwtError> {
        cache.verify(UnverifiedJwt::parse(token, 8192)?, key)
    }

    #[test]
    fn only_verified_tokens_are_cached() {
        let (forge, other, cache) = (TestSigner::new(), TestSigner::new(), SignatureCache::default());
        let good = forge.token(HEADER, r#"{"jti":"1"}"#);
        let bad = other.token(HEADER, r#"{"jti":"1"}"#);
        for _ in 0..2 {
            assert_eq!(verify(&cache, &good, &key(&forge)).unwrap().claims.string("jti"), Some("1"));
            assert_eq!(verify(&cache, &bad, &key(&forge)).err(), Some(JwtError::InvalidSignature));
            // The claims of a cached token with another signature.
            let (claims, _) = good.rsplit_once('.').unwrap();
            let (_, signature) = bad.rsplit_once('.').unwrap();
            let mixed = format!("{claims}.{signature}");
            assert_eq!(verify(&cache, &mixed, &key(&forge)).err(), Some(JwtError::InvalidSignature));
        }
        assert_eq!(cache.0.len(), 1);
    }

    #[test]
    fn a_cached_token_costs_no_verification() {
        let (forge, cache) = (TestSigner::new(), SignatureCache::default());
        let token = forge.token(HEADER, "{}");
        let first = verify(&cache, &token, &key(&forge)).unwrap();
        let second = verify(&cache, &token, &key(&forge)).unwrap();
        assert!(Arc::ptr_eq(&first, &second), "a verification reads the claims once more");
    }

    #[test]
    fn another_key_with_the_same_id_invalidates_the_cached_signature() {
        let (forge, other, cache) = (TestSigner::new(), TestSigner::new(), SignatureCache::default());
        let token = forge.token(HEADER, "{}");
        let first = verify(&cache, &token, &key(&forge)).unwrap();
        assert_eq!(verify(&cache, &token, &key(&other)).err(), Some(JwtError::InvalidSignature));
        // The entry is still cached.
        assert!(Arc::ptr_eq(&first, &verify(&cache, &token, &key(&forge)).unwrap()));
    }
}
