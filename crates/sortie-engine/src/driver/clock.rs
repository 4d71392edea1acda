//! The machine's own time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sortie_core::Timestamp;
use sortie_ports::{Clock, async_trait};
use tokio::time::Instant;

/// The machine's time: its wall clock, and tokio's timers.
///
/// [`Clock::sleep_until`] needs a tokio runtime whose timers are enabled.
#[derive(Debug, Clone)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time is 0 now.
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        Timestamp(match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => since(after),
            Err(before) => -since(before.duration()),
        })
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    async fn sleep_until(&self, deadline: Duration) {
        // tokio cuts waits of years short, so look again.
        while self.monotonic() < deadline {
            match self.origin.checked_add(deadline) {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleeping_until_a_time_in_the_past_returns_at_once_and_monotonic_time_grows() {
        let clock = SystemClock::new();
        let before = clock.monotonic();
        clock.sleep_until(Duration::ZERO).await;
        let deadline = clock.monotonic() + Duration::from_millis(2);
        clock.sleep_until(deadline).await;
        assert!(clock.monotonic() >= deadline && deadline > before);
        // 2025-01-01 or later: it is wall time, in milliseconds.
        assert!(clock.now() > Timestamp(1_735_689_600_000));
    }
}
