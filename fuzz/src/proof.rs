//! DPoP proofs and client certificates.
//!
//! An input of two lines, header and claims, is signed with a valid key first. Any other input is a proof and a
//! certificate. `JWK` in a header is replaced by the signing key.

use serde_json::Value;
use shared::jose::confirmation::certificate_thumbprint;
use shared::jose::dpop::{Proof, Target};
use shared::jose::jwt::LEEWAY;
use shared::jose::key::{PRIVATE_MEMBERS, thumbprint};

use crate::NOW;
use crate::signer::SIGNER;
use crate::text::first_line;

const TARGET: Target<'_> =
    Target { method: "POST", url: "https://auth.example.com/oauth2/token", access_token: None };

/// The target.
pub fn run(data: &[u8]) {
    match first_line(data) {
        (header, Some(claims)) => signed(header, claims),
        (text, None) => {
            let Ok(text) = std::str::from_utf8(text) else { return };
            assert!(Proof::validate(text, TARGET, NOW).is_err(), "an unsigned proof is valid");
        }
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(thumbprint) = certificate_thumbprint(text)
    {
        // The library decides which forms of PEM it accepts, because API Gateway writes it.
        assert!(thumbprint.len() == 43 && text.contains("CERTIFICATE"));
    }
}

fn signed(header: &[u8], claims: &[u8]) {
    let (header, token, key) = SIGNER.with(|signer| {
        let header = String::from_utf8_lossy(header).replace("\"JWK\"", &signer.jwk.to_string());
        let token = signer.token(header.as_bytes(), claims);
        (header, token, thumbprint(&signer.jwk))
    });
    let Ok(proof) = Proof::validate(&token, TARGET, NOW) else { return };
    let parse = |bytes| serde_json::from_slice::<Value>(bytes).expect("JSON");
    let (header, claims) = (parse(header.as_bytes()), parse(claims));
    let typ = header["typ"].as_str().expect("a type").to_ascii_lowercase();
    assert!(["dpop+jwt", "application/dpop+jwt"].contains(&typ.as_str()), "{typ}");
    assert!(PRIVATE_MEMBERS.iter().all(|name| header["jwk"].get(*name).is_none_or(Value::is_null)));
    assert_eq!(Some(proof.key), key, "the key that signed");
    assert_eq!(claims["htm"], TARGET.method);
    let url = claims["htu"].as_str().expect("a URL");
    assert!(url.to_ascii_lowercase().starts_with("https://auth.example.com"), "{url}");
    let issued_at = claims["iat"].as_f64().expect("a number of seconds").trunc() as u64;
    assert!(issued_at <= NOW + LEEWAY && issued_at + 60 >= NOW && proof.expires_at > NOW);
    assert_eq!(claims["jti"], proof.token_id.as_str());
    assert!(!proof.token_id.is_empty());
    // It is invalid for any other request.
    for other in [
        Target { method: "GET", ..TARGET },
        Target { url: "https://auth.example.com/oauth2/token/", ..TARGET },
        Target { url: "http://auth.example.com/oauth2/token", ..TARGET },
    ] {
        assert!(Proof::validate(&token, other, NOW).is_err());
    }
}
