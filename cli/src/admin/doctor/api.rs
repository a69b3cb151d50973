//! The API from outside: its discovery documents, their issuer, and the keys that it publishes.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{Method, StatusCode, Uri};
use serde_json::Value;
use shared::oauth::metadata::MAX_AGE;
use shared::trust::key_schedule::KeySchedule;
use shared::trust::published_keys::PublishedKey;

use super::check::{Check, Missed, counted};
use super::cors;
use super::http::{Answer, Http};
use super::routes::{self, Probe};
use crate::dev::template::Template;

const JWKS: &str = "/.well-known/jwks.json";
const METADATA: [&str; 2] = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

/// How long API Gateway's JWT authorizer waits for a discovery document
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html>).
const GATEWAYS_PATIENCE: Duration = Duration::from_millis(1500);

/// How old an answer with the keys may be, in seconds: the function discovery keeps it for a quarter of a
/// minute, and clocks may differ by the rest; caches on the way keep it longer.
const IN_FUNCTION: u64 = 60;
const IN_CACHES: u64 = MAX_AGE + IN_FUNCTION;

const NAMES: [&str; 3] = ["discovery", "issuer", "published keys"];

/// What was seen of the API.
pub enum Api {
    /// Nobody could look.
    Unseen(Missed),
    /// Somebody did.
    Seen(Visit),
}

/// What came back from one URL.
pub struct Visit {
    url: String,
    /// [`JWKS`] and both of [`METADATA`].
    documents: Vec<(&'static str, Result<Answer, String>)>,
    probes: Vec<Probe>,
    /// The preflight request of an unknown origin.
    preflight: Result<Answer, String>,
}

impl Api {
    /// Looks at the API of that URL.
    pub async fn look(url: Option<&str>, template: &Template) -> Self {
        let Some(url) = url.filter(|url| !url.is_empty()) else {
            return Self::Unseen(Missed::skipped("no URL is given: take --url, or set LATCHKEY_URL"));
        };
        let url = url.trim_end_matches('/');
        if !is_base(url) {
            let advice = "give an https:// URL without query, as the stack's output ApiUrl has it";
            return Self::Unseen(Missed::problem(format!("{url} is no URL of an API"), advice));
        }
        let http = Http::new();
        let get = async |path| (path, http.send(Method::GET, &format!("{url}{path}")).await);
        let (jwks, oauth, openid, preflight) =
            tokio::join!(get(JWKS), get(METADATA[0]), get(METADATA[1]), cors::probe(&http, url));
        let documents = vec![jwks, oauth, openid];
        // Where nobody answers, nobody is asked again and again.
        let answers = documents.iter().any(|(_, answer)| answer.is_ok());
        let probes = if answers { routes::probe(&http, url, &template.routes).await } else { Vec::new() };
        Self::Seen(Visit { url: url.to_owned(), documents, probes, preflight })
    }

    /// All answers that discovery gave.
    pub fn answers(&self) -> impl Iterator<Item = &Answer> {
        let documents = match self {
            Self::Unseen(_) => [].as_slice(),
            Self::Seen(visit) => &visit.documents,
        };
        documents.iter().filter_map(|(_, answer)| answer.as_ref().ok())
    }

    /// Judges it. `table` are the timeline and the keys that the table says are to be published.
    pub fn validate(
        &self,
        template: &Template,
        table: Result<(&KeySchedule<PublishedKey>, &[Value]), &Missed>,
        now: u64,
    ) -> Vec<Check> {
        let [discovery, issuer, keys] = NAMES;
        let visit = match self {
            Self::Seen(visit) => visit,
            Self::Unseen(missed) => {
                let rest = [issuer, keys, routes::NAME, cors::NAME].map(|name| missed.not_checked(name));
                return [missed.check(discovery)].into_iter().chain(rest).collect();
            }
        };
        vec![
            visit.discovery(discovery),
            visit.issuer(issuer),
            visit.keys(keys, table, now),
            routes::validate(&visit.probes, template),
            cors::validate(&visit.preflight),
        ]
    }
}

/// Whether paths can be put behind it.
fn is_base(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some() && url.query().is_none()
    }) && !url.contains('#')
}

impl Visit {
    fn discovery(&self, name: &'static str) -> Check {
        if let [(_, Err(reason)), ..] = self.documents.as_slice()
            && self.documents.iter().all(|(_, answer)| answer.is_err())
        {
            let detail = format!("{} does not answer ({reason})", self.url);
            let advice = "is the URL right, and the network up? Of a local stack: is `latchkey dev` running?";
            return Check::problem(name, detail, advice);
        }
        for (path, answer) in &self.documents {
            let wrong = match answer {
                Err(reason) => Some((format!("does not answer ({reason})"), "run it again")),
                Ok(answer) => wrong(answer),
            };
            if let Some((what, advice)) = wrong {
                return Check::problem(name, format!("GET {}{path} {what}", self.url), advice);
            }
        }
        let took =
            self.documents.iter().filter_map(|(_, answer)| answer.as_ref().ok()).map(|answer| answer.took);
        let slowest = took.max().unwrap_or_default();
        let took = format!("within {} ms", slowest.as_millis());
        if slowest <= GATEWAYS_PATIENCE {
            return Check::ok(name, format!("keys and metadata are answered {took}"));
        }
        Check::warning(
            name,
            format!("keys and metadata are answered {took}: API Gateway's own JWT authorizer waits 1500 ms"),
            "run it again: only the first answer of a while should be slow",
        )
    }

