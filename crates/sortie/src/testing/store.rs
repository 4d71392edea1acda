//! The log of a bed: in memory, and with appends that can be caught half-way.

use std::{
    future::{pending, poll_fn},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use sortie_core::{ClaimRow, DeviceId, StreamId};
use sortie_ports::{
    Append, AppendError, EventStore, MemoryStore, Page, ReadError, Version, async_trait,
};
use tokio::sync::Notify;
use uuid::Uuid;

use super::rng::Rng;

/// A [`MemoryStore`] whose appends take a few turns: an engine that is dropped meanwhile does not
/// know whether they happened.
#[derive(Debug, Clone)]
pub(super) struct CrashStore {
    log: MemoryStore,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    struck: Notify,
}

#[derive(Debug)]
struct State {
    rng: Rng,
    /// The next append is never answered.
    doomed: bool,
    appends: u64,
}

impl CrashStore {
    pub(super) fn new(log: MemoryStore, rng: Rng) -> Self {
        let state = State {
            rng,
            doomed: false,
            appends: 0,
        };
        Self {
            log,
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                struck: Notify::new(),
            }),
        }
    }

    pub(super) fn log(&self) -> &MemoryStore {
        &self.log
    }

    /// How many appends there were.
    pub(super) fn appends(&self) -> u64 {
        self.lock().appends
    }

    /// Waits for the next append, which happens or not, by the seed, and is never answered.
    pub(super) async fn strike(&self) {
        self.lock().doomed = true;
        self.shared.struck.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventStore for CrashStore {
    async fn log_id(&self) -> Result<Uuid, ReadError> {
        self.log.log_id().await
    }

    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Version, AppendError>> {
        let (before, after, doomed, lost) = {
            let mut state = self.lock();
            state.appends += 1;
            let doomed = std::mem::take(&mut state.doomed);
            let rng = &mut state.rng;
            (rng.below(3), rng.below(3), doomed, rng.coin())
        };
        turns(before).await;
        if doomed {
            if !lost {
                self.log.append(batch).await;
            }
            self.shared.struck.notify_one();
            return pending().await;
        }
        let answers = self.log.append(batch).await;
        turns(after).await;
        answers
    }

    async fn read(&self, stream: &StreamId, after: Version, max: usize) -> Result<Page, ReadError> {
        self.log.read(stream, after, max).await
    }

    async fn streams(&self) -> Result<Vec<StreamId>, ReadError> {
        self.log.streams().await
    }

    async fn claims(
        &self,
        after: Option<DeviceId>,
        max: usize,
    ) -> Result<Vec<ClaimRow>, ReadError> {
        self.log.claims(after, max).await
    }
}

/// Lets all others go first, so many times.
async fn turns(mut count: u64) {
    poll_fn(|cx| {
        if count == 0 {
            return Poll::Ready(());
        }
        count -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
