//! What is due for whom, in the order in which it is due.

use std::hint::black_box;

use super::TargetIndex;
use crate::Listened;

/// Two sets of queues; a target waits in at most one queue of each set.
///
/// All in a queue wait equally long and the clock never goes back, so whoever joins is due last. To
/// join, to leave and to find the first takes constant steps, however many wait. The links lie in a
/// table by target, so nothing is allocated for it, and who has left leaves nothing behind.
#[derive(Debug, Clone)]
pub(super) struct DueQueues<T> {
    ends: [[Ends; QUEUES_OF_A_SET]; 2],
    lines: Vec<Line<T>>,
}

pub(super) const QUEUES_OF_A_SET: usize = 9;

/// All of a target, and beside its places what else is looked at with them: with a million targets, a
/// look into memory takes as long as a decision.
#[derive(Debug, Clone, Copy, Default)]
struct Line<T> {
    places: [Place; 2],
    /// One more than the number of the queue; 0: in none.
    queues: [u8; 2],
    beside: T,
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    due: Listened,
    before: u32,
    after: u32,
}

#[derive(Debug, Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

/// Nobody: no snapshot has a target of this index.
const END: u32 = u32::MAX;

impl<T> Default for DueQueues<T> {
    fn default() -> Self {
        let empty = Ends {
            first: END,
            last: END,
        };
        Self {
            ends: [[empty; QUEUES_OF_A_SET]; 2],
            lines: vec![],
        }
    }
}

impl<T: Copy + Default> DueQueues<T> {
    /// Makes room for the targets of a snapshot at once.
    pub(super) fn reserve(&mut self, targets: usize) {
        if self.lines.len() < targets {
            self.lines.reserve_exact(targets - self.lines.len());
            self.lines.resize(targets, Line::default());
        }
    }

    /// The target waits in this queue of the set from now on, and in no other of it.
    pub(super) fn join(&mut self, target: TargetIndex, set: usize, queue: u8, due: Listened) {
        self.leave(target, set);
        self.reserve(target.index() + 1);
        let mut before = self.ends[set][usize::from(queue)].last;
        // Never, but for a clock that goes back.
        while before != END && self.place(before, set).due > due {
            before = self.place(before, set).before;
        }
        let after = match before {
            END => self.ends[set][usize::from(queue)].first,
            before => self.place(before, set).after,
        };
        *self.place(target.0, set) = Place { due, before, after };
        self.lines[target.index()].queues[set] = queue + 1;
        *self.after(before, set, queue) = target.0;
        *self.before(after, set, queue) = target.0;
    }

    /// The target waits in no queue of the set any more.
    pub(super) fn leave(&mut self, target: TargetIndex, set: usize) {
        if let Some(queue) = self.queue(target, set) {
            self.lines[target.index()].queues[set] = 0;
            let Place { before, after, .. } = *self.place(target.0, set);
            *self.after(before, set, queue) = after;
            *self.before(after, set, queue) = before;
        }
    }

    /// In which queue of the set the target waits.
    pub(super) fn queue(&self, target: TargetIndex, set: usize) -> Option<u8> {
        let line = self.lines.get(target.index())?;
        line.queues[set].checked_sub(1)
    }

    /// When the target is due in the set, and in which queue.
    pub(super) fn due(&self, target: TargetIndex, set: usize) -> Option<(Listened, u8)> {
        let line = self.lines.get(target.index())?;
        let queue = line.queues[set].checked_sub(1)?;
        Some((line.places[set].due, queue))
    }

    /// Who is due first of all in the set, when, and in which queue.
    pub(super) fn first(&self, set: usize) -> Option<(Listened, TargetIndex, u8)> {
        let firsts = (0..).zip(&self.ends[set]).filter_map(|(queue, ends)| {
            let target = TargetIndex(ends.first);
            let line = self.lines.get(target.index())?;
            Some((line.places[set].due, target, queue))
        });
        firsts.min()
    }

    /// Has the target's line and those of its neighbours fetched from memory.
    pub(super) fn look_ahead(&self, target: TargetIndex) {
        let places = self.lines.get(target.index()).map(|line| line.places);
        for place in places.iter().flatten() {
            for neighbour in [place.before, place.after] {
                let line = self.lines.get(neighbour as usize);
                black_box(line.map(|line| line.places[0].after));
            }
        }
    }

    /// What is kept beside the target's places.
    pub(super) fn beside(&self, target: TargetIndex) -> Option<&T> {
        self.lines.get(target.index()).map(|line| &line.beside)
    }

    pub(super) fn beside_mut(&mut self, target: TargetIndex) -> Option<&mut T> {
        self.lines
            .get_mut(target.index())
            .map(|line| &mut line.beside)
    }

    fn place(&mut self, target: u32, set: usize) -> &mut Place {
        &mut self.lines[target as usize].places[set]
    }

    /// The link to who is after this one; that to the first, for nobody.
    fn after(&mut self, target: u32, set: usize, queue: u8) -> &mut u32 {
        match target {
            END => &mut self.ends[set][usize::from(queue)].first,
            target => &mut self.place(target, set).after,
        }
    }

    /// The link to who is before this one; that to the last, for nobody.
    fn before(&mut self, target: u32, set: usize, queue: u8) -> &mut u32 {
        match target {
            END => &mut self.ends[set][usize::from(queue)].last,
            target => &mut self.place(target, set).before,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Join(u32, usize, u8, u64),
        Leave(u32, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let (target, set) = (0_u32..8, 0_usize..2);
        let join = (target.clone(), set.clone(), 0_u8..3, 0_u64..20);
        prop_oneof![
            3 => join.prop_map(|(target, set, queue, due)| Step::Join(target, set, queue, due)),
            1 => (target, set).prop_map(|(target, set)| Step::Leave(target, set)),
        ]
    }

    #[test]
    fn who_is_due_at_once_leaves_in_the_order_of_joining() {
        let mut queues = DueQueues::<()>::default();
        for target in [2, 0, 1] {
            queues.join(TargetIndex(target), 0, 0, Listened(7));
        }
        let mut order = vec![];
        while let Some((_, target, _)) = queues.first(0) {
            queues.leave(target, 0);
            order.push(target.0);
        }
        assert_eq!(order, [2, 0, 1]);
    }

    proptest! {
        /// Any times, also a clock that goes back.
        #[test]
        fn all_leave_in_the_order_in_which_they_are_due(steps in prop::collection::vec(step(), 0..80)) {
            let mut queues = DueQueues::<()>::default();
            let mut model = [[None; 8]; 2];
            for step in steps {
                match step {
                    Step::Join(target, set, queue, due) => {
                        queues.join(TargetIndex(target), set, queue, Listened(due));
                        model[set][target as usize] = Some((queue, due));
                    }
                    Step::Leave(target, set) => {
                        queues.leave(TargetIndex(target), set);
                        model[set][target as usize] = None;
                    }
                }
                for (set, model) in model.iter().enumerate() {
                    let first = queues.first(set).map(|(due, ..)| due.0);
                    prop_assert_eq!(first, model.iter().flatten().map(|(_, due)| *due).min());
                }
            }
            for (set, mut model) in model.into_iter().enumerate() {
                let mut last = Listened(0);
                while let Some((due, target, queue)) = queues.first(set) {
                    prop_assert!(due >= last);
                    last = due;
                    let of_model = model[target.index()].take();
                    prop_assert_eq!(of_model, Some((queue, due.0)));
                    queues.leave(target, set);
                }
                prop_assert_eq!(model, [None; 8]);
            }
        }
    }
}
