//! A set of targets of which the first is wanted.

use super::TargetIndex;

/// 64^6 is more than there are indices.
const LEVELS: usize = 6;

/// A bit for each target, above 64 of them a bit that says whether any is set, and so on: any change,
/// and finding the first, takes at most a step a level.
#[derive(Debug, Clone, Default)]
pub(super) struct IndexSet {
    levels: [Vec<u64>; LEVELS],
}

impl IndexSet {
    pub(super) fn insert(&mut self, index: TargetIndex) {
        let mut at = index.index();
        for level in &mut self.levels {
            if level.len() <= at / 64 {
                level.resize(at / 64 + 1, 0);
            }
            level[at / 64] |= 1 << (at % 64);
            at /= 64;
        }
    }

    pub(super) fn remove(&mut self, index: TargetIndex) {
        let mut at = index.index();
        for level in &mut self.levels {
            let Some(word) = level.get_mut(at / 64) else {
                return;
            };
            *word &= !(1 << (at % 64));
            if *word != 0 {
                return;
            }
            at /= 64;
        }
    }

    pub(super) fn first(&self) -> Option<TargetIndex> {
        let mut at = 0;
        for level in self.levels.iter().rev() {
            let word = level.get(at).filter(|word| **word != 0)?;
            at = at * 64 + word.trailing_zeros() as usize;
        }
        u32::try_from(at).ok().map(TargetIndex)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn its_first_is_that_of_an_ordered_set(
            // Few words, so that they run empty, and some far apart, so that levels do.
            steps in prop::collection::vec((prop_oneof![0_u32..200, 0_u32..1_000_000], any::<bool>()), 0..400),
        ) {
            let (mut set, mut model) = (IndexSet::default(), BTreeSet::new());
            for (index, insert) in steps {
                if insert {
                    set.insert(TargetIndex(index));
                    model.insert(index);
                } else if let Some(first) = model.range(index..).next().copied() {
                    set.remove(TargetIndex(first));
                    model.remove(&first);
                } else {
                    set.remove(TargetIndex(index));
                }
                prop_assert_eq!(set.first().map(|t| t.0), model.first().copied());
            }
        }
    }
}
