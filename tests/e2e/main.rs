//! The bundle, end to end: over HTTP through the local gateway, and by raw Lambda events.

mod authorizer;
mod aws;
mod client_auth;
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
mod layering;
mod local_stack;
mod lockout;
mod login;
mod logs;
mod moving_in;
mod refresh;
mod revocation;
mod rotation;
mod signature_cache;
mod takeover;
mod token_endpoint;
mod upgrade;
