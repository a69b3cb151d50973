//! The tests behind the figures of `docs/reliability.md`.

mod black_hole;
mod clocks;
mod flows;
mod google;
mod lost_answers;
mod processes;
mod secrets_manager;
mod throttles;
