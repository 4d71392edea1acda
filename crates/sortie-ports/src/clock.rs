//! The time, as a port, so that an application's tests own it.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use sortie_core::Timestamp;

/// Wall and monotonic time.
///
/// Wall time decides scheduled starts and stamps commits; it may step. Timers run on the monotonic
/// one only (rules C1, C5).
#[async_trait]
pub trait Clock: Debug + Send + Sync + 'static {
    /// Wall time.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// Returns once [`Clock::monotonic`] is at least `deadline`. Dropping it cancels the wait.
    async fn sleep_until(&self, deadline: Duration);
}
