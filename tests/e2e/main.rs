//! The bundle, end to end: over HTTP through the local gateway, by raw Lambda events, and as processes on Lambda.
//! End-to-end tests: over HTTP through the local gateway, and with raw Lambda events.

mod assertions;
mod authorizer;
mod aws;
mod causes;
mod client_auth;
mod descriptions;
mod discovery;
mod docs;
mod dpop;
mod events;
mod exchange;
mod family;
mod flows;
mod google;
mod hostile;
mod https;
mod lambda;
mod layering;
mod local_stack;
mod lockout;
mod login;
mod logs;
mod moving_in;
mod published_keys;
mod refresh;
mod revocation;
mod rotation;
mod signature_cache;
mod takeover;
mod token_endpoint;
mod upgrade;
