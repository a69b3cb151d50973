//! What may be written into the table: the rules for everything that an administrator types.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{bail, ensure};
use shared::config::MAX_ACCESS_TOKEN_TTL;
use shared::grants::FIRST_PARTY;
use shared::identity::secrets::is_name;
use shared::store::usernames::is_username;
use shared::token::claims::RESERVED_CLAIMS;
use shared::wire::scope::Scopes;

/// The shortest life of a token, in seconds: the deployment's own has the same bound.
const MIN_TOKEN_TTL: u64 = 60;

/// The most that scopes, and likewise custom claims, may add to a token, in bytes. Invariant: with both,
/// an audience and the token's other claims it stays below the 8 KiB that are read of a token.
const MAX_SCOPES: usize = 2048;
const MAX_CLAIMS: usize = 2048;
const MAX_AUDIENCE: usize = 512;

/// RFC 5321 §4.5.3.1.3: a path of 256 octets holds an address of 254.
const MAX_EMAIL: usize = 254;

/// A client's id. It is the `sub` of the client's tokens, so it must not look like anybody else's.
///
/// # Errors
/// Any other text.
pub fn client_id(id: &str) -> anyhow::Result<()> {
    ensure!(
        is_name(id),
        "a client id is made of 1 to 128 letters, digits and the characters . _ -: choose another one"
    );
    ensure!(
        !id.starts_with("usr_") && !id.starts_with("key_") && id != FIRST_PARTY,
        "no client may be called {FIRST_PARTY}, usr_… or key_…: choose another id"
    );
    Ok(())
}

/// A user's name.
///
/// # Errors
/// Any other text.
pub fn username(name: &str) -> anyhow::Result<()> {
    ensure!(
        is_username(name),
        "a user name has 1 to 128 characters, none of them a control character, no blank at its ends, and \
         does not begin with usr_: choose another one"
    );
    Ok(())
}

/// The owner of an API key.
///
/// # Errors
/// Any other text.
pub fn owner(owner: &str) -> anyhow::Result<()> {
    ensure!(
        is_name(owner) && !owner.starts_with("usr_"),
        "an owner is made of 1 to 128 letters, digits and the characters . _ -, and does not begin with usr_"
    );
    Ok(())
}

/// A set of scopes; each text may hold several, separated by blanks.
///
/// # Errors
/// A character that no scope may have, and more than fits into a token.
pub fn scopes<S: AsRef<str>>(texts: &[S]) -> anyhow::Result<Scopes> {
    let scopes = Scopes::from_names(texts.iter().flat_map(|text| text.as_ref().split_whitespace()))?;
    ensure!(
        scopes.to_string().len() <= MAX_SCOPES,
        "the scopes have more than {MAX_SCOPES} bytes together, too many for a token"
    );
    Ok(scopes)
}

/// Audiences. RFC 8707 §2 wants absolute URIs; plain names are common too.
///
/// # Errors
/// Blanks, control and non-ASCII characters.
pub fn audiences(audiences: &[String]) -> anyhow::Result<()> {
    let good = |audience: &String| {
        (1..=MAX_AUDIENCE).contains(&audience.len()) && audience.bytes().all(|byte| byte.is_ascii_graphic())
    };
    ensure!(
        audiences.iter().all(good),
        "an audience is made of 1 to {MAX_AUDIENCE} printable ASCII characters without blanks"
    );
    Ok(())
}

/// The life of a token in seconds.
///
/// # Errors
/// Outside the bounds that hold for a deployment as well.
pub fn token_ttl(seconds: u64) -> anyhow::Result<()> {
    ensure!(
        (MIN_TOKEN_TTL..=MAX_ACCESS_TOKEN_TTL).contains(&seconds),
        "--token-ttl is {seconds}: it must be {MIN_TOKEN_TTL} to {MAX_ACCESS_TOKEN_TTL} seconds"
    );
    Ok(())
}

/// Custom claims.
///
/// # Errors
/// A name that is taken or stands twice, characters that no header or log should see, and too much.
pub fn claims(pairs: &[(String, String)]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut names = BTreeSet::new();
    for (name, value) in pairs {
        ensure!(
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()),
            "a claim's name is made of printable ASCII characters without blanks"
        );
        ensure!(
            !RESERVED_CLAIMS.contains(&name.as_str()),
            "the claim {name} has a meaning of its own in a token: choose another name"
        );
        ensure!(!value.chars().any(char::is_control), "the claim {name} holds a control character");
        ensure!(names.insert(name), "the claim {name} is given twice");
    }
    let claims: BTreeMap<_, _> = pairs.iter().cloned().collect();
    ensure!(
        serde_json::to_string(&claims)?.len() <= MAX_CLAIMS,
        "the claims have more than {MAX_CLAIMS} bytes together, too many for a token"
    );
    Ok(claims)
}

/// An email address, as far as a look at it can tell.
///
/// # Errors
/// Anything else.
pub fn email(address: &str) -> anyhow::Result<()> {
    let good = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control());
    match address.split_once('@') {
        Some((local, domain))
            if good(local) && good(domain) && !domain.contains('@') && address.len() <= MAX_EMAIL =>
        {
            Ok(())
        }
        _ => bail!("the email address does not look like NAME@DOMAIN"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_nobody_elses_subject() {
        assert!(client_id("billing-1.x_y").is_ok() && client_id(&"x".repeat(128)).is_ok());
        for bad in ["", "a b", "é", "usr_1", "key_1", "latchkey", &"x".repeat(129)] {
            assert!(client_id(bad).is_err(), "{bad:?}");
        }
        assert!(owner("team-a").is_ok() && owner("usr_1").is_err() && owner("").is_err());
    }

    #[test]
    fn scopes_may_be_given_one_by_one_or_together() {
        assert_eq!(scopes(&["a", "b c"]).unwrap().to_string(), "a b c");
        assert!(scopes::<&str>(&[]).unwrap().is_empty());
        assert!(scopes(&["a\"b"]).is_err() && scopes(&["é"]).is_err());
        assert!(scopes(&["x".repeat(2048)]).is_ok() && scopes(&["x".repeat(2049)]).is_err());
    }

    #[test]
    fn audiences_are_printable_without_blanks() {
        assert!(
            audiences(&["https://api.example.com".to_owned(), "api".to_owned(), "x".repeat(512)]).is_ok()
        );
        for bad in ["", "a b", "a\n", "é", &"x".repeat(513)] {
            assert!(audiences(&[bad.to_owned()]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_token_lives_a_minute_to_a_day() {
        for (seconds, good) in [(59, false), (60, true), (86_400, true), (86_401, false)] {
            assert_eq!(token_ttl(seconds).is_ok(), good, "{seconds}");
        }
    }

    #[test]
    fn claims_take_no_reserved_name_and_fit_into_a_token() {
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
        assert!(!good(&[("a", &"\"".repeat(1500))]), "a quote takes two bytes");
    }

    #[test]
    fn an_email_address_has_one_at() {
        assert!(email("ada@example.com").is_ok() && email("élodie@exämple.fr").is_ok());
        for bad in
            ["", "ada", "@", "ada@", "@b", "a@b@c", "a b@c", "a@b\n", &format!("a@{}", "x".repeat(253))]
        {
            assert!(email(bad).is_err(), "{bad:?}");
        }
    }
}
