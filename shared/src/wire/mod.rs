//! The protocol on the wire: requests in, OAuth's words, responses out.

pub mod context;
pub mod http;
pub mod jose;
pub mod lambda;
pub mod oauth;
pub mod scope;
