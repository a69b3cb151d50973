//! What is found out of one thing, and of all of them.

use anyhow::ensure;
use serde::Serialize;

use crate::admin::connection::Complaint;
use crate::admin::output::{Item, Report, list};
use crate::tone::Tone;

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Nobody could look, for a reason that is no fault of the thing.
    NotChecked,
    /// It works, but not as it should, or not for long.
    Warning,
    /// It does not work, or lets somebody in who should be out.
    Problem,
}

/// What was found out of one thing.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The thing.
    pub name: &'static str,
    /// How it is.
    pub status: Status,
    /// One plain sentence about it.
    pub detail: String,
    /// What to do.
    pub advice: Option<String>,
}

impl Check {
    /// As it should be.
    pub fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, detail: detail.into(), advice: None }
    }

    /// Nobody looked; says why.
    pub fn not_checked(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, status: Status::NotChecked, detail: why.into(), advice: None }
    }

    /// It works, but not as it should.
    pub fn warning(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, status: Status::Warning, detail: detail.into(), advice: Some(advice.into()) }
    }

    /// It does not work.
    pub fn problem(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, status: Status::Problem, detail: detail.into(), advice: Some(advice.into()) }
    }
}

/// Why there is nothing to judge.
#[derive(Debug)]
pub enum Missed {
    /// It should have been there, or should have answered.
    Failed(Complaint),
    /// Nobody looked, for this reason.
    Skipped(String),
}

impl Missed {
    /// Nobody looked, for this reason.
    pub fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped(why.into())
    }

    /// It should have been there, or should have answered.
    pub fn problem(what: impl Into<String>, advice: &str) -> Self {
        Self::Failed(Complaint::new(what, advice))
    }

    /// What that says of the thing itself.
    pub fn check(&self, name: &'static str) -> Check {
        match self {
            Self::Failed(complaint) => Check {
                name,
                status: Status::Problem,
                detail: complaint.finding(),
                advice: Some(complaint.advice.clone()).filter(|advice| !advice.is_empty()),
            },
            Self::Skipped(why) => Check::not_checked(name, why),
        }
    }

    /// The same for a thing whose failing to answer says nothing about it.
    pub fn not_checked(&self, name: &'static str) -> Check {
        match self {
            Self::Failed(complaint) => Check::not_checked(name, complaint.finding()),
            Self::Skipped(why) => Check::not_checked(name, why),
        }
    }
}

/// All checks.
#[derive(Serialize)]
pub struct Diagnosis {
    /// In the order in which people read them.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// The command's own outcome.
    ///
    /// # Errors
    /// There is a problem.
    pub fn verdict(&self) -> anyhow::Result<()> {
        ensure!(self.count(Status::Problem) == 0, "{}", self.summary());
        Ok(())
    }

    fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }

    fn summary(&self) -> String {
        let said = [(Status::Problem, "problem"), (Status::Warning, "warning")];
        let said = said.into_iter().map(|(status, word)| (self.count(status), word));
        let mut said: Vec<_> =
            said.filter(|(count, _)| *count > 0).map(|(count, word)| counted(count, word)).collect();
        if said.is_empty() {
            said.push("All is well".to_owned());
        }
        let not_checked = self.count(Status::NotChecked);
        if not_checked > 0 {
            said.push(format!("{not_checked} not checked"));
        }
        said.join(", ")
    }
}

/// A number of things: `1 key`, `2 keys`.
pub fn counted(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

impl Report for Diagnosis {
    fn for_people(&self) -> String {
        let items = self.checks.iter().map(|check| {
            let (mark, tone) = match check.status {
                Status::Ok => ("✓", Tone::Good),
                Status::NotChecked => ("-", Tone::Faint),
                Status::Warning => ("!", Tone::Waiting),
                Status::Problem => ("✗", Tone::Bad),
            };
            let advice = check.advice.iter().map(|advice| format!("→ {advice}"));
            Item {
                mark,
                tone,
                name: check.name,
                lines: [check.detail.clone()].into_iter().chain(advice).collect(),
            }
        });
        let items = list(&items.collect::<Vec<_>>());
        // With a problem, the summary is the command's one line on standard error.
        if self.verdict().is_ok() { format!("{items}\n{}.\n", self.summary()) } else { items }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstream::adapter::strip_str;
    use serde_json::json;

    #[test]
    fn a_problem_alone_makes_the_command_fail() {
        let mut diagnosis = Diagnosis { checks: vec![Check::ok("one", "is there")] };
        assert!(strip_str(&diagnosis.for_people()).to_string().ends_with("\n\nAll is well.\n"));
        diagnosis.checks.push(Check::not_checked("two", "nobody looked"));
        diagnosis.checks.push(Check::warning("three", "is old", "make a new one"));
        assert_eq!(diagnosis.summary(), "1 warning, 1 not checked");
        assert!(diagnosis.verdict().is_ok());
        diagnosis.checks.extend(["four", "five"].map(|name| Check::problem(name, "is gone", "look for it")));
        assert_eq!(diagnosis.verdict().unwrap_err().to_string(), "2 problems, 1 warning, 1 not checked");
        let shown = strip_str(&diagnosis.for_people()).to_string();
        assert!(shown.contains("!  three  is old\n          → make a new one\n"), "{shown}");
    }

    #[test]
    fn a_check_is_four_members_for_scripts() {
        let shown = json!(Check::not_checked("two", "nobody looked"));
        assert_eq!(
            shown,
            json!({"name": "two", "status": "not_checked", "detail": "nobody looked", "advice": null})
        );
    }
}
