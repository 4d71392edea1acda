//! What the benches share. Each bench is a program that prints a table for docs/performance.md.
//!
//! Absolute figures are the machine's; so each bench measures what it is compared with in the same
//! run, in short turns, and prints ratios.
#![forbid(unsafe_code)]

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// How long a bench runs: in full with `cargo bench`, which passes `--bench`; else a moment, which
/// shows that it still works.
pub fn turn() -> Duration {
    if std::env::args().any(|argument| argument == "--bench") {
        Duration::from_millis(700)
    } else {
        Duration::from_millis(5)
    }
}

/// How many turns each side of a comparison has.
pub const TURNS: usize = 5;

/// Does `work` over and over for about `turn`; answers how often a second. `work` says how much it
/// has done.
pub fn rate(turn: Duration, mut work: impl FnMut() -> u64) -> f64 {
    let start = Instant::now();
    let mut done = 0;
    loop {
        done += work();
        let taken = start.elapsed();
        if taken >= turn {
            #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
            return done as f64 / taken.as_secs_f64();
        }
    }
}

/// The median of some rates; 0 of none.
pub fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// A moment in the time that this thread has run, without that in which others had its core.
#[derive(Debug, Clone, Copy)]
pub struct ThreadTime(Duration);

impl ThreadTime {
    /// Now.
    pub fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Self(Duration::try_from(time).unwrap_or_default())
    }

    /// The time that the thread has run since.
    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Awaits without a runtime, so that none is measured.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
