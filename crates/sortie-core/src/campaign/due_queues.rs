//! What is due for whom, in the order in which it is due.

use super::TargetIndex;
use crate::Listened;

/// Some queues, one for each span of time that is waited; a target waits in at most one of them.
///
/// All in a queue wait equally long and the clock never goes back, so whoever joins is due last. To
/// join, to leave and to find the first takes constant steps, however many wait. The links lie in a
/// table by target, so nothing is allocated for it, and who has left leaves nothing behind.
#[derive(Debug, Clone)]
pub(super) struct DueQueues<const QUEUES: usize> {
    ends: [Ends; QUEUES],
    places: Vec<Place>,
    /// The queue of each target, or `NONE`. Apart from the places, so that those fit cache lines.
    queues: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    due: Listened,
    before: u32,
    after: u32,
}

/// In no queue.
const NONE: u8 = u8::MAX;

/// Nobody: no snapshot has a target of this index.
const END: u32 = u32::MAX;

impl<const QUEUES: usize> Default for DueQueues<QUEUES> {
    fn default() -> Self {
        let empty = Ends {
            first: END,
            last: END,
        };
        Self {
            ends: [empty; QUEUES],
            places: vec![],
            queues: vec![],
        }
    }
}

impl<const QUEUES: usize> DueQueues<QUEUES> {
    /// Makes room for the targets of a snapshot at once.
    pub(super) fn reserve(&mut self, targets: usize) {
        if self.queues.len() < targets {
            self.places.reserve_exact(targets - self.places.len());
            self.places.resize(targets, Place::default());
            self.queues.reserve_exact(targets - self.queues.len());
            self.queues.resize(targets, NONE);
        }
    }

    /// The target waits in this queue from now on, and nowhere else.
    pub(super) fn join(&mut self, target: TargetIndex, queue: u8, due: Listened) {
        self.leave(target);
        self.reserve(target.index() + 1);
        let mut before = self.ends[usize::from(queue)].last;
        // Never, but for a clock that goes back.
        while before != END && self.place(before).due > due {
            before = self.place(before).before;
        }
        let after = match before {
            END => self.ends[usize::from(queue)].first,
            before => self.place(before).after,
        };
        *self.place(target.0) = Place { due, before, after };
        self.queues[target.index()] = queue;
        *self.after(before, queue) = target.0;
        *self.before(after, queue) = target.0;
    }

    /// The target waits no more.
    pub(super) fn leave(&mut self, target: TargetIndex) {
        if let Some(queue) = self.queue(target) {
            self.queues[target.index()] = NONE;
            let Place { before, after, .. } = *self.place(target.0);
            *self.after(before, queue) = after;
            *self.before(after, queue) = before;
        }
    }

    /// Where the target waits.
    pub(super) fn queue(&self, target: TargetIndex) -> Option<u8> {
        let queue = self.queues.get(target.index()).copied();
        queue.filter(|queue| *queue != NONE)
    }

    /// When the target is due, and in which queue.
    pub(super) fn due(&self, target: TargetIndex) -> Option<(Listened, u8)> {
        let queue = self.queue(target)?;
        Some((self.places.get(target.index())?.due, queue))
    }

    /// Who is due first, when, and in which queue.
    pub(super) fn first(&self) -> Option<(Listened, TargetIndex, u8)> {
        let firsts = (0..).zip(&self.ends).filter_map(|(queue, ends)| {
            let target = TargetIndex(ends.first);
            let place = self.places.get(target.index())?;
            Some((place.due, target, queue))
        });
        firsts.min()
    }

    fn place(&mut self, target: u32) -> &mut Place {
        &mut self.places[target as usize]
    }

    /// The link to who is after this one; that to the first, for nobody.
    fn after(&mut self, target: u32, queue: u8) -> &mut u32 {
        match target {
            END => &mut self.ends[usize::from(queue)].first,
            target => &mut self.place(target).after,
        }
    }

    /// The link to who is before this one; that to the last, for nobody.
    fn before(&mut self, target: u32, queue: u8) -> &mut u32 {
        match target {
            END => &mut self.ends[usize::from(queue)].last,
            target => &mut self.place(target).before,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Join(u32, u8, u64),
        Leave(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let target = 0_u32..8;
        prop_oneof![
            3 => (target.clone(), 0_u8..3, 0_u64..20).prop_map(|(t, q, d)| Step::Join(t, q, d)),
            1 => target.prop_map(Step::Leave),
        ]
    }

    proptest! {
        /// Any times, also a clock that goes back.
        #[test]
        fn all_leave_in_the_order_in_which_they_are_due(steps in prop::collection::vec(step(), 0..60)) {
            let mut queues = DueQueues::<3>::default();
            let mut model = [None; 8];
            for step in steps {
                match step {
                    Step::Join(target, queue, due) => {
                        queues.join(TargetIndex(target), queue, Listened(due));
                        model[target as usize] = Some((queue, due));
                    }
                    Step::Leave(target) => {
                        queues.leave(TargetIndex(target));
                        model[target as usize] = None;
                    }
                }
                let first = queues.first().map(|(due, ..)| due.0);
                prop_assert_eq!(first, model.iter().flatten().map(|(_, due)| *due).min());
            }
            let mut last = Listened(0);
            while let Some((due, target, queue)) = queues.first() {
                prop_assert!(due >= last);
                last = due;
                let of_model = model[target.index()].take();
                prop_assert_eq!(of_model, Some((queue, due.0)));
                queues.leave(target);
            }
            prop_assert_eq!(model, [None; 8]);
        }
    }
}
