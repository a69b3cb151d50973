//! What every function runs on: Lambda events, settings, the log, AWS clients, HTTPS, caches and the clock.

pub mod aws;
pub mod bounded;
pub mod cache;
pub mod call;
pub mod clock;
pub mod https;
pub mod lambda;
pub mod proxy;
pub mod response;
pub mod settings;
pub mod telemetry;

pub use self::lambda::serve;
