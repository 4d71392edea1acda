//! The write thread: all that waits goes into one transaction.

use std::mem;

use rusqlite::{Connection, ErrorCode, OptionalExtension};
use sortie_ports::{Append, AppendError, BoxError, Version};
use tokio::sync::oneshot;

use crate::{
    append,
    fault::{Cause, Fault, loaded, stored},
    worker::Jobs,
};

/// How many jobs go into one transaction, at most: what waits behind them is not for ever.
const GROUP_MAX: usize = 1_024;

/// Something to write, with one who waits for the answer.
pub(crate) trait Job: Send {
    /// Writes into the transaction, and keeps the answer for when that has been committed. May be
    /// called again after the transaction was rolled back.
    fn write(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault>;

    /// Answers.
    fn answer(self: Box<Self>, end: &End);
}

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum End {
    /// It is durable.
    Committed,
    /// Nothing of it is in the database, now or after a crash.
    NotWritten(Cause),
    /// It can't be told.
    Unknown(Cause),
}

/// An open transaction.
pub(crate) struct Tx<'c> {
    pub(crate) connection: &'c Connection,
    /// Whether each part has a savepoint of its own.
    careful: bool,
    /// The position of the next event.
    next: u64,
}

/// Does jobs until there are no more.
pub(crate) fn run(connection: &mut Connection, jobs: &Jobs<Box<dyn Job>>) {
    while let Some(first) = jobs.next() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Some(job) = jobs.waiting()
        {
            group.push(job);
        }
        let end = commit(connection, &mut group);
        for job in group {
            job.answer(&end);
        }
    }
}

fn commit(connection: &Connection, group: &mut [Box<dyn Job>]) -> End {
    match attempt(connection, group, false) {
        Ok(end) => end,
        // One of them can't be written, which is none of the others' fault.
        Err(fault) if fault.is_local() => {
            attempt(connection, group, true).unwrap_or_else(|fault| End::NotWritten(fault.into()))
        }
        Err(fault) => End::NotWritten(fault.into()),
    }
}

/// Writes all in one transaction. `Err`: nothing was written.
fn attempt(
    connection: &Connection,
    group: &mut [Box<dyn Job>],
    careful: bool,
) -> Result<End, Fault> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let written = next_position(connection).and_then(|before| {
        let mut tx = Tx {
            connection,
            careful,
            next: before,
        };
        group.iter_mut().try_for_each(|job| job.write(&mut tx))?;
        Ok(before)
    });
    let before = written.inspect_err(|_| roll_back(connection))?;
    match connection.execute_batch("COMMIT") {
        Ok(()) => Ok(End::Committed),
        Err(e) => settle(connection, e, before),
    }
}

/// After a COMMIT that failed: finds out whether it happened, or still may.
///
/// A failed sync may leave the whole transaction in the write-ahead log, and a restart would find
/// it there. But SQLite writes the next transaction over it; so once a next one is durable, and the
/// log is seen to end where it did before, the failed one can't come back.
fn settle(connection: &Connection, e: rusqlite::Error, before: u64) -> Result<End, Fault> {
    let busy = e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
    let open = !connection.is_autocommit();
    roll_back(connection);
    if busy && open {
        // It waited for a lock, and had not begun to write.
        return Err(e.into());
    }
    let cause = Cause::from(Fault::from(e));
    let fence = connection.execute_batch("UPDATE log SET fence = fence + 1");
    let now = fence
        .map_err(Fault::from)
        .and_then(|()| next_position(connection));
    Ok(match now {
        Ok(now) if now == before => End::NotWritten(cause),
        _ => End::Unknown(cause),
    })
}

fn roll_back(connection: &Connection) {
    if !connection.is_autocommit() {
        // If it fails the next BEGIN does as well, and says why.
        let _ = connection.execute_batch("ROLLBACK");
    }
}

/// The position of the next event: positions count the events of all streams from 1.
fn next_position(connection: &Connection) -> Result<u64, Fault> {
    const SQL: &str = "SELECT position + count FROM commits ORDER BY position DESC LIMIT 1";
    let mut select = connection.prepare_cached(SQL)?;
    let next: Option<i64> = select.query_row([], |row| row.get(0)).optional()?;
    loaded("position", next.unwrap_or(1))
}

