//! The printer of all answers: one JSON document for scripts, or the same fields as text.

use std::fmt;
use std::io::{self, Write};

use anyhow::Context;
use clap::ValueEnum;
use comfy_table::{Attribute, Cell, ColumnConstraint, ContentArrangement, Table, Width, presets};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::style::Style;

/// Blanks between two columns.
const GAP: u16 = 2;

/// The narrowest column in which sentences are wrapped, in characters.
const LEGIBLE: u16 = 40;

/// The format of a command's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables and lines
    #[default]
    Table,
    /// One JSON document
    Json,
}

/// An answer. As JSON it has the fields of its `Serialize`.
pub trait Report: Serialize {
    /// The text of the answer in colour, with a line break at its end.
    fn render_text(&self) -> String {
        render(self)
    }
}

impl Format {
    /// Writes the answer to standard output. Colours are removed unless it is a terminal (`NO_COLOR`,
    /// `CLICOLOR_FORCE`).
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn print(self, report: &impl Report) -> anyhow::Result<()> {
        let written = match self {
            Self::Table => anstream::stdout().write_all(report.render_text().as_bytes()),
            Self::Json => io::stdout().write_all((serde_json::to_string_pretty(report)? + "\n").as_bytes()),
        };
        written.context("can't write to standard output")
    }
}

/// Prints a secret, for the answer that creates it.
pub fn show_once<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// [`show_once`] for an optional secret.
pub fn show_once_if_any<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ExposeSecret::expose_secret).serialize(serializer)
}

/// A list, with the text for an empty one.
#[derive(Serialize)]
#[serde(transparent)]
pub struct List<T> {
    /// The rows of the table.
    pub rows: Vec<T>,
    /// The text without rows.
    #[serde(skip)]
    pub empty: &'static str,
}

impl<T: Serialize> Report for List<T> {
    fn render_text(&self) -> String {
        if self.rows.is_empty() { format!("{}\n", self.empty) } else { render(&self.rows) }
    }
}

/// An answer whose text ends with a note.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Noted<T> {
    /// The answer.
    pub answer: T,
    /// The note.
    #[serde(skip)]
    pub note: String,
}

impl<T: Report> Report for Noted<T> {
    fn render_text(&self) -> String {
        format!("{}\n{}\n", self.answer.render_text(), self.note)
    }
}

/// A change. Its text is one sentence.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Done {
    fields: Fields,
    #[serde(skip)]
    sentence: String,
}

impl Done {
    /// A change with its JSON fields.
    pub fn new<const N: usize>(fields: [(&str, Value); N], sentence: String) -> Self {
        Self { fields: fields.into(), sentence }
    }
}

impl Report for Done {
    fn render_text(&self) -> String {
        format!("{}\n", self.sentence)
    }
}

/// A JSON object in the order of its fields, which `serde_json::Map` sorts.
#[derive(Default)]
pub struct Fields(Vec<(String, Value)>);

impl<const N: usize> From<[(&str, Value); N]> for Fields {
    fn from(fields: [(&str, Value); N]) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// An answer as JSON.
#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Rows(Vec<Fields>),
    Object(Fields),
}

impl Document {
    fn of<T: Serialize + ?Sized>(answer: &T) -> Self {
        let json = serde_json::to_string(answer).unwrap_or_default();
        serde_json::from_str(&json).unwrap_or_else(|_| Self::Object(Fields::default()))
    }
}

/// The text of an answer: a table for a list of objects, or a line for each field of an object.
pub fn render<T: Serialize + ?Sized>(answer: &T) -> String {
    match Document::of(answer) {
        Document::Rows(rows) => table(&rows),
        Document::Object(fields) => lines(&fields.labelled(), Style::of),
    }
}

