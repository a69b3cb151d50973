//! `latchkey user import`: users of another system with their password hashes.
//!
//! Each line is one conditional write that skips users that exist. An import that was interrupted or had bad lines can
//! be run again.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value;
use shared::identity::usernames::canonicalize;
use shared::jose::strict_object::StrictObject;
use shared::passwords::hash::PasswordHash;
use shared::store::table::StoreError;
use shared::store::users::{User, Users};
use tokio::task::JoinSet;

use super::spec::Spec;
use crate::admin::connection::Connection;
use crate::admin::output::{Format, Report};

/// Concurrent writes. Each takes tens of milliseconds to a far region.
const UNDER_WAY: usize = 16;

/// The members that a line may have.
const MEMBERS: [&str; 4] = ["username", "password_hash", "email", "scopes"];

/// Imports a file, or standard input for `-`. `now` is in seconds since 1970.
///
/// # Errors
/// A file that can't be read, a store that does not answer, and lines that were not imported.
pub async fn run(connection: &Connection, file: &Path, format: Format, now: u64) -> anyhow::Result<()> {
    let (input, bar) = open(file)?;
    let mut import =
        Import { users: connection.users.clone(), writes: JoinSet::new(), done: Imported::default() };
    let result = import.run(input, now).await;
    bar.finish_and_clear();
    let mut done = import.done;
    if let Err(error) = result {
        let so_far =
            format!("the import stopped after {} new users. Run it again to continue. Cause", done.imported);
        return Err(connection.explain(error).context(so_far));
    }
    done.failed.sort_by_key(|failed| failed.line);
    format.print(&done)?;
    match done.failed.len() {
        0 => Ok(()),
        1 => bail!("1 line failed. Fix it and import again"),
        lines => bail!("{lines} lines failed. Fix them and import again"),
    }
}

/// Opens the input with a progress bar, which is drawn if standard error is a terminal.
fn open(file: &Path) -> anyhow::Result<(Box<dyn BufRead>, ProgressBar)> {
    if file.as_os_str() == "-" {
        // The length of a pipe is unknown. A terminal as input needs no progress bar.
        let bar = if io::stdin().is_terminal() { ProgressBar::hidden() } else { ProgressBar::no_length() };
        let bar = bar.with_style(ProgressStyle::with_template("{spinner} {bytes} read")?);
        return Ok((Box::new(bar.wrap_read(io::stdin().lock())), bar));
    }
    let cannot = || format!("can't read {}", file.display());
    let input = File::open(file).with_context(cannot)?;
    let metadata = input.metadata().with_context(cannot)?;
    ensure!(!metadata.is_dir(), "{} is a folder. Give a file of JSON lines", file.display());
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes}, {eta} left")?;
    let bar = ProgressBar::new(metadata.len()).with_style(style);
    Ok((Box::new(BufReader::new(bar.wrap_read(input))), bar))
}

struct Import {
    users: Users,
    writes: JoinSet<Result<(), StoreError>>,
    done: Imported,
}

impl Import {
    async fn run(&mut self, mut input: impl BufRead, now: u64) -> anyhow::Result<()> {
        let mut seen = HashSet::new();
        let mut number = 0;
        loop {
            let mut line = Vec::new();
            if input.read_until(b'\n', &mut line).context("can't read the input")? == 0 {
                break;
            }
            number += 1;
            match read(&line, now) {
                Ok(None) => {}
                // The first of two lines with one username is imported, whichever write is faster.
                Ok(Some(user)) if !seen.insert(canonicalize(&user.username)) => self.done.skipped += 1,
                Ok(Some(user)) => self.write(user).await?,
                Err(reason) => self.done.failed.push(Failed { line: number, reason: reason.to_string() }),
            }
        }
        while self.finish_one().await? {}
        Ok(())
    }

    async fn write(&mut self, user: User) -> anyhow::Result<()> {
        if self.writes.len() >= UNDER_WAY {
            self.finish_one().await?;
        }
        let users = self.users.clone();
        self.writes.spawn(async move { users.create(&user).await });
        Ok(())
    }

