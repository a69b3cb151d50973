//! The API from outside: its discovery documents, issuer and published keys.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{Method, StatusCode, Uri};
use sam_template::Template;
use serde_json::Value;
use shared::oauth::metadata::MAX_AGE;
use shared::trust::key_schedule::KeySchedule;
use shared::trust::published_keys::PublishedKey;

use super::check::{Check, NotObserved, counted};
use super::cors;
use super::http::{HttpAnswer, HttpClient};
use super::routes::{self, Probe};

const JWKS: &str = "/.well-known/jwks.json";
const METADATA: [&str; 2] = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

/// How long API Gateway's JWT authorizer waits for a discovery document
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html>).
const JWT_AUTHORIZER_TIMEOUT: Duration = Duration::from_millis(1500);

/// The maximum age of an answer with the JWKS, in seconds. The function discovery caches it for 15 s, and clocks may
/// differ by the rest. HTTP caches keep it longer.
const MAX_AGE_IN_FUNCTION: u64 = 60;
const MAX_AGE_IN_CACHES: u64 = MAX_AGE + MAX_AGE_IN_FUNCTION;

const DISCOVERY: &str = "discovery";
const ISSUER: &str = "issuer";
const KEYS: &str = "published keys";

/// What the API answered.
pub enum ObservedApi {
    /// There was no request.
    NotObserved(NotObserved),
    /// The answers.
    Observed(Answers),
}

/// The answers from one URL.
pub struct Answers {
    url: String,
    /// [`JWKS`] and both of [`METADATA`].
    documents: Vec<(&'static str, Result<HttpAnswer, String>)>,
    probes: Vec<Probe>,
    /// The preflight request of an unknown origin.
    preflight: Result<HttpAnswer, String>,
}

impl ObservedApi {
    /// Sends the requests to the API at this URL.
    pub async fn inspect(url: Option<&str>, template: &Template) -> Self {
        let Some(url) = url.filter(|url| !url.is_empty()) else {
            return Self::NotObserved(NotObserved::skipped(
                "no URL is given. Give --url, or set LATCHKEY_URL",
            ));
        };
        let url = url.trim_end_matches('/');
        if !is_base(url) {
            let advice = "Give an https:// URL without query, for example the stack's output ApiUrl";
            return Self::NotObserved(NotObserved::problem(format!("{url} is not an API URL"), advice));
        }
        let http = HttpClient::new();
        let get = async |path| (path, http.send(Method::GET, &format!("{url}{path}")).await);
        let (jwks, oauth, openid, preflight) =
            tokio::join!(get(JWKS), get(METADATA[0]), get(METADATA[1]), cors::probe(&http, url));
        let documents = vec![jwks, oauth, openid];
        // An API that does not answer gets no further requests.
        let answers = documents.iter().any(|(_, answer)| answer.is_ok());
        let probes = if answers { routes::probe(&http, url, &template.routes).await } else { Vec::new() };
        Self::Observed(Answers { url: url.to_owned(), documents, probes, preflight })
    }

    /// The answers of the function discovery.
    pub fn answers(&self) -> impl Iterator<Item = &HttpAnswer> {
        let documents = match self {
            Self::NotObserved(_) => [].as_slice(),
            Self::Observed(answers) => &answers.documents,
        };
        documents.iter().filter_map(|(_, answer)| answer.as_ref().ok())
    }

    /// Checks the answers. `table` is the key schedule, with the JWKS that the table says is published.
    pub fn check(
        &self,
        template: &Template,
        table: Result<(&KeySchedule<PublishedKey>, &[Value]), &NotObserved>,
        now: u64,
    ) -> Vec<Check> {
        let answers = match self {
            Self::Observed(answers) => answers,
            Self::NotObserved(not_observed) => {
                let rest =
                    [ISSUER, KEYS, routes::NAME, cors::NAME].map(|name| not_observed.not_checked(name));
                return [not_observed.check(DISCOVERY)].into_iter().chain(rest).collect();
            }
        };
        vec![
            answers.discovery(),
            answers.issuer(),
            answers.keys(table, now),
            routes::validate(&answers.probes, template),
            cors::check(&answers.preflight),
        ]
    }
}

/// Whether a path can be appended to the URL.
fn is_base(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some() && url.query().is_none()
    }) && !url.contains('#')
}

