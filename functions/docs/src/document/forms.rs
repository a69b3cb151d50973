//! Forms: their fields by the names that the functions read (`shared::oauth::http::Form`). A test holds
//! the two together.

use serde_json::json;
use shared::oauth::error::{
    CLIENT_CREDENTIALS, JWT_BEARER_ASSERTION, PASSWORD, REFRESH_TOKEN, REQUESTED_TOKEN_TYPES,
    SUBJECT_TOKEN_TYPES, TOKEN_EXCHANGE,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::{Content, KnownFormat, ObjectBuilder, Required, SchemaFormat, Type};

/// A field of a form.
struct Field {
    name: &'static str,
    about: &'static str,
    /// The values that it may have; none for any.
    one_of: &'static [&'static str],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Needed,
    Optional,
    Secret,
    NeededSecret,
}

const fn field(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, about, one_of: &[], kind }
}

/// How a client shows who it is, where it doesn't in the `Authorization` header.
const CLIENT: [Field; 4] = [
    field("client_id", Kind::Optional, "The client's id."),
    field("client_secret", Kind::Secret, "The client's secret (RFC 6749 §2.3.1)."),
    Field {
        one_of: &[JWT_BEARER_ASSERTION],
        ..field("client_assertion_type", Kind::Optional, "Comes with `client_assertion`.")
    },
    field("client_assertion", Kind::Secret, "A JWT that the client signed, in place of a secret (RFC 7523)."),
];

const SCOPE: Field =
    field("scope", Kind::Optional, "The scopes asked for, separated by blanks; all if left out.");
const RESOURCE: Field = field("resource", Kind::Optional, "The audience asked for (RFC 8707).");
const AUDIENCE: Field =
    field("audience", Kind::Optional, "Another name for `resource`; if both are sent they must be equal.");

/// A user name and a password, as FastAPI's clients and Swagger UI send them.
pub(super) fn login() -> RequestBody {
    form(vec![
        Field { one_of: &[PASSWORD], ..field("grant_type", Kind::Optional, "May be left out.") },
        field("username", Kind::Needed, "The user's name."),
        field("password", Kind::NeededSecret, "The password."),
        SCOPE,
        RESOURCE,
        AUDIENCE,
    ])
}

/// Any grant.
pub(super) fn token() -> RequestBody {
    let fields = [
        Field {
            one_of: &[CLIENT_CREDENTIALS, REFRESH_TOKEN, TOKEN_EXCHANGE],
            ..field("grant_type", Kind::Needed, "What the token is asked for with.")
        },
        SCOPE,
        RESOURCE,
        AUDIENCE,
        field("refresh_token", Kind::Secret, "The last refresh token, for `refresh_token`."),
        field("subject_token", Kind::Secret, "Another issuer's token, for a token exchange (RFC 8693)."),
        Field {
            one_of: &SUBJECT_TOKEN_TYPES,
            ..field("subject_token_type", Kind::Optional, "What kind of token that is.")
        },
        Field {
            one_of: &REQUESTED_TOKEN_TYPES,
            ..field("requested_token_type", Kind::Optional, "What kind of token to get.")
        },
    ];
    form(fields.into_iter().chain(CLIENT).collect())
}

/// The client credentials grant alone.
pub(super) fn client_credentials() -> RequestBody {
    let grant_type = Field {
        one_of: &[CLIENT_CREDENTIALS],
        ..field("grant_type", Kind::Needed, "The one grant that is known here.")
    };
    form([grant_type, SCOPE, RESOURCE, AUDIENCE].into_iter().chain(CLIENT).collect())
}

/// What Google Identity Services posts.
pub(super) fn google() -> Content {
    content(vec![
        field("credential", Kind::NeededSecret, "The ID token."),
        field("g_csrf_token", Kind::Needed, "The value of the cookie of the same name."),
    ])
}

/// A token that is revoked or asked about.
pub(super) fn token_in_question() -> RequestBody {
    let token = field("token", Kind::NeededSecret, "The access token or the refresh token.");
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
        if matches!(kind, Kind::Secret | Kind::NeededSecret) {
            text = text.format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)));
        }
        if matches!(kind, Kind::Needed | Kind::NeededSecret) {
            form = form.required(name);
        }
        form = form.property(name, text);
    }
    Content::new(Some(form.build()))
}
