//! Time that stands until it is told to go on.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use sortie_core::Timestamp;
use sortie_ports::{Clock, async_trait};
use tokio::sync::Notify;

/// 2026-01-01T00:00:00Z: where the wall clock of a test begins.
const BEGIN: Timestamp = Timestamp(1_767_225_600_000);

/// Wall and monotonic time that stand until [`advance`](Self::advance) moves them; clones share them.
///
/// In a [`Bed`](super::Bed) the bed moves it, from timer to timer.
#[derive(Debug, Clone)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told when the last [`Hold`] is let go of.
    released: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    monotonic: Duration,
    /// Wall time when monotonic time was 0, its steps included.
    wall: i64,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    slept: u64,
    holds: usize,
}

/// While one of these is held, a [`Bed`](super::Bed) lets no time pass. See [`ManualClock::hold`].
#[derive(Debug)]
#[must_use = "time goes on when it is dropped"]
pub struct Hold {
    shared: Arc<Shared>,
}

impl ManualClock {
    /// A clock at monotonic 0 and 2026-01-01T00:00:00Z.
    pub fn new() -> Self {
        Self::at(BEGIN)
    }

    /// A clock at monotonic 0 and this wall time.
    pub fn at(wall: Timestamp) -> Self {
        let state = State {
            monotonic: Duration::ZERO,
            wall: wall.0,
            sleepers: BTreeMap::new(),
            slept: 0,
            holds: 0,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                released: Arc::default(),
            }),
        }
    }

    /// Lets this much time pass, on both clocks, and wakes who waited for it.
    pub fn advance(&self, by: Duration) {
        let to = self.shared.lock().monotonic.saturating_add(by);
        self.advance_to(to);
    }

    /// Lets time pass until monotonic time is `to`; does nothing if it is already.
    pub fn advance_to(&self, to: Duration) {
        let mut state = self.shared.lock();
        state.monotonic = state.monotonic.max(to);
        let now = state.monotonic;
        let later = state.sleepers.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut state.sleepers, later);
        drop(state);
        for waker in due.into_values() {
            waker.wake();
        }
    }

    /// Steps the wall clock by so many milliseconds, also backwards. No timer notices (rule C5).
    pub fn step_wall(&self, milliseconds: i64) {
        let mut state = self.shared.lock();
        state.wall = state.wall.saturating_add(milliseconds);
    }

    /// The earliest time that somebody sleeps until.
    pub fn next_timer(&self) -> Option<Duration> {
        let state = self.shared.lock();
        state.sleepers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Holds the time for what a [`Bed`](super::Bed) can't see: work on another thread, or a real
    /// connection. Until it is dropped the bed waits for real.
    pub fn hold(&self) -> Hold {
        self.shared.lock().holds += 1;
        Hold {
            shared: self.shared.clone(),
        }
    }

    /// How many [`Hold`]s there are.
    pub(super) fn holds(&self) -> usize {
        self.shared.lock().holds
    }

    /// Told when the last [`Hold`] is let go of.
    pub(super) fn released(&self) -> Arc<Notify> {
        self.shared.released.clone()
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.holds -= 1;
        if state.holds == 0 {
            self.shared.released.notify_one();
        }
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let state = self.shared.lock();
        let passed = i64::try_from(state.monotonic.as_millis()).unwrap_or(i64::MAX);
        Timestamp(state.wall.saturating_add(passed))
    }

    fn monotonic(&self) -> Duration {
        self.shared.lock().monotonic
    }

    async fn sleep_until(&self, deadline: Duration) {
        let shared = self.shared.clone();
        Sleep {
            shared,
            deadline,
            key: None,
        }
        .await;
    }
}

struct Sleep {
    shared: Arc<Shared>,
    deadline: Duration,
    /// Where its waker is.
    key: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        if state.monotonic >= self.deadline {
            return Poll::Ready(());
        }
        let key = self.key.unwrap_or_else(|| {
            state.slept += 1;
            state.slept
        });
        self.key = Some(key);
        let waker = cx.waker().clone();
        state.sleepers.insert((self.deadline, key), waker);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.shared.lock().sleepers.remove(&(self.deadline, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    fn poll(future: Pin<&mut impl Future>) -> bool {
        future
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn a_sleeper_wakes_at_its_deadline_and_not_before_and_one_that_is_dropped_is_forgotten() {
        let clock = ManualClock::new();
        let second = Duration::from_secs(1);
        let mut sleep = pin!(clock.sleep_until(second * 2));
        {
            let mut dropped = pin!(clock.sleep_until(second));
            assert!(!poll(dropped.as_mut()) && !poll(sleep.as_mut()));
            assert_eq!(clock.next_timer(), Some(second));
        }
        assert_eq!(clock.next_timer(), Some(second * 2), "the first is gone");
        clock.advance(second);
        assert!(!poll(sleep.as_mut()));
        clock.advance(second);
        assert_eq!(clock.next_timer(), None);
        assert!(poll(sleep.as_mut()));
        assert!(poll(pin!(clock.sleep_until(second))), "in the past");
    }

    #[test]
    fn the_wall_clock_steps_and_no_timer_notices() {
        let clock = ManualClock::at(Timestamp(1_000));
        clock.advance(Duration::from_millis(500));
        clock.step_wall(-2_000);
        assert_eq!(clock.now(), Timestamp(-500));
        assert_eq!(clock.monotonic(), Duration::from_millis(500));
    }
}
