//! What scopes open: one route, and all that a REST API's policy has to say about.

use std::collections::BTreeMap;

use authorizer::routes::{Route, RoutePolicy};
use criterion::Criterion;
use shared::wire::scope::Scopes;

const STAGE: &str = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/prod";

/// The rules of an API of so many resources: two methods each, a scope for either.
fn rules(resources: usize) -> RoutePolicy {
    let rules = (0..resources).flat_map(|index| {
        [("GET", "read"), ("POST", "write")].map(|(method, scope)| {
            let scopes = Scopes::parse(&format!("resource{index}:{scope}")).expect("a scope");
            (format!("{method} /resource{index}/{{id}}"), scopes)
        })
    });
    RoutePolicy::new(rules.collect::<BTreeMap<_, _>>()).expect("rules")
}

pub fn measure(criterion: &mut Criterion) {
    let scopes = Scopes::parse("resource0:read resource0:write resource1:read").expect("scopes");
    let route =
        Route { method: "GET", path: "/resource1/74".into(), pattern: Some("/resource1/{id}"), stage: None };
    for resources in [2, 20] {
        let policy = rules(resources);
        let count = 2 * resources;
        criterion.bench_function(&format!("route of {count}"), |bencher| {
            bencher.iter(|| policy.permits(&route, &scopes));
        });
        criterion.bench_function(&format!("REST policy of {count} routes"), |bencher| {
            bencher.iter(|| policy.arns(STAGE, &scopes, None));
        });
    }
}
