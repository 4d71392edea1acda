//! The handle.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::Connection;
use sortie_core::{ClaimRow, DeviceId, StreamId};
use sortie_ports::{
    Append, AppendError, EventStore, InventoryError, Page, ReadError, Version, async_trait,
};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    Devices, OpenError, Verified, VerifyError, claims,
    fault::{Cause, Fault},
    lock::Lock,
    page, reader, schema, streams,
    verify::Walk,
    worker::Worker,
    writer::{self, AppendJob, TableJob},
};

/// The event log and a device table in one SQLite file. Cheap to clone; clones share it.
///
/// The file is locked until [`Sqlite::close`], or until the last clone (and the last [`Devices`])
/// has been dropped. That drop waits for the transaction under way and for SQLite's last
/// checkpoint; on a thread that must not wait, `close` first.
#[derive(Clone)]
pub struct Sqlite {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    log: Uuid,
    // Dropped in this order: the connection that goes last is the one that tidies up the file.
    reader: Worker<reader::Job>,
    writer: Worker<Box<dyn writer::Job>>,
}

impl Sqlite {
    /// Opens the log at `path`, or makes it, and locks it for this process. Needs no runtime, and
    /// starts two threads.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref().to_owned();
        Self::open_at(path).await
    }

    async fn open_at(path: PathBuf) -> Result<Self, OpenError> {
        let failed = |source: sortie_ports::BoxError| OpenError::Store {
            path: path.clone(),
            source,
        };
        // All that may block is done on the threads.
        let (opened, answer) = oneshot::channel();
        let wanted = path.clone();
        let writer = Worker::start("sortie-sqlite-write", move |jobs| match take(&wanted) {
            Ok((path, lock, database)) => {
                let mut connection = database.connection;
                if opened.send(Ok((path, lock.clone(), database.log))).is_ok() {
                    writer::run(&mut connection, jobs);
                }
                drop(connection);
                drop(lock);
            }
            // Who asked may have gone; there is nothing to undo.
            Err(e) => drop(opened.send(Err(e))),
        })
        .map_err(|e| failed(e.into()))?;
        let (resolved, lock, log) = answer.await.map_err(|_| failed(Fault::Gone.into()))??;

        let (opened, answer) = oneshot::channel();
        let reader = Worker::start("sortie-sqlite-read", move |jobs| {
            match schema::open_reader(&resolved) {
                Ok(mut connection) => {
                    if opened.send(Ok(resolved)).is_ok() {
                        reader::run(&mut connection, jobs);
                    }
                    drop(connection);
                }
                Err(e) => drop(opened.send(Err(e))),
            }
            drop(lock);
        })
        .map_err(|e| failed(e.into()))?;
        let resolved = answer
            .await
            .map_err(|_| failed(Fault::Gone.into()))?
            .map_err(|e| failed(e.into()))?;
        let shared = Shared {
            path: resolved,
            log,
            reader,
            writer,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The device table in the same file.
    pub fn devices(&self) -> Devices {
        Devices::new(self.clone())
    }

    /// The file, as the system names it.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Ends the transaction under way, closes the file and unlocks it, for all clones, and returns
    /// once that is done. What waits and what comes later is answered as unavailable.
    pub async fn close(&self) {
        self.shared.reader.close().await;
        self.shared.writer.close().await;
    }

    /// Checks that the whole log is as it was written: each commit's hash, versions and positions
    /// without a gap, and that no stream lost its end. Reads and appends go on meanwhile.
    ///
    /// # Errors
    /// [`VerifyError::Broken`] with the first position that is not.
    pub async fn verify(&self) -> Result<Verified, VerifyError> {
        let mut walk = Walk::new();
        loop {
            let step = self.on_reader(move |connection| {
                let step = walk.step(connection);
                Ok(step.map(|done| (walk, done)))
            });
            let done;
            (walk, done) = step
                .await
                .map_err(|fault| VerifyError::Unavailable(fault.into()))??;
            if done {
                return Ok(walk.verified());
            }
        }
    }

    /// Reads on the read thread, all at one moment of the database.
    pub(crate) async fn on_reader<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        let job: reader::Job = Box::new(move |transaction| {
            let read = transaction.map_err(Fault::from).and_then(|tx| work(tx));
            // Who asked may have gone.
            let _ = reply.send(read);
        });
        self.shared.reader.send(job)?;
        answer.await.unwrap_or(Err(Fault::Closed))
    }

    /// Changes the device table on the write thread. `work` may be called twice.
    pub(crate) async fn on_writer<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, InventoryError> {
        let (reply, answer) = oneshot::channel();
        self.shared
            .writer
            .send(Box::new(TableJob::new(work, reply)))?;
        match answer.await {
            Ok(done) => done.map_err(InventoryError::unavailable),
            Err(_) => Err(Fault::Closed.into()),
        }
    }
}

/// Locks and opens what is at `path`.
fn take(path: &Path) -> Result<(PathBuf, Arc<Lock>, schema::Opened), OpenError> {
    let path = schema::resolve(path)?;
    let lock = Lock::take(&path)?;
    let database = schema::open(&path)?;
    Ok((path, Arc::new(lock), database))
}

#[async_trait]
impl EventStore for Sqlite {
    async fn log_id(&self) -> Result<Uuid, ReadError> {
        Ok(self.shared.log)
    }

    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Version, AppendError>> {
        let count = batch.len();
        let all = |error: &dyn Fn() -> AppendError| (0..count).map(|_| Err(error())).collect();
        if count == 0 {
            return vec![];
        }
        let (reply, answer) = oneshot::channel();
        let job = Box::new(AppendJob::new(batch, reply));
        if let Err(fault) = self.shared.writer.send(job) {
            let cause = Cause::from(fault);
            return all(&|| AppendError::Unavailable(cause.boxed()));
        }
        // Without an answer, the thread ended in the middle of it.
        let answers = answer.await;
        answers.unwrap_or_else(|_| all(&|| AppendError::Unknown(Fault::Gone.into())))
    }

    async fn read(&self, stream: &StreamId, after: Version, max: usize) -> Result<Page, ReadError> {
        let stream = *stream;
        let page = self.on_reader(move |connection| page::page(connection, stream, after, max));
        Ok(page.await?)
    }

    async fn streams(&self) -> Result<Vec<StreamId>, ReadError> {
        Ok(self.on_reader(streams::all).await?)
    }

    async fn claims(
        &self,
        after: Option<DeviceId>,
        max: usize,
    ) -> Result<Vec<ClaimRow>, ReadError> {
        let claims =
            self.on_reader(move |connection| claims::page(connection, after.as_ref(), max));
        Ok(claims.await?)
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite")
            .field("path", &self.shared.path)
            .field("log", &self.shared.log)
            .finish_non_exhaustive()
    }
}
