//! Folds the commits of one stream for one device.

use std::{mem::discriminant, sync::Arc};

use sortie_protocol::DeviceId;
use uuid::Uuid;

use super::{
    By, Ending, Explanation, Happened, Step,
    why::{self, Known},
};
use crate::{
    BaseImageId, OperationId, Status, StreamId, TargetIndex, TargetReason, TargetStatus, Timestamp,
    campaign::{
        CampaignEvent, CampaignSpec, DeviceWord, End, ImageCopy, ManualSource, ManualUpdate,
        Outcome, PushSpec, backoff_ms,
    },
};

/// Tells one device's story from the commits of a stream, given in order by [`Story::commit`].
///
/// It keeps what one target needs, and of the others their number only, however large the campaign.
#[derive(Debug, Clone)]
pub struct Story {
    stream: StreamId,
    device: DeviceId,
    steps: Vec<Step>,
    version: u64,
    /// The campaign's name; `None`: nothing was recorded of it yet.
    name: Option<String>,
    mechanism: Option<PushSpec>,
    base_image: Option<BaseImageId>,
    image: Option<ImageCopy>,
    /// How long a manual update waits for its device (M3); `None`: it is none, or does not.
    wait_until: Option<Timestamp>,
    has_started: bool,
    campaign_status: Status,
    deleted: bool,
    outcome: Option<Outcome>,
    targets: u32,
    failed_counted: u32,
    nonce: Uuid,
    target: Option<TargetIndex>,
    status: TargetStatus,
    reason: Option<TargetReason>,
    end: Option<End>,
    /// The operation under way, or the last one.
    operation: Option<OperationId>,
    /// The abandoned operation that the device may still be busy with: its claim was taken over (O3), and
    /// since then it has answered nothing else (O4).
    replaces: Option<OperationId>,
    /// What was known of the device when the target ended.
    decided_on: Option<Arc<str>>,
    system_model: Option<Arc<str>>,
    /// Why the transport refused its request (P5).
    refusal: Option<Arc<str>>,
    deferrals: u32,
    retries: u32,
    word: Option<DeviceWord>,
    /// Who cancelled the operation, if a person did (X2).
    cancelled: Option<Vec<By>>,
    late: bool,
    /// The version of this target's failure, which may be the one too many (F1).
    failed_in: u64,
}

impl Story {
    /// A story before its first commit.
    pub fn new(stream: StreamId, device: DeviceId) -> Self {
        Self {
            stream,
            device,
            steps: vec![],
            version: 0,
            name: None,
            mechanism: None,
            base_image: None,
            image: None,
            wait_until: None,
            has_started: false,
            campaign_status: Status::Idle,
            deleted: false,
            outcome: None,
            targets: 0,
            failed_counted: 0,
            nonce: Uuid::nil(),
            target: None,
            status: TargetStatus::Idle,
            reason: None,
            end: None,
            operation: None,
            replaces: None,
            decided_on: None,
            system_model: None,
            refusal: None,
            deferrals: 0,
            retries: 0,
            word: None,
            cancelled: None,
            late: false,
            failed_in: 0,
        }
    }

