//! What the loop has under way beside itself.

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    ask::CommandMessage,
    guard::Boxed,
    handle::CallError,
    inventory::Found,
    pool::Pool,
    preview::{Preview, Prospect},
    store::Appended,
};
use crate::node::NodeInput;

/// Reads under way at once, at most: each holds a page.
const READS: usize = 8;
/// Channels resolved at once, at most: each holds a snapshot.
const RESOLVES: usize = 4;
/// Uploads deleted at once, at most: one that hangs must hold up no campaign.
const DELETES: usize = 2;
/// Stories read at once, at most: they must not keep the node's own reads waiting.
const STORIES: usize = 2;
/// Writes under way at once; the node gives out no more than these.
const WRITES: usize = 256;

/// Futures under way, by kind.
pub(super) struct Jobs {
    /// The append under way: at most one.
    pub(super) append: Option<Boxed<Appended>>,
    pub(super) reads: Pool<NodeInput>,
    pub(super) resolves: Pool<Resolved>,
    pub(super) deletes: Pool<NodeInput>,
    /// Each gives its answer itself.
    pub(super) stories: Pool<()>,
    pub(super) writes: Pool<NodeInput>,
}

/// The inventory has answered.
pub(super) enum Resolved {
    /// What the node asked for.
    Node(NodeInput),
    /// For who wants to know beforehand.
    Preview(Box<PreviewJob>),
    /// The device of a manual update was looked up.
    Manual(Box<ManualJob>),
}

/// A manual update whose device was looked up.
pub(super) struct ManualJob {
    pub(super) command: CommandMessage,
    pub(super) found: Result<Found, String>,
}

/// A preview whose snapshot is there.
pub(super) struct PreviewJob {
    pub(super) snapshot: Result<Prospect, CallError>,
    pub(super) answer: oneshot::Sender<Result<Preview, CallError>>,
    pub(super) _permit: OwnedSemaphorePermit,
}

impl Jobs {
    pub(super) fn new() -> Self {
        Self {
            append: None,
            reads: Pool::new(READS),
            resolves: Pool::new(RESOLVES),
            deletes: Pool::new(DELETES),
            stories: Pool::new(STORIES),
            writes: Pool::new(WRITES),
        }
    }
}
