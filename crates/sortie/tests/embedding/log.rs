//! An event log that can be held up, and told to fail.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use sortie::{
    Append, AppendError, ClaimRow, DeviceId, EventStore, MemoryStore, Page, ReadError, StreamId,
    Uuid, Version,
};
use tokio::sync::{Semaphore, watch};

/// A log in memory whose appends can be held up or refused.
#[derive(Debug, Clone)]
pub(crate) struct Gated {
    log: MemoryStore,
    gate: Arc<Semaphore>,
    away: Arc<AtomicBool>,
    breaks: Arc<AtomicBool>,
    /// How many appends have come to the gate.
    waiting: Arc<watch::Sender<usize>>,
    under_way: Arc<AtomicUsize>,
    /// How many appends each call had.
    batches: Arc<Mutex<Vec<usize>>>,
}

impl Gated {
    pub(crate) fn open() -> Self {
        Self {
            log: MemoryStore::new(Uuid::new_v4()),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            away: Arc::default(),
            breaks: Arc::default(),
            waiting: Arc::default(),
            under_way: Arc::default(),
            batches: Arc::default(),
        }
    }

    /// Holds up every append from now on.
    pub(crate) fn shut(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn reopen(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// From now on every append is one that can never be stored.
    pub(crate) fn breaks(&self) {
        self.breaks.store(true, Ordering::SeqCst);
    }

    /// Waits until one more append than `before` has come.
    pub(crate) async fn appends_after(&self, before: usize) {
        let mut waiting = self.waiting.subscribe();
        waiting.wait_for(|appends| *appends > before).await.unwrap();
    }

    pub(crate) fn appends(&self) -> usize {
        *self.waiting.borrow()
    }

    /// How many appends each call had so far.
    pub(crate) fn batches(&self) -> Vec<usize> {
        self.batches.lock().unwrap().clone()
    }

    fn check(&self) -> Result<(), String> {
        if self.away.load(Ordering::SeqCst) {
            return Err("the disk was pulled".into());
        }
        Ok(())
    }
}

/// An append that is under way until it is answered, or dropped with its engine.
struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[sortie::async_trait]
impl EventStore for Gated {
    async fn log_id(&self) -> Result<Uuid, ReadError> {
        self.check()
            .map_err(|why| ReadError::Unavailable(why.into()))?;
        self.log.log_id().await
    }

    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Version, AppendError>> {
        let before = self.under_way.fetch_add(1, Ordering::SeqCst);
        let under_way = UnderWay(self.under_way.clone());
        assert_eq!(before, 0, "a second append is under way");
        self.batches.lock().unwrap().push(batch.len());
        self.waiting.send_modify(|appends| *appends += 1);
        drop(self.gate.acquire().await.unwrap());
        drop(under_way);
        if let Err(why) = self.check() {
            let away = |_| Err(AppendError::Unavailable(why.clone().into()));
            return batch.iter().map(away).collect();
        }
        if self.breaks.load(Ordering::SeqCst) {
            let invalid = |_| Err(AppendError::Invalid("too long a word".into()));
            return batch.iter().map(invalid).collect();
        }
        self.log.append(batch).await
    }

    async fn read(&self, stream: &StreamId, after: Version, max: usize) -> Result<Page, ReadError> {
        self.check()
            .map_err(|why| ReadError::Unavailable(why.into()))?;
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
