//! How many targets there are of each status and reason.

use super::{TargetReason, TargetStatus};

/// A target's status and why it is there.
pub(super) type Kind = (TargetStatus, Option<TargetReason>);

/// Counts by kind, in their order, and none of a kind that there is not. Few kinds occur in one
/// campaign, so that a list is the quickest map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kinds(Vec<(Kind, u32)>);

impl Kinds {
    pub(super) fn as_slice(&self) -> &[(Kind, u32)] {
        &self.0
    }

    pub(super) fn add(&mut self, kind: Kind, added: u32) {
        match self.0.binary_search_by_key(&kind, |(kind, _)| *kind) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(added),
            Err(at) if added > 0 => self.0.insert(at, (kind, added)),
            Err(_) => {}
        }
    }

    /// A target went from one kind to another.
    pub(super) fn recount(&mut self, before: Kind, after: Kind) {
        if before == after {
            return;
        }
        if let Ok(at) = self.0.binary_search_by_key(&before, |(kind, _)| *kind) {
            self.0[at].1 -= 1;
            if self.0[at].1 == 0 {
                self.0.remove(at);
            }
        }
        self.add(after, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_each_change_and_no_kind_stays_without_a_target() {
        let idle = (TargetStatus::Idle, None);
        let busy = (TargetStatus::Idle, Some(TargetReason::DeviceBusy));
        let updated = (TargetStatus::Successful, Some(TargetReason::Updated));
        let mut kinds = Kinds::default();
        kinds.add(idle, 0);
        assert_eq!(kinds.as_slice(), []);
        kinds.add(idle, 2);
        kinds.add(idle, 1);
        kinds.recount(idle, updated);
        kinds.recount(updated, updated);
        assert_eq!(kinds.as_slice(), [(idle, 2), (updated, 1)]);
        kinds.recount(idle, busy);
        kinds.recount(idle, updated);
        assert_eq!(kinds.as_slice(), [(busy, 1), (updated, 2)]);
    }
}
