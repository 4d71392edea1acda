//! What an input leads to. The only way in which the state changes is [`State::apply`].

use std::collections::BTreeSet;

use sortie_protocol::{DeviceId, Progress, Report};
use uuid::Uuid;

use super::{
    CampaignEvent, Command, CommandKind, End, ImageCopy, Rejection, Start, State, Status,
    TargetIndex, TargetReason, TargetStatus, Verdict,
    ready::Ready,
    spec::PushSpec,
    timers::{Due, Timers},
    verdict,
};
use crate::{ClaimPhase, DeviceSlot, Fleet, Listened, Now, OperationId, StreamId};

/// A running campaign: its state, and what is derived from it to decide quickly.
///
/// - [`Campaign::arm`] makes it from a fold; then [`Campaign::handle`] takes what happens, and
///   [`Campaign::pump`] pushes what is ready. Both answer with events, already folded here, to be
///   made durable; if that fails, drop the campaign, fold the log and arm again.
/// - [`Campaign::next_due`] tells when an [`Input::Tick`] is needed.
///
/// A register is written only after the events are durable, from [`State::register`].
#[derive(Debug, Clone)]
pub struct Campaign {
    pub(super) state: State,
    /// The device of each target in the node's table.
    slots: Vec<DeviceSlot>,
    ready: Ready,
    pub(super) timers: Timers,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Input {
    /// A person or program asks for something.
    Command(Command),
    /// The snapshot was resolved (S2): the devices of the Channel, each once, at most 2^32 - 1.
    Snapshot {
        /// The image as it is now.
        image: Box<ImageCopy>,
        /// The devices.
        devices: Vec<DeviceId>,
    },
    /// Presence, version or claim of the target's device changed in the fleet.
    Device(TargetIndex),
    /// The target's own device reports (R1).
    Report(TargetIndex, Box<Report>),
    /// The target's own device gives a sign of life.
    Progress(TargetIndex, Progress),
    /// The transport refuses the Update of this operation for good (P5).
    SendRefused(TargetIndex, OperationId),
    /// The device has heard a generation above its register's (W5): raise the claim's number to this.
    Raise(TargetIndex, u64),
    /// The stream has a new owner; the first input after arming.
    Own {
        /// Above the stream's last epoch.
        epoch: u64,
        /// Drawn at random.
        nonce: Uuid,
    },
    /// Time has passed.
    Tick,
}

/// What an input led to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// To be made durable, in order; folded in memory already.
    pub events: Vec<CampaignEvent>,
    /// Targets whose device's request register is to be written once the events are durable.
    pub registers: BTreeSet<TargetIndex>,
}

/// What goes along while one input is decided.
pub(super) struct Deciding<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) now: Now,
    pub(super) out: &'a mut Output,
}

/// After a restart all timers run out at once (C2); a batch stays bounded all the same. What is left is
/// still due, so that [`Campaign::next_due`] is in the past.
const EVENTS_OF_A_TICK_MAX: usize = 1_000;

/// A chunk of the snapshot in one event (design 4).
const DEVICES_IN_AN_EVENT_MAX: usize = 1_000;

impl Campaign {
    /// Makes a campaign that goes on from `state`. `slots` are its devices in `fleet`, by target
    /// index. All timers start in full (C2).
    pub fn arm(state: State, slots: Vec<DeviceSlot>, fleet: &Fleet, now: Now) -> Self {
        let mut campaign = Self {
            state,
            slots: vec![],
            ready: Ready::default(),
            timers: Timers::default(),
        };
        campaign.arm_targets(slots, fleet, now);
        campaign
    }

