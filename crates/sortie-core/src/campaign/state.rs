//! The fold over a campaign's stream.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use sortie_protocol::DeviceId;
use uuid::Uuid;

use super::{
    CampaignEvent, CampaignSpec, Counts, DeviceWord, End, ImageCopy, ManualSource, ManualUpdate,
    Outcome, Status, Target, TargetIndex, TargetReason, TargetStatus, kinds::Kinds, spec::PushSpec,
    target::Times,
};
use crate::{CampaignId, CommandId, OperationId, StreamId, Timestamp};

/// How many [`CommandId`]s of a stream are kept (K1).
const COMMANDS_KEPT: usize = 256;

/// No version was known when the operation was decided.
const NO_VERSION: u32 = u32::MAX;

/// A campaign, or a manual update with its one target, as its log says it is. Only [`State::apply`]
/// changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    stream: StreamId,
    spec: Option<Box<CampaignSpec>>,
    manual: Option<Box<ManualUpdate>>,
    mechanism: Option<PushSpec>,
    pub(super) status: Status,
    outcome: Option<Outcome>,
    deleted: bool,
    pub(super) start_requested: bool,
    /// All that is under way is being cancelled (L3).
    pub(super) all_cancelled: bool,
    image: Option<Box<ImageCopy>>,
    /// The uploaded file that has not been deleted yet (M2).
    upload: Option<Box<str>>,
    devices: Vec<DeviceId>,
    targets: Vec<Target>,
    /// Last words that say more than their status; few targets have one.
    words: HashMap<TargetIndex, Box<DeviceWord>>,
    /// Why the transport refused a target's last request (P5).
    refusals: HashMap<TargetIndex, Arc<str>>,
    counts: Counts,
    kinds: Kinds,
    starts: u32,
    epoch: u64,
    /// The nonces of all owners so far.
    nonces: Vec<Uuid>,
    versions: Vec<Arc<str>>,
    version_index: HashMap<Arc<str>, u32>,
    commands: VecDeque<CommandId>,
    events: u64,
    last_at: Timestamp,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

impl State {
    /// The state of a campaign before its first event.
    pub fn new(id: CampaignId) -> Self {
        Self::of(StreamId::Campaign(id))
    }

    /// The state of a campaign's or manual update's stream before its first event.
    pub fn of(stream: StreamId) -> Self {
        Self {
            stream,
            spec: None,
            manual: None,
            mechanism: None,
            status: Status::Idle,
            outcome: None,
            deleted: false,
            start_requested: false,
            all_cancelled: false,
            image: None,
            upload: None,
            devices: vec![],
            targets: vec![],
            words: HashMap::new(),
            refusals: HashMap::new(),
            counts: Counts::default(),
            kinds: Kinds::default(),
            starts: 0,
            epoch: 0,
            nonces: vec![],
            versions: vec![],
            version_index: HashMap::new(),
            commands: VecDeque::new(),
            events: 0,
            last_at: Timestamp(i64::MIN),
            created_at: Timestamp(0),
            started_at: None,
            finished_at: None,
        }
    }

