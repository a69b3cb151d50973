//! Upgrade and rollback: current code on an old table, and old code on items of current code.
//!
//! `tests/upgrade/db0866e.json` is the table of a local stack that ran commit db0866e, with every item that this
//! release can store. A change of stored items extends these tests: the new form goes into a recording of the previous
//! release, and the commands and flows that write it go into [`every_flow`]. An item, an attribute or a sort key that the
//! previous release can't read needs two releases: the first reads it, and the second writes it.

mod db0866e;
mod recorded;

use serde_json::{Value, json};
use test_support::claims;
use test_support::proofs::ASSERTION;

use self::recorded::Recorded;
use crate::events::{basic, form_event};

const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "192.0.2.7";
const CLIENT_CREDENTIALS: (&str, &str) = ("grant_type", "client_credentials");

fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}"))
}

fn bearer(token: &str) -> Value {
    json!({"authorization": format!("Bearer {token}")})
}

fn certificate() -> Value {
    json!({"clientCert": {
        "clientCertPem": "-----BEGIN CERTIFICATE-----\ndGVzdA==\n-----END CERTIFICATE-----\n",
        "subjectDN": "CN=app,O=Example", "issuerDN": "CN=CA", "serialNumber": "1",
        "validity": {"notBefore": "", "notAfter": ""},
    }})
}

async fn by_secret(table: &Recorded, id: &str, secret: &str) -> (u64, Value) {
    table.token_at(basic(id, secret), &[CLIENT_CREDENTIALS], table.now).await
}

async fn refresh(table: &Recorded, headers: Value, token: &str) -> (u64, Value) {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    table.token_at(headers, &form, table.now).await
}

async fn exchange(table: &Recorded, subject: &str) -> (u64, Value) {
    let token = table.subject_token(subject);
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", token.as_str()),
    ];
    table.token_at(json!({}), &form, table.now).await
}

#[tokio::test]
async fn recorded_users_sign_in_with_their_passwords() {
    sign_users_in(&Recorded::by_db0866e().await).await;
}

async fn sign_users_in(table: &Recorded) {
    for (name, user) in table.known["users"].as_object().unwrap() {
        let password = text(user, "password");
        if ["paused", "gone", "locked"].contains(&name.as_str()) {
            assert_eq!(table.sign_in(name, password, HERE).await.0, 401, "{name}");
            continue;
        }
        // The first sign-in may replace the hash that the second one verifies.
        for _ in 0..2 {
            let (status, body) = table.sign_in(name, password, HERE).await;
            assert_eq!(status, 200, "{name}: {body}");
            let token = claims(text(&body, "access_token"));
            assert!(user.get("sub").is_none_or(|sub| *sub == token["sub"]), "{name}");
        }
    }
    for name in ["ada", "by-bcrypt", "by-argon2-nfd"] {
        let wrong = format!("{}!", table.text(&format!("/users/{name}/password")));
        assert_eq!(table.sign_in(name, &wrong, HERE).await.0, 401, "{name}");
    }
    let old = table.text("/users/changed/old_password");
    assert_eq!(table.sign_in("changed", old, ELSEWHERE).await.0, 401);
}

#[tokio::test]
async fn recorded_lockout_holds_for_its_source_alone() {
    let table = Recorded::by_db0866e().await;
    let password = table.text("/users/locked/password");
    assert_eq!(table.sign_in("locked", password, HERE).await.0, 401);
    assert_eq!(table.sign_in("locked", password, ELSEWHERE).await.0, 200);
}

#[tokio::test]
async fn recorded_clients_get_tokens() {
    get_clients_tokens(&Recorded::by_db0866e().await).await;
}

