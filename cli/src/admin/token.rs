//! `latchkey token`: inspects and revokes tokens.

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
use super::output::{Fields, Format, Report, render, render_foreign};
use crate::style::heading;

/// The maximum length of standard input, in bytes. Every token is shorter.
const MAX_INPUT: u64 = 64 * 1024;

/// The length of a token's id, which `shared::identity::secrets::random_id` makes.
const ID_CHARACTERS: usize = 22;

/// Inspect and revoke tokens
#[derive(Args)]
pub struct TokenArgs {
    #[command(flatten)]
    table: TableArgs,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Show header and claims of a token, and verify it with the keys of the table
    ///
    /// The command shows a token without a table too, and says that it is not verified. It doesn't check issuer and
    /// audience.
    #[command(after_help = "Examples:\n  \
        latchkey token inspect \"$TOKEN\"\n  \
        pbpaste | latchkey token inspect - --output json")]
    Inspect {
        /// Token, with or without `Bearer` and quotes, or - for standard input
        jwt: String,
    },
    /// Revoke an access token, or a refresh token with its token family
    #[command(after_help = "Examples:\n  \
        latchkey token revoke \"$TOKEN\"\n  \
        pbpaste | latchkey token revoke -\n  \
        latchkey token revoke G6FUBapOQwhK0F4gsXfOEf    # the jti from the log")]
    Revoke {
        /// Token, with or without `Bearer` and quotes, or its id (jti), or - for standard input
        token: String,
    },
}

impl TokenArgs {
    /// Runs the command.
    ///
    /// # Errors
    /// Text that is not a token.
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
        let validation = validate(&jwt, &claims, trust.as_ref().map_err(String::as_str), clock::now());
        format.print(&Inspection { header, claims, validation })
    }
}

fn read(input: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    input.take(MAX_INPUT).read_to_string(&mut text).context("can't read a token from standard input")?;
    Ok(text)
}

/// The token without what it was copied with: quotes, the header's name, the scheme, and the line ends that a terminal
/// or a mail inserted. A token contains none of these.
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

/// Header and claims, unverified.
fn decode(jwt: &str) -> anyhow::Result<(Map<String, Value>, Map<String, Value>)> {
    let no_token =
        || anyhow!("the input is not a JSON Web Token. Give three parts of base64url, separated by dots");
    let object = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| no_token())?;
        serde_json::from_slice(&bytes).map_err(|_| no_token())
    };
    match jwt.split('.').collect::<Vec<_>>().as_slice() {
        [header, claims, _] => Ok((object(header)?, object(claims)?)),
        _ => Err(no_token()),
    }
}

/// The result of verifying a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Signature {
    /// A published key verifies it.
    Good,
    /// The published key that the token names does not verify it.
    Bad,
    /// The token names no published key.
    UnknownKey,
    /// It was not verified.
    NotChecked,
}

#[derive(Serialize)]
struct Validation {
    /// Whether the signature is verified. If not, the token may be forged.
    verified: bool,
    signature: Signature,
    /// `None` without an `exp`.
    expired: Option<bool>,
    /// `None` if the signature is not verified.
    revoked: Option<bool>,
    /// Why the authorizer rejects the token, or why it was not verified.
    problem: Option<String>,
}

