//! The styles of headings, states and marks. `anstream` removes them where standard output is not a terminal.

use std::fmt::Display;

use anstyle::AnsiColor;
use comfy_table::{Attribute, Cell, Color};

/// The style of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// No style.
    Plain,
    /// Active or verified.
    Good,
    /// Pending, or a warning.
    Pending,
    /// Revoked, rejected or a problem.
    Bad,
    /// Retired or not checked.
    Faint,
}

impl Style {
    /// The style of a field, by its name and the first word of its value.
    pub fn of(name: &str, value: &str) -> Self {
        let word = value.split([' ', ',']).next().unwrap_or_default();
        match (name, word) {
            ("state", "active") | ("signature", "good") => Self::Good,
            ("state", "pending") => Self::Pending,
            ("state", "disabled" | "revoked" | "missing")
            | ("signature", _)
            | ("expired" | "revoked", "YES") => Self::Bad,
            ("state", "retiring" | "retired" | "expired") => Self::Faint,
            _ => Self::Plain,
        }
    }

    /// The text in this style.
    pub fn paint(self, text: impl Display) -> String {
        let style = match self {
            Self::Plain => return text.to_string(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Pending => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Faint => anstyle::Style::new().dimmed(),
        };
        format!("{style}{text}{style:#}")
    }

    /// A table's cell in this style.
    pub fn cell(self, text: &str) -> Cell {
        let cell = Cell::new(text);
        match self {
            Self::Plain => cell,
            Self::Good => cell.fg(Color::DarkGreen),
            Self::Pending => cell.fg(Color::DarkYellow),
            Self::Bad => cell.fg(Color::DarkRed),
            Self::Faint => cell.add_attribute(Attribute::Dim),
        }
    }
}

/// A heading.
pub fn heading(text: &str) -> String {
    let style = anstyle::Style::new().bold();
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_states_and_validation_results_have_a_colour() {
        for (name, value, style) in [
            ("state", "active", Style::Good),
            ("state", "enabled", Style::Plain),
            ("state", "disabled", Style::Bad),
            ("client_id", "disabled", Style::Plain),
            ("signature", "good, verified with a published key", Style::Good),
            ("signature", "BAD, the token may be forged", Style::Bad),
            ("expired", "no", Style::Plain),
            ("expired", "YES", Style::Bad),
        ] {
            assert_eq!(Style::of(name, value), style, "{name} {value}");
        }
        assert_eq!(Style::Plain.paint("x"), "x");
        assert_eq!(Style::Bad.paint("x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