    /// Waits for a write. `false` if there is none left. An error of the store ends the import, because every further
    /// line would fail too.
    async fn finish_one(&mut self) -> anyhow::Result<bool> {
        let Some(written) = self.writes.join_next().await else { return Ok(false) };
        match written? {
            Ok(()) => self.done.imported += 1,
            Err(StoreError::Exists) => self.done.skipped += 1,
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }
}

/// Reads a line. `None` if it is empty. The errors don't repeat the line, which may hold a hash.
fn read(line: &[u8], now: u64) -> anyhow::Result<Option<User>> {
    let text = str::from_utf8(line).map_err(|_| anyhow!("the line is not UTF-8"))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Ok(None);
    }
    let members: StrictObject =
        serde_json::from_str(text).map_err(|_| anyhow!("the line is not a JSON object"))?;
    if members.iter().any(|(name, _)| !MEMBERS.contains(&name)) {
        bail!("the line has a member other than {}", MEMBERS.join(", "));
    }
    let required = |name| members.string(name).with_context(|| format!("{name} is missing or not a string"));
    let username = required("username")?.to_owned();
    let hash = PasswordHash::import(required("password_hash")?)?;
    let email = match members.get("email") {
        None | Some(Value::Null) => None,
        Some(email) => Some(email.as_str().context("email is not a string")?.to_owned()),
    };
    let scopes = match members.get("scopes") {
        None | Some(Value::Null) => Vec::new(),
        Some(scopes) => strings(scopes).context("scopes is not an array of strings")?,
    };
    Spec { username, email, scopes }.into_user(hash, now).map(Some)
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

/// The result of an import.
#[derive(Default, Serialize)]
struct Imported {
    imported: u64,
    skipped: u64,
    failed: Vec<Failed>,
}

#[derive(Serialize)]
struct Failed {
    /// Counted from 1.
    line: u64,
    reason: String,
}

impl Report for Imported {
    fn render_text(&self) -> String {
        let Self { imported, skipped, failed } = self;
        let summary = format!("{imported} imported, {skipped} skipped, {} failed\n", failed.len());
        let lines = failed.iter().map(|failed| format!("line {}: {}\n", failed.line, failed.reason));
        lines.collect::<String>() + &summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::oauth::scope::Scopes;

    const HASH: &str = "$2b$12$abcdefghijklmnopqrstuuOcGvNgpRSKa7I8bIYwbgPnPO4dLyAaS";

    fn reason(line: &str) -> String {
        read(line.as_bytes(), 0).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn line_is_a_user() {
        let line = format!(
            r#"{{"username":"ada","password_hash":"{HASH}","email":"ada@example.com","scopes":["b","a"]}}"#
        );
        let user = read(format!("\u{feff}{line}\r\n").as_bytes(), 7).unwrap().unwrap();
        assert!(user.sub.starts_with("usr_") && user.password_hash.is_some() && !user.disabled);
        assert_eq!((user.username.as_str(), user.created_at), ("ada", 7));
        assert_eq!(
            (user.email.as_deref(), user.scopes.to_string().as_str()),
            (Some("ada@example.com"), "a b")
        );
        let least = format!(r#"{{"username":"ada","password_hash":"{HASH}","email":null}}"#);
        assert_eq!(read(least.as_bytes(), 7).unwrap().unwrap().scopes, Scopes::default());
        assert!(read(b" \n", 7).unwrap().is_none());
    }

    #[test]
    fn error_of_a_bad_line_does_not_repeat_the_line() {
        for (line, words) in [
            ("{".to_owned(), "not a JSON object"),
            ("[]".to_owned(), "not a JSON object"),
            (format!(r#"{{"username":"a","username":"b","password_hash":"{HASH}"}}"#), "not a JSON object"),
            (format!(r#"{{"username":"ada","password_hash":"{HASH}","scope":[]}}"#), "a member other than"),
            (format!(r#"{{"password_hash":"{HASH}"}}"#), "username is missing"),
            (r#"{"username":"ada"}"#.to_owned(), "password_hash is missing"),
            (r#"{"username":"ada","password_hash":"canary"}"#.to_owned(), "neither bcrypt"),
            (
                format!(r#"{{"username":"ada","password_hash":"{}"}}"#, HASH.replace("$12", "$04")),
                "out of bounds",
            ),
            (
                format!(r#"{{"username":"ada","password_hash":"{}"}}"#, HASH.replace("2b", "2x")),
                "broken bcrypt",
            ),
            (
                format!(r#"{{"username":"ada","password_hash":"bcrypt_sha256${HASH}"}}"#),
                "bcrypt of a SHA-256 of the password",
            ),
            (format!(r#"{{"username":" ","password_hash":"{HASH}"}}"#), "the username is invalid"),
            (format!(r#"{{"username":"usr_1","password_hash":"{HASH}"}}"#), "the username is invalid"),
            (format!(r#"{{"username":"ada","password_hash":"{HASH}","email":"canary"}}"#), "email address"),
            (format!(r#"{{"username":"ada","password_hash":"{HASH}","email":1}}"#), "email is not a string"),
            (
                format!(r#"{{"username":"ada","password_hash":"{HASH}","scopes":"canary"}}"#),
                "scopes is not an array",
            ),
            (
                format!(r#"{{"username":"ada","password_hash":"{HASH}","scopes":["é"]}}"#),
                "a scope is made of",
            ),
        ] {
            let reason = reason(&line);
            assert!(reason.contains(words) && !reason.contains("canary"), "{line}: {reason}");
        }
        assert_eq!(read(b"\xff\n", 0).err().unwrap().to_string(), "the line is not UTF-8");
    }
}
