//! Names and secrets of principals: subjects, usernames, machine secrets and refresh tokens. No IO.

pub mod refresh_token;
pub mod secrets;
pub mod subjects;
pub mod usernames;
