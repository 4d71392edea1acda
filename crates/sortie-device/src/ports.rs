//! What the agent needs from its device: slots, journal, download, health check.
//!
//! Flash is blocking, since its calls are short; what waits for the network or for the
//! application is async.

use alloc::{string::String, vec::Vec};
use core::{future::Future, time::Duration};

use sortie_protocol::{Reason, Sha256, Uuid};

/// What the boot found and did, as the slots remember it. Only the flash is believed about what
/// was booted: the agent's journal may be a step behind it after a power cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Boot {
    /// The running image is on trial for this operation, and not confirmed.
    pub trial: Option<Uuid>,
    /// A slot is marked pending for this operation and was not booted yet.
    pub pending: Option<Uuid>,
    /// How the last trial ended; kept at least until [`Slots::told`].
    pub last: Option<(Uuid, TrialEnd)>,
    /// The operation that brought the confirmed image, if the slots know it.
    pub installed: Option<Uuid>,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a trial is confirmed or is not")]
pub enum TrialEnd {
    /// The image was confirmed; it is what boots.
    Confirmed,
    /// The former image runs again.
    RolledBack(Reason),
}

/// What is marked pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// The operation, kept as the trial's tag.
    pub operation: Uuid,
    /// The image's length in bytes.
    pub size: u64,
    /// Its digest, which the boot checks again.
    pub sha256: Sha256,
}

/// A flash call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the agent does one of two things: report it, or stop where it is"
)]
pub enum FlashError {
    /// The part refused or the content is unreadable; reported as `IOError`.
    #[error("flash: {0}")]
    Io(String),
    /// The power went (in a simulation): nothing can be done any more, the run ends.
    #[error("power is lost")]
    PowerLost,
}

/// The spare slot, and the boot state that chooses between the two.
pub trait Slots: Send {
    /// How many bytes the spare slot holds.
    fn capacity(&self) -> u64;
    /// The size of an erase page in bytes, the unit of [`Self::write_page`].
    fn page_size(&self) -> usize;
    /// Makes the page at `offset` of the spare slot hold `bytes` from its start, durably, erasing
    /// it first unless it holds them already. `bytes` is a page, or less for the image's last.
    fn write_page(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FlashError>;
    /// Reads from the spare slot.
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<(), FlashError>;
    /// Marks the spare slot pending, durably: the next boot tries it, once. The point of no
    /// return (A6).
    fn mark_pending(&mut self, pending: Pending) -> Result<(), FlashError>;
    /// Confirms the image on trial, durably.
    fn confirm(&mut self) -> Result<(), FlashError>;
    /// Rejects the image on trial, durably, keeping `reason`; the next boot is the former image.
    fn reject(&mut self, reason: Reason) -> Result<(), FlashError>;
    /// The agent's journal holds the result of `operation` now: slots that keep how its trial ended
    /// until then need not any more. Called again after a power cut.
    fn told(&mut self, operation: Uuid) -> Result<(), FlashError>;
}

/// Where the agent keeps its record.
pub trait Journal: Send {
    /// The newest record stored whole; `None` when there is none (new, or re-imaged).
    fn load(&mut self) -> Result<Option<Vec<u8>>, FlashError>;
    /// Stores `record` (at most [`crate::RECORD_BYTES_MAX`] bytes) durably and atomically: after
    /// a power cut [`Self::load`] gives the former record or this one, whole.
    fn store(&mut self, record: &[u8]) -> Result<(), FlashError>;
}

/// What to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Where.
    pub url: String,
    /// The first byte wanted. 0 asks for all.
    pub offset: u64,
    /// The entity tag of the answer that the bytes before `offset` came from (`If-Range`).
    pub etag: Option<String>,
}

/// An answer to [`Fetch`], its body still to be read.
#[derive(Debug)]
pub struct Answer<B> {
    /// The position of the body's first byte: the asked offset, or 0 when the server sends all.
    pub offset: u64,
    /// The artifact's whole length, if the server says it.
    pub total: Option<u64>,
    /// Its strong entity tag, if there is one of reasonable length.
    pub etag: Option<String>,
    /// The bytes.
    pub body: B,
}

/// A fetch went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the agent tries again, starts anew, or gives up at once"
)]
pub enum DownloadError {
    /// Network or server trouble: tried again with backoff (A12).
    #[error("{0}")]
    Network(String),
    /// The server has no such range (416): all is asked for next.
    #[error("the server does not have the range from byte {0}")]
    Range(u64),
    /// The URL can't be fetched, now or later: `Failure/InvalidRequest`.
    #[error("{0}")]
    Unsupported(String),
}

/// Fetches artifacts.
pub trait Download: Send + Sync {
    /// The body of an answer.
    type Body: Body;
    /// Asks for an artifact, or the rest of one.
    fn fetch(
        &self,
        fetch: Fetch,
    ) -> impl Future<Output = Result<Answer<Self::Body>, DownloadError>> + Send;
}

/// A body being read.
pub trait Body: Send {
    /// Fills the front of `into` (not empty) and says how many bytes; 0 is the clean end. A body
    /// cut off before its declared length is an error, never a clean end. Cancel-safe.
    fn read(
        &mut self,
        into: &mut [u8],
    ) -> impl Future<Output = Result<usize, DownloadError>> + Send;
}

impl<T: Download> Download for &T {
    type Body = T::Body;
    fn fetch(
        &self,
        fetch: Fetch,
    ) -> impl Future<Output = Result<Answer<Self::Body>, DownloadError>> + Send {
        T::fetch(self, fetch)
    }
}

/// The application's word on whether a new image works.
pub trait Health: Send + Sync {
    /// Checks the running image, on trial; an error is a short text for people. The agent gives
    /// it [`crate::Settings::health_timeout`].
    fn check(&self) -> impl Future<Output = Result<(), String>> + Send;
}

impl<F, Answer> Health for F
where
    F: Fn() -> Answer + Send + Sync,
    Answer: Future<Output = Result<(), String>> + Send,
{
    fn check(&self) -> impl Future<Output = Result<(), String>> + Send {
        self()
    }
}

/// Milliseconds of a clock that never goes back, from any start; the agent knows no other time
/// (B4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    pub(crate) fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(millis(time)))
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
