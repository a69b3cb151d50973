//! `latchkey user import`: users of another system, with the hashes of their passwords.
//!
//! Each line is one conditional write. An import that is stopped at any point, or had bad lines, is run
//! again: who exists is skipped.

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

use super::connection::Connection;
use super::output::{Format, Report};
use super::user::Spec;

/// Writes under way at once: a far table takes tens of milliseconds for each.
const UNDER_WAY: usize = 16;

/// What a line may hold.
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
        let so_far = format!("stopped after {} new users; run it again to go on", done.imported);
        return Err(connection.explain(error).context(so_far));
    }
    done.failed.sort_by_key(|failed| failed.line);
    format.print(&done)?;
    match done.failed.len() {
        0 => Ok(()),
        1 => bail!("a line was not imported: mend it and run the import again"),
        lines => bail!("{lines} lines were not imported: mend them and run the import again"),
    }
}

/// The progress is drawn on standard error, and only if that is a terminal.
fn open(file: &Path) -> anyhow::Result<(Box<dyn BufRead>, ProgressBar)> {
    if file.as_os_str() == "-" {
        // Nobody knows how long it is, and whoever types needs no progress.
        let bar = if io::stdin().is_terminal() { ProgressBar::hidden() } else { ProgressBar::no_length() };
        let bar = bar.with_style(ProgressStyle::with_template("{spinner} {bytes} read")?);
        return Ok((Box::new(bar.wrap_read(io::stdin().lock())), bar));
    }
    let cannot = || format!("can't read {}", file.display());
    let input = File::open(file).with_context(cannot)?;
    let metadata = input.metadata().with_context(cannot)?;
    ensure!(!metadata.is_dir(), "{}: it is a folder, and a file of JSON lines is wanted", cannot());
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes}, {eta} to go")?;
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
            if input.read_until(b'\n', &mut line).context("can't read any further")? == 0 {
                break;
            }
            number += 1;
            match read(&line, now) {
                Ok(None) => {}
                // Of two lines with one name the first counts, whichever write is faster.
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

    /// Waits for a write; false if there is none left. A store that does not answer ends the import: every
    /// further line would wait in vain.
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

/// Reads a line; an empty one is nobody. No reason repeats what the line holds: it may be a hash.
fn read(line: &[u8], now: u64) -> anyhow::Result<Option<User>> {
    let text = str::from_utf8(line).map_err(|_| anyhow!("it is not UTF-8"))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Ok(None);
    }
    let members: StrictObject = serde_json::from_str(text).map_err(|_| anyhow!("it is not a JSON object"))?;
    if members.iter().any(|(name, _)| !MEMBERS.contains(&name)) {
        bail!("it has a member other than {}", MEMBERS.join(", "));
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

/// What an import came to.
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
    fn for_people(&self) -> String {
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
    fn a_line_is_a_user() {
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
    fn a_bad_line_has_a_reason_that_repeats_nothing_of_it() {
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
            (format!(r#"{{"username":" ","password_hash":"{HASH}"}}"#), "a user name has"),
            (format!(r#"{{"username":"usr_1","password_hash":"{HASH}"}}"#), "a user name has"),
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
        assert_eq!(read(b"\xff\n", 0).err().unwrap().to_string(), "it is not UTF-8");
    }
}
