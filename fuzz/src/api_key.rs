//! Machine secrets, API keys among them: their form and their checksum.

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
        let taken: Vec<_> = KINDS.iter().filter(|(kind, ..)| is_taken(*kind, text)).collect();
        let wanted: Vec<_> = KINDS.iter().filter(|kind| is_well_formed(kind, text)).collect();
        assert!(taken.iter().map(|kind| kind.1).eq(wanted.iter().map(|kind| kind.1)), "{text}");
    }
    // The same bytes as what stands between prefix and checksum.
    for (kind, prefix, length) in KINDS {
        let random = (0..length).map(|index| {
            let byte = data.get(index % data.len().max(1)).copied().unwrap_or_default();
            char::from(BASE62[(usize::from(byte) + index / data.len().max(1)) % 62])
        });
        let body = prefix.chars().chain(random).collect::<String>();
        let secret = format!("{body}{}", checksum(&body));
        assert!(is_taken(kind, &secret), "{secret}");
        let mut changed = secret.clone();
        let last = changed.pop();
        changed.push(if last == Some('0') { '1' } else { '0' });
        assert!(!is_taken(kind, &changed), "{changed}");
        if kind == SecretKind::RefreshToken {
            let token = RefreshToken::parse(secret.as_str().into()).expect("a well-formed token");
            assert_eq!(token.expose_secret(), secret);
            let next = token.successor(&String::from_utf8_lossy(data));
            assert_eq!(token.family(), next.family());
            assert!(is_taken(kind, next.expose_secret()) && next.expose_secret() != secret);
        }
    }
}

fn is_taken(kind: SecretKind, text: &str) -> bool {
    SecretDigest::of(kind, &text.into()).is_some()
}

/// Whether it should be: an own reading, to compare with.
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
