//! Colours, sparingly: for headers, and for states that somebody should see at a glance.
//!
//! They are always put in. Whoever writes to a terminal or a file does so by way of `anstream`, which takes
//! them out where they don't belong.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use comfy_table::{Attribute, Cell, Color};

/// How a word is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As any other.
    Plain,
    /// All is well.
    Good,
    /// Not yet, or not quite.
    Waiting,
    /// Wrong, or shut out.
    Bad,
    /// Over, or of no account.
    Faint,
}

impl Tone {
    /// What a value means, by its name and its first word.
    pub fn of(name: &str, value: &str) -> Self {
        let word = value.split([' ', ':']).next().unwrap_or_default();
        match (name, word) {
            ("state", "signing") | ("signature", "good") => Self::Good,
            ("state", "upcoming") => Self::Waiting,
            ("state", "disabled" | "revoked" | "lost")
            | ("signature", _)
            | ("expired" | "revoked", "YES") => Self::Bad,
            ("state", "retiring" | "retired" | "expired") => Self::Faint,
            _ => Self::Plain,
        }
    }

    /// The text with its colour.
    pub fn paint(self, text: impl Display) -> String {
        let style = match self {
            Self::Plain => return text.to_string(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Waiting => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Faint => Style::new().dimmed(),
        };
        format!("{style}{text}{style:#}")
    }

    /// A table's cell in that colour.
    pub fn cell(self, text: String) -> Cell {
        let cell = Cell::new(text);
        match self {
            Self::Plain => cell,
            Self::Good => cell.fg(Color::DarkGreen),
            Self::Waiting => cell.fg(Color::DarkYellow),
            Self::Bad => cell.fg(Color::DarkRed),
            Self::Faint => cell.add_attribute(Attribute::Dim),
        }
    }
}

/// A heading.
pub fn heading(text: &str) -> String {
    let style = Style::new().bold();
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_how_something_is_has_a_colour() {
        for (name, value, tone) in [
            ("state", "signing", Tone::Good),
            ("state", "enabled", Tone::Plain),
            ("state", "disabled", Tone::Bad),
            ("client_id", "disabled", Tone::Plain),
            ("signature", "good: a published key of ours made it", Tone::Good),
            ("signature", "BAD: not verified", Tone::Bad),
            ("expired", "no", Tone::Plain),
            ("expired", "YES", Tone::Bad),
        ] {
            assert_eq!(Tone::of(name, value), tone, "{name} {value}");
        }
        assert_eq!(Tone::Plain.paint("x"), "x");
        assert_eq!(Tone::Bad.paint("x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
