//! The link to the devices: its task, and what the loop knows of it.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use futures_util::future::{Either, select};
use sortie_core::Timestamp;
use sortie_ports::{Clock, Inbox, Transport};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use uuid::Uuid;

use super::{guard::unpanicked, ids::Ids};
use crate::{node::Clocks, text::full_text};

/// What the loop tells the link's task.
#[derive(Debug)]
pub(super) enum Order {
    /// Run the transport with this inbox, once the monotonic clock shows `at`.
    Run { inbox: Inbox, at: Duration },
    /// Close the link and end.
    Close,
}

/// The link's task: runs the transport when told to, and says why each run ended. It ends after
/// [`Order::Close`], or when the loop is gone.
///
/// The loop hands out each inbox, so that it alone decides when what is heard belongs to a new run.
pub(super) async fn run(
    // First, so that it is dropped last: its end tells the loop that all else is let go of.
    ended: UnboundedSender<String>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    mut orders: UnboundedReceiver<Order>,
) {
    while let Some(Order::Run { inbox, at }) = orders.recv().await {
        if let Either::Right(_) = select(clock.sleep_until(at), pin!(orders.recv())).await {
            break;
        }
        let mut running = pin!(unpanicked(async { transport.run(inbox).await }));
        let order = match select(&mut running, pin!(orders.recv())).await {
            Either::Left((outcome, _)) => {
                let why = match outcome {
                    Ok(Ok(())) => "the transport ended".into(),
                    Ok(Err(error)) => full_text(&error),
                    Err(panic) => {
                        tracing::error!("the transport panicked: {panic}");
                        format!("the transport panicked: {panic}")
                    }
                };
                if ended.send(why).is_err() {
                    break;
                }
                continue;
            }
            Either::Right((order, _)) => order,
        };
        if order.is_none() {
            return;
        }
        // Both are polled: closing may need the run to make progress.
        let closing = unpanicked(async { transport.close().await });
        let closed = closed(closing, running, &mut orders);
        closed.await;
        return;
    }
    // There was no run to be closed; a transport may have more to let go of than a run.
    let close = unpanicked(async { transport.close().await });
    let _ = select(pin!(close), pin!(gone(&mut orders))).await;
}

/// Ends when the transport has been closed and its run has ended, or the loop is gone.
async fn closed<T>(
    closing: impl Future,
    running: impl Future<Output = T> + Unpin,
    orders: &mut UnboundedReceiver<Order>,
) {
    let both = futures_util::future::join(closing, running);
    let _ = select(pin!(both), pin!(gone(orders))).await;
}

async fn gone(orders: &mut UnboundedReceiver<Order>) {
    poll_fn(|cx| {
        loop {
            match orders.poll_recv(cx) {
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

/// What the loop knows of the link.
#[derive(Debug)]
pub(super) struct Link {
    ids: Arc<Ids>,
    up: Option<Clocks>,
    /// Since when it is up or down.
    since: Timestamp,
    /// Why it is down.
    why: Option<String>,
    next_try: Option<Timestamp>,
    /// Runs that ended in a row without a link that had been up for long.
    failures: u32,
    /// The present outage has been warned about.
    warned: bool,
}

/// A link that was up for so long begins its backoff anew.
const STABLE: Duration = Duration::from_mins(1);

impl Link {
    pub(super) fn new(now: Clocks, ids: Arc<Ids>) -> Self {
        Self {
            ids,
            up: None,
            since: now.wall,
            why: None,
            next_try: None,
            failures: 0,
            warned: false,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.is_some()
    }

    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    pub(super) fn next_try(&self) -> Option<Timestamp> {
        self.next_try
    }

    /// The transport hears the fleet.
    pub(super) fn came_up(&mut self, now: Clocks) {
        if self.warned {
            tracing::info!("link up again");
        }
        if self.up.is_none() {
            self.since = now.wall;
        }
        self.up = Some(now);
        self.why = None;
        self.next_try = None;
        self.warned = false;
    }

    /// A run ended; answers how long to wait before the next.
    pub(super) fn ended(&mut self, why: String, now: Clocks) -> Duration {
        let was_up = self.up.take();
        if was_up.is_some() {
            self.since = now.wall;
        }
        if was_up.is_some_and(|up| now.monotonic.saturating_sub(up.monotonic) >= STABLE) {
            self.failures = 0;
        }
        let wait = backoff(self.failures, jitter(self.ids.draw()));
        self.failures = self.failures.saturating_add(1);
        let seconds = wait.as_secs_f64();
        if self.warned {
            tracing::debug!("link down: {why}, next try in {seconds:.1} s");
        } else {
            tracing::warn!("link down: {why}, next try in {seconds:.1} s");
            self.warned = true;
        }
        self.why = Some(why);
        let ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        self.next_try = Some(Timestamp(now.wall.0.saturating_add(ms)));
        wait
    }
}

/// 1 s, doubling, at most 60 s; then between three quarters of it and all of it, so that the engines
/// of a broker that comes back do not come back together. `jitter` is at most 1,000.
fn backoff(failures: u32, jitter: u32) -> Duration {
    let full = Duration::from_secs(1 << failures.min(6)).min(Duration::from_mins(1));
    full * (3_000 + jitter) / 4_000
}

fn jitter(drawn: Uuid) -> u32 {
    // The first bytes of a drawn UUID are random.
    let [high, low, ..] = drawn.into_bytes();
    u32::from(u16::from_be_bytes([high, low])) * 1_000 / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Arc<Ids> {
        Arc::new(Ids::new(None))
    }

    fn at(seconds: u64) -> Clocks {
        Clocks {
            wall: Timestamp(i64::try_from(seconds).unwrap() * 1_000),
            monotonic: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn the_backoff_doubles_to_a_minute_and_begins_anew_after_a_link_that_held_for_a_minute() {
        let mut link = Link::new(at(0), ids());
        let full = [1, 2, 4, 8, 16, 32, 60, 60];
        for seconds in full {
            let wait = link.ended("refused".into(), at(10));
            let full = Duration::from_secs(seconds);
            assert!(wait <= full && wait >= full * 3 / 4, "{wait:?} of {full:?}");
        }
        // A link that comes and goes is no reason to hurry.
        link.came_up(at(100));
        assert!(link.ended("reset".into(), at(130)) >= Duration::from_secs(45));
        link.came_up(at(200));
        assert!(link.ended("reset".into(), at(260)) <= Duration::from_secs(1));
    }

    #[test]
    fn an_outage_says_since_when_and_why_and_one_that_is_over_says_nothing() {
        let mut link = Link::new(at(5), ids());
        link.ended("connection refused".into(), at(6));
        link.ended("no answer".into(), at(8));
        assert!(!link.is_up());
        assert_eq!((link.since(), link.why()), (at(5).wall, Some("no answer")));
        assert!(link.next_try() > Some(at(8).wall));
        link.came_up(at(9));
        assert!(link.is_up());
        assert_eq!(
            (link.since(), link.why(), link.next_try()),
            (at(9).wall, None, None)
        );
    }
}
