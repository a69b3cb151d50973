//! Access tokens: `UnverifiedJwt::parse`, `verify` and the validation of claims.
//!
//! An input of two lines, header and claims, is signed with a valid key first, so that the fuzzer reaches the validation
//! of claims. Any other input is a token.

use serde_json::Value;
use shared::clients::assertion::{Assertion, audiences};
use shared::jose::jwt::{LEEWAY, UnverifiedJwt, VerifiedJwt};
use shared::trust::access_token::{Expected, MAX_ACCESS_TOKEN, VerifiedAccessToken};

use crate::NOW;
use crate::signer::{FuzzSigner, SIGNER};
use crate::text::first_line;

const ISSUER: &str = "https://auth.example.com";
const AUDIENCE: &str = "latchkey";

/// The target.
pub fn run(data: &[u8]) {
    SIGNER.with(|signer| match first_line(data) {
        (header, Some(claims)) => signed(signer, header, claims),
        (text, None) => unsigned(signer, text),
    });
}

fn verify(signer: &FuzzSigner, token: &str) -> Option<VerifiedJwt> {
    UnverifiedJwt::parse(token, MAX_ACCESS_TOKEN).ok()?.verify(&signer.public_key).ok()
}

/// A token without a valid signature is rejected, whatever its content.
fn unsigned(signer: &FuzzSigner, text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(jwt) = UnverifiedJwt::parse(text, MAX_ACCESS_TOKEN) else { return };
    assert_eq!(text.matches('.').count(), 2);
    assert!(text.len() <= MAX_ACCESS_TOKEN);
    jwt.unverified_issuer();
    assert!(jwt.verify(&signer.public_key).is_err(), "an unsigned token verifies");
}

fn signed(signer: &FuzzSigner, header: &[u8], claims: &[u8]) {
    let token = signer.token(header, claims);
    // Flips one bit at any place.
    let mut changed = token.clone().into_bytes();
    let place = token.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    changed[(place / 8) % token.len()] ^= 1 << (place % 8);
    if let Ok(changed) = String::from_utf8(changed) {
        assert!(verify(signer, &changed).is_none(), "a changed token verifies");
    }

    let Some(jwt) = verify(signer, &token) else { return };
    // The values read are the values signed.
    let parse = |bytes| serde_json::from_slice::<Value>(bytes).expect("JSON");
    let (header, claims) = (parse(header), parse(claims));
    assert_eq!(jwt.claims.clone().into_object(), claims);
    assert_eq!(jwt.typ(), header.get("typ").and_then(Value::as_str));
    assert!(header["alg"] == "EdDSA" || header["alg"] == "Ed25519");
    assert!(["crit", "b64", "zip", "cty"].iter().all(|name| header.get(*name).is_none()));

    let expected_audiences = [AUDIENCE.to_owned()];
    let expected = Expected { issuer: Some(ISSUER), audiences: Some(&expected_audiences) };
    let access_token = VerifiedAccessToken::validate(&jwt, &expected, NOW);
    let assertion = Assertion::validate(&jwt, AUDIENCE, &audiences(ISSUER, "/oauth2/token", false), NOW);
    assert!(access_token.is_err() || assertion.is_err(), "valid as access token and as assertion");
    let Ok(token) = access_token else { return };
    check(&claims, header["typ"].as_str());
    // Serialized claims parse back.
    let again =
        signer.token(br#"{"alg":"EdDSA","typ":"at+jwt"}"#, token.claims().to_json().to_string().as_bytes());
    let again = verify(signer, &again).expect("serialized claims verify");
    let again = VerifiedAccessToken::validate(&again, &expected, NOW).expect("serialized claims are valid");
    assert_eq!(again.claims(), token.claims());
}

/// Checks an accepted access token by an independent reading.
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
