//! The rules of a campaign, each as a short story with the events that it leads to, a file for each group
//! of rules; `story.rs` is their stage.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic on purpose")]

mod cancel;
mod clock;
mod commands;
mod eligibility;
mod inputs;
mod life;
mod manual;
mod push;
mod removed;
mod report;
mod start;
mod story;
