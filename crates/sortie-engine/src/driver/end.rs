//! Running a loop to its end, and ending it in order.

use std::{
    io,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use futures_util::FutureExt;
use sortie_core::phrase::count;
use sortie_ports::Clock;
use tokio::sync::oneshot;

use super::{
    guard::until,
    link::Order,
    start::Ports,
    stopped::{Fatal, Stopped},
    turn::{Ending, Loop},
};
use crate::{
    node::{Clocks, NodeOutput},
    text::panic_text,
};

/// A shutdown that takes longer is given up.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);

/// Runs the loop until it ends, lets go of all it has, and says why it ended.
pub(super) async fn run(mut main: Loop, clock: Arc<dyn Clock>) -> Stopped {
    // After a panic nothing of the node is used any more: the log is whole, and an engine on it
    // goes on from there.
    let ending = AssertUnwindSafe(main.turns()).catch_unwind().await;
    let deadline = clock.monotonic() + SHUTDOWN_LIMIT;
    let outcome = match ending {
        Ok(ending) => {
            if ending == Ending::Left && main.running() > 0 {
                let running = main.running();
                let running = count(running as u64, "campaign is", "campaigns are");
                tracing::warn!(
                    "the last handle was dropped while {running} running; \
                     the next start on this log goes on with what runs"
                );
            }
            let committing = AssertUnwindSafe(main.commit(&*clock, deadline)).catch_unwind();
            match committing.await {
                Ok(committed) => committed,
                Err(panic) => Err(Fatal::Panicked(panic_text(&*panic))),
            }
        }
        Err(panic) => Err(Fatal::Panicked(panic_text(&*panic))),
    };
    let closed = main.close(&*clock, deadline).await;
    match outcome.and(closed) {
        Ok(()) => Stopped::Asked,
        Err(fatal) => Stopped::Fatal(fatal),
    }
}

impl Loop {
    /// Ends the append under way and gives the answers that follow from it; takes nothing new.
    async fn commit(&mut self, clock: &dyn Clock, deadline: Duration) -> Result<(), Fatal> {
        self.messages.close();
        while self.messages.try_recv().is_ok() {}
        let Some(append) = self.jobs.append.take() else {
            return Ok(());
        };
        let answers = until(clock, deadline, append).await;
        let answers = answers.ok_or(Fatal::ShutdownTimedOut("the append under way"))?;
        self.now = Clocks {
            wall: clock.now(),
            monotonic: clock.monotonic(),
        };
        self.appended(answers);
        while let Some(output) = self.node.poll() {
            match output {
                NodeOutput::Reply(ask, answer) => self.reply(ask, answer),
                NodeOutput::Progress(stream) => {
                    self.progressed.insert(stream);
                }
                // What else the node would do is left to the next engine on this log.
                _ => {}
            }
        }
        self.publish();
        Ok(())
    }

    /// Closes the link, then lets go of the ports.
    async fn close(self, clock: &dyn Clock, deadline: Duration) -> Result<(), Fatal> {
        // All who wait are told at once that there will be no answer; they learn why at the end.
        let (ports, orders, mut runs_ended) = self.leave();
        // If its task is gone, it is closed.
        let _ = orders.send(Order::Close);
        let link = until(clock, deadline, async {
            while runs_ended.recv().await.is_some() {}
        });
        let link = link.await.ok_or(Fatal::ShutdownTimedOut("the link"));
        drop(orders);
        let limit = deadline.saturating_sub(clock.monotonic());
        link.and(let_go(ports, limit).await)
    }
}

/// Drops the ports, on a thread of ours: the last handle of a store may wait for the store's own
/// thread, which must not hold up the runtime's.
///
/// What is waited for is a thread, so the limit is real time: a clock that jumps whenever nothing
/// else happens on its runtime, as tokio's does when paused, would end the wait at once.
async fn let_go(ports: Ports, limit: Duration) -> Result<(), Fatal> {
    let (told, is_gone) = oneshot::channel();
    let waiting = move || {
        let (dropped, is_dropped) = mpsc::channel::<()>();
        let dropping = move || {
            drop(ports);
            drop(dropped);
        };
        if named("sortie-close", dropping).is_ok() {
            let timed_out = is_dropped.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            // Who asked may have gone, with the runtime.
            let _ = told.send(timed_out);
        }
    };
    // Without a thread to be had, what was to be moved there has been dropped here.
    let _ = named("sortie-close-limit", waiting);
    match is_gone.await {
        Ok(true) => Err(Fatal::ShutdownTimedOut("the ports")),
        Ok(false) | Err(_) => Ok(()),
    }
}

fn named(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map(drop)
}
