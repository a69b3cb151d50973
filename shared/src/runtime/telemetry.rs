//! The log: one JSON line for each request, with its outcome, its cause and the CloudWatch metrics
//! (docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
//!
//! There is no logger. Only this module writes lines, so that no library can write requests, responses or secrets to
//! the log.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::runtime::settings::Settings;

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A token was issued.
    Issued,
    /// The request was rejected, and no token was issued.
    Refused,
    /// The authorizer allowed the call.
    Allowed,
    /// The authorizer denied the call.
    Denied,
    /// A token was revoked, or was already invalid.
    Revoked,
    /// A token was introspected.
    Introspected,
    /// A public document was served.
    Served,
    /// A rotation step was completed.
    Done,
    /// The request could not be decided.
    Failed,
}

/// The log entry of a request. Its ids were found in the store, with one exception: the `client_id` of a rejected
/// request may be what the request claims, if it cannot be a secret in the wrong field (`clients::authentication`).
#[derive(Serialize)]
pub struct LogRecord<'a> {
    /// The outcome.
    pub outcome: Outcome,
    /// Why the request was rejected or denied: an OAuth error code or a deny reason of the authorizer. Invariant: one
    /// of a fixed set, because CloudWatch charges for each value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// API Gateway's request id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// The rotation step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<&'a str>,
    /// The subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<&'a str>,
    /// The client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<&'a str>,
    /// The token's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<&'a str>,
    /// What failed: a claim, a key, a check or a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'a str>,
    /// Days until the next rotation. Negative if it is overdue.
    #[serde(rename = "DaysToRotation", skip_serializing_if = "Option::is_none")]
    pub days_to_rotation: Option<f64>,
}

impl LogRecord<'_> {
    /// An entry with the outcome only.
    pub const fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            reason: None,
            request_id: None,
            step: None,
            sub: None,
            client_id: None,
            jti: None,
            cause: None,
            days_to_rotation: None,
        }
    }
}

/// The log of a function.
pub struct Telemetry {
    function: &'static str,
    namespace: Option<String>,
    cold: AtomicBool,
}

impl Telemetry {
    /// Reads `METRICS_NAMESPACE`: the namespace of the metrics. If empty, there are no metrics.
    pub fn from_settings(function: &'static str, settings: &Settings) -> Self {
        let namespace = settings.optional("METRICS_NAMESPACE").map(str::to_owned);
        Self { function, namespace, cold: AtomicBool::new(true) }
    }

    /// Begins the log entry of a request.
    pub fn begin(&self, now: u64) -> RequestLog<'_> {
        let cold = self.cold.swap(false, Ordering::Relaxed);
        RequestLog {
            telemetry: self,
            now,
            started: Instant::now(),
            cold,
            trust_age: None,
            trust_entries: None,
            keys_age: None,
        }
    }
}

/// A request in progress.
pub struct RequestLog<'a> {
    telemetry: &'a Telemetry,
    now: u64,
    started: Instant,
    cold: bool,
    /// Age of the trust snapshot, in seconds.
    pub trust_age: Option<u64>,
    /// Number of revocations in the trust snapshot.
    pub trust_entries: Option<usize>,
    /// Age of the signing keys, in seconds.
    pub keys_age: Option<u64>,
}

impl RequestLog<'_> {
    /// Writes the log entry.
    pub fn log(&self, log_record: &LogRecord<'_>) {
        if let Some(line) = self.line(log_record, self.started.elapsed()) {
            write(&line);
        }
    }

    fn line(&self, log_record: &LogRecord<'_>, latency: Duration) -> Option<Vec<u8>> {
        let is = |outcome| u8::from(log_record.outcome == outcome);
        let refused = is(Outcome::Refused) + is(Outcome::Denied);
        let line = Line {
            metrics: self.telemetry.namespace.as_deref().map(|namespace| Metrics {
                // In milliseconds.
                timestamp: self.now.saturating_mul(1000),
                directives: self.directives(namespace, log_record, refused > 0),
            }),
            function: self.telemetry.function,
            log_record,
            latency: (latency.as_secs_f64() * 1e6).round() / 1e3,
            issued: (log_record.outcome == Outcome::Issued).then_some(1),
            refused: (refused > 0).then_some(1),
            failed: Self::is_failure(log_record).then_some(1),
            cold_start: self.cold.then_some(1),
            trust_age: self.trust_age,
            trust_entries: self.trust_entries,
            keys_age: self.keys_age,
        };
        let mut text = serde_json::to_vec(&line).ok()?;
        text.push(b'\n');
        Some(text)
    }

    /// Whether a caller got no answer. A failed rotation step has no waiting caller, and the function's error has a
    /// separate alarm.
    fn is_failure(log_record: &LogRecord<'_>) -> bool {
        log_record.outcome == Outcome::Failed && log_record.step.is_none()
    }

    /// CloudWatch charges for each metric and each combination of dimension values. Values that a caller chooses are
    /// therefore never dimensions, and only metrics that are read by function have that dimension.
    fn directives<'n>(
        &self,
        namespace: &'n str,
        log_record: &LogRecord<'_>,
        refused: bool,
    ) -> Vec<Directive<'n>> {
        let directive = |dimensions, metrics: &[(bool, &'static str, &'static str)]| {
            let metrics = metrics.iter().filter(|(there, ..)| *there);
            let metrics: Vec<_> = metrics.map(|(_, name, unit)| Metric { name, unit }).collect();
            (!metrics.is_empty()).then_some(Directive { namespace, dimensions, metrics })
        };
        let is = |outcome| log_record.outcome == outcome;
        let by_function = [(true, "Latency", "Milliseconds"), (is(Outcome::Issued), "Issued", "Count")];
        let overall = [
            (Self::is_failure(log_record), "Failed", "Count"),
            (self.cold, "ColdStart", "Count"),
            (self.trust_age.is_some(), "TrustAge", "Seconds"),
            (self.trust_entries.is_some(), "TrustEntries", "Count"),
            (self.keys_age.is_some(), "KeysAge", "Seconds"),
            (log_record.days_to_rotation.is_some(), "DaysToRotation", "Count"),
        ];
        let refusals = [(refused, "Refused", "Count")];
        let directives = [
            directive(&[&["function"]], &by_function),
            directive(&[&[]], &overall),
            directive(&[&[], &["function", "reason"]], &refusals),
        ];
        directives.into_iter().flatten().collect()
    }
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "_aws", skip_serializing_if = "Option::is_none")]
    metrics: Option<Metrics<'a>>,
    function: &'static str,
    #[serde(flatten)]
    log_record: &'a LogRecord<'a>,
    /// In milliseconds.
    #[serde(rename = "Latency")]
    latency: f64,
    #[serde(rename = "Issued", skip_serializing_if = "Option::is_none")]
    issued: Option<u8>,
    #[serde(rename = "Refused", skip_serializing_if = "Option::is_none")]
    refused: Option<u8>,
    #[serde(rename = "Failed", skip_serializing_if = "Option::is_none")]
    failed: Option<u8>,
    #[serde(rename = "ColdStart", skip_serializing_if = "Option::is_none")]
    cold_start: Option<u8>,
    #[serde(rename = "TrustAge", skip_serializing_if = "Option::is_none")]
    trust_age: Option<u64>,
    #[serde(rename = "TrustEntries", skip_serializing_if = "Option::is_none")]
    trust_entries: Option<usize>,
    #[serde(rename = "KeysAge", skip_serializing_if = "Option::is_none")]
    keys_age: Option<u64>,
}