/// Validates a token as the authorizer does, except issuer and audience. `trust` is the trust snapshot, or the reason
/// why it can't be read.
fn validate(
    jwt: &str,
    claims: &Map<String, Value>,
    trust: Result<&TrustSnapshot, &str>,
    now: u64,
) -> Validation {
    let mut validation = Validation {
        verified: false,
        signature: Signature::NotChecked,
        expired: claims.get("exp").and_then(Value::as_u64).map(|expires_at| expires_at <= now),
        revoked: None,
        problem: None,
    };
    let trust = match trust {
        Ok(trust) => trust,
        Err(problem) => {
            validation.problem = Some(problem.to_owned());
            return validation;
        }
    };
    let unverified = match UnverifiedJwt::parse(jwt, MAX_ACCESS_TOKEN) {
        Ok(unverified) => unverified,
        Err(error) => {
            validation.problem = Some(error.to_string());
            return validation;
        }
    };
    let Some(key) = unverified.key_id().and_then(|key_id| trust.key(key_id, now)) else {
        validation.signature = Signature::UnknownKey;
        validation.problem = Some(JwtError::UnknownKey.to_string());
        return validation;
    };
    let jwt = match unverified.verify(key) {
        Ok(jwt) => jwt,
        Err(error) => {
            validation.signature = Signature::Bad;
            validation.problem = Some(error.to_string());
            return validation;
        }
    };
    validation.verified = true;
    validation.signature = Signature::Good;
    let issuer = jwt.claims.string("iss").unwrap_or_default().to_owned();
    // As of its issuance, because an expired token may be revoked too.
    let issued_at = jwt.claims.integer("iat").unwrap_or(now);
    let validated = |at| {
        let expected = Expected { issuer: Some(&issuer), audiences: None };
        VerifiedAccessToken::validate(&jwt, &expected, at)
    };
    validation.revoked = validated(issued_at).ok().map(|token| trust.is_revoked(token.claims()));
    validation.problem = validated(now).err().map(|error| error.to_string());
    validation
}

/// Revokes a refresh token, an access token or a token id.
async fn revoke(args: &TableArgs, text: &str) -> anyhow::Result<RevokedToken> {
    let connection = Connection::open(args).await?;
    let result = if let Some(token) = RefreshToken::parse(text.into()) {
        revoke_family(&connection, &token).await
    } else if text.contains('.') {
        revoke_jwt(&connection, text).await
    } else {
        revoke_id(&connection, text).await
    };
    result.map_err(|error| connection.explain(error))
}

async fn revoke_family(connection: &Connection, token: &RefreshToken) -> anyhow::Result<RevokedToken> {
    let family = connection.families.get(token.family()).await?;
    let family = family.context(
        "the refresh token's token family does not exist. It has expired, or the token is not ours",
    )?;
    // The trust partition first. If the command is interrupted here, the token family gets only revoked tokens.
    // Running the command again revokes it permanently.
    connection.trust.revoke_session(&family.session_id, connection.clock.now()).await?;
    connection.families.revoke(token.family()).await?;
    Ok(RevokedToken { jti: None, sid: Some(family.session_id), revoked: true })
}

async fn revoke_jwt(connection: &Connection, jwt: &str) -> anyhow::Result<RevokedToken> {
    let (_, claims) = decode(jwt)?;
    let trust = connection.trust.snapshot(connection.clock.now()).await?;
    // This machine's clock may be ahead, and a valid token would seem expired.
    let now = connection.clock.now();
    let validation = validate(jwt, &claims, Ok(&trust), now);
    ensure!(
        validation.verified,
        "the token is not verified ({}). Nothing was revoked. `latchkey token inspect` shows the token",
        validation.problem.unwrap_or_default()
    );
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let jti = text("jti").context("the token has no jti. Nothing was revoked")?;
    let expires_at = claims.get("exp").and_then(Value::as_u64).unwrap_or(now + MAX_ACCESS_TOKEN_TTL);
    let revoked = is_still_accepted(expires_at, now);
    if revoked {
        connection.trust.revoke_token(&jti, expires_at).await?;
    }
    Ok(RevokedToken { jti: Some(jti), sid: None, revoked })
}

/// Whether verifiers accept a token, which they do until [`LEEWAY`] after its `exp`.
fn is_still_accepted(expires_at: u64, now: u64) -> bool {
    now < expires_at.saturating_add(LEEWAY)
}

async fn revoke_id(connection: &Connection, jti: &str) -> anyhow::Result<RevokedToken> {
    ensure!(
        is_token_id(jti),
        "the input is neither a token nor a token id (jti). `latchkey token revoke --help` shows examples"
    );
    connection.trust.revoke_token(jti, connection.clock.now() + MAX_ACCESS_TOKEN_TTL).await?;
    Ok(RevokedToken { jti: Some(jti.to_owned()), sid: None, revoked: true })
}

