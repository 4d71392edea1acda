//! The invariants, checked on the log in the order in which it was committed, and on what left.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;
use sortie_core::{
    CampaignEvent, CatalogState, ClaimPhase, ClaimRow, Counts, DeviceId, Event, ManualSource,
    OperationId, State, StreamId, TargetIndex, TargetReason, TargetStatus,
    campaign::{End, Status},
    explain::{Happened, HistoryRow, Story},
};
use sortie_ports::{Commit, MemoryStore};
use sortie_protocol::{Request, Status as DeviceStatus, Uuid};

use crate::device::Device;

#[derive(Default)]
pub(crate) struct Checker {
    campaigns: BTreeMap<StreamId, Seen>,
    /// The operation in force on each device, over all campaigns (11).
    held: BTreeMap<DeviceId, OperationId>,
    /// Every operation ever started, by UUID.
    started: BTreeMap<Uuid, (StreamId, TargetIndex)>,
    read: BTreeMap<StreamId, u64>,
    catalog: CatalogState,
    pub(crate) events: u64,
    honest: bool,
}

struct Seen {
    state: State,
    terminal: BTreeSet<TargetIndex>,
    /// Nothing may start (4).
    stopped: bool,
}

impl Checker {
    /// `honest`: devices do what they are asked and stay connected, so that no outage may fail one.
    pub(crate) fn new(honest: bool) -> Self {
        Self {
            honest,
            ..Self::default()
        }
    }

    /// Folds what was committed since the last look. It looks after every single append, so that the
    /// order over streams is that of the commits.
    pub(crate) fn look(&mut self, store: &MemoryStore, devices: &[Device]) {
        for stream in store.streams_now() {
            let read = self.read.get(&stream).copied().unwrap_or(0);
            for commit in store.read_now(stream, read, usize::MAX).commits {
                self.read
                    .insert(stream, commit.first + commit.events.len() as u64 - 1);
                self.commit(stream, &commit, devices);
            }
        }
    }

    fn commit(&mut self, stream: StreamId, commit: &Commit, devices: &[Device]) {
        if stream == StreamId::Catalog {
            for event in &commit.events {
                if let Event::Catalog(event) = event {
                    self.catalog.apply(commit.at, event);
                }
            }
            self.nothing_dangles();
            return;
        }
        for event in &commit.events {
            self.events += 1;
            if let Event::Campaign(event) = event {
                self.event(stream, commit, event, devices);
            }
        }
        let seen = self.campaigns.get_mut(&stream).unwrap();
        for command in &commit.commands {
            seen.state.note_command(command.id);
        }
        self.nothing_dangles();
    }

