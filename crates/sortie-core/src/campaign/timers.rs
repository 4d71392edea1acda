//! The timers of operations and backoffs, on the listening clock (rules C).
//!
//! They are not recorded: after a restart each starts again in full (C2).

use std::time::Duration;

use sortie_protocol::Status as DeviceStatus;

use super::{Target, TargetIndex, due_queues::DueQueues, spec::PushSpec};
use crate::{Listened, OperationId};

/// What runs out for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// P4: no report on the operation yet.
    Request,
    /// C3: no advance for too long.
    Stage,
    /// C4: too long altogether.
    Operation,
    /// X2: no word after a person's cancel.
    Cancel,
    /// R4: the backoff of an idle target is over.
    Backoff,
}

/// All timers of a campaign, and beside them what else is kept of operations under way.
#[derive(Debug, Clone, Default)]
pub(super) struct Timers {
    queues: DueQueues<Operation>,
}

/// What is looked at whenever a device says something.
#[derive(Debug, Clone, Copy, Default)]
struct Operation {
    id: OperationId,
    /// How far it has come: stage and percent (C3).
    furthest: (u8, u8),
}

/// What is waited for now: in one of the queues below.
const NEXT: usize = 0;
/// C4, beside C3: all in one queue.
const WHOLE: usize = 1;

const REQUEST: u8 = 0;
const STAGE: u8 = 1;
const CANCEL: u8 = 2;
/// The first of six, see [`backoff`].
const BACKOFF: u8 = 3;

impl Timers {
    /// Makes room for the targets of a snapshot.
    pub(super) fn reserve(&mut self, targets: usize) {
        self.queues.reserve(targets);
    }

    /// The UUID of the target's last operation, if it was noted.
    pub(super) fn operation(&self, index: TargetIndex) -> Option<OperationId> {
        let id = self.queues.beside(index)?.id;
        (id != OperationId::default()).then_some(id)
    }

    /// Notes the UUID of the target's last operation.
    pub(super) fn note_operation(&mut self, index: TargetIndex, id: OperationId) {
        if let Some(operation) = self.queues.beside_mut(index) {
            operation.id = id;
        }
    }

    /// Has what a change of the target's timers needs fetched from memory.
    pub(super) fn look_ahead(&self, index: TargetIndex) {
        self.queues.look_ahead(index);
    }

    /// Starts the timers that a target's state calls for, in full (C2).
    pub(super) fn start(
        &mut self,
        index: TargetIndex,
        target: &Target,
        cancelling: bool,
        mechanism: &PushSpec,
        now: Listened,
    ) {
        use super::TargetStatus::{Idle, InProgress};
        match target.status {
            InProgress if cancelling => self.cancel(index, mechanism, now),
            InProgress if target.heard.is_some() => {
                // Going back is no advance after a restart either; percentages are not recorded.
                self.whole(index, (target.furthest, 0), mechanism, now);
                self.stage(index, mechanism, now);
            }
            InProgress => self.request(index, mechanism, now),
            Idle if target.deferrals > 0 => self.back_off(index, target.deferrals, now),
            _ => self.stop(index),
        }
    }

    /// P4: waits for the first report.
    pub(super) fn request(&mut self, index: TargetIndex, mechanism: &PushSpec, now: Listened) {
        self.queues.leave(index, WHOLE);
        let due = after_ms(now, mechanism.request_timeout_ms);
        self.queues.join(index, NEXT, REQUEST, due);
    }

    /// X2: waits for the word after a person's cancel; nothing else runs.
    pub(super) fn cancel(&mut self, index: TargetIndex, mechanism: &PushSpec, now: Listened) {
        self.queues.leave(index, WHOLE);
        let due = after_ms(now, mechanism.cancel_timeout_ms);
        self.queues.join(index, NEXT, CANCEL, due);
    }

    /// R4: an idle target waits to be tried again.
    fn back_off(&mut self, index: TargetIndex, deferrals: u32, now: Listened) {
        self.queues.leave(index, WHOLE);
        let (queue, minutes) = backoff(deferrals);
        let due = now.after(Duration::from_mins(minutes));
        self.queues.join(index, NEXT, queue, due);
    }

    /// C4 starts, and with it what C3 goes by.
    fn whole(
        &mut self,
        index: TargetIndex,
        furthest: (u8, u8),
        mechanism: &PushSpec,
        now: Listened,
    ) {
        let due = after_ms(now, mechanism.operation_timeout_ms);
        self.queues.join(index, WHOLE, 0, due);
        if let Some(operation) = self.queues.beside_mut(index) {
            operation.furthest = furthest;
        }
    }

    fn stage(&mut self, index: TargetIndex, mechanism: &PushSpec, now: Listened) {
        match mechanism.stage_timeout_ms {
            Some(ms) => self.queues.join(index, NEXT, STAGE, after_ms(now, ms)),
            None => self.queues.leave(index, NEXT),
        }
    }