    /// Tells the campaign the slots of the devices that [`Input::Snapshot`] added.
    pub fn arm_targets(&mut self, slots: Vec<DeviceSlot>, fleet: &Fleet, now: Now) {
        self.slots = slots;
        let Some(spec) = &self.state.spec else { return };
        if self.state.is_over() {
            return;
        }
        self.timers.reserve(self.state.targets().len());
        for (index, target) in (0..).map(TargetIndex).zip(self.state.targets()) {
            let cancelling = self.state.is_cancelling(target);
            self.timers
                .start(index, target, cancelling, &spec.mechanism, now.listened);
        }
        for index in (0..self.state.counts().targets).map(TargetIndex) {
            self.device_changed(index, fleet);
        }
    }

    /// The state: the fold of all events so far, those of this object's own outputs included.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The slots of the targets' devices.
    pub fn slots(&self) -> &[DeviceSlot] {
        &self.slots
    }

    /// Notes that the commands of the batch that is being decided are carried out (K1).
    pub fn note_command(&mut self, command: crate::CommandId) {
        self.state.note_command(command);
    }

    /// When the next timer runs out, on the listening clock.
    pub fn next_due(&self) -> Option<Listened> {
        self.timers.next_due()
    }

    /// When the campaign is to start by wall time, if it waits for that.
    pub fn start_at(&self) -> Option<crate::Timestamp> {
        match self.state.spec()?.start {
            Start::At(at) if self.waits_to_start() => Some(at),
            _ => None,
        }
    }

    /// Whether the snapshot should be resolved now: it is time to start, or it was created for a
    /// later time and an empty Channel would end it already (S4).
    pub fn wants_snapshot(&self, now: Now) -> bool {
        self.waits_to_start() && (self.is_time(now) || self.wants_probe())
    }

    fn waits_to_start(&self) -> bool {
        let state = &self.state;
        state.spec().is_some()
            && !state.is_deleted()
            && matches!(state.status, Status::Idle | Status::Scheduled)
    }

    fn is_time(&self, now: Now) -> bool {
        self.state.start_requested
            || match self.state.spec().map(|spec| spec.start) {
                Some(Start::Now) => true,
                Some(Start::At(at)) => at <= now.at,
                _ => false,
            }
    }

    fn wants_probe(&self) -> bool {
        self.start_at().is_some() && self.state.status == Status::Idle
    }

    /// Decides one input. Its events and the registers to write are added to `out`.
    ///
    /// # Errors
    /// [`Rejection`] of a command: nothing changed, and nothing was added.
    pub fn handle(
        &mut self,
        fleet: &Fleet,
        input: Input,
        now: Now,
        out: &mut Output,
    ) -> Result<(), Rejection> {
        let d = &mut Deciding { fleet, now, out };
        match input {
            Input::Command(command) => self.command(command, d)?,
            Input::Snapshot { image, devices } => self.snapshot(*image, &devices, d),
            Input::Device(index) => self.device_changed(index, fleet),
            Input::Report(index, report) => {
                if self.is_last(index, OperationId(report.operation), fleet) {
                    self.reported(index, &report, d);
                }
            }
            Input::Progress(index, progress) => {
                // Before the first report, P4 waits for that (C3).
                let heard = self.state.target(index).is_some_and(|t| t.heard.is_some());
                if heard && self.is_last(index, OperationId(progress.operation), fleet) {
                    self.progressed(index, progress.status, progress.percent, d);
                }
            }
            Input::SendRefused(index, operation) => {
                // P5; a refused Cancel leaves the claim open, which holds up nobody.
                let target = self.state.target(index);
                let update = target.is_some_and(|t| {
                    t.status == TargetStatus::InProgress && !self.state.is_cancelling(t)
                });
                if update && self.state.operation(index) == Some(operation) {
                    self.abandon(index, TargetReason::SendRefused, d);
                }
            }
            Input::Raise(index, claim) => {
                let current = self.state.target(index).map_or(u64::MAX, |t| t.claim);
                if self.has_claim(index, fleet) && current < claim {
                    self.emit(
                        CampaignEvent::ClaimRaised {
                            target: index,
                            claim,
                        },
                        d,
                    );
                    d.out.registers.insert(index);
                }
            }
            Input::Own { epoch, nonce } => {
                self.emit(CampaignEvent::OwnerChanged { epoch, nonce }, d);
            }
            Input::Tick => self.tick(d),
        }
        self.settle(d);
        Ok(())
    }