    /// T4: whatever a crash would leave now, nobody lacks an image or, before its start, its Channel.
    fn nothing_dangles(&self) {
        for state in self.states().filter(|state| !state.is_over()) {
            let (stream, spec) = (state.stream(), state.spec());
            let image = match state.manual().map(|update| &update.source) {
                Some(ManualSource::BaseImage { base_image, .. }) => Some(base_image),
                _ => spec.map(|spec| &spec.base_image),
            };
            let lacks = image.filter(|id| !self.catalog.base_images().contains_key(id));
            assert!(lacks.is_none(), "T4: {stream} lacks {lacks:?}");
            let channel = spec.filter(|_| state.started_at().is_none());
            let channel = channel.map(|spec| &spec.channel);
            let lacks = channel.filter(|id| !self.catalog.channels().contains_key(id));
            assert!(lacks.is_none(), "T4: {stream} lacks channel {lacks:?}");
        }
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one match over all events reads as the list of rules"
    )]
    fn event(&mut self, id: StreamId, commit: &Commit, event: &CampaignEvent, devices: &[Device]) {
        let seen = self.campaigns.entry(id).or_insert_with(|| Seen {
            state: State::of(id),
            terminal: BTreeSet::new(),
            stopped: true,
        });
        let before = event.target().and_then(|t| seen.state.target(t)).cloned();
        let operation_before = event.target().and_then(|t| seen.state.operation(t));
        seen.state.apply(commit.at, event);
        let state = &seen.state;
        if let Some(index) = event.target() {
            assert!(before.is_some(), "2: {event:?} is outside the snapshot");
            let was = before.as_ref().unwrap().status;
            let is = state.target(index).unwrap().status;
            if was != is && is.is_terminal() {
                assert!(
                    seen.terminal.insert(index),
                    "3: a second outcome: {event:?}"
                );
            }
            assert!(
                !was.is_terminal() || was == is,
                "3: an outcome changed: {event:?}"
            );
        }
        match event {
            CampaignEvent::OperationStarted {
                target,
                decided_on,
                claim,
                ..
            } => {
                let limit = state.mechanism().unwrap().max_in_progress_operations;
                assert!(
                    state.counts().in_progress <= limit,
                    "1: {:?}",
                    state.counts()
                );
                assert!(!seen.stopped, "4: {event:?} after a stop");
                if state.manual().is_none() {
                    check_eligible(state, decided_on.as_deref());
                }
                let device = state.device(*target).unwrap().clone();
                let operation = state.operation(*target).unwrap();
                let other = self.held.insert(device.clone(), operation);
                assert!(
                    other.is_none(),
                    "11: {device} is held by {other:?}, and {operation} starts"
                );
                let again = self.started.insert(operation.0, (id, *target));
                assert!(
                    again.is_none(),
                    "W1: {operation} started twice (claim {claim})"
                );
            }
            CampaignEvent::TargetSucceeded {
                target,
                reason: TargetReason::Updated,
                ..
            } => {
                let uuid = operation_before.unwrap().0;
                let said = truth(devices, state.device(*target).unwrap(), uuid);
                assert_eq!(
                    said,
                    Some(DeviceStatus::Success),
                    "7: {event:?} is not the device's word"
                );
                self.held.remove(state.device(*target).unwrap());
            }
            CampaignEvent::TargetFailed {
                target,
                end,
                reason,
                ..
            } => {
                if *reason == TargetReason::Expired {
                    let until = state.manual().unwrap().wait_until.unwrap();
                    assert!(until <= commit.at, "M3: expired before {until}");
                }
                if *end == End::Answered {
                    let uuid = operation_before.unwrap().0;
                    let said = truth(devices, state.device(*target).unwrap(), uuid);
                    assert_eq!(said, Some(DeviceStatus::Failure), "7: {event:?}");
                }
                if self.honest {
                    let outage = matches!(
                        reason,
                        TargetReason::RequestTimeout
                            | TargetReason::Stalled
                            | TargetReason::SendRefused
                    );
                    assert!(!outage, "10: an outage failed a target: {event:?}");
                }
                if *end != End::NotSent {
                    self.held.remove(state.device(*target).unwrap());
                }
            }
            CampaignEvent::TargetDeferred { target, .. } => {
                let uuid = operation_before.unwrap().0;
                let said = truth(devices, state.device(*target).unwrap(), uuid);
                assert_eq!(said, Some(DeviceStatus::Failure), "7: {event:?}");
                self.held.remove(state.device(*target).unwrap());
            }
            CampaignEvent::LateReport { target, word } => {
                let uuid = operation_before.unwrap().0;
                let said = truth(devices, state.device(*target).unwrap(), uuid);
                assert_eq!(said, Some(word.status), "7: {event:?}");
            }
            CampaignEvent::ContradictoryReport { .. } => {
                panic!("7: devices tell one result for a UUID: {event:?}");
            }
            CampaignEvent::CampaignStarted { image } => {
                seen.stopped = false;
                let wanted = &state.spec().unwrap().base_image.version;
                assert_eq!(
                    image.version, *wanted,
                    "L1: what starts is not what was asked for"
                );
            }
            CampaignEvent::CampaignResumed | CampaignEvent::ManualUpdateRequested { .. } => {
                seen.stopped = false;
            }
            CampaignEvent::CampaignPausing
            | CampaignEvent::CampaignCancelled
            | CampaignEvent::CampaignFailed => seen.stopped = true,
            CampaignEvent::CampaignPaused | CampaignEvent::CampaignSucceeded => {
                seen.stopped = true;
                assert_eq!(state.counts().in_progress, 0, "5: {event:?}");
            }
            _ => {}
        }
        check_counts(state);
        check_threshold(state);
    }

    /// 8: what leaves has its cause in the log; and the register's owner is the claim's (W3).
    pub(crate) fn leaves(&self, device: &DeviceId, request: &Request, claims: &[ClaimRow]) {
        let claim = claims.iter().find(|row| row.device == *device);
        let Some(claim) = claim else {
            panic!("8: {request:?} for {device}, which has no claim")
        };
        let number = request.generation().claim_number();
        assert!(
            number <= claim.number,
            "8: {request:?} is ahead of {claim:?}"
        );
        if let Some(uuid) = request.operation() {
            let (campaign, target) = self.started.get(&uuid).expect("8: not started in the log");
            let state = &self.campaigns[campaign].state;
            let t = state.target(*target).unwrap();
            let current = state.operation(*target).unwrap().0 == uuid;
            if let Request::Update(..) = request {
                let in_force = t.status == TargetStatus::InProgress && current;
                assert!(in_force, "8: {request:?} and the target is {t:?}");
                assert!(
                    !state.is_cancelling(t),
                    "X2: an Update is written after the cancel"
                );
            } else {
                let over = !current || state.is_cancelling(t) || t.end == Some(End::Abandoned);
                assert!(over, "8: {request:?} and the target is {t:?}");
            }
        }
    }

    /// D1: the streams in which a removal of the device is to be recorded.
    pub(crate) fn concerned(&self, device: &DeviceId) -> Vec<StreamId> {
        let concerned = self.states().filter(|state| {
            let targets = state.devices().iter().zip(state.targets());
            let mut own = targets.filter(|(id, _)| *id == device);
            own.any(|(_, target)| !target.status.is_terminal())
        });
        concerned.map(State::stream).collect()
    }

    /// D1: they have it, before anybody is told so, or anything deleted.
    pub(crate) fn has_removal(&self, device: &DeviceId, streams: &[StreamId]) {
        for stream in streams {
            let state = &self.campaigns[stream].state;
            let own = state.devices().iter().position(|id| id == device).unwrap();
            let target = &state.targets()[own];
            let idle = target.status == TargetStatus::Idle && state.status() == Status::Finished;
            assert!(
                target.status.is_terminal() || target.removed || idle,
                "D1: {stream} does not know that {device} was removed: {target:?}"
            );
        }
    }

    /// D1: nothing is deleted of a device on which an operation is in force.
    pub(crate) fn forgets(&self, device: &DeviceId) {
        let held = self.held.get(device);
        assert!(
            held.is_none(),
            "D1: {device} is forgotten while {held:?} is in force"
        );
    }

    /// 6: the live state is the fold of the log.
    pub(crate) fn same_as(&self, live: &State) {
        let folded = &self.campaigns[&live.stream()].state;
        assert!(folded == live, "6: live {live:#?}\nfolded {folded:#?}");
    }

    /// The claims beside the log are what the logs say.
    pub(crate) fn claims(&self, claims: &[ClaimRow]) {
        let held: BTreeMap<_, _> = claims
            .iter()
            .filter(|row| row.phase == ClaimPhase::Held)
            .map(|row| (row.device.clone(), row.operation))
            .collect();
        assert_eq!(held, self.held, "11: held claims beside the log and in it");
    }

    pub(crate) fn campaigns(&self) -> impl Iterator<Item = &State> {
        let campaign = |state: &&State| matches!(state.stream(), StreamId::Campaign(_));
        self.states().filter(campaign)
    }

    /// What is told of each target is what the fold says of it.
    pub(crate) fn stories(&self, log: &MemoryStore) {
        for (stream, Seen { state, .. }) in &self.campaigns {
            let commits = log.read_now(*stream, 0, usize::MAX).commits;
            for (index, device) in (0..).map(TargetIndex).zip(state.devices()) {
                let mut story = Story::new(*stream, device.clone());
                for commit in &commits {
                    let events = commit.events.iter().filter_map(|event| match event {
                        Event::Campaign(event) => Some(event),
                        _ => None,
                    });
                    story.commit(commit.at, &[], events);
                }
                let told = story.end().unwrap();
                let target = state.target(index).unwrap();
                assert_eq!(
                    (told.target, told.status, told.reason, told.version),
                    (
                        Some(index),
                        Some(target.status),
                        target.reason,
                        state.version()
                    ),
                    "a story is not the fold's: {told}"
                );
                assert_eq!(
                    (told.campaign_status, told.outcome),
                    (state.status(), state.outcome())
                );
                let row = HistoryRow::from(&told);
                let last = row.operations.last();
                let operation = last.map(|last| last.operation);
                assert_eq!(operation, state.operation(index), "{told}");
                let started = last.map(|last| last.started_at);
                assert_eq!(started, state.operation_started_at(index), "{told}");
                let ended = row.ended_at.or_else(|| last?.ended_at);
                assert_eq!(ended, state.operation_ended_at(index), "{told}");
                let over = target.status.is_terminal() || state.status() == Status::Finished;
                let goes_on = target.status == TargetStatus::InProgress;
                assert_eq!(told.end.is_some(), over && !goes_on, "{told}");
                for step in &told.steps {
                    if let Happened::ThresholdCrossed { failed, .. } = step.what {
                        let share = u64::from(failed) * 10_000;
                        let limit = state.mechanism().unwrap().max_failure_hundredths;
                        let limit = u64::from(limit) * u64::from(state.counts().targets);
                        assert!(share > limit, "F1: {told}");
                    }
                }
            }
        }
    }

    /// What was created or asked for. A stream without it is left behind when a crash comes before it,
    /// and what it needs is gone when that is asked for again.
    pub(crate) fn states(&self) -> impl Iterator<Item = &State> {
        let states = self.campaigns.values().map(|seen| &seen.state);
        states.filter(|state| state.mechanism().is_some())
    }
}

