//! Responses of an operation: the success with its schema, and the errors by status.

use std::collections::BTreeMap;

use shared::oauth::authorizer_context::Message;
use shared::oauth::error::{ErrorKind, ErrorResponse};
use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{
    Content, ObjectBuilder, Ref, Response, ResponseBuilder, Responses, ResponsesBuilder, Type,
};

/// The errors of every endpoint that reads a form or JSON.
pub(super) const MALFORMED: [ErrorKind; 3] =
    [ErrorKind::InvalidRequest, ErrorKind::ContentTooLarge, ErrorKind::UnsupportedMediaType];

/// JSON content with the schema of a type.
pub(super) fn json<T: ToSchema>() -> Content {
    Content::new(Some(Ref::from_schema_name(T::name())))
}

/// A successful response and the possible errors.
pub(super) fn answers<T: ToSchema>(about: &str, errors: &[ErrorKind]) -> Responses {
    with_errors(answer(about, json::<T>()), errors)
}

/// As [`answers`], with an empty object as the success.
pub(super) fn empty_answer(about: &str, errors: &[ErrorKind]) -> Responses {
    let nothing = ObjectBuilder::new().schema_type(Type::Object).build();
    with_errors(answer(about, Content::new(Some(nothing))), errors)
}

/// As [`answers`], for a route behind the authorizer: API Gateway writes its errors.
pub(super) fn protected<T: ToSchema>(about: &str) -> Responses {
    let forbidden = "The credential is invalid, or it lacks a scope that the route requires.";
    ResponsesBuilder::new()
        .response("200", answer(about, json::<T>()))
        .response("401", answer("The request has no credential.", json::<Message>()))
        .response("403", answer(forbidden, json::<Message>()))
        .build()
}

fn answer(about: &str, content: Content) -> Response {
    ResponseBuilder::new().description(about).content("application/json", content).build()
}

fn with_errors(good: Response, errors: &[ErrorKind]) -> Responses {
    let mut by_status: BTreeMap<u16, Vec<ErrorKind>> = BTreeMap::new();
    for kind in errors {
        by_status.entry(kind.status().as_u16()).or_default().push(*kind);
    }
    let errors = by_status.into_iter().map(|(status, kinds)| (status.to_string(), error_of_status(&kinds)));
    ResponsesBuilder::new().response("200", good).responses_from_iter(errors).build()
}

/// The response for the errors that share a status.
fn error_of_status(kinds: &[ErrorKind]) -> Response {
    let mut codes: Vec<_> = kinds.iter().map(|kind| format!("`{}`", kind.code())).collect();
    codes.dedup();
    let response = ResponseBuilder::new()
        .description(codes.join(", "))
        .content("application/json", json::<ErrorResponse>());
    let header = |about: &str| HeaderBuilder::new().description(Some(about)).build();
    match kinds.first() {
        Some(ErrorKind::TooManyRequests | ErrorKind::TemporarilyUnavailable) => {
            response.header("Retry-After", header("Seconds to wait before the next request."))
        }
        Some(ErrorKind::InvalidClient | ErrorKind::SignInFailed) => {
            response.header("WWW-Authenticate", header("The authentication scheme of this endpoint."))
        }
        _ => response,
    }
    .build()
}
