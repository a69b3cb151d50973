//! Machine secrets: their form and checksum.

use aws_lc_rs::digest::{SHA256, digest};
use secrecy::ExposeSecret;
use shared::identity::refresh_token::RefreshToken;
use shared::identity::secrets::{SecretDigest, SecretKind};

const KINDS: [(SecretKind, &str, usize); 3] = [
    (SecretKind::ApiKey, "lk_ak_", 43),
    (SecretKind::ClientSecret, "lk_cs_", 43),
    (SecretKind::RefreshToken, "lk_rt_", 65),
];
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The target.
pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let accepted: Vec<_> = KINDS.iter().filter(|(kind, ..)| is_accepted(*kind, text)).collect();
        let expected: Vec<_> = KINDS.iter().filter(|kind| is_well_formed(kind, text)).collect();
        assert!(accepted.iter().map(|kind| kind.1).eq(expected.iter().map(|kind| kind.1)), "{text}");
    }
    // The input as the random part between prefix and checksum.
    for (kind, prefix, length) in KINDS {
        let random = (0..length).map(|index| {
            let byte = data.get(index % data.len().max(1)).copied().unwrap_or_default();
            char::from(BASE62[(usize::from(byte) + index / data.len().max(1)) % 62])
        });
        let body = prefix.chars().chain(random).collect::<String>();
        let secret = format!("{body}{}", checksum(&body));
        assert!(is_accepted(kind, &secret), "{secret}");
        let mut changed = secret.clone();
        let last = changed.pop();
        changed.push(if last == Some('0') { '1' } else { '0' });
        assert!(!is_accepted(kind, &changed), "{changed}");
        if kind == SecretKind::RefreshToken {
            let token = RefreshToken::parse(secret.as_str().into()).expect("a well-formed token");
            assert_eq!(token.expose_secret(), secret);
            let next = token.successor(&String::from_utf8_lossy(data));
            assert_eq!(token.family(), next.family());
            assert!(is_accepted(kind, next.expose_secret()) && next.expose_secret() != secret);
        }
    }
}

fn is_accepted(kind: SecretKind, text: &str) -> bool {
    SecretDigest::of(kind, &text.into()).is_some()
}

/// Whether a text has the form of a secret, by an independent reading.
fn is_well_formed((_, prefix, length): &(SecretKind, &str, usize), text: &str) -> bool {
    text.len() == prefix.len() + length + 6
        && text.strip_prefix(prefix).is_some_and(|rest| rest.bytes().all(|byte| BASE62.contains(&byte)))
        && text.ends_with(&checksum(&text[..text.len() - 6]))
}

/// The first four bytes of the SHA-256 as six base62 digits.
fn checksum(body: &str) -> String {
    let digest = digest(&SHA256, body.as_bytes());
    let number = u32::from_be_bytes([0, 1, 2, 3].map(|index| digest.as_ref()[index])) as usize;
    (0..6).rev().map(|place| char::from(BASE62[number / 62_usize.pow(place) % 62])).collect()
}
