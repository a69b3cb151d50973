//! `latchkey token`: what a token says, whether it is one of ours, and its end.

use std::io::{self, Read};

use anyhow::{Context, anyhow, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value};
use shared::identity::refresh_token::RefreshToken;
use shared::jose::jwt::{JwtError, LEEWAY, UnverifiedJwt};
use shared::runtime::clock;
use shared::runtime::settings::MAX_ACCESS_TOKEN_TTL;
use shared::trust::access_token::{Expected, MAX_ACCESS_TOKEN, VerifiedAccessToken};
use shared::trust::snapshot::TrustSnapshot;

use super::connection::{Connection, TableArgs};
use super::output::{Format, Report, fields, foreign_fields, time};
use crate::tone::heading;

/// The most that is read from standard input, in bytes: any token, and not a whole disk.
const MAX_INPUT: u64 = 64 * 1024;

/// Characters of a token's id: the length of `shared::identity::secrets::random_id`.
const ID_CHARACTERS: usize = 22;

/// Claims that are a moment, in seconds since 1970.
const TIMES: [&str; 4] = ["auth_time", "exp", "iat", "nbf"];

/// Tokens: what one says, whether it is one of ours, and its end
#[derive(Args)]
pub struct TokenArgs {
    #[command(flatten)]
    table: TableArgs,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Show what a token says, and check it against the published keys where the table can be reached
    #[command(after_help = "Examples:\n  \
        latchkey token inspect \"$TOKEN\"\n  \
        pbpaste | latchkey token inspect - --output json")]
    Inspect {
        /// The token in compact form, with or without `Bearer` and quotes around it; - reads it from standard input
        jwt: String,
    },
    /// Make a token useless before it expires: an access token, or a refresh token with its session
    #[command(after_help = "Examples:\n  \
        latchkey token revoke \"$TOKEN\"\n  \
        pbpaste | latchkey token revoke -\n  \
        latchkey token revoke G6FUBapOQwhK0F4gsXfOEf    # the jti, as the log has it")]
    Revoke {
        /// The token, with or without `Bearer` and quotes around it, or its id (jti); - reads it from standard input
        token: String,
    },
}

impl TokenArgs {
    /// Carries out the command.
    ///
    /// # Errors
    /// Text that is no token.
    pub async fn run(self, format: Format) -> anyhow::Result<()> {
        let given = |text: String| {
            let text = if text == "-" { read(io::stdin().lock())? } else { text };
            anyhow::Ok(bare(&text))
        };
        let jwt = match self.command {
            TokenCommand::Inspect { jwt } => given(jwt)?,
            TokenCommand::Revoke { token } => {
                return format.print(&revoke(&self.table, &given(token)?).await?);
            }
        };
        let (header, claims) = decode(&jwt)?;
        let trust = snapshot(&self.table).await.map_err(|error| format!("{error:#}"));
        let verdict = validate(&jwt, &claims, trust.as_ref().map_err(String::as_str), clock::now());
        format.print(&Inspection { header, claims, verdict })
    }
}

fn read(input: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    input.take(MAX_INPUT).read_to_string(&mut text).context("can't read a token from standard input")?;
    Ok(text)
}

/// A token without what it was copied with: quotes, the header's name, the scheme, and the ends of lines that a
/// terminal or a mail put into it. No token holds any of these.
fn bare(text: &str) -> String {
    let quoted = |character: char| character.is_whitespace() || "\"'`".contains(character);
    let mut text = text.trim_matches(quoted);
    for prefix in ["authorization:", "bearer", "dpop"] {
        let named = text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        let rest = text
            .get(prefix.len()..)
            .filter(|rest| named && (prefix.ends_with(':') || rest.starts_with(quoted)));
        text = rest.map_or(text, |rest| rest.trim_matches(quoted));
    }
    text.split_whitespace().collect()
}

async fn snapshot(args: &TableArgs) -> anyhow::Result<TrustSnapshot> {
    let connection = Connection::open(args).await?;
    connection.trust.snapshot(clock::now()).await.map_err(|error| connection.explain(error.into()))
}

