//! Writes the tables of `docs/benchmarks.md` from `bench/results`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use crate::artifact::root;
use crate::results::{COUNTS, TIMES, load};
use crate::tables::{of_counts, of_times};

/// The tables of the page, each after a comment with its name. The others are printed only.
const TABLES: [&str; 3] = ["ratios", "times", "peers"];

fn path() -> PathBuf {
    root().join("docs/benchmarks.md")
}

/// Writes the tables into the page.
pub fn write() -> anyhow::Result<()> {
    let (path, text) = (path(), rendered()?);
    fs::write(&path, text).with_context(|| path.display().to_string())
}

/// The page with the tables of the stored results.
fn rendered() -> anyhow::Result<String> {
    let path = path();
    let mut text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let tables = of_counts(&load(COUNTS)?).into_iter().chain(of_times(&load(TIMES)?));
    for (name, table) in tables.filter(|(name, _)| TABLES.contains(name)) {
        text = with_table(&text, name, &table)?;
    }
    Ok(text)
}

/// Replaces the text between a table's comments.
fn with_table(text: &str, name: &str, table: &str) -> anyhow::Result<String> {
    let begin = format!("<!-- {name} -->\n");
    let end = "<!-- end -->";
    let missing = || format!("docs/benchmarks.md: write <!-- {name} --> and {end} where the table belongs");
    let (before, rest) = text.split_once(&begin).with_context(missing)?;
    let (_, after) = rest.split_once(end).with_context(missing)?;
    Ok(format!("{before}{begin}{table}\n\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_the_results() {
        let page = fs::read_to_string(path()).unwrap();
        assert_eq!(page, rendered().unwrap(), "run: cargo run -p bench -- page");
    }
}
