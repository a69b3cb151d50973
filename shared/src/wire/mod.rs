//! The protocol on the wire: requests in, OAuth's words, responses out.

pub mod caller;
pub mod context;
pub mod http;
pub mod introspection;
pub mod jose;
pub mod lambda;
pub mod members;
pub mod metadata;
pub mod oauth;
pub mod proxy;
pub mod scope;
pub mod sign_in;
pub mod token_response;