/// Header and claims, whoever wrote them.
fn decode(jwt: &str) -> anyhow::Result<(Map<String, Value>, Map<String, Value>)> {
    let no_token =
        || anyhow!("this is not a JSON Web Token: that is three parts of base64url with dots between them");
    let object = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| no_token())?;
        serde_json::from_slice(&bytes).map_err(|_| no_token())
    };
    match jwt.split('.').collect::<Vec<_>>().as_slice() {
        [header, claims, _] => Ok((object(header)?, object(claims)?)),
        _ => Err(no_token()),
    }
}

/// What was found out about a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Signature {
    /// A published key of ours made it.
    Good,
    /// The key that the token names did not make it.
    Bad,
    /// The token names no key of ours.
    UnknownKey,
    /// Nobody looked.
    NotChecked,
}

#[derive(Serialize)]
struct Verdict {
    /// Whether the signature is good. If not, anybody may have written the token.
    verified: bool,
    signature: Signature,
    /// None if the token does not say when it expires.
    expired: Option<bool>,
    /// None if nobody looked.
    revoked: Option<bool>,
    /// Why the token is refused, or why nobody looked. Issuer and audience are not judged here.
    problem: Option<String>,
}

/// Judges as the authorizer does, without knowing for which issuer and audience. `trust` is the bundle,
/// or why there is none.
fn validate(
    jwt: &str,
    claims: &Map<String, Value>,
    trust: Result<&TrustSnapshot, &str>,
    now: u64,
) -> Verdict {
    let mut verdict = Verdict {
        verified: false,
        signature: Signature::NotChecked,
        expired: claims.get("exp").and_then(Value::as_u64).map(|expires_at| expires_at <= now),
        revoked: None,
        problem: None,
    };
    let trust = match trust {
        Ok(trust) => trust,
        Err(problem) => {
            verdict.problem = Some(problem.to_owned());
            return verdict;
        }
    };
    let unverified = match UnverifiedJwt::parse(jwt, MAX_ACCESS_TOKEN) {
        Ok(unverified) => unverified,
        Err(error) => {
            verdict.problem = Some(error.to_string());
            return verdict;
        }
    };
    let Some(key) = unverified.key_id().and_then(|key_id| trust.key(key_id, now)) else {
        verdict.signature = Signature::UnknownKey;
        verdict.problem = Some(JwtError::UnknownKey.to_string());
        return verdict;
    };
    let jwt = match unverified.verify(key) {
        Ok(jwt) => jwt,
        Err(error) => {
            verdict.signature = Signature::Bad;
            verdict.problem = Some(error.to_string());
            return verdict;
        }
    };
    verdict.verified = true;
    verdict.signature = Signature::Good;
    let issuer = jwt.claims.string("iss").unwrap_or_default().to_owned();
    // At the moment it was made: whether it was revoked doesn't depend on whether it has expired.
    let made_at = jwt.claims.integer("iat").unwrap_or(now);
    let judged = |at| {
        let expected = Expected { issuer: Some(&issuer), audiences: None };
        VerifiedAccessToken::validate(&jwt, &expected, at)
    };
    verdict.revoked = judged(made_at).ok().map(|token| trust.is_revoked(token.claims()));
    verdict.problem = judged(now).err().map(|error| error.to_string());
    verdict
}

/// Revokes whatever it is that was given.
async fn revoke(args: &TableArgs, text: &str) -> anyhow::Result<Revoked> {
    let connection = Connection::open(args).await?;
    let result = if let Some(token) = RefreshToken::parse(text.into()) {
        revoke_session(&connection, &token).await
    } else if text.contains('.') {
        revoke_jwt(&connection, text).await
    } else {
        revoke_id(&connection, text).await
    };
    result.map_err(|error| connection.explain(error))
}