    /// What was decided is durable now: the requests leave now, and P4 counts from here. An append that
    /// took long fails nobody.
    pub fn committed(&mut self, events: &[crate::Event], now: Now) {
        let Some(mechanism) = self.mechanism() else {
            return;
        };
        for event in events {
            if let crate::Event::Campaign(
                CampaignEvent::OperationStarted { target, .. }
                | CampaignEvent::RequestRetried { target },
            ) = event
                && self.timers.waits_for_report(*target)
            {
                self.timers.request(*target, &mechanism, now.listened);
            }
        }
    }

    /// Pushes what is ready, while slots are free (P1, P2), adding at most about `events_max` events.
    /// Returns whether more could be pushed at once.
    pub fn pump(&mut self, fleet: &Fleet, now: Now, out: &mut Output, events_max: usize) -> bool {
        let d = &mut Deciding { fleet, now, out };
        while self.may_push() {
            if d.out.events.len() >= events_max {
                return !self.ready.is_empty();
            }
            let Some(index) = self.ready.pop() else { break };
            if self.is_pushable(index, fleet) {
                self.push(index, d);
                self.settle(d);
            }
        }
        false
    }

    /// P2, and invariant 4: nothing starts but in a running campaign with a free slot.
    fn may_push(&self) -> bool {
        let limit = self
            .state
            .spec()
            .map_or(0, |s| s.mechanism.max_in_progress_operations);
        self.state.status == Status::InProgress && self.state.counts().in_progress < limit
    }

    /// P1, O1, P6: idle, backoff over, device online and not held.
    fn is_pushable(&self, index: TargetIndex, fleet: &Fleet) -> bool {
        let (Some(target), Some(slot)) = (
            self.state.target(index),
            self.slots.get(index.index()).copied(),
        ) else {
            return false;
        };
        target.status == TargetStatus::Idle
            && !self.timers.is_backing_off(index)
            && fleet.is_online(slot)
            && !fleet.device(slot).is_held()
    }

    /// R1: whether this is the target's last operation. The claim tells it without deriving the UUID,
    /// which is most of a decision's time.
    fn is_last(&self, index: TargetIndex, operation: OperationId, fleet: &Fleet) -> bool {
        let (Some(target), Some(slot)) = (self.state.target(index), self.slots.get(index.index()))
        else {
            return false;
        };
        let holder = StreamId::Campaign(self.state.id());
        match fleet.device(*slot).claim() {
            Some(claim) if claim.holder == holder && claim.number == target.claim => {
                claim.operation == operation
            }
            _ => self.state.operation(index) == Some(operation),
        }
    }

    /// Whether the device's claim is that of the target's last operation; another campaign may have
    /// taken it since, or be taking it now.
    fn has_claim(&self, index: TargetIndex, fleet: &Fleet) -> bool {
        let slot = self.slots.get(index.index());
        let claim = slot.and_then(|slot| fleet.device(*slot).claim());
        claim.map(|claim| claim.operation) == self.state.operation(index) && claim.is_some()
    }

    fn device_changed(&mut self, index: TargetIndex, fleet: &Fleet) {
        let pushable = self.is_pushable(index, fleet);
        let Some(target) = self.state.target(index) else {
            return;
        };
        if pushable {
            self.ready.insert(index, target);
        } else {
            self.ready.remove(index, target);
        }
    }