/// The metrics among the members of the line.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metrics<'a> {
    timestamp: u64,
    #[serde(rename = "CloudWatchMetrics")]
    directives: Vec<Directive<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'a str,
    dimensions: &'static [&'static [&'static str]],
    metrics: Vec<Metric>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

/// Writes the location of a panic to the log, without its message, which may contain a secret.
pub fn install(function: &'static str) {
    #[derive(Serialize)]
    struct Panic {
        function: &'static str,
        panic_at: Option<String>,
    }
    std::panic::set_hook(Box::new(move |panic| {
        let panic = Panic { function, panic_at: panic.location().map(ToString::to_string) };
        if let Ok(mut line) = serde_json::to_vec(&panic) {
            line.push(b'\n');
            write(&line);
        }
    }));
}

/// One write for each line, so that lines of several threads don't mix. A log that can't be written must not fail a
/// request.
fn write(line: &[u8]) {
    let _ = std::io::stderr().lock().write_all(line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The log line of the second request of a function.
    fn line(namespace: &str, log_record: &LogRecord<'_>, set: impl FnOnce(&mut RequestLog<'_>)) -> Value {
        let settings = [("METRICS_NAMESPACE", namespace)].into_iter().collect();
        let telemetry = Telemetry::from_settings("token", &settings);
        assert!(telemetry.begin(999).cold);
        let mut request_log = telemetry.begin(1_000);
        set(&mut request_log);
        let line = request_log.line(log_record, Duration::from_micros(1_234)).unwrap();
        assert_eq!(line.split(|byte| *byte == b'\n').count(), 2);
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn a_rejection_is_counted_in_total_and_by_reason() {
        let log_record = LogRecord { reason: Some("invalid_client"), ..LogRecord::new(Outcome::Refused) };
        assert_eq!(
            line("Latchkey/test", &log_record, |request_log| request_log.cold = true),
            json!({
                "_aws": {
                    "Timestamp": 1_000_000,
                    "CloudWatchMetrics": [
                        {
                            "Namespace": "Latchkey/test",
                            "Dimensions": [["function"]],
                            "Metrics": [{"Name": "Latency", "Unit": "Milliseconds"}],
                        },
                        {
                            "Namespace": "Latchkey/test",
                            "Dimensions": [[]],
                            "Metrics": [{"Name": "ColdStart", "Unit": "Count"}],
                        },
                        {
                            "Namespace": "Latchkey/test",
                            "Dimensions": [[], ["function", "reason"]],
                            "Metrics": [{"Name": "Refused", "Unit": "Count"}],
                        },
                    ],
                },
                "function": "token", "outcome": "refused", "reason": "invalid_client",
                "Latency": 1.234, "Refused": 1, "ColdStart": 1,
            })
        );
    }

    #[test]
    fn every_metric_is_a_number_in_its_log_line() {
        for outcome in [Outcome::Issued, Outcome::Denied, Outcome::Failed, Outcome::Done, Outcome::Allowed] {
            let log_record =
                LogRecord { reason: Some("why"), days_to_rotation: Some(-0.5), ..LogRecord::new(outcome) };
            let line = line("n", &log_record, |request_log| {
                (request_log.cold, request_log.trust_age, request_log.keys_age) = (true, Some(3), Some(4));
                request_log.trust_entries = Some(5);
            });
            for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
                for metric in directive["Metrics"].as_array().unwrap() {
                    assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric} {line}");
                }
                for name in
                    directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap())
                {
                    assert!(line[name.as_str().unwrap()].is_string(), "{name} {line}");
                }
            }
        }
    }

    #[test]
    fn no_metrics_are_written_without_a_namespace() {
        let line = line("", &LogRecord::new(Outcome::Issued), |_| ());
        assert_eq!(line, json!({"function": "token", "outcome": "issued", "Latency": 1.234, "Issued": 1}));
    }
}
