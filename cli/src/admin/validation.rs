//! Validation of everything that an administrator types, before it is written to the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::identity::secrets::is_identifier;
use shared::identity::subjects::{FIRST_PARTY_CLIENT_ID, is_client_id, is_user_subject};
use shared::identity::usernames::is_username;
use shared::jose::key::{PRIVATE_MEMBERS, PublicKey};
use shared::jose::strict_object::StrictObject;
use shared::oauth::identifiers::{CLIENT_CREDENTIALS, REFRESH_TOKEN, TOKEN_EXCHANGE};
use shared::oauth::scope::Scopes;
use shared::runtime::settings::{MAX_ACCESS_TOKEN_TTL, secure_url};
use shared::store::clients::{GrantType, Quota};
use shared::trust::access_token::RESERVED_CLAIMS;

/// The shortest lifetime of a token, in seconds. The template's parameter has the same minimum.
const MIN_TOKEN_TTL: u64 = 60;

/// The maximum length of all scopes, and of all custom claims, in bytes. Invariant: a token with both, an audience and
/// the other claims is shorter than the 8 KiB that a verifier reads.
const MAX_SCOPES: usize = 2048;
const MAX_CLAIMS: usize = 2048;
const MAX_AUDIENCE: usize = 512;

/// The longest JWKS that is stored with a client, in bytes. It is read with the client at each token request.
const MAX_JWKS: usize = 16 * 1024;

/// The longest window of a quota, in seconds.
const MAX_QUOTA_SECONDS: u64 = 31 * 86_400;

/// The longest owner of an API key, in characters.
const MAX_OWNER: usize = 128;

/// Line and paragraph separator. They are not control characters, but some parsers of logs and headers end a line there.
const LINE_ENDS: [char; 2] = ['\u{2028}', '\u{2029}'];

/// RFC 5321 §4.5.3.1.3: a path of 256 octets holds an address of 254.
const MAX_EMAIL: usize = 254;

/// Validates a client id. It is the `sub` of the client's tokens, so it must differ from every user's and API key's.
///
/// # Errors
/// Any other text.
pub fn client_id(id: &str) -> anyhow::Result<()> {
    ensure!(
        is_identifier(id),
        "the client id is invalid. Choose 1 to 128 letters, digits and the characters . _ -"
    );
    ensure!(
        is_client_id(id),
        "the client ids {FIRST_PARTY_CLIENT_ID}, usr_… and key_… are reserved. Choose another id"
    );
    Ok(())
}

/// Validates a username.
///
/// # Errors
/// Any other text.
pub fn username(name: &str) -> anyhow::Result<()> {
    ensure!(
        is_username(name),
        "the username is invalid. Choose 1 to 128 characters, without control characters, without spaces at the \
         ends and not beginning with usr_"
    );
    Ok(())
}

/// Validates the owner of an API key: a note, such as a team or an email address, that back ends get unchanged.
///
/// # Errors
/// Control characters, spaces at the ends, and a text that looks like a user's subject.
pub fn owner(owner: &str) -> anyhow::Result<()> {
    ensure!(
        (1..=MAX_OWNER).contains(&owner.chars().count())
            && owner.trim() == owner
            && !owner.chars().any(|character| character.is_control() || LINE_ENDS.contains(&character))
            && !is_user_subject(owner),
        "the owner is invalid. Choose 1 to {MAX_OWNER} characters, without control characters, without spaces at the \
         ends and not beginning with usr_"
    );
    Ok(())
}

/// Parses scopes. Each text may hold several, separated by spaces.
///
/// # Errors
/// A character that a scope can't have, a comma, and more scopes than fit into a token.
pub fn scopes<S: AsRef<str>>(texts: &[S]) -> anyhow::Result<Scopes> {
    // RFC 6749 §3.3 allows a comma in a scope, but an administrator who types one means a list.
    ensure!(
        !texts.iter().any(|text| text.as_ref().contains(',')),
        "a scope contains a comma. Separate scopes by spaces, for example --scope todo:read todo:write"
    );
    let scopes = Scopes::from_names(texts.iter().flat_map(|text| text.as_ref().split_whitespace()))?;
    ensure!(
        scopes.to_string().len() <= MAX_SCOPES,
        "the scopes are longer than {MAX_SCOPES} bytes together. Give fewer or shorter scopes"
    );
    Ok(scopes)
}