    /// The target's turn has come and a slot is free.
    fn push(&mut self, index: TargetIndex, d: &mut Deciding<'_>) {
        let (Some(image), Some(spec)) = (self.state.image(), self.state.spec()) else {
            return;
        };
        let Some(slot) = self.slots.get(index.index()) else {
            return;
        };
        let device = d.fleet.device(*slot);
        let event = match verdict(image, &spec.mechanism, device) {
            Verdict::Successful(reason) => CampaignEvent::TargetSucceeded {
                target: index,
                reason,
            },
            Verdict::Failed(reason) => CampaignEvent::TargetFailed {
                target: index,
                reason,
                end: End::NotSent,
                word: None,
            },
            Verdict::Push => {
                let taken_over = device
                    .claim()
                    .filter(|claim| claim.phase == ClaimPhase::Open);
                CampaignEvent::OperationStarted {
                    target: index,
                    claim: device.next_claim_number(),
                    decided_on: device.version().map(|version| version.text.to_string()),
                    replaces: taken_over.map(|claim| claim.operation),
                }
            }
        };
        let timeouts = spec.mechanism;
        let started = matches!(event, CampaignEvent::OperationStarted { .. });
        self.emit(event, d);
        if started {
            d.out.registers.insert(index);
            self.timers.request(index, &timeouts, d.now.listened);
        } else {
            self.timers.stop(index);
        }
    }

