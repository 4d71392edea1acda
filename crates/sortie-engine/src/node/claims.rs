//! Claims that are being taken, ahead of the commit.

use std::collections::HashMap;

use sortie_core::{
    CatalogEvent, ClaimChange, ClaimPhase, ClaimRow, DeviceSlot, Fleet, OperationId, StreamId,
};
use uuid::Uuid;

use super::{stream::Batch, whose::Replaced};

/// The fleet shows a claim as held from the decision that takes it, so that no other stream takes it
/// before the commit. What is committed meanwhile is kept here.
#[derive(Debug, Default)]
pub(super) struct Claims {
    committed: HashMap<DeviceSlot, Option<ClaimRow>>,
    /// What the claims do not name any more.
    pub(super) replaced: Replaced,
}

impl Claims {
    /// A device's claim as the store has it.
    pub(super) fn committed<'a>(
        &'a self,
        fleet: &'a Fleet,
        device: DeviceSlot,
    ) -> Option<&'a ClaimRow> {
        match self.committed.get(&device) {
            Some(row) => row.as_ref(),
            None => fleet.device(device).claim(),
        }
    }

    /// A commit has made this claim. Answers of two commits may come in another order than that of the
    /// commits; the higher number is the later.
    pub(super) fn commit(&mut self, fleet: &mut Fleet, device: DeviceSlot, row: ClaimRow) {
        let present = self.committed(fleet, device);
        if present.is_none_or(|present| present.number <= row.number) {
            self.learn(fleet, device, Some(row));
        }
    }

    /// The store has this claim now.
    pub(super) fn learn(&mut self, fleet: &mut Fleet, device: DeviceSlot, row: Option<ClaimRow>) {
        match self.committed.get_mut(&device) {
            Some(committed) => *committed = row,
            None => fleet.set_claim(device, row),
        }
    }

    /// The taking is committed.
    pub(super) fn taken(&mut self, device: DeviceSlot) {
        self.committed.remove(&device);
    }

    /// The taking has failed.
    pub(super) fn give_back(&mut self, fleet: &mut Fleet, device: DeviceSlot) {
        if let Some(row) = self.committed.remove(&device) {
            fleet.set_claim(device, row);
        }
    }

    /// Notes how a device's claim changes with a batch, whose stream says that it is `row`. One that
    /// is taken is shown as taken at once; one that is left is left at the commit.
    pub(super) fn change(
        &mut self,
        fleet: &mut Fleet,
        device: DeviceSlot,
        row: ClaimRow,
        batch: &mut Batch,
    ) {
        let present = self.committed(fleet, device).cloned();
        let (changes, takes) = match &present {
            None => (true, true),
            Some(p) if p.operation == row.operation => (*p != row, false),
            Some(p) => (row.number > p.number, true),
        };
        if !changes {
            return;
        }
        let expected = present
            .as_ref()
            .map(|present| (present.holder, present.number));
        if takes && let Some(open) = present.as_ref().filter(|p| p.phase == ClaimPhase::Open) {
            self.replaced.note(device, open.operation, open.holder);
        }
        if takes && row.phase == ClaimPhase::Held {
            batch.taken.push(device);
            self.committed.insert(device, present);
            fleet.set_claim(device, Some(row.clone()));
        }
        batch.claims.push((device, ClaimChange { row, expected }));
    }

    /// W5: a device without a claim is given a free one of this number, so that it can be answered.
    pub(super) fn raise_free(
        &self,
        fleet: &Fleet,
        device: DeviceSlot,
        number: u64,
        batch: &mut Batch,
    ) -> Option<CatalogEvent> {
        let holder = StreamId::Catalog;
        let present = self.committed(fleet, device);
        if present.is_some_and(|row| row.holder != holder || row.number >= number) {
            return None;
        }
        let id = fleet.device(device).id().clone();
        let expected = present.map(|row| (row.holder, row.number));
        let operation = OperationId(Uuid::nil());
        let row = ClaimRow {
            device: id.clone(),
            number,
            holder,
            operation,
            phase: ClaimPhase::Free,
        };
        batch.claims.push((device, ClaimChange { row, expected }));
        Some(CatalogEvent::DeviceClaimRaised {
            device: id,
            claim: number,
        })
    }
}