    /// C3: the device said where it is. The first word ends the wait of P4 and starts C3 and C4; an
    /// advance beyond the furthest point so far starts C3 again.
    pub(super) fn word(
        &mut self,
        index: TargetIndex,
        status: DeviceStatus,
        percent: u8,
        mechanism: &PushSpec,
        now: Listened,
    ) {
        let first = self.waits_for_report(index);
        if first {
            self.whole(index, (0, 0), mechanism, now);
        } else if self.queues.queue(index, WHOLE).is_none() {
            return;
        }
        let Some(operation) = self.queues.beside_mut(index) else {
            return;
        };
        // `error` is no advance.
        let reached = status.stage().map_or((0, 0), |stage| (stage, percent));
        let advance = reached > operation.furthest;
        if advance {
            operation.furthest = reached;
        }
        if first || advance {
            self.stage(index, mechanism, now);
        }
    }

    /// Nothing runs for the target any more.
    pub(super) fn stop(&mut self, index: TargetIndex) {
        self.queues.leave(index, NEXT);
        self.queues.leave(index, WHOLE);
    }

    /// Whether P4's timer runs.
    pub(super) fn waits_for_report(&self, index: TargetIndex) -> bool {
        self.queues.queue(index, NEXT) == Some(REQUEST)
    }

    /// Whether R4's backoff still holds the target back.
    pub(super) fn is_backing_off(&self, index: TargetIndex) -> bool {
        self.queues
            .queue(index, NEXT)
            .is_some_and(|queue| queue >= BACKOFF)
    }

    /// What runs out next for a target, and when.
    pub(super) fn running(&self, index: TargetIndex) -> Option<(Due, Listened)> {
        let next = self.queues.due(index, NEXT);
        let next = next.map(|(at, queue)| (at, waited_for(queue)));
        let operation = self.queues.due(index, WHOLE);
        let operation = operation.map(|(at, _)| (at, Due::Operation));
        let first = next.into_iter().chain(operation).min_by_key(|(at, _)| *at);
        first.map(|(at, due)| (due, at))
    }

    /// When the next timer runs out.
    pub(super) fn next_due(&self) -> Option<Listened> {
        self.first().map(|(due, ..)| due)
    }

    /// The next timer that has run out. It stays until it is started again or stopped.
    pub(super) fn expired(&self, now: Listened) -> Option<(TargetIndex, Due)> {
        let (_, index, due) = self.first().filter(|(due, ..)| *due <= now)?;
        Some((index, due))
    }

    fn first(&self) -> Option<(Listened, TargetIndex, Due)> {
        let next = self.queues.first(NEXT);
        let next = next.map(|(due, index, queue)| (due, index, waited_for(queue)));
        let operation = self.queues.first(WHOLE);
        let operation = operation.map(|(due, index, _)| (due, index, Due::Operation));
        let of_both = next.into_iter().chain(operation);
        of_both.min_by_key(|(due, index, _)| (*due, *index))
    }
}

fn waited_for(queue: u8) -> Due {
    match queue {
        REQUEST => Due::Request,
        STAGE => Due::Stage,
        CANCEL => Due::Cancel,
        _ => Due::Backoff,
    }
}

fn after_ms(now: Listened, ms: u64) -> Listened {
    now.after(Duration::from_millis(ms))
}

/// R4: how long a target waits to be tried again, in milliseconds.
pub(crate) fn backoff_ms(deferrals: u32) -> u64 {
    backoff(deferrals).1 * 60_000
}