/// The text of an object that may come from an attacker, without styles that only our results have.
pub fn render_foreign<T: Serialize + ?Sized>(object: &T) -> String {
    match Document::of(object) {
        Document::Rows(rows) => table(&rows),
        Document::Object(Fields(fields)) => {
            let shown = fields.into_iter().map(|(name, value)| {
                let value = text(&name, &value);
                (printable(&name), value)
            });
            lines(&shown.collect::<Vec<_>>(), |_, _| Style::Plain)
        }
    }
}

impl Fields {
    /// Names and texts. `disabled` is shown as the state that it means.
    fn labelled(&self) -> Vec<(String, String)> {
        let label = |(name, value): &(String, Value)| match (name.as_str(), value) {
            ("disabled", Value::Bool(true)) => ("state".to_owned(), "disabled".to_owned()),
            ("disabled", Value::Bool(false)) => ("state".to_owned(), "enabled".to_owned()),
            _ => (name.clone(), text(name, value)),
        };
        self.0.iter().map(label).collect()
    }
}

/// The text of a value. An empty one is a dash.
fn text(name: &str, value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => printable(text),
        Value::Number(number) => match number.as_u64() {
            Some(seconds) if is_time(name) => time(seconds),
            Some(seconds) if name.ends_with("_on") => {
                time(seconds).split('T').next().unwrap_or_default().to_owned()
            }
            _ => number.to_string(),
        },
        Value::Array(items) => {
            let separator = if items.iter().any(Value::is_object) { "; " } else { " " };
            items.iter().map(|item| self::text(name, item)).collect::<Vec<_>>().join(separator)
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let value = self::text(name, value);
                format!("{}={value}", printable(name))
            };
            members.iter().map(member).collect::<Vec<_>>().join(" ")
        }
    };
    if text.is_empty() { "-".to_owned() } else { text }
}

/// Whether a field is a time in seconds since 1970.
fn is_time(name: &str) -> bool {
    name.ends_with("_at") || ["auth_time", "exp", "iat", "nbf", "signs_from"].contains(&name)
}

fn lines(fields: &[(String, String)], style: impl Fn(&str, &str) -> Style) -> String {
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let line =
        |(name, value): &(String, String)| format!("{name:width$}  {}\n", style(name, value).paint(value));
    fields.iter().map(line).collect()
}

fn table(rows: &[Fields]) -> String {
    let rows: Vec<_> = rows.iter().map(Fields::labelled).collect();
    let names: Vec<_> = rows.first().into_iter().flatten().map(|(name, _)| name.to_uppercase()).collect();
    let mut table = bare_table();
    table.set_header(names.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    table.add_rows(rows.iter().map(|row| row.iter().map(|(name, text)| Style::of(name, text).cell(text))));
    // No word is broken in a narrow terminal: ids are copied, and times are read.
    let longest = |(index, name): (usize, &String)| {
        let texts = rows.iter().filter_map(|row| row.get(index)).map(|(_, text)| text);
        let words = texts.flat_map(|text| text.split(' ')).chain([name.as_str()]);
        words.map(|word| word.chars().count()).max().unwrap_or_default()
    };
    table.set_constraints(names.iter().enumerate().map(longest).map(|width| {
        let with_padding = width.saturating_add(GAP.into()).try_into().unwrap_or(u16::MAX);
        ColumnConstraint::LowerBoundary(Width::Fixed(with_padding))
    }));
    written(table)
}

/// A line of a checklist: a mark, a name, and lines about it.
pub struct Item<'a> {
    /// One character.
    pub mark: &'a str,
    /// The style of the mark.
    pub style: Style,
    /// The name.
    pub name: &'a str,
    /// The lines. Long ones are wrapped on a terminal.
    pub lines: Vec<String>,
}

/// The text of a checklist.
pub fn render_checklist(items: &[Item<'_>]) -> String {
    let mut table = bare_table();
    table.add_rows(items.iter().map(|Item { mark, style, name, lines }| {
        let lines: Vec<_> = lines.iter().map(|line| printable(line)).collect();
        [style.cell(mark), Cell::new(name), Cell::new(lines.join("\n"))]
    }));
    // A terminal that is too narrow wraps the lines itself.
    let whole = ColumnConstraint::ContentWidth;
    table.set_constraints([whole, whole, ColumnConstraint::LowerBoundary(Width::Fixed(LEGIBLE))]);
    written(table)
}

fn bare_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    // `anstream` removes the colours where they are not wanted.
    table.enforce_styling().style_text_only();
    table
}