    /// A document, if it is one.
    fn document(&self, path: &str) -> Option<Value> {
        let (_, answer) = self.documents.iter().find(|(name, _)| *name == path)?;
        let answer = answer.as_ref().ok().filter(|answer| wrong(answer).is_none())?;
        serde_json::from_slice(&answer.body).ok()
    }

    fn issuer(&self, name: &'static str) -> Check {
        let issuers = METADATA.map(|path| self.document(path).map(|document| document["issuer"].clone()));
        let [Some(oauth), Some(openid)] = issuers else {
            return Check::not_checked(name, "the metadata can't be read");
        };
        let Some(issuer) = oauth.as_str().filter(|_| oauth == openid) else {
            let detail = format!("the two metadata documents name {oauth} and {openid}");
            return Check::problem(name, detail, "deploy the template again (`sam deploy`)");
        };
        if issuer.trim_end_matches('/') == self.url {
            return Check::ok(name, format!("tokens name {issuer} as their issuer"));
        }
        Check::warning(
            name,
            format!("tokens name {issuer} as their issuer, and this is {}", self.url),
            "run it again with the issuer as --url; if that is not yours, mend the template's parameter Issuer",
        )
    }

    fn keys(
        &self,
        name: &'static str,
        table: Result<(&KeySchedule<PublishedKey>, &[Value]), &Missed>,
        now: u64,
    ) -> Check {
        let (timeline, trusted) = match table {
            Ok(table) => table,
            Err(missed) => return missed.not_checked(name),
        };
        if trusted.is_empty() {
            return Check::not_checked(name, "the table holds no key to compare with");
        }
        let published = self.document(JWKS).and_then(|jwks| Some(jwks["keys"].as_array()?.clone()));
        let Some(published) = published else {
            return Check::not_checked(name, "the API's keys can't be read");
        };
        compare_keys(name, &by_id(&published), &by_id(trusted), timeline, now)
    }
}

/// What is wrong with a document's answer, and what to do.
fn wrong(answer: &Answer) -> Option<(String, &'static str)> {
    let status = answer.status;
    if status == StatusCode::OK {
        let is_object = serde_json::from_slice::<Value>(&answer.body).is_ok_and(|body| body.is_object());
        return (!is_object)
            .then(|| ("answers something else than a JSON object".to_owned(), "is the URL right?"));
    }
    let advice = if status.is_server_error() {
        "the log of the function discovery says why"
    } else {
        "is the URL right? The stack's output ApiUrl has it, or your own domain if DisableDefaultEndpoint is set"
    };
    Some((format!("answers {}", status.as_u16()), advice))
}

type Keys<'a> = BTreeMap<&'a str, &'a Value>;

fn by_id(jwks: &[Value]) -> Keys<'_> {
    jwks.iter().map(|key| (key["kid"].as_str().unwrap_or_default(), key)).collect()
}