impl Answers {
    fn discovery(&self) -> Check {
        if let [(_, Err(reason)), ..] = self.documents.as_slice()
            && self.documents.iter().all(|(_, answer)| answer.is_err())
        {
            let detail = format!("{} does not answer ({reason})", self.url);
            let advice =
                "Check the URL and the network. For a local stack, check that `latchkey dev` is running";
            return Check::problem(DISCOVERY, detail, advice);
        }
        for (path, answer) in &self.documents {
            let wrong = match answer {
                Err(reason) => Some((format!("does not answer ({reason})"), "Run doctor again")),
                Ok(answer) => wrong(answer),
            };
            if let Some((what, advice)) = wrong {
                return Check::problem(DISCOVERY, format!("GET {}{path} {what}", self.url), advice);
            }
        }
        let took =
            self.documents.iter().filter_map(|(_, answer)| answer.as_ref().ok()).map(|answer| answer.took);
        let slowest = took.max().unwrap_or_default();
        let took = format!("within {} ms", slowest.as_millis());
        if slowest <= JWT_AUTHORIZER_TIMEOUT {
            return Check::ok(DISCOVERY, format!("the API answers JWKS and metadata {took}"));
        }
        Check::warning(
            DISCOVERY,
            format!("the API answers JWKS and metadata {took}. API Gateway's JWT authorizer waits 1500 ms"),
            "Run doctor again. Only a cold start should be slow",
        )
    }

    /// A document, if the answer is a JSON object.
    fn document(&self, path: &str) -> Option<Value> {
        let (_, answer) = self.documents.iter().find(|(name, _)| *name == path)?;
        let answer = answer.as_ref().ok().filter(|answer| wrong(answer).is_none())?;
        serde_json::from_slice(&answer.body).ok()
    }

    fn issuer(&self) -> Check {
        let issuers = METADATA.map(|path| self.document(path).map(|document| document["issuer"].clone()));
        let [Some(oauth), Some(openid)] = issuers else {
            return Check::not_checked(ISSUER, "no metadata to check");
        };
        let Some(issuer) = oauth.as_str().filter(|_| oauth == openid) else {
            let detail = format!("the two metadata documents have different issuers, {oauth} and {openid}");
            return Check::problem(ISSUER, detail, "Deploy the template again (`sam deploy`)");
        };
        if issuer.trim_end_matches('/') == self.url {
            return Check::ok(ISSUER, format!("the issuer is {issuer}"));
        }
        Check::warning(
            ISSUER,
            format!("the issuer is {issuer}, not the URL {}", self.url),
            "Run doctor with the issuer as --url. If it is not your domain, fix the parameter Issuer",
        )
    }

    fn keys(&self, table: Result<(&KeySchedule<PublishedKey>, &[Value]), &NotObserved>, now: u64) -> Check {
        let (schedule, trusted) = match table {
            Ok(table) => table,
            Err(not_observed) => return not_observed.not_checked(KEYS),
        };
        if trusted.is_empty() {
            return Check::not_checked(KEYS, "the table has no key to compare with");
        }
        let published = self.document(JWKS).and_then(|jwks| Some(jwks["keys"].as_array()?.clone()));
        let Some(published) = published else {
            return Check::not_checked(KEYS, "no JWKS to check");
        };
        compare_keys(&by_id(&published), &by_id(trusted), schedule, now)
    }
}

