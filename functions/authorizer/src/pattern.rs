//! The pattern of a route's path, such as `/todo/{id}` or `/files/{rest+}`, and which paths are its own.

use crate::path::{Path, segments};
use crate::resource::is_literal;

/// A pattern. There are no empty segments: however many slashes there are, it is the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Segment>);

/// A segment. In the order of API Gateway's precedence: what is more exact wins
/// (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    /// `{name+}`: all the rest.
    Rest,
    /// `{name}`: any one segment.
    Any,
    /// Itself.
    Literal(String),
}

impl Pattern {
    /// Reads one.
    pub fn new(path: &str) -> Self {
        let segment = |text: &str| match parameter(text) {
            Some((_, true)) => Segment::Rest,
            Some((_, false)) => Segment::Any,
            None => Segment::Literal(text.to_owned()),
        };
        Self(segments(path).iter().map(|text| segment(text)).collect())
    }

    /// Reads one that some call's path may match, as it must be in a rule: one that never counts leaves open what it
    /// was to shut.
    pub fn of_rule(path: &str) -> Option<Self> {
        let pattern = Self::new(path);
        let never = |text: &str| matches!(text, "." | "..") || text.contains(['{', '}', '%', '\\']);
        let greedy = pattern.0.iter().position(|segment| *segment == Segment::Rest);
        let can_match = path.starts_with('/')
            && is_literal(path)
            && !path.contains(|c: char| c.is_whitespace() || c.is_control())
            && !pattern.0.iter().any(|segment| matches!(segment, Segment::Literal(text) if never(text)))
            && greedy.is_none_or(|at| at + 1 == pattern.0.len());
        can_match.then_some(pattern)
    }

    /// Whether it is for all the rest of a path.
    pub fn is_greedy(&self) -> bool {
        self.0.contains(&Segment::Rest)
    }

    /// Whether a path is its own. All the rest may be nothing: to many back ends `/a/` is one of `/a/{rest+}`, and `/a`
    /// is the same as `/a/`.
    pub fn matches(&self, path: &Path<'_>) -> bool {
        let before = || match self.0.split_last() {
            Some((Segment::Rest, before)) => fits(before, path),
            _ => false,
        };
        self.fits(path) || before()
    }

    /// The same as API Gateway takes it: all the rest is something.
    pub fn fits(&self, path: &Path<'_>) -> bool {
        fits(&self.0, path)
    }

    /// Greater for the more exact of two that match one path: what comes first in it decides, and all the rest is less
    /// than its end.
    pub fn exactness(&self) -> impl Ord {
        match self.0.split_last() {
            Some((Segment::Rest, before)) => (before, false),
            _ => (&*self.0, true),
        }
    }

    /// The path as it stands in a policy, without its first slash: a parameter is a `*`.
    pub fn glob(&self) -> String {
        let segments = self.0.iter().map(|segment| match segment {
            Segment::Literal(text) => text.as_str(),
            Segment::Any | Segment::Rest => "*",
        });
        segments.collect::<Vec<_>>().join("/")
    }

    /// Whether a text that this matches in a policy may be a path of the other. There each parameter is a `*`, and so is
    /// what stands for any method, before the path: any number of segments, or none. What has no parameter matches its
    /// own path alone.
    pub fn meets(&self, by_any_method: bool, shut: &Self) -> bool {
        let is_exact = |segment: &Segment| matches!(segment, Segment::Literal(_));
        if !by_any_method && self.0.iter().all(is_exact) {
            return false;
        }
        // For every two rests whether they meet, the shortest first: a search that tries again and again takes
        // years when there are many parameters.
        let shut = &*shut.0;
        let globs = by_any_method.then_some(&Segment::Rest).into_iter().chain(&self.0);
        let mut shorter: Vec<bool> =
            (0..=shut.len()).map(|at| shut[at..].iter().all(|s| *s == Segment::Rest)).collect();
        for glob in globs.collect::<Vec<_>>().into_iter().rev() {
            let mut longer = vec![false; shut.len() + 1];
            for at in (0..=shut.len()).rev() {
                longer[at] = match (glob, shut.get(at)) {
                    (Segment::Any | Segment::Rest, next) => shorter[at] || next.is_some() && longer[at + 1],
                    (Segment::Literal(_), None) => false,
                    (Segment::Literal(one), Some(Segment::Literal(other))) => one == other && shorter[at + 1],
                    (Segment::Literal(_), Some(Segment::Any)) => shorter[at + 1],
                    // The rest takes this segment and goes on, or it is over.
                    (Segment::Literal(_), Some(Segment::Rest)) => shorter[at] || longer[at + 1],
                };
            }
            shorter = longer;
        }
        shorter[0]
    }
}

fn fits(pattern: &[Segment], path: &Path<'_>) -> bool {
    let is_long_enough = match pattern.contains(&Segment::Rest) {
        true => path.len() >= pattern.len(),
        false => path.len() == pattern.len(),
    };
    is_long_enough
        && pattern.iter().zip(path).all(|(segment, own)| match segment {
            Segment::Literal(text) => text == own,
            Segment::Any | Segment::Rest => true,
        })
}

/// The name of a parameter, `{name}` or `{name+}`, and whether it is for all the rest.
pub fn parameter(segment: &str) -> Option<(&str, bool)> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    Some(name.strip_suffix('+').map_or((name, false), |name| (name, true)))
}
