//! The bundle, end to end: over HTTP through the local gateway, and by raw Lambda events.

mod authorizer;
mod events;
mod flows;
mod google;
mod hostile;
mod layering;
mod login;
mod logs;
mod token_endpoint;
