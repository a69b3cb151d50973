//! The log has the cause of every rejection. The caller gets a fixed description.

use std::fs;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::identity::secrets::{SecretKind, generate};
use shared::jose::algorithm::Algorithm;
use shared::runtime::clock;
use shared::signing::private_key::PrivateKey;
use shared::store::clients::ClientKeys;
use shared::store::users::Users;
use test_support::events::{basic, call, form_event, http_event, status_and_body};
use test_support::proofs::{ASSERTION, Holder, assertion, jwks, key};
use test_support::{PASSWORD, Stack};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::logs::{INNER, run};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const EXCHANGE: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
const JWT: (&str, &str) = ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt");

/// Every `error_description` of these rejections.
const PUBLIC: [&str; 7] = [
    "client authentication failed",
    "invalid DPoP proof",
    "ID token rejected",
    "subject token rejected",
    "refresh token is invalid, expired or revoked; sign in again",
    "incorrect username or password",
    "missing grant_type",
];

/// Rejections: a part of the cause, the client id in the log, and the response.
#[derive(Default)]
struct Rejections(Vec<Value>);

impl Rejections {
    /// Sends a request that is rejected and records the response.
    async fn send<F>(
        &mut self,
        cause: &str,
        client_id: Option<&str>,
        mut event: Value,
        handle: impl Fn(lambda_http::Request) -> F,
    ) where
        F: Future<Output = lambda_http::Response<lambda_http::Body>>,
    {
        let id = format!("rejection-{}", self.0.len());
        event["requestContext"]["requestId"] = json!(id);
        let (status, body) = status_and_body(&call(&event, handle).await);
        self.0
            .push(json!({"id": id, "cause": cause, "client_id": client_id, "status": status, "body": body}));
    }
}

/// The process that [`every_rejection_is_logged_with_its_cause`] starts. Otherwise it does nothing.
#[tokio::test]
async fn logged_rejections() {
    if std::env::var_os(INNER).is_none() {
        return;
    }
    let stack = Stack::start().await;
    let mut rejections = Rejections::default();
    secrets(&stack, &mut rejections).await;
    assertions(&stack, &mut rejections).await;
    proofs(&stack, &mut rejections).await;
    id_tokens(&stack, &mut rejections).await;
    subject_tokens(&stack, &mut rejections).await;
    refresh_tokens(&stack, &mut rejections).await;
    passwords(&stack, &mut rejections).await;
    access_tokens(&stack, &mut rejections).await;
    fs::write(std::env::var(INNER).unwrap(), json!(rejections.0).to_string()).unwrap();
}

async fn secrets(stack: &Stack, rejections: &mut Rejections) {
    let deps = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let (right, wrong) = (stack.client("backend", "a").await, stack.client("other", "a").await);
    let off = stack.client_with("off", "a", |client| client.disabled = true).await;
    let expired =
        stack.client_with("late", "a", |client| client.secrets[0].expires_at = Some(clock::now() - 1)).await;
    let subject = "CN=app,O=Example";
    stack.client_with("tls", "a", |client| client.certificate_subject = Some(subject.to_owned())).await;
    let malformed = format!("{right}x");
    for (cause, client_id, id, secret) in [
        ("unknown client", Some("missing"), "missing", right.as_str()),
        ("unknown client", None, "no body", &right),
        ("unknown client", None, &right, &wrong),
        ("malformed client secret", None, &right, "backend"),
        ("malformed client secret", Some("backend"), "backend", &malformed),
        ("incorrect client secret", Some("backend"), "backend", &wrong),
        ("client secret has expired", Some("late"), "late", &expired),
        ("client is disabled", Some("off"), "off", &off),
    ] {
        let event = form_event("/oauth2/token", basic(id, secret), &[GRANT]);
        rejections.send(cause, client_id, event, |request| token::handle(&deps, request, clock::now())).await;
    }
    let form = [GRANT, ("client_id", "backend")];
    let mut event = form_event("/oauth2/token", json!({}), &form);
    let handle = |request| token::handle(&deps, request, clock::now());
    rejections.send("client sent no credentials", Some("backend"), event.clone(), handle).await;
    event["requestContext"]["authentication"] = json!({"clientCert": {
        "clientCertPem": "-----BEGIN CERTIFICATE-----\ndGVzdA==\n-----END CERTIFICATE-----\n", "subjectDN": "CN=evil",
        "issuerDN": "CN=CA", "serialNumber": "1", "validity": {"notBefore": "", "notAfter": ""},
    }});
    rejections.send("certificate subject", Some("backend"), event.clone(), handle).await;
    let event = form_event("/oauth2/token", json!({}), &[GRANT]);
    rejections.send("request has no client authentication", None, event, handle).await;
    // Without a private cause.
    let event = form_event("/oauth2/token", basic("backend", &right), &[("scope", "a")]);
    rejections.send("missing grant_type", None, event, handle).await;
    // The other endpoints.
    let revoke = revoke::Deps::from_settings(&stack.settings(&[])).unwrap();
    let introspect = introspect::Deps::from_settings(&stack.settings(&[])).unwrap();
    let token = stack.token("other", &wrong).await;
    let event = form_event("/oauth2/revoke", basic("backend", &wrong), &[("token", &token)]);
    let handle = |request| revoke::handle(&revoke, request, clock::now());
    rejections.send("incorrect client secret", Some("backend"), event, handle).await;
    let event = form_event("/oauth2/introspect", basic("backend", &wrong), &[("token", &token)]);
    let handle = |request| introspect::handle(&introspect, request, clock::now());
    rejections.send("incorrect client secret", Some("backend"), event, handle).await;
}