/// The problem with a document's answer, and the remedy.
fn wrong(answer: &HttpAnswer) -> Option<(String, &'static str)> {
    let status = answer.status;
    if status == StatusCode::OK {
        let is_object = serde_json::from_slice::<Value>(&answer.body).is_ok_and(|body| body.is_object());
        return (!is_object).then(|| ("does not answer with a JSON object".to_owned(), "Check the URL"));
    }
    let advice = if status.is_server_error() {
        "Read the log of the function discovery"
    } else {
        "Check the URL. It is the stack's output ApiUrl, or your own domain with DisableDefaultEndpoint"
    };
    Some((format!("answers {}", status.as_u16()), advice))
}

type Keys<'a> = BTreeMap<&'a str, &'a Value>;

fn by_id(jwks: &[Value]) -> Keys<'_> {
    jwks.iter().map(|key| (key["kid"].as_str().unwrap_or_default(), key)).collect()
}

fn compare_keys(
    published: &Keys<'_>,
    trusted: &Keys<'_>,
    schedule: &KeySchedule<PublishedKey>,
    now: u64,
) -> Check {
    if published == trusted {
        let keys = counted(trusted.len(), "key");
        return Check::ok(KEYS, format!("the API publishes the keys of the table, {keys}"));
    }
    let lacking = |here: &Keys<'_>, there: &Keys<'_>| -> Vec<String> {
        here.keys().filter(|kid| !there.contains_key(*kid)).map(|kid| (*kid).to_owned()).collect()
    };
    let differ = |kid: &&&str| published.get(**kid) != trusted.get(**kid);
    let both = published.keys().filter(|kid| trusted.contains_key(*kid));
    let parts = [
        ("does not publish", lacking(trusted, published)),
        ("still publishes", lacking(published, trusted)),
        ("publishes a different", both.filter(differ).map(|kid| (*kid).to_owned()).collect()),
    ];
    let parts = parts.into_iter().filter(|(_, kids)| !kids.is_empty());
    let parts: Vec<_> = parts.map(|(verb, kids)| format!("{verb} {}", kids.join(", "))).collect();
    let detail = format!("the API differs from the table: it {}", parts.join(" and "));
    let moments =
        schedule.iter().flat_map(|scheduled| [Some(scheduled.published_at), scheduled.retires_at]).flatten();
    let changed_at = moments.filter(|moment| *moment <= now).max().unwrap_or_default();
    let age = now.saturating_sub(changed_at);
    let disjoint = !published.is_empty() && published.keys().all(|kid| differ(&kid));
    if age <= MAX_AGE_IN_FUNCTION {
        Check::warning(KEYS, detail, "Run doctor again in a minute. The API has not reloaded the keys yet")
    } else if disjoint {
        let detail = "the API publishes none of the table's keys";
        Check::problem(KEYS, detail, "Check that --url and TABLE_NAME are of one stack")
    } else if age <= MAX_AGE_IN_CACHES {
        Check::warning(KEYS, detail, "Run doctor again later. HTTP caches may hold the JWKS for an hour")
    } else {
        let advice = "An HTTP cache holds the JWKS for too long. Check the CDN in front of the API";
        Check::problem(KEYS, detail, advice)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;
    use serde_json::json;

    const URL: &str = "https://auth.example.com";

    fn answer(status: u16, body: &Value, millis: u64) -> Result<HttpAnswer, String> {
        let body = body.to_string().into_bytes();
        let status = StatusCode::from_u16(status).unwrap();
        let took = Duration::from_millis(millis);
        Ok(HttpAnswer { status, took, clocks: None, cdn: None, allowed_origin: None, body })
    }

    fn answers(jwks: Result<HttpAnswer, String>, issuers: [&str; 2]) -> Answers {
        let metadata = issuers.map(|issuer| answer(200, &json!({"issuer": issuer}), 1));
        let [oauth, openid] = metadata;
        let documents = vec![(JWKS, jwks), (METADATA[0], oauth), (METADATA[1], openid)];
        let preflight = answer(204, &Value::Null, 1);
        Answers { url: URL.to_owned(), documents, probes: Vec::new(), preflight }
    }

    fn key(kid: &str, x: &str) -> Value {
        json!({"kid": kid, "x": x})
    }

    #[test]
    fn discovery_answers_within_the_timeout_of_the_jwt_authorizer() {
        let good = json!({"keys": []});
        for (jwks, status, words) in [
            (answer(200, &good, 1500), Status::Ok, "1500 ms"),
            (answer(200, &good, 1501), Status::Warning, "1501 ms"),
            (answer(404, &good, 1), Status::Problem, "jwks.json answers 404"),
            (answer(503, &good, 1), Status::Problem, "answers 503"),
            (answer(200, &json!("<html>"), 1), Status::Problem, "does not answer with a JSON object"),
            (Err("refused".to_owned()), Status::Problem, "does not answer (refused)"),
        ] {
            let check = answers(jwks, [URL; 2]).discovery();
            assert!(check.status == status && check.detail.contains(words), "{check:?}");
        }
    }

    #[test]
    fn issuer_that_differs_from_the_url_is_a_warning() {
        for (issuers, status) in [
            ([URL; 2], Status::Ok),
            (["https://auth.example.com/"; 2], Status::Ok),
            (["https://other.example.com"; 2], Status::Warning),
            ([URL, "https://other.example.com"], Status::Problem),
        ] {
            let check = answers(answer(200, &json!({}), 1), issuers).issuer();
            assert_eq!(check.status, status, "{check:?}");
        }
        let mut half = answers(answer(200, &json!({}), 1), [URL; 2]);
        half.documents[2].1 = answer(503, &json!({}), 1);
        assert_eq!(half.issuer().status, Status::NotChecked);
    }

    #[test]
    fn published_keys_must_equal_the_tables_when_caches_have_expired() {
        let (a, b, c) = (key("a", "1"), key("b", "1"), key("c", "1"));
        let mut schedule = KeySchedule::default();
        schedule.publish(PublishedKey { kid: "a".to_owned(), jwk: String::new() }, 0);
        for (published, trusted, now, status) in [
            (vec![&a, &b], vec![&b, &a], 0, Status::Ok),
            (vec![&a], vec![], 0, Status::NotChecked),
            (vec![&a], vec![&a, &b], MAX_AGE_IN_CACHES, Status::Warning),
            (vec![&a], vec![&a, &b], MAX_AGE_IN_CACHES + 1, Status::Problem),
            (vec![&a, &b], vec![&a], MAX_AGE_IN_CACHES, Status::Warning),
            (vec![&a, &b], vec![&a], MAX_AGE_IN_CACHES + 1, Status::Problem),
            (vec![], vec![&a], MAX_AGE_IN_CACHES, Status::Warning),
            (vec![&c], vec![&a], MAX_AGE_IN_FUNCTION, Status::Warning),
            (vec![&c], vec![&a], MAX_AGE_IN_FUNCTION + 1, Status::Problem),
            (vec![&key("a", "2")], vec![&a], MAX_AGE_IN_FUNCTION + 1, Status::Problem),
        ] {
            let owned = |keys: Vec<&Value>| keys.into_iter().cloned().collect::<Vec<_>>();
            let answers = answers(answer(200, &json!({"keys": owned(published)}), 1), [URL; 2]);
            let check = answers.keys(Ok((&schedule, &owned(trusted))), now);
            assert_eq!(check.status, status, "{check:?}");
        }
    }

    #[test]
    fn base_url_has_no_query_and_no_fragment() {
        for (url, good) in [
            (URL, true),
            ("http://127.0.0.1:3000", true),
            ("https://api.example.com/auth", true),
            ("api.example.com", false),
            ("ftp://api.example.com", false),
            ("https://api.example.com?a=b", false),
            ("https://api.example.com#a", false),
            ("https://", false),
        ] {
            assert_eq!(is_base(url), good, "{url}");
        }
    }
}
