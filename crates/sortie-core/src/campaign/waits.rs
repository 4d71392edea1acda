//! What a target waits for now. Nothing here decides: it says what the decisions look at.

use super::{
    Campaign, Start, Status, Target, TargetIndex, TargetStatus, spec::PushSpec, timers::Due,
};
use crate::{
    ClaimPhase, Listened, OperationId,
    explain::{Live, Wait},
};

impl Campaign {
    /// What a target waits for; with no target, what the campaign's start waits for. Empty: nothing
    /// is to come.
    pub fn waits(&self, target: Option<TargetIndex>, live: &Live<'_>) -> Vec<Wait> {
        let state = &self.state;
        let Some(mechanism) = state.mechanism().filter(|_| !state.is_deleted()) else {
            return vec![];
        };
        if state.started_at().is_none() {
            return match state.status() {
                Status::Finished => vec![],
                _ => vec![self.wait_for_start(live)],
            };
        }
        let Some((index, target)) = target.and_then(|i| Some((i, state.target(i)?))) else {
            return vec![];
        };
        match target.status {
            TargetStatus::Idle if state.status() == Status::Finished => vec![],
            TargetStatus::Idle => self.waits_to_be_pushed(index, target, mechanism, live),
            TargetStatus::InProgress => self.waits_for_device(index, target, mechanism, live),
            TargetStatus::Failed | TargetStatus::Successful => {
                // X1; but not what another operation has taken over since (O3).
                let open = target.claim_phase() == Some(ClaimPhase::Open);
                let operation = state.operation(index).filter(|_| open);
                let own =
                    operation.filter(|operation| self.claimed(index, live) == Some(*operation));
                own.map(|operation| Wait::LateWord { operation })
                    .into_iter()
                    .collect()
            }
        }
    }

    fn wait_for_start(&self, live: &Live<'_>) -> Wait {
        let why = live.start_trouble.map(Into::into);
        match self.state.spec().map(|spec| spec.start) {
            _ if self.state.start_requested => Wait::Inventory { why },
            Some(Start::ByHand) => Wait::StartByHand,
            Some(Start::At(at)) if at > live.now.at => Wait::StartTime { at },
            _ => Wait::Inventory { why },
        }
    }

    /// P1, P2, P6, O1, R4, L2: all that an idle target's push waits for.
    fn waits_to_be_pushed(
        &self,
        index: TargetIndex,
        target: &Target,
        mechanism: &PushSpec,
        live: &Live<'_>,
    ) -> Vec<Wait> {
        let mut waits = vec![];
        if self.state.status() != Status::InProgress {
            waits.push(Wait::Resume);
        }
        waits.extend(self.wait_for_presence(index, live));
        let claim = self
            .slot_of(index)
            .and_then(|slot| live.fleet.device(slot).claim());
        if let Some(claim) = claim.filter(|claim| claim.phase == ClaimPhase::Held) {
            waits.push(Wait::Held {
                stream: claim.holder,
                name: None,
                operation: claim.operation,
            });
        }
        if let Some((Due::Backoff, due)) = self.timers.running(index) {
            waits.push(Wait::Backoff {
                nth: target.deferrals,
                most: mechanism.busy_retries,
                due_in_ms: due_in(due, live),
            });
        }
        let (in_progress, limit) = (
            self.state.counts().in_progress,
            mechanism.max_in_progress_operations,
        );
        if in_progress >= limit {
            waits.push(Wait::Slot { in_progress, limit });
        }
        if waits.is_empty() {
            waits.push(Wait::Turn);
        }
        waits.extend(self.expires_at().map(|at| Wait::Expiry { at }));
        waits
    }

    fn waits_for_device(
        &self,
        index: TargetIndex,
        target: &Target,
        mechanism: &PushSpec,
        live: &Live<'_>,
    ) -> Vec<Wait> {
        let operation = self.state.operation(index);
        let running = self.timers.running(index);
        let due_in_ms = running.and_then(|(_, due)| due_in(due, live));
        let wait = match running {
            _ if self.state.is_cancelling(target) => Wait::CancelAnswer {
                operation,
                due_in_ms,
            },
            Some((Due::Request, _)) => Wait::Acknowledgement {
                operation,
                nth: target.request_retries,
                most: mechanism.request_retries,
                due_in_ms,
            },
            _ => Wait::Advance {
                operation,
                heard: target.heard,
                due_in_ms,
            },
        };
        let presence = self.wait_for_presence(index, live);
        std::iter::once(wait).chain(presence).collect()
    }

    fn wait_for_presence(&self, index: TargetIndex, live: &Live<'_>) -> Option<Wait> {
        let fleet = live.fleet;
        if !fleet.is_linked() {
            let since = fleet.link_since();
            return Some(Wait::Link { since });
        }
        let Some(slot) = self.slot_of(index).filter(|slot| fleet.is_heard(*slot)) else {
            let link_since = fleet.link_since();
            return Some(Wait::Presence { link_since });
        };
        let since = fleet.device(slot).presence_since();
        (!fleet.is_online(slot)).then_some(Wait::Online { since })
    }

    fn claimed(&self, index: TargetIndex, live: &Live<'_>) -> Option<OperationId> {
        let claim = live.fleet.device(self.slot_of(index)?).claim();
        claim.map(|claim| claim.operation)
    }

    fn slot_of(&self, index: TargetIndex) -> Option<crate::DeviceSlot> {
        self.slots.get(index.index()).copied()
    }
}

/// While the link is down nothing runs out (C1).
fn due_in(due: Listened, live: &Live<'_>) -> Option<u64> {
    let left = due.0.saturating_sub(live.now.listened.0);
    live.fleet
        .is_linked()
        .then(|| left.saturating_add(live.settling_ms))
}
