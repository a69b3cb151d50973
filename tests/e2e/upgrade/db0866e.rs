//! The stored structures of Latchkey at commit db0866e, copied. After a rollback, that code reads items of current
//! code.
#![expect(dead_code, reason = "what is read of an item matters, not what becomes of it")]

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use shared::store::table::Item;

#[derive(Deserialize)]
struct Client {
    client_id: String,
    secrets: Vec<ClientSecret>,
    scopes: BTreeSet<String>,
    #[serde(default)]
    audiences: Vec<String>,
    token_ttl: Option<u64>,
    #[serde(default)]
    claims: BTreeMap<String, String>,
    #[serde(default)]
    grants: BTreeSet<GrantType>,
    public_keys: Option<ClientKeys>,
    certificate_subject: Option<String>,
    quota: Option<Quota>,
    #[serde(default)]
    secret_use: BTreeMap<String, u64>,
    disabled: bool,
    created_at: u64,
    kind: String,
    listed_as: String,
}

#[derive(Deserialize)]
struct ClientSecret {
    digest: String,
    created_at: u64,
    expires_at: Option<u64>,
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
enum GrantType {
    #[serde(rename = "client_credentials")]
    ClientCredentials,
    #[serde(rename = "refresh_token")]
    RefreshToken,
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClientKeys {
    Jwks(String),
    Url(String),
}

#[derive(Deserialize)]
struct Quota {
    tokens: u64,
    seconds: u64,
}

#[derive(Deserialize)]
struct User {
    username: String,
    sub: String,
    password_hash: Option<String>,
    email: Option<String>,
    scopes: BTreeSet<String>,
    disabled: bool,
    #[serde(default)]
    epoch: String,
    created_at: u64,
    kind: String,
    listed_as: String,
}

#[derive(Deserialize)]
struct ApiKey {
    id: String,
    digest: String,
    owner: String,
    scopes: BTreeSet<String>,
    key_expires_at: Option<u64>,
    disabled: bool,
    created_at: u64,
    kind: String,
    listed_as: String,
}

#[derive(Deserialize)]
struct Link {
    username: String,
    created_at: u64,
}

#[derive(Deserialize)]
struct Family {
    session_id: String,
    client_id: String,
    username: String,
    sub: String,
    epoch: String,
    issuer: Option<String>,
    scopes: BTreeSet<String>,
    audience: Option<String>,
    key: Option<String>,
    current: String,
    previous: Option<String>,
    salt: Option<String>,
    rotated_at: u64,
    ends_at: u64,
    expires_at: u64,
    revoked: bool,
}

#[derive(Deserialize)]
struct Revocation {
    not_before: u64,
    expires_at: u64,
}

#[derive(Deserialize)]
struct PublishedKeys {
    keys: Vec<PublishedKey>,
    revision: u64,
}

#[derive(Deserialize)]
struct PublishedKey {
    kid: String,
    jwk: String,
    published_at: u64,
    signs_from: Option<u64>,
    retires_at: Option<u64>,
    #[serde(default)]
    revoked: bool,
}

#[derive(Deserialize)]
struct Mark {
    seen_by: String,
    expires_at: u64,
}

/// The signing secret.
#[derive(Deserialize)]
struct KeyDocument {
    keys: Vec<StoredKey>,
}

#[derive(Deserialize)]
struct StoredKey {
    kid: String,
    algorithm: Algorithm,
    pkcs8: String,
}

#[derive(Deserialize)]
enum Algorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// The reason for which db0866e can't read an item, if any.
pub fn complaint(pk: &str, sk: &str, item: &Item) -> Option<String> {
    let read = match (pk.split('#').next().unwrap_or_default(), sk) {
        ("CLIENT", "PROFILE") => read::<Client>(item),
        ("USER", "PROFILE") => read::<User>(item),
        ("APIKEY", "PROFILE") => read::<ApiKey>(item),
        ("IDENTITY", "LINK") => read::<Link>(item),
        ("REFRESH", "HEAD") => read::<Family>(item),
        ("JTI", "SEEN") => read::<Mark>(item),
        ("TRUST", "JWKS") => read::<PublishedKeys>(item),
        // Any other sort key of this partition makes the authorizer fail.
        ("TRUST", sk)
            if ["sub", "sid", "jti"].iter().any(|kind| sk.starts_with(&format!("REVOKED#{kind}#"))) =>
        {
            read::<Revocation>(item)
        }
        ("ATTEMPT", sk) if sk.starts_with("WINDOW#") => counted(item),
        // db0866e ignores items of unknown kinds outside the partitions that it reads as a whole.
        ("TRUST" | "ATTEMPT", _) => Err("db0866e does not know this sort key".to_owned()),
        _ => Ok(()),
    };
    read.err()
}

/// The reason for which db0866e can't read the signing secret, if any.
pub fn complaint_of_secret(text: &str) -> Option<String> {
    serde_json::from_str::<KeyDocument>(text).err().map(|error| error.to_string())
}

fn read<T: DeserializeOwned>(item: &Item) -> Result<(), String> {
    from_item::<T>(item.clone()).map(drop).map_err(|error| error.to_string())
}

/// `ADD` and `contains` require numbers and sets of strings.
fn counted(item: &Item) -> Result<(), String> {
    for (name, value) in item {
        let fits = match name.as_str() {
            "pk" | "sk" => value.is_s(),
            "expires_at" | "issued" => value.is_n(),
            // A kind that db0866e does not read.
            name if name.starts_with("slot_") => true,
            _ => matches!(value, AttributeValue::Ss(_)),
        };
        if !fits {
            return Err(format!("{name} is {value:?}"));
        }
    }
    Ok(())
}
