//! The read thread: one snapshot of the database a job.

use rusqlite::{Connection, Transaction};

use crate::worker::Jobs;

/// Something to read.
pub(crate) type Job = Box<dyn FnOnce(Result<&Transaction<'_>, rusqlite::Error>) + Send>;

/// Does jobs until there are no more.
pub(crate) fn run(connection: &mut Connection, jobs: &Jobs<Job>) {
    while let Some(job) = jobs.next() {
        // All that a job reads is of one moment. Dropping the transaction ends it.
        match connection.transaction() {
            Ok(transaction) => job(Ok(&transaction)),
            Err(e) => job(Err(e)),
        }
    }
}