async fn revoke_session(connection: &Connection, token: &RefreshToken) -> anyhow::Result<Revoked> {
    let family = connection.families.get(token.family()).await?;
    let family =
        family.context("the refresh token's session is not known: it has ended long ago, or never was")?;
    // The trust bundle first. Stopped in between, the session still gets tokens, but useless ones; running the
    // command again ends it for good.
    connection.trust.revoke_session(&family.session_id, connection.clock.now()).await?;
    connection.families.revoke(token.family()).await?;
    Ok(Revoked { jti: None, sid: Some(family.session_id), revoked: true })
}

async fn revoke_jwt(connection: &Connection, jwt: &str) -> anyhow::Result<Revoked> {
    let (_, claims) = decode(jwt)?;
    let trust = connection.trust.snapshot(connection.clock.now()).await?;
    // Our own clock may be ahead, and call a live token expired.
    let now = connection.clock.now();
    let verdict = validate(jwt, &claims, Ok(&trust), now);
    ensure!(
        verdict.verified,
        "{}: nothing is revoked; `latchkey token inspect` shows whose it is",
        verdict.problem.unwrap_or_default()
    );
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let jti = text("jti").context("the token has no jti: nothing is revoked")?;
    let expires_at = claims.get("exp").and_then(Value::as_u64).unwrap_or(now + MAX_ACCESS_TOKEN_TTL);
    let revoked = is_still_accepted(expires_at, now);
    if revoked {
        connection.trust.revoke_token(&jti, expires_at).await?;
    }
    Ok(Revoked { jti: Some(jti), sid: None, revoked })
}

/// Clocks differ: a token is accepted a little longer than it says.
fn is_still_accepted(expires_at: u64, now: u64) -> bool {
    now < expires_at.saturating_add(LEEWAY)
}

async fn revoke_id(connection: &Connection, jti: &str) -> anyhow::Result<Revoked> {
    ensure!(
        is_token_id(jti),
        "this is neither a token of ours nor the id of one: `latchkey token revoke --help` shows examples"
    );
    connection.trust.revoke_token(jti, connection.clock.now() + MAX_ACCESS_TOKEN_TTL).await?;
    Ok(Revoked { jti: Some(jti.to_owned()), sid: None, revoked: true })
}

