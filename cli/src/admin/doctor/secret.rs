//! The signing secret: it exists, holds keys and rotates.

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::primitives::DateTime;
use shared::runtime::cache::display_chain;
use shared::signing::signing_secret::{KeyDocument, SecretError, SigningSecret, StoredKey};

use super::check::{Check, NotObserved, counted};
use super::keys::COMPLETE;
use crate::admin::connection::Connection;
use crate::admin::output::time;

const NAMES: [&str; 2] = ["secret", "rotation"];

/// What Secrets Manager answered about the secret.
pub struct Secret {
    description: Result<DescribeSecretOutput, NotObserved>,
    /// The ids of its keys.
    keys: Result<Vec<String>, NotObserved>,
    /// Whether the endpoint is not AWS's.
    local: bool,
}

impl Secret {
    /// Reads description and keys.
    pub async fn inspect(connection: &Connection, id: &str) -> Self {
        let failed = |error: SecretError| NotObserved::Failed(connection.secret_error(&error));
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

    /// A secret that was not read.
    pub fn not_observed(not_observed: NotObserved) -> Self {
        let keys = Err(NotObserved::skipped("no secret to check"));
        Self { description: Err(not_observed), keys, local: false }
    }

    /// The ids of its keys, or the reason why they are unknown.
    pub fn keys(&self) -> Result<&[String], NotObserved> {
        match &self.keys {
            Ok(keys) if self.description.is_ok() && keys.is_empty() => {
                Err(NotObserved::skipped("the secret has no keys"))
            }
            Ok(keys) if self.description.is_ok() => Ok(keys),
            _ => Err(NotObserved::skipped("no secret to check")),
        }
    }

    /// The rotation interval in days.
    pub fn rotates_every(&self) -> Option<u64> {
        let description = self.description.as_ref().ok().filter(|it| it.rotation_enabled == Some(true))?;
        u64::try_from(description.rotation_rules()?.automatically_after_days()?).ok()
    }

    /// Checks the secret. `now` is in seconds since 1970.
    pub fn check(&self, now: u64) -> [Check; 2] {
        let description = match &self.description {
            Ok(description) => description,
            Err(not_observed) => {
                return [not_observed.check(NAMES[0]), Check::not_checked(NAMES[1], "no secret to check")];
            }
        };
        [self.value(description), self.rotation(description, now)]
    }

    fn value(&self, description: &DescribeSecretOutput) -> Check {
        let name = NAMES[0];
        let called = description.name().unwrap_or("the secret");
        if let Some(deleted) = seconds(description.deleted_date()) {
            let detail = format!("{called} is scheduled for deletion since {}", time(deleted));
            return Check::problem(name, detail, "Run `aws secretsmanager restore-secret`");
        }
        match &self.keys {
            Ok(keys) if !keys.is_empty() => {
                Check::ok(name, format!("{called} holds {}", counted(keys.len(), "key")))
            }
            Ok(_) => Check::problem(
                name,
                format!("{called} holds no key. Every sign-in answers 503"),
                "Run `latchkey signing-key rotate`, and read the log of the function rotation",
            ),
            Err(not_observed) => not_observed.check(name),
        }
    }

    fn rotation(&self, description: &DescribeSecretOutput, now: u64) -> Check {
        let name = NAMES[1];
        let last = seconds(description.last_rotated_date());
        let last = last.map_or_else(|| "never".to_owned(), time);
        let next = seconds(description.next_rotation_date());
        match (description.rotation_enabled().unwrap_or_default(), next) {
            (false, _) if self.local => Check::not_checked(name, "a local secret has no rotation schedule"),
            (false, _) => Check::warning(
                name,
                "automatic rotation is off",
                "Deploy the template again (`sam deploy`), or run `latchkey signing-key rotate` regularly",
            ),
            _ if is_pending(description) => Check::warning(
                name,
                format!("a rotation is incomplete and blocks the next one. Last rotation: {last}"),
                COMPLETE,
            ),
            (true, Some(next)) if next < now => Check::problem(
                name,
                format!("the rotation due at {} is overdue. Last rotation: {last}", time(next)),
                "Read the log of the function rotation, then run `aws secretsmanager rotate-secret`",
            ),
            (true, Some(next)) => {
                Check::ok(name, format!("automatic rotation is on. Last: {last}, next: {}", time(next)))
            }
            (true, None) => Check::ok(name, format!("automatic rotation is on. Last: {last}")),
        }
    }
}

/// Whether a version is pending and not current. After a rotation one version may have both labels.
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

    fn checked(description: DescribeSecretOutputBuilder, keys: usize, local: bool) -> [Check; 2] {
        let keys = (0..keys).map(|key| key.to_string()).collect();
        let description = Ok(description.name("keys").build());
        Secret { description, keys: Ok(keys), local }.check(NOW)
    }

    fn at(seconds: u64) -> DateTime {
        DateTime::from_secs(seconds.try_into().unwrap())
    }

    #[test]
    fn secret_must_hold_keys_and_rotate() {
        let rotated =
            |next| DescribeSecretOutput::builder().rotation_enabled(true).next_rotation_date(at(next));
        let statuses = |checks: [Check; 2]| checks.map(|check| check.status);
        assert_eq!(statuses(checked(rotated(NOW), 1, false)), [Status::Ok, Status::Ok]);
        assert_eq!(statuses(checked(rotated(NOW - 1), 1, false)), [Status::Ok, Status::Problem]);
        assert_eq!(statuses(checked(rotated(NOW), 0, false)), [Status::Problem, Status::Ok]);
        let off = DescribeSecretOutput::builder;
        assert_eq!(statuses(checked(off(), 1, false)), [Status::Ok, Status::Warning]);
        assert_eq!(statuses(checked(off(), 1, true)), [Status::Ok, Status::NotChecked]);
        let [deleted, _] = checked(off().deleted_date(at(NOW + 60)), 1, false);
        assert_eq!(deleted.status, Status::Problem);
        assert!(deleted.detail.contains("2026-11-21T00:01:00Z"), "{}", deleted.detail);
    }

    #[test]
    fn unread_secret_has_no_keys_and_is_not_checked() {
        let secret = Secret::not_observed(NotObserved::skipped("no credentials"));
        assert!(secret.check(NOW).iter().all(|check| check.status == Status::NotChecked));
        assert!(secret.keys().is_err());
    }
}
