//! Deleting what the catalog has: who uses it (T4).
//!
//! A campaign's stream and the catalog's commit apart from each other, so a campaign uses what its
//! committed state says, what its state in memory says, and what a creation or edit says that has
//! passed the catalog and waits for its stream: whichever of them a crash leaves, what it needs is
//! there.

use sortie_core::{CatalogEvent, CatalogItem, CatalogState, StreamId, catalog::Use};

use super::{
    Node,
    command::{Command, NodeCommand, Refusal},
    stream::{Body, Slot},
};

impl Node {
    /// The committed catalog. `None`: it is being read or written, ask again.
    pub fn catalog(&self) -> Option<Result<&CatalogState, Refusal>> {
        let slot = self.streams.get(&StreamId::Catalog)?;
        if let Body::Halted(why) = &slot.body {
            return Some(Err(Refusal::halted(StreamId::Catalog, why)));
        }
        slot.settled_catalog().map(Ok)
    }

    /// Decides a deletion. `None`: it waits until all campaigns are known.
    pub(super) fn delete(
        &mut self,
        catalog: &CatalogState,
        command: &Command,
        item: &CatalogItem,
    ) -> Option<Result<CatalogEvent, Refusal>> {
        if !self.recovered {
            self.early.push(command.clone());
            return None;
        }
        let decided = catalog.delete(item, &self.uses());
        Some(decided.map_err(Refusal::Refused))
    }

    /// What all campaigns use, or may use once what is under way has ended. A campaign may be in it
    /// more than once.
    fn uses(&self) -> Vec<Use> {
        let mut uses = vec![];
        for (stream, slot) in &self.streams {
            let unread = self.recovering.contains(stream);
            uses_of(*stream, slot, unread, &mut uses);
        }
        uses
    }

    /// Whether a creation, edit or manual update whose image or Channel is gone has its answer in its
    /// stream all the same: the first one (K1), what exists (K2), or that it is too late (L1). Nothing
    /// can come of it that would need them.
    pub(super) fn is_answered(&self, command: &Command) -> bool {
        let (stream, creates) = match &command.what {
            NodeCommand::Create(id, _) => (StreamId::Campaign(*id), true),
            NodeCommand::Edit(id, _) => (StreamId::Campaign(*id), false),
            NodeCommand::Manual(id, ..) => (StreamId::Manual(*id), true),
            _ => return false,
        };
        let Some(slot) = self.streams.get(&stream) else {
            return false;
        };
        let known = match &slot.body {
            Body::Campaign(campaign) => campaign.state().has_command(command.id),
            _ => slot.is_over(),
        };
        known || creates && slot.progress.is_some()
    }

    /// Refuses a creation, edit or manual update: at once, or once it is known what is in its stream,
    /// where it may have its answer.
    pub(super) fn refuse(&mut self, command: &Command, refusal: Refusal) {
        let stream = match &command.what {
            NodeCommand::Create(id, _) | NodeCommand::Edit(id, _) => StreamId::Campaign(*id),
            NodeCommand::Manual(id, ..) => StreamId::Manual(*id),
            _ => StreamId::Catalog,
        };
        if self.recovering.contains(&stream) {
            self.early.push(command.clone());
        } else {
            self.reply(command.ask, Err(refusal));
        }
    }

    /// Whether there is a campaign or manual update in this stream, or may be: its log has not been read
    /// yet.
    pub fn may_exist(&self, stream: StreamId) -> bool {
        let slot = self.streams.get(&stream);
        slot.is_some_and(|slot| slot.progress.is_some() || self.recovering.contains(&stream))
    }
}

fn uses_of(stream: StreamId, slot: &Slot, unread: bool, uses: &mut Vec<Use>) {
    uses.extend(slot.uses.clone());
    match &slot.body {
        Body::Campaign(campaign) => uses.extend(Use::of(campaign.state())),
        Body::Halted(_) if slot.progress.is_none() => uses.push(Use::unread(stream)),
        _ if unread => uses.push(Use::unread(stream)),
        _ => {}
    }
    // What has passed the catalog and is not decided yet.
    for command in slot.inbox.commands() {
        match &command.what {
            NodeCommand::Create(id, draft) | NodeCommand::Edit(id, draft) => {
                uses.push(Use::of_draft(*id, draft));
            }
            NodeCommand::RequestManual(id, update, _) => uses.extend(Use::of_manual(*id, update)),
            _ => {}
        }
    }
}
