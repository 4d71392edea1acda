//! Letting everything run, and time pass when there is nothing else.

use std::{future::poll_fn, pin::pin, task::Poll, thread, time::Duration};

use sortie_ports::Clock;
use tokio::{runtime::Handle, task::yield_now};

use super::{Bed, part::Woken};

/// No single wait is followed for longer than this much virtual time.
const TIME_MAX: Duration = Duration::from_hours(24 * 365 * 10);

/// No single wait is followed for more jumps.
const JUMPS_MAX: u32 = 1_000_000;

/// Jumps at which neither a device did anything, nor was anything recorded, nor was the future polled:
/// the link, say, is tried again for ever.
const BARREN_JUMPS_MAX: u32 = 10_000;

/// No moment has more turns than these.
const TURNS_MAX: u32 = 100_000;

/// Tasks that the bed does not know get so many turns to find something to do. In each turn the
/// runtime polls some 60 of them.
const QUIET_TURNS: u32 = 64;

/// A port of the application's that has not answered by then, in real time, never will.
const HOLD_MAX: Duration = Duration::from_secs(30);

impl Bed {
    /// Runs everything until `future` ends (`Some`), or `until` has been reached and all that is due
    /// by then is done (`None`).
    pub(super) async fn drive<T>(
        &mut self,
        future: impl Future<Output = T>,
        until: Option<Duration>,
    ) -> Option<T> {
        let mut future = pin!(future);
        let woken = Woken::new(self.pulse.clone());
        let begin = self.clock.monotonic();
        let (mut jumps, mut barren, mut turns, mut quiet) = (0, 0, 0, 0);
        let mut done = self.done();
        loop {
            if woken.is_woken() {
                (quiet, barren) = (0, 0);
                let once = poll_fn(|_| Poll::Ready(woken.poll(future.as_mut())));
                if let Poll::Ready(output) = once.await {
                    return Some(output);
                }
            }
            if self.is_busy() {
                quiet = 0;
            }
            if self.is_busy() || woken.is_woken() || quiet < self.quiet_turns() {
                quiet += 1;
                turns += 1;
                if turns > TURNS_MAX {
                    self.give_up("this moment does not end").await;
                }
                yield_now().await;
                self.pass_panics_on().await;
                continue;
            }
            if self.clock.holds() > 0 {
                if !self.wait_for_real(HOLD_MAX).await {
                    self.give_up("the time is held").await;
                }
                continue;
            }
            let next = self.clock.next_timer();
            let to = match (next, until) {
                (Some(next), Some(until)) => next.min(until),
                (Some(at), None) | (None, Some(at)) => at,
                (None, None) => {
                    if !self.wait_for_real(self.patience).await {
                        self.give_up("no timer is left").await;
                    }
                    continue;
                }
            };
            if self.clock.monotonic() >= to && next != Some(to) {
                return None;
            }
            if done != self.done() {
                (done, barren) = (self.done(), 0);
            }
            barren += 1;
            if barren > BARREN_JUMPS_MAX && until.is_none() {
                self.give_up("timers run out, and nothing comes of it")
                    .await;
            }
            jumps += 1;
            if jumps > JUMPS_MAX || to.saturating_sub(begin) > TIME_MAX {
                self.give_up("it does not end").await;
            }
            self.clock.advance_to(to);
            (turns, quiet) = (0, 0);
        }
    }

    /// Runs `future`, and lets no time pass; `None`: it can't be had.
    pub(super) async fn ask<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let woken = Woken::new(self.pulse.clone());
        for _ in 0..10_000 {
            let once = poll_fn(|_| Poll::Ready(woken.poll(future.as_mut())));
            if let Poll::Ready(output) = once.await {
                return Some(output);
            }
            yield_now().await;
        }
        None
    }

    /// How much devices have done, and how much was recorded.
    fn done(&self) -> (u64, u64) {
        (self.fleet.steps(), self.store.appends())
    }

    /// Something of the bed's own has something to do.
    fn is_busy(&self) -> bool {
        self.driver.is_busy() || self.spawned.iter().any(super::part::Part::is_busy)
    }

    /// None, unless there are tasks of others on the runtime.
    fn quiet_turns(&self) -> u32 {
        let own = self.spawned.iter().chain([&self.driver]);
        let own = own.filter(|part| part.is_alive()).count();
        let others = Handle::current().metrics().num_alive_tasks() > own;
        if others { QUIET_TURNS } else { 0 }
    }

    /// A panic of a part, or of a script, fails the test.
    async fn pass_panics_on(&mut self) {
        if let Some(panic) = self.fleet.panic() {
            std::panic::resume_unwind(panic);
        }
        for part in self.spawned.iter_mut().chain([&mut self.driver]) {
            if let Some(panic) = part.panic().await {
                std::panic::resume_unwind(panic);
            }
        }
    }

    /// Waits, in real time, until something of the bed's was woken from elsewhere; whether it was.
    async fn wait_for_real(&self, limit: Duration) -> bool {
        let pulse = self.pulse.clone();
        let mut woken = pin!(pulse.notified());
        // A permit of something that was done long ago.
        let stale = poll_fn(|cx| Poll::Ready(woken.as_mut().poll(cx))).await;
        if stale.is_ready() {
            return true;
        }
        let (told, mut is_over) = tokio::sync::oneshot::channel::<()>();
        let (_awake, asleep) = std::sync::mpsc::channel::<()>();
        let timer = thread::Builder::new().name("sortie-bed".into());
        let timer = timer.spawn(move || {
            // Ends at once when nobody waits any more.
            let _ = asleep.recv_timeout(limit);
            drop(told);
        });
        if timer.is_err() {
            return false;
        }
        let mut is_over = pin!(&mut is_over);
        poll_fn(|cx| {
            if woken.as_mut().poll(cx).is_ready() {
                return Poll::Ready(true);
            }
            is_over.as_mut().poll(cx).map(|_| false)
        })
        .await
    }

    async fn give_up(&self, why: &str) -> ! {
        let waits = self.waits().await;
        panic!("nothing can happen any more: {why}\n{waits}");
    }
}
