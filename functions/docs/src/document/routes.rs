//! Operations by route. A test compares them with the routes of `template.yaml`, except those of this function.

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

use super::answers::{MALFORMED, answers, empty_answer, json, protected};
use super::forms;
use super::security::Needs;

const USERS: &str = "Users";
const TOKENS: &str = "Tokens";
const DISCOVERY: &str = "Discovery";
const EXAMPLES: &str = "Examples";

/// A route and its operation.
pub(super) struct DocumentedRoute {
    pub(super) path: &'static str,
    pub(super) item: PathItem,
    pub(super) is_example: bool,
}

impl DocumentedRoute {
    /// The route in a group of Swagger UI.
    fn tagged(mut self, tag: &str) -> Self {
        for operation in [&mut self.item.get, &mut self.item.post].into_iter().flatten() {
            operation.tags = Some(vec![tag.to_owned()]);
        }
        self
    }
}

/// The groups of routes in Swagger UI.
pub(super) fn tags(examples: bool) -> Vec<Tag> {
    let tag = |name, about: &str| TagBuilder::new().name(name).description(Some(about)).build();
    let mut tags = vec![
        tag(USERS, "Sign-in of users."),
        tag(TOKENS, "Issue, refresh, exchange, revoke and introspect tokens."),
        tag(DISCOVERY, "Public keys and metadata of the issuer."),
    ];
    tags.extend(examples.then(|| tag(EXAMPLES, "Example API. Each route returns the caller.")));
    tags
}

/// All routes.
pub(super) fn routes() -> Vec<DocumentedRoute> {
    let groups = [(USERS, users()), (TOKENS, tokens()), (DISCOVERY, discovery()), (EXAMPLES, examples())];
    groups.into_iter().flat_map(|(tag, routes)| routes.into_iter().map(|route| route.tagged(tag))).collect()
}

