//! The connection to the devices as a port.

use std::fmt::Debug;

use async_trait::async_trait;
use sortie_core::DeviceId;
use sortie_protocol::{Generation, Route};
use uuid::Uuid;

use crate::{Inbox, error::BoxError};

/// The connection to the devices.
///
/// It must pass on only what the authenticated device itself said; say [`Inbox::link_up`] only while
/// it hears the fleet; answer `Sent` or `Refused` only when certain, and within 30 s (then it counts
/// as `NotNow`); let a newer request (higher generation) replace an older one of that device. It
/// need not store, queue, order, retry, de-duplicate or know progress.
#[async_trait]
pub trait Transport: Debug + Send + Sync + 'static {
    /// Runs the link: hears the devices and puts what they say into `inbox`, until the link is lost.
    /// The engine runs it again after a backoff. May be dropped at any await.
    ///
    /// # Errors
    /// Why the link was lost; shown in `health()`.
    async fn run(&self, inbox: Inbox) -> Result<(), TransportError>;

    /// Writes a device's request register.
    async fn write(&self, request: &Request) -> Delivery;

    /// Writes several registers; one answer each, in order.
    async fn write_batch(&self, requests: &[Request]) -> Vec<Delivery> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(self.write(request).await);
        }
        answers
    }

    /// Whether a register written is kept for a device that is away.
    fn registers(&self) -> Registers {
        Registers::Volatile
    }

    /// Deletes all that is retained of a device that was removed from the inventory: its request
    /// register, reports and presence (rule D1). Nothing to do where nothing is retained.
    async fn forget(&self, _device: &Forget) -> Delivery {
        Delivery::Sent
    }

    /// Closes the link in an orderly way; `run` then returns. Called at shutdown, bounded in time.
    async fn close(&self) {}
}

/// Whether a transport keeps what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "kept or not kept")]
pub enum Registers {
    /// A register written is there for the device whenever it comes (MQTT's retained messages).
    Retained,
    /// It is gone with the connection: the engine writes what is in force again at each presence.
    Volatile,
}

/// What a device's request register is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The device.
    pub device: DeviceId,
    /// The level.
    pub body: sortie_protocol::Request,
}

impl Request {
    /// Its place in the order of all requests to the device.
    pub fn generation(&self) -> Generation {
        self.body.generation()
    }

    /// The payload, for transports that carry sortie's own JSON.
    pub fn to_json(&self) -> Vec<u8> {
        self.body.to_json()
    }
}

/// A device that was removed, and what may be retained of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forget {
    /// The device.
    pub device: DeviceId,
    /// Its report registers, by route and operation, as far as they are known.
    pub reports: Vec<(Route, Uuid)>,
}

impl Forget {
    /// All that is retained of `device`.
    pub fn new(device: DeviceId, reports: Vec<(Route, Uuid)>) -> Self {
        Self { device, reports }
    }
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "certain, not now, never")]
pub enum Delivery {
    /// The other side has it, acknowledged.
    Sent,
    /// Not connected, timed out, in doubt: it is written again later.
    NotNow,
    /// It will never be taken, and why: not authorised, too large (rule P5).
    Refused(String),
}

/// Why the link was lost or could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The connection ended or failed: tried again after a backoff.
    #[error("{0}")]
    Disconnected(BoxError),
    /// Another log's engine is alive on this prefix: trying again does not help until one of the
    /// two is stopped.
    #[error("an engine with another log ({other}) is alive on this prefix")]
    OtherLog {
        /// The other log's id.
        other: String,
    },
}

impl TransportError {
    /// The connection ended or failed, and why.
    pub fn disconnected(why: impl Into<BoxError>) -> Self {
        Self::Disconnected(why.into())
    }
}
