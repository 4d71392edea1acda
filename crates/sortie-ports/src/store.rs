//! The event log as a port.

use std::fmt::Debug;

use async_trait::async_trait;
use sortie_core::{Actor, ClaimChange, ClaimRow, CommandId, DeviceId, Event, StreamId, Timestamp};
use uuid::Uuid;

use crate::error::BoxError;

/// How many events a stream has; versions count events from 1, and 0 is a stream without any.
pub type Version = u64;

/// The event log, and the claims beside it.
///
/// To be correct, an implementation
/// - appends all events, claims and commands of one [`Append`], or nothing of it;
/// - answers `Ok` only once the append survives what the store promises to survive;
/// - refuses an append whose `expected` version is not the stream's, also when two writers race;
/// - refuses an append whose epoch is lower than one that the stream has seen;
/// - refuses as [`AppendError::Claimed`], with all rows that don't fit, an append of which a claim does
///   not ([`ClaimChange::fits`]);
/// - shows a reader only what is durable, in order, without gaps.
#[async_trait]
pub trait EventStore: Debug + Send + Sync + 'static {
    /// The id of this log, drawn when it was made. Two logs on one broker prefix are told apart by
    /// it.
    ///
    /// # Errors
    /// [`ReadError`].
    async fn log_id(&self) -> Result<Uuid, ReadError>;

    /// Appends each of `batch`, all in one transaction: one answer each, in order, after the sync.
    ///
    /// One that is refused does not hold up the others. Answers the stream's new version.
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Version, AppendError>>;

    /// Reads a stream's commits with versions above `after`, in order: about `max` events, at least
    /// one commit if there is one. `after` must be the last version of a commit, or 0. An empty page
    /// is the end.
    ///
    /// # Errors
    /// [`ReadError`].
    async fn read(&self, stream: &StreamId, after: Version, max: usize) -> Result<Page, ReadError>;

    /// All streams that have an event.
    ///
    /// # Errors
    /// [`ReadError`].
    async fn streams(&self) -> Result<Vec<StreamId>, ReadError>;

    /// The claims of devices after `after`, by device id as bytes, at most `max`. A page shorter
    /// than `max` is the last.
    ///
    /// # Errors
    /// [`ReadError`].
    async fn claims(&self, after: Option<DeviceId>, max: usize)
    -> Result<Vec<ClaimRow>, ReadError>;
}

/// One append to one stream: a commit, if it succeeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    /// The stream.
    pub stream: StreamId,
    /// Its version as the writer knows it.
    pub expected: Version,
    /// The writer's epoch in the stream; see `OwnerChanged`.
    pub epoch: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// The commands that it carries out (rule K1).
    pub commands: Vec<RecordedCommand>,
    /// The events; at least one.
    pub events: Vec<Event>,
    /// The changes of claims that these events are the cause of; at most one a device.
    pub claims: Vec<ClaimChange>,
}

/// A command as it is recorded with the commit that carried it out (rule K1).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RecordedCommand {
    /// The caller's id for it.
    pub id: CommandId,
    /// Who gave it.
    pub actor: Actor,
}

/// A commit as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The version of its first event.
    pub first: Version,
    /// When it was decided.
    pub at: Timestamp,
    /// The writer's epoch.
    pub epoch: u64,
    /// The commands that it carried out.
    pub commands: Vec<RecordedCommand>,
    /// The events; at least one.
    pub events: Vec<Event>,
}

/// Some commits of a stream, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The commits; none at the end of the stream.
    pub commits: Vec<Commit>,
}

/// Why an append did not, or perhaps did not, happen. What the caller does next differs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The stream is at another version: read on, fold, decide again. Nothing was written.
    #[error("the stream is at version {actual}, not at the expected one")]
    Conflict {
        /// The version that it is at.
        actual: Version,
    },
    /// A newer owner has taken the stream over: stop writing to it. Nothing was written.
    #[error("the stream is owned under epoch {epoch}, a newer one")]
    Fenced {
        /// The newer owner's epoch.
        epoch: u64,
    },
    /// Devices are held by others, or their claims are not as expected: all rows that did not fit,
    /// as they are. Decide again. Nothing was written.
    #[error("{} claims are not as expected", .0.len())]
    Claimed(Vec<ClaimRow>),
    /// The append can't be stored, now or later: it is empty, or larger than the store takes; what is
    /// wrong with it. Nothing was written. A bug, or a campaign too large for this store.
    #[error("the append can't be stored: {0}")]
    Invalid(String),
    /// It can't be told whether the append happened, or still will: take the stream over under a
    /// higher epoch, then read what is there.
    #[error("the outcome of the append is unknown")]
    Unknown(#[source] BoxError),
    /// The store is away: nothing was written. Back off and try again.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store is away: back off and try again.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// What is stored is not what was written: stop, and call a person.
    #[error("the log is corrupt: {0}")]
    Corrupt(String),
}
