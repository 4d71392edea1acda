//! What handles ask of the loop.

use std::fmt;

use sortie_core::{Actor, CatalogState, CommandId, StreamId};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::{
    handle::CallError,
    health::Health,
    preview::{Preview, Wanted},
    story::FromLog,
};
use crate::node::{Done, Kinds, NodeCommand, Progress, Query, Refusal};

/// How many commands, and how many questions, may wait for their answers.
pub(super) const WAITING_MAX: usize = 1_024;

/// What handles ask of the loop.
pub(super) enum Message {
    /// A command.
    Command(CommandMessage),
    /// A question about a campaign. `late`: told once the answer is late, and why.
    Query {
        query: Query,
        late: oneshot::Sender<String>,
    },
    /// A stream's progress, now and from now on; `None`: it is not known (yet).
    Subscribe(StreamId, oneshot::Sender<Option<watch::Receiver<Progress>>>),
    /// A finished campaign's targets by status and reason; `None`: its view says.
    Kinds(StreamId, oneshot::Sender<Option<Kinds>>),
    /// All campaigns, once the log has been read.
    Campaigns {
        answer: oneshot::Sender<Vec<Progress>>,
        late: oneshot::Sender<String>,
    },
    /// A question about the catalog. `late`: as for a query.
    Catalog {
        ask: AskCatalog,
        late: oneshot::Sender<String>,
    },
    /// How the engine is.
    Health(oneshot::Sender<Health>),
    /// What a campaign's snapshot would hold.
    Preview {
        wanted: Box<Wanted>,
        answer: oneshot::Sender<Result<Preview, CallError>>,
        permit: OwnedSemaphorePermit,
    },
    /// Something that the log alone answers.
    FromLog(FromLog, OwnedSemaphorePermit),
    /// Shut down.
    Stop,
}

/// How a question about the catalog gets its answer; called in the loop, so it must be quick.
pub(super) type AskCatalog = Box<dyn FnOnce(Result<&CatalogState, Refusal>) + Send>;

/// A command on its way to the node.
pub(super) struct CommandMessage {
    pub(super) id: CommandId,
    pub(super) actor: Actor,
    pub(super) what: NodeCommand,
    pub(super) answer: oneshot::Sender<Result<Done, CallError>>,
    pub(super) late: oneshot::Sender<String>,
    pub(super) permit: OwnedSemaphorePermit,
}

/// A command that the node has and has not answered.
///
/// The permit stays with the command, not with who waits for it: whoever stops waiting has not taken
/// the command back, and it must not make room for another one.
pub(super) struct Unanswered {
    pub(super) answer: oneshot::Sender<Result<Done, CallError>>,
    pub(super) _permit: OwnedSemaphorePermit,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command(_) => "Command",
            Self::Query { .. } => "Query",
            Self::Subscribe(..) => "Subscribe",
            Self::Kinds(..) => "Kinds",
            Self::Campaigns { .. } => "Campaigns",
            Self::Catalog { .. } => "Catalog",
            Self::Health(_) => "Health",
            Self::Preview { .. } => "Preview",
            Self::FromLog(..) => "FromLog",
            Self::Stop => "Stop",
        })
    }
}