async fn get_clients_tokens(table: &Recorded) {
    for secret in ["/clients/billing/0", "/clients/billing/1"] {
        let (status, body) = by_secret(table, "billing", table.text(secret)).await;
        assert_eq!((status, &body["scope"]), (200, &json!("todo:read todo:write")), "{body}");
        assert_eq!(body["expires_in"], 600);
        let token = claims(text(&body, "access_token"));
        assert_eq!((&token["tenant"], &token["plan"]), (&json!("acme"), &json!("gold")));
    }
    assert_eq!(by_secret(table, "resumed", table.text("/clients/resumed/0")).await.0, 200);
    for id in ["paused", "gone"] {
        assert_eq!(by_secret(table, id, table.text(&format!("/clients/{id}/0"))).await.0, 401, "{id}");
    }

    let assertion = async |assertion: &str| {
        let form =
            [CLIENT_CREDENTIALS, ("client_assertion_type", ASSERTION), ("client_assertion", assertion)];
        table.token_at(json!({}), &form, table.now).await.0
    };
    assert_eq!(assertion(&table.assertion()).await, 200);
    assert_eq!(
        assertion(table.text("/used/assertion")).await,
        401,
        "an assertion that was used before the upgrade"
    );

    let mut event = form_event("/oauth2/token", json!({}), &[CLIENT_CREDENTIALS, ("client_id", "certified")]);
    event["requestContext"]["authentication"] = certificate();
    assert_eq!(table.token_event(&event, table.now).await.0, 200);
}

#[tokio::test]
async fn recorded_quota_keeps_counting() {
    let table = Recorded::by_db0866e().await;
    let secret = table.text("/clients/limited/0");
    assert_eq!(by_secret(&table, "limited", secret).await.0, 200, "the third of three");
    assert_eq!(by_secret(&table, "limited", secret).await.0, 429);
}

#[tokio::test]
async fn recorded_api_keys_are_allowed_on_their_routes() {
    let table = Recorded::by_db0866e().await;
    for (name, key) in table.texts("/api_keys") {
        let allowed = table.allows_at(json!({"x-api-key": key}), table.now).await;
        assert_eq!(allowed, name != "revoked", "{name}");
    }
    let ending = json!({"x-api-key": table.text("/api_keys/ending")});
    assert!(!table.allows_at(ending, table.now + 90 * 86_400).await);
}

#[tokio::test]
async fn recorded_token_families_rotate() {
    rotate_families(&Recorded::by_db0866e().await).await;
}

async fn rotate_families(table: &Recorded) {
    let web = || basic("web", table.text("/clients/web/0"));
    let of_web = [("of_web", table.text("/refresh_tokens/of_web"))];
    for (name, token) in table.texts("/refresh_tokens/live").chain(of_web) {
        let headers = || if name == "of_web" { web() } else { json!({}) };
        let (status, first) = refresh(table, headers(), token).await;
        assert_eq!(status, 200, "{name}: {first}");
        let (status, second) = refresh(table, headers(), text(&first, "refresh_token")).await;
        assert_eq!(status, 200, "{name}: {second}");
        let refreshed = claims(text(&second, "access_token"));
        if let Some(before) = table.known["access_tokens"]["live"][name].as_str() {
            for name in ["iss", "sub", "sid", "aud", "client_id", "scope", "preferred_username"] {
                assert_eq!(refreshed[name], claims(before)[name], "{name}");
            }
        }
        assert!(table.allows_at(bearer(text(&second, "access_token")), table.now).await, "{name}");
    }
    let bound = table.text("/refresh_tokens/bound");
    assert_eq!(refresh(table, json!({}), bound).await.1["error"], "invalid_dpop_proof");
    let proof = json!({"dpop": table.proof("POST", "/oauth2/token", None)});
    assert_eq!(refresh(table, proof, bound).await.1["token_type"], "DPoP");
    for (name, token) in table.texts("/refresh_tokens/dead") {
        let (status, body) = refresh(table, json!({}), token).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")), "{name}");
    }
}

#[tokio::test]
async fn recorded_refresh_token_yields_its_recorded_successor_within_the_grace_period() {
    let table = Recorded::by_db0866e().await;
    let (status, body) = refresh(&table, json!({}), table.text("/refresh_tokens/rotated_before")).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["refresh_token"], table.text("/refresh_tokens/live/rotated"));
}

#[tokio::test]
async fn recorded_access_tokens_are_accepted_until_they_expire_or_were_revoked() {
    let table = Recorded::by_db0866e().await;
    for (name, token) in table.texts("/access_tokens/live") {
        assert!(table.allows_at(bearer(token), table.now).await, "{name}");
    }
    for (name, token) in table.texts("/access_tokens/dead") {
        assert!(!table.allows_at(bearer(token), table.now).await, "{name}");
    }
    let billing = || basic("billing", table.text("/clients/billing/0"));
    let live = table.introspect(billing(), table.text("/access_tokens/live/billing")).await;
    assert_eq!((&live["active"], &live["sub"]), (&json!(true), &json!("billing")));
    let inactive = json!({"active": false});
    for name in ["by_client", "by_command", "by_id", "by_revoked_key"] {
        let token = table.text(&format!("/access_tokens/dead/{name}"));
        assert_eq!(table.introspect(billing(), token).await, inactive, "{name}");
    }
}

