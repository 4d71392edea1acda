//! What goes into a node and comes out of it.

use std::{fmt, sync::Arc, time::Duration};

use sortie_core::{
    CampaignId, ClaimRow, DeviceId, Event, ManualUpdateId, StreamId, SystemModelId, Timestamp,
    catalog::Group,
};
pub use sortie_ports::Append;
use sortie_ports::{AppendError, Delivery, Forget, Page, ReadError, Registers, Request, Version};
use sortie_protocol::{Generation, Presence, Progress as DeviceProgress, Report, Route};
use uuid::Uuid;

use super::{
    command::{Command, Done, Refusal},
    notice::Notice,
    view::View,
};

/// The two clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Wall time; it may step.
    pub wall: Timestamp,
    /// Time since some fixed moment; never goes back.
    pub monotonic: Duration,
}

/// What a node is told once.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// After the link's return the listening clock stands this long (C1).
    pub settle: Duration,
    /// Drawn at random by the driver; nonces are derived from it.
    pub seed: Uuid,
    /// Whether the transport keeps what was written.
    pub registers: Registers,
    /// About how many events a batch has at most.
    pub batch_events_max: usize,
    /// Whether the inventory is asked, before pushes, if devices still exist (D1).
    pub confirm_devices: bool,
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum NodeInput {
    /// All claims and streams of the store. First of all inputs, once.
    Recover {
        /// Every claim row.
        claims: Vec<ClaimRow>,
        /// Every stream.
        streams: Vec<StreamId>,
    },
    /// The link to the devices came up or went down. After its return only what is heard then counts.
    Link(bool),
    /// A device's presence.
    Presence(DeviceId, Presence),
    /// A device's report, and where it was sent, if that is known.
    Report(DeviceId, Option<Route>, Box<Report>),
    /// A device's sign of life.
    Progress(DeviceId, DeviceProgress),
    /// A person or program asks for something; answered by one [`NodeOutput::Reply`].
    Command(Command),
    /// A question about committed state; answered once that is at hand.
    Query(Query),
    /// The answer to a [`NodeOutput::Append`].
    Appended(StreamId, Result<Version, AppendError>),
    /// The answer to a [`NodeOutput::Read`].
    Page(StreamId, Result<Page, ReadError>),
    /// What became of a [`NodeOutput::Write`] of this generation.
    Sent(DeviceId, Generation, Delivery),
    /// The answer to a [`NodeOutput::Resolve`]: the devices, or why the inventory can't say.
    Resolved(CampaignId, Result<Vec<DeviceId>, String>),
    /// The answer to a [`NodeOutput::Exist`]: of each device whether it exists, or why the inventory can't
    /// say.
    Exist(StreamId, Result<Vec<bool>, String>),
    /// The answer to a [`NodeOutput::DeleteUpload`].
    UploadDeleted(ManualUpdateId, Result<(), String>),
    /// Time has passed.
    Tick,
}

/// Something to perform.
#[derive(Debug)]
#[non_exhaustive]
pub enum NodeOutput {
    /// Append this; answer with [`NodeInput::Appended`].
    Append(Append),
    /// Read the stream after this version; answer with [`NodeInput::Page`].
    Read(StreamId, Version),
    /// Write this register; answer with [`NodeInput::Sent`].
    Write(Request),
    /// Ask the inventory; answer with [`NodeInput::Resolved`].
    Resolve(CampaignId, Resolve),
    /// Ask the inventory whether these devices still exist (D1); answer with [`NodeInput::Exist`].
    Exist(StreamId, Vec<DeviceId>),
    /// Delete what is retained of a device that was removed (D1); answer with [`NodeInput::Sent`] of this
    /// generation.
    Forget(Forget, Generation),
    /// Delete the uploaded file of a manual update (M2); answer with [`NodeInput::UploadDeleted`].
    DeleteUpload(ManualUpdateId, String),
    /// The answer to a command.
    Reply(u64, Result<Done, Refusal>),
    /// These events are durable.
    Committed {
        /// Their stream.
        stream: StreamId,
        /// The version of the last of them.
        version: Version,
        /// When they were decided.
        at: Timestamp,
        /// The events.
        events: Arc<[Event]>,
    },
    /// Something for the application's log.
    Notice(Notice),
    /// The committed progress of a campaign or manual update, or what is said beside it, changed: see
    /// `Node::progress`.
    Progress(StreamId),
}

/// Which devices a campaign targets: those of this System Model in any of these Groups (S2).
#[derive(Debug, Clone, PartialEq)]
pub struct Resolve {
    /// The System Model of the image's Collection.
    pub system_model: SystemModelId,
    /// The Channel's Groups.
    pub groups: Vec<Group>,
}

/// How a [`Query`] gets its answer: the campaign, or why there is none to ask.
pub type Ask = Box<dyn FnOnce(Result<View<'_>, Refusal>) + Send>;

/// A question about a campaign, asked of its committed state.
pub struct Query {
    /// The campaign's or manual update's stream.
    pub stream: StreamId,
    /// Called once, with the campaign or why there is none to ask.
    pub ask: Ask,
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
