//! Prompts. Without a terminal there is no prompt and no waiting.

use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};

use anyhow::{Context, bail, ensure};
use secrecy::{ExposeSecret, SecretString};
use tokio::signal::unix::{SignalKind, signal};

/// Reads a new password: typed twice without echo, or the first line of standard input.
///
/// # Errors
/// An empty password, two different passwords, and bytes that are not UTF-8.
pub fn new_password() -> anyhow::Result<SecretString> {
    if !io::stdin().is_terminal() {
        return first_line(io::stdin().lock());
    }
    // Without a handler, Ctrl-C would end the process before the terminal's echo is on again.
    let _caught = signal(SignalKind::interrupt())?;
    let ask = |prompt| {
        let typed = match rpassword::prompt_password(prompt) {
            Err(error) if error.kind() == ErrorKind::Interrupted => String::new(),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                eprintln!();
                String::new()
            }
            result => result.context("can't read a password from the terminal")?,
        };
        ensure!(!typed.is_empty(), "the password is empty. Nothing was changed");
        Ok(SecretString::from(typed))
    };
    let password = ask("Password: ")?;
    let again = ask("Confirm password: ")?;
    ensure!(
        password.expose_secret() == again.expose_secret(),
        "the two passwords differ. Nothing was changed"
    );
    Ok(password)
}

fn first_line(mut input: impl BufRead) -> anyhow::Result<SecretString> {
    let mut line = String::new();
    input.read_line(&mut line).context("can't read the password from standard input")?;
    // PowerShell and Windows editors write a byte order mark. A keyboard does not, so the user could not sign in.
    let password = line.strip_prefix('\u{feff}').unwrap_or(&line);
    let password = password.strip_suffix('\n').unwrap_or(password);
    let password = password.strip_suffix('\r').unwrap_or(password);
    ensure!(!password.is_empty(), "standard input has no password. Write it there on one line");
    Ok(SecretString::from(password))
}

/// Asks before a deletion, unless `yes` is set or standard input is not a terminal.
///
/// # Errors
/// Any answer but yes.
pub fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes || !io::stdin().is_terminal() {
        return Ok(());
    }
    ensure!(
        io::stderr().is_terminal(),
        "standard error is not a terminal. Give --yes to skip the confirmation"
    );
    io::stderr().write_all(format!("{question} [y/N] ").as_bytes())?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => bail!("not confirmed. Nothing was deleted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Option<String> {
        first_line(input).ok().map(|password| password.expose_secret().to_owned())
    }

    #[test]
    fn password_is_the_first_line_without_byte_order_mark_and_line_end() {
        assert_eq!(read(b"correct horse\nmore"), Some("correct horse".to_owned()));
        assert_eq!(read(b"correct horse\r\n"), Some("correct horse".to_owned()));
        assert_eq!(read(b" correct horse "), Some(" correct horse ".to_owned()));
        assert_eq!(read("\u{feff}correct horse\r\n".as_bytes()), Some("correct horse".to_owned()));
        assert_eq!(read("correct \u{feff}horse".as_bytes()), Some("correct \u{feff}horse".to_owned()));
        assert_eq!(read("\u{feff}\r\n".as_bytes()), None);
        assert_eq!(read(b"\n"), None);
        assert_eq!(read(b""), None);
        assert_eq!(read(b"\xff\xfe\n"), None);
    }
}
