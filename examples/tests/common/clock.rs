//! A clock that can leap, so that an outage of hours takes a test no time.

use std::time::Duration;

use sortie::{Clock, SystemClock, Timestamp};
use tokio::sync::watch;

/// The machine's clock, and how far ahead of it this one is.
#[derive(Debug)]
pub(crate) struct LeapingClock {
    system: SystemClock,
    ahead: watch::Sender<Duration>,
}

impl LeapingClock {
    pub(crate) fn new() -> Self {
        Self {
            system: SystemClock::new(),
            ahead: watch::Sender::new(Duration::ZERO),
        }
    }

    /// So much time passes at once.
    pub(crate) fn leap(&self, time: Duration) {
        self.ahead.send_modify(|ahead| *ahead += time);
    }
}

#[sortie::async_trait]
impl Clock for LeapingClock {
    fn now(&self) -> Timestamp {
        let ahead = i64::try_from(self.ahead.borrow().as_millis()).unwrap();
        Timestamp(self.system.now().0 + ahead)
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic() + *self.ahead.borrow()
    }

    async fn sleep_until(&self, deadline: Duration) {
        let mut leaps = self.ahead.subscribe();
        loop {
            let ahead = *leaps.borrow_and_update();
            tokio::select! {
                () = self.system.sleep_until(deadline.saturating_sub(ahead)) => return,
                changed = leaps.changed() => changed.unwrap(),
            }
        }
    }
}
