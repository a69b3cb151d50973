//! The routes of `template.yaml`, this function's own apart. A test holds the two together.

use shared::oauth::authorizer_context::AuthorizerContext;
use shared::oauth::error::ErrorKind::{
    self, InvalidClient, InvalidDpopProof, InvalidGrant, InvalidScope, InvalidTarget, NotFound, SignInFailed,
    TemporarilyUnavailable, TooManyRequests, UnauthorizedClient, UnsupportedGrantType,
};
use shared::oauth::introspection::Introspection;
use shared::oauth::metadata::{Jwks, Metadata, OpenIdConfiguration, ProtectedResource};
use shared::oauth::sign_in::{GoogleRequest, LoginRequest, LoginResponse};
use shared::oauth::token_response::TokenResponse;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{ObjectBuilder, Required, Responses, Type};

use super::answers::{MALFORMED, answers, empty_answer, guarded, json};
use super::forms;
use super::security::Needs;

const PEOPLE: &str = "People";
const MACHINES: &str = "Tokens";
const DISCOVERY: &str = "Discovery";
const EXAMPLES: &str = "Examples";

/// A route and what there is to say of it.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) item: PathItem,
    pub(super) is_example: bool,
}

/// The groups in which Swagger UI shows the routes.
pub(super) fn tags(examples: bool) -> Vec<Tag> {
    let tag = |name, about: &str| TagBuilder::new().name(name).description(Some(about)).build();
    let mut tags = vec![
        tag(PEOPLE, "Sign-in for people."),
        tag(MACHINES, "Tokens: for machines, refreshed, exchanged, revoked, asked about."),
        tag(DISCOVERY, "What is published about this issuer."),
    ];
    tags.extend(examples.then(|| tag(EXAMPLES, "An example API: each route says who called it.")));
    tags
}

/// Every route.
pub(super) fn routes() -> Vec<Route> {
    [people(), tokens(), discovery(), examples()].into_iter().flatten().collect()
}

