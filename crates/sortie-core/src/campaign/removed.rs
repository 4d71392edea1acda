//! Rule D1: what follows when a target's device is removed from the inventory.

use super::{
    Campaign, CampaignEvent, Status, TargetIndex, TargetReason, TargetStatus, decide::Deciding,
};
use crate::ClaimPhase;

impl Campaign {
    /// An idle target fails. An operation under way is cancelled as by a person (X2), and one that was
    /// abandoned waits for the device's word no longer.
    pub(super) fn device_removed(&mut self, index: TargetIndex, d: &mut Deciding<'_>) {
        let Some(target) = self.state.target(index) else {
            return;
        };
        let event = CampaignEvent::DeviceRemoved { target: index };
        match target.status {
            TargetStatus::Idle if self.state.status == Status::Finished => {}
            TargetStatus::Idle => {
                self.ready.remove(index, target);
                self.end_unsent(index, TargetReason::DeviceRemoved, d);
            }
            TargetStatus::InProgress if !target.removed => {
                // A second cancel restarts no timer (X4).
                let cancelling = self.state.is_cancelling(target);
                self.emit(event, d);
                if !cancelling {
                    self.start_cancel(index, d);
                }
            }
            _ if target.claim_phase() == Some(ClaimPhase::Open) => {
                self.emit(event, d);
                d.out.registers.push(index);
            }
            _ => {}
        }
    }
}