    fn tick(&mut self, d: &mut Deciding<'_>) {
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
                    d.out.registers.insert(index);
                    self.timers.request(index, &mechanism, d.now.listened);
                }
                Due::Request => self.abandon(index, TargetReason::RequestTimeout, d),
                Due::Stage | Due::Operation => self.abandon(index, TargetReason::Stalled, d),
                Due::Cancel => self.abandon(index, TargetReason::Canceled, d),
                Due::Backoff => {
                    self.timers.stop(index);
                    self.device_changed(index, d.fleet);
                }
            }
        }
    }

    fn mechanism(&self) -> Option<PushSpec> {
        self.state.spec().map(|spec| spec.mechanism)
    }

    /// X1: the operation ends without the device's word.
    fn abandon(&mut self, index: TargetIndex, reason: TargetReason, d: &mut Deciding<'_>) {
        let event = CampaignEvent::TargetFailed {
            target: index,
            reason,
            end: End::Abandoned,
            word: None,
        };
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
        d.out.registers.insert(index);
        if let (Some(mechanism), Some(target)) = (self.mechanism(), self.state.target(index))
            && target.status == TargetStatus::Idle
        {
            self.timers
                .start(index, target, false, &mechanism, d.now.listened);
        }
        // Each end may cross the threshold, and nothing may be decided past it (F1).
        self.settle(d);
    }

    fn snapshot(&mut self, image: ImageCopy, devices: &[DeviceId], d: &mut Deciding<'_>) {
        if !self.waits_to_start() {
            return;
        }
        if !self.is_time(d.now) && !devices.is_empty() {
            // S4's probe found something: it waits for its time.
            if self.state.status == Status::Idle {
                self.emit(CampaignEvent::CampaignScheduled, d);
            }
            return;
        }
        for chunk in devices.chunks(DEVICES_IN_AN_EVENT_MAX) {
            self.emit(
                CampaignEvent::TargetsAdded {
                    devices: chunk.to_vec(),
                },
                d,
            );
        }
        self.emit(CampaignEvent::CampaignStarted { image }, d);
    }

    fn command(&mut self, command: Command, d: &mut Deciding<'_>) -> Result<(), Rejection> {
        let id = self.state.id();
        let (status, draining) = (self.state.status, self.state.is_draining());
        if let Command::Create(spec) = command {
            return match self.state.spec() {
                None => {
                    self.emit(CampaignEvent::CampaignCreated { spec: *spec }, d);
                    Ok(())
                }
                Some(present) if *present == *spec && !self.state.is_deleted() => Ok(()),
                Some(_) => Err(Rejection::Exists { id }),
            };
        }
        if self.state.spec().is_none() || self.state.is_deleted() {
            return Err(Rejection::NoCampaign { id });
        }
        let wrong = |command| Err(Rejection::WrongStatus { command, status });
        let not_started = matches!(status, Status::Idle | Status::Scheduled);
        match command {
            Command::Edit(spec) if not_started => {
                if self.state.spec() != Some(&*spec) {
                    self.emit(CampaignEvent::CampaignEdited { spec: *spec }, d);
                }
            }
            Command::Edit(_) => return wrong(CommandKind::Edit),
            Command::Delete if not_started => self.emit(CampaignEvent::CampaignDeleted, d),
            Command::Delete => return wrong(CommandKind::Delete),
            Command::Start if not_started => {
                if !self.state.start_requested {
                    self.emit(CampaignEvent::StartRequested, d);
                }
            }
            Command::Start => return wrong(CommandKind::Start),
            Command::Pause if status == Status::InProgress => {
                self.emit(CampaignEvent::CampaignPausing, d);
            }
            Command::Pause => return wrong(CommandKind::Pause),
            Command::Resume if matches!(status, Status::Pausing | Status::Paused) => {
                self.emit(CampaignEvent::CampaignResumed, d);
            }
            Command::Resume => return wrong(CommandKind::Resume),
            Command::Cancel if status != Status::Finished || draining => self.cancel(d),
            Command::Cancel => return wrong(CommandKind::Cancel),
            Command::CancelOperation(target) => self.cancel_operation(target, d)?,
            Command::Create(_) => {}
        }
        Ok(())
    }

    /// L3: nothing starts any more, and all that is under way is cancelled (X2).
    fn cancel(&mut self, d: &mut Deciding<'_>) {
        if self.state.all_cancelled {
            // A second cancel restarts no timer (X4).
            return;
        }
        let under_way = |state: &State, index: TargetIndex| {
            state
                .target(index)
                .is_some_and(|t| t.status == TargetStatus::InProgress && !state.is_cancelling(t))
        };
        let indices = (0..self.state.counts().targets).map(TargetIndex);
        let cancelled: Vec<_> = indices
            .filter(|index| under_way(&self.state, *index))
            .collect();
        self.emit(CampaignEvent::CampaignCancelled, d);
        for index in cancelled {
            self.start_cancel(index, d);
        }
    }

    fn cancel_operation(
        &mut self,
        index: TargetIndex,
        d: &mut Deciding<'_>,
    ) -> Result<(), Rejection> {
        let target = self
            .state
            .target(index)
            .ok_or(Rejection::NoTarget { target: index })?;
        if target.status != TargetStatus::InProgress {
            return Err(Rejection::NothingUnderWay {
                status: target.status,
            });
        }
        if !self.state.is_cancelling(target) {
            self.emit(CampaignEvent::OperationCancelRequested { target: index }, d);
            self.start_cancel(index, d);
        }
        Ok(())
    }

    fn start_cancel(&mut self, index: TargetIndex, d: &mut Deciding<'_>) {
        if let Some(mechanism) = self.mechanism() {
            self.timers.cancel(index, &mechanism, d.now.listened);
        }
        d.out.registers.insert(index);
    }

    /// F1, then L2 and L4: what follows from the counters.
    fn settle(&mut self, d: &mut Deciding<'_>) {
        let counts = self.state.counts();
        let (Some(spec), Some(_)) = (self.state.spec(), self.state.started_at()) else {
            return;
        };
        let running = matches!(
            self.state.status,
            Status::InProgress | Status::Pausing | Status::Paused
        );
        if !running {
            return;
        }
        let limit = u64::from(spec.mechanism.max_failure_hundredths) * u64::from(counts.targets);
        if u64::from(counts.failed_counted) * 10_000 > limit {
            self.emit(CampaignEvent::CampaignFailed, d);
        } else if counts.in_progress == 0 && counts.idle == 0 {
            self.emit(CampaignEvent::CampaignSucceeded, d);
        } else if counts.in_progress == 0 && self.state.status == Status::Pausing {
            self.emit(CampaignEvent::CampaignPaused, d);
        }
    }

    pub(super) fn emit(&mut self, event: CampaignEvent, d: &mut Deciding<'_>) {
        self.state.apply(d.now.at, &event);
        d.out.events.push(event);
    }
}
