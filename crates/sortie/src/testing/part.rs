//! Futures whose idleness is known.

use std::{
    any::Any,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use tokio::{sync::Notify, task::JoinHandle};

/// Whether a future was woken and not polled since. It is its waker.
#[derive(Debug)]
pub(super) struct Woken {
    to_poll: AtomicBool,
    /// Who polls it.
    poller: Mutex<Option<Waker>>,
    /// Who wants to know that there is something to do.
    pulse: Arc<Notify>,
}

impl Woken {
    /// Of a future that was not polled yet.
    pub(super) fn new(pulse: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            to_poll: AtomicBool::new(true),
            poller: Mutex::new(None),
            pulse,
        })
    }

    pub(super) fn is_woken(&self) -> bool {
        self.to_poll.load(Ordering::Acquire)
    }

    /// Polls its future, which is idle from now until it is woken.
    pub(super) fn poll<F: Future + ?Sized>(
        self: &Arc<Self>,
        future: Pin<&mut F>,
    ) -> Poll<F::Output> {
        self.to_poll.store(false, Ordering::Release);
        let waker = Waker::from(self.clone());
        future.poll(&mut Context::from_waker(&waker))
    }

    fn poller(&self) -> MutexGuard<'_, Option<Waker>> {
        self.poller.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.to_poll.store(true, Ordering::Release);
        let poller = self.poller().clone();
        if let Some(poller) = poller {
            poller.wake();
        }
        self.pulse.notify_one();
    }
}

/// A future on a task of its own, of which is known whether it is idle, and which can be dropped at
/// any moment.
#[derive(Debug)]
pub(super) struct Part {
    woken: Arc<Woken>,
    future: Slot,
    /// `None`: it has ended, and how is known.
    task: Option<JoinHandle<()>>,
}

/// `None`: it has ended, or was dropped.
#[derive(Clone)]
struct Slot(Arc<Mutex<Option<Boxed>>>);

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Part {
    pub(super) fn spawn(
        future: impl Future<Output = ()> + Send + 'static,
        pulse: Arc<Notify>,
    ) -> Self {
        let woken = Woken::new(pulse);
        let slot = Slot(Arc::new(Mutex::new(Some(Box::pin(future)))));
        let task = Task {
            woken: woken.clone(),
            slot: slot.clone(),
        };
        Self {
            woken,
            future: slot,
            task: Some(tokio::spawn(task)),
        }
    }

    /// It has something to do.
    pub(super) fn is_busy(&self) -> bool {
        self.woken.is_woken() && self.is_alive()
    }

    /// Its task is still there.
    pub(super) fn is_alive(&self) -> bool {
        self.task.as_ref().is_some_and(|task| !task.is_finished())
    }

    /// Drops its future where it is, as a crash does.
    pub(super) fn crash(&self) {
        let future = self.future.lock().take();
        drop(future);
        Wake::wake_by_ref(&self.woken);
    }

    /// The panic that its task ended with; asked once.
    pub(super) async fn panic(&mut self) -> Option<Box<dyn Any + Send>> {
        let task = self.task.take_if(|task| task.is_finished())?;
        task.await.err()?.try_into_panic().ok()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.crash();
    }
}

struct Task {
    woken: Arc<Woken>,
    slot: Slot,
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        *self.woken.poller() = Some(cx.waker().clone());
        // Taken out, so that it may drop what it belongs to.
        let Some(mut future) = self.slot.lock().take() else {
            return Poll::Ready(());
        };
        let polled = self.woken.poll(future.as_mut());
        if polled.is_pending() {
            *self.slot.lock() = Some(future);
        }
        polled
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Boxed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Slot").field(&self.lock().is_some()).finish()
    }
}
