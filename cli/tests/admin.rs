//! The administrator's commands: the program against a local stack.

mod stack;

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use local::Running;
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::identity::refresh_token::RefreshToken;
use shared::identity::secrets::random_id;
use shared::jose::algorithm::Algorithm;
use shared::oauth::identifiers::JWT_BEARER_ASSERTION;
use shared::runtime::aws::Aws;
use shared::runtime::clock;
use shared::signing::private_key::PrivateKey;
use shared::signing::signing_keys::SigningKeys;
use shared::signing::signing_secret::SigningSecret;
use shared::store::table::Table;
use shared::trust::store::TrustStore;
use tempfile::TempDir;
use tokio::time::sleep;

use self::stack::local_stack;

const PASSWORD: &str = "correct horse battery";
const HASH: &str = "$2b$12$abcdefghijklmnopqrstuuOcGvNgpRSKa7I8bIYwbgPnPO4dLyAaS";

struct Stack {
    running: Running,
    folder: TempDir,
    /// All output of all commands, to search for secrets.
    printed: Mutex<String>,
}

struct Answer {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Answer {
    /// The JSON document of a command that succeeded.
    fn json(&self) -> Value {
        assert_eq!((self.status, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        serde_json::from_str(&self.stdout).expect(&self.stdout)
    }

    fn text(&self) -> &str {
        assert_eq!((self.status, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        &self.stdout
    }

    /// The command failed with one line that contains these words.
    fn refused(&self, words: &str) {
        assert_eq!((self.status, self.stdout.as_str()), (Some(1), ""), "{}", self.stderr);
        assert!(self.stderr.starts_with("latchkey: ") && self.stderr.lines().count() == 1, "{}", self.stderr);
        assert!(self.stderr.contains(words), "{}", self.stderr);
    }
}

impl Stack {
    async fn start() -> Self {
        let (running, folder) = local_stack().await;
        Self { running, folder, printed: Mutex::default() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
        command.args(args).env_clear().envs(&self.running.environment).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Answer {
        self.finish(&mut self.command(args), "")
    }

    fn json(&self, args: &[&str]) -> Value {
        self.run(&[args, &["--output", "json"]].concat()).json()
    }

    fn with_input(&self, args: &[&str], input: &str) -> Answer {
        self.finish(self.command(args).stdin(Stdio::piped()), input)
    }

    fn finish(&self, command: &mut Command, input: &str) -> Answer {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if let Some(mut stdin) = child.stdin.take() {
            // A command that fails early does not read its input.
            stdin.write_all(input.as_bytes()).unwrap_or_default();
        }
        let output = child.wait_with_output().unwrap();
        let (stdout, stderr) = (output.stdout, output.stderr);
        let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
        let mut printed = self.printed.lock().unwrap();
        printed.push_str(&stdout);
        printed.push_str(&stderr);
        Answer { status: output.status.code(), stdout, stderr }
    }

    /// How often all commands together printed a text.
    fn times_printed(&self, text: &str) -> usize {
        self.printed.lock().unwrap().matches(text).count()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.url)
    }

    async fn client_token(&self, id: &str, secret: &str) -> Option<String> {
        let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        self.access_token(Client::new().post(self.url("/oauth2/token")).form(&form)).await
    }

    async fn user_token(&self, username: &str, password: &str) -> Option<String> {
        let body = json!({"username": username, "password": password});
        self.access_token(Client::new().post(self.url("/login")).json(&body)).await
    }

    async fn google_token(&self, email: &str) -> Option<String> {
        let id_token = self.run(&["google-token", "--email", email]);
        self.access_token(Client::new().post(self.url("/google")).bearer_auth(id_token.text().trim())).await
    }

    async fn access_token(&self, request: reqwest::RequestBuilder) -> Option<String> {
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        body["access_token"].as_str().map(str::to_owned)
    }

    /// A file with these public keys.
    fn write_jwks(&self, keys: &[&Value]) -> String {
        let file = self.folder.path().join("jwks.json");
        std::fs::write(&file, json!({"keys": keys}).to_string()).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// A token for the client `app`, with an assertion that this key signs.
    async fn token_by_key(&self, key: &PrivateKey) -> Option<String> {
        let (now, id, audience) = (clock::now(), random_id(""), self.url("/oauth2/token"));
        let claims =
            json!({"iss": "app", "sub": "app", "aud": audience, "iat": now, "exp": now + 60, "jti": id});
        let assertion = key.sign("JWT", &claims).unwrap();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", JWT_BEARER_ASSERTION),
            ("client_assertion", assertion.expose_secret()),
        ];
        self.access_token(Client::new().post(self.url("/oauth2/token")).form(&form)).await
    }

    /// The answer to a refresh of a first-party sign-in.
    async fn refresh(&self, token: &str) -> Value {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        Client::new().post(self.url("/oauth2/token")).form(&form).send().await.unwrap().json().await.unwrap()
    }

    async fn get(&self, path: &str, header: &str, value: &str) -> StatusCode {
        Client::new().get(self.url(path)).header(header, value).send().await.unwrap().status()
    }

    fn aws(&self) -> Aws {
        Aws::from_settings(&self.running.environment.clone().into_iter().collect()).unwrap()
    }

    fn trust(&self) -> TrustStore {
        TrustStore::new(Table::new(self.aws().dynamodb(), self.running.environment["TABLE_NAME"].as_str()))
    }

    fn inspect(&self, token: &str) -> Value {
        self.json(&["token", "inspect", token])
    }
}

fn signing_key() -> PrivateKey {
    let pkcs8 = PrivateKey::generate(Algorithm::EdDsa).unwrap();
    PrivateKey::parse(Algorithm::EdDsa, &pkcs8).unwrap()
}

fn text<'a>(document: &'a Value, name: &str) -> &'a str {
    document[name].as_str().unwrap_or_else(|| panic!("{name} in {document}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn new_client_gets_tokens_with_its_settings() {
    let stack = Stack::start().await;
    let made = stack.json(&[
        "client",
        "create",
        "billing",
        "--scope",
        "todo:write",
        "todo:read",
        "--audience",
        "https://api.example.com",
        "--token-ttl",
        "60",
        "--claim",
        "tenant=acme=1",
        "--claim",
        "plan=",
    ]);
    let secret = text(&made, "client_secret");
    assert_eq!(made, json!({"client_id": "billing", "client_secret": secret}));

    let token = stack.client_token("billing", secret).await.unwrap();
    let seen = stack.inspect(&token);
    let claims = &seen["claims"];
    assert_eq!((text(&seen, "signature"), &seen["verified"]), ("good", &json!(true)));
    assert_eq!(
        (&seen["expired"], &seen["revoked"], &seen["problem"]),
        (&json!(false), &json!(false), &Value::Null)
    );
    assert_eq!(text(claims, "aud"), "https://api.example.com");
    assert_eq!(text(claims, "scope"), "todo:read todo:write");
    assert_eq!((text(claims, "tenant"), text(claims, "plan")), ("acme=1", ""));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);

    let shown = stack.json(&["client", "show", "billing"]);
    assert_eq!(shown["scopes"], json!(["todo:read", "todo:write"]));
    assert_eq!((&shown["token_ttl"], &shown["claims"]["plan"]), (&json!(60), &json!("")));
    assert_eq!((&shown["disabled"], shown["secrets"].as_array().unwrap().len()), (&json!(false), 1));
    let listed = stack.json(&["client", "list"]);
    let row = listed.as_array().unwrap().iter().find(|row| row["client_id"] == "billing").unwrap();
    assert_eq!((&row["scopes"], &row["disabled"]), (&shown["scopes"], &json!(false)));
    assert_eq!(row["created_at"], shown["created_at"]);

    assert!(stack.run(&["client", "list"]).text().starts_with("CLIENT_ID"));
    assert!(stack.run(&["client", "show", "billing"]).text().contains("tenant=acme=1"));
    assert_eq!(stack.times_printed(secret), 1);
    assert_eq!(stack.times_printed("digest"), 0);
    let text_output = stack.run(&["client", "create", "other", "--scope", "a b"]);
    assert!(
        text_output.text().contains("client_secret  lk_cs_")
            && text_output.text().contains("Store the secret now")
    );
    // The format may precede the command.
    let other = stack.run(&["--output", "json", "client", "show", "other"]).json();
    assert_eq!(other["scopes"], json!(["a", "b"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn disabled_or_deleted_client_has_no_valid_tokens() {
    let stack = Stack::start().await;
    let create = || stack.json(&["client", "create", "billing", "--scope", "todo:read"]);
    let made = create();
    let secret = text(&made, "client_secret");
    let token = stack.client_token("billing", secret).await.unwrap();

    // `enable` for an enabled client does not revoke its tokens.
    assert_eq!(
        stack.json(&["client", "enable", "billing"]),
        json!({"client_id": "billing", "disabled": false})
    );
    assert_eq!(stack.inspect(&token)["revoked"], false);

    assert_eq!(
        stack.json(&["client", "disable", "billing"]),
        json!({"client_id": "billing", "disabled": true})
    );
    assert_eq!(stack.inspect(&token)["revoked"], true);
    assert_eq!(stack.client_token("billing", secret).await, None);
    assert_eq!(stack.json(&["client", "show", "billing"])["disabled"], true);
    assert!(stack.run(&["client", "disable", "billing"]).text().contains("is disabled"));

    stack.json(&["client", "enable", "billing"]);
    let token = stack.client_token("billing", secret).await.unwrap();
    assert_eq!(stack.inspect(&token)["revoked"], false);

    assert_eq!(
        stack.json(&["client", "delete", "billing"]),
        json!({"client_id": "billing", "deleted": true})
    );
    assert_eq!(stack.inspect(&token)["revoked"], true);
    assert_eq!(stack.client_token("billing", secret).await, None);
    stack.run(&["client", "delete", "billing", "--yes"]).refused("client billing does not exist");

    let made_again = create();
    let token = stack.client_token("billing", text(&made_again, "client_secret")).await.unwrap();
    assert_eq!(stack.inspect(&token)["revoked"], false, "a new client of an old name");
    assert_eq!(stack.client_token("billing", secret).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_client_settings_are_rejected() {
    let stack = Stack::start().await;
    let create = |args: &[&str]| stack.run(&[&["client", "create"], args].concat());
    for id in ["latchkey", "usr_1", "key_1"] {
        create(&[id, "--scope", "a"]).refused("Choose another id");
    }
    create(&["a b", "--scope", "a"]).refused("the client id is invalid");
    create(&["billing", "--scope", "a\"b"]).refused("a scope");
    create(&["billing", "--scope", "a", "--audience", "a b"]).refused("an audience is invalid");
    create(&["billing", "--scope", "a", "--token-ttl", "59"]).refused("60 to 86400");
    create(&["billing", "--scope", "a", "--claim", "sub=x"]).refused("Choose another name");
    create(&["billing", "--scope", "a", "--claim", "a=1", "a=2"]).refused("is duplicate");
    create(&["billing", "--scope", &"x".repeat(2049)]).refused("longer than 2048 bytes");
    create(&["demo-client", "--scope", "a"]).refused("client demo-client exists already");
    for command in ["show", "disable", "enable", "delete"] {
        stack.run(&["client", command, "missing"]).refused("client missing does not exist");
    }
    for usage in [
        &["client", "create", "billing"][..],
        &["client", "create", "billing", "--scope", "a", "--token-ttl", "soon"],
        &["client", "create", "billing", "--scope", "a", "--claim", "tenant"],
        &["client", "create", "billing", "--scope", "a", "--output", "yaml"],
        &["client"],
    ] {
        let answer = stack.run(usage);
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(2), ""), "{usage:?}");
    }
    stack.run(&["client", "show", "billing"]).refused("client billing does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_update_changes_only_the_given_settings() {
    let stack = Stack::start().await;
    let made = stack.json(&[
        "client",
        "create",
        "billing",
        "--scope",
        "todo:read",
        "todo:write",
        "--audience",
        "latchkey",
        "https://api.example.com",
        "--token-ttl",
        "300",
        "--claim",
        "tenant=acme",
        "--quota",
        "100/1h",
        "--grant",
        "client_credentials",
        "refresh_token",
    ]);
    let secret = text(&made, "client_secret").to_owned();
    let before = stack.client_token("billing", &secret).await.unwrap();
    let as_made = stack.json(&["client", "show", "billing"]);

    let updated =
        stack.json(&["client", "update", "billing", "--scope", "todo:read", "--claim", "plan=gold"]);
    let mut expected = as_made.clone();
    expected["scopes"] = json!(["todo:read"]);
    expected["claims"] = json!({"plan": "gold"});
    assert_eq!(updated, stack.json(&["client", "show", "billing"]));
    // The token request has set the secret's last use.
    expected["secrets"] = updated["secrets"].clone();
    assert_eq!(updated, expected);
    let claims = stack.inspect(&stack.client_token("billing", &secret).await.unwrap())["claims"].clone();
    assert_eq!((text(&claims, "scope"), text(&claims, "plan")), ("todo:read", "gold"));
    assert_eq!((claims.get("tenant"), text(&claims, "aud")), (None, "latchkey"));
    let old = stack.inspect(&before);
    assert_eq!((&old["revoked"], text(&old["claims"], "scope")), (&json!(false), "todo:read todo:write"));

    stack.json(&[
        "client",
        "update",
        "billing",
        "--audience",
        "https://api.example.com",
        "--token-ttl",
        "60",
    ]);
    let claims = stack.inspect(&stack.client_token("billing", &secret).await.unwrap())["claims"].clone();
    assert_eq!(text(&claims, "aud"), "https://api.example.com");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);

    let bare = stack.json(&[
        "client",
        "update",
        "billing",
        "--no-audience",
        "--no-token-ttl",
        "--no-claim",
        "--no-quota",
        "--no-grant",
    ]);
    assert_eq!((&bare["audiences"], &bare["claims"]), (&json!([]), &json!({})));
    assert_eq!((&bare["token_ttl"], &bare["quota"]), (&Value::Null, &Value::Null));
    assert_eq!(bare["grants"], json!(["client_credentials"]));
    assert!(stack.client_token("billing", &secret).await.is_some(), "the secret stays");
    stack.json(&["client", "update", "billing", "--quota", "1/31d"]);
    assert!(stack.client_token("billing", &secret).await.is_some());
    assert_eq!(stack.client_token("billing", &secret).await, None, "a quota counts from its update on");

    let said = stack.run(&["client", "update", "billing", "--no-quota"]);
    assert!(
        said.text().contains("Access tokens already issued don't change") && said.text().contains("disable")
    );
    assert_eq!(stack.times_printed("digest"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_update_keeps_disabled_state_and_secrets() {
    let stack = Stack::start().await;
    let secret =
        text(&stack.json(&["client", "create", "billing", "--scope", "a"]), "client_secret").to_owned();
    let other = text(&stack.json(&["client", "rotate-secret", "billing"]), "client_secret").to_owned();
    stack.json(&["client", "disable", "billing"]);
    let updated = stack.json(&["client", "update", "billing", "--scope", "a b"]);
    assert_eq!((&updated["disabled"], updated["secrets"].as_array().unwrap().len()), (&json!(true), 2));
    assert_eq!(stack.client_token("billing", &secret).await, None);
    stack.json(&["client", "enable", "billing"]);
    for secret in [secret, other] {
        assert!(stack.client_token("billing", &secret).await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_client_update_changes_nothing() {
    let stack = Stack::start().await;
    stack.json(&["client", "create", "billing", "--scope", "a"]);
    let before = stack.json(&["client", "show", "billing"]);
    let update = |args: &[&str]| stack.run(&[&["client", "update", "billing"], args].concat());
    update(&["--scope", "a,b"]).refused("Separate scopes by spaces");
    update(&["--audience", "a,b"]).refused("Separate audiences by spaces");
    update(&["--claim", "sub=x", "--scope", "b"]).refused("Choose another name");
    update(&["--token-ttl", "59", "--scope", "b"]).refused("60 to 86400");
    update(&["--certificate-subject", "app", "--scope", "b"]).refused("distinguished name");
    update(&["--public-key", "/nowhere/jwks.json", "--scope", "b"]).refused("can't read /nowhere/jwks.json");
    stack.run(&["client", "update", "missing", "--scope", "a"]).refused("client missing does not exist");
    for usage in [
        &[][..],
        &["--quota", "10/1h", "--no-quota"],
        &["--audience", "a", "--no-audience"],
        &["--jwks-url", "https://a.example/jwks", "--no-public-key"],
        &["--grant", "client_credentials,refresh_token"],
        &["--no-secret"],
    ] {
        assert_eq!(update(usage).status, Some(2), "{usage:?}");
    }
    assert_eq!(stack.json(&["client", "show", "billing"]), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn user_update_applies_from_the_next_refresh_or_sign_in() {
    let stack = Stack::start().await;
    stack.with_input(&["user", "create", "ada", "--scope", "todo:read", "todo:write"], PASSWORD).text();
    let sign_in = async || -> Value {
        let body = json!({"username": "ada", "password": PASSWORD});
        Client::new().post(stack.url("/login")).json(&body).send().await.unwrap().json().await.unwrap()
    };
    let signed_in = sign_in().await;
    let access_token = text(&signed_in, "access_token");

    let updated =
        stack.json(&["user", "update", "ADA", "--scope", "todo:read", "--email", "ada@example.com"]);
    assert_eq!((text(&updated, "username"), text(&updated, "email")), ("ada", "ada@example.com"));
    assert_eq!((&updated["scopes"], &updated["has_password"]), (&json!(["todo:read"]), &json!(true)));
    let old = stack.inspect(access_token);
    assert_eq!((&old["revoked"], text(&old["claims"], "scope")), (&json!(false), "todo:read todo:write"));
    let refreshed = stack.refresh(text(&signed_in, "refresh_token")).await;
    assert_eq!(text(&refreshed, "scope"), "todo:read", "a refresh gives fewer scopes");
    let claims = stack.inspect(&stack.user_token("ada", PASSWORD).await.unwrap())["claims"].clone();
    assert_eq!((text(&claims, "scope"), text(&claims, "email")), ("todo:read", "ada@example.com"));

    stack.json(&["user", "update", "ada", "--scope", "todo:read", "todo:write", "admin"]);
    let again = stack.refresh(text(&refreshed, "refresh_token")).await;
    assert_eq!(text(&again, "scope"), "todo:read todo:write", "never more than the sign-in had");
    assert_eq!(text(&sign_in().await, "scope"), "admin todo:read todo:write");

    let bare = stack.json(&["user", "update", "ada", "--no-scope", "--no-email"]);
    assert_eq!((&bare["scopes"], &bare["email"]), (&json!([]), &Value::Null));
    let claims = stack.inspect(&stack.user_token("ada", PASSWORD).await.unwrap())["claims"].clone();
    assert_eq!(claims.get("email"), None);
    assert!(
        stack.run(&["user", "update", "ada", "--no-email"]).text().contains("Access tokens already issued")
    );

    // Revokes earlier tokens, as the help says.
    stack.json(&["user", "disable", "ada"]);
    stack.json(&["user", "enable", "ada"]);
    assert_eq!(stack.refresh(text(&again, "refresh_token")).await["error"], "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_user_update_changes_nothing() {
    let stack = Stack::start().await;
    stack.with_input(&["user", "create", "ada", "--scope", "a"], PASSWORD).text();
    let update = |args: &[&str]| stack.run(&[&["user", "update"], args].concat());
    update(&["ada", "--email", "ada", "--scope", "b"]).refused("NAME@DOMAIN");
    update(&["ada", "--scope", "a,b"]).refused("Separate scopes by spaces");
    update(&["missing", "--scope", "a"]).refused("user missing does not exist");
    for usage in
        [&["ada"][..], &["ada", "--email", "a@b", "--no-email"], &["ada", "--scope", "a", "--no-scope"]]
    {
        assert_eq!(update(usage).status, Some(2), "{usage:?}");
    }
    assert_eq!(stack.json(&["user", "show", "ada"])["scopes"], json!(["a"]));

    let token = stack.google_token("grace@example.com").await.unwrap();
    let sub = text(&stack.inspect(&token)["claims"], "sub").to_owned();
    update(&[&sub, "--scope", "admin"]).refused("Change the parameter GoogleScopes or TrustedIssuers");
    update(&[&sub, "--email", "other@example.com"]).refused("signs in at another issuer");
}

#[tokio::test(flavor = "multi_thread")]
async fn scope_with_a_comma_is_rejected_with_the_remedy() {
    let stack = Stack::start().await;
    for command in [
        &["client", "create", "billing", "--scope", "todo:read,todo:write"][..],
        &["api-key", "create", "--owner", "team", "--scope", "todo:read,todo:write"],
        &["user", "create", "ada", "--scope", "todo:read,todo:write"],
    ] {
        stack.with_input(command, PASSWORD).refused("--scope todo:read todo:write");
    }
    let file = stack.folder.path().join("users.jsonl");
    let line = json!({"username": "ada", "password_hash": HASH, "scopes": ["todo:read,todo:write"]});
    std::fs::write(&file, line.to_string()).unwrap();
    let answer = stack.run(&["user", "import", file.to_str().unwrap()]);
    assert!(
        answer.status == Some(1) && answer.stdout.contains("Separate scopes by spaces"),
        "{}",
        answer.stdout
    );
    stack
        .run(&["client", "create", "billing", "--scope", "a", "--audience", "latchkey,other"])
        .refused("Separate audiences by spaces");
    stack.run(&["client", "show", "billing"]).refused("client billing does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn copied_token_may_have_quotes_scheme_and_line_ends() {
    let stack = Stack::start().await;
    let secret =
        text(&stack.json(&["client", "create", "billing", "--scope", "a"]), "client_secret").to_owned();
    let token = stack.client_token("billing", &secret).await.unwrap();
    let jti = text(&stack.inspect(&token)["claims"], "jti").to_owned();
    for copied in [
        format!("Bearer {token}"),
        format!("'{token}'"),
        format!("\"{token}\""),
        format!("Authorization: Bearer {token}\r\n"),
        format!("Bearer {}\n{}", &token[..70], &token[70..]),
    ] {
        assert_eq!(stack.inspect(&copied)["claims"]["jti"], jti.as_str(), "{copied}");
        let by_input = stack.with_input(&["token", "inspect", "-", "--output", "json"], &copied).json();
        assert_eq!(by_input["verified"], true);
    }
    let revoked = stack.json(&["token", "revoke", &format!("'Bearer {token}'")]);
    assert_eq!(revoked, json!({"jti": jti, "revoked": true}));
    stack.with_input(&["user", "create", "ada"], PASSWORD).text();
    let body = json!({"username": "ada", "password": PASSWORD});
    let signed_in = Client::new().post(stack.url("/login")).json(&body).send().await.unwrap();
    let signed_in: Value = signed_in.json().await.unwrap();
    let refresh_token = text(&signed_in, "refresh_token");
    assert_eq!(stack.json(&["token", "revoke", &format!("\"{refresh_token}\"")])["revoked"], true);
    assert_eq!(stack.refresh(refresh_token).await["error"], "invalid_grant");
    stack.run(&["token", "inspect", "Bearer"]).refused("not a JSON Web Token");
}

#[tokio::test(flavor = "multi_thread")]
async fn owner_of_an_api_key_reaches_the_back_end_unchanged() {
    let stack = Stack::start().await;
    for owner in ["ada@example.com", "Équipe bleue \"A\""] {
        let made = stack.json(&["api-key", "create", "--owner", owner, "--scope", "todo:read"]);
        let request = Client::new().get(stack.url("/users")).header("x-api-key", text(&made, "api_key"));
        let seen: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!((text(&seen, "owner"), &seen["sub"]), (owner, &made["id"]));
        assert!(stack.run(&["api-key", "list"]).text().contains(owner));
    }
    for owner in ["a\nb", " a", "usr_1", &"x".repeat(129)] {
        stack.run(&["api-key", "create", "--owner", owner, "--scope", "a"]).refused("the owner is invalid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_signs_in_until_disabled_or_deleted() {
    let stack = Stack::start().await;
    let create =
        ["user", "create", "Ada", "--email", "ada@example.com", "--scope", "todo:read", "--output", "json"];
    let made = stack.with_input(&create, &format!("{PASSWORD}\n")).json();
    let sub = text(&made, "sub").to_owned();
    assert_eq!(made, json!({"username": "Ada", "sub": sub}));
    assert!(sub.starts_with("usr_"));

    let token = stack.user_token("ada", PASSWORD).await.unwrap();
    let claims = &stack.inspect(&token)["claims"];
    assert_eq!((text(claims, "sub"), text(claims, "scope")), (sub.as_str(), "todo:read"));
    assert_eq!((text(claims, "email"), text(claims, "preferred_username")), ("ada@example.com", "Ada"));

    let shown = stack.json(&["user", "show", "ADA"]);
    assert_eq!((text(&shown, "username"), text(&shown, "sub")), ("Ada", sub.as_str()));
    assert_eq!(stack.json(&["user", "show", " ada "]), shown);
    assert_eq!((&shown["has_password"], &shown["disabled"]), (&json!(true), &json!(false)));
    let listed = stack.json(&["user", "list"]);
    let row = listed.as_array().unwrap().iter().find(|row| row["username"] == "Ada").unwrap();
    assert_eq!((&row["scopes"], &row["email"]), (&json!(["todo:read"]), &json!("ada@example.com")));
    assert_eq!((&row["disabled"], &row["created_at"]), (&json!(false), &shown["created_at"]));
    assert!(stack.run(&["user", "list"]).text().contains("ada@example.com"));

    let other = "another good password";
    let changed = stack.with_input(&["user", "set-password", "ada"], &format!("{other}\r\n"));
    assert_eq!(changed.text(), "User Ada has a new password. Their tokens are revoked.\n");
    assert_eq!(stack.user_token("ada", PASSWORD).await, None);
    let token = stack.user_token("ada", other).await.unwrap();

    let disabled = stack.json(&["user", "disable", "ada"]);
    assert_eq!(disabled, json!({"username": "Ada", "sub": sub, "disabled": true}));
    assert_eq!(stack.inspect(&token)["revoked"], true);
    assert_eq!(stack.user_token("ada", other).await, None);
    stack.json(&["user", "enable", "ada"]);
    let token = stack.user_token("ada", other).await.unwrap();
    assert_eq!(stack.inspect(&token)["revoked"], false);

    let deleted = stack.json(&["user", "delete", "ada"]);
    assert_eq!(deleted, json!({"username": "Ada", "sub": sub, "deleted": true}));
    assert_eq!(stack.inspect(&token)["revoked"], true);
    assert_eq!(stack.user_token("ada", other).await, None);
    assert_eq!(
        stack.times_printed(PASSWORD) + stack.times_printed(other) + stack.times_printed("$argon2"),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn byte_order_mark_is_not_part_of_the_password() {
    let stack = Stack::start().await;
    stack.with_input(&["user", "create", "ada"], &format!("\u{feff}{PASSWORD}\r\n")).text();
    assert!(stack.user_token("ada", PASSWORD).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_user_settings_are_rejected() {
    let stack = Stack::start().await;
    let create = |args: &[&str], input: &str| stack.with_input(&[&["user", "create"], args].concat(), input);
    create(&["usr_1"], PASSWORD).refused("the username is invalid");
    create(&[" ada"], PASSWORD).refused("the username is invalid");
    create(&["ada", "--email", "ada"], PASSWORD).refused("NAME@DOMAIN");
    create(&["ada", "--scope", "é"], PASSWORD).refused("a scope");
    create(&["ada"], "").refused("standard input has no password");
    create(&["ada"], "seven77").refused("fewer than 8 characters. Choose another password");
    create(&["ada"], "password123").refused("password is too common");
    create(&["ada"], "correct\0horse").refused("NUL character. Choose another password");
    create(&["DEMO"], PASSWORD).refused("user DEMO exists already");
    stack.with_input(&["user", "set-password", "demo"], "short").refused("fewer than 8 characters");
    stack.with_input(&["user", "set-password", "missing"], PASSWORD).refused("user missing does not exist");
    for command in ["show", "disable", "enable", "delete"] {
        stack.run(&["user", command, "missing"]).refused("user missing does not exist");
    }
    assert_eq!(stack.run(&["user", "create", "ada", "--password", PASSWORD]).status, Some(2));
    assert!(stack.user_token("ada", PASSWORD).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn federated_user_has_no_password() {
    let stack = Stack::start().await;
    let token = stack.google_token("grace@example.com").await.unwrap();
    let sub = text(&stack.inspect(&token)["claims"], "sub").to_owned();
    let shown = stack.json(&["user", "show", &sub]);
    assert_eq!((text(&shown, "username"), &shown["has_password"]), (sub.as_str(), &json!(false)));
    stack.with_input(&["user", "set-password", &sub], PASSWORD).refused("has no password");

    stack.json(&["user", "disable", &sub]);
    assert_eq!(stack.inspect(&token)["revoked"], true);
    assert_eq!(stack.google_token("grace@example.com").await, None);
    stack.json(&["user", "enable", &sub]);
    assert!(stack.google_token("grace@example.com").await.is_some());
    stack.json(&["user", "delete", &sub]);
    assert_eq!(stack.google_token("grace@example.com").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn api_key_is_accepted_until_it_is_revoked() {
    let stack = Stack::start().await;
    let create = |args: &[&str]| stack.json(&[&["api-key", "create", "--owner", "team"], args].concat());
    let good = create(&["--scope", "todo:read", "--expires", "90d"]);
    let revoked = create(&["--scope", "todo:read"]);
    let (id, key) = (text(&good, "id"), text(&good, "api_key"));
    assert_eq!(good, json!({"id": id, "api_key": key}));
    assert_eq!(stack.get("/users", "x-api-key", key).await, 200);

    let revoked_id = text(&revoked, "id");
    assert_eq!(stack.json(&["api-key", "revoke", revoked_id]), json!({"id": revoked_id, "disabled": true}));
    // An authorizer that has cached the key reads the revocation from the trust snapshot.
    let snapshot = stack.trust().snapshot(clock::now()).await.unwrap();
    assert!(snapshot.is_revoked_for(revoked_id, u64::MAX - 1) && !snapshot.is_revoked_for(id, 0));
    assert_eq!(stack.get("/users", "x-api-key", text(&revoked, "api_key")).await, 403);

    let listed = stack.json(&["api-key", "list"]);
    let row = |id: &str| listed.as_array().unwrap().iter().find(|row| row["id"] == id).unwrap().clone();
    let (good_row, revoked_row) = (row(id), row(revoked_id));
    assert_eq!((text(&good_row, "owner"), &good_row["scopes"]), ("team", &json!(["todo:read"])));
    let life = good_row["expires_at"].as_u64().unwrap() - good_row["created_at"].as_u64().unwrap();
    assert_eq!((life, &good_row["disabled"]), (90 * 86_400, &json!(false)));
    assert_eq!((&revoked_row["expires_at"], &revoked_row["disabled"]), (&Value::Null, &json!(true)));
    assert!(stack.run(&["api-key", "list"]).text().contains("revoked"));

    stack.run(&["api-key", "revoke", "key_0"]).refused("API key key_0 does not exist");
    stack.run(&["api-key", "revoke", "demo-client"]).refused("API key demo-client does not exist");
    let snapshot = stack.trust().snapshot(clock::now()).await.unwrap();
    assert!(
        !snapshot.is_revoked_for("demo-client", 0),
        "an API key's id and a client's share the name space of subjects"
    );
    stack.run(&["api-key", "revoke", key]).refused("the input is an API key, not an API key id");
    stack.run(&["api-key", "create", "--owner", "usr_1", "--scope", "a"]).refused("the owner is invalid");
    stack.run(&["api-key", "create", "--owner", "team", "--scope", "é"]).refused("a scope");
    stack
        .run(&["api-key", "create", "--owner", "team", "--scope", "a", "--expires", "0s"])
        .refused("Give a longer time");
    assert_eq!(stack.run(&["api-key", "create", "--owner", "team"]).status, Some(2));
    assert_eq!(
        stack.run(&["api-key", "create", "--owner", "a", "--scope", "a", "--expires", "soon"]).status,
        Some(2)
    );
    assert_eq!((stack.times_printed(key), stack.times_printed(text(&revoked, "api_key"))), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn new_signing_key_is_published_before_it_is_active() {
    let stack = Stack::start().await;
    let keys = |document: &Value| document["keys"].as_array().unwrap().clone();
    let before = keys(&stack.json(&["signing-key", "status"]));
    assert_eq!(before.len(), 1, "`latchkey dev` creates the first");
    assert_eq!((text(&before[0], "state"), &before[0]["retires_at"]), ("signing", &Value::Null));
    assert_eq!(text(&before[0], "algorithm"), "RS256");

    let rotated = keys(&stack.json(&["signing-key", "rotate"]));
    let (old, new) = (&rotated[0], &rotated[1]);
    assert_eq!((old["kid"].clone(), text(old, "state")), (before[0]["kid"].clone(), "signing"));
    assert_eq!((text(new, "algorithm"), text(new, "state")), ("RS256", "upcoming"));
    let lead = new["signs_from"].as_u64().unwrap() - new["published_at"].as_u64().unwrap();
    assert!(lead > 2 * 3600 + 300, "{lead} s are shorter than the caches");
    assert!(old["retires_at"].as_u64().unwrap() >= new["signs_from"].as_u64().unwrap() + 86_400);

    let at_once = ["signing-key", "rotate", "--lead", "0s", "--algorithm", "ES256", "--output", "json"];
    let hurried = stack.run(&at_once);
    assert_eq!(hurried.status, Some(0));
    assert!(hurried.stderr.starts_with("latchkey: warning: ") && hurried.stderr.lines().count() == 1);
    let hurried = keys(&serde_json::from_str(&hurried.stdout).unwrap());
    let states: Vec<_> = hurried.iter().map(|key| text(key, "state")).collect();
    assert_eq!(states, ["retiring", "retiring", "signing"], "the one in the middle was overtaken");
    assert_eq!(keys(&stack.json(&["signing-key", "status"])), hurried);

    assert!(stack.run(&["signing-key", "status"]).text().starts_with("KID"));
    assert_eq!(stack.run(&["signing-key", "rotate", "--algorithm", "HS256"]).status, Some(2));
    assert_eq!(stack.run(&["signing-key", "rotate", "--lead", "-1s"]).status, Some(2));
    assert_eq!(stack.times_printed("pkcs8"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_signing_key_is_replaced_by_an_active_one() {
    let stack = Stack::start().await;
    let keys = |document: &Value| document["keys"].as_array().unwrap().clone();
    let states = |keys: &[Value]| keys.iter().map(|key| text(key, "state").to_owned()).collect::<Vec<_>>();
    let client = ["DEMO_CLIENT_ID", "DEMO_CLIENT_SECRET"].map(|name| stack.running.environment[name].clone());
    let leaked = text(&keys(&stack.json(&["signing-key", "status"]))[0], "kid").to_owned();

    let unknown = stack.run(&["signing-key", "revoke", "-b_is_how_a_key_id_may_begin"]);
    assert!(unknown.stderr.contains("no signing key in use has this id"), "{}", unknown.stderr);

    let revoke = |kid: &str| {
        let outcome = stack.run(&["signing-key", "revoke", kid, "--output", "json"]);
        assert!(
            outcome.stderr.contains("warning: the active key was published a short while ago"),
            "{}",
            outcome.stderr
        );
        keys(&serde_json::from_str(&outcome.stdout).unwrap())
    };
    let after = revoke(&leaked);
    assert_eq!(states(&after), ["revoked", "signing", "upcoming"], "the next key is published at once");
    assert_eq!(text(&after[0], "kid"), leaked);
    stack.run(&["signing-key", "revoke", &leaked]).refused("no signing key in use has this id");
    stack.run(&["signing-key", "revoke", "nothing"]).refused("`latchkey signing-key status` lists the keys");
    assert!(stack.client_token(&client[0], &client[1]).await.is_some(), "there is another to sign with");

    // The pending key becomes active.
    let after = revoke(text(&after[1], "kid"));
    assert_eq!(states(&after), ["revoked", "revoked", "signing", "upcoming"]);
    let shown = stack.run(&["signing-key", "status"]).text().to_owned();
    assert!(shown.contains("  active  ") && shown.contains("  revoked  "), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_with_a_missing_secret_keeps_the_published_keys() {
    let stack = Stack::start().await;
    let jwks =
        async || Client::new().get(stack.url("/.well-known/jwks.json")).send().await.unwrap().text().await;
    stack.run(&["signing-key", "rotate", "--signing-secret", "other"]).refused("Check SIGNING_SECRET_ID");
    let client = ["DEMO_CLIENT_ID", "DEMO_CLIENT_SECRET"].map(|name| stack.running.environment[name].clone());
    let token = stack.client_token(&client[0], &client[1]).await.unwrap();
    assert_eq!(text(&stack.inspect(&token), "signature"), "good");
    let kid = text(&stack.inspect(&token)["header"], "kid").to_owned();
    assert!(jwks().await.unwrap().contains(&kid));
}

#[tokio::test(flavor = "multi_thread")]
async fn token_inspect_verifies_the_signature() {
    let stack = Stack::start().await;
    let client = ["DEMO_CLIENT_ID", "DEMO_CLIENT_SECRET"].map(|name| stack.running.environment[name].clone());
    let token = stack.client_token(&client[0], &client[1]).await.unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();

    let text_output = stack.run(&["token", "inspect", &token]);
    assert!(text_output.text().contains("good, verified with a published key"), "{}", text_output.stdout);
    assert_eq!(stack.times_printed(signature), 0, "the printed text can't be used as a token");
    let piped = stack.with_input(&["token", "inspect", "-", "--output", "json"], &format!(" {token}\n"));
    assert_eq!(piped.json()["verified"], true);

    // In the middle of the signature, because the last character has unused bits.
    let flipped = if &signature[100..101] == "A" { "B" } else { "A" };
    let forged = format!("{signed}.{}{flipped}{}", &signature[..100], &signature[101..]);
    let seen = stack.inspect(&forged);
    assert_eq!(
        (text(&seen, "signature"), &seen["verified"], &seen["revoked"]),
        ("bad", &json!(false), &Value::Null)
    );
    assert!(stack.run(&["token", "inspect", &forged]).text().contains("the token may be forged"));

    let googles =
        stack.run(&["google-token", "--email", "a@example.com", "--expired"]).text().trim().to_owned();
    let seen = stack.inspect(&googles);
    assert_eq!((text(&seen, "signature"), &seen["expired"]), ("unknown_key", &json!(true)));

    // Without a table, the token is decoded and not verified.
    for (variable, value) in
        [("TABLE_NAME", ""), ("TABLE_NAME", "other"), ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")]
    {
        let args = ["token", "inspect", &token, "--output", "json"];
        let seen = stack.finish(stack.command(&args).env(variable, value), "").json();
        assert_eq!(
            (text(&seen, "signature"), &seen["verified"]),
            ("not_checked", &json!(false)),
            "{variable}"
        );
        assert_eq!(text(&seen["claims"], "sub"), "demo-client");
        assert!(!text(&seen, "problem").is_empty());
    }
    for bad in ["", "canary", "e30.e30", "e30.e30.e30.e30"] {
        stack.run(&["token", "inspect", bad]).refused("the input is not a JSON Web Token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn import_writes_valid_lines_and_reports_failed_ones() {
    let stack = Stack::start().await;
    let line = |name: &str, hash: &str| json!({"username": name, "password_hash": hash}).to_string();
    let many: Vec<_> = (0..100).map(|number| line(&format!("user-{number}"), HASH)).collect();
    let ada = json!({"username": "ada", "password_hash": HASH, "email": "ada@example.com", "scopes": ["todo:read"]});
    let lines =
        [ada.to_string(), String::new(), line("grace", "canary"), line("DEMO", HASH), line("ADA", HASH)];
    let file = stack.folder.path().join("users.jsonl");
    std::fs::write(&file, [&lines[..], &many[..]].concat().join("\n")).unwrap();
    let path = file.to_str().unwrap();

    let import = ["user", "import", path, "--output", "json"];
    let first = stack.run(&import);
    assert_eq!(first.status, Some(1));
    assert_eq!(first.stderr, "latchkey: 1 line failed. Fix it and import again\n");
    let done: Value = serde_json::from_str(&first.stdout).unwrap();
    let reason = text(&done["failed"][0], "reason").to_owned();
    assert_eq!(done, json!({"imported": 101, "skipped": 2, "failed": [{"line": 3, "reason": reason}]}));
    assert!(reason.contains("neither bcrypt"));
    let shown = stack.json(&["user", "show", "ada"]);
    assert_eq!((&shown["email"], &shown["scopes"]), (&json!("ada@example.com"), &json!(["todo:read"])));

    std::fs::write(&file, lines.join("\n").replace("canary", HASH)).unwrap();
    assert_eq!(stack.run(&import).json(), json!({"imported": 1, "skipped": 3, "failed": []}));
    let piped = stack.with_input(&["user", "import", "-"], &line("linus", HASH));
    assert_eq!(piped.text(), "1 imported, 0 skipped, 0 failed\n");
    let bad = stack.with_input(&["user", "import", "-"], "{}\n[]\n");
    assert_eq!((bad.status, bad.stdout.lines().count()), (Some(1), 3));

    stack.run(&["user", "import", "nothing.jsonl"]).refused("can't read nothing.jsonl");
    let unreachable = &mut stack.command(&["user", "import", path]);
    let stopped = stack.finish(unreachable.env("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"), "");
    stopped.refused("stopped after 0 new users. Run it again to continue. Cause: can't reach DynamoDB");
    assert_eq!(stack.times_printed("canary") + stack.times_printed("$2b$12"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn error_names_the_missing_store_and_the_remedy() {
    let stack = Stack::start().await;
    let refused = |args: &[&str], variable: &str, value: Option<&str>, words: &str| {
        let mut command = stack.command(args);
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
        stack.finish(&mut command, "").refused(words);
    };
    let list = ["client", "list"];
    refused(&list, "TABLE_NAME", None, "TABLE_NAME is not set");
    refused(&list, "TABLE_NAME", Some(""), "TABLE_NAME is not set");
    refused(&list, "TABLE_NAME", Some("other"), "Check TABLE_NAME");
    refused(&["signing-key", "status"], "SIGNING_SECRET_ID", None, "SIGNING_SECRET_ID is not set");
    refused(&["signing-key", "status"], "SIGNING_SECRET_ID", Some("other"), "Check SIGNING_SECRET_ID");
    // A port without a listener.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = format!("http://127.0.0.1:{port}");
    refused(&list, "AWS_ENDPOINT_URL_DYNAMODB", Some(&nowhere), "Start `latchkey dev`");
    let secrets = "AWS_ENDPOINT_URL_SECRETS_MANAGER";
    refused(&["signing-key", "status"], secrets, Some(&nowhere), "Start `latchkey dev`");
    let mut elsewhere = stack.command(&["client", "list", "--table", "latchkey"]);
    assert_eq!(stack.finish(elsewhere.env_remove("TABLE_NAME"), "").status, Some(0));

    let help = stack.run(&["client", "create", "--help"]);
    assert!(help.text().contains("Examples:"));
    let secret = &stack.running.environment["AWS_SECRET_ACCESS_KEY"];
    assert_eq!(stack.times_printed(secret), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_secret_is_valid_until_the_overlap_ends() {
    let stack = Stack::start().await;
    let made = stack.json(&["client", "create", "billing", "--scope", "todo:read"]);
    let old = text(&made, "client_secret");
    assert!(stack.run(&["client", "show", "billing"]).text().contains("last_used_on=-"));
    let rotated = stack.json(&["client", "rotate-secret", "billing", "--overlap", "1h"]);
    let new = text(&rotated, "client_secret");
    assert_eq!(rotated["client_id"], "billing");
    assert!(
        stack.client_token("billing", old).await.is_some()
            && stack.client_token("billing", new).await.is_some()
    );
    let shown = stack.json(&["client", "show", "billing"]);
    assert_eq!(shown["secrets"][0]["expires_at"], rotated["old_secrets_expire_at"]);
    assert_eq!(shown["secrets"][1]["expires_at"], Value::Null);
    assert_eq!(shown["secrets"][1]["last_used_on"].as_u64().unwrap() % 86_400, 0);
    assert!(stack.run(&["client", "show", "billing"]).text().contains("last_used_on=20"));

    let longer = stack.json(&["client", "rotate-secret", "billing", "--overlap", "30d"]);
    let shown = stack.json(&["client", "show", "billing"]);
    assert_eq!(
        shown["secrets"][0]["expires_at"], rotated["old_secrets_expire_at"],
        "never longer than before"
    );
    let leaked = stack.json(&["client", "rotate-secret", "billing", "--overlap", "0s"]);
    for gone in [old, new, text(&longer, "client_secret")] {
        assert_eq!(stack.client_token("billing", gone).await, None);
        assert_eq!(stack.times_printed(gone), 1);
    }
    assert!(stack.client_token("billing", text(&leaked, "client_secret")).await.is_some());
    for _ in 0..4 {
        stack.json(&["client", "rotate-secret", "billing"]);
    }
    stack.run(&["client", "rotate-secret", "billing"]).refused("has 5 valid secrets");
    stack.run(&["client", "rotate-secret", "missing"]).refused("client missing does not exist");
    let last = stack.run(&["client", "rotate-secret", "billing", "--overlap", "0s"]);
    assert!(last.text().contains("old secrets are not valid any longer"), "{}", last.stdout);
    assert_eq!(stack.json(&["client", "show", "billing"])["secrets"].as_array().unwrap().len(), 1);
    assert_eq!(stack.run(&["client", "rotate-secret", "billing", "--overlap", "soon"]).status, Some(2));
    // A secret instead of a client id.
    for command in ["rotate-secret", "show", "disable", "enable", "delete"] {
        stack.run(&["client", command, old]).refused("looks like a secret");
    }
    assert_eq!(stack.times_printed(old), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_may_have_keys_a_certificate_or_nothing_instead_of_a_secret() {
    let stack = Stack::start().await;
    let file = stack.folder.path().join("key.json");
    std::fs::write(
        &file,
        r#"{"kty":"OKP","crv":"Ed25519","kid":"one","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let create = |id: &str, more: &[&str]| {
        stack.json(&[&["client", "create", id, "--scope", "todo:read"], more].concat())
    };
    let url = "https://app.example.com/jwks";
    for (id, more, methods, words) in [
        ("keys", ["--public-key", file].as_slice(), json!(["private_key_jwt"]), "private_key_jwt"),
        ("url", &["--jwks-url", url], json!(["private_key_jwt"]), "private_key_jwt"),
        (
            "certificate",
            &["--certificate-subject", "CN=app,O=Example"],
            json!(["tls_client_auth"]),
            "tls_client_auth",
        ),
        ("job", &["--no-secret"], json!([]), "auth_methods         -"),
    ] {
        assert_eq!(create(id, more), json!({"client_id": id}));
        let shown = stack.json(&["client", "show", id]);
        assert_eq!((&shown["auth_methods"], &shown["secrets"]), (&methods, &json!([])), "{id}");
        assert!(stack.run(&["client", "show", id]).text().contains(words), "{id}");
        let other_id = format!("{id}-2");
        let again = [&["client", "create", &other_id, "--scope", "todo:read"], more].concat();
        assert!(stack.run(&again).text().contains("No secret was created."), "{id}");
        stack.run(&["client", "rotate-secret", id]).refused("has no secret");
    }
    assert_eq!(stack.json(&["client", "show", "keys"])["public_keys"], json!({"ids": ["one"]}));
    assert_eq!(stack.json(&["client", "show", "url"])["public_keys"], json!({"url": url}));
    assert_eq!(stack.json(&["client", "show", "certificate"])["certificate_subject"], "CN=app,O=Example");
    let more = ["--grant", "token-exchange", "refresh_token", "--quota", "1/1h"];
    create("web", &more);
    let shown = stack.json(&["client", "show", "web"]);
    assert_eq!(shown["grants"], json!(["refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"]));
    assert_eq!(shown["quota"], json!({"tokens": 1, "seconds": 3600}));
    assert_eq!(shown["auth_methods"], json!(["client_secret_basic", "client_secret_post"]));
    assert!(stack.run(&["client", "show", "web"]).text().contains("seconds=3600 tokens=1"));
    let limited = create("limited", &["--quota", "1/1h"]);
    let secret = text(&limited, "client_secret");
    assert!(stack.client_token("limited", secret).await.is_some());
    assert_eq!(stack.client_token("limited", secret).await, None, "the quota is exceeded");
    let bad = |more: &[&str]| stack.run(&[&["client", "create", "bad", "--scope", "a"], more].concat());
    bad(&["--public-key", "/nowhere"]).refused("can't read /nowhere");
    bad(&["--jwks-url", "http://app.example.com/jwks"]).refused("https://");
    bad(&["--jwks-url", "https://me:canary@app.example.com/jwks"]).refused("without user name and fragment");
    let private = stack.folder.path().join("private.json");
    std::fs::write(&private, r#"{"kty":"OKP","crv":"Ed25519","x":"11qY","d":"canary"}"#).unwrap();
    bad(&["--public-key", private.to_str().unwrap()]).refused("contains a private key");
    assert_eq!(stack.times_printed("canary"), 0);
    bad(&["--certificate-subject", "app"]).refused("distinguished name");
    for usage in [["--grant", "password"], ["--quota", "many"]] {
        assert_eq!(bad(&usage).status, Some(2));
    }
    assert_eq!(bad(&["--public-key", file, "--jwks-url", "https://a.example/jwks"]).status, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn client_authenticates_with_its_public_key() {
    let stack = Stack::start().await;
    let (own, other) = (signing_key(), signing_key());
    let file = stack.write_jwks(&[own.public_jwk()]);
    stack.json(&["client", "create", "app", "--scope", "todo:read", "--public-key", &file]);
    let issued = stack.token_by_key(&own).await.unwrap();
    assert_eq!(text(&stack.inspect(&issued)["claims"], "sub"), "app");
    assert_eq!(stack.token_by_key(&other).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn public_key_for_encryption_is_skipped() {
    let stack = Stack::start().await;
    let (own, other) = (signing_key(), signing_key());
    let mut encrypts = other.public_jwk().clone();
    encrypts["use"] = json!("enc");
    let file = stack.write_jwks(&[&encrypts, own.public_jwk()]);
    stack.json(&["client", "create", "app", "--scope", "todo:read", "--public-key", &file]);
    assert!(stack.token_by_key(&own).await.is_some());
    assert_eq!(stack.token_by_key(&other).await, None);
    assert_eq!(stack.json(&["client", "show", "app"])["public_keys"], json!({"ids": [own.key_id()]}));
    let file = stack.write_jwks(&[&encrypts]);
    stack.run(&["client", "update", "app", "--public-key", &file]).refused("no usable signature key");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_update_replaces_the_keys_from_the_next_request() {
    let stack = Stack::start().await;
    let (old, new) = (signing_key(), signing_key());
    let file = stack.write_jwks(&[old.public_jwk()]);
    stack.json(&["client", "create", "app", "--scope", "todo:read", "--public-key", &file]);
    assert!(stack.token_by_key(&old).await.is_some());
    let file = stack.write_jwks(&[new.public_jwk()]);
    stack.json(&["client", "update", "app", "--public-key", &file]);
    assert_eq!(stack.token_by_key(&old).await, None);
    assert!(stack.token_by_key(&new).await.is_some());
    stack.json(&["client", "update", "app", "--no-public-key", "--certificate-subject", "CN=app"]);
    assert_eq!(stack.token_by_key(&new).await, None);
    assert_eq!(stack.json(&["client", "show", "app"])["auth_methods"], json!(["tls_client_auth"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn unlocked_user_can_sign_in_again() {
    let stack = Stack::start().await;
    stack.with_input(&["user", "create", "ada"], PASSWORD).text();
    let wrong = (0..10).map(|_| stack.user_token("ada", "wrong password"));
    assert!(futures_util::future::join_all(wrong).await.iter().all(Option::is_none));
    assert_eq!(stack.user_token("ada", PASSWORD).await, None, "locked");
    assert_eq!(stack.json(&["user", "unlock", "Ada"]), json!({"username": "ada", "unlocked": true}));
    assert!(stack.user_token("ada", PASSWORD).await.is_some());
    stack.run(&["user", "unlock", "missing"]).refused("user missing does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn token_is_revoked_by_itself_by_its_id_or_with_its_family() {
    let stack = Stack::start().await;
    let made = stack.json(&["client", "create", "billing", "--scope", "todo:read"]);
    let secret = text(&made, "client_secret");
    let token = async || stack.client_token("billing", secret).await.unwrap();
    let (whole, by_id, other) = (token().await, token().await, token().await);
    let revoked = stack.json(&["token", "revoke", &whole]);
    assert_eq!(
        (&revoked["jti"], &revoked["revoked"]),
        (&stack.inspect(&whole)["claims"]["jti"], &json!(true))
    );
    let jti = stack.inspect(&by_id)["claims"]["jti"].as_str().unwrap().to_owned();
    assert!(stack.with_input(&["token", "revoke", "-"], &jti).text().contains("is revoked"));
    for (token, revoked) in [(&whole, true), (&by_id, true), (&other, false)] {
        assert_eq!(stack.inspect(token)["revoked"], revoked);
    }
    stack.with_input(&["user", "create", "ada"], PASSWORD).text();
    let form = [("username", "ada"), ("password", PASSWORD)];
    let signed_in: Value =
        Client::new().post(stack.url("/token")).form(&form).send().await.unwrap().json().await.unwrap();
    let refresh = text(&signed_in, "refresh_token");
    let ended = stack.json(&["token", "revoke", refresh]);
    assert_eq!(ended["sid"], stack.inspect(text(&signed_in, "access_token"))["claims"]["sid"]);
    assert_eq!(stack.inspect(text(&signed_in, "access_token"))["revoked"], true);
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let answer = Client::new().post(stack.url("/oauth2/token")).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    stack.run(&["token", "revoke", &format!("{whole}x")]).refused("Nothing was revoked");
    let googles = stack.run(&["google-token", "--email", "a@example.com"]).text().trim().to_owned();
    stack.run(&["token", "revoke", &googles]).refused("Nothing was revoked");
    for bad in ["", "billing", "demo-client", &jti[1..], &format!("{jti}0")] {
        stack.run(&["token", "revoke", bad]).refused("neither a token nor a token id");
    }
    let unknown = RefreshToken::first();
    stack.run(&["token", "revoke", unknown.expose_secret()]).refused("token family does not exist");
    assert_eq!(stack.times_printed(unknown.expose_secret()), 0);
    stack.run(&["token", "revoke", secret]).refused("neither a token nor a token id");
    assert_eq!(stack.times_printed(refresh), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_token_is_not_revoked() {
    let stack = Stack::start().await;
    let made = stack.json(&["client", "create", "billing", "--scope", "todo:read"]);
    let token = stack.client_token("billing", text(&made, "client_secret")).await.unwrap();
    let claims = stack.inspect(&token)["claims"].clone();
    let secret =
        SigningSecret::new(stack.aws().secrets_manager(), &stack.running.environment["SIGNING_SECRET_ID"]);
    let key = SigningKeys::new(secret, stack.trust(), 15).current(clock::now()).await.unwrap();
    // The same token, issued earlier.
    let made_earlier = |expired_since: u64| {
        let (mut claims, end) = (claims.clone(), clock::now() - expired_since);
        (claims["iat"], claims["exp"]) = (json!(end - 60), json!(end));
        key.sign("at+jwt", &claims).unwrap()
    };
    let expired = made_earlier(60);
    let nothing = stack.run(&["token", "revoke", expired.expose_secret()]);
    assert!(nothing.text().contains("has expired. Nothing to revoke"), "{}", nothing.stdout);
    assert_eq!(stack.json(&["token", "revoke", expired.expose_secret()])["revoked"], false);
    assert_eq!(stack.inspect(&token)["revoked"], false, "nothing was written");
    // Within the leeway it is still accepted.
    let only_just = made_earlier(1);
    assert_eq!(stack.json(&["token", "revoke", only_just.expose_secret()])["revoked"], true);
    assert_eq!(stack.inspect(&token)["revoked"], true, "it has the same jti");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_issued_while_a_new_password_is_typed_are_revoked() {
    let stack = Stack::start().await;
    let mut subs = Vec::new();
    for name in ["ada", "grace"] {
        let made = stack.with_input(&["user", "create", name, "--output", "json"], PASSWORD).json();
        subs.push(text(&made, "sub").to_owned());
    }
    let typing = |name| {
        let mut command = stack.command(&["user", "set-password", name]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut children = [typing("ada"), typing("grace")];
    // Until both commands wait for a password.
    sleep(Duration::from_millis(500)).await;
    let token = stack.user_token("ada", PASSWORD).await.unwrap();
    let issued_at = stack.inspect(&token)["claims"]["iat"].as_u64().unwrap();
    stack.json(&["user", "disable", "grace"]);
    while clock::now() <= issued_at {
        sleep(Duration::from_millis(50)).await;
    }
    for child in &mut children {
        child.stdin.take().unwrap().write_all(b"another good password\n").unwrap();
        assert!(child.wait().unwrap().success());
    }
    let snapshot = stack.trust().snapshot(clock::now()).await.unwrap();
    assert!(
        snapshot.is_revoked_for(&subs[0], issued_at),
        "issued with the old password, while the new one was typed"
    );
    assert!(!snapshot.is_revoked_for(&subs[0], clock::now()));
    assert!(snapshot.is_revoked_for(&subs[1], u64::MAX - 1), "disabled meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_password_revokes_earlier_tokens() {
    let stack = Stack::start().await;
    stack.with_input(&["user", "create", "ada"], PASSWORD).text();
    let token = stack.user_token("ada", PASSWORD).await.unwrap();
    let seen = stack.inspect(&token);
    let (sub, issued_at) = (text(&seen["claims"], "sub"), seen["claims"]["iat"].as_u64().unwrap());
    let trust = stack.trust();
    assert!(!trust.snapshot(clock::now()).await.unwrap().is_revoked_for(sub, issued_at - 1));
    stack.with_input(&["user", "set-password", "ada"], "another good password").text();
    let snapshot = trust.snapshot(clock::now()).await.unwrap();
    assert!(snapshot.is_revoked_for(sub, issued_at - 1) && !snapshot.is_revoked_for(sub, issued_at + 60));
    let token = stack.user_token("ada", "another good password").await.unwrap();
    assert_eq!(stack.inspect(&token)["revoked"], false);
}

/// The commands run within the second in which the token was issued, which a clock of whole seconds can't distinguish.
#[tokio::test(flavor = "multi_thread")]
async fn no_token_outlives_the_commands_that_revoke_it() {
    let stack = Stack::start().await;
    let mut secret =
        text(&stack.json(&["client", "create", "billing", "--scope", "a"]), "client_secret").to_owned();
    stack.with_input(&["user", "create", "ada"], PASSWORD).text();
    let revoked = |token: &str| stack.inspect(token)["revoked"].clone();
    for _ in 0..2 {
        let before = stack.client_token("billing", &secret).await.unwrap();
        secret =
            text(&stack.json(&["client", "rotate-secret", "billing", "--overlap", "0s"]), "client_secret")
                .to_owned();
        stack.json(&["client", "disable", "billing"]);
        stack.json(&["client", "enable", "billing"]);
        let after = stack.client_token("billing", &secret).await.unwrap();
        assert_eq!((revoked(&before), revoked(&after)), (json!(true), json!(false)), "disable and enable");

        stack.json(&["client", "delete", "billing"]);
        secret =
            text(&stack.json(&["client", "create", "billing", "--scope", "a"]), "client_secret").to_owned();
        let created = stack.client_token("billing", &secret).await.unwrap();
        assert_eq!((revoked(&after), revoked(&created)), (json!(true), json!(false)), "delete and create");

        let before = stack.user_token("ada", PASSWORD).await.unwrap();
        stack.json(&["user", "disable", "ada"]);
        stack.json(&["user", "enable", "ada"]);
        let after = stack.user_token("ada", PASSWORD).await.unwrap();
        assert_eq!((revoked(&before), revoked(&after)), (json!(true), json!(false)), "disable and enable");

        stack.with_input(&["user", "set-password", "ada"], PASSWORD).text();
        let changed = stack.user_token("ada", PASSWORD).await.unwrap();
        assert_eq!((revoked(&after), revoked(&changed)), (json!(true), json!(false)), "set-password");
    }
}
