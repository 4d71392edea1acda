//! The event log in memory: the reference for what a store does.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use sortie_core::{ClaimRow, DeviceId, StreamId};
use uuid::Uuid;

use crate::{Append, AppendError, Commit, EventStore, Page, ReadError, Version};

/// An event log in memory. It survives nothing; clones share it, so that a test can go on with it
/// after its engine has been dropped.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    log: Arc<Mutex<Log>>,
}

#[derive(Debug)]
struct Log {
    id: Uuid,
    streams: BTreeMap<StreamId, Stream>,
    claims: BTreeMap<DeviceId, ClaimRow>,
}

#[derive(Debug, Default)]
struct Stream {
    commits: Vec<Commit>,
    version: Version,
    epoch: u64,
}

impl MemoryStore {
    /// An empty log. `id` tells it from other logs; draw it at random.
    pub fn new(id: Uuid) -> Self {
        let log = Log {
            id,
            streams: BTreeMap::new(),
            claims: BTreeMap::new(),
        };
        Self {
            log: Arc::new(Mutex::new(log)),
        }
    }

    /// Appends one, at once. The async port does the same for each of a batch.
    ///
    /// # Errors
    /// As [`EventStore::append`]; never `Unknown` or `Unavailable`.
    pub fn append_one(&self, append: Append) -> Result<Version, AppendError> {
        self.lock().append(append)
    }

    /// Reads, at once.
    pub fn read_now(&self, stream: StreamId, after: Version, max: usize) -> Page {
        let log = self.lock();
        let Some(stream) = log.streams.get(&stream) else {
            return Page::default();
        };
        let start = stream
            .commits
            .partition_point(|commit| commit.first <= after);
        let mut commits = vec![];
        let mut events = 0;
        for commit in &stream.commits[start..] {
            events += commit.events.len();
            if !commits.is_empty() && events > max {
                break;
            }
            commits.push(commit.clone());
        }
        Page { commits }
    }

    /// All streams, at once.
    pub fn streams_now(&self) -> Vec<StreamId> {
        self.lock().streams.keys().copied().collect()
    }

    /// All claims, at once.
    pub fn claims_now(&self) -> Vec<ClaimRow> {
        self.lock().claims.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        // `Log::append` changes nothing before all its checks have passed, so that the log is whole
        // whatever panicked.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn append(&mut self, append: Append) -> Result<Version, AppendError> {
        let (version, epoch) = self
            .streams
            .get(&append.stream)
            .map_or((0, 0), |stream| (stream.version, stream.epoch));
        if append.epoch < epoch {
            return Err(AppendError::Fenced { epoch });
        }
        if append.events.is_empty() {
            return Err(AppendError::Invalid("it has no events".into()));
        }
        if append.expected != version {
            return Err(AppendError::Conflict { actual: version });
        }
        let unfit: Vec<ClaimRow> = append
            .claims
            .iter()
            .filter_map(|change| {
                let present = self.claims.get(&change.row.device);
                // A claim that should be there and is not shows as the free row of number 0.
                (!change.fits(present)).then(|| present.cloned().unwrap_or_else(|| absent(change)))
            })
            .collect();
        if !unfit.is_empty() {
            return Err(AppendError::Claimed(unfit));
        }
        let stream = self.streams.entry(append.stream).or_default();
        stream.version += append.events.len() as Version;
        stream.epoch = append.epoch;
        stream.commits.push(Commit {
            first: version + 1,
            at: append.at,
            epoch: append.epoch,
            commands: append.commands,
            events: append.events,
        });
        let version = stream.version;
        let rows = append.claims.into_iter().map(|change| change.row);
        self.claims
            .extend(rows.map(|row| (row.device.clone(), row)));
        Ok(version)
    }
}

fn absent(change: &sortie_core::ClaimChange) -> ClaimRow {
    ClaimRow {
        number: 0,
        phase: sortie_core::ClaimPhase::Free,
        ..change.row.clone()
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn log_id(&self) -> Result<Uuid, ReadError> {
        Ok(self.lock().id)
    }

    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Version, AppendError>> {
        let mut log = self.lock();
        batch.into_iter().map(|append| log.append(append)).collect()
    }

    async fn read(&self, stream: &StreamId, after: Version, max: usize) -> Result<Page, ReadError> {
        Ok(self.read_now(*stream, after, max))
    }

    async fn streams(&self) -> Result<Vec<StreamId>, ReadError> {
        Ok(self.streams_now())
    }

    async fn claims(
        &self,
        after: Option<DeviceId>,
        max: usize,
    ) -> Result<Vec<ClaimRow>, ReadError> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let log = self.lock();
        let rows = log
            .claims
            .range((after, Bound::Unbounded))
            .map(|(_, row)| row);
        Ok(rows.take(max).cloned().collect())
    }
}
