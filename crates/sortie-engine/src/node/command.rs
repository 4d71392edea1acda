//! What people ask of a node.

use sortie_core::{
    Actor, CampaignId, Catalog, CatalogItem, CommandId, DeviceId, Invalid, ManualUpdate,
    ManualUpdateId, NewCampaign, NewManualUpdate, Rejection, StreamId, SystemModelId,
};

use sortie_ports::RecordedCommand;

use super::{
    Node, NodeOutput,
    io::Query,
    stream::{Body, Slot, Work},
};

/// A command, with who gave it and how it is answered.
#[derive(Debug, Clone)]
pub struct Command {
    /// Names the [`NodeOutput::Reply`].
    pub ask: u64,
    /// The same id again gets the first answer (K1).
    pub id: CommandId,
    /// Who gives it.
    pub actor: Actor,
    /// What is asked.
    pub what: NodeCommand,
}

impl Command {
    pub(super) fn recorded(&self) -> RecordedCommand {
        RecordedCommand {
            id: self.id,
            actor: self.actor.clone(),
        }
    }
}

/// What is asked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NodeCommand {
    /// Declares System Models, Collections, Base Images, Groups and Channels.
    Declare(Catalog),
    /// Deletes one thing from the catalog, unless something uses it (T4).
    Delete(CatalogItem),
    /// Creates a campaign (S3, K2).
    Create(CampaignId, Box<NewCampaign>),
    /// Edits a campaign before its start (L1); validated like a creation.
    Edit(CampaignId, Box<NewCampaign>),
    /// A command to a campaign.
    Campaign(CampaignId, sortie_core::Command),
    /// Cancels the operation under way on a device in a campaign (X2).
    CancelOperation(CampaignId, DeviceId),
    /// Asks for a manual update (M), of a device that the inventory has; its System Model there, if that
    /// is known.
    Manual(ManualUpdateId, Box<NewManualUpdate>, Option<SystemModelId>),
    /// The same, checked, with the image as the catalog has it. The node makes it of [`Self::Manual`].
    RequestManual(ManualUpdateId, Box<ManualUpdate>, Option<SystemModelId>),
    /// Cancels a manual update (X2).
    CancelManual(ManualUpdateId),
    /// A device was removed from the inventory (D1).
    DeviceRemoved(DeviceId),
    /// The same, once every stream that it concerns has it in its log. The node makes it of
    /// [`Self::DeviceRemoved`].
    RecordRemoval(DeviceId),
}

/// A command was carried out, durably.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Done {
    /// The catalog says what was declared; so many events were written for it.
    Declared(usize),
    /// The campaign exists.
    Created(CampaignId),
    /// The manual update exists.
    Requested(ManualUpdateId),
    /// It was accepted.
    Accepted,
}

/// A command or question was refused. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is malformed: all that is wrong, by field (S3).
    #[error("{0}")]
    Invalid(Invalid),
    /// The state of the campaign or catalog forbids it.
    #[error("{0}")]
    Refused(Rejection),
    /// There is no such thing; what.
    #[error("there is no {0}")]
    NotFound(String),
    /// The campaign, manual update or catalog stands still until a restart: its log is corrupt, or a
    /// decision panicked.
    #[error("{} is halted until a restart: {why}", named(*.stream))]
    Halted {
        /// Which.
        stream: StreamId,
        /// Why.
        why: String,
    },
}

impl Refusal {
    pub(super) fn halted(stream: StreamId, why: &str) -> Self {
        let why = why.into();
        Self::Halted { stream, why }
    }
}

impl Node {
    pub(super) fn command(&mut self, command: Command) {
        let stream = match &command.what {
            // A campaign is made of what the catalog has, so it passes there first, in order.
            NodeCommand::Declare(_)
            | NodeCommand::Delete(_)
            | NodeCommand::Create(..)
            | NodeCommand::Edit(..)
            | NodeCommand::Manual(..)
            | NodeCommand::DeviceRemoved(_)
            | NodeCommand::RecordRemoval(_) => StreamId::Catalog,
            NodeCommand::Campaign(id, _) | NodeCommand::CancelOperation(id, _) => {
                StreamId::Campaign(*id)
            }
            NodeCommand::RequestManual(id, ..) | NodeCommand::CancelManual(id) => {
                StreamId::Manual(*id)
            }
        };
        self.command_to(stream, command);
    }

    /// A valid creation or edit goes on to its campaign's own stream, which is made for a creation.
    pub(super) fn checked(&mut self, command: Command) {
        let stream = match &command.what {
            NodeCommand::Create(id, _) => self.stream_made(StreamId::Campaign(*id)),
            NodeCommand::RequestManual(id, update, model) => {
                let stream = StreamId::Manual(*id);
                let checked = update.check(model.as_ref(), &self.fleet, self.now.wall);
                if let Err(refusal) = checked
                    && !self.streams.contains_key(&stream)
                {
                    // No stream is made for what is refused.
                    self.reply(command.ask, Err(Refusal::Refused(refusal)));
                    return;
                }
                self.stream_made(stream)
            }
            NodeCommand::Edit(id, _) => StreamId::Campaign(*id),
            _ => return,
        };
        self.command_to(stream, command);
    }

    fn stream_made(&mut self, stream: StreamId) -> StreamId {
        self.streams
            .entry(stream)
            .or_insert_with(|| Slot::new(stream));
        stream
    }

    pub(super) fn command_to(&mut self, stream: StreamId, command: Command) {
        match self.streams.get(&stream).map(|slot| &slot.body) {
            None => {
                let what = named(stream);
                self.reply(command.ask, Err(Refusal::NotFound(what)));
            }
            Some(Body::Halted(why)) => {
                let refusal = Refusal::halted(stream, why);
                self.reply(command.ask, Err(refusal));
            }
            Some(_) => self.enqueue(stream, Work::Command(command)),
        }
    }

    pub(super) fn query(&mut self, query: Query) {
        let stream = query.stream;
        let Some(slot) = self.streams.get_mut(&stream) else {
            (query.ask)(Err(Refusal::NotFound(named(stream))));
            return;
        };
        if let Body::Halted(why) = &slot.body {
            (query.ask)(Err(Refusal::halted(stream, why)));
            return;
        }
        slot.queries.push(query);
        if matches!(slot.body, Body::Unloaded) && slot.retry_at.is_none() {
            self.load(stream);
        }
        self.touch(stream);
    }

    pub(super) fn reply(&mut self, ask: u64, answer: Result<Done, Refusal>) {
        self.outputs.push_back(NodeOutput::Reply(ask, answer));
    }
}

/// A stream's name in an answer to a person.
pub(crate) fn named(stream: StreamId) -> String {
    match stream {
        StreamId::Campaign(id) => format!("campaign {id}"),
        StreamId::Manual(id) => format!("manual update {id}"),
        StreamId::Catalog => "the catalog".into(),
        other => other.to_string(),
    }
}
