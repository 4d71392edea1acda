//! The listening clock (C1).

use std::time::Duration;

use sortie_core::Listened;

/// Stands while the link is down or the log is still being read, so that nothing can be asked of a
/// device, and for `settle` after that.
#[derive(Debug)]
pub(super) struct ListeningClock {
    settle: Duration,
    listened: Duration,
    /// Since when it runs, or will run, on the monotonic clock; `None`: nobody is listened to.
    since: Option<Duration>,
}

impl ListeningClock {
    pub(super) fn new(settle: Duration) -> Self {
        Self {
            settle,
            listened: Duration::ZERO,
            since: None,
        }
    }

    pub(super) fn listen(&mut self, listens: bool, now: Duration) {
        self.listened = self.total(now);
        self.since = listens.then(|| now + self.settle);
    }

    pub(super) fn now(&self, now: Duration) -> Listened {
        Listened(u64::try_from(self.total(now).as_millis()).unwrap_or(u64::MAX))
    }

    /// How long it stands yet, at least.
    pub(super) fn settling(&self, now: Duration) -> Duration {
        self.since
            .map_or(self.settle, |runs_at| runs_at.saturating_sub(now))
    }

    fn total(&self, now: Duration) -> Duration {
        self.listened
            + self
                .since
                .map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// When it will show `due`, if the link stays as it is; `None` while it is down. Rounded up, so
    /// that the timer has run out then.
    pub(super) fn monotonic(&self, due: Listened) -> Option<Duration> {
        let ahead = Duration::from_millis(due.0).saturating_sub(self.listened);
        self.since.map(|since| since + ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_it_stands_while_the_link_is_down_and_until_settle_has_passed() {
        let s = Duration::from_secs;
        let mut clock = ListeningClock::new(s(60));
        assert_eq!(clock.now(s(1_000)), Listened(0));
        assert_eq!(clock.settling(s(1_000)), s(60));
        clock.listen(true, s(1_000));
        assert_eq!(clock.now(s(1_059)), Listened(0));
        assert_eq!(clock.settling(s(1_059)), s(1));
        assert_eq!(clock.settling(s(1_070)), s(0));
        assert_eq!(clock.now(s(1_070)), Listened(10_000));
        assert_eq!(clock.monotonic(Listened(15_000)), Some(s(1_075)));
        clock.listen(false, s(1_070));
        assert_eq!(clock.now(s(9_000)), Listened(10_000));
        assert_eq!(clock.monotonic(Listened(15_000)), None);
        clock.listen(true, s(9_000));
        assert_eq!(clock.now(s(9_061)), Listened(11_000));
        assert_eq!(clock.monotonic(Listened(15_000)), Some(s(9_065)));
    }
}