fn compare_keys(
    name: &'static str,
    published: &Keys<'_>,
    trusted: &Keys<'_>,
    timeline: &KeySchedule<PublishedKey>,
    now: u64,
) -> Check {
    if published == trusted {
        let keys = counted(trusted.len(), "key");
        return Check::ok(name, format!("the API publishes what the table holds, {keys}"));
    }
    let lacking = |here: &Keys<'_>, there: &Keys<'_>| -> Vec<String> {
        here.keys().filter(|kid| !there.contains_key(*kid)).map(|kid| (*kid).to_owned()).collect()
    };
    let differ = |kid: &&&str| published.get(**kid) != trusted.get(**kid);
    let both = published.keys().filter(|kid| trusted.contains_key(*kid));
    let parts = [
        ("does not publish", lacking(trusted, published)),
        ("still publishes", lacking(published, trusted)),
        ("has another form of", both.filter(differ).map(|kid| (*kid).to_owned()).collect()),
    ];
    let parts = parts.into_iter().filter(|(_, kids)| !kids.is_empty());
    let parts: Vec<_> = parts.map(|(verb, kids)| format!("{verb} {}", kids.join(", "))).collect();
    let detail = format!("other than the table, the API {}", parts.join(" and "));
    let moments = timeline.iter().flat_map(|timed| [Some(timed.published_at), timed.retires_at]).flatten();
    let changed_at = moments.filter(|moment| *moment <= now).max().unwrap_or_default();
    let age = now.saturating_sub(changed_at);
    let strangers = !published.is_empty() && published.keys().all(|kid| differ(&kid));
    if age <= IN_FUNCTION {
        Check::warning(name, detail, "run it again in a minute: the API has not heard of the change yet")
    } else if strangers {
        let detail = "the API publishes other keys than the table holds, all of them";
        Check::problem(name, detail, "are --url and TABLE_NAME of one stack?")
    } else if age <= IN_CACHES {
        Check::warning(name, detail, "run it again later: caches may keep the keys for an hour")
    } else {
        let advice = "somebody on the way keeps old answers for too long: is there a CDN before the API?";
        Check::problem(name, detail, advice)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;
    use serde_json::json;

    const URL: &str = "https://auth.example.com";

    fn answer(status: u16, body: &Value, millis: u64) -> Result<Answer, String> {
        let body = body.to_string().into_bytes();
        let status = StatusCode::from_u16(status).unwrap();
        let took = Duration::from_millis(millis);
        Ok(Answer { status, took, clocks: None, cdn: None, allowed_origin: None, body })
    }

    fn visit(jwks: Result<Answer, String>, issuers: [&str; 2]) -> Visit {
        let metadata = issuers.map(|issuer| answer(200, &json!({"issuer": issuer}), 1));
        let [oauth, openid] = metadata;
        let documents = vec![(JWKS, jwks), (METADATA[0], oauth), (METADATA[1], openid)];
        let preflight = answer(204, &Value::Null, 1);
        Visit { url: URL.to_owned(), documents, probes: Vec::new(), preflight }
    }

    fn key(kid: &str, x: &str) -> Value {
        json!({"kid": kid, "x": x})
    }

    #[test]
    fn discovery_is_answered_as_fast_as_api_gateway_wants_it() {
        let good = json!({"keys": []});
        for (jwks, status, words) in [
            (answer(200, &good, 1500), Status::Ok, "1500 ms"),
            (answer(200, &good, 1501), Status::Warning, "1501 ms"),
            (answer(404, &good, 1), Status::Problem, "jwks.json answers 404"),
            (answer(503, &good, 1), Status::Problem, "answers 503"),
            (answer(200, &json!("<html>"), 1), Status::Problem, "something else"),
            (Err("refused".to_owned()), Status::Problem, "does not answer (refused)"),
        ] {
            let check = visit(jwks, [URL; 2]).discovery("discovery");
            assert!(check.status == status && check.detail.contains(words), "{check:?}");
        }
    }

    #[test]
    fn the_issuer_is_the_url_or_is_named() {
        for (issuers, status) in [
            ([URL; 2], Status::Ok),
            (["https://auth.example.com/"; 2], Status::Ok),
            (["https://other.example.com"; 2], Status::Warning),
            ([URL, "https://other.example.com"], Status::Problem),
        ] {
            let check = visit(answer(200, &json!({}), 1), issuers).issuer("issuer");
            assert_eq!(check.status, status, "{check:?}");
        }
        let mut half = visit(answer(200, &json!({}), 1), [URL; 2]);
        half.documents[2].1 = answer(503, &json!({}), 1);
        assert_eq!(half.issuer("issuer").status, Status::NotChecked);
    }

    #[test]
    fn the_api_publishes_what_the_table_holds() {
        let (a, b, c) = (key("a", "1"), key("b", "1"), key("c", "1"));
        let mut timeline = KeySchedule::default();
        timeline.publish(PublishedKey { kid: "a".to_owned(), jwk: String::new() }, 0);
        for (published, trusted, now, status) in [
            (vec![&a, &b], vec![&b, &a], 0, Status::Ok),
            (vec![&a], vec![], 0, Status::NotChecked),
            (vec![&a], vec![&a, &b], IN_CACHES, Status::Warning),
            (vec![&a], vec![&a, &b], IN_CACHES + 1, Status::Problem),
            (vec![&a, &b], vec![&a], IN_CACHES, Status::Warning),
            (vec![&a, &b], vec![&a], IN_CACHES + 1, Status::Problem),
            (vec![], vec![&a], IN_CACHES, Status::Warning),
            (vec![&c], vec![&a], IN_FUNCTION, Status::Warning),
            (vec![&c], vec![&a], IN_FUNCTION + 1, Status::Problem),
            (vec![&key("a", "2")], vec![&a], IN_FUNCTION + 1, Status::Problem),
        ] {
            let owned = |keys: Vec<&Value>| keys.into_iter().cloned().collect::<Vec<_>>();
            let visit = visit(answer(200, &json!({"keys": owned(published)}), 1), [URL; 2]);
            let check = visit.keys("published keys", Ok((&timeline, &owned(trusted))), now);
            assert_eq!(check.status, status, "{check:?}");
        }
    }

    #[test]
    fn a_base_is_a_url_without_query() {
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