impl Tx<'_> {
    /// Takes the next `count` positions; answers the first.
    pub(crate) fn take_positions(&mut self, count: u64) -> Result<i64, Fault> {
        let first = stored("position", self.next)?;
        self.next += count;
        Ok(first)
    }

    /// Does a part of the transaction. The inner error, which only a careful transaction gives: the
    /// part was undone and the rest goes on.
    fn part<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<Result<T, Fault>, Fault> {
        if !self.careful {
            return work(self).map(Ok);
        }
        let next = self.next;
        self.connection.execute_batch("SAVEPOINT part")?;
        let done = match work(self) {
            Err(fault) if fault.is_local() => {
                self.connection.execute_batch("ROLLBACK TO part")?;
                self.next = next;
                Err(fault)
            }
            done => Ok(done?),
        };
        self.connection.execute_batch("RELEASE part")?;
        Ok(done)
    }
}

/// One answer each.
type Answers = Vec<Result<Version, AppendError>>;

/// Appends of one caller.
pub(crate) struct AppendJob {
    batch: Vec<Append>,
    answers: Answers,
    started: bool,
    reply: Option<oneshot::Sender<Answers>>,
}

impl AppendJob {
    pub(crate) fn new(batch: Vec<Append>, reply: oneshot::Sender<Answers>) -> Self {
        Self {
            batch,
            answers: vec![],
            started: false,
            reply: Some(reply),
        }
    }

    fn reply(&mut self, answers: Answers) {
        if let Some(reply) = self.reply.take() {
            // Who asked may have gone; what was written stays.
            let _ = reply.send(answers);
        }
    }

    /// The same answer to each.
    fn reply_all(&mut self, answer: impl Fn() -> AppendError) {
        let answers = self.batch.iter().map(|_| Err(answer())).collect();
        self.reply(answers);
    }
}

impl Job for AppendJob {
    fn write(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        self.started = true;
        self.answers.clear();
        for append in &self.batch {
            let answer = tx.part(|tx| append::append(tx, append))?;
            let answer = answer.unwrap_or_else(|fault| {
                Err(match fault {
                    Fault::Refused(why) => AppendError::Invalid(why),
                    fault => AppendError::Unavailable(fault.into()),
                })
            });
            self.answers.push(answer);
        }
        Ok(())
    }

    fn answer(mut self: Box<Self>, end: &End) {
        match end {
            End::Committed => {
                let answers = mem::take(&mut self.answers);
                self.reply(answers);
            }
            End::NotWritten(why) => self.reply_all(|| AppendError::Unavailable(why.boxed())),
            End::Unknown(why) => self.reply_all(|| AppendError::Unknown(why.boxed())),
        }
    }
}

impl Drop for AppendJob {
    /// A job that was still queued when the store was closed has not been written.
    fn drop(&mut self) {
        if !self.started {
            self.reply_all(|| AppendError::Unavailable(Fault::Closed.into()));
        }
    }
}

type TableWork<T> = Box<dyn FnMut(&Connection) -> Result<T, Fault> + Send>;

/// A change of the device table, in one statement or several.
pub(crate) struct TableJob<T> {
    work: TableWork<T>,
    done: Option<Result<T, Fault>>,
    reply: oneshot::Sender<Result<T, BoxError>>,
}

impl<T> TableJob<T> {
    /// `work` may be called again after the transaction was rolled back.
    pub(crate) fn new(
        work: impl FnMut(&Connection) -> Result<T, Fault> + Send + 'static,
        reply: oneshot::Sender<Result<T, BoxError>>,
    ) -> Self {
        Self {
            work: Box::new(work),
            done: None,
            reply,
        }
    }
}

impl<T: Send> Job for TableJob<T> {
    fn write(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        self.done = Some(tx.part(|tx| (self.work)(tx.connection))?);
        Ok(())
    }

    fn answer(self: Box<Self>, end: &End) {
        let answer = match end {
            End::Committed => self.done.unwrap_or(Err(Fault::Gone)).map_err(Into::into),
            // Such a change may be made again, so that the two are the same to who asked.
            End::NotWritten(why) | End::Unknown(why) => Err(why.boxed()),
        };
        let _ = self.reply.send(answer);
    }
}
