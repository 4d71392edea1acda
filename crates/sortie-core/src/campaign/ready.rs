//! Rule P1: which idle targets may be pushed, in which order.

use std::collections::BTreeSet;

use super::{Target, TargetIndex, index_set::IndexSet};

/// Targets whose device is online and free, fresh ones first in snapshot order, then those tried
/// before, least recently started first. What is in here is checked again when its turn comes.
#[derive(Debug, Clone, Default)]
pub(super) struct Ready {
    fresh: IndexSet,
    /// Few: R4 puts a target here, and each at most `busy_retries` times.
    again: BTreeSet<(u32, TargetIndex)>,
}

impl Ready {
    pub(super) fn insert(&mut self, index: TargetIndex, target: &Target) {
        if target.started == 0 {
            self.fresh.insert(index);
        } else {
            self.again.insert((target.started, index));
        }
    }

    pub(super) fn remove(&mut self, index: TargetIndex, target: &Target) {
        if target.started == 0 {
            self.fresh.remove(index);
        } else {
            self.again.remove(&(target.started, index));
        }
    }

    pub(super) fn pop(&mut self) -> Option<TargetIndex> {
        match self.fresh.first() {
            Some(index) => {
                self.fresh.remove(index);
                Some(index)
            }
            None => self.again.pop_first().map(|(_, index)| index),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fresh.first().is_none() && self.again.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_fresh_targets_go_before_those_tried_and_those_by_their_last_start() {
        let mut ready = Ready::default();
        let started = |started| Target {
            started,
            ..Target::default()
        };
        for (index, start) in [(0, 7), (1, 0), (2, 3), (3, 0)] {
            ready.insert(TargetIndex(index), &started(start));
        }
        let order: Vec<_> = std::iter::from_fn(|| ready.pop()).map(|t| t.0).collect();
        assert_eq!(order, [1, 3, 2, 0]);
    }
}
