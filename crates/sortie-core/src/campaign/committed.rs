//! What runs from the commit: the time of what leaves only then (P4, X2). An append that took long fails
//! nobody.

use super::{Campaign, CampaignEvent, TargetIndex, TargetStatus, spec::PushSpec};
use crate::{Event, Listened, Now};

impl Campaign {
    /// What was decided is durable now: its requests leave now, and how long their answers may take counts
    /// from here.
    pub fn committed(&mut self, events: &[Event], now: Now) {
        let Some(mechanism) = self.mechanism() else {
            return;
        };
        let events = || events.iter().filter_map(Event::of_campaign);
        let all_at_once = |event: &CampaignEvent| *event == CampaignEvent::CampaignCancelled;
        let all_before = self.state.all_cancelled && !events().any(all_at_once);
        for event in events() {
            match event {
                CampaignEvent::OperationStarted { target, .. }
                | CampaignEvent::RequestRetried { target }
                    if self.timers.waits_for_report(*target) =>
                {
                    self.timers.request(*target, &mechanism, now.listened);
                }
                CampaignEvent::OperationCancelRequested { target } => {
                    self.cancel_leaves(*target, &mechanism, now.listened);
                }
                CampaignEvent::DeviceRemoved { target }
                    if !all_before && !self.asked_to_cancel(*target) =>
                {
                    self.cancel_leaves(*target, &mechanism, now.listened);
                }
                CampaignEvent::CampaignCancelled => {
                    for index in (0..self.state.counts().targets).map(TargetIndex) {
                        let removed = self.state.target(index).is_some_and(|t| t.removed);
                        if !removed && !self.asked_to_cancel(index) {
                            self.cancel_leaves(index, &mechanism, now.listened);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether the target's operation was cancelled by itself: a second cancel restarts no timer (X4).
    fn asked_to_cancel(&self, index: TargetIndex) -> bool {
        let target = self.state.target(index);
        target.is_some_and(|target| target.cancel_requested)
    }

    fn cancel_leaves(&mut self, index: TargetIndex, mechanism: &PushSpec, now: Listened) {
        let target = self.state.target(index);
        if target.is_some_and(|target| target.status == TargetStatus::InProgress) {
            self.timers.cancel(index, mechanism, now);
        }
    }
}