/// R4: 1 min, doubling, at most 30 min, each with a queue of its own.
fn backoff(deferrals: u32) -> (u8, u64) {
    match deferrals {
        0 | 1 => (BACKOFF, 1),
        2 => (BACKOFF + 1, 2),
        3 => (BACKOFF + 2, 4),
        4 => (BACKOFF + 3, 8),
        5 => (BACKOFF + 4, 16),
        _ => (BACKOFF + 5, 30),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{NewCampaign, Push};

    #[test]
    fn r4_the_backoff_doubles_from_one_minute_to_thirty() {
        let minutes: Vec<_> = (1..=8).map(|n| backoff(n).1).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 30, 30, 30]);
        let queues: Vec<_> = (1..=8).map(|n| backoff(n).0).collect();
        assert_eq!(queues, [3, 4, 5, 6, 7, 8, 8, 8]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Request(u32),
        Word(u32, DeviceStatus, u8),
        Cancel(u32),
        BackOff(u32, u32),
        Stop(u32),
        Time(u64),
    }

    /// What runs for a target, each timer as the rule says it.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Model {
        Nothing,
        One(Due, u64),
        Stages(Option<u64>, u64, (u8, u8)),
    }

    impl Model {
        fn next(self) -> Option<(u64, Due)> {
            match self {
                Self::Nothing => None,
                Self::One(due, at) => Some((at, due)),
                Self::Stages(Some(stage), operation, _) if stage < operation => {
                    Some((stage, Due::Stage))
                }
                Self::Stages(_, operation, _) => Some((operation, Due::Operation)),
            }
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        let target = 0_u32..5;
        let statuses = [
            DeviceStatus::Acknowledged,
            DeviceStatus::Downloading,
            DeviceStatus::Error,
            DeviceStatus::Deployed,
        ];
        let word = (
            target.clone(),
            prop::sample::select(statuses.to_vec()),
            0_u8..3,
        );
        prop_oneof![
            4 => target.clone().prop_map(Step::Request),
            6 => word.prop_map(|(target, status, percent)| Step::Word(target, status, percent)),
            1 => target.clone().prop_map(Step::Cancel),
            1 => (target.clone(), 1_u32..9).prop_map(|(t, deferrals)| Step::BackOff(t, deferrals)),
            1 => target.prop_map(Step::Stop),
            3 => (0_u64..40_000).prop_map(Step::Time),
        ]
    }

    proptest! {
        /// To the millisecond, whatever came before.
        #[test]
        fn c_each_timer_runs_out_when_its_rule_says(
            stage_off in any::<bool>(), steps in prop::collection::vec(step(), 0..80),
        ) {
            let stage_timeout = (!stage_off).then_some(Duration::from_secs(70));
            let push = Push::new()
                .max_in_progress_operations(1)
                .max_failure_percentage(0.0)
                .request_timeout(Duration::from_secs(30))
                .stage_timeout(stage_timeout)
                .operation_timeout(Duration::from_secs(100))
                .cancel_timeout(Duration::from_secs(50));
            let new = NewCampaign::new("n", "c@1.0.0".parse().unwrap(), "c".parse().unwrap());
            let mechanism = new.mechanism(push).validate().unwrap().mechanism;
            let stage = |now: u64| (!stage_off).then_some(now + 70_000);
            let (mut timers, mut model) = (Timers::default(), [Model::Nothing; 5]);
            let mut now = 0;
            for step in steps {
                let listened = Listened(now);
                match step {
                    Step::Request(t) => {
                        timers.request(TargetIndex(t), &mechanism, listened);
                        model[t as usize] = Model::One(Due::Request, now + 30_000);
                    }
                    Step::Word(t, status, percent) => {
                        timers.word(TargetIndex(t), status, percent, &mechanism, listened);
                        let model = &mut model[t as usize];
                        if matches!(model, Model::One(Due::Request, _)) {
                            *model = Model::Stages(stage(now), now + 100_000, (0, 0));
                        }
                        if let Model::Stages(_, operation, furthest) = *model {
                            let reached = status.stage().map_or((0, 0), |stage| (stage, percent));
                            if reached > furthest {
                                *model = Model::Stages(stage(now), operation, reached);
                            }
                        }
                    }
                    Step::Cancel(t) => {
                        timers.cancel(TargetIndex(t), &mechanism, listened);
                        model[t as usize] = Model::One(Due::Cancel, now + 50_000);
                    }
                    Step::BackOff(t, deferrals) => {
                        timers.back_off(TargetIndex(t), deferrals, listened);
                        let minutes = (1 << (deferrals - 1)).min(30);
                        model[t as usize] = Model::One(Due::Backoff, now + minutes * 60_000);
                    }
                    Step::Stop(t) => {
                        timers.stop(TargetIndex(t));
                        model[t as usize] = Model::Nothing;
                    }
                    Step::Time(ms) => now += ms,
                }
                let next = model.iter().filter_map(|model| model.next()).map(|(at, _)| at).min();
                prop_assert_eq!(timers.next_due(), next.map(Listened));
                for t in 0..5 {
                    let one = |due: fn(Due) -> bool| {
                        matches!(model[t as usize], Model::One(what, _) if due(what))
                    };
                    let index = TargetIndex(t);
                    prop_assert_eq!(timers.waits_for_report(index), one(|due| due == Due::Request));
                    prop_assert_eq!(timers.is_backing_off(index), one(|due| due == Due::Backoff));
                }
                while let Some((index, due)) = timers.expired(Listened(now)) {
                    let model = &mut model[index.index()];
                    let (at, what) = model.next().unwrap();
                    prop_assert!(due == what && at <= now, "{due:?} of {model:?} at {now}");
                    timers.stop(index);
                    *model = Model::Nothing;
                }
                let left = model.iter().filter_map(|model| model.next());
                prop_assert_eq!(left.filter(|(at, _)| *at <= now).count(), 0);
            }
        }
    }
}