/// Whether this can be the `jti` of a token of ours. Anything else would be written down and stop nothing.
fn is_token_id(text: &str) -> bool {
    text.len() == ID_CHARACTERS && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What was revoked: a token by its id, or a session by its.
#[derive(Serialize)]
struct Revoked {
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// Not where there was nothing to do.
    revoked: bool,
}

impl Report for Revoked {
    fn for_people(&self) -> String {
        match (&self.jti, &self.sid) {
            (Some(jti), _) if !self.revoked => format!("Token {jti} has expired: there is nothing to do.\n"),
            (Some(jti), _) => format!("Token {jti} is revoked: it is refused within the trust interval.\n"),
            (None, sid) => {
                format!("Session {} is ended, and its tokens are revoked.\n", sid.clone().unwrap_or_default())
            }
        }
    }
}

#[derive(Serialize)]
struct Inspection {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    #[serde(flatten)]
    verdict: Verdict,
}

impl Report for Inspection {
    fn for_people(&self) -> String {
        let Verdict { signature, expired, revoked, problem, .. } = &self.verdict;
        let signature = match signature {
            Signature::Good => "good: a published key of ours made it",
            Signature::Bad => "BAD: not verified, anybody may have written this",
            Signature::UnknownKey => "UNKNOWN KEY: not verified, anybody may have written this",
            Signature::NotChecked => "NOT CHECKED: not verified, anybody may have written this",
        };
        let yes_or_no = |fact: &Option<bool>| match fact {
            Some(true) => "YES",
            Some(false) => "no",
            None => "not known",
        };
        let mut verdict = vec![
            ("signature", signature.to_owned()),
            ("expired", yes_or_no(expired).to_owned()),
            ("revoked", yes_or_no(revoked).to_owned()),
        ];
        verdict.extend(problem.clone().map(|problem| ("problem", problem)));
        format!(
            "{}\n{}\n{}\n{}\n{}\n{}",
            heading("Header"),
            members(&self.header),
            heading("Claims"),
            members(&self.claims),
            heading("Verdict"),
            fields(&verdict)
        )
    }
}

fn members(object: &Map<String, Value>) -> String {
    let shown = |(name, value): (&String, &Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match value.as_u64() {
            Some(seconds) if TIMES.contains(&name.as_str()) => {
                (name.clone(), format!("{text} ({})", time(seconds)))
            }
            _ => (name.clone(), text),
        }
    };
    let shown: Vec<_> = object.iter().map(shown).collect();
    foreign_fields(&shown.iter().map(|(name, value)| (name.as_str(), value.clone())).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::identity::secrets::random_id;

    fn jwt(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn token_is_found_in_what_it_was_copied_with() {
        for text in [
            "e30.e30.e30",
            " e30.e30.e30\r\n",
            "Bearer e30.e30.e30",
            "bearer   e30.e30.e30",
            "DPoP e30.e30.e30",
            "\"e30.e30.e30\"",
            "'e30.e30.e30'",
            "Authorization: Bearer e30.e30.e30",
            "'authorization:Bearer e30.e30.e30'",
            "\"Bearer 'e30.e30.e30'\"",
            "Bearer\n  e30.e30\n  .e30",
        ] {
            assert_eq!(bare(text), "e30.e30.e30", "{text:?}");
        }
        // An id may begin like a scheme.
        assert_eq!(bare("BearerBearerBearerBear"), "BearerBearerBearerBear");
        assert_eq!(bare("é"), "é");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        assert!(decode(&jwt(r#"{"alg":"none"}"#, "{}")).is_ok());
        for bad in ["", "a", "a.b", "e30.e30", "e30.e30.a.b", "W10.e30.", "e30.!.", "e30=.e30."] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_verified_without_the_published_keys() {
        let jwt = jwt(r#"{"alg":"RS256","kid":"k"}"#, r#"{"exp":100}"#);
        let (_, claims) = decode(&jwt).unwrap();
        let verdict = validate(&jwt, &claims, Err("the table is out of reach"), 100);
        assert_eq!((verdict.verified, verdict.signature), (false, Signature::NotChecked));
        assert_eq!((verdict.expired, verdict.revoked), (Some(true), None));
        assert_eq!(verdict.problem.as_deref(), Some("the table is out of reach"));
        let verdict = validate(&jwt, &claims, Ok(&TrustSnapshot::default()), 99);
        assert_eq!((verdict.verified, verdict.signature), (false, Signature::UnknownKey));
        assert_eq!(verdict.expired, Some(false));
    }

    #[test]
    fn an_algorithm_that_is_none_is_not_checked_but_named_as_a_problem() {
        let jwt = jwt(r#"{"alg":"none"}"#, "{}");
        let (_, claims) = decode(&jwt).unwrap();
        let verdict = validate(&jwt, &claims, Ok(&TrustSnapshot::default()), 0);
        assert_eq!((verdict.verified, verdict.signature), (false, Signature::NotChecked));
        assert!(verdict.problem.is_some());
    }

    #[test]
    fn the_id_of_a_token_is_like_those_we_make() {
        assert!(is_token_id(&random_id("")));
        let (short, long) = ("x".repeat(21), "x".repeat(23));
        for bad in ["", "billing", "G6FUBapOQwhK0F4gsXfOE_", "lk_cs_abcdefghijklmnop", &short, &long] {
            assert!(!is_token_id(bad), "{bad}");
        }
    }

    #[test]
    fn a_token_is_revoked_as_long_as_anybody_accepts_it() {
        for (now, accepted) in [(99, true), (100, true), (100 + LEEWAY - 1, true), (100 + LEEWAY, false)] {
            assert_eq!(is_still_accepted(100, now), accepted, "{now}");
        }
        let done = |revoked| Revoked { jti: Some("id".to_owned()), sid: None, revoked }.for_people();
        assert!(done(true).contains("is revoked") && done(false).contains("nothing to do"));
    }
}