/// Validates audiences. RFC 8707 §2 asks for absolute URIs. Plain names are common too.
///
/// # Errors
/// Blanks, control and non-ASCII characters, and a comma, which separates the deployment's audiences.
pub fn audiences(audiences: &[String]) -> anyhow::Result<()> {
    ensure!(
        !audiences.iter().any(|audience| audience.contains(',')),
        "an audience contains a comma. Separate audiences by spaces, for example --audience latchkey \
         https://api.example.com"
    );
    let good = |audience: &String| {
        (1..=MAX_AUDIENCE).contains(&audience.len()) && audience.bytes().all(|byte| byte.is_ascii_graphic())
    };
    ensure!(
        audiences.iter().all(good),
        "an audience is invalid. Give 1 to {MAX_AUDIENCE} printable ASCII characters without spaces"
    );
    Ok(())
}

/// Validates the lifetime of a token, in seconds.
///
/// # Errors
/// A number out of the bounds that the deployment's parameter has.
pub fn token_ttl(seconds: u64) -> anyhow::Result<()> {
    ensure!(
        (MIN_TOKEN_TTL..=MAX_ACCESS_TOKEN_TTL).contains(&seconds),
        "--token-ttl is {seconds}. Give {MIN_TOKEN_TTL} to {MAX_ACCESS_TOKEN_TTL} seconds"
    );
    Ok(())
}

/// Validates custom claims.
///
/// # Errors
/// A reserved or duplicate name, characters that are unsafe in a header or a log, and too many bytes.
pub fn claims(pairs: &[(String, String)]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut names = BTreeSet::new();
    for (name, value) in pairs {
        ensure!(
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()),
            "a claim name is invalid. Give printable ASCII characters without spaces"
        );
        ensure!(
            !RESERVED_CLAIMS.contains(&name.as_str()),
            "the claim name {name} is reserved for tokens or for API Gateway. Choose another name"
        );
        ensure!(
            !value.chars().any(char::is_control),
            "the value of claim {name} contains a control character. Remove it"
        );
        ensure!(names.insert(name), "the claim {name} is duplicate. Give it once");
    }
    let claims: BTreeMap<_, _> = pairs.iter().cloned().collect();
    ensure!(
        serde_json::to_string(&claims)?.len() <= MAX_CLAIMS,
        "the claims are longer than {MAX_CLAIMS} bytes together. Give fewer or shorter claims"
    );
    Ok(claims)
}

/// Parses a grant: its `grant_type`, or `token-exchange`.
///
/// # Errors
/// Any other text.
pub fn grant(name: &str) -> Result<GrantType, &'static str> {
    match name {
        CLIENT_CREDENTIALS => Ok(GrantType::ClientCredentials),
        REFRESH_TOKEN => Ok(GrantType::RefreshToken),
        "token-exchange" | TOKEN_EXCHANGE => Ok(GrantType::TokenExchange),
        _ => Err("give client_credentials, refresh_token or token-exchange, separated by spaces"),
    }
}

/// Parses a duration.
///
/// # Errors
/// Any other text.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "give a duration, for example 90d, 12h or 1h30m")
}

/// Parses a number of seconds.
///
/// # Errors
/// Any other text.
pub fn seconds(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "give whole seconds, for example 300")
}

/// Parses a quota: tokens, a slash, and a duration or its unit.
///
/// # Errors
/// Any other text, zero tokens, and a window below a second or above 31 days.
pub fn quota(text: &str) -> Result<Quota, &'static str> {
    let malformed = "give TOKENS/DURATION, for example 1000/1h or 10/s";
    let (tokens, duration) = text.split_once('/').ok_or(malformed)?;
    let tokens = tokens.parse().ok().filter(|tokens| *tokens > 0).ok_or(malformed)?;
    let alone = !duration.starts_with(|character: char| character.is_ascii_digit());
    let duration = if alone { format!("1{duration}") } else { duration.to_owned() };
    let seconds = humantime::parse_duration(&duration).map_err(|_| malformed)?.as_secs();
    if (1..=MAX_QUOTA_SECONDS).contains(&seconds) {
        Ok(Quota { tokens, seconds })
    } else {
        Err("give a duration of 1 second to 31 days")
    }
}