fn users() -> Vec<DocumentedRoute> {
    let errors = with_malformed(&[SignInFailed, InvalidDpopProof, TooManyRequests, TemporarilyUnavailable]);
    let form_errors = with(&errors, &[UnsupportedGrantType, InvalidScope, InvalidTarget]);
    let login = RequestBodyBuilder::new().content("application/json", json::<LoginRequest>());
    let google = RequestBodyBuilder::new()
        .description(Some("The ID token in one of these bodies, or as a bearer token without a body."))
        .content("application/json", json::<GoogleRequest>())
        .content("application/x-www-form-urlencoded", forms::google());
    vec![
        post("/login", "Sign in with username and password", Needs::Nothing, |operation| {
            operation.request_body(Some(login.required(Some(Required::True)).build())).responses(answers::<
                LoginResponse<'_>,
            >(
                "The token response.",
                &errors,
            ))
        }),
        post("/token", "Sign in with username and password (form)", Needs::Nothing, |operation| {
            operation
                .description(Some(
                    "For FastAPI clients and the *Authorize* dialog. The OAuth 2.0 token \
                    endpoint is `/oauth2/token`.",
                ))
                .request_body(Some(forms::login()))
                .responses(answers::<TokenResponse<'_>>("The token response.", &form_errors))
        }),
        post("/google", "Sign in with a Google ID token", Needs::Nothing, |operation| {
            let errors = with_malformed(&[SignInFailed, InvalidDpopProof, TemporarilyUnavailable]);
            operation
                .request_body(Some(google.build()))
                .responses(answers::<TokenResponse<'_>>("The token response.", &errors))
        }),
    ]
}

fn tokens() -> Vec<DocumentedRoute> {
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
        post("/oauth2/token", "Issue a token", Needs::Client, |operation| {
            operation
                .description(Some("The OAuth 2.0 token endpoint (RFC 6749 §3.2)."))
                .request_body(Some(forms::token()))
                .responses(answers::<TokenResponse<'_>>("The token response.", &granted))
        }),
        post("/oauth2/authorize", "Issue a token to a client", Needs::Client, |operation| {
            operation
                .description(Some("Alternative path of the client credentials grant, for existing callers."))
                .request_body(Some(forms::client_credentials()))
                .responses(answers::<TokenResponse<'_>>("The token response.", &own))
        }),
        post("/oauth2/revoke", "Revoke a token", Needs::Client, |operation| {
            let errors = with(&client, &[UnauthorizedClient, InvalidDpopProof]);
            operation
                .description(Some(
                    "RFC 7009. Tokens of users belong to the client `latchkey`, which has no secret.",
                ))
                .request_body(Some(forms::one_token()))
                .responses(empty_answer("The token is revoked, or was already invalid.", &errors))
        }),
        post("/oauth2/introspect", "Introspect a token", Needs::Client, |operation| {
            operation
                .description(Some(
                    "RFC 7662. A client may introspect its own tokens, and all tokens \
                    with the scope `latchkey:introspect`.",
                ))
                .request_body(Some(forms::one_token()))
                .responses(answers::<Introspection>("The current state of the token.", &client))
        }),
    ]
}

fn discovery() -> Vec<DocumentedRoute> {
    let published = |path, summary, responses: Responses| {
        get(path, summary, Needs::Nothing, |operation| operation.responses(responses))
    };
    let errors = [TemporarilyUnavailable];
    let resource = || answers::<ProtectedResource<'_>>("The metadata.", &[NotFound, TemporarilyUnavailable]);
    vec![
        published("/.well-known/jwks.json", "Public keys", answers::<Jwks<'_>>("The JWKS.", &errors)),
        published(
            "/.well-known/oauth-authorization-server",
            "Authorization server metadata (RFC 8414)",
            answers::<Metadata<'_>>("The metadata.", &errors),
        ),
        published(
            "/.well-known/openid-configuration",
            "Authorization server metadata (OpenID Connect Discovery)",
            answers::<OpenIdConfiguration<'_>>("The metadata.", &errors),
        ),
        published(
            "/.well-known/oauth-protected-resource",
            "Metadata of a protected resource without a path (RFC 9728)",
            resource(),
        ),
        get(
            "/.well-known/oauth-protected-resource/{proxy}",
            "Metadata of a protected resource with a path (RFC 9728)",
            Needs::Nothing,
            |operation| operation.parameter(path_of_resource()).responses(resource()),
        ),
    ]
}

/// The path of a protected resource, which follows the well-known path.
fn path_of_resource() -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    ParameterBuilder::new()
        .name("proxy")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(
            "Path of the protected resource, without the leading `/`. It may have several segments.",
        ))
        .schema(Some(text))
        .build()
}

fn examples() -> Vec<DocumentedRoute> {
    let example = |path, summary, needs| {
        let answers = protected::<AuthorizerContext>("The caller.");
        let route = get(path, summary, needs, |operation| operation.responses(answers));
        DocumentedRoute { is_example: true, ..route }
    };
    vec![
        example("/profile", "Access token", Needs::Token(&[])),
        example("/get/clientinfo", "Access token", Needs::Token(&[])),
        example("/todo", "Access token with the scope `todo:read`", Needs::Token(&["todo:read"])),
        example("/users", "API key", Needs::ApiKey),
        example("/whoami", "Access token or API key", Needs::TokenOrApiKey),
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
    summary: &str,
    needs: Needs,
    fill: impl FnOnce(OperationBuilder) -> OperationBuilder,
) -> DocumentedRoute {
    let item = PathItem::new(HttpMethod::Post, fill(operation(path, summary, needs)));
    DocumentedRoute { path, item, is_example: false }
}

fn get(
    path: &'static str,
    summary: &str,
    needs: Needs,
    fill: impl FnOnce(OperationBuilder) -> OperationBuilder,
) -> DocumentedRoute {
    let item = PathItem::new(HttpMethod::Get, fill(operation(path, summary, needs)));
    DocumentedRoute { path, item, is_example: false }
}

fn operation(path: &str, summary: &str, needs: Needs) -> OperationBuilder {
    // Each path has one method, so the words of the path are a unique operation id.
    let id: Vec<_> = path.split(['/', '.', '-', '{', '}']).filter(|word| !word.is_empty()).collect();
    OperationBuilder::new()
        .operation_id(Some(id.join("_")))
        .summary(Some(summary))
        .securities(Some(needs.requirements()))
}
