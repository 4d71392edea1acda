//! What follows when a timer runs out (P4, C3, C4, X1, X2, R4).

use super::{
    Campaign, CampaignEvent, End, TargetIndex, TargetReason, TargetStatus, decide::Deciding,
    timers::Due,
};
use crate::text::cut;

/// After a restart all timers run out at once (C2); a batch stays bounded all the same. What is left is
/// still due, so that [`Campaign::next_due`] is in the past.
const EVENTS_OF_A_TICK_MAX: usize = 1_000;
/// So much of what the transport says is recorded (P5): it may be a whole page of a proxy's.
const REFUSAL_BYTES_MAX: usize = 256;

impl Campaign {
    pub(super) fn tick(&mut self, d: &mut Deciding<'_>) {
        self.expire_manual(d);
        while d.out.events.len() < EVENTS_OF_A_TICK_MAX
            && let Some((index, due)) = self.timers.expired(d.now.listened)
        {
            let Some(mechanism) = self.mechanism() else {
                return;
            };
            let retries = self
                .state
                .target(index)
                .map_or(0, |target| target.request_retries);
            match due {
                Due::Request if retries < mechanism.request_retries => {
                    self.emit(CampaignEvent::RequestRetried { target: index }, d);
                    d.out.registers.push(index);
                    self.timers.request(index, &mechanism, d.now.listened);
                }
                Due::Request => self.abandon(index, TargetReason::RequestTimeout, d),
                Due::Stage | Due::Operation => self.abandon(index, TargetReason::Stalled, d),
                Due::Cancel if self.state.target(index).is_some_and(|t| t.removed) => {
                    self.end_without_word(index, TargetReason::DeviceRemoved, End::Removed, d);
                }
                Due::Cancel => self.abandon(index, TargetReason::Canceled, d),
                Due::Backoff => {
                    self.timers.stop(index);
                    self.device_changed(index, d.fleet);
                }
            }
        }
    }

    /// X1: the operation ends without the device's word.
    pub(super) fn abandon(
        &mut self,
        index: TargetIndex,
        reason: TargetReason,
        d: &mut Deciding<'_>,
    ) {
        self.end_without_word(index, reason, End::Abandoned, d);
    }

    /// P5: the request can't be had, but one before it may have left.
    pub(super) fn send_refused(&mut self, index: TargetIndex, why: &str, d: &mut Deciding<'_>) {
        let why = cut(why, REFUSAL_BYTES_MAX);
        let event = CampaignEvent::TargetFailed {
            target: index,
            reason: TargetReason::SendRefused,
            end: End::Abandoned,
            word: None,
            decided_on: None,
            system_model: None,
            refusal: (!why.is_empty()).then(|| why.into()),
        };
        self.end_operation(index, event, d);
    }

    fn end_without_word(
        &mut self,
        index: TargetIndex,
        reason: TargetReason,
        end: End,
        d: &mut Deciding<'_>,
    ) {
        let event = CampaignEvent::failed(index, reason, end);
        self.end_operation(index, event, d);
    }

    /// An operation under way ends with `event`.
    pub(super) fn end_operation(
        &mut self,
        index: TargetIndex,
        event: CampaignEvent,
        d: &mut Deciding<'_>,
    ) {
        self.emit(event, d);
        self.timers.stop(index);
        d.out.registers.push(index);
        if let (Some(mechanism), Some(target)) = (self.state.mechanism(), self.state.target(index))
            && target.status == TargetStatus::Idle
        {
            self.timers
                .start(index, target, false, mechanism, d.now.listened);
        }
        // Each end may cross the threshold, and nothing may be decided past it (F1).
        self.settle(d);
    }
}
