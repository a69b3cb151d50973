//! The result of one check, and of all checks.

use anyhow::ensure;
use serde::Serialize;

use crate::admin::connection::UserError;
use crate::admin::output::{Item, Report, render_checklist};
use crate::style::Style;

/// The status of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It works.
    Ok,
    /// The check could not be made.
    NotChecked,
    /// It works, with a flaw or not for long.
    Warning,
    /// It does not work, or it is open to callers without credentials.
    Problem,
}

/// The result of one check.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The name of the check.
    pub name: &'static str,
    /// Its status.
    pub status: Status,
    /// The finding, without a full stop at its end.
    pub detail: String,
    /// The remedy.
    pub advice: Option<String>,
}

impl Check {
    /// It works.
    pub fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, detail: detail.into(), advice: None }
    }

    /// The check could not be made, for this reason.
    pub fn not_checked(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, status: Status::NotChecked, detail: why.into(), advice: None }
    }

    /// It works, with a flaw or not for long.
    pub fn warning(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, status: Status::Warning, detail: detail.into(), advice: Some(advice.into()) }
    }

    /// It does not work.
    pub fn problem(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, status: Status::Problem, detail: detail.into(), advice: Some(advice.into()) }
    }
}

/// Why a part of the deployment was not observed.
#[derive(Debug)]
pub enum NotObserved {
    /// It does not exist or does not answer.
    Failed(UserError),
    /// There was no request, for this reason.
    Skipped(String),
}

impl NotObserved {
    /// There was no request, for this reason.
    pub fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped(why.into())
    }

    /// It does not exist or does not answer.
    pub fn problem(what: impl Into<String>, advice: &str) -> Self {
        Self::Failed(UserError::new(what, advice))
    }

    /// The check of the part itself.
    pub fn check(&self, name: &'static str) -> Check {
        match self {
            Self::Failed(error) => Check {
                name,
                status: Status::Problem,
                detail: error.finding(),
                advice: Some(error.advice.clone()).filter(|advice| !advice.is_empty()),
            },
            Self::Skipped(why) => Check::not_checked(name, why),
        }
    }

    /// A check that needs the part and can't be made without it.
    pub fn not_checked(&self, name: &'static str) -> Check {
        match self {
            Self::Failed(error) => Check::not_checked(name, error.finding()),
            Self::Skipped(why) => Check::not_checked(name, why),
        }
    }
}

/// All checks.
#[derive(Serialize)]
pub struct Diagnosis {
    /// In the order of printing.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// The command's result.
    ///
    /// # Errors
    /// A check found a problem.
    pub fn result(&self) -> anyhow::Result<()> {
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
            said.push("No problems".to_owned());
        }
        let not_checked = self.count(Status::NotChecked);
        if not_checked > 0 {
            said.push(format!("{not_checked} not checked"));
        }
        said.join(", ")
    }
}

/// A number with its noun: `1 key`, `2 keys`.
pub fn counted(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

impl Report for Diagnosis {
    fn render_text(&self) -> String {
        let items = self.checks.iter().map(|check| {
            let (mark, style) = match check.status {
                Status::Ok => ("✓", Style::Good),
                Status::NotChecked => ("-", Style::Faint),
                Status::Warning => ("!", Style::Pending),
                Status::Problem => ("✗", Style::Bad),
            };
            let advice = check.advice.iter().map(|advice| format!("→ {advice}"));
            Item {
                mark,
                style,
                name: check.name,
                lines: [check.detail.clone()].into_iter().chain(advice).collect(),
            }
        });
        let items = render_checklist(&items.collect::<Vec<_>>());
        // With a problem, the summary is the command's error.
        if self.result().is_ok() { format!("{items}\n{}.\n", self.summary()) } else { items }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstream::adapter::strip_str;
    use serde_json::json;

    #[test]
    fn only_a_problem_makes_the_command_fail() {
        let mut diagnosis = Diagnosis { checks: vec![Check::ok("one", "exists")] };
        assert!(strip_str(&diagnosis.render_text()).to_string().ends_with("\n\nNo problems.\n"));
        diagnosis.checks.push(Check::not_checked("two", "no table"));
        diagnosis.checks.push(Check::warning("three", "is old", "Create one"));
        assert_eq!(diagnosis.summary(), "1 warning, 1 not checked");
        assert!(diagnosis.result().is_ok());
        diagnosis
            .checks
            .extend(["four", "five"].map(|name| Check::problem(name, "is missing", "Restore it")));
        assert_eq!(diagnosis.result().unwrap_err().to_string(), "2 problems, 1 warning, 1 not checked");
        let shown = strip_str(&diagnosis.render_text()).to_string();
        assert!(shown.contains("!  three  is old\n          → Create one\n"), "{shown}");
    }

    #[test]
    fn check_has_four_json_members() {
        let shown = json!(Check::not_checked("two", "no table"));
        assert_eq!(
            shown,
            json!({"name": "two", "status": "not_checked", "detail": "no table", "advice": null})
        );
    }
}