/// Whether this can be the `jti` of one of our tokens. Revoking any other text would have no effect.
fn is_token_id(text: &str) -> bool {
    text.len() == ID_CHARACTERS && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The revoked token or token family.
#[derive(Serialize)]
struct RevokedToken {
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// `false` for a token that has expired.
    revoked: bool,
}

impl Report for RevokedToken {
    fn render_text(&self) -> String {
        match (&self.jti, &self.sid) {
            (Some(jti), _) if !self.revoked => format!("Token {jti} has expired. Nothing to revoke.\n"),
            (Some(jti), _) => {
                format!("Token {jti} is revoked. Authorizers reject it within the trust interval.\n")
            }
            (None, sid) => {
                format!("Token family {} is revoked with its tokens.\n", sid.clone().unwrap_or_default())
            }
        }
    }
}

#[derive(Serialize)]
struct Inspection {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    #[serde(flatten)]
    validation: Validation,
}

impl Report for Inspection {
    fn render_text(&self) -> String {
        let Validation { signature, expired, revoked, problem, .. } = &self.validation;
        let signature = match signature {
            Signature::Good => "good, verified with a published key",
            Signature::Bad => "BAD, the token may be forged",
            Signature::UnknownKey => "UNKNOWN KEY, the token may be forged",
            Signature::NotChecked => "NOT CHECKED, the token may be forged",
        };
        let yes_or_no = |fact: &Option<bool>| match fact {
            Some(true) => "YES",
            Some(false) => "no",
            None => "unknown",
        };
        let validation = Fields::from([
            ("signature", signature.into()),
            ("expired", yes_or_no(expired).into()),
            ("revoked", yes_or_no(revoked).into()),
            ("problem", problem.clone().into()),
        ]);
        format!(
            "{}\n{}\n{}\n{}\n{}\n{}",
            heading("Header"),
            render_foreign(&self.header),
            heading("Claims"),
            render_foreign(&self.claims),
            heading("Validation"),
            render(&validation)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::identity::secrets::random_id;

    fn jwt(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn quotes_scheme_and_line_ends_of_a_copied_token_are_removed() {
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
    fn text_that_is_not_a_jwt_is_rejected() {
        assert!(decode(&jwt(r#"{"alg":"none"}"#, "{}")).is_ok());
        for bad in ["", "a", "a.b", "e30.e30", "e30.e30.a.b", "W10.e30.", "e30.!.", "e30=.e30."] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn signature_is_not_verified_without_published_keys() {
        let jwt = jwt(r#"{"alg":"RS256","kid":"k"}"#, r#"{"exp":100}"#);
        let (_, claims) = decode(&jwt).unwrap();
        let validation = validate(&jwt, &claims, Err("the table is out of reach"), 100);
        assert_eq!((validation.verified, validation.signature), (false, Signature::NotChecked));
        assert_eq!((validation.expired, validation.revoked), (Some(true), None));
        assert_eq!(validation.problem.as_deref(), Some("the table is out of reach"));
        let validation = validate(&jwt, &claims, Ok(&TrustSnapshot::default()), 99);
        assert_eq!((validation.verified, validation.signature), (false, Signature::UnknownKey));
        assert_eq!(validation.expired, Some(false));
    }

    #[test]
    fn unsigned_token_is_not_verified_and_the_problem_is_named() {
        let jwt = jwt(r#"{"alg":"none"}"#, "{}");
        let (_, claims) = decode(&jwt).unwrap();
        let validation = validate(&jwt, &claims, Ok(&TrustSnapshot::default()), 0);
        assert_eq!((validation.verified, validation.signature), (false, Signature::NotChecked));
        assert!(validation.problem.is_some());
    }

    #[test]
    fn token_id_has_the_form_of_our_random_ids() {
        assert!(is_token_id(&random_id("")));
        let (short, long) = ("x".repeat(21), "x".repeat(23));
        for bad in ["", "billing", "G6FUBapOQwhK0F4gsXfOE_", "lk_cs_abcdefghijklmnop", &short, &long] {
            assert!(!is_token_id(bad), "{bad}");
        }
    }

    #[test]
    fn token_is_revoked_as_long_as_verifiers_accept_it() {
        for (now, accepted) in [(99, true), (100, true), (100 + LEEWAY - 1, true), (100 + LEEWAY, false)] {
            assert_eq!(is_still_accepted(100, now), accepted, "{now}");
        }
        let done = |revoked| RevokedToken { jti: Some("id".to_owned()), sid: None, revoked }.render_text();
        assert!(done(true).contains("is revoked") && done(false).contains("Nothing to revoke"));
    }
}
