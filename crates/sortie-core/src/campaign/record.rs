//! What the fold keeps of targets for those who ask, and no decision needs.

use std::collections::BTreeMap;

use super::{CampaignEvent, TargetIndex, TargetReason, TargetStatus};
use crate::Timestamp;

/// A target's status and why it is there.
type Kind = (TargetStatus, Option<TargetReason>);

/// Counts by status and reason, and the times of operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Never empty of a kind that there is; few kinds occur in one campaign.
    kinds: BTreeMap<Kind, u32>,
    /// By target index.
    times: Vec<Times>,
}

/// When a target's last operation started and ended, or [`NEVER`]: half of what options would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    started: i64,
    ended: i64,
}

const NEVER: i64 = i64::MIN;

impl Default for Times {
    fn default() -> Self {
        Self {
            started: NEVER,
            ended: NEVER,
        }
    }
}

impl Record {
    pub(super) fn apply(&mut self, at: Timestamp, event: &CampaignEvent) {
        match event {
            CampaignEvent::OperationStarted { target, .. } => {
                self.set_times(*target, |times| {
                    *times = Times {
                        started: at.0,
                        ended: NEVER,
                    };
                });
            }
            CampaignEvent::TargetSucceeded { target, .. }
            | CampaignEvent::TargetFailed { target, .. }
            | CampaignEvent::TargetDeferred { target, .. } => {
                self.set_times(*target, |times| times.ended = at.0);
            }
            _ => {}
        }
    }

    /// A part of the snapshot.
    pub(super) fn add(&mut self, targets: usize, added: u32) {
        self.times.resize(targets, Times::default());
        if added > 0 {
            let idle = self.kinds.entry((TargetStatus::Idle, None)).or_default();
            *idle = idle.saturating_add(added);
        }
    }

    /// The snapshot is complete.
    pub(super) fn shrink_to_fit(&mut self) {
        self.times.shrink_to_fit();
    }

    /// A target went from one kind to another.
    pub(super) fn recount(&mut self, before: Kind, after: Kind) {
        if before == after {
            return;
        }
        if let Some(count) = self.kinds.get_mut(&before) {
            *count -= 1;
            if *count == 0 {
                self.kinds.remove(&before);
            }
        }
        *self.kinds.entry(after).or_default() += 1;
    }

    pub(super) fn kinds(&self) -> &BTreeMap<Kind, u32> {
        &self.kinds
    }

    pub(super) fn started_at(&self, target: TargetIndex) -> Option<Timestamp> {
        let times = self.times.get(target.index())?;
        (times.started != NEVER).then_some(Timestamp(times.started))
    }

    pub(super) fn ended_at(&self, target: TargetIndex) -> Option<Timestamp> {
        let times = self.times.get(target.index())?;
        (times.ended != NEVER).then_some(Timestamp(times.ended))
    }

    fn set_times(&mut self, target: TargetIndex, set: impl FnOnce(&mut Times)) {
        if let Some(times) = self.times.get_mut(target.index()) {
            set(times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r4_a_target_tried_again_has_the_times_of_its_last_operation() {
        let target = TargetIndex(0);
        let started = CampaignEvent::OperationStarted {
            target,
            claim: 1,
            decided_on: None,
            replaces: None,
        };
        let deferred = CampaignEvent::TargetDeferred {
            target,
            reason: TargetReason::DeviceBusy,
            word: None,
        };
        let mut record = Record::default();
        record.add(1, 1);
        let times = |record: &Record| {
            let (start, end) = (record.started_at(target), record.ended_at(target));
            (start.map(|at| at.0), end.map(|at| at.0))
        };
        assert_eq!(times(&record), (None, None));
        for (at, event, expected) in [
            (0, &started, (Some(0), None)),
            (5, &deferred, (Some(0), Some(5))),
            (9, &started, (Some(9), None)),
        ] {
            record.apply(Timestamp(at), event);
            assert_eq!(times(&record), expected);
        }
    }
}
