//! The authorizer's identity sources, answers and cache, as in API Gateway
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html>).

use std::collections::HashMap;

use axum::http::HeaderMap;
use sam_template::{Authorizer, IdentitySource};
use serde_json::{Map, Value};

use super::event;

/// The maximum number of cached answers.
const CAPACITY: usize = 1000;

/// An authorizer's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum AuthorizerDecision {
    /// The call is allowed, with this context.
    Allow(Map<String, Value>),
    /// The call is denied.
    Deny,
}

impl AuthorizerDecision {
    /// Reads a simple response. `None` if it is invalid: `isAuthorized` must be a boolean, and `context`, if present, an
    /// object.
    pub fn read(response: &Value) -> Option<Self> {
        let context = match response.get("context") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(context)) => context.clone(),
            Some(_) => return None,
        };
        match response.get("isAuthorized")?.as_bool()? {
            true => Some(Self::Allow(context)),
            false => Some(Self::Deny),
        }
    }
}

/// The values of an authorizer's identity sources. `None` if one is missing or empty. Then API Gateway answers 401
/// without calling the authorizer.
pub fn identity(authorizer: &Authorizer, headers: &HeaderMap, route_key: &str) -> Option<Vec<String>> {
    authorizer
        .identity_sources
        .iter()
        .map(|source| match source {
            IdentitySource::Header(name) => event::text(headers, name).filter(|value| !value.is_empty()),
            IdentitySource::RouteKey => Some(route_key.to_owned()),
        })
        .collect()
}

/// Answers by authorizer and identity, each with the second of its expiry.
#[derive(Default)]
pub struct AuthorizerCache(HashMap<(String, Vec<String>), (AuthorizerDecision, u64)>);

impl AuthorizerCache {
    /// The answer that is fresh at `now`, in seconds.
    pub fn get(&self, authorizer: &str, identity: &[String], now: u64) -> Option<AuthorizerDecision> {
        let (verdict, until) = self.0.get(&(authorizer.to_owned(), identity.to_vec()))?;
        (now < *until).then(|| verdict.clone())
    }

    /// Caches an answer for `ttl` seconds. With 0 it does nothing.
    pub fn put(
        &mut self,
        (authorizer, identity): (&str, Vec<String>),
        verdict: AuthorizerDecision,
        ttl: u64,
        now: u64,
    ) {
        if ttl == 0 {
            return;
        }
        if self.0.len() >= CAPACITY {
            self.0.retain(|_, (_, until)| now < *until);
        }
        if self.0.len() < CAPACITY {
            self.0.insert((authorizer.to_owned(), identity), (verdict, now.saturating_add(ttl)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use serde_json::json;

    fn authorizer(identity_sources: Vec<IdentitySource>) -> Authorizer {
        Authorizer { function: "F".to_owned(), identity_sources, ttl: 1 }
    }

    #[test]
    fn missing_or_empty_identity_source_is_no_identity() {
        let bearer =
            authorizer(vec![IdentitySource::Header("authorization".to_owned()), IdentitySource::RouteKey]);
        let mut headers = HeaderMap::new();
        assert_eq!(identity(&bearer, &headers, "GET /a"), None);
        headers.insert("authorization", HeaderValue::from_static(""));
        assert_eq!(identity(&bearer, &headers, "GET /a"), None);
        headers.insert("authorization", HeaderValue::from_static("Bearer a"));
        headers.append("authorization", HeaderValue::from_static("Bearer b"));
        let expected = vec!["Bearer a,Bearer b".to_owned(), "GET /a".to_owned()];
        assert_eq!(identity(&bearer, &headers, "GET /a"), Some(expected));
    }

    #[test]
    fn authorizer_without_identity_sources_is_always_called() {
        assert_eq!(identity(&authorizer(Vec::new()), &HeaderMap::new(), "GET /a"), Some(Vec::new()));
    }

    #[test]
    fn only_a_json_boolean_authorizes() {
        let context = Map::from_iter([("sub".to_owned(), json!("s"))]);
        for (response, expected) in [
            (
                json!({"isAuthorized": true, "context": {"sub": "s"}}),
                Some(AuthorizerDecision::Allow(context)),
            ),
            (json!({"isAuthorized": true}), Some(AuthorizerDecision::Allow(Map::new()))),
            (json!({"isAuthorized": true, "context": null}), Some(AuthorizerDecision::Allow(Map::new()))),
            (json!({"isAuthorized": false, "context": {"a": "b"}}), Some(AuthorizerDecision::Deny)),
            (json!({"isAuthorized": "true"}), None),
            (json!({"isAuthorized": 1}), None),
            (json!({"isAuthorized": true, "context": "a"}), None),
            (json!({"isAuthorized": true, "context": []}), None),
            (json!({"principalId": "p", "policyDocument": {}}), None),
            (json!({}), None),
            (json!(null), None),
            (json!(true), None),
        ] {
            assert_eq!(AuthorizerDecision::read(&response), expected, "{response}");
        }
    }

    #[test]
    fn cached_answer_expires_after_its_ttl() {
        let mut cache = AuthorizerCache::default();
        let identity = vec!["Bearer a".to_owned(), "GET /a".to_owned()];
        cache.put(("Bearer", identity.clone()), AuthorizerDecision::Deny, 10, 100);
        assert_eq!(cache.get("Bearer", &identity, 109), Some(AuthorizerDecision::Deny));
        assert_eq!(cache.get("Bearer", &identity, 110), None);
    }

    #[test]
    fn cached_answer_is_for_one_identity_and_authorizer() {
        let mut cache = AuthorizerCache::default();
        cache.put(("Bearer", vec!["a".to_owned(), "GET /a".to_owned()]), AuthorizerDecision::Deny, 10, 100);
        for (authorizer, identity) in [
            ("Key", vec!["a".to_owned(), "GET /a".to_owned()]),
            ("Bearer", vec!["a".to_owned(), "GET /b".to_owned()]),
            ("Bearer", vec!["aGET /a".to_owned()]),
            ("Bearer", vec!["a".to_owned()]),
        ] {
            assert_eq!(cache.get(authorizer, &identity, 100), None);
        }
    }

    #[test]
    fn ttl_of_zero_caches_nothing() {
        let mut cache = AuthorizerCache::default();
        cache.put(("Either", Vec::new()), AuthorizerDecision::Deny, 0, 100);
        assert_eq!(cache.get("Either", &[], 100), None);
    }

    #[test]
    fn cache_is_bounded_and_drops_expired_answers() {
        let mut cache = AuthorizerCache::default();
        for number in 0..2 * CAPACITY {
            cache.put(("A", vec![number.to_string()]), AuthorizerDecision::Deny, 10, 100);
        }
        assert_eq!(cache.0.len(), CAPACITY);
        cache.put(("A", vec!["new".to_owned()]), AuthorizerDecision::Deny, 10, 110);
        assert_eq!(cache.0.len(), 1);
    }
}