/// Reads the public keys of a file, a JWKS or one JWK, as a JWKS. Keys of unknown types, and keys for encryption, are
/// skipped (RFC 7517 §5), as they are in a JWKS that a client publishes at a URL.
///
/// # Errors
/// Any other file, a file without a usable key, and a file with a private key.
pub fn public_keys(file: &Path) -> anyhow::Result<String> {
    let name = file.display();
    let cannot = || format!("can't read {name}");
    let (mut text, most) = (String::new(), MAX_JWKS as u64 + 1);
    File::open(file).with_context(cannot)?.take(most).read_to_string(&mut text).with_context(cannot)?;
    ensure!(text.len() <= MAX_JWKS, "{name} is longer than {MAX_JWKS} bytes. Give fewer keys");
    let mut jwks: Value = serde_json::from_str(&text)
        .map_err(|_| anyhow!("{name} is not JSON. Give a JWKS, {{\"keys\":[…]}}, or a JWK"))?;
    if jwks.get("kty").is_some() {
        jwks = json!({"keys": [jwks]});
        text = format!("{{\"keys\":[{text}]}}");
    }
    let keys = jwks["keys"].as_array().cloned().unwrap_or_default();
    // The table must not hold a client's private key.
    ensure!(
        !keys.iter().any(|key| PRIVATE_MEMBERS.iter().any(|member| !key[*member].is_null())),
        "{name} contains a private key. Give the public key only"
    );
    // `Value` has dropped duplicate members, so the text is parsed again.
    let as_written: PublicJwks = serde_json::from_str(&text)
        .map_err(|error| anyhow!("{name} is not a JWKS or has a duplicate member ({error})"))?;
    let usable =
        as_written.keys.iter().zip(keys).filter(|(key, _)| PublicKey::from_published_jwk(key).is_ok());
    let usable: Vec<_> = usable.map(|(_, key)| key).collect();
    ensure!(
        !usable.is_empty(),
        "{name} contains no usable signature key. Give RSA of at least 2048 bits, P-256, P-384 or Ed25519"
    );
    Ok(json!({"keys": usable}).to_string())
}

/// RFC 7517 §5.
#[derive(Deserialize)]
struct PublicJwks {
    keys: Vec<StrictObject>,
}

/// Validates the URL of a JWKS.
///
/// # Errors
/// Any scheme but https, and a user name or password in it, because `client show` prints the URL.
pub fn jwks_url(url: String) -> anyhow::Result<String> {
    ensure!(
        secure_url(&url).is_some() && url.len() <= MAX_AUDIENCE,
        "--jwks-url is invalid. Give an https:// URL without user name and fragment"
    );
    Ok(url)
}

/// Validates the subject of a certificate.
///
/// # Errors
/// A text that can't be a distinguished name.
pub fn certificate_subject(subject: &str) -> anyhow::Result<()> {
    ensure!(
        subject.contains('=') && subject.len() <= MAX_AUDIENCE && !subject.chars().any(char::is_control),
        "--certificate-subject is invalid. Give the distinguished name as API Gateway writes it, for example \
         CN=app,O=Example"
    );
    Ok(())
}

