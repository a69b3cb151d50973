//! What a command answers: one JSON document for scripts, tables and lines for people.

use std::io::{self, Write};

use anyhow::Context;
use clap::ValueEnum;
use comfy_table::{Attribute, Cell, ColumnConstraint, ContentArrangement, Table, Width, presets};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

use crate::tone::Tone;

/// Blanks between two columns.
const GAP: u16 = 2;

/// The narrowest column that sentences are wrapped in, in characters.
const LEGIBLE: u16 = 40;

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
    /// The same for people, with a line break at its end, and in colour.
    fn for_people(&self) -> String;
}

impl Format {
    /// Writes the answer to standard output. Its colours reach terminals alone, and those whose owner wants
    /// them (`NO_COLOR`, `CLICOLOR_FORCE`).
    ///
    /// # Errors
    /// A standard output that takes no more.
    pub fn print(self, report: &impl Report) -> anyhow::Result<()> {
        let written = match self {
            Self::Table => anstream::stdout().write_all(report.for_people().as_bytes()),
            Self::Json => io::stdout().write_all((serde_json::to_string_pretty(report)? + "\n").as_bytes()),
        };
        written.context("can't write to standard output")
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
    let longest = |index: usize| {
        let words = rows.iter().flat_map(|row| row[index].split(' ')).chain([header[index]]);
        words.map(|word| printable(word).chars().count()).max().unwrap_or_default()
    };
    let longest: Vec<_> = (0..N).map(longest).collect();
    let mut table = bare_table();
    table.set_header(header.map(|name| Cell::new(name.to_uppercase()).add_attribute(Attribute::Bold)));
    let cell = |(name, text): (&str, String)| Tone::of(name, &text).cell(printable(&text));
    table.add_rows(rows.into_iter().map(|row| header.into_iter().zip(row).map(cell).collect::<Vec<_>>()));
    // However narrow the terminal, no word is broken: ids are copied, and times are read.
    table.set_constraints(longest.into_iter().map(|width| {
        let with_padding = width.saturating_add(GAP.into()).try_into().unwrap_or(u16::MAX);
        ColumnConstraint::LowerBoundary(Width::Fixed(with_padding))
    }));
    written(table)
}

/// One thing of a list: a mark, a name, and lines about it.
pub struct Item<'a> {
    /// One character.
    pub mark: &'a str,
    /// How the mark is meant.
    pub tone: Tone,
    /// The name.
    pub name: &'a str,
    /// The lines; long ones are wrapped on a terminal.
    pub lines: Vec<String>,
}

/// A list of marked things.
pub fn list(items: &[Item<'_>]) -> String {
    let mut table = bare_table();
    table.add_rows(items.iter().map(|Item { mark, tone, name, lines }| {
        let lines: Vec<_> = lines.iter().map(|line| printable(line)).collect();
        [tone.cell(printable(mark)), Cell::new(printable(name)), Cell::new(lines.join("\n"))]
    }));
    // A terminal that is too narrow, or doesn't know how wide it is, wraps by itself.
    let whole = ColumnConstraint::ContentWidth;
    table.set_constraints([whole, whole, ColumnConstraint::LowerBoundary(Width::Fixed(LEGIBLE))]);
    written(table)
}

fn bare_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    // Whether colours are shown is decided where they are written, for tables and lines alike.
    table.enforce_styling().style_text_only();
    table
}

fn written(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    table.trim_fmt() + "\n"
}

/// Names and values, one a line; an empty value is a dash.
pub fn fields(fields: &[(&str, String)]) -> String {
    lines(fields, Tone::of)
}

/// The same for values that anybody may have written: none of them looks like a verdict of ours.
pub fn foreign_fields(fields: &[(&str, String)]) -> String {
    lines(fields, |_, _| Tone::Plain)
}

fn lines(fields: &[(&str, String)], tone: impl Fn(&str, &str) -> Tone) -> String {
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| {
        let value = printable(value);
        format!("{name:width$}  {}\n", tone(name, &value).paint(dashed(&value)))
    };
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
    use anstream::adapter::strip_str;

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
        let coloured = table(["name", "n"], rows, "nobody");
        assert_eq!(strip_str(&coloured).to_string(), "NAME   N\none    1\nother  22\n");
        assert!(coloured.starts_with("\u{1b}[1mNAME"), "{coloured:?}");
        assert_eq!(table(["name"], Vec::new(), "nobody yet"), "nobody yet\n");
    }

    #[test]
    fn a_state_has_a_colour_that_nobody_else_can_write() {
        let state = [("state", "disabled".to_owned()), ("other", "disabled".to_owned())];
        let [first, second] = [fields(&state), foreign_fields(&state)].map(|text| text.contains('\u{1b}'));
        assert_eq!((first, second), (true, false));
        assert_eq!(strip_str(&fields(&state)).to_string(), foreign_fields(&state));
    }

    #[test]
    fn a_list_has_a_mark_before_each_name() {
        let lines = || vec!["one".to_owned(), "two".to_owned()];
        let item = |name| Item { mark: "!", tone: Tone::Waiting, name, lines: lines() };
        let coloured = list(&[item("a"), item("other")]);
        let expected = "!  a      one\n          two\n!  other  one\n          two\n";
        assert_eq!(strip_str(&coloured).to_string(), expected);
        assert!(coloured.contains('\u{1b}'));
    }

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(time(1_795_219_200), "2026-11-21T00:00:00Z");
        assert_eq!(time(u64::MAX), u64::MAX.to_string());
        assert_eq!(optional_time(None), "-");
    }
}
