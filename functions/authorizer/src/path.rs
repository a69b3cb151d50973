//! A path as it was called, and what the back ends behind API Gateway may read it as.

use std::borrow::Cow;
use std::iter;

use percent_encoding::percent_decode_str;

/// A path in segments, without empty ones: however many slashes there are, it is the same path.
pub type Path<'a> = [Cow<'a, str>];

/// Takes a path apart.
pub fn segments(path: &str) -> Vec<Cow<'_, str>> {
    path.split('/').filter(|segment| !segment.is_empty()).map(Cow::Borrowed).collect()
}

/// How many times a path may be encoded. One that is encoded more often is nobody's, and read by nobody.
const MAX_ENCODED: usize = 3;

/// What a back end may read a path as, with the stage and without. None if it is encoded too often.
pub fn readings<'a>(path: &'a str, stage: Option<&str>) -> Option<Vec<Vec<Cow<'a, str>>>> {
    let mut readings = match path.contains(|c: char| c == '%' || is_mark(c)) {
        true => spellings(path)?,
        false => vec![segments(path)],
    };
    if let Some(stage) = stage {
        let staged = readings.iter().filter(|path| path.first().is_some_and(|first| first == stage));
        let rest: Vec<_> = staged.map(|path| path[1..].to_vec()).collect();
        readings.extend(rest);
    }
    Some(readings)
}

/// A path itself, and decoded as often as it is encoded, by segments or as a whole or both; all of them bare, too.
fn spellings<'a>(path: &str) -> Option<Vec<Vec<Cow<'a, str>>>> {
    let mut spellings = Vec::new();
    for start in both(path) {
        let mut parts = each(&segments(&start), str::to_owned);
        let (mut text, mut left) = (start, MAX_ENCODED);
        loop {
            for text in both(&text) {
                spellings.push(each(&segments(&text), str::to_owned));
                spellings.push(each(&segments(&text), |segment| decoded(segment).into_owned()));
            }
            let bare = each(&parts, |segment| cut(segment).to_owned());
            spellings.push(bare.iter().filter(|segment| !segment.is_empty()).cloned().collect());
            spellings.extend([parts.clone(), bare]);
            match decoded(&text) {
                Cow::Borrowed(_) => break,
                Cow::Owned(inner) => text = inner,
            }
            parts = each(&parts, |segment| decoded(segment).into_owned());
            left = left.checked_sub(1)?;
        }
    }
    Some(spellings)
}

fn each<'a>(path: &Path<'_>, change: impl Fn(&str) -> String) -> Vec<Cow<'a, str>> {
    path.iter().map(|segment| Cow::Owned(change(segment))).collect()
}

/// Owned if there was something to decode.
fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// A path, and the same without what some take for a query, a fragment or parameters (RFC 3986 §3.3 to §3.5) or for
/// blanks about a segment, if it has any of that.
fn both(path: &str) -> impl Iterator<Item = String> + use<> {
    let bare = path.contains(is_mark).then(|| {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        path.split('/').map(cut).collect::<Vec<_>>().join("/")
    });
    iter::once(path.to_owned()).chain(bare)
}

/// Whether some take a character for the end of a path or of a segment.
fn is_mark(character: char) -> bool {
    matches!(character, '?' | '#' | ';') || character.is_whitespace()
}

/// A segment as far as that.
fn cut(segment: &str) -> &str {
    segment.split(['?', '#', ';']).next().unwrap_or_default().trim()
}

/// Whether a path is one that nobody needs and that back ends read each in its own way.
pub fn is_nobodys(path: &Path<'_>) -> bool {
    path.iter().any(|segment| {
        matches!(&**segment, "." | "..") || segment.contains(|c: char| c == '\\' || c.is_control())
    })
}
