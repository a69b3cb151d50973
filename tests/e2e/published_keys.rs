//! Key sets in the forms that known issuers publish, for token exchange and client assertions.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::jose::algorithm::Algorithm;
use shared::runtime::clock;
use shared::signing::private_key::PrivateKey;
use shared::store::clients::ClientKeys;
use test_support::Stack;
use test_support::proofs::{ASSERTION, Holder, P384, assertion, key};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::events::post_token;

const EXCHANGE: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
const JWT: (&str, &str) = ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt");

/// Key sets with `key` in the form of each issuer, by name.
fn shapes(key: &PrivateKey) -> Vec<(&'static str, String)> {
    let (n, e, kid) =
        (key.public_jwk()["n"].clone(), key.public_jwk()["e"].clone(), key.public_jwk()["kid"].clone());
    let other = self::key(Algorithm::Rs256).public_jwk().clone();
    let with_zero = {
        let modulus = URL_SAFE_NO_PAD.decode(n.as_str().unwrap()).unwrap();
        URL_SAFE_NO_PAD.encode([&[0], modulus.as_slice()].concat())
    };
    let padded = format!("{}==", n.as_str().unwrap());
    let set = |keys: Value| json!({ "keys": keys }).to_string();
    let twice = format!(r#"{{"kty":"RSA","n":{n},"n":{n},"e":{e},"kid":"twice"}}"#);
    vec![
        (
            "google",
            set(json!([other, {"n": n, "e": e, "kid": kid, "alg": "RS256", "use": "sig", "kty": "RSA"}])),
        ),
        (
            "github",
            set(json!([
                {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "x5t": "AA", "x5c": ["MIIC"]},
                {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": n, "e": e, "x5c": ["MIIC"], "x5t": "AA"},
            ])),
        ),
        (
            "azure",
            set(json!([{
                "kty": "RSA", "use": "sig", "kid": kid, "x5t": kid, "n": n, "e": e, "x5c": ["MIIC"],
                "cloud_instance_name": "microsoftonline.com",
                "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0",
            }])),
        ),
        (
            "keycloak",
            set(json!([
                {"kid": "enc", "kty": "RSA", "alg": "RSA-OAEP", "use": "enc", "n": n, "e": e, "x5t#S256": "AA"},
                {"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": n, "e": e, "x5c": ["MIIC"]},
            ])),
        ),
        (
            "okta",
            set(json!([{"kty": "RSA", "alg": "RS256", "kid": kid, "use": "sig", "e": e, "n": n}, other])),
        ),
        (
            "kubernetes",
            set(json!([{"use": "sig", "kty": "RSA", "kid": kid, "alg": "RS256", "n": n, "e": e}])),
        ),
        (
            "aws",
            set(json!([P384::new().jwk("es"), {"kty": "RSA", "kid": kid, "alg": "RS256", "n": n, "e": e}])),
        ),
        (
            "java",
            set(json!([{
                "kty": "RSA", "n": with_zero, "e": "AAEAAQ", "kid": kid, "exp": 4_102_444_800_u64, "nbf": 0, "iat": 0,
            }])),
        ),
        (
            "dotnet",
            set(json!([{
                "alg": null, "crv": null, "d": null, "dp": null, "e": e, "k": null, "key_ops": null, "kid": kid,
                "kty": "RSA", "n": n, "oth": null, "use": null, "x": null, "x5c": null, "y": null,
            }])),
        ),
        ("by-hand", set(json!([{"kty": "RSA", "n": padded, "e": format!("{e}=").replace('"', "")}]))),
        ("without-a-name", set(json!([{"kty": "RSA", "n": n, "e": e, "kid": null}]))),
        (
            "one-name-for-two",
            set(json!([
                {"kty": "OKP", "crv": "Ed25519", "x": Holder::new().jwk()["x"], "kid": kid},
                {"kty": "RSA", "n": n, "e": e, "kid": kid},
            ])),
        ),
        (
            "broken-beside-good",
            format!(
                r#"{{"more":[],"keys":[null,1,"x",[],{{}},{{"kty":"oct","k":"AA"}},{{"kty":"AKP","pub":"AA"}},{twice},
                {{"kty":"RSA","n":"!","e":"AQAB","kid":"!"}},{{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}},
                {{"kty":"RSA","n":{n},"e":{e},"kid":{kid}}}]}}"#
            ),
        ),
        ("marked", format!("\u{feff}{}", set(json!([{"kty": "RSA", "n": n, "e": e, "kid": kid}])))),
    ]
}

