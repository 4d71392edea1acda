//! The link to the engine, whatever carries it: what an adapter (MQTT in `sortie-mqtt`) implements.
//!
//! A link has two halves, so that events can be awaited while a publish waits for its
//! acknowledgement: [`Link`] speaks, [`LinkEvents`] listens. Both are moved into the driver and
//! used by one task. Dropping them is a power cut: the connection ends without a goodbye and the
//! last will follows.

use alloc::{string::String, vec::Vec};
use core::future::Future;

use sortie_protocol::{Birth, Presence, Progress, Report, Route, Uuid};

/// What a link says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkEvent {
    /// A connection stands: the broker has accepted it **and** the subscriptions to the request
    /// and to the own presence. The retained messages of both follow as events.
    Connected {
        /// Random at each connect, and named in this connection's last will (A11).
        session: String,
    },
    /// The connection is lost. The link connects again by itself, with backoff; no event of the
    /// former connection may follow [`LinkEvent::Connected`].
    Disconnected,
    /// The request register, as it came. An empty payload is an empty register, that is, no
    /// information (A1). An implementation may drop what is larger than
    /// [`sortie_protocol::limits::PAYLOAD_BYTES_MAX`], but must not decode: a malformed Update
    /// that still names its operation is answered.
    Request(Vec<u8>),
    /// The own presence register, the own messages included; emptied, it is `lost` with an empty
    /// session. What does not decode is dropped by the link.
    OwnPresence(Presence),
    /// A report register below the own `report/#`, after [`Link::watch_own_reports`].
    OwnReport {
        /// The topic's route.
        route: Route,
        /// The topic's operation.
        operation: Uuid,
        /// Whether it holds a message; false for an empty payload.
        present: bool,
    },
}

/// The listening half.
pub trait LinkEvents: Send {
    /// Waits for the next event. It never ends: while there is no connection it waits and
    /// connects again. Must be cancel-safe: the future is dropped and made anew at will, and no
    /// event may be lost by that.
    fn next(&mut self) -> impl Future<Output = LinkEvent> + Send;
}

/// The speaking half.
///
/// Each publish resolves once the broker has acknowledged it, or with [`LinkDown`] as soon as the
/// connection on which it was sent is gone. It is never sent again by the link: after the next
/// [`LinkEvent::Connected`] the agent publishes its levels anew. The driver has at most one
/// publish under way.
pub trait Link: Send + Sync {
    /// Publishes (at least once, retained) the report register of `operation`; `None` empties it (A8).
    fn publish_report(
        &self,
        route: Route,
        operation: Uuid,
        report: Option<Report>,
    ) -> impl Future<Output = Result<(), LinkDown>> + Send;

    /// Publishes (at least once, retained) the birth (A11). Its session is the one that
    /// [`LinkEvent::Connected`] told.
    fn publish_birth(&self, birth: Birth) -> impl Future<Output = Result<(), LinkDown>> + Send;

    /// Publishes (at most once, not retained) a sign of life. Resolves when it is handed over.
    fn publish_progress(
        &self,
        route: Route,
        progress: Progress,
    ) -> impl Future<Output = Result<(), LinkDown>> + Send;

    /// Subscribes, for this connection, to the own `report/#`; each register found there comes as
    /// [`LinkEvent::OwnReport`]. Called after a connect of a device with a new journal (A8).
    fn watch_own_reports(&self) -> impl Future<Output = Result<(), LinkDown>> + Send;

    /// Publishes the clean end of presence (`offline`) and closes the connection. The link is not
    /// used afterwards.
    fn goodbye(&self) -> impl Future<Output = Result<(), LinkDown>> + Send;
}

/// There is no connection, or it was lost before the acknowledgement: what became of the message
/// is not known. After the next connect it is published again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("link is down")]
pub struct LinkDown;