    /// Folds one event of a commit recorded at `at`. Infallible: what was recorded has happened. An
    /// event that names a target outside the snapshot changes no target.
    pub fn apply(&mut self, at: Timestamp, event: &CampaignEvent) {
        self.events += 1;
        self.last_at = self.last_at.max(at);
        match event {
            CampaignEvent::OwnerChanged { epoch, nonce } => {
                self.epoch = *epoch;
                self.nonces.push(*nonce);
            }
            CampaignEvent::CampaignCreated { spec } => {
                self.mechanism = Some(spec.mechanism);
                self.spec = Some(spec.clone());
                self.created_at = at;
            }
            CampaignEvent::CampaignEdited { spec } => {
                // S1 anew: a start by hand holds, unless the edit says another time.
                self.start_requested &= self.spec.as_ref().map(|old| old.start) == Some(spec.start);
                self.mechanism = Some(spec.mechanism);
                self.spec = Some(spec.clone());
                self.status = Status::Idle;
            }
            CampaignEvent::ManualUpdateRequested { update } => {
                self.mechanism = Some(update.mechanism());
                self.add_targets(std::slice::from_ref(&update.device));
                if let ManualSource::File { file, .. } = &update.source {
                    self.upload = Some(file.as_str().into());
                }
                self.manual = Some(update.clone());
                self.status = Status::InProgress;
                self.created_at = at;
                self.started_at = Some(at);
            }
            CampaignEvent::UploadDeleted => self.upload = None,
            CampaignEvent::CommandAccepted => {}
            CampaignEvent::CampaignDeleted => self.deleted = true,
            CampaignEvent::CampaignScheduled => self.status = Status::Scheduled,
            CampaignEvent::StartRequested => self.start_requested = true,
            CampaignEvent::TargetsAdded { devices } => self.add_targets(devices),
            CampaignEvent::CampaignStarted { image } => {
                self.image = Some(image.clone());
                self.status = Status::InProgress;
                self.started_at = Some(at);
                // Their number changes no more (D1).
                self.devices.shrink_to_fit();
                self.targets.shrink_to_fit();
            }
            CampaignEvent::CampaignPausing => self.status = Status::Pausing,
            CampaignEvent::CampaignPaused => self.status = Status::Paused,
            CampaignEvent::CampaignResumed => self.status = Status::InProgress,
            CampaignEvent::CampaignCancelled => {
                self.all_cancelled = true;
                self.finish(at, Outcome::Cancelled);
            }
            CampaignEvent::CampaignFailed => self.finish(at, Outcome::Failure),
            CampaignEvent::CampaignSucceeded => self.finish(at, Outcome::Success),
            _ => self.apply_to_target(at, event),
        }
        if self.manual.is_some() && self.counts.idle + self.counts.in_progress == 0 {
            // A manual update ends with its operation.
            let outcome = match self.counts.successful {
                0 => Outcome::Failure,
                _ => Outcome::Success,
            };
            self.finish(at, outcome);
        }
    }

    fn apply_to_target(&mut self, at: Timestamp, event: &CampaignEvent) {
        match event {
            CampaignEvent::OperationStarted {
                target,
                claim,
                decided_on,
                replaces: _,
            } => {
                self.start_operation(at, *target, *claim, decided_on.as_ref());
            }
            CampaignEvent::RequestRetried { target } => {
                self.change(*target, |t| t.request_retries += 1);
            }
            CampaignEvent::OperationReported { target, word } => {
                self.change(*target, |t| {
                    t.words_recorded = t.words_recorded.saturating_add(1);
                    t.heard = Some(word.status);
                    t.furthest = t.furthest.max(word.status.stage().unwrap_or(0));
                });
                self.keep_word(*target, word);
            }
            CampaignEvent::OperationCancelRequested { target } => {
                self.change(*target, |t| t.cancel_requested = true);
            }
            CampaignEvent::TargetSucceeded { target, reason, .. } => {
                let updated = *reason == TargetReason::Updated;
                self.change(*target, |t| {
                    t.status = TargetStatus::Successful;
                    t.times.end(at);
                    t.reason = Some(*reason);
                    if updated {
                        t.heard = Some(sortie_protocol::Status::Success);
                    }
                });
                if updated && !self.words.is_empty() {
                    // The success is its last word, and says no more than that.
                    self.words.remove(target);
                }
            }
            CampaignEvent::TargetFailed {
                target,
                reason,
                end,
                word,
                refusal,
                ..
            } => {
                self.fail_target(at, *target, *reason, *end, word.as_ref());
                if let Some(why) = refusal {
                    self.refusals.insert(*target, why.clone());
                }
            }
            CampaignEvent::TargetDeferred {
                target,
                reason,
                word,
            } => {
                self.change(*target, |t| {
                    t.status = TargetStatus::Idle;
                    t.times.end(at);
                    t.reason = Some(*reason);
                    t.heard = Some(sortie_protocol::Status::Failure);
                    t.deferrals += 1;
                });
                if let Some(word) = word {
                    self.keep_word(*target, word);
                }
            }
            CampaignEvent::DeviceRemoved { target } => {
                self.change(*target, |t| t.removed = true);
            }
            CampaignEvent::LateReport { target, word } => {
                self.change(*target, |t| {
                    t.late = true;
                    t.heard = Some(word.status);
                });
                self.keep_word(*target, word);
            }
            CampaignEvent::ContradictoryReport { target, .. } => {
                self.change(*target, |t| t.contradicted = true);
            }
            CampaignEvent::ClaimRaised { target, claim } => {
                self.change(*target, |t| t.claim = t.claim.max(*claim));
            }
            // Of the whole campaign: `apply` folds it.
            _ => {}
        }
    }