fn written(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    table.trim_fmt() + "\n"
}

/// A time in UTC (RFC 3339). `seconds` are since 1970.
pub fn time(seconds: u64) -> String {
    let timestamp = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    timestamp.map_or_else(|| seconds.to_string(), |timestamp| timestamp.to_string())
}

/// The text with control characters and changes of the reading direction escaped, which a token of an attacker may
/// contain.
fn printable(text: &str) -> String {
    let unsafe_in_a_terminal = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut printable, character| {
        if unsafe_in_a_terminal(character) {
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
    use serde_json::json;

    fn plain(text: &str) -> String {
        strip_str(text).to_string()
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("\u{1b}[2Jé\u{9b}\n"), r"\u{1b}[2Jé\u{9b}\u{a}");
        assert_eq!(render(&json!({"a": "\u{202e}x", "long": ""})), "a     \\u{202e}x\nlong  -\n");
    }

    #[test]
    fn values_are_shown_by_their_type_and_name() {
        let answer = json!({
            "claims": {"tenant": "acme", "plan": ""}, "disabled": true, "exp": 1_795_219_200, "grants": ["a", "b"],
            "last_used_on": 1_795_219_200, "quota": null, "seconds": 60,
            "secrets": [{"created_at": 0, "expires_at": null}, {"created_at": 1, "expires_at": 2}],
        });
        let expected = "claims        plan=- tenant=acme\nstate         disabled\nexp           2026-11-21T00:00:00Z\n\
            grants        a b\nlast_used_on  2026-11-21\nquota         -\nseconds       60\n\
            secrets       created_at=1970-01-01T00:00:00Z expires_at=-; created_at=1970-01-01T00:00:01Z \
            expires_at=1970-01-01T00:00:02Z\n";
        assert_eq!(plain(&render(&answer)), expected);
    }

    #[test]
    fn fields_keep_their_order() {
        let fields = Fields::from([("b", json!(1)), ("a", json!(2))]);
        assert_eq!(serde_json::to_string(&fields).unwrap(), r#"{"b":1,"a":2}"#);
        assert_eq!(render(&fields), "b  1\na  2\n");
    }

    #[test]
    fn table_has_one_line_a_row() {
        let coloured = render(&json!([{"name": "one", "size": 1}, {"name": "other", "size": 22}]));
        assert_eq!(plain(&coloured), "NAME   SIZE\none    1\nother  22\n");
        assert!(coloured.starts_with("\u{1b}[1mNAME"), "{coloured:?}");
        let list = List::<Value> { rows: Vec::new(), empty: "There are no clients." };
        assert_eq!(list.render_text(), "There are no clients.\n");
    }

    #[test]
    fn foreign_object_has_no_colours() {
        let object = json!({"signature": "good", "state": "disabled"});
        let [ours, foreign] = [render(&object), render_foreign(&object)];
        assert!(ours.contains('\u{1b}') && !foreign.contains('\u{1b}'));
        assert_eq!(plain(&ours), foreign);
    }

    #[test]
    fn checklist_has_a_mark_before_each_name() {
        let lines = || vec!["one".to_owned(), "two".to_owned()];
        let item = |name| Item { mark: "!", style: Style::Pending, name, lines: lines() };
        let coloured = render_checklist(&[item("a"), item("other")]);
        assert_eq!(plain(&coloured), "!  a      one\n          two\n!  other  one\n          two\n");
        assert!(coloured.contains('\u{1b}'));
    }

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(time(1_795_219_200), "2026-11-21T00:00:00Z");
        assert_eq!(time(u64::MAX), u64::MAX.to_string());
    }
}
