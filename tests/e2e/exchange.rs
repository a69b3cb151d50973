//! Token exchange with tokens in the forms that real issuers write.

use lambda_http::{Body, Request, Response};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::clients::authentication::ClientAuth;
use shared::federation::issuers::TrustedIssuers;
use shared::grants::token_exchange::Exchange;
use shared::jose::algorithm::Algorithm;
use shared::oauth::form::Form;
use shared::runtime::clock;
use shared::signing::private_key::PrivateKey;
use shared::store::clients::{Clients, GrantType, Quota};
use shared::store::identities::{Identities, LinkedAccount};
use test_support::proofs::P384;
use test_support::{Stack, claims};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::events::{basic, call, form_event, post_token};

const GRANT: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
const JWT: (&str, &str) = ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt");
const OUR_AUDIENCE: &str = "https://auth.example.com";

/// An issuer with one key and a JWKS endpoint.
struct Issuer {
    key: PrivateKey,
    server: MockServer,
}

impl Issuer {
    async fn start() -> Self {
        let key = test_support::proofs::key(Algorithm::Rs256);
        let server = MockServer::start().await;
        let jwks = json!({"keys": [key.public_jwk()]});
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(200).set_body_json(jwks))
            .mount(&server)
            .await;
        Self { key, server }
    }

    fn token(&self, claims: &Value) -> String {
        self.key.sign("JWT", claims).unwrap().expose_secret().to_owned()
    }

    /// A token function that trusts this issuer under `name` with these claim rules.
    fn trusted(&self, stack: &Stack, name: &str, rules: &Value) -> token::Deps {
        self.trusted_for(stack, name, &[OUR_AUDIENCE], rules)
    }

    /// The same with these audiences.
    fn trusted_for(&self, stack: &Stack, name: &str, audiences: &[&str], rules: &Value) -> token::Deps {
        let entry = json!([{
            "issuer": name, "jwks_url": self.server.uri(), "audiences": audiences, "rules": rules,
        }]);
        token::Deps::from_settings(&stack.settings(&[("TRUSTED_ISSUERS", &entry.to_string())])).unwrap()
    }
}

async fn exchange(deps: &token::Deps, token: &str, more: &[(&str, &str)]) -> (u64, Value) {
    let form = [&[GRANT, JWT, ("subject_token", token)], more].concat();
    post_token(deps, json!({}), &form, clock::now()).await
}

