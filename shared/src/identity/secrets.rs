//! Machine secrets: client secrets, API keys and refresh tokens.
//!
//! A secret is `lk_`, its kind, 43 base62 characters (256 random bits) and 6 characters of checksum. With the prefix
//! and the checksum, a secret scanner can find a leaked secret, and a malformed one is rejected without a read of the
//! store. Only the SHA-256 is stored. A slow hash would add nothing, because 256 random bits can't be guessed.

use aws_lc_rs::{constant_time, digest, rand};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

pub(crate) const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random characters of a secret. Invariant: 62^43 > 2^256.
pub(crate) const RANDOM_CHARACTERS: usize = 43;

/// Random characters of an id. Invariant: 131 bits, so that no two ids are equal.
pub(crate) const ID_CHARACTERS: usize = 22;

/// Characters of the checksum. Invariant: 62^6 > 2^32, so 32 bits of digest fit.
const CHECKSUM_CHARACTERS: usize = 6;

/// Maximum length of an identifier for [`is_identifier`], in bytes.
const MAX_NAME: usize = 128;

/// The kind of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// A client secret (RFC 6749 §2.3.1).
    ClientSecret,
    /// An API key.
    ApiKey,
    /// A refresh token (RFC 6749 §1.5).
    RefreshToken,
}

impl SecretKind {
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::ClientSecret => "lk_cs_",
            Self::ApiKey => "lk_ak_",
            Self::RefreshToken => "lk_rt_",
        }
    }

    /// Number of base62 characters between prefix and checksum. A refresh token also contains the id of its family.
    fn characters(self) -> usize {
        match self {
            Self::ClientSecret | Self::ApiKey => RANDOM_CHARACTERS,
            Self::RefreshToken => ID_CHARACTERS + RANDOM_CHARACTERS,
        }
    }
}

/// The SHA-256 of a secret, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretDigest(String);

impl SecretDigest {
    /// The digest of a well-formed secret of this kind, or none.
    pub fn of(kind: SecretKind, secret: &SecretString) -> Option<Self> {
        let secret = secret.expose_secret();
        let rest = secret.strip_prefix(kind.prefix())?;
        if rest.len() != kind.characters() + CHECKSUM_CHARACTERS
            || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return None;
        }
        let (body, sum) = secret.split_at(secret.len() - CHECKSUM_CHARACTERS);
        (checksum(body) == sum).then(|| Self(hex_digest(secret)))
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }

    /// Lower-case hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Generates a secret, and its digest for the store.
pub fn generate(kind: SecretKind) -> (SecretString, SecretDigest) {
    with_checksum(kind, &random_base62(kind.characters()))
}

/// A secret of this kind with these characters, and its digest.
pub(crate) fn with_checksum(kind: SecretKind, characters: &str) -> (SecretString, SecretDigest) {
    let body = format!("{}{characters}", kind.prefix());
    let sum = checksum(&body);
    let secret = body + &sum;
    let digest = SecretDigest(hex_digest(&secret));
    (SecretString::from(secret), digest)
}

/// The digest of a text as lower-case hex, for texts that must not be stored.
pub fn hex_digest(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// A new id: the prefix and 131 random bits.
pub fn random_id(prefix: &str) -> String {
    format!("{prefix}{}", random_base62(ID_CHARACTERS))
}

/// Whether the text is a valid identifier of a client, an owner or an audience: letters, digits and `. _ -`, which are
/// the same with and without form encoding.
pub fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Uniform base62 characters. Bytes beyond the largest multiple of 62 are drawn again.
fn random_base62(length: usize) -> String {
    let mut text = String::with_capacity(length);
    let mut bytes = [0; 64];
    while text.len() < length {
        // Fails only if the operating system has no randomness. There is no safe way to continue.
        rand::fill(&mut bytes).expect("the system's random number generator works");
        let characters =
            bytes.iter().filter(|byte| **byte < 248).map(|byte| BASE62[usize::from(*byte) % 62] as char);
        text.extend(characters.take(length - text.len()));
    }
    text
}

fn checksum(body: &str) -> String {
    let digest = digest::digest(&digest::SHA256, body.as_bytes());
    let mut number = digest.as_ref()[..4].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let mut characters = ['0'; CHECKSUM_CHARACTERS];
    for character in characters.iter_mut().rev() {
        *character = BASE62[(number % 62) as usize] as char;
        number /= 62;
    }
    characters.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(text: &str) -> Option<SecretDigest> {
        SecretDigest::of(SecretKind::ClientSecret, &text.into())
    }

    #[test]
    fn generated_secrets_are_well_formed_and_distinct() {
        let ((one, digest), (_, other)) =
            (generate(SecretKind::ClientSecret), generate(SecretKind::ClientSecret));
        assert_eq!(one.expose_secret().len(), 6 + 43 + 6);
        assert!(digest_of(one.expose_secret()).unwrap().matches(&digest) && !digest.matches(&other));
    }

    #[test]
    fn a_changed_character_fails_the_checksum() {
        let (secret, _) = generate(SecretKind::ClientSecret);
        let secret = secret.expose_secret();
        for position in 0..secret.len() {
            let mut changed = secret.as_bytes().to_vec();
            changed[position] = if changed[position] == b'x' { b'y' } else { b'x' };
            assert_eq!(digest_of(std::str::from_utf8(&changed).unwrap()), None, "{position}");
        }
    }

    #[test]
    fn a_secret_of_another_kind_is_rejected() {
        let (key, _) = generate(SecretKind::ApiKey);
        assert_eq!(SecretDigest::of(SecretKind::ClientSecret, &key), None);
        assert!(SecretDigest::of(SecretKind::ApiKey, &key).is_some());
    }

    #[test]
    fn malformed_secrets_are_rejected() {
        for text in ["", "lk_cs_", "lk_cs_é", "lk_cs_0000000000000000000000000000000000000000000000000é"] {
            assert_eq!(digest_of(text), None, "{text}");
        }
    }

    #[test]
    fn the_checksum_never_changes() {
        assert_eq!(checksum("lk_cs_example"), "3exXjg");
    }

    #[test]
    fn identifiers_need_no_form_encoding() {
        assert!(is_identifier("demo-client_1.x"));
        for bad in ["", "a b", "a:b", "a+b", "a%b", "é", &"x".repeat(129)] {
            assert!(!is_identifier(bad), "{bad}");
        }
    }
}
