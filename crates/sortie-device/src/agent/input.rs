//! What goes into the agent and what comes out.

use alloc::{string::String, vec::Vec};

use sortie_protocol::{Birth, Presence, Progress, Reason, Report, Route, Sha256, Uuid};

use crate::ports::{DownloadError, Fetch, FlashError, Pending};

/// The spare slot's measures, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a pair of measures")]
pub struct Geometry {
    /// What it holds.
    pub capacity: u64,
    /// What is erased at once.
    pub page: u64,
}

/// Something that happened.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a driver must know them all to be one"
)]
pub enum Input<'a> {
    /// A connection stands, under this session.
    Connected {
        /// Random at each connect.
        session: String,
    },
    /// The connection is lost.
    Disconnected,
    /// The request register's payload, as it came.
    Request(&'a [u8]),
    /// The own presence register.
    OwnPresence(&'a Presence),
    /// One of the own report registers.
    OwnReport {
        /// Its topic's route.
        route: Route,
        /// Its topic's operation.
        operation: Uuid,
        /// Whether it holds a message.
        present: bool,
    },
    /// The publish under way ended: true once it is acknowledged.
    Published(bool),
    /// The server answers the fetch under way.
    Answered {
        /// The position of the first byte that follows.
        offset: u64,
        /// The artifact's whole length, if told.
        total: Option<u64>,
        /// The answer's entity tag.
        etag: Option<String>,
    },
    /// Some bytes came.
    Received,
    /// A page that the slot is thought to hold is not what the server sends now. After the effects
    /// of this it is written.
    Differs {
        /// Where the page begins.
        offset: u64,
    },
    /// The slot durably holds what was sent, up to here: a whole page more, or the image's end.
    Written {
        /// The end of what it holds.
        end: u64,
    },
    /// The fetch ended before the image's end.
    FetchEnded(Result<(), DownloadError>),
    /// The slot can't be erased, written or read.
    FlashFailed(String),
    /// The digest of what the slot holds, read from it.
    Digest(Result<Sha256, FlashError>),
    /// The slot is marked pending, or could not be.
    Marked(Result<(), FlashError>),
    /// The health check's answer.
    Health(Result<(), String>),
    /// The running image is confirmed, or could not be.
    Confirmed(Result<(), FlashError>),
    /// The running image is rejected, as far as that was possible.
    Rejected,
    /// Time has passed.
    Tick,
}

/// Something to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a driver must know them all to be one"
)]
pub enum Effect {
    /// Store this record durably before anything that follows. If that fails the run must end.
    Store(Vec<u8>),
    /// Fetch, in place of a fetch that may be under way, and write into the spare slot.
    Fetch {
        /// What to ask for.
        fetch: Fetch,
        /// The image's length: no byte beyond it is taken.
        size: u64,
        /// The slot holds the image up to here. What is sent of that is compared, not written.
        held: u64,
    },
    /// Stop the fetch under way.
    StopFetch,
    /// Read this many bytes from the spare slot and tell their digest.
    Verify {
        /// The image's length.
        size: u64,
    },
    /// Mark the spare slot pending.
    MarkPending(Pending),
    /// Ask the application whether the running image works.
    CheckHealth,
    /// Confirm the running image.
    Confirm,
    /// Reject the running image. A health check under way is of no interest any more.
    Reject(Reason),
    /// Tell the slots that the result of this operation is journaled.
    Told(Uuid),
    /// Take leave and reboot: nothing follows.
    Reboot,
}

/// Something to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a driver must know them all to be one"
)]
pub enum Publish {
    /// The birth.
    Birth(Birth),
    /// A report register; `None` empties it.
    Report {
        /// Its route.
        route: Route,
        /// Its operation.
        operation: Uuid,
        /// What it shall hold.
        report: Option<Report>,
    },
    /// A sign of life.
    Progress {
        /// Its route.
        route: Route,
        /// What it says.
        progress: Progress,
    },
    /// Not a publish: listen to the own report registers.
    WatchOwnReports,
}
