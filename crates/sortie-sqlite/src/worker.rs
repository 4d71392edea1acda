//! A thread of ours that does one job after the other.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread::{self, JoinHandle},
};

use tokio::sync::watch;

use crate::fault::Fault;

/// How many jobs may wait for a thread; more are refused, so that a slow disk can't fill the memory.
const WAITING_MAX: usize = 4_096;

/// A named thread and the queue of its jobs. Dropping it ends the thread, after the job under way,
/// and waits for that.
pub(crate) struct Worker<J> {
    /// `None` is no job, and wakes the thread. Emptied on drop only.
    jobs: Option<SyncSender<Option<J>>>,
    closing: Arc<AtomicBool>,
    /// Its sender lives as long as the thread.
    ended: watch::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// The thread's side of its queue.
pub(crate) struct Jobs<J> {
    queue: Receiver<Option<J>>,
    closing: Arc<AtomicBool>,
    _alive: watch::Sender<()>,
}

impl<J: Send + 'static> Worker<J> {
    /// Starts a thread that runs `body`.
    pub(crate) fn start(
        name: &str,
        body: impl FnOnce(&Jobs<J>) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, queue) = mpsc::sync_channel(WAITING_MAX);
        let (alive, ended) = watch::channel(());
        let closing = Arc::new(AtomicBool::new(false));
        let jobs = Jobs {
            queue,
            closing: closing.clone(),
            _alive: alive,
        };
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            body(&jobs);
            // Last: what waits for the end finds connection and lock gone with `body`.
            drop(jobs);
        })?;
        Ok(Self {
            jobs: Some(sender),
            closing,
            ended,
            thread: Some(thread),
        })
    }

    /// Queues a job. Never blocks.
    pub(crate) fn send(&self, job: J) -> Result<(), Fault> {
        if self.closing.load(Ordering::Acquire) {
            return Err(Fault::Closed);
        }
        let jobs = self.jobs.as_ref().ok_or(Fault::Closed)?;
        jobs.try_send(Some(job)).map_err(|e| match e {
            TrySendError::Full(_) => Fault::Full(WAITING_MAX),
            TrySendError::Disconnected(_) => Fault::Gone,
        })
    }

    /// Ends the thread after the job under way, and returns once it has let go of all it had.
    pub(crate) async fn close(&self) {
        self.closing.store(true, Ordering::Release);
        if let Some(jobs) = &self.jobs {
            // A full queue needs no waking.
            let _ = jobs.try_send(None);
        }
        // Nothing is ever sent: an error says that the sender has gone, and with it the thread.
        let _ = self.ended.clone().changed().await;
    }
}

impl<J> Drop for Worker<J> {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        drop(self.jobs.take());
        let Some(thread) = self.thread.take() else {
            return;
        };
        // A waker that the thread calls may drop the last handle there; a thread can't await itself.
        if thread.thread().id() != thread::current().id() {
            // A panic of it has shown already, as jobs without an answer.
            let _ = thread.join();
        }
    }
}

impl<J> fmt::Debug for Worker<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl<J> Jobs<J> {
    /// The next job; waits for one. `None`: the thread should end.
    pub(crate) fn next(&self) -> Option<J> {
        loop {
            if self.closing.load(Ordering::Acquire) {
                return None;
            }
            if let Some(job) = self.queue.recv().ok()? {
                return Some(job);
            }
        }
    }

    /// A job that waits already.
    pub(crate) fn waiting(&self) -> Option<J> {
        self.queue.try_recv().ok().flatten()
    }
}
