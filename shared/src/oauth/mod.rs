//! The protocol: its requests, responses, errors, scopes and metadata (RFC 6749, RFC 7662, RFC 8414). No IO.

pub mod authorizer_context;
pub mod body;
pub mod credentials;
pub mod error;
pub mod form;
pub mod identifiers;
pub mod introspection;
pub mod metadata;
pub mod response;
pub mod scope;
pub mod sign_in;
pub mod token_request;
pub mod token_response;