fn truth(devices: &[Device], id: &DeviceId, uuid: Uuid) -> Option<DeviceStatus> {
    let device = devices.iter().find(|device| device.id == *id)?;
    device.told.get(&uuid).map(|report| report.status)
}

/// Rules E, written again, naively.
fn check_eligible(state: &State, decided_on: Option<&str>) {
    let image = state.image().unwrap();
    let running = Version::parse(decided_on.expect("E1: pushed without a version")).expect("E1");
    let forced = state.spec().unwrap().mechanism.force_downgrade;
    let key = |v: &Version| (v.major, v.minor, v.patch);
    assert!(running != image.version, "E2: pushed what runs already");
    assert!(
        forced || key(&image.version) > key(&running),
        "2: an unforced downgrade from {running}"
    );
}

fn check_counts(state: &State) {
    let mut counts = Counts::default();
    for target in state.targets() {
        counts.targets += 1;
        match target.status {
            TargetStatus::Idle => counts.idle += 1,
            TargetStatus::InProgress => counts.in_progress += 1,
            TargetStatus::Successful => counts.successful += 1,
            TargetStatus::Failed => counts.failed += 1,
        }
        let failed = target.status == TargetStatus::Failed;
        counts.failed_counted += u32::from(failed && target.reason.unwrap().counts());
        let open = target.end == Some(End::Abandoned) && !target.late && !target.removed;
        counts.abandoned += u32::from(failed && open);
    }
    assert_eq!(state.counts(), counts, "the counters are not the targets'");
    let mut kinds = BTreeMap::new();
    for target in state.targets() {
        *kinds.entry((target.status, target.reason)).or_default() += 1;
    }
    let kinds: Vec<_> = kinds.into_iter().collect();
    assert_eq!(state.kinds(), kinds, "the kinds are not the targets'");
}

fn check_threshold(state: &State) {
    let running = matches!(
        state.status(),
        Status::InProgress | Status::Pausing | Status::Paused
    );
    let counts = state.counts();
    if running && counts.targets > 0 && state.manual().is_none() {
        let limit = f64::from(state.spec().unwrap().mechanism.max_failure_hundredths) / 100.0;
        let failed = f64::from(counts.failed_counted) * 100.0 / f64::from(counts.targets);
        // The failure that crosses it is followed by the end of the campaign, event by event.
        let before =
            f64::from(counts.failed_counted.saturating_sub(1)) * 100.0 / f64::from(counts.targets);
        assert!(
            failed <= limit || before <= limit,
            "F1: {failed} % failed, {limit} % allowed"
        );
    }
}
