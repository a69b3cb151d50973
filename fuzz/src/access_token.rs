//! Access tokens: `UnverifiedJwt::parse` and `verify`, and what is made of the claims.
//!
//! A line with a header and one with claims are signed with a good key first, so that what comes after the
//! signature is reached too; any other text is taken for a token as it is.

use serde_json::Value;
use shared::clients::assertion::{Assertion, audiences};
use shared::jose::jwt::{LEEWAY, UnverifiedJwt, VerifiedJwt};
use shared::trust::access_token::{Expected, MAX_ACCESS_TOKEN, VerifiedAccessToken};

use crate::NOW;
use crate::forge::{FORGE, TestSigner};
use crate::text::first_line;

const ISSUER: &str = "https://auth.example.com";
const AUDIENCE: &str = "latchkey";

/// The target.
pub fn run(data: &[u8]) {
    FORGE.with(|forge| match first_line(data) {
        (header, Some(claims)) => signed(forge, header, claims),
        (text, None) => unsigned(forge, text),
    });
}

fn verify(forge: &TestSigner, token: &str) -> Option<VerifiedJwt> {
    UnverifiedJwt::parse(token, MAX_ACCESS_TOKEN).ok()?.verify(&forge.public_key).ok()
}

/// Nobody has signed it: it is no good, whatever it says.
fn unsigned(forge: &TestSigner, text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(jwt) = UnverifiedJwt::parse(text, MAX_ACCESS_TOKEN) else { return };
    assert_eq!(text.matches('.').count(), 2);
    assert!(text.len() <= MAX_ACCESS_TOKEN);
    jwt.unverified_issuer();
    assert!(jwt.verify(&forge.public_key).is_err(), "a token that nobody signed is good");
}

fn signed(forge: &TestSigner, header: &[u8], claims: &[u8]) {
    let token = forge.token(header, claims);
    // One bit that is not as it was signed, anywhere.
    let mut changed = token.clone().into_bytes();
    let place = token.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    changed[(place / 8) % token.len()] ^= 1 << (place % 8);
    if let Ok(changed) = String::from_utf8(changed) {
        assert!(verify(forge, &changed).is_none(), "a changed token is good");
    }

    let Some(jwt) = verify(forge, &token) else { return };
    // What was read is what was signed.
    let said = |bytes| serde_json::from_slice::<Value>(bytes).expect("JSON");
    let (header, claims) = (said(header), said(claims));
    assert_eq!(jwt.claims.clone().into_object(), claims);
    assert_eq!(jwt.typ(), header.get("typ").and_then(Value::as_str));
    assert!(header["alg"] == "EdDSA" || header["alg"] == "Ed25519");
    assert!(["crit", "b64", "zip", "cty"].iter().all(|name| header.get(*name).is_none()));

    let expected_audiences = [AUDIENCE.to_owned()];
    let expected = Expected { issuer: Some(ISSUER), audiences: Some(&expected_audiences) };
    let judged = VerifiedAccessToken::validate(&jwt, &expected, NOW);
    let assertion = Assertion::validate(&jwt, AUDIENCE, &audiences(ISSUER, "/oauth2/token", false), NOW);
    assert!(judged.is_err() || assertion.is_err(), "good for two things");
    let Ok(token) = judged else { return };
    check(&claims, header["typ"].as_str());
    // What is written reads back.
    let again =
        forge.token(br#"{"alg":"EdDSA","typ":"at+jwt"}"#, token.claims().to_json().to_string().as_bytes());
    let again = verify(forge, &again).expect("what we write is what we read");
    let again = VerifiedAccessToken::validate(&again, &expected, NOW).expect("as good as before");
    assert_eq!(again.claims(), token.claims());
}

/// What must be true of an access token that is taken, read independently.
fn check(claims: &Value, typ: Option<&str>) {
    assert!(matches!(typ, Some("at+jwt" | "application/at+jwt")));
    assert_eq!(claims["iss"], ISSUER);
    assert!(
        claims["aud"] == AUDIENCE
            || claims["aud"].as_array().is_some_and(|all| all.contains(&AUDIENCE.into()))
    );
    for name in ["sub", "client_id", "jti"] {
        assert!(claims[name].as_str().is_some_and(|text| !text.is_empty()), "{name}");
    }
    let time = |name: &str| claims[name].as_u64().expect("a whole number of seconds");
    assert!(time("exp") + LEEWAY > NOW && time("iat") <= NOW + LEEWAY && time("exp") >= time("iat"));
    assert!(claims.get("nbf").is_none() || time("nbf") <= NOW + LEEWAY);
}
