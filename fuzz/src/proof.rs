//! Proofs of possession (`DPoP`), and the certificates that do the same.
//!
//! A header and claims, a line each, are signed with a good key first; any other text is taken for a proof
//! and for a certificate as it is. `JWK` in a header stands for the key that signs.

use serde_json::Value;
use shared::jose::confirmation::certificate_thumbprint;
use shared::jose::dpop::{Proof, Target};
use shared::jose::jwt::LEEWAY;
use shared::jose::key::{PRIVATE_MEMBERS, thumbprint};

use crate::NOW;
use crate::forge::FORGE;
use crate::text::first_line;

const TARGET: Target<'_> =
    Target { method: "POST", url: "https://auth.example.com/oauth2/token", access_token: None };

/// The target.
pub fn run(data: &[u8]) {
    match first_line(data) {
        (header, Some(claims)) => signed(header, claims),
        (text, None) => {
            let Ok(text) = std::str::from_utf8(text) else { return };
            assert!(Proof::validate(text, TARGET, NOW).is_err(), "a proof that nobody signed is good");
        }
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(thumbprint) = certificate_thumbprint(text)
    {
        // How exactly the armour is written is left to the library: API Gateway writes it.
        assert!(thumbprint.len() == 43 && text.contains("CERTIFICATE"));
    }
}

fn signed(header: &[u8], claims: &[u8]) {
    let (header, token, key) = FORGE.with(|forge| {
        let header = String::from_utf8_lossy(header).replace("\"JWK\"", &forge.jwk.to_string());
        let token = forge.token(header.as_bytes(), claims);
        (header, token, thumbprint(&forge.jwk))
    });
    let Ok(proof) = Proof::validate(&token, TARGET, NOW) else { return };
    let said = |bytes| serde_json::from_slice::<Value>(bytes).expect("JSON");
    let (header, claims) = (said(header.as_bytes()), said(claims));
    let typ = header["typ"].as_str().expect("a type").to_ascii_lowercase();
    assert!(["dpop+jwt", "application/dpop+jwt"].contains(&typ.as_str()), "{typ}");
    assert!(PRIVATE_MEMBERS.iter().all(|name| header["jwk"].get(*name).is_none_or(Value::is_null)));
    assert_eq!(Some(proof.key), key, "the key that signed, and no other");
    assert_eq!(claims["htm"], TARGET.method);
    let url = claims["htu"].as_str().expect("a URL");
    assert!(url.to_ascii_lowercase().starts_with("https://auth.example.com"), "{url}");
    let issued_at = claims["iat"].as_f64().expect("a number of seconds").trunc() as u64;
    assert!(issued_at <= NOW + LEEWAY && issued_at + 60 >= NOW && proof.expires_at > NOW);
    assert_eq!(claims["jti"], proof.token_id.as_str());
    assert!(!proof.token_id.is_empty());
    // It is for this request and for no other.
    for other in [
        Target { method: "GET", ..TARGET },
        Target { url: "https://auth.example.com/oauth2/token/", ..TARGET },
        Target { url: "http://auth.example.com/oauth2/token", ..TARGET },
    ] {
        assert!(Proof::validate(&token, other, NOW).is_err());
    }
}
