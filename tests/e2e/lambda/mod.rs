//! Each function as a process on Lambda: the real binary behind the Lambda Runtime API.

mod authorizer;
mod discovery;
mod docs;
mod google;
mod introspect;
mod login;
mod revoke;
mod rotation;
mod token;
mod whoami;
