//! The examples as a whole, each with a small fleet.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what can't be set up fails the test"
)]

mod bed;
mod lone;
mod outages;
#[path = "../../quickstart.rs"]
#[expect(dead_code, reason = "its `main` is not called")]
mod quickstart;
mod whole;
