//! Schemas of form bodies. A test compares the field names with those that the functions read
//! (`shared::oauth::form::Form`).

use serde_json::json;
use shared::oauth::identifiers::{
    CLIENT_CREDENTIALS, JWT_BEARER_ASSERTION, PASSWORD, REFRESH_TOKEN, REQUESTED_TOKEN_TYPES,
    SUBJECT_TOKEN_TYPES, TOKEN_EXCHANGE,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::{Content, KnownFormat, ObjectBuilder, Required, SchemaFormat, Type};

/// A field of a form.
struct Field {
    name: &'static str,
    about: &'static str,
    /// The allowed values. Empty allows any.
    one_of: &'static [&'static str],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    RequiredText,
    Optional,
    Secret,
    RequiredSecret,
}

const fn field(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, about, one_of: &[], kind }
}

/// Client authentication in the body, for clients that do not use the `Authorization` header.
const CLIENT: [Field; 4] = [
    field("client_id", Kind::Optional, "Client id."),
    field("client_secret", Kind::Secret, "Client secret (RFC 6749 §2.3.1)."),
    Field {
        one_of: &[JWT_BEARER_ASSERTION],
        ..field("client_assertion_type", Kind::Optional, "Required with `client_assertion`.")
    },
    field(
        "client_assertion",
        Kind::Secret,
        "JWT signed by the client, in place of a client secret (RFC 7523).",
    ),
];

const SCOPE: Field = field(
    "scope",
    Kind::Optional,
    "Requested scopes, separated by spaces. Default: all scopes that the caller may have.",
);
const RESOURCE: Field = field("resource", Kind::Optional, "Requested audience (RFC 8707).");
const AUDIENCE: Field =
    field("audience", Kind::Optional, "Alias of `resource`. If both are sent, they must be equal.");

/// Username and password, as FastAPI clients and Swagger UI send them.
pub(super) fn login() -> RequestBody {
    form(vec![
        Field { one_of: &[PASSWORD], ..field("grant_type", Kind::Optional, "Optional.") },
        field("username", Kind::RequiredText, "Username."),
        field("password", Kind::RequiredSecret, "Password."),
        SCOPE,
        RESOURCE,
        AUDIENCE,
    ])
}

/// The token endpoint, for every grant.
pub(super) fn token() -> RequestBody {
    let fields = [
        Field {
            one_of: &[CLIENT_CREDENTIALS, REFRESH_TOKEN, TOKEN_EXCHANGE],
            ..field("grant_type", Kind::RequiredText, "Grant type.")
        },
        SCOPE,
        RESOURCE,
        AUDIENCE,
        field(
            "refresh_token",
            Kind::Secret,
            "Latest refresh token of the token family, for `grant_type=refresh_token`.",
        ),
        field("subject_token", Kind::Secret, "Token of a trusted issuer, for token exchange (RFC 8693)."),
        Field {
            one_of: &SUBJECT_TOKEN_TYPES,
            ..field("subject_token_type", Kind::Optional, "Type of `subject_token`.")
        },
        Field {
            one_of: &REQUESTED_TOKEN_TYPES,
            ..field("requested_token_type", Kind::Optional, "Type of the issued token.")
        },
    ];
    form(fields.into_iter().chain(CLIENT).collect())
}

/// Client credentials grant only.
pub(super) fn client_credentials() -> RequestBody {
    let grant_type = Field {
        one_of: &[CLIENT_CREDENTIALS],
        ..field("grant_type", Kind::RequiredText, "The only grant of this endpoint.")
    };
    form([grant_type, SCOPE, RESOURCE, AUDIENCE].into_iter().chain(CLIENT).collect())
}

/// The form that Google Identity Services posts.
pub(super) fn google() -> Content {
    content(vec![
        field("credential", Kind::RequiredSecret, "Google ID token."),
        field("g_csrf_token", Kind::RequiredText, "Value of the cookie of the same name."),
    ])
}

/// The token to revoke or to introspect.
pub(super) fn one_token() -> RequestBody {
    let token = field("token", Kind::RequiredSecret, "Access token or refresh token.");
    form([token].into_iter().chain(CLIENT).collect())
}

fn form(fields: Vec<Field>) -> RequestBody {
    RequestBodyBuilder::new()
        .content("application/x-www-form-urlencoded", content(fields))
        .required(Some(Required::True))
        .build()
}

fn content(fields: Vec<Field>) -> Content {
    let mut form = ObjectBuilder::new().schema_type(Type::Object);
    for Field { name, about, one_of, kind } in fields {
        let mut text = ObjectBuilder::new().schema_type(Type::String).description(Some(about));
        if !one_of.is_empty() {
            text = text.enum_values(Some(one_of.iter().map(|value| json!(value))));
        }
        if matches!(kind, Kind::Secret | Kind::RequiredSecret) {
            text = text.format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)));
        }
        if matches!(kind, Kind::RequiredText | Kind::RequiredSecret) {
            form = form.required(name);
        }
        form = form.property(name, text);
    }
    Content::new(Some(form.build()))
}
