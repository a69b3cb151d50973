//! Refresh tokens: a chain of secrets, each derived from the previous one.
//!
//! A token consists of the id of its family, a secret and a checksum. Its successor is derived from the token and a
//! random salt in the store. Neither the token nor the store alone is enough to derive it, and a repeated request after
//! a lost response derives the same successor.

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};

use crate::identity::secrets::{
    BASE62, ID_CHARACTERS, RANDOM_CHARACTERS, SecretDigest, SecretKind, generate, with_checksum,
};

/// A well-formed refresh token.
pub struct RefreshToken {
    text: SecretString,
    digest: SecretDigest,
}

impl RefreshToken {
    /// The first token of a new family.
    pub fn first() -> Self {
        let (text, digest) = generate(SecretKind::RefreshToken);
        Self { text, digest }
    }

    /// Parses a token.
    pub fn parse(text: SecretString) -> Option<Self> {
        let digest = SecretDigest::of(SecretKind::RefreshToken, &text)?;
        Some(Self { text, digest })
    }

    /// The id of its family, which is as secret as the token.
    pub fn family(&self) -> &str {
        let characters =
            self.text.expose_secret().strip_prefix(SecretKind::RefreshToken.prefix()).unwrap_or_default();
        characters.get(..ID_CHARACTERS).unwrap_or_default()
    }

    /// The digest for the store.
    pub fn digest(&self) -> &SecretDigest {
        &self.digest
    }

    /// The successor for this salt.
    pub fn successor(&self, salt: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.text.expose_secret().as_bytes());
        let secret = base62(hmac::sign(&key, salt.as_bytes()).as_ref());
        let (text, digest) = with_checksum(SecretKind::RefreshToken, &format!("{}{secret}", self.family()));
        Self { text, digest }
    }
}

impl ExposeSecret<str> for RefreshToken {
    fn expose_secret(&self) -> &str {
        self.text.expose_secret()
    }
}

/// 256 bits as a base62 number, most significant digit first.
fn base62(bytes: &[u8]) -> String {
    let mut number = bytes.to_vec();
    let mut digits = [b'0'; RANDOM_CHARACTERS];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let part = remainder << 8 | u32::from(*byte);
            // Below 256, because the previous remainder was below 62.
            *byte = (part / 62) as u8;
            remainder = part % 62;
        }
        *digit = BASE62[remainder as usize];
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_successor_is_derived_from_token_and_salt() {
        let first = RefreshToken::first();
        let second = first.successor("salt");
        assert_eq!(second.expose_secret(), first.successor("salt").expose_secret());
        assert_ne!(second.expose_secret(), first.successor("other").expose_secret());
        assert_ne!(second.expose_secret(), RefreshToken::first().successor("salt").expose_secret());
        assert_eq!(second.family(), first.family());
        assert_eq!((second.family().len(), second.expose_secret().len()), (22, 6 + 22 + 43 + 6));
        assert!(RefreshToken::parse(second.expose_secret().into()).is_some());
    }

    #[test]
    fn malformed_refresh_tokens_are_rejected() {
        let token = RefreshToken::first();
        let text = token.expose_secret();
        let (api_key, _) = generate(SecretKind::ApiKey);
        for bad in [
            "",
            "lk_rt_",
            &text[..76],
            &format!("{text}0"),
            &text.replace("lk_rt", "lk_ak"),
            api_key.expose_secret(),
        ] {
            assert!(RefreshToken::parse((*bad).into()).is_none());
        }
    }

    #[test]
    fn base62_encodes_known_numbers() {
        assert_eq!(base62(&[0; 32]), "0".repeat(43));
        assert_eq!(base62(&[vec![0; 31], vec![61]].concat()), "0".repeat(42) + "z");
        assert_eq!(base62(&[vec![0; 31], vec![62]].concat()), "0".repeat(41) + "10");
        // 2^256 - 1 in base62.
        assert_eq!(base62(&[255; 32]), "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1");
    }
}