/// Validates the form of an email address.
///
/// # Errors
/// Any other text.
pub fn email(address: &str) -> anyhow::Result<()> {
    let good = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control());
    match address.split_once('@') {
        Some((local, domain))
            if good(local) && good(domain) && !domain.contains('@') && address.len() <= MAX_EMAIL =>
        {
            Ok(())
        }
        _ => bail!("the email address is invalid. Give NAME@DOMAIN"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_is_a_number_of_tokens_in_a_duration() {
        assert_eq!(quota("1000/1h"), Ok(Quota { tokens: 1000, seconds: 3600 }));
        assert_eq!(quota("10/s"), Ok(Quota { tokens: 10, seconds: 1 }));
        assert_eq!(quota("5/2h30m"), Ok(Quota { tokens: 5, seconds: 9000 }));
        for bad in ["", "10", "10/", "/1h", "0/1h", "-1/h", "10/0s", "10/500ms", "10/32d", "ten/h", "10/1h/2"]
        {
            assert!(quota(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn grant_is_known_by_its_short_and_full_name() {
        assert_eq!(grant("token-exchange"), Ok(GrantType::TokenExchange));
        assert_eq!(grant("urn:ietf:params:oauth:grant-type:token-exchange"), Ok(GrantType::TokenExchange));
        assert!(grant("password").is_err());
    }

    #[test]
    fn public_keys_are_public_and_usable_for_signatures() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jwks.json");
        let read = |json: &str| {
            std::fs::write(&file, json).unwrap();
            public_keys(&file).map_err(|error| error.to_string())
        };
        // RFC 8037 appendix A.2, and its private half of A.1.
        let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert_eq!(read(jwk).unwrap(), read(&format!("{{\"keys\":[{jwk}]}}")).unwrap());
        let private = jwk.replace("\"x\"", "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\",\"x\"");
        let error = read(&private).unwrap_err();
        assert!(error.contains("private key") && !error.contains("nWGxne"), "{error}");
        assert!(read(&jwk.replace("\"x\"", "\"x\":\"AA\",\"x\"")).is_err(), "a duplicate member");
        let (rest, word) = (MAX_JWKS - jwk.len(), jwk.trim_end_matches('}'));
        let padded = |length| format!("{word},\"x5c\":\"{}\"}}", "x".repeat(length - ",\"x5c\":\"\"".len()));
        assert!(read(&padded(rest)).is_ok());
        assert!(read(&padded(rest + 1)).unwrap_err().contains("16384 bytes"));
        let encrypts = jwk.replace("\"kty\"", "\"use\":\"enc\",\"kty\"");
        let beside = |other: &str| read(&format!("{{\"keys\":[{other},{jwk}]}}"));
        assert_eq!(beside(&encrypts).unwrap(), read(jwk).unwrap(), "a key for encryption is skipped");
        assert_eq!(beside(r#"{"kty":"EC","crv":"P-384"}"#).unwrap(), read(jwk).unwrap());
        assert!(beside(&private).unwrap_err().contains("private key"));
        assert!(read(&encrypts).unwrap_err().contains("no usable signature key"));
        for bad in
            ["", "[]", "{}", r#"{"keys":[]}"#, r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, &"x".repeat(20_000)]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn jwks_url_is_https_and_certificate_subject_is_a_distinguished_name() {
        assert!(jwks_url("https://app.example.com/jwks?appid=1".to_owned()).is_ok());
        for bad in ["http://app.example.com/jwks", "jwks.json", "https://app.example.com/jwks#x"] {
            assert!(jwks_url(bad.to_owned()).is_err(), "{bad}");
        }
        let error = jwks_url("https://me:canary@app.example.com/jwks".to_owned()).unwrap_err().to_string();
        assert!(error.contains("user name") && !error.contains("canary"), "{error}");
        assert!(certificate_subject("CN=app,O=Example").is_ok());
        assert!(certificate_subject("app").is_err());
    }

    #[test]
    fn client_id_differs_from_subjects_of_users_and_api_keys() {
        assert!(client_id("billing-1.x_y").is_ok() && client_id(&"x".repeat(128)).is_ok());
        for bad in ["", "a b", "é", "usr_1", "key_1", "latchkey", &"x".repeat(129)] {
            assert!(client_id(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn owner_is_any_printable_name() {
        for good in ["team-a", "ada@example.com", "Team Blau", "élodie", &"x".repeat(128)] {
            assert!(owner(good).is_ok(), "{good:?}");
        }
        for bad in
            ["", " team", "team ", "a\nb", "a\u{1b}[2J", "a\u{85}b", "a\u{2028}b", "usr_1", &"x".repeat(129)]
        {
            assert!(owner(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn scopes_are_separate_arguments_or_one_with_spaces() {
        assert_eq!(scopes(&["a", "b c"]).unwrap().to_string(), "a b c");
        assert_eq!(scopes::<&str>(&[]).unwrap(), Scopes::default());
        for list in ["a,b", "a, b", "a,"] {
            let error = scopes(&[list]).unwrap_err().to_string();
            assert!(error.contains("Separate scopes by spaces"), "{error}");
        }
        assert!(scopes(&["a\"b"]).is_err() && scopes(&["é"]).is_err());
        assert!(scopes(&["x".repeat(2048)]).is_ok() && scopes(&["x".repeat(2049)]).is_err());
    }

    #[test]
    fn audiences_are_printable_without_spaces() {
        assert!(
            audiences(&["https://api.example.com".to_owned(), "api".to_owned(), "x".repeat(512)]).is_ok()
        );
        for bad in ["", "a b", "a\n", "é", "a,b", &"x".repeat(513)] {
            assert!(audiences(&[bad.to_owned()]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn token_lifetime_is_a_minute_to_a_day() {
        for (seconds, good) in [(59, false), (60, true), (86_400, true), (86_401, false)] {
            assert_eq!(token_ttl(seconds).is_ok(), good, "{seconds}");
        }
    }

    #[test]
    fn claims_have_no_reserved_name_and_fit_into_a_token() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let good = |list: &[(&str, &str)]| claims(&pairs(list)).is_ok();
        assert!(good(&[("tenant", "é"), ("https://example.com/plan", "")]));
        assert!(!good(&[("tenant", "a"), ("tenant", "b")]));
        assert!(!good(&[("", "a")]) && !good(&[("a b", "a")]) && !good(&[("a", "\n")]));
        for name in RESERVED_CLAIMS {
            assert!(!good(&[(name, "a")]), "{name}");
        }
        // The braces, quotes and colon around them count.
        assert!(good(&[("a", &"x".repeat(2040))]) && !good(&[("a", &"x".repeat(2041))]));
        assert!(!good(&[("a", &"\"".repeat(1500))]), "an escaped quote has two bytes");
    }

    #[test]
    fn email_address_has_one_at_sign() {
        assert!(email("ada@example.com").is_ok() && email("élodie@exämple.fr").is_ok());
        for bad in
            ["", "ada", "@", "ada@", "@b", "a@b@c", "a b@c", "a@b\n", &format!("a@{}", "x".repeat(253))]
        {
            assert!(email(bad).is_err(), "{bad:?}");
        }
    }
}