    /// Keeps the last word of a target's device, if it says more than its status.
    fn keep_word(&mut self, target: TargetIndex, word: &DeviceWord) {
        if word.has_more() && self.target(target).is_some() {
            self.words.insert(target, Box::new(word.clone()));
        } else if !self.words.is_empty() {
            self.words.remove(&target);
        }
    }

    fn finish(&mut self, at: Timestamp, outcome: Outcome) {
        // A cancel of what drains keeps the outcome (L3).
        if self.status != Status::Finished {
            self.status = Status::Finished;
            self.outcome = Some(outcome);
            self.finished_at = Some(at);
        }
    }

    fn add_targets(&mut self, devices: &[DeviceId]) {
        self.devices.extend_from_slice(devices);
        self.targets.resize(self.devices.len(), Target::default());
        // A snapshot has at most 2^32 - 1 targets: the decision bounds it.
        let added = u32::try_from(devices.len()).unwrap_or(u32::MAX);
        self.counts.targets = self.counts.targets.saturating_add(added);
        self.counts.idle = self.counts.idle.saturating_add(added);
        self.kinds.add((TargetStatus::Idle, None), added);
    }

    fn start_operation(
        &mut self,
        at: Timestamp,
        target: TargetIndex,
        claim: u64,
        decided_on: Option<&Arc<str>>,
    ) {
        self.starts += 1;
        let started = self.starts;
        let owner = u16::try_from(self.nonces.len().saturating_sub(1)).unwrap_or(u16::MAX);
        let decided_on = decided_on.map_or(NO_VERSION, |version| self.intern(version));
        if !self.words.is_empty() {
            self.words.remove(&target);
        }
        self.change(target, |t| {
            *t = Target {
                status: TargetStatus::InProgress,
                reason: t.reason,
                deferrals: t.deferrals,
                started,
                claim,
                claim_at_start: claim,
                owner,
                decided_on,
                times: Times::started(at),
                ..Target::default()
            };
        });
    }

    fn fail_target(
        &mut self,
        at: Timestamp,
        target: TargetIndex,
        reason: TargetReason,
        end: End,
        word: Option<&DeviceWord>,
    ) {
        if self
            .targets
            .get(target.index())
            .is_some_and(|t| !t.status.is_terminal())
        {
            self.counts.failed_counted += u32::from(reason.counts());
        }
        self.change(target, |t| {
            t.status = TargetStatus::Failed;
            t.times.end(at);
            t.reason = Some(reason);
            t.end = Some(end);
            if let Some(word) = word {
                t.heard = Some(word.status);
            }
        });
        if let Some(word) = word {
            self.keep_word(target, word);
        }
    }

    /// Changes one target and the counters with it.
    fn change(&mut self, index: TargetIndex, change: impl FnOnce(&mut Target)) {
        let Some(target) = self.targets.get_mut(index.index()) else {
            return;
        };
        let abandoned = |t: &Target| t.claim_phase() == Some(crate::ClaimPhase::Open);
        let before = (target.status, abandoned(target));
        let kind = (target.status, target.reason);
        change(target);
        let after = (target.status, abandoned(target));
        self.kinds.recount(kind, (target.status, target.reason));
        if before.0 != after.0 {
            *self.counts.of(before.0) -= 1;
            *self.counts.of(after.0) += 1;
        }
        self.counts.abandoned -= u32::from(before.1);
        self.counts.abandoned += u32::from(after.1);
    }

    fn intern(&mut self, version: &Arc<str>) -> u32 {
        if let Some(index) = self.version_index.get(version) {
            return *index;
        }
        let index = u32::try_from(self.versions.len()).unwrap_or(NO_VERSION - 1);
        self.versions.push(version.clone());
        self.version_index.insert(version.clone(), index);
        index
    }

    /// Notes that a command was carried out in the commit that was just folded (K1).
    pub fn note_command(&mut self, command: CommandId) {
        if self.commands.len() == COMMANDS_KEPT {
            self.commands.pop_front();
        }
        self.commands.push_back(command);
    }

    /// Whether this command is among the last 256 that were carried out (K1).
    pub fn has_command(&self, command: CommandId) -> bool {
        self.commands.contains(&command)
    }