#[tokio::test]
async fn recorded_bindings_of_access_tokens_hold() {
    let table = Recorded::by_db0866e().await;
    let token = table.text("/access_tokens/bound_to_key");
    let bound = |proof: &str| json!({"authorization": format!("DPoP {token}"), "dpop": proof});
    assert!(!table.allows_at(bearer(token), table.now).await);
    assert!(!table.allows_at(bound(table.text("/used/proof")), table.now).await);
    assert!(table.allows_at(bound(&table.proof("GET", "/profile", Some(token))), table.now).await);

    let token = table.text("/access_tokens/bound_to_certificate");
    let mut event = test_support::faults::authorized(bearer(token));
    assert!(!table.allows_event(&event, table.now).await);
    event["requestContext"]["authentication"] = certificate();
    assert!(table.allows_event(&event, table.now).await);
}

#[tokio::test]
async fn recorded_identities_lead_to_the_same_users() {
    sign_in_by_issuers(&Recorded::by_db0866e().await).await;
}

async fn sign_in_by_issuers(table: &Recorded) {
    let (status, body) = table.google("grace@example.com").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(claims(text(&body, "access_token"))["sub"], table.text("/federated/grace"));
    for email in ["paused@example.com", "gone@example.com"] {
        assert_eq!(table.google(email).await.0, 401, "{email}");
    }
    let (status, body) = exchange(table, "person-1").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(claims(text(&body, "access_token"))["sub"], table.text("/federated/person-1"));
    let (status, body) = exchange(table, "job-1").await;
    assert_eq!((status, &body["scope"]), (200, &json!("todo:write")), "{body}");
}

#[tokio::test]
async fn recorded_key_schedule_continues() {
    let table = Recorded::by_db0866e().await;
    let keys = table.stack.key_schedule().await;
    let pending = keys.iter().last().unwrap();
    let at = pending.signs_from.unwrap();
    assert!(at > table.now);
    let secret = table.text("/clients/billing/0");
    for (now, signed_by_it) in [(table.now, false), (at + 60, true)] {
        let (_, body) = table.token_at(basic("billing", secret), &[CLIENT_CREDENTIALS], now).await;
        let token = text(&body, "access_token");
        assert_eq!(key_id(token) == pending.key.kid, signed_by_it);
        assert!(table.allows_at(bearer(token), now).await);
    }
}

fn key_id(token: &str) -> String {
    let header = shared::jose::jwt::UnverifiedJwt::parse(token, usize::MAX).unwrap();
    header.key_id().unwrap().to_owned()
}

#[tokio::test]
async fn recorded_token_family_can_be_revoked() {
    let table = Recorded::by_db0866e().await;
    let token = table.text("/refresh_tokens/live/fresh");
    assert_eq!(table.revoke(token).await, 200);
    assert_eq!(refresh(&table, json!({}), token).await.1["error"], "invalid_grant");
    let access_token = bearer(table.text("/access_tokens/live/fresh"));
    assert!(!table.allows_at(access_token, table.now).await);
}

#[tokio::test]
async fn client_update_narrows_recorded_token_families_and_leaves_access_tokens() {
    let table = Recorded::by_db0866e().await;
    let web = || basic("web", table.text("/clients/web/0"));
    let access_token = table.text("/access_tokens/live/of_web");
    table.command(&["client", "update", "web", "--scope", "todo:read"], "").await;
    let (_, narrowed) = refresh(&table, web(), table.text("/refresh_tokens/of_web")).await;
    assert_eq!(narrowed["scope"], "todo:read", "{narrowed}");
    table.command(&["client", "update", "web", "--no-grant"], "").await;
    let refused = refresh(&table, web(), text(&narrowed, "refresh_token")).await;
    assert_eq!((refused.0, &refused.1["error"]), (400, &json!("unauthorized_client")));
    let elsewhere = "client update web --grant refresh_token --audience https://web.example.com";
    table.command(&elsewhere.split(' ').collect::<Vec<_>>(), "").await;
    let refused = refresh(&table, web(), text(&narrowed, "refresh_token")).await;
    assert_eq!((refused.0, &refused.1["error"]), (400, &json!("invalid_grant")));
    assert!(table.allows_at(bearer(access_token), table.now).await, "until it expires");
    let restored =
        "client update web --scope todo:read todo:write --grant refresh_token token-exchange --no-audience";
    table.command(&restored.split(' ').collect::<Vec<_>>(), "").await;
    let (_, body) = refresh(&table, web(), text(&narrowed, "refresh_token")).await;
    assert_eq!(body["scope"], "todo:read todo:write", "the token family was not ended: {body}");
}