fn people() -> Vec<Route> {
    let refusals = with_malformed(&[SignInFailed, InvalidDpopProof, TooManyRequests, TemporarilyUnavailable]);
    let form_refusals = with(&refusals, &[UnsupportedGrantType, InvalidScope, InvalidTarget]);
    let login = RequestBodyBuilder::new().content("application/json", json::<LoginRequest>());
    let google = RequestBodyBuilder::new()
        .description(Some("One of these, or the ID token as bearer and no body."))
        .content("application/json", json::<GoogleRequest>())
        .content("application/x-www-form-urlencoded", forms::google());
    vec![
        post("/login", PEOPLE, "Sign in with a user name and a password", Needs::Nothing, |operation| {
            operation.request_body(Some(login.required(Some(Required::True)).build())).responses(answers::<
                LoginResponse<'_>,
            >(
                "Signed in.",
                &refusals,
            ))
        }),
        post("/token", PEOPLE, "The same as a form", Needs::Nothing, |operation| {
            operation
                .description(Some(
                    "For FastAPI-style clients and the *Authorize* box. The OAuth 2.0 token \
                    endpoint is `/oauth2/token`.",
                ))
                .request_body(Some(forms::login()))
                .responses(answers::<TokenResponse<'_>>("Signed in.", &form_refusals))
        }),
        post("/google", PEOPLE, "Sign in with Google's ID token", Needs::Nothing, |operation| {
            let refusals = with_malformed(&[SignInFailed, InvalidDpopProof, TemporarilyUnavailable]);
            operation
                .request_body(Some(google.build()))
                .responses(answers::<TokenResponse<'_>>("Signed in.", &refusals))
        }),
    ]
}

fn tokens() -> Vec<Route> {
    let client = with_malformed(&[InvalidClient, TemporarilyUnavailable]);
    let own = with(
        &client,
        &[
            UnauthorizedClient,
            UnsupportedGrantType,
            InvalidScope,
            InvalidTarget,
            InvalidDpopProof,
            TooManyRequests,
        ],
    );
    let granted = with(&own, &[InvalidGrant]);
    vec![
        post("/oauth2/token", MACHINES, "Get a token", Needs::Client, |operation| {
            operation
                .description(Some("The OAuth 2.0 token endpoint (RFC 6749 §3.2)."))
                .request_body(Some(forms::token()))
                .responses(answers::<TokenResponse<'_>>("A token.", &granted))
        }),
        post("/oauth2/authorize", MACHINES, "Get a token for a client", Needs::Client, |operation| {
            operation
                .description(Some("The path that existing callers of the client credentials grant post to."))
                .request_body(Some(forms::client_credentials()))
                .responses(answers::<TokenResponse<'_>>("A token.", &own))
        }),
        post("/oauth2/revoke", MACHINES, "Revoke a token", Needs::Client, |operation| {
            let refusals = with(&client, &[UnauthorizedClient, InvalidDpopProof]);
            operation
                .description(Some(
                    "RFC 7009. People's tokens are the client `latchkey`'s, which has no secret.",
                ))
                .request_body(Some(forms::token_in_question()))
                .responses(empty_answer("The token is good no more, or never was.", &refusals))
        }),
        post("/oauth2/introspect", MACHINES, "Ask about a token", Needs::Client, |operation| {
            operation
                .description(Some(
                    "RFC 7662. A client may ask about its own tokens; with the scope \
                    `latchkey:introspect`, about all.",
                ))
                .request_body(Some(forms::token_in_question()))
                .responses(answers::<Introspection>("How the token is now.", &client))
        }),
    ]
}

fn discovery() -> Vec<Route> {
    let published = |path, summary, responses: Responses| {
        get(path, DISCOVERY, summary, Needs::Nothing, |operation| operation.responses(responses))
    };
    let refusals = [TemporarilyUnavailable];
    let resource = || answers::<ProtectedResource<'_>>("The metadata.", &[NotFound, TemporarilyUnavailable]);
    vec![
        published("/.well-known/jwks.json", "Public keys", answers::<Jwks<'_>>("The keys.", &refusals)),
        published(
            "/.well-known/oauth-authorization-server",
            "Metadata (RFC 8414)",
            answers::<Metadata<'_>>("The metadata.", &refusals),
        ),
        published(
            "/.well-known/openid-configuration",
            "Metadata, where OpenID Connect looks for it",
            answers::<OpenIdConfiguration<'_>>("The metadata.", &refusals),
        ),
        published(
            "/.well-known/oauth-protected-resource",
            "Metadata of a resource without a path (RFC 9728)",
            resource(),
        ),
        get(
            "/.well-known/oauth-protected-resource/{proxy}",
            DISCOVERY,
            "Metadata of a resource with a path",
            Needs::Nothing,
            |operation| operation.parameter(path_of_resource()).responses(resource()),
        ),
    ]
}

/// The path of a resource, as it comes after the well-known one.
fn path_of_resource() -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    ParameterBuilder::new()
        .name("proxy")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("The resource's path without its first `/`; it may have several segments."))
        .schema(Some(text))
        .build()
}

fn examples() -> Vec<Route> {
    let example = |path, summary, needs| {
        let answers = guarded::<AuthorizerContext>("Who called.");
        let route = get(path, EXAMPLES, summary, needs, |operation| operation.responses(answers));
        Route { is_example: true, ..route }
    };
    vec![
        example("/profile", "With a token", Needs::Token(&[])),
        example("/get/clientinfo", "With a token", Needs::Token(&[])),
        example("/todo", "With a token that has a scope", Needs::Token(&["todo:read"])),
        example("/users", "With an API key", Needs::ApiKey),
        example("/whoami", "With either", Needs::TokenOrApiKey),
    ]
}

fn with(some: &[ErrorKind], more: &[ErrorKind]) -> Vec<ErrorKind> {
    [some, more].concat()
}

fn with_malformed(kinds: &[ErrorKind]) -> Vec<ErrorKind> {
    with(&MALFORMED, kinds)
}

fn post(
    path: &'static str,
    tag: &str,
    summary: &str,
    needs: Needs,
    fill: impl FnOnce(OperationBuilder) -> OperationBuilder,
) -> Route {
    route(HttpMethod::Post, path, tag, summary, needs, fill)
}

fn get(
    path: &'static str,
    tag: &str,
    summary: &str,
    needs: Needs,
    fill: impl FnOnce(OperationBuilder) -> OperationBuilder,
) -> Route {
    route(HttpMethod::Get, path, tag, summary, needs, fill)
}

fn route(
    method: HttpMethod,
    path: &'static str,
    tag: &str,
    summary: &str,
    needs: Needs,
    fill: impl FnOnce(OperationBuilder) -> OperationBuilder,
) -> Route {
    // Each path has one method, so that its words make a name of their own.
    let id: Vec<_> = path.split(['/', '.', '-', '{', '}']).filter(|word| !word.is_empty()).collect();
    let operation = OperationBuilder::new()
        .operation_id(Some(id.join("_")))
        .tag(tag)
        .summary(Some(summary))
        .securities(Some(needs.requirements()));
    Route { path, item: PathItem::new(method, fill(operation)), is_example: false }
}