    /// Folds a commit: when it was recorded, for whose commands, and its events.
    pub fn commit<'a>(
        &mut self,
        at: Timestamp,
        commands: &[By],
        events: impl Iterator<Item = &'a CampaignEvent> + Clone,
    ) {
        // Each command that is recorded led to one event of its own, and both are in order. A removal may
        // have been told by a command, or found out.
        let count =
            |of: fn(&CampaignEvent) -> bool| events.clone().filter(|event| of(event)).count();
        let (asked_for, removals) = (count(is_asked_for), count(is_removal));
        let removals_told = removals > 0 && commands.len() == asked_for + removals;
        let one_each = removals_told || commands.len() == asked_for;
        let mut given = commands.iter();
        for event in events {
            let by = match is_asked_for(event) || removals_told && is_removal(event) {
                true if one_each => given.next().into_iter().cloned().collect(),
                true => commands.to_vec(),
                false => vec![],
            };
            self.version += 1;
            self.apply(at, event, by);
        }
    }

    /// The story so far; `None`: there is no such campaign, or it has started and the device is no
    /// target of it.
    pub fn end(self) -> Option<Explanation> {
        let name = self.name.clone()?;
        if self.deleted || self.target.is_none() && self.has_started {
            return None;
        }
        let end = self.ending();
        Some(Explanation {
            stream: self.stream,
            name,
            image: self.base_image,
            device: self.device,
            target: self.target,
            campaign_status: self.campaign_status,
            outcome: self.outcome,
            status: self.target.map(|_| self.status),
            reason: self.reason,
            steps: self.steps,
            end,
            waiting: None,
            version: self.version,
        })
    }

    fn ending(&self) -> Option<Ending> {
        self.target?;
        let over = self.campaign_status == Status::Finished;
        let known = Known {
            manual: self.is_manual(),
            mechanism: self.mechanism.as_ref()?,
            wait_until: self.wait_until,
            image: self.image.as_ref(),
            decided_on: self.decided_on.as_deref(),
            system_model: self.system_model.as_deref(),
            refusal: self.refusal.as_deref(),
            word: self.word.as_ref(),
            end: self.end,
            late: self.late,
            cancelled: self.cancelled.as_deref(),
            deferrals: self.deferrals,
            retries: self.retries,
            base_image: self.base_image.as_ref(),
        };
        match (self.status, self.reason) {
            (TargetStatus::Successful | TargetStatus::Failed, Some(reason)) => {
                Some(why::ended(reason, &known))
            }
            (TargetStatus::Idle, reason) if over => Some(why::not_attempted(self.outcome, reason)),
            _ => None,
        }
    }

    fn is_manual(&self) -> bool {
        matches!(self.stream, StreamId::Manual(_))
    }

    fn apply(&mut self, at: Timestamp, event: &CampaignEvent, by: Vec<By>) {
        if let CampaignEvent::TargetFailed { reason, .. } = event {
            self.failed_counted += u32::from(reason.counts());
        }
        match event.target() {
            Some(target) if Some(target) == self.target => self.own(at, event, by),
            Some(_) => {}
            None => self.of_campaign(at, event, by),
        }
        if self.is_manual() && self.status.is_terminal() {
            // A manual update ends with its operation.
            self.finish(match self.status {
                TargetStatus::Successful => Outcome::Success,
                _ => Outcome::Failure,
            });
        }
    }

    /// An event of the whole campaign; told if it mattered to this target.
    fn of_campaign(&mut self, at: Timestamp, event: &CampaignEvent, by: Vec<By>) {
        let goes_on = !self.status.is_terminal();
        match event {
            CampaignEvent::OwnerChanged { nonce, .. } => {
                self.nonce = *nonce;
                let timers = self.status == TargetStatus::InProgress
                    || self.status == TargetStatus::Idle && self.deferrals > 0;
                if self.target.is_some() && timers {
                    self.again(at, "C2", Happened::OwnerChanged);
                }
            }
            CampaignEvent::CampaignCreated { spec } => self.made(at, spec, false, by),
            CampaignEvent::CampaignEdited { spec } => {
                self.campaign_status = Status::Idle;
                self.made(at, spec, true, by);
            }
            CampaignEvent::CampaignDeleted => self.deleted = true,
            CampaignEvent::CampaignScheduled => {
                self.campaign_status = Status::Scheduled;
                self.tell(at, "S1", by, Happened::Scheduled);
            }
            CampaignEvent::StartRequested => self.tell(at, "S1", by, Happened::StartRequested),
            CampaignEvent::TargetsAdded { devices } => {
                if let Some(place) = devices.iter().position(|device| *device == self.device) {
                    let place = u32::try_from(place).unwrap_or(u32::MAX);
                    self.target = Some(TargetIndex(self.targets.saturating_add(place)));
                }
                let added = u32::try_from(devices.len()).unwrap_or(u32::MAX);
                self.targets = self.targets.saturating_add(added);
            }
            CampaignEvent::CampaignStarted { image } => {
                self.image = Some((**image).clone());
                self.has_started = true;
                self.campaign_status = Status::InProgress;
                let targets = self.targets;
                self.tell(at, "S2", by, Happened::Snapshotted { targets });
            }
            CampaignEvent::CampaignPausing => {
                self.campaign_status = Status::Pausing;
                self.tell_if(goes_on, at, "L2", by, Happened::Pausing);
            }
            CampaignEvent::CampaignPaused => {
                self.campaign_status = Status::Paused;
                self.tell_if(goes_on, at, "L2", by, Happened::Paused);
            }
            CampaignEvent::CampaignResumed => {
                self.campaign_status = Status::InProgress;
                self.tell_if(goes_on, at, "L2", by, Happened::Resumed);
            }
            CampaignEvent::CampaignCancelled => {
                self.finish(Outcome::Cancelled);
                if self.status == TargetStatus::InProgress && self.cancelled.is_none() {
                    self.cancelled = Some(by.clone());
                }
                self.tell_if(goes_on, at, "L3", by, Happened::Cancelled);
            }
            CampaignEvent::CampaignFailed => {
                self.finish(Outcome::Failure);
                let mechanism = self.mechanism.as_ref();
                let what = Happened::ThresholdCrossed {
                    failed: self.failed_counted,
                    targets: self.targets,
                    max_failure_hundredths: mechanism.map_or(0, |m| m.max_failure_hundredths),
                };
                self.tell_if(
                    goes_on || self.failed_in + 1 == self.version,
                    at,
                    "F1",
                    by,
                    what,
                );
            }
            CampaignEvent::CampaignSucceeded => self.finish(Outcome::Success),
            CampaignEvent::ManualUpdateRequested { update } => self.manual(at, update, by),
            CampaignEvent::UploadDeleted => self.tell(at, "M2", by, Happened::UploadDeleted),
            _ => {}
        }
    }

    /// An event of this target.
    fn own(&mut self, at: Timestamp, event: &CampaignEvent, by: Vec<By>) {
        let mechanism = self.mechanism;
        match event {
            CampaignEvent::OperationStarted {
                claim,
                decided_on,
                replaces,
                ..
            } => self.started(at, *claim, decided_on.as_ref(), *replaces),
            CampaignEvent::RequestRetried { .. } => {
                self.retries += 1;
                let most = mechanism.map_or(0, |m| m.request_retries);
                let nth = self.retries;
                self.again(at, "P4", Happened::RequestRetried { nth, most });
            }
            CampaignEvent::OperationReported { word, .. } => {
                self.word = Some(word.clone());
                let word = word.clone();
                self.tell(at, "R2", by, Happened::Reported { word });
            }
            CampaignEvent::OperationCancelRequested { .. } => {
                self.cancelled.get_or_insert_with(|| by.clone());
                self.tell(at, "X2", by, Happened::CancelRequested);
            }
            CampaignEvent::TargetSucceeded {
                reason, decided_on, ..
            } => {
                self.saw(decided_on.as_ref());
                (self.status, self.reason) = (TargetStatus::Successful, Some(*reason));
                let rule = why::rule(*reason, self.cancelled.is_some(), self.is_manual());
                self.tell(at, rule, by, Happened::Succeeded { reason: *reason });
            }
            CampaignEvent::TargetFailed {
                reason,
                end,
                word,
                decided_on,
                system_model,
                refusal,
                ..
            } => {
                (self.status, self.reason) = (TargetStatus::Failed, Some(*reason));
                self.end = Some(*end);
                self.failed_in = self.version;
                self.saw(decided_on.as_ref());
                self.system_model.clone_from(system_model);
                self.refusal.clone_from(refusal);
                if word.is_some() {
                    self.word.clone_from(word);
                }
                if !by.is_empty() && *reason == TargetReason::Canceled {
                    self.cancelled.get_or_insert_with(|| by.clone());
                }
                let what = Happened::Failed {
                    reason: *reason,
                    end: *end,
                    word: word.clone(),
                    refusal: refusal.clone(),
                    held_up_by: self.held_up_by(*reason),
                };
                let rule = why::rule(*reason, false, self.is_manual());
                self.tell(at, rule, by, what);
            }
            CampaignEvent::TargetDeferred { reason, word, .. } => {
                (self.status, self.reason) = (TargetStatus::Idle, Some(*reason));
                self.deferrals += 1;
                let what = Happened::Deferred {
                    reason: *reason,
                    word: word.clone(),
                    nth: self.deferrals,
                    most: mechanism.map_or(0, |m| m.busy_retries),
                    backoff_ms: backoff_ms(self.deferrals),
                    held_up_by: self.held_up_by(*reason),
                };
                self.tell(at, "R4", by, what);
            }
            CampaignEvent::DeviceRemoved { .. } => self.tell(at, "D1", by, Happened::DeviceRemoved),
            CampaignEvent::LateReport { word, .. } => {
                self.late = true;
                let word = word.clone();
                self.tell(at, "R5", by, Happened::LateReport { word });
            }
            CampaignEvent::ContradictoryReport { word, .. } => {
                let word = word.clone();
                self.tell(at, "R5", by, Happened::Contradiction { word });
            }
            CampaignEvent::ClaimRaised { .. } => self.again(at, "W5", Happened::ClaimRaised),
            _ => {}
        }
    }

    /// M: its device is the only target.
    fn manual(&mut self, at: Timestamp, update: &ManualUpdate, by: Vec<By>) {
        let source = update.source.to_string();
        self.name = Some(update.name());
        self.mechanism = Some(update.mechanism());
        if let ManualSource::BaseImage { base_image, image } = &update.source {
            self.base_image = Some(base_image.clone());
            self.image = Some((**image).clone());
        }
        self.has_started = true;
        self.campaign_status = Status::InProgress;
        self.targets = 1;
        self.target = (update.device == self.device).then_some(TargetIndex(0));
        self.wait_until = update.wait_until;
        let what = Happened::ManualRequested {
            source,
            wait_until: update.wait_until,
            risk_acknowledged: update.risk_acknowledged,
        };
        self.tell(at, "M3", by, what);
    }

    /// A verdict names what it was decided on; an operation named it at its start.
    fn saw(&mut self, decided_on: Option<&Arc<str>>) {
        if let Some(decided_on) = decided_on {
            self.decided_on = Some(decided_on.clone());
        }
    }

    fn made(&mut self, at: Timestamp, spec: &CampaignSpec, edited: bool, by: Vec<By>) {
        let mechanism = &spec.mechanism;
        let what = Happened::Made {
            edited,
            start: spec.start,
            max_in_progress_operations: mechanism.max_in_progress_operations,
            max_failure_hundredths: mechanism.max_failure_hundredths,
            force_downgrade: mechanism.force_downgrade,
        };
        self.name = Some(spec.name.clone());
        self.mechanism = Some(spec.mechanism);
        self.base_image = Some(spec.base_image.clone());
        self.tell(at, if edited { "L1" } else { "S3" }, by, what);
    }

    fn started(
        &mut self,
        at: Timestamp,
        claim: u64,
        decided_on: Option<&Arc<str>>,
        replaces: Option<OperationId>,
    ) {
        let (stream, device) = (self.stream.uuid(), &self.device);
        let operation = OperationId::derive(stream, device, claim, self.nonce);
        self.status = TargetStatus::InProgress;
        self.operation = Some(operation);
        let still_busy = self.reason == Some(TargetReason::DeviceBusy);
        self.replaces = replaces.or(self.replaces.filter(|_| still_busy));
        self.decided_on = decided_on.cloned();
        (self.retries, self.word, self.cancelled) = (0, None, None);
        let version = self.image.as_ref().map(|image| image.version.to_string());
        let what = Happened::OperationStarted {
            operation,
            decided_on: decided_on.cloned(),
            version,
            replaces,
        };
        self.tell(at, "P3", vec![], what);
    }

    /// O4.
    fn held_up_by(&self, reason: TargetReason) -> Option<OperationId> {
        self.replaces.filter(|_| reason == TargetReason::DeviceBusy)
    }

    fn finish(&mut self, outcome: Outcome) {
        if self.campaign_status != Status::Finished {
            self.campaign_status = Status::Finished;
            self.outcome = Some(outcome);
        }
    }

    fn tell_if(
        &mut self,
        mattered: bool,
        at: Timestamp,
        rule: &'static str,
        by: Vec<By>,
        what: Happened,
    ) {
        if mattered {
            self.tell(at, rule, by, what);
        }
    }

    fn tell(&mut self, at: Timestamp, rule: &'static str, by: Vec<By>, what: Happened) {
        let (until, times) = (None, 1);
        self.steps.push(Step {
            at,
            until,
            times,
            rule,
            by,
            what,
        });
    }

    /// Like [`Story::tell`]; what happens again in a row is counted, not told again.
    fn again(&mut self, at: Timestamp, rule: &'static str, what: Happened) {
        match self.steps.last_mut() {
            Some(last) if discriminant(&last.what) == discriminant(&what) => {
                last.times += 1;
                last.until = Some(at);
                last.what = what;
            }
            _ => self.tell(at, rule, vec![], what),
        }
    }
}

/// Whether a command led to the event: each that is recorded led to one (K1).
fn is_asked_for(event: &CampaignEvent) -> bool {
    matches!(
        event,
        CampaignEvent::CampaignCreated { .. }
            | CampaignEvent::CampaignEdited { .. }
            | CampaignEvent::CampaignDeleted
            | CampaignEvent::StartRequested
            | CampaignEvent::CampaignPausing
            | CampaignEvent::CampaignResumed
            | CampaignEvent::CampaignCancelled
            | CampaignEvent::OperationCancelRequested { .. }
            | CampaignEvent::ManualUpdateRequested { .. }
            | CampaignEvent::CommandAccepted
            // A manual update cancelled before it was sent.
            | CampaignEvent::TargetFailed {
                reason: TargetReason::Canceled,
                end: End::NotSent,
                ..
            }
    )
}

/// Whether the event is all that a device's removal led to (D1).
fn is_removal(event: &CampaignEvent) -> bool {
    matches!(
        event,
        CampaignEvent::DeviceRemoved { .. }
            | CampaignEvent::TargetFailed {
                reason: TargetReason::DeviceRemoved,
                end: End::NotSent,
                ..
            }
    )
}