/// Runs all current code that writes: flows on recorded items, and commands on recorded and new ones.
async fn every_flow(table: &Recorded) {
    sign_users_in(table).await;
    get_clients_tokens(table).await;
    rotate_families(table).await;
    sign_in_by_issuers(table).await;
    assert_eq!(table.google("newcomer@example.com").await.0, 200);
    assert_eq!(exchange(table, "person-1").await.0, 200);
    by_secret(table, "limited", table.text("/clients/limited/0")).await;
    let signed_in = table.sign_in("ada", table.text("/users/ada/password"), HERE).await.1;
    assert_eq!(table.revoke(text(&signed_in, "access_token")).await, 200);
    assert_eq!(table.revoke(text(&signed_in, "refresh_token")).await, 200);

    let password = "a password of today";
    for user in ["user create today --email today@example.com --scope todo:read", "user set-password ada"] {
        let args: Vec<_> = user.split(' ').collect();
        table.command(&args, password).await;
    }
    for command in [
        "client create today --scope todo:read --audience latchkey --claim tenant=acme --grant \
         client_credentials refresh_token token-exchange --quota 10/1h --token-ttl 300",
        "client create certified-today --scope todo:read --certificate-subject CN=today,O=Example",
        "client create signer-today --scope todo:read --jwks-url https://keys.example.com/today.json",
        "client update web --audience latchkey --claim plan=gold --quota 1000/1h --no-token-ttl",
        "client update signer --no-public-key --certificate-subject CN=signer --no-quota",
        "user update by-bcrypt --scope todo:read todo:write --no-email",
        "client rotate-secret web",
        "client rotate-secret today --overlap 0s",
        "client disable web",
        "client enable web",
        "client disable today",
        "client delete today --yes",
        "user unlock locked",
        "user disable ada",
        "user enable ada",
        "user disable renewed",
        "user delete today --yes",
        "api-key create --owner team-a --scope todo:read --expires 1d",
        "signing-key rotate --algorithm ES256",
    ] {
        let args: Vec<_> = command.split_whitespace().collect();
        table.command(&args, "").await;
    }
    let keys = table.command(&["api-key", "list"], "").await;
    let live = keys.as_array().unwrap().iter().find(|key| key["disabled"] == false).unwrap();
    table.command(&["api-key", "revoke", text(live, "id")], "").await;
    table.command(&["token", "revoke", table.text("/refresh_tokens/live/busy_after")], "").await;
    table.command(&["signing-key", "revoke", &active_key(table).await], "").await;
}

async fn active_key(table: &Recorded) -> String {
    let keys = table.stack.key_schedule().await;
    let now = shared::runtime::clock::now();
    keys.eligible_signers(now).next().expect("an active key").kid.clone()
}

#[tokio::test]
async fn upgrade_loses_no_item_and_the_previous_release_reads_every_new_one() {
    let table = Recorded::by_db0866e().await;
    let before = table.items().await;
    every_flow(&table).await;
    let after = table.items().await;
    let lost: Vec<_> = before.keys().filter(|key| !after.contains_key(*key)).collect();
    // `latchkey user unlock` deletes the attempts at one account.
    assert!(lost.iter().all(|(pk, _)| pk.starts_with("ATTEMPT#account#")) && lost.len() <= 1, "{lost:?}");
    let unreadable = after
        .iter()
        .filter_map(|((pk, sk), item)| Some(format!("{pk} {sk}: {}", db0866e::complaint(pk, sk, item)?)));
    assert_eq!(unreadable.collect::<Vec<_>>(), Vec::<String>::new());
    let secret = table.stack.secret().current().await.unwrap().unwrap().document;
    assert_eq!(db0866e::complaint_of_secret(&serde_json::to_string(&secret).unwrap()), None);
}
