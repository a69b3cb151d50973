//! The OpenAPI 3.1 document (<https://spec.openapis.org/oas/v3.1.0.html>).
//!
//! The schemas of bodies come from the types in `shared` that the functions read and write. This module adds what the
//! types do not say: routes, credentials and errors.

mod answers;
mod forms;
mod routes;
mod security;

use shared::oauth::authorizer_context::{AuthorizerContext, Message};
use shared::oauth::error::ErrorResponse;
use shared::oauth::introspection::Introspection;
use shared::oauth::metadata::{Jwks, Metadata, OpenIdConfiguration, ProtectedResource};
use shared::oauth::sign_in::{GoogleRequest, LoginRequest, LoginResponse};
use shared::oauth::token_response::TokenResponse;
use utoipa::ToSchema;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathsBuilder, RefOr, Schema, ServerBuilder, Type,
};

const ABOUT: &str = "Sign-in for APIs on Amazon API Gateway: access tokens for users and clients, API keys, \
    and the authorizer that checks them.\n\nTo try a route that has a lock, press *Authorize* and sign in.";

/// Builds the document, with the example routes if they are deployed.
pub(crate) fn describe(examples: bool) -> OpenApi {
    let info =
        InfoBuilder::new().title("Latchkey").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT));
    let mut paths = PathsBuilder::new();
    for route in routes::routes().into_iter().filter(|route| examples || !route.is_example) {
        paths = paths.path(route.path, route.item);
    }
    let mut components = ComponentsBuilder::new().schemas_from_iter(schemas(examples));
    for (name, scheme) in security::schemes() {
        components = components.security_scheme(name, scheme);
    }
    OpenApiBuilder::new()
        .info(info.build())
        // Relative, so that it is valid on every domain.
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .tags(Some(routes::tags(examples)))
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

/// The schemas of all typed bodies, by the name that routes refer to.
fn schemas(examples: bool) -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = vec![
        schema::<ErrorResponse>(),
        schema::<GoogleRequest>(),
        schema::<Introspection>(),
        schema::<Jwks<'_>>(),
        schema::<LoginRequest>(),
        schema::<LoginResponse<'_>>(),
        schema::<Metadata<'_>>(),
        schema::<OpenIdConfiguration<'_>>(),
        schema::<ProtectedResource<'_>>(),
        schema::<TokenResponse<'_>>(),
    ];
    if examples {
        schemas.extend([schema::<AuthorizerContext>(), schema::<Message>()]);
    }
    schemas
}

fn schema<T: ToSchema>() -> (String, RefOr<Schema>) {
    let mut schema = T::schema();
    without_null(&mut schema);
    (T::name().into_owned(), schema)
}

/// Removes `null` from the types of optional members. Our bodies omit a missing member, but `utoipa` describes an
/// `Option` as nullable.
fn without_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Array(types) = &object.schema_type
                && let [one, Type::Null] = types.as_slice()
            {
                object.schema_type = SchemaType::Type(one.clone());
            }
            object.properties.values_mut().for_each(without_null);
        }
        RefOr::T(Schema::AllOf(parts)) => parts.items.iter_mut().for_each(without_null),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    /// Every `$ref` below a part of the document.
    fn references(part: &Value, found: &mut BTreeSet<String>) {
        match part {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn the_document_is_as_reviewed() {
        let mut document = describe(true);
        document.info.version = "VERSION".to_owned();
        insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
    }

    #[test]
    fn every_schema_is_referenced_and_every_reference_resolves() {
        for examples in [true, false] {
            let document = json!(describe(examples));
            let mut used = BTreeSet::new();
            references(&document, &mut used);
            let schemas = document["components"]["schemas"].as_object().unwrap();
            let known = schemas.keys().map(|name| format!("#/components/schemas/{name}")).collect();
            assert_eq!(used, known);
        }
    }

    #[test]
    fn no_schema_has_the_type_null() {
        assert!(!json!(describe(true)).to_string().contains("\"null\""));
    }

    #[test]
    fn disabled_example_routes_are_not_described() {
        let document = json!(describe(false)).to_string();
        for path in ["/todo\"", "/users\"", "/whoami\"", "/profile\"", "/get/clientinfo\"", "Examples"] {
            assert!(!document.contains(path), "{path}");
        }
    }

    #[test]
    fn operation_ids_are_unique() {
        let document = json!(describe(true));
        let operations = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|item| item.as_object().unwrap().values());
        let names: Vec<_> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
