//! Something outside that can't be done now, and is tried again.

use std::time::Duration;

use super::stream::backoff;

/// When it is tried again, and why it has to be.
#[derive(Debug, Default)]
pub(super) struct Retry {
    /// Not before this.
    at: Option<Duration>,
    /// How often in a row it failed.
    failures: u32,
    trouble: Option<String>,
}

impl Retry {
    /// It failed; whether this is the first time in a row.
    pub(super) fn failed(&mut self, now: Duration, why: String) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.at = Some(now + backoff(self.failures));
        self.trouble.replace(why).is_none()
    }

    /// It is done, or no longer wanted; whether it had failed before.
    pub(super) fn over(&mut self) -> bool {
        std::mem::take(self).trouble.is_some()
    }

    /// Whether it is too early to try again.
    pub(super) fn waits(&self, now: Duration) -> bool {
        self.at.is_some_and(|at| at > now)
    }

    /// When it is to be tried.
    pub(super) fn at(&self, now: Duration) -> Duration {
        self.at.unwrap_or(now)
    }

    /// Why it failed last.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}
