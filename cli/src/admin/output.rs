//! What a command answers: one JSON document for scripts, tables and lines for people.

use std::io::{self, Write};

use anyhow::Context;
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

/// For whom an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables and lines, for people
    #[default]
    Table,
    /// One JSON document, for scripts
    Json,
}

/// An answer. Its fields are those of the JSON document.
pub trait Report: Serialize {
    /// The same for people, with a line break at its end.
    fn for_people(&self) -> String;
}

impl Format {
    /// Writes the answer to standard output.
    ///
    /// # Errors
    /// A standard output that takes no more.
    pub fn print(self, report: &impl Report) -> anyhow::Result<()> {
        let text = match self {
            Self::Table => report.for_people(),
            Self::Json => serde_json::to_string_pretty(report)? + "\n",
        };
        io::stdout().write_all(text.as_bytes()).context("can't write to standard output")
    }
}

/// The one time that a secret is shown.
pub fn show_once<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// The same for a secret that there may not be.
pub fn show_once_if_any<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ExposeSecret::expose_secret).serialize(serializer)
}

/// A table with a header. `nothing` is said where there are no rows.
pub fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>, nothing: &str) -> String {
    if rows.is_empty() {
        return format!("{nothing}\n");
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.map(str::to_uppercase));
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| printable(&cell))));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

/// Names and values, one a line; an empty value is a dash.
pub fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| format!("{name:width$}  {}\n", dashed(&printable(value)));
    fields.iter().map(line).collect()
}

/// A moment in UTC, as RFC 3339 has it. `seconds` are since 1970.
pub fn time(seconds: u64) -> String {
    let timestamp = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    timestamp.map_or_else(|| seconds.to_string(), |timestamp| timestamp.to_string())
}

/// A moment that may not be set.
pub fn optional_time(seconds: Option<u64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), time)
}

fn dashed(value: &str) -> &str {
    if value.is_empty() { "-" } else { value }
}

/// Text without anything that a terminal would obey or that turns the reading direction: it may come out
/// of a token that anybody wrote.
fn printable(text: &str) -> String {
    let obeyed = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut printable, character| {
        if obeyed(character) {
            printable.extend(character.escape_unicode());
        } else {
            printable.push(character);
        }
        printable
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_nothing_by_what_it_shows() {
        assert_eq!(printable("\u{1b}[2Jé\u{9b}\n"), r"\u{1b}[2Jé\u{9b}\u{a}");
        assert_eq!(
            fields(&[("a", "\u{202e}x".to_owned()), ("long", String::new())]),
            "a     \\u{202e}x\nlong  -\n"
        );
    }

    #[test]
    fn a_table_has_one_line_a_row() {
        let rows = vec![["one".to_owned(), "1".to_owned()], ["other".to_owned(), "22".to_owned()]];
        assert_eq!(table(["name", "n"], rows, "nobody"), "NAME   N\none    1\nother  22\n");
        assert_eq!(table(["name"], Vec::new(), "nobody yet"), "nobody yet\n");
    }

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(time(1_795_219_200), "2026-11-21T00:00:00Z");
        assert_eq!(time(u64::MAX), u64::MAX.to_string());
        assert_eq!(optional_time(None), "-");
    }
}
