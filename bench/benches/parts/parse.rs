//! What arrives: a token before its signature is looked at, the events of both kinds, a form.

use authorizer::Event;
use criterion::Criterion;
use lambda_http::Body;
use lambda_http::http::{Request, header};
use shared::token::jwt::UnverifiedJwt;
use shared::wire::http::Form;
use shared::wire::jose::Algorithm;
use shared::wire::lambda::HttpEvent;

use crate::token::{keys, signed};

const BEARER: &str = include_str!("../../../events/authorizer/http_v2_bearer_scoped_route.json");
const BASIC: &str = include_str!("../../../events/token/basic.json");
const FORM: &str = "grant_type=client_credentials&scope=todo%3Aread+todo%3Awrite&resource=latchkey";

pub fn measure(criterion: &mut Criterion) {
    let (private, _) = keys(Algorithm::Rs256);
    let token = signed(&private);
    criterion.bench_function("parse token", |bencher| bencher.iter(|| UnverifiedJwt::parse(&token, 8192)));
    let bearer = BEARER.replace("${ACCESS_TOKEN}", &token);
    criterion.bench_function("parse authorizer event", |bencher| {
        bencher.iter(|| serde_json::from_str::<Event>(&bearer));
    });
    criterion.bench_function("parse HTTP event", |bencher| {
        bencher.iter(|| serde_json::from_str::<HttpEvent>(BASIC));
    });
    let request = Request::post("/oauth2/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(FORM))
        .expect("a request");
    criterion.bench_function("parse form", |bencher| bencher.iter(|| Form::read(&request)));
}
