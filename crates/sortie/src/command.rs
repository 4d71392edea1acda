//! Commands until they are awaited.

use std::{fmt, pin::Pin};

use sortie_core::{Actor, CampaignId, CommandId, ManualUpdateId};
use sortie_engine::{
    driver::Handle,
    node::{Done, NodeCommand},
};

use crate::CommandError;

/// A command until it is awaited; its output is `Result<T, CommandError>`.
///
/// Dropping it before it was polled does nothing. Dropping it later does not take it back: it is
/// carried out, and the same [`CommandId`] again gets its answer (K1).
#[must_use = "a command does nothing until it is awaited"]
pub struct Command<T> {
    handle: Handle,
    id: CommandId,
    actor: Actor,
    what: NodeCommand,
    finish: Finish<T>,
}

/// What is done once the command was carried out.
type Finish<T> = fn(Handle, &Done) -> Outcome<T>;

/// The future of a [`Command`].
pub(crate) type Outcome<T> = Pin<Box<dyn Future<Output = Result<T, CommandError>> + Send>>;

impl<T> Command<T> {
    pub(crate) fn new(handle: &Handle, what: NodeCommand, finish: Finish<T>) -> Self {
        Self {
            handle: handle.clone(),
            id: handle.draw_id().into(),
            actor: Actor::default(),
            what,
            finish,
        }
    }

    /// Says who gives it; recorded with what comes of it. At most 256 bytes are kept.
    pub fn by(mut self, actor: &str) -> Self {
        self.actor = Actor::new(actor);
        self
    }

    /// Names it, so that it can be repeated: the same id again gets the first answer (K1; a stream
    /// keeps its last 256), also on another engine on the same store. A campaign or manual update that was
    /// given no id of its own has one derived from this, so a repeat makes no second. Default: drawn at
    /// random.
    pub fn id(mut self, id: CommandId) -> Self {
        self.id = id;
        self
    }
}

impl<T: 'static> IntoFuture for Command<T> {
    type Output = Result<T, CommandError>;
    type IntoFuture = Outcome<T>;

    fn into_future(self) -> Outcome<T> {
        let Self {
            handle,
            id,
            actor,
            what,
            finish,
        } = self;
        let what = made_by(id, what);
        Box::pin(async move {
            let done = handle.command(id, actor, what).await?;
            finish(handle, &done).await
        })
    }
}

/// Names what a command makes, if it was given no name: by the command, so that a repeat goes to the same
/// stream, which has the first answer (K1).
fn made_by(command: CommandId, what: NodeCommand) -> NodeCommand {
    let name = format!("of command {command}");
    match what {
        NodeCommand::Create(_, new) => {
            let id = new.given_id();
            NodeCommand::Create(id.unwrap_or_else(|| CampaignId::from_name(&name)), new)
        }
        NodeCommand::Manual(_, new, model) => {
            let id = new.given_id();
            let id = id.unwrap_or_else(|| ManualUpdateId::from_name(&name));
            NodeCommand::Manual(id, new, model)
        }
        other => other,
    }
}

/// For commands that answer nothing but that they were accepted.
pub(crate) fn accepted(_: Handle, _: &Done) -> Outcome<()> {
    Box::pin(std::future::ready(Ok(())))
}

impl<T> fmt::Debug for Command<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("id", &self.id)
            .field("actor", &self.actor)
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}