#[tokio::test]
async fn key_sets_of_known_issuers_are_read() {
    let stack = Stack::start().await;
    let (key, other) = (key(Algorithm::Rs256), key(Algorithm::Rs256));
    let server = MockServer::start().await;
    let mut entries = Vec::new();
    let shapes = shapes(&key);
    for (name, set) in &shapes {
        let answer = ResponseTemplate::new(200).set_body_string(set);
        Mock::given(path(format!("/{name}"))).respond_with(answer).mount(&server).await;
        let url = format!("{}/{name}?appid=1", server.uri());
        entries.push(json!({
            "issuer": format!("https://{name}.example"), "jwks_url": url, "audiences": ["us"],
            "rules": [{"when": {"sub": "job"}, "client": name, "scopes": ["a"]}],
        }));
        stack.client_with(name, "a", |client| client.public_keys = Some(ClientKeys::Url(url))).await;
    }
    let trusted = json!(entries).to_string();
    let deps = token::Deps::from_settings(&stack.settings(&[("TRUSTED_ISSUERS", &trusted)])).unwrap();
    let now = clock::now();
    for (name, _) in &shapes {
        let claims =
            json!({"iss": format!("https://{name}.example"), "sub": "job", "aud": "us", "exp": now + 60});
        for (key, status) in [(&key, 200), (&other, 400)] {
            let token = key.sign("JWT", &claims).unwrap();
            let form = [EXCHANGE, JWT, ("subject_token", token.expose_secret())];
            let (found, body) = post_token(&deps, json!({}), &form, now).await;
            assert_eq!(found, status, "{name}: {body}");
        }
        for (key, status) in [(&key, 200), (&other, 401)] {
            let assertion = assertion(&stack, key, |claims| {
                (claims["iss"], claims["sub"]) = (json!(name), json!(name));
            });
            let form = [
                ("grant_type", "client_credentials"),
                ("client_assertion_type", ASSERTION),
                ("client_assertion", assertion.as_str()),
            ];
            let (found, body) = post_token(&deps, json!({}), &form, now).await;
            assert_eq!(found, status, "{name}: {body}");
        }
    }
}

/// The token is rejected without `Retry-After`.
#[tokio::test]
async fn a_key_set_without_a_usable_key_is_not_an_outage() {
    let stack = Stack::start().await;
    stack.client("deploy", "a").await;
    let key = key(Algorithm::Rs256);
    let server = MockServer::start().await;
    let entry = json!([{
        "issuer": "https://ci.example", "jwks_url": server.uri(), "audiences": ["us"],
        "rules": [{"when": {"sub": "job"}, "client": "deploy", "scopes": ["a"]}],
    }]);
    let deps =
        token::Deps::from_settings(&stack.settings(&[("TRUSTED_ISSUERS", &entry.to_string())])).unwrap();
    let now = clock::now();
    let token = json!({"iss": "https://ci.example", "sub": "job", "aud": "us", "exp": now + 3600});
    let token = key.sign("JWT", &token).unwrap();
    let exchange = async |now: u64| {
        let form = [EXCHANGE, JWT, ("subject_token", token.expose_secret())];
        post_token(&deps, json!({}), &form, now).await.0
    };
    let publish = async |answer: ResponseTemplate| {
        server.reset().await;
        Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
    };
    let of = |keys: Value| ResponseTemplate::new(200).set_body_json(json!({ "keys": keys }));
    publish(of(json!([{"kty": "RSA", "x5c": ["MIIC"], "kid": key.key_id()}]))).await;
    assert_eq!(exchange(now).await, 400);
    publish(ResponseTemplate::new(200).set_body_string("<html>")).await;
    assert_eq!(exchange(now + 100).await, 400);
    publish(of(json!([key.public_jwk()]))).await;
    assert_eq!(exchange(now + 200).await, 200, "a new key is found");
    publish(of(json!([]))).await;
    assert_eq!(exchange(now + 1000).await, 200, "the last usable keys keep serving");
}