async fn assertions(stack: &Stack, rejections: &mut Rejections) {
    let deps = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let (own, others) = (key(Algorithm::Es256), key(Algorithm::Es256));
    stack.client_with("app", "a", |client| client.public_keys = Some(jwks(&own))).await;
    let empty = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(json!({"keys": [null]}));
    Mock::given(any()).respond_with(answer).mount(&empty).await;
    for (id, url) in [("dead", "http://127.0.0.1:9/jwks"), ("empty", &empty.uri())] {
        let keys = ClientKeys::Url(url.to_owned());
        stack.client_with(id, "a", |client| client.public_keys = Some(keys)).await;
    }
    let now = clock::now();
    let with = |key: &PrivateKey, name: &str, value: Value| {
        assertion(stack, key, |claims| claims[name] = value.clone())
    };
    let of =
        |id: &str| assertion(stack, &own, |claims| (claims["iss"], claims["sub"]) = (json!(id), json!(id)));
    let good = assertion(stack, &own, |_| {});
    let (input, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{input}.{}", "A".repeat(86));
    let replayed = assertion(stack, &own, |_| {});
    assert_eq!(post(&deps, &replayed).await, 200);
    let typed = own.sign("at+jwt", &json!({"iss": "app"})).unwrap();
    for (cause, client_id, assertion) in [
        ("no public key matches", Some("app"), with(&others, "x", json!(1))),
        ("signature is invalid", Some("app"), forged),
        ("claim aud", Some("app"), with(&own, "aud", json!("https://other.example"))),
        ("claim sub", Some("app"), with(&own, "sub", json!("other"))),
        ("claim exp", Some("app"), with(&own, "exp", json!(now + 90_000))),
        ("claim exp", Some("app"), with(&own, "exp", json!(null))),
        ("claim iat", Some("app"), with(&own, "iat", json!(now + 100))),
        ("claim nbf", Some("app"), with(&own, "nbf", json!(now + 100))),
        ("claim jti", Some("app"), with(&own, "jti", json!(""))),
        ("has expired", Some("app"), {
            assertion(stack, &own, |claims| {
                (claims["iat"], claims["exp"]) = (json!(now - 90), json!(now - 40));
            })
        }),
        ("claim typ", Some("app"), typed.expose_secret().to_owned()),
        ("client assertion replayed", Some("app"), replayed),
        ("unknown client", Some("missing"), of("missing")),
        ("unknown client", None, of("lk_cs_1")),
        ("unknown client", None, of("a\"b\n")),
        ("client has no public keys", Some("backend"), of("backend")),
        ("the JWKS at 127.0.0.1: ", Some("dead"), of("dead")),
        ("JWKS at 127.0.0.1 contains no usable key", Some("empty"), of("empty")),
        ("claim iss", None, with(&own, "iss", json!(null))),
        ("header parameter alg", None, "eyJhbGciOiJub25lIn0.e30.AA".to_owned()),
        ("malformed", None, "x".to_owned()),
    ] {
        let form = [GRANT, ("client_assertion_type", ASSERTION), ("client_assertion", assertion.as_str())];
        let event = form_event("/oauth2/token", json!({}), &form);
        rejections.send(cause, client_id, event, |request| token::handle(&deps, request, now)).await;
        let Value::Object(last) = rejections.0.last().unwrap() else { panic!("an object") };
        assert_eq!(last["body"]["error_description"], "client authentication failed", "{cause}");
    }
}

async fn post(deps: &token::Deps, assertion: &str) -> u64 {
    let form = [GRANT, ("client_assertion_type", ASSERTION), ("client_assertion", assertion)];
    crate::events::post_token(deps, json!({}), &form, clock::now()).await.0
}

async fn proofs(stack: &Stack, rejections: &mut Rejections) {
    let deps = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let secret = stack.client("prover", "a").await;
    let (holder, now) = (Holder::new(), clock::now());
    // The event's domain with the local stack's http.
    let url = "http://api.example.com/oauth2/token";
    let written = |header: &str, claims: Value| {
        let mut all = json!({"htm": "POST", "htu": url, "iat": now, "jti": "1"});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        holder.sign(header, &all.to_string())
    };
    let header = json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": holder.jwk()}).to_string();
    let of_another = json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": Holder::new().jwk()}).to_string();
    let used = holder.proof("POST", url, None);
    for (cause, proof) in [
        ("", used.clone()),
        ("DPoP proof replayed", used),
        ("claim htm", written(&header, json!({"htm": "GET"}))),
        ("claim htu", written(&header, json!({"htu": "http://evil.example/"}))),
        ("claim iat", written(&header, json!({"iat": now - 100}))),
        ("claim jti", written(&header, json!({"jti": 1}))),
        ("claim typ", written(&header.replace("dpop+jwt", "JWT"), json!({}))),
        ("header parameter jwk", written(r#"{"alg":"EdDSA","typ":"dpop+jwt"}"#, json!({}))),
        ("signature is invalid", written(&of_another, json!({}))),
        ("malformed", "x".to_owned()),
    ] {
        let mut headers = basic("prover", &secret);
        headers["dpop"] = json!(proof);
        let event = form_event("/oauth2/token", headers, &[GRANT]);
        let handle = |request| token::handle(&deps, request, now);
        if cause.is_empty() {
            assert_eq!(status_and_body(&call(&event, handle).await).0, 200);
            continue;
        }
        rejections.send(cause, Some("prover"), event, handle).await;
    }
}

async fn id_tokens(stack: &Stack, rejections: &mut Rejections) {
    let deps = google::Deps::from_settings(&stack.settings(&[])).unwrap();
    let now = clock::now();
    let claims = test_support::claims(&stack.id_token("ada@example.com"));
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        stack.google_key().sign("JWT", &claims).unwrap().expose_secret().to_owned()
    };
    let typed = stack.google_key().sign("at+jwt", &claims).unwrap();
    let forged = key(Algorithm::Rs256).sign("JWT", &claims).unwrap();
    for (cause, token) in [
        ("claim iss", with("iss", json!("https://evil.example"))),
        ("claim aud", with("aud", json!("theirs"))),
        ("claim azp (GOOGLE_CLIENT_IDS must list", with("azp", json!("theirs"))),
        ("claim exp", with("exp", json!(now + 86_400))),
        ("claim iat", with("iat", json!(now + 100))),
        ("claim sub", with("sub", json!(""))),
        ("claim typ", typed.expose_secret().to_owned()),
        ("no public key matches", forged.expose_secret().to_owned()),
        ("header parameter alg", Holder::new().sign(r#"{"alg":"EdDSA"}"#, &claims.to_string())),
        ("malformed", "x".to_owned()),
    ] {
        let headers = json!({"authorization": format!("Bearer {token}")});
        let event = http_event("POST", "/google", headers, None);
        rejections.send(cause, None, event, |request| google::handle(&deps, request, now)).await;
    }
}

async fn subject_tokens(stack: &Stack, rejections: &mut Rejections) {
    let (key, server, now) = (key(Algorithm::Rs256), MockServer::start().await, clock::now());
    let answer = ResponseTemplate::new(200).set_body_json(json!({"keys": [key.public_jwk()]}));
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let empty = MockServer::start().await;
    let answer =
        ResponseTemplate::new(200).set_body_json(json!({"keys": [{"kty": "RSA", "n": "AA", "e": "AQAB"}]}));
    Mock::given(any()).respond_with(answer).mount(&empty).await;
    let entry = |name: &str, url: String| {
        json!({
            "issuer": name, "jwks_url": url, "audiences": ["us"],
            "rules": [{"when": {"sub": "job"}, "client": "gone", "scopes": ["a"]}],
        })
    };
    let entries =
        json!([entry("https://ci.example", server.uri()), entry("https://empty.example", empty.uri())]);
    let deps =
        token::Deps::from_settings(&stack.settings(&[("TRUSTED_ISSUERS", &entries.to_string())])).unwrap();
    let claims =
        json!({"iss": "https://ci.example", "aud": "us", "sub": "job", "iat": now, "exp": now + 300});
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        key.sign("JWT", &claims).unwrap().expose_secret().to_owned()
    };
    for (cause, client_id, token) in [
        ("client of the claim rule is unknown", Some("gone"), with("x", json!(1))),
        ("claim aud", None, with("aud", json!("others"))),
        ("claim iss", None, with("iss", json!("https://evil.example"))),
        ("claim sub", None, with("sub", json!("stranger"))),
        ("claim exp", None, with("exp", json!(now + 100_000))),
        ("claim nbf", None, with("nbf", json!(now + 100))),
        ("has expired", None, with("exp", json!(now))),
        ("contains no usable key", None, with("iss", json!("https://empty.example"))),
    ] {
        let later = if cause == "has expired" { now + 31 } else { now };
        let event = form_event("/oauth2/token", json!({}), &[EXCHANGE, JWT, ("subject_token", &token)]);
        rejections.send(cause, client_id, event, |request| token::handle(&deps, request, later)).await;
    }
}

async fn refresh_tokens(stack: &Stack, rejections: &mut Rejections) {
    let deps = token::Deps::from_settings(&stack.settings(&[])).unwrap();
    let secret = stack.client("refresher", "a").await;
    stack.user("grace", "a").await;
    let now = clock::now();
    let token = stack.refresh_token("grace", PASSWORD).await;
    let other = stack.refresh_token("grace", PASSWORD).await;
    let (unknown, _) = generate(SecretKind::RefreshToken);
    let refresh = |token: &str, headers: Value| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        form_event("/oauth2/token", headers, &form)
    };
    let mut used = token.clone();
    for _ in 0..2 {
        let handle = |request| token::handle(&deps, request, now);
        let (status, body) = status_and_body(&call(&refresh(&used, json!({})), handle).await);
        assert_eq!(status, 200, "{body}");
        body["refresh_token"].as_str().unwrap().clone_into(&mut used);
    }
    for (cause, client_id, token, headers, now) in [
        ("malformed refresh token", None, "x", json!({}), now),
        ("unknown refresh token", None, unknown.expose_secret(), json!({}), now),
        ("issued to another client", Some("refresher"), &other, basic("refresher", &secret), now),
        ("has expired", None, &other, json!({}), now + 40 * 86_400),
        ("reuse detected", None, &token, json!({}), now),
        ("its token family was revoked", None, &used, json!({}), now),
    ] {
        let event = refresh(token, headers);
        rejections.send(cause, client_id, event, |request| token::handle(&deps, request, now)).await;
    }
    Users::new(stack.table()).set_disabled("grace", true).await.unwrap();
    let event = refresh(&other, json!({}));
    rejections
        .send("user was deleted, disabled", None, event, |request| token::handle(&deps, request, now))
        .await;
}

async fn passwords(stack: &Stack, rejections: &mut Rejections) {
    let deps = login::Deps::from_settings(&stack.settings(&[])).unwrap();
    stack.user("ada", "a").await;
    stack.user("eve", "a").await;
    Users::new(stack.table()).set_disabled("eve", true).await.unwrap();
    for (cause, username, password) in [
        ("unknown user", "CANARY-user", "CANARY-password"),
        ("incorrect password", "ada", "CANARY-password"),
        ("user is disabled", "eve", PASSWORD),
    ] {
        let event = form_event("/token", json!({}), &[("username", username), ("password", password)]);
        rejections.send(cause, None, event, |request| login::handle(&deps, request, clock::now())).await;
        assert_eq!(
            rejections.0.last().unwrap()["body"],
            json!({"error": "invalid_grant", "error_description": "incorrect username or password"})
        );
    }
}

/// Denials by the authorizer have a reason of a fixed set and a cause with details.
async fn access_tokens(stack: &Stack, rejections: &mut Rejections) {
    let deps = authorizer::Deps::from_settings(&stack.settings(&[])).unwrap();
    let strange = authorizer::Deps::from_settings(&stack.settings(&[("AUDIENCE", "other")])).unwrap();
    let secret = stack.client("caller", "a").await;
    let token = stack.token("caller", &secret).await;
    let holder = Holder::new();
    let proof = holder.proof("POST", &stack.url("/oauth2/token"), None);
    let ask = stack.post("/oauth2/token").basic_auth("caller", Some(&secret)).header("dpop", proof);
    let (_, body) = test_support::read(ask.form(&[GRANT])).await;
    let bound = body["access_token"].as_str().unwrap();
    let url = "http://api.example.com/profile";
    let used = holder.proof("GET", url, Some(bound));
    let dpop = format!("DPoP {bound}");
    for (cause, deps, authorization, proof) in [
        ("claim aud", &strange, format!("Bearer {token}"), None),
        (
            "no public key matches",
            &deps,
            format!("Bearer {}", Holder::new().sign(r#"{"alg":"EdDSA"}"#, "{}")),
            None,
        ),
        (
            "header parameter alg",
            &deps,
            format!("Bearer {}", Holder::new().sign(r#"{"alg":"HS256"}"#, "{}")),
            None,
        ),
        ("the token requires the DPoP scheme", &deps, format!("Bearer {bound}"), None),
        ("missing DPoP proof", &deps, dpop.clone(), None),
        ("claim htm", &deps, dpop.clone(), Some(holder.proof("POST", url, Some(bound)))),
        (
            "the key of the DPoP proof is not the key of the token",
            &deps,
            dpop.clone(),
            Some(Holder::new().proof("GET", url, Some(bound))),
        ),
        ("", &deps, dpop.clone(), Some(used.clone())),
        ("DPoP proof reuse detected", &deps, dpop.clone(), Some(used)),
    ] {
        let id =
            if cause.is_empty() { "allowed".to_owned() } else { format!("rejection-{}", rejections.0.len()) };
        let mut event = json!({
            "version": "2.0", "type": "REQUEST", "routeArn": "arn", "routeKey": "GET /profile", "rawPath": "/profile",
            "headers": {"authorization": authorization},
            "requestContext": {
                "requestId": id, "stage": "$default", "domainName": "api.example.com",
                "http": {"method": "GET", "path": "/profile"},
            },
        });
        if let Some(proof) = proof {
            event["headers"]["dpop"] = json!(proof);
        }
        let answer = authorizer::handle(deps, serde_json::from_value(event).unwrap(), clock::now()).await;
        let answer = serde_json::to_value(answer.unwrap()).unwrap();
        assert_eq!(answer["isAuthorized"], cause.is_empty(), "{cause}");
        if !cause.is_empty() {
            rejections.0.push(json!({"id": id, "cause": cause, "client_id": null}));
        }
    }
}

#[test]
fn every_rejection_is_logged_with_its_cause() {
    let (lines, text, rejections) = run("causes::logged_rejections");
    let rejections: Vec<Value> = serde_json::from_str(&rejections).unwrap();
    assert!(rejections.len() > 60, "{} rejections", rejections.len());
    assert!(!text.contains("CANARY"), "{text}");
    assert!(!text.contains("lk_"), "{text}");
    for rejection in rejections {
        let Some(line) = lines.iter().find(|line| line["request_id"] == rejection["id"]) else {
            panic!("no log line: {rejection}")
        };
        let (cause, wanted) =
            (line["cause"].as_str().unwrap_or_default(), rejection["cause"].as_str().unwrap());
        assert!(["refused", "denied"].contains(&line["outcome"].as_str().unwrap()), "{rejection} {line}");
        assert!(cause.contains(wanted), "{rejection} {line}");
        assert_eq!(line["client_id"], rejection["client_id"], "{rejection} {line}");
        assert!(line["sub"].as_str().is_none_or(|sub| sub.starts_with("usr_")), "{line}");
        let description = rejection["body"]["error_description"].as_str();
        assert!(description.is_none_or(|text| PUBLIC.contains(&text)), "{rejection}");
    }
}