/// Exchanges a token for the client `deploy`, whose rule grants the scope `deploy`, and asserts that each of the changes
/// is rejected.
async fn exchanges_for_deploy(name: &str, when: Value, claims: Value, changes: &[(&str, Value)]) {
    let stack = Stack::start().await;
    stack.client_with("deploy", "deploy other", |client| client.secrets.clear()).await;
    let issuer = Issuer::start().await;
    let rules = json!([{"when": when, "client": "deploy", "scopes": ["deploy", "not-the-clients"]}]);
    let deps = issuer.trusted(&stack, name, &rules);
    let now = clock::now();
    let mut good = claims;
    for (name, value) in [("iss", json!(name)), ("iat", json!(now)), ("exp", json!(now + 300))] {
        good[name] = value;
    }
    let (status, body) = exchange(&deps, &issuer.token(&good), &[]).await;
    assert_eq!(
        (status, &body["scope"], &body["token_type"]),
        (200, &json!("deploy"), &json!("Bearer")),
        "{body}"
    );
    assert_eq!(body["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(body.get("refresh_token"), None);
    let ours = self::claims(body["access_token"].as_str().unwrap());
    assert_eq!((&ours["sub"], &ours["client_id"]), (&json!("deploy"), &json!("deploy")));
    for (pointer, value) in changes {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value.clone();
        let (status, body) = exchange(&deps, &issuer.token(&changed), &[]).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{pointer} {value}");
    }
}

#[tokio::test]
async fn a_github_actions_job_exchanges_its_token() {
    // docs.github.com/actions/reference/security/oidc
    let claims = json!({
        "jti": "example-id", "sub": "repo:acme/shop:environment:prod", "environment": "prod", "aud": OUR_AUDIENCE,
        "ref": "refs/heads/main", "sha": "2f1c0a", "repository": "acme/shop", "repository_owner": "acme",
        "actor_id": "12", "repository_visibility": "private", "repository_id": "74", "repository_owner_id": "65",
        "run_id": "example-run-id", "run_number": "10", "run_attempt": "2", "runner_environment": "github-hosted",
        "actor": "octocat", "workflow": "example-workflow", "head_ref": "", "base_ref": "",
        "event_name": "workflow_dispatch", "ref_type": "branch",
        "job_workflow_ref": "acme/automation/.github/workflows/oidc.yml@refs/heads/main",
    });
    let when = json!({"repository_id": "74", "repository_owner_id": "65", "ref": "refs/heads/main"});
    let changes = [
        ("/repository_id", json!("75")),
        ("/repository_owner_id", json!("66")),
        ("/ref", json!("refs/pull/1/merge")),
        ("/aud", json!("https://github.com/acme")),
        ("/iss", json!("https://token.actions.githubusercontent.com/evil")),
    ];
    exchanges_for_deploy("https://token.actions.githubusercontent.com", when, claims, &changes).await;
}

#[tokio::test]
async fn a_kubernetes_pod_exchanges_its_token() {
    // kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin
    let claims = json!({
        "aud": [OUR_AUDIENCE], "jti": "ea28ed49-2e11-4280-9ec5-bc3d1d84661a", "nbf": clock::now(),
        "kubernetes.io": {
            "namespace": "shop", "node": {"name": "node-1", "uid": "58456cb0"}, "pod": {"name": "deploy-1", "uid": "778a5a9d"},
            "serviceaccount": {"name": "deployer", "uid": "14ee3fa4"}, "warnafter": clock::now() + 200,
        },
        "sub": "system:serviceaccount:shop:deployer",
    });
    let when = json!({"sub": "system:serviceaccount:shop:deployer", "/kubernetes.io/namespace": "shop"});
    let changes = [
        ("/sub", json!("system:serviceaccount:evil:deployer")),
        ("/kubernetes.io/namespace", json!("evil")),
        ("/aud", json!(["https://kubernetes.default.svc"])),
        ("/nbf", json!(clock::now() + 100)),
    ];
    exchanges_for_deploy("https://oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE", when, claims, &changes)
        .await;
}

#[tokio::test]
async fn an_aws_workload_exchanges_its_token() {
    // docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_token_claims.html
    let claims = json!({
        "aud": OUR_AUDIENCE, "sub": "arn:aws:iam::123456789012:role/Deployer", "jti": "xyz123",
        "https://sts.amazonaws.com/": {
            "aws_account": "123456789012", "source_region": "eu-central-1", "org_id": "o-abc1234567",
            "principal_tags": {"team": "shop"},
            "lambda_source_function_arn": "arn:aws:lambda:eu-central-1:123456789012:function:deploy",
            "request_tags": {"job": "1"},
        },
    });
    let when = json!({
        "sub": "arn:aws:iam::123456789012:role/Deployer",
        "/https:~1~1sts.amazonaws.com~1/aws_account": "123456789012",
    });
    let changes = [
        ("/sub", json!("arn:aws:iam::123456789012:role/Other")),
        ("/https:~1~1sts.amazonaws.com~1/aws_account", json!("999999999999")),
        ("/aud", json!("https://other.example.com")),
    ];
    exchanges_for_deploy("https://abc123.tokens.sts.global.api.aws", when, claims, &changes).await;
}

/// The caller of AWS STS chooses RS256 or ES384.
#[tokio::test]
async fn an_aws_token_signed_with_es384_is_accepted() {
    let stack = Stack::start().await;
    stack.client_with("deploy", "deploy", |client| client.secrets.clear()).await;
    let (key, other) = (P384::new(), P384::new());
    let server = MockServer::start().await;
    let jwks = json!({"keys": [test_support::proofs::key(Algorithm::Rs256).public_jwk(), key.jwk("es")]});
    let answer = ResponseTemplate::new(200).set_body_json(jwks);
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    let (issuer, role) =
        ("https://abc123.tokens.sts.global.api.aws", "arn:aws:iam::123456789012:role/Deployer");
    let entry = json!([{
        "issuer": issuer, "jwks_url": server.uri(), "audiences": [OUR_AUDIENCE],
        "rules": [{
            "when": {"sub": role, "/https:~1~1sts.amazonaws.com~1/aws_account": "123456789012"},
            "client": "deploy", "scopes": ["deploy"],
        }],
    }]);
    let deps =
        token::Deps::from_settings(&stack.settings(&[("TRUSTED_ISSUERS", &entry.to_string())])).unwrap();
    let now = clock::now();
    let claims = json!({
        "iss": issuer, "aud": OUR_AUDIENCE, "sub": role, "iat": now, "exp": now + 300, "jti": "1",
        "https://sts.amazonaws.com/": {
            "aws_account": "123456789012", "source_region": "eu-central-1", "principal_id": role,
        },
    });
    let (status, body) = exchange(&deps, &key.sign("es", &claims), &[]).await;
    assert_eq!((status, &body["scope"]), (200, &json!("deploy")), "{body}");
    assert_eq!(exchange(&deps, &other.sign("es", &claims), &[]).await.0, 400);
}

#[tokio::test]
async fn subject_tokens_of_common_issuers_are_accepted() {
    let stack = Stack::start().await;
    stack.client("deploy", "deploy").await;
    let holder = test_support::proofs::Holder::new();
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(json!({"keys": [holder.jwk()]}));
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    let entry = json!([{
        "issuer": "https://ci.example", "jwks_url": server.uri(), "audiences": [OUR_AUDIENCE],
        "rules": [{"when": {"/env/name": "prod"}, "client": "deploy", "scopes": ["deploy"]}],
    }]);
    let deps =
        token::Deps::from_settings(&stack.settings(&[("TRUSTED_ISSUERS", &entry.to_string())])).unwrap();
    let now = clock::now();
    let rest = |times: &str, env: &str| {
        format!(r#"{{"iss":"https://ci.example","aud":"{OUR_AUDIENCE}","sub":"job",{times},"env":{env}}}"#)
    };
    let prod = r#"{"name":"prod"}"#;
    let long = |seconds: u64| format!(r#""iat":{now},"exp":{}"#, now + seconds);
    for (header, claims, status) in [
        (r#""typ":"jwt""#, rest(&long(300), prod), 200),
        (r#""typ":"application/JWT""#, rest(&long(300), prod), 200),
        (r#""typ":null,"kid":null"#, rest(&long(300), prod), 200),
        (r#""typ":"dpop+jwt""#, rest(&long(300), prod), 400),
        // A managed identity of Azure has a token for a day.
        (r#""typ":"JWT""#, rest(&long(86_700), prod), 200),
        (r#""typ":"JWT""#, rest(&long(90_000), prod), 200),
        (r#""typ":"JWT""#, rest(&long(90_001), prod), 400),
        (r#""typ":"JWT""#, rest(&format!(r#""exp":{}"#, now + 300), prod), 200),
        (r#""typ":"JWT""#, rest(&format!(r#""iat":null,"exp":{}"#, now + 300), prod), 200),
        (r#""typ":"JWT""#, rest(&format!(r#""exp":{}"#, now + 90_100), prod), 400),
        (r#""typ":"JWT""#, rest(&format!(r#""iat":{now}.5,"exp":{}.25"#, now + 300), prod), 200),
        (r#""typ":"JWT""#, rest(&format!(r#""iat":{now},"exp":{}e0"#, now + 300), prod), 400),
        (r#""typ":"JWT""#, rest(&format!(r#""iat":{now},"exp":null"#), prod), 400),
        // Parsers disagree about duplicate members.
        (r#""typ":"JWT""#, rest(&long(300), r#"{"name":"dev","name":"prod"}"#), 400),
        (r#""typ":"JWT""#, rest(&long(300), r#"{"name":"prod","n\u0061me":"dev"}"#), 400),
        (r#""typ":"JWT""#, rest(&long(300), r#"{"name":"prod","more":[{"a":1,"a":1}]}"#), 400),
        (
            r#""typ":"JWT""#,
            rest(&long(300), r#"{"$serde_json::private::RawValue":"{\"name\":\"prod\"}"}"#),
            400,
        ),
        (r#""typ":"JWT","x":{"a":1,"a":1}"#, rest(&long(300), prod), 400),
    ] {
        let token = holder.sign(&format!(r#"{{"alg":"EdDSA",{header}}}"#), &claims);
        let (found, body) = exchange(&deps, &token, &[]).await;
        assert_eq!(found, status, "{header} {claims} {body}");
    }
}

#[tokio::test]
async fn a_google_service_account_exchanges_its_token() {
    let stack = Stack::start().await;
    stack.client_with("deploy", "deploy", |client| client.secrets.clear()).await;
    let account = "deployer@shop.iam.gserviceaccount.com";
    let entry = json!([{
        "issuer": "https://accounts.google.com", "audiences": [OUR_AUDIENCE],
        "rules": [{"when": {"email": account, "email_verified": true}, "client": "deploy", "scopes": ["deploy"]}],
    }]);
    let google = stack.running.environment["GOOGLE_CLIENT_IDS"].clone();
    let settings = [("TRUSTED_ISSUERS", entry.to_string()), ("GOOGLE_CLIENT_IDS", google)];
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let deps = token::Deps::from_settings(&stack.settings(&settings)).unwrap();
    // cloud.google.com/docs/authentication/get-id-token: `azp` and `sub` are the account's own id.
    let now = clock::now();
    let token = |change: &dyn Fn(&mut Value)| {
        let mut claims = json!({
            "aud": OUR_AUDIENCE, "azp": "112010400000000710080", "email": account, "email_verified": true,
            "iss": "https://accounts.google.com", "sub": "112010400000000710080", "iat": now, "exp": now + 3600,
        });
        change(&mut claims);
        stack.google_key().sign("JWT", &claims).unwrap().expose_secret().to_owned()
    };
    let (status, body) = exchange(&deps, &token(&|_| {}), &[]).await;
    assert_eq!((status, &body["scope"]), (200, &json!("deploy")), "{body}");
    for (name, value) in [
        ("email", json!("other@shop.iam.gserviceaccount.com")),
        ("email_verified", json!(false)),
        ("aud", json!("https://other.example.com")),
        ("azp", json!("999")),
        ("exp", json!(now + 86_400)),
    ] {
        let token = token(&|claims| claims[name] = value.clone());
        assert_eq!(exchange(&deps, &token, &[]).await.0, 400, "{name} {value}");
    }
    let (status, body) = exchange(&deps, &stack.id_token("ada@example.com"), &[]).await;
    assert_eq!((status, body.get("scope")), (200, None), "user sign-in still works: {body}");
    assert!(body["refresh_token"].is_string());
}

/// A token function that trusts an issuer for the client `deploy`, and a valid token.
async fn simple() -> (Stack, Issuer, token::Deps, String) {
    let stack = Stack::start().await;
    stack.client("deploy", "deploy other").await;
    let issuer = Issuer::start().await;
    let rules = json!([
        {"when": {"sub": "job"}, "client": "deploy", "scopes": ["deploy"]},
        {"when": {"sub": "person"}, "scopes": ["read", "write"]},
        {"when": {"sub": "gone"}, "client": "missing", "scopes": ["deploy"]},
    ]);
    let audiences = [OUR_AUDIENCE, "apps=app", "apps=web", "apps=machine"];
    let deps = issuer.trusted_for(&stack, "https://ci.example", &audiences, &rules);
    let token = issuer.token(&token_of("job"));
    (stack, issuer, deps, token)
}

fn token_of(sub: &str) -> Value {
    token_for(OUR_AUDIENCE, sub)
}

fn token_for(audience: &str, sub: &str) -> Value {
    let now = clock::now();
    json!({"iss": "https://ci.example", "aud": audience, "sub": sub, "iat": now, "exp": now + 300, "email": "a@example.com"})
}

#[tokio::test]
async fn a_claim_rule_grants_no_more_than_its_client_has() {
    let (stack, issuer, deps, token) = simple().await;
    assert_eq!(exchange(&deps, &token, &[("scope", "deploy")]).await.0, 200);
    for scope in ["other", "admin", "deploy other"] {
        assert_eq!(exchange(&deps, &token, &[("scope", scope)]).await.1["error"], "invalid_scope", "{scope}");
    }
    assert_eq!(exchange(&deps, &issuer.token(&token_of("gone")), &[]).await.1["error"], "invalid_request");
    assert_eq!(
        exchange(&deps, &issuer.token(&token_of("stranger")), &[]).await.1["error"],
        "invalid_request"
    );
    Clients::new(stack.table()).set_disabled("deploy", true).await.unwrap();
    assert_eq!(exchange(&deps, &token, &[]).await.1["error"], "invalid_request", "disabled");
}

#[tokio::test]
async fn exchange_parameters_follow_rfc_8693() {
    let (_stack, _issuer, deps, token) = simple().await;
    let access_token = "urn:ietf:params:oauth:token-type:access_token";
    for (name, value, code) in [
        ("requested_token_type", access_token, None),
        ("requested_token_type", JWT.1, None),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token", Some("invalid_request")),
        ("actor_token", "x", Some("invalid_request")),
        ("resource", "latchkey", None),
        ("audience", "latchkey", None),
        ("resource", "https://other.example", Some("invalid_target")),
        ("audience", "https://other.example", Some("invalid_target")),
    ] {
        let (_, body) = exchange(&deps, &token, &[(name, value)]).await;
        assert_eq!(body["error"].as_str(), code, "{name} {value}");
        if name == "requested_token_type" && code.is_none() {
            assert_eq!(body["issued_token_type"], value, "§2.2.1");
        }
    }
    for (names, code) in [
        (["latchkey", "latchkey"], None),
        (["latchkey", "other"], Some("invalid_target")),
        (["other", "latchkey"], Some("invalid_target")),
    ] {
        for parameters in [["resource", "audience"], ["resource", "resource"], ["audience", "audience"]] {
            let targets = [(parameters[0], names[0]), (parameters[1], names[1])];
            let (_, body) = exchange(&deps, &token, &targets).await;
            assert_eq!(body["error"].as_str(), code, "{targets:?}");
        }
    }
    let ask = async |form: &[(&str, &str)]| {
        post_token(&deps, json!({}), form, clock::now()).await.1["error"].clone()
    };
    let subject = ("subject_token", token.as_str());
    assert_eq!(ask(&[GRANT, JWT]).await, "invalid_request");
    assert_eq!(ask(&[GRANT, subject]).await, "invalid_request");
    let saml = ("subject_token_type", "urn:ietf:params:oauth:token-type:saml2");
    assert_eq!(ask(&[GRANT, saml, subject]).await, "invalid_request");
}

#[tokio::test]
async fn an_exchanging_client_gets_no_more_than_it_has() {
    let (stack, issuer, deps, job) = simple().await;
    let grants = [GrantType::TokenExchange];
    let app = stack.client_with("app", "read", |client| client.grants = grants.into()).await;
    let refreshing = [GrantType::TokenExchange, GrantType::RefreshToken];
    let web = stack.client_with("web", "read", |client| client.grants = refreshing.into()).await;
    let machine = stack.client("machine", "read").await;
    let by = async |id: &str, secret: &str, token: &str| {
        let form = [GRANT, JWT, ("subject_token", token)];
        post_token(&deps, basic(id, secret), &form, clock::now()).await
    };
    let (_, alone) = exchange(&deps, &issuer.token(&token_of("person")), &[]).await;
    let person = issuer.token(&token_for("apps", "person"));
    assert_eq!((&alone["scope"], alone["refresh_token"].is_string()), (&json!("read write"), true));
    let (_, body) = by("app", &app, &person).await;
    assert_eq!((&body["scope"], body.get("refresh_token")), (&json!("read"), None));
    let (ours, theirs) =
        (claims(alone["access_token"].as_str().unwrap()), claims(body["access_token"].as_str().unwrap()));
    assert_eq!(
        (&ours["sub"], &ours["client_id"], &theirs["client_id"]),
        (&theirs["sub"], &json!("latchkey"), &json!("app"))
    );
    assert_eq!(ours.get("email"), None, "an unverified address");
    let refresh_token = by("web", &web, &person).await.1["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(is_active(&stack, &refresh_token).await, json!(true));
    Clients::new(stack.table()).set_disabled("web", true).await.unwrap();
    assert_eq!(is_active(&stack, &refresh_token).await, json!(false), "its client is disabled");
    Clients::new(stack.table()).set_disabled("web", false).await.unwrap();
    assert_eq!(by("machine", &machine, &person).await.1["error"], "unauthorized_client");
    assert_eq!(
        by("app", &app, &job).await.1["error"],
        "unauthorized_client",
        "the rule names another client"
    );
    assert_eq!(by("app", &web, &person).await.1["error"], "invalid_client");
}

/// The user that is linked to a subject of `https://ci.example`.
async fn user(stack: &Stack, subject: &str) -> Option<LinkedAccount> {
    Identities::new(stack.table()).find("https://ci.example", subject).await.unwrap()
}

#[tokio::test]
async fn omitting_client_authentication_lifts_no_limit() {
    let stack = Stack::start().await;
    let grants = [GrantType::TokenExchange];
    let ceil = stack.client_with("ceil", "a", |client| client.grants = grants.into()).await;
    let other = stack.client_with("other", "a b", |client| client.grants = grants.into()).await;
    stack.client("deploy", "deploy").await;
    let issuer = Issuer::start().await;
    let rules = json!([
        {"when": {"sub": "job"}, "client": "deploy", "scopes": ["deploy"]},
        {"scopes": ["a", "admin", "b"]},
    ]);
    let audiences = ["first-party", "app=ceil"];
    let deps = issuer.trusted_for(&stack, "https://ci.example", &audiences, &rules);
    let ask = async |headers: Value, token: &str, more: &[(&str, &str)]| {
        let form = [&[GRANT, JWT, ("subject_token", token)], more].concat();
        post_token(&deps, headers, &form, clock::now()).await
    };
    let first_party = ("client_id", "latchkey");
    for (audience, sub, headers, more) in [
        ("app", "ada", json!({}), &[][..]),
        ("app", "ada", json!({}), &[first_party]),
        ("app", "ada", basic("other", &other), &[]),
        ("first-party", "ada", basic("ceil", &ceil), &[]),
        // The first matching rule applies, and no token falls through to the next one.
        ("app", "job", json!({}), &[]),
        ("app", "job", basic("ceil", &ceil), &[]),
        ("first-party", "job", basic("ceil", &ceil), &[]),
    ] {
        let token = issuer.token(&token_for(audience, sub));
        let (status, body) = ask(headers.clone(), &token, more).await;
        assert_eq!(
            (status, &body["error"]),
            (400, &json!("unauthorized_client")),
            "{audience} {sub} {headers}"
        );
        assert_eq!(user(&stack, sub).await, None, "a rejected exchange creates no user");
    }
    let (_, body) = ask(basic("ceil", &ceil), &issuer.token(&token_for("app", "ada")), &[]).await;
    assert_eq!((&body["scope"], body.get("refresh_token")), (&json!("a"), None));
    for more in [&[][..], &[first_party]] {
        let (_, body) = ask(json!({}), &issuer.token(&token_for("first-party", "ada")), more).await;
        assert_eq!((&body["scope"], body["refresh_token"].is_string()), (&json!("a admin b"), true));
    }
    let (_, body) = ask(json!({}), &issuer.token(&token_for("first-party", "job")), &[]).await;
    assert_eq!(body["scope"], "deploy", "a client's token needs no client authentication");
}

#[tokio::test]
async fn a_rejected_exchange_creates_no_user() {
    let (stack, issuer, deps, _) = simple().await;
    let token = issuer.token(&token_of("person"));
    for (name, value) in [("scope", "admin"), ("scope", "a\"b"), ("resource", "other"), ("audience", "other")]
    {
        assert_eq!(exchange(&deps, &token, &[(name, value)]).await.0, 400, "{name} {value}");
        assert_eq!(user(&stack, "person").await, None, "{name} {value}");
    }
    assert_eq!(exchange(&deps, &token, &[]).await.0, 200);
    assert!(user(&stack, "person").await.is_some());
}

#[tokio::test]
async fn the_token_type_must_match_the_typ_header() {
    let (_stack, issuer, deps, _) = simple().await;
    let by = async |typ: &str, token_type: &str| {
        let token = issuer.key.sign(typ, &token_of("job")).unwrap();
        let token_type = format!("urn:ietf:params:oauth:token-type:{token_type}");
        let form = [GRANT, ("subject_token_type", &token_type), ("subject_token", token.expose_secret())];
        post_token(&deps, json!({}), &form, clock::now()).await.0
    };
    for (typ, token_type, expected) in [
        ("at+jwt", "access_token", 200),
        ("at+jwt", "jwt", 200),
        ("at+jwt", "id_token", 400),
        ("JWT", "access_token", 200),
        ("JWT", "jwt", 200),
        ("JWT", "id_token", 200),
        ("dpop+jwt", "access_token", 400),
        ("dpop+jwt", "jwt", 400),
    ] {
        assert_eq!(by(typ, token_type).await, expected, "{typ} as {token_type}");
    }
}

/// Whether introspection reports a token as active.
async fn is_active(stack: &Stack, token: &str) -> Value {
    let server = format!("server-{}", shared::identity::secrets::random_id(""));
    let secret = stack.client(&server, "latchkey:introspect").await;
    let asked = stack.post("/oauth2/introspect").basic_auth(server, Some(secret)).form(&[("token", token)]);
    test_support::read(asked).await.1["active"].clone()
}

#[tokio::test]
async fn an_exchanged_token_counts_against_its_clients_quota() {
    let (stack, _issuer, deps, token) = simple().await;
    let quota = Some(Quota { tokens: 1, seconds: 86_400 });
    Clients::new(stack.table()).delete("deploy").await.unwrap();
    stack.client_with("deploy", "deploy", |client| client.quota = quota).await;
    assert_eq!(exchange(&deps, &token, &[]).await.0, 200);
    assert_eq!(exchange(&deps, &token, &[]).await.0, 429);
}

#[tokio::test]
async fn access_tokens_of_ours_are_not_exchanged() {
    let stack = Stack::start().await;
    let issuer = Issuer::start().await;
    let own = "https://api.example.com";
    let entry = json!([{
        "issuer": own, "jwks_url": issuer.server.uri(), "audiences": [OUR_AUDIENCE], "rules": [{"scopes": ["read"]}],
    }]);
    let keys = ("GOOGLE_JWKS_URL", "https://keys.example.com");
    let settings = |ours| stack.settings(&[("TRUSTED_ISSUERS", &entry.to_string()), ("ISSUER", ours), keys]);
    let refused = token::Deps::from_settings(&settings(own)).err().unwrap().to_string();
    assert!(refused.contains("own issuer"), "{refused}");
    // Without `ISSUER` our issuer is the domain of the request, which no setting can be compared with.
    let settings = settings("http://localhost:1");
    let issuers = TrustedIssuers::from_settings(&settings).unwrap();
    let clients = ClientAuth::from_settings(&settings, &stack.table()).unwrap();
    let identities = Identities::new(stack.table());
    let mut claims = token_of("person");
    claims["iss"] = json!(own);
    let event =
        form_event("/oauth2/token", json!({}), &[GRANT, JWT, ("subject_token", &issuer.token(&claims))]);
    for (own_issuer, good) in [(own, false), ("https://other.example.com", true)] {
        let exchange = Exchange {
            issuers: &issuers,
            identities: &identities,
            clients: &clients,
            audiences: &[OUR_AUDIENCE.to_owned()],
            own_issuer: Some(own_issuer.into()),
        };
        let answer = call(&event, async |request: Request| {
            let mut form = Form::read(&request).unwrap();
            match exchange.exchange(None, &mut form, None, clock::now()).await {
                Ok(_) => Response::new(Body::Empty),
                Err(error) => error.into_response(),
            }
        });
        assert_eq!(answer.await["statusCode"] == 200, good, "{own_issuer}");
    }
}

#[tokio::test]
async fn an_exchange_without_the_issuers_keys_is_unavailable() {
    let (_stack, issuer, deps, token) = simple().await;
    issuer.server.reset().await;
    let (status, body) = exchange(&deps, &token, &[]).await;
    assert_eq!((status, &body["error"]), (503, &json!("temporarily_unavailable")));
}
