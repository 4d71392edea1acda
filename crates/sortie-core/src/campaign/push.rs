//! Rules P1 to P3: which idle target is pushed next.

use super::{
    Campaign, CampaignEvent, End, Status, TargetIndex, TargetReason, TargetStatus, Verdict,
    decide::Deciding, verdict,
};
use crate::{ClaimPhase, DeviceSlot, Fleet, Now, Output};

/// How many devices the inventory is asked for at once.
const ASKED_FOR_MAX: usize = 1_000;

impl Campaign {
    /// Pushes what is ready, while slots are free (P1, P2), adding at most about `events_max` events.
    /// Returns whether more could be pushed at once.
    pub fn pump(&mut self, fleet: &Fleet, now: Now, out: &mut Output, events_max: usize) -> bool {
        let d = &mut Deciding { fleet, now, out };
        while self.may_push() {
            if d.out.events.len() >= events_max {
                return !self.ready.is_empty();
            }
            let Some(index) = self.ready.pop() else { break };
            if !self.is_pushable(index, fleet) {
                continue;
            }
            if !self.is_confirmed(index, fleet) {
                self.device_changed(index, fleet);
                d.out.unconfirmed = self.unconfirmed(fleet);
                return false;
            }
            self.push(index, d);
            self.settle(d);
        }
        false
    }

    fn is_confirmed(&self, index: TargetIndex, fleet: &Fleet) -> bool {
        let slot = self.slots.get(index.index());
        slot.is_none_or(|slot| fleet.is_confirmed(*slot))
    }

    /// The devices to be asked for at once: those whose turn comes next.
    fn unconfirmed(&mut self, fleet: &Fleet) -> Vec<DeviceSlot> {
        let next: Vec<TargetIndex> = std::iter::from_fn(|| self.ready.pop())
            .take(ASKED_FOR_MAX)
            .collect();
        for index in &next {
            self.device_changed(*index, fleet);
        }
        let asked = next
            .iter()
            .filter(|index| !self.is_confirmed(**index, fleet));
        asked
            .filter_map(|index| self.slots.get(index.index()).copied())
            .collect()
    }

    /// P2, and invariant 4: nothing starts but in a running campaign with a free slot.
    pub(super) fn may_push(&self) -> bool {
        let limit = self
            .state
            .mechanism()
            .map_or(0, |mechanism| mechanism.max_in_progress_operations);
        self.state.status == Status::InProgress && self.state.counts().in_progress < limit
    }

    /// P1, O1, P6: idle, backoff over, device online and not held.
    pub(super) fn is_pushable(&self, index: TargetIndex, fleet: &Fleet) -> bool {
        let (Some(target), Some(slot)) = (
            self.state.target(index),
            self.slots.get(index.index()).copied(),
        ) else {
            return false;
        };
        target.status == TargetStatus::Idle
            && !self.timers.is_backing_off(index)
            && fleet.is_online(slot)
            && !fleet.device(slot).is_held()
    }

    pub(super) fn device_changed(&mut self, index: TargetIndex, fleet: &Fleet) {
        let pushable = self.is_pushable(index, fleet);
        let Some(target) = self.state.target(index) else {
            return;
        };
        if pushable {
            self.ready.insert(index, target);
        } else {
            self.ready.remove(index, target);
        }
    }

    /// The target's turn has come and a slot is free.
    pub(super) fn push(&mut self, index: TargetIndex, d: &mut Deciding<'_>) {
        let Some(mechanism) = self.mechanism() else {
            return;
        };
        let Some(slot) = self.slots.get(index.index()) else {
            return;
        };
        let device = d.fleet.device(*slot);
        let decided_on = device.version().map(|version| version.text.clone());
        let verdict = match self.state.image() {
            Some(image) => verdict(image, &mechanism, device),
            // M1: whatever it runs.
            None => Verdict::Push,
        };
        let event = match verdict {
            Verdict::Successful(reason) => CampaignEvent::TargetSucceeded {
                target: index,
                reason,
                decided_on,
            },
            Verdict::Failed(reason) => CampaignEvent::TargetFailed {
                target: index,
                reason,
                end: End::NotSent,
                word: None,
                decided_on,
                system_model: (reason == TargetReason::SystemModelMismatch)
                    .then(|| device.system_model().map(Into::into))
                    .flatten(),
                refusal: None,
            },
            Verdict::Push => {
                let taken_over = device
                    .claim()
                    .filter(|claim| claim.phase == ClaimPhase::Open);
                CampaignEvent::OperationStarted {
                    target: index,
                    claim: device.next_claim_number(),
                    decided_on,
                    replaces: taken_over.map(|claim| claim.operation),
                }
            }
        };
        let started = matches!(event, CampaignEvent::OperationStarted { .. });
        self.emit(event, d);
        if started {
            self.note_operation(index);
            d.out.registers.push(index);
            self.timers.request(index, &mechanism, d.now.listened);
        } else {
            self.timers.stop(index);
        }
    }

    /// An idle target fails without a push.
    pub(super) fn end_unsent(
        &mut self,
        index: TargetIndex,
        reason: TargetReason,
        d: &mut Deciding<'_>,
    ) {
        self.emit(CampaignEvent::failed(index, reason, End::NotSent), d);
        self.timers.stop(index);
    }
}
