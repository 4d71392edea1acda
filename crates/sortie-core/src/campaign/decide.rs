//! What an input leads to. The only way in which the state changes is [`State::apply`].

use std::hint::black_box;

use sortie_protocol::{DeviceId, Progress, Report};
use uuid::Uuid;

use super::{
    CampaignEvent, Command, ImageCopy, Rejection, State, Status, TargetIndex, TargetStatus,
    ready::Ready, spec::PushSpec, timers::Timers,
};
use crate::{DeviceSlot, Fleet, Listened, Now, OperationId};

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
    pub(super) slots: Vec<DeviceSlot>,
    pub(super) ready: Ready,
    pub(super) timers: Timers,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Input<'a> {
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
    Report(TargetIndex, &'a Report),
    /// The target's own device gives a sign of life.
    Progress(TargetIndex, Progress),
    /// The transport refuses the Update of this operation for good, and why (P5).
    SendRefused(TargetIndex, OperationId, &'a str),
    /// The device has heard a generation above its register's (W5): raise the claim's number to this.
    Raise(TargetIndex, u64),
    /// The stream has a new owner; the first input after arming.
    Own {
        /// Above the stream's last epoch.
        epoch: u64,
        /// Drawn at random.
        nonce: Uuid,
    },
    /// The target's device was removed from the inventory (D1).
    DeviceRemoved(TargetIndex),
    /// The uploaded file of a manual update has been deleted (M2).
    UploadDeleted,
    /// Time has passed.
    Tick,
}

/// What an input led to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// To be made durable, in order; folded in memory already.
    pub events: Vec<CampaignEvent>,
    /// Targets whose device's request register is to be written once the events are durable. One may
    /// come twice.
    pub registers: Vec<TargetIndex>,
    /// Devices whose turn to be pushed has come, of which the inventory must say first that they still
    /// exist (D1).
    pub unconfirmed: Vec<DeviceSlot>,
}

/// What goes along while one input is decided.
pub(super) struct Deciding<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) now: Now,
    pub(super) out: &'a mut Output,
}

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
        let Some(mechanism) = self.mechanism() else {
            return;
        };
        if self.state.is_over() {
            return;
        }
        self.timers.reserve(self.state.targets().len());
        for (index, target) in (0..).map(TargetIndex).zip(self.state.targets()) {
            let cancelling = self.state.is_cancelling(target);
            self.timers
                .start(index, target, cancelling, &mechanism, now.listened);
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

    /// Decides one input. Its events and the registers to write are added to `out`.
    ///
    /// # Errors
    /// [`Rejection`] of a command: nothing changed, and nothing was added.
    pub fn handle(
        &mut self,
        fleet: &Fleet,
        input: Input<'_>,
        now: Now,
        out: &mut Output,
    ) -> Result<(), Rejection> {
        let d = &mut Deciding { fleet, now, out };
        match input {
            Input::Command(command) => self.command(command, d)?,
            Input::Snapshot { image, devices } => self.snapshot(*image, &devices, d),
            Input::Device(index) => self.device_changed(index, fleet),
            Input::Report(index, report) => {
                if self.is_last(index, OperationId(report.operation)) {
                    self.reported(index, report, d);
                }
            }
            Input::Progress(index, progress) => {
                // Before the first report, P4 waits for that (C3).
                let heard = self.state.target(index).is_some_and(|t| t.heard.is_some());
                if heard && self.is_last(index, OperationId(progress.operation)) {
                    self.progressed(index, progress.status, progress.percent, d);
                }
            }
            Input::SendRefused(index, operation, why) => {
                // P5; a refused Cancel leaves the claim open, which holds up nobody.
                let target = self.state.target(index);
                let update = target.is_some_and(|t| {
                    t.status == TargetStatus::InProgress && !self.state.is_cancelling(t)
                });
                if update && self.operation(index) == Some(operation) {
                    self.send_refused(index, why, d);
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
                    d.out.registers.push(index);
                }
            }
            Input::Own { epoch, nonce } => {
                self.emit(CampaignEvent::OwnerChanged { epoch, nonce }, d);
            }
            Input::DeviceRemoved(index) => self.device_removed(index, d),
            Input::UploadDeleted => {
                if self.state.upload_to_delete().is_some() {
                    self.emit(CampaignEvent::UploadDeleted, d);
                }
            }
            Input::Tick => self.tick(d),
        }
        self.settle(d);
        Ok(())
    }

    /// Has what inputs about these targets need fetched from memory, before they are handled: with a
    /// million targets one such look takes longer than a decision, and many at once little longer than one.
    /// It changes nothing.
    pub fn look_ahead(&self, targets: impl IntoIterator<Item = TargetIndex>) {
        for index in targets {
            let target = self.state.target(index);
            black_box(target.map(|target| (target.claim, target.status)));
            self.timers.look_ahead(index);
        }
    }

    /// The target's last operation, if it ever had one, as [`State::operation`] derives it: which takes
    /// longer than all else that is decided about a report, so it is noted here.
    pub fn operation(&self, index: TargetIndex) -> Option<OperationId> {
        let noted = self.timers.operation(index);
        noted.or_else(|| self.state.operation(index))
    }

    /// R1: whether this is the target's last operation.
    fn is_last(&mut self, index: TargetIndex, operation: OperationId) -> bool {
        let last = self
            .timers
            .operation(index)
            .or_else(|| self.note_operation(index));
        last == Some(operation)
    }

    pub(super) fn note_operation(&mut self, index: TargetIndex) -> Option<OperationId> {
        let operation = self.state.operation(index)?;
        self.timers.note_operation(index, operation);
        Some(operation)
    }

    /// Whether the device's claim is that of the target's last operation; another campaign may have
    /// taken it since, or be taking it now.
    fn has_claim(&self, index: TargetIndex, fleet: &Fleet) -> bool {
        let slot = self.slots.get(index.index());
        let claim = slot.and_then(|slot| fleet.device(*slot).claim());
        claim.map(|claim| claim.operation) == self.operation(index) && claim.is_some()
    }

    pub(super) fn mechanism(&self) -> Option<PushSpec> {
        self.state.mechanism().copied()
    }

    /// F1, then L2 and L4: what follows from the counters.
    pub(super) fn settle(&mut self, d: &mut Deciding<'_>) {
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