    /// Whether a cancel waits for the device's word: a person's (X2), or that of a removal (D1).
    pub fn is_cancelling(&self, target: &Target) -> bool {
        target.status == TargetStatus::InProgress
            && (self.all_cancelled || target.cancel_requested || target.removed)
    }

    /// The version that a target's last operation was decided on.
    pub fn decided_on(&self, target: &Target) -> Option<&str> {
        self.versions
            .get(target.decided_on as usize)
            .map(AsRef::as_ref)
    }

    /// The UUID of a target's last operation (W1), if it ever had one.
    pub fn operation(&self, index: TargetIndex) -> Option<OperationId> {
        let target = self.target(index)?;
        let device = self.device(index)?;
        let nonce = self
            .nonces
            .get(usize::from(target.owner))
            .copied()
            .unwrap_or_default();
        (target.claim != 0)
            .then(|| OperationId::derive(self.stream.uuid(), device, target.claim_at_start, nonce))
    }

    /// Its stream.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The campaign's id.
    pub fn id(&self) -> CampaignId {
        CampaignId(self.stream.uuid())
    }

    /// What the campaign is made of; `None` before `CampaignCreated`, and of a manual update.
    pub fn spec(&self) -> Option<&CampaignSpec> {
        self.spec.as_deref()
    }

    /// The manual update that it is, if it is one.
    pub fn manual(&self) -> Option<&ManualUpdate> {
        self.manual.as_deref()
    }

    /// How it is paced, gated and retried.
    pub fn mechanism(&self) -> Option<&PushSpec> {
        self.mechanism.as_ref()
    }

    /// The uploaded file that is to be deleted, its operation having ended (M2).
    pub fn upload_to_delete(&self) -> Option<&str> {
        self.upload
            .as_deref()
            .filter(|_| self.status == Status::Finished)
    }

    /// The last word of a target's device, if it said more than its status.
    pub fn last_word(&self, index: TargetIndex) -> Option<&DeviceWord> {
        self.words.get(&index).map(AsRef::as_ref)
    }

    /// Why the transport refused a target's last request for good, if it did and said so (P5).
    pub fn refusal(&self, index: TargetIndex) -> Option<&str> {
        self.refusals.get(&index).map(AsRef::as_ref)
    }

    /// Its status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Its outcome, once finished.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Whether it was deleted before it started.
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Its counters.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many targets there are of each status and reason, in their order, kept by the fold; idle and
    /// in-progress targets may have no reason.
    pub fn kinds(&self) -> &[((TargetStatus, Option<TargetReason>), u32)] {
        self.kinds.as_slice()
    }

    /// When a target's last operation started.
    pub fn operation_started_at(&self, index: TargetIndex) -> Option<Timestamp> {
        self.target(index)?.times.started_at()
    }

    /// When a target's last operation ended, or when it was judged without one (E).
    pub fn operation_ended_at(&self, index: TargetIndex) -> Option<Timestamp> {
        self.target(index)?.times.ended_at()
    }

    /// Finished, with operations that are still followed to their end (L5).
    pub fn is_draining(&self) -> bool {
        self.status == Status::Finished && self.counts.in_progress > 0
    }

    /// Finished, and nothing is under way or left to do: only a late report can add to its log (L6).
    pub fn is_over(&self) -> bool {
        let drained = self.status == Status::Finished && self.counts.in_progress == 0;
        self.deleted || drained && self.upload_to_delete().is_none()
    }

    /// The image, once started.
    pub fn image(&self) -> Option<&ImageCopy> {
        self.image.as_deref()
    }

    /// The device ids of the snapshot, by target index.
    pub fn devices(&self) -> &[DeviceId] {
        &self.devices
    }

    /// The device of a target.
    pub fn device(&self, index: TargetIndex) -> Option<&DeviceId> {
        self.devices.get(index.index())
    }

    /// The targets, by index.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// One target.
    pub fn target(&self, index: TargetIndex) -> Option<&Target> {
        self.targets.get(index.index())
    }

    /// The epoch of the latest owner.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many events were folded: the stream's version.
    pub fn version(&self) -> u64 {
        self.events
    }

    /// The latest recorded time; wall time is never taken below it (C5).
    pub fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// When it was created.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// When it started.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    /// When it got its outcome.
    pub fn finished_at(&self) -> Option<Timestamp> {
        self.finished_at
    }
}
