//! The signing secret: that it is there, holds keys, and rotates.

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::primitives::DateTime;
use shared::runtime::cache::display_chain;
use shared::signing::signing_secret::{KeyDocument, SecretError, SigningSecret, StoredKey};

use super::check::{Check, Missed, counted};
use crate::admin::connection::Connection;
use crate::admin::output::time;

const NAMES: [&str; 2] = ["secret", "rotation"];

/// What was seen of the secret.
pub struct Secret {
    description: Result<DescribeSecretOutput, Missed>,
    /// The ids of its keys.
    keys: Result<Vec<String>, Missed>,
    /// Whether something else than AWS keeps it.
    local: bool,
}

impl Secret {
    /// Looks at it.
    pub async fn look(connection: &Connection, id: &str) -> Self {
        let failed = |error: SecretError| Missed::Failed(connection.secret_complaint(&error));
        let describe = connection.secrets_manager.describe_secret().secret_id(id).send();
        let secret = SigningSecret::new(connection.secrets_manager.clone(), id);
        let (description, document) = tokio::join!(describe, secret.current());
        Self {
            description: description.map_err(|error| failed(SecretError::Unreachable(display_chain(&error)))),
            keys: document
                .map(|version| version.map(|version| ids(&version.document)).unwrap_or_default())
                .map_err(failed),
            local: connection.secrets_manager_place().local,
        }
    }

    /// There was nothing to look at.
    pub fn unseen(missed: Missed) -> Self {
        let keys = Err(Missed::skipped("the secret can't be read"));
        Self { description: Err(missed), keys, local: false }
    }

    /// The ids of its keys; or why they are not known, which [`Secret::validate`] says too.
    pub fn keys(&self) -> Result<&[String], Missed> {
        match &self.keys {
            Ok(keys) if self.description.is_ok() && keys.is_empty() => {
                Err(Missed::skipped("the secret holds no key"))
            }
            Ok(keys) if self.description.is_ok() => Ok(keys),
            _ => Err(Missed::skipped("the secret can't be read")),
        }
    }

    /// How often it rotates by itself, in days.
    pub fn rotates_every(&self) -> Option<u64> {
        let description = self.description.as_ref().ok().filter(|it| it.rotation_enabled == Some(true))?;
        u64::try_from(description.rotation_rules()?.automatically_after_days()?).ok()
    }

    /// Judges it. `now` is in seconds since 1970.
    pub fn validate(&self, now: u64) -> [Check; 2] {
        let description = match &self.description {
            Ok(description) => description,
            Err(missed) => {
                return [
                    missed.check(NAMES[0]),
                    Check::not_checked(NAMES[1], "there is no secret to look at"),
                ];
            }
        };
        [self.value(description), self.rotation(description, now)]
    }

    fn value(&self, description: &DescribeSecretOutput) -> Check {
        let name = NAMES[0];
        let called = description.name().unwrap_or("it");
        if let Some(deleted) = seconds(description.deleted_date()) {
            let detail = format!("{called} is marked for deletion ({})", time(deleted));
            return Check::problem(
                name,
                detail,
                "`aws secretsmanager restore-secret` brings it back in time",
            );
        }
        match &self.keys {
            Ok(keys) if !keys.is_empty() => {
                Check::ok(name, format!("{called} is there and holds {}", counted(keys.len(), "key")))
            }
            Ok(_) => Check::problem(
                name,
                format!("{called} holds no key: every sign-in answers 503"),
                "`latchkey signing-key rotate` makes the first; the log of the function rotation says why it made none",
            ),
            Err(missed) => missed.check(name),
        }
    }

    fn rotation(&self, description: &DescribeSecretOutput, now: u64) -> Check {
        let name = NAMES[1];
        let last = seconds(description.last_rotated_date());
        let last = last.map_or_else(|| "never yet".to_owned(), |last| format!("last on {}", time(last)));
        let next = seconds(description.next_rotation_date());
        match (description.rotation_enabled().unwrap_or_default(), next) {
            (false, _) if self.local => Check::not_checked(name, "no schedule rotates a local secret"),
            (false, _) => Check::warning(
                name,
                "keys are not rotated by themselves",
                "deploy the template again (`sam deploy`), or run `latchkey signing-key rotate` from time to time",
            ),
            _ if is_pending(description) => Check::warning(
                name,
                format!("a rotation is under way, or stopped, and stands in the next one's way ({last})"),
                "if it stopped, `latchkey signing-key rotate` carries on with it",
            ),
            (true, Some(next)) if next < now => Check::problem(
                name,
                format!("a rotation was due on {}, and there was none ({last})", time(next)),
                "the log of the function rotation says why; `aws secretsmanager rotate-secret` tries again",
            ),
            (true, Some(next)) => {
                Check::ok(name, format!("keys are rotated, {last}, by {} again", time(next)))
            }
            (true, None) => Check::ok(name, format!("keys are rotated, {last}")),
        }
    }
}

/// Whether a version is to be in use and isn't. After a rotation both labels may be at one.
fn is_pending(description: &DescribeSecretOutput) -> bool {
    let has = |labels: &[String], label: &str| labels.iter().any(|text| text == label);
    let versions = description.version_ids_to_stages().into_iter().flatten();
    versions.map(|(_, labels)| labels).any(|labels| has(labels, "AWSPENDING") && !has(labels, "AWSCURRENT"))
}

fn ids(document: &KeyDocument) -> Vec<String> {
    document.keys.iter().map(StoredKey::key_id).map(str::to_owned).collect()
}

fn seconds(time: Option<&DateTime>) -> Option<u64> {
    time.and_then(|time| u64::try_from(time.secs()).ok())
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;
    use aws_sdk_secretsmanager::operation::describe_secret::builders::DescribeSecretOutputBuilder;

    const NOW: u64 = 1_795_219_200;

    fn judged(description: DescribeSecretOutputBuilder, keys: usize, local: bool) -> [Check; 2] {
        let keys = (0..keys).map(|key| key.to_string()).collect();
        let description = Ok(description.name("keys").build());
        Secret { description, keys: Ok(keys), local }.validate(NOW)
    }

    fn at(seconds: u64) -> DateTime {
        DateTime::from_secs(seconds.try_into().unwrap())
    }

    #[test]
    fn a_secret_holds_keys_and_rotates() {
        let rotated =
            |next| DescribeSecretOutput::builder().rotation_enabled(true).next_rotation_date(at(next));
        let statuses = |checks: [Check; 2]| checks.map(|check| check.status);
        assert_eq!(statuses(judged(rotated(NOW), 1, false)), [Status::Ok, Status::Ok]);
        assert_eq!(statuses(judged(rotated(NOW - 1), 1, false)), [Status::Ok, Status::Problem]);
        assert_eq!(statuses(judged(rotated(NOW), 0, false)), [Status::Problem, Status::Ok]);
        let off = DescribeSecretOutput::builder;
        assert_eq!(statuses(judged(off(), 1, false)), [Status::Ok, Status::Warning]);
        assert_eq!(statuses(judged(off(), 1, true)), [Status::Ok, Status::NotChecked]);
        let [deleted, _] = judged(off().deleted_date(at(NOW + 60)), 1, false);
        assert_eq!(deleted.status, Status::Problem);
        assert!(deleted.detail.contains("2026-11-21T00:01:00Z"), "{}", deleted.detail);
    }

    #[test]
    fn without_a_secret_there_are_no_keys() {
        let secret = Secret::unseen(Missed::skipped("no credentials"));
        assert!(secret.validate(NOW).iter().all(|check| check.status == Status::NotChecked));
        assert!(secret.keys().is_err());
    }
}
