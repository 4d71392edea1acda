//! The store as others see it: through its ports, other processes, and `sqlite3`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which clippy does not take for tests"
)]

mod crash;
mod devices;
mod disk_full;
mod group_commit;
mod kit;
mod open;
mod same_as_memory;
mod two_threads;
mod verify;
mod view;
