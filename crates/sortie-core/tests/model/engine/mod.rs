//! The core under test: real campaigns and manual updates over one fleet, with the test as their node.
//!
//! As a node does, it makes what was decided durable, lets the claims follow the log, and tells every
//! stream what changed of a device. It knows the operations from the log alone.
//!
//! `words.rs`: the plain words of the tests, as the core's types, and back.

pub(crate) mod words;

use std::collections::{BTreeMap, BTreeSet};

use sortie_core::{
    Campaign, CampaignEvent, CampaignId, ClaimPhase, ClaimRow, CommandId, DeviceSlot, Event, Fleet,
    Input, Listened, ManualUpdateId, Now, OperationId, Output, Rejection, State, StreamId,
    TargetIndex, Timestamp,
};
use sortie_protocol::{BaseImage, Birth, Generation, Progress};
use uuid::Uuid;

use super::{
    log::Log,
    reference::SETTLE,
    said::{Operation, Said},
    step::{About, Ask, CAMPAIGNS, DEVICES, Passing, STREAMS, Setup, Step, Who},
};
use words::{device_id, device_number, index};

/// One commit of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) at: Timestamp,
    pub(crate) events: Vec<CampaignEvent>,
    pub(crate) command: Option<CommandId>,
}

/// A stream and its log.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: StreamId,
    pub(crate) campaign: Campaign,
    pub(crate) log: Vec<Commit>,
    /// The state after each commit: any of them may be a snapshot.
    pub(crate) snapshots: Vec<State>,
    last_ask: Option<(u64, Ask)>,
    asked: u64,
}

/// All that a node has.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) setup: Setup,
    pub(crate) streams: Vec<Live>,
    pub(crate) fleet: Fleet,
    pub(crate) slots: Vec<DeviceSlot>,
    births: Vec<Option<Birth>>,
    pub(crate) link: bool,
    pub(crate) wall: i64,
    pub(crate) listened: u64,
    settling: u64,
    /// How long the next append takes.
    hang: u64,
    /// Every operation ever begun, by its UUID (W1).
    pub(crate) operations: BTreeMap<OperationId, Operation>,
    /// What the last step led to, one entry a decision.
    pub(crate) said: Vec<Said>,
    /// Each decision of the last step, as the core put it.
    pub(crate) outputs: Vec<(usize, Output)>,
    /// All that was ever made durable, see [`Self::log`].
    pub(crate) all: Vec<(usize, CampaignEvent)>,
}

fn nonce(stream: usize, epoch: u64) -> Uuid {
    Uuid::from_u128(1_000 * (stream as u128 + 1) + u128::from(epoch))
}

impl Live {
    fn new(number: usize, fleet: &Fleet) -> Self {
        let name = number.to_string();
        let id = if number < CAMPAIGNS {
            StreamId::Campaign(CampaignId::from_name(&name))
        } else {
            StreamId::Manual(ManualUpdateId::from_name(&name))
        };
        let now = Now {
            at: Timestamp(0),
            listened: Listened(0),
        };
        Self {
            id,
            campaign: Campaign::arm(State::of(id), vec![], fleet, now),
            log: vec![],
            snapshots: vec![State::of(id)],
            last_ask: None,
            asked: 0,
        }
    }
}

impl Engine {
    pub(crate) fn new(setup: Setup) -> Self {
        let mut fleet = Fleet::default();
        fleet.link(true);
        let slots = (0..DEVICES).map(|device| fleet.slot(&device_id(device)));
        let slots = slots.collect();
        let mut engine = Self {
            setup,
            streams: (0..STREAMS)
                .map(|number| Live::new(number, &fleet))
                .collect(),
            fleet,
            slots,
            births: vec![None; DEVICES],
            link: true,
            wall: 1_000,
            listened: 0,
            settling: 0,
            hang: 0,
            operations: BTreeMap::new(),
            said: vec![],
            outputs: vec![],
            all: vec![],
        };
        for stream in 0..STREAMS {
            engine.own(stream);
        }
        engine
    }

    pub(crate) fn state(&self, stream: usize) -> &State {
        self.streams[stream].campaign.state()
    }

    /// All that was ever made durable.
    pub(crate) fn log(&self) -> Log<'_> {
        Log(&self.all)
    }

    pub(crate) fn now(&self, stream: usize) -> Now {
        // C5: never below the stream's last recorded time.
        Now {
            at: Timestamp(self.wall).max(self.state(stream).last_at()),
            listened: Listened(self.listened),
        }
    }

    pub(crate) fn target_of(&self, stream: usize, device: usize) -> Option<usize> {
        let devices = self.state(stream).devices();
        devices.iter().position(|id| *id == device_id(device))
    }

    fn own(&mut self, stream: usize) {
        let epoch = self.state(stream).epoch() + 1;
        let nonce = nonce(stream, epoch);
        self.input(stream, Input::Own { epoch, nonce });
    }

    fn decide(&mut self, stream: usize, input: Input) -> (Output, Result<(), Rejection>, Now) {
        let now = self.now(stream);
        let mut out = Output::default();
        let before = matches!(input, Input::Command(_)).then(|| self.state(stream).clone());
        let live = &mut self.streams[stream].campaign;
        let result = live.handle(&self.fleet, input, now, &mut out);
        if result.is_err() {
            assert_eq!(
                before.as_ref(),
                Some(live.state()),
                "L1: a refusal changes nothing"
            );
            assert_eq!(out, Output::default(), "L1: a refusal says nothing");
        }
        (out, result, now)
    }

    pub(crate) fn input(&mut self, stream: usize, input: Input) {
        let (out, result, now) = self.decide(stream, input);
        result.expect("only commands are refused");
        self.commit(stream, out, now, None, false);
    }

    /// Makes what was decided durable; what follows is the node's part.
    fn commit(
        &mut self,
        stream: usize,
        out: Output,
        now: Now,
        command: Option<CommandId>,
        more: bool,
    ) {
        let hang = std::mem::take(&mut self.hang);
        self.pass(hang);
        self.outputs.push((stream, out.clone()));
        let mut said = Said {
            stream,
            more,
            ..Said::default()
        };
        said.registers = out.registers.iter().map(|target| target.index()).collect();
        let events: Vec<Event> = out.events.iter().cloned().map(Event::Campaign).collect();
        let durable = Now {
            listened: Listened(self.listened),
            ..now
        };
        self.streams[stream].campaign.committed(&events, durable);
        let mut changed = BTreeSet::new();
        for event in &out.events {
            if let CampaignEvent::OperationStarted { target, claim, .. } = event {
                self.started(stream, *target, *claim);
            }
            if let Some(target) = event.target() {
                changed.extend(self.follow(stream, target));
            }
        }
        said.events = out.events.iter().map(|event| self.line(event)).collect();
        if !out.events.is_empty() {
            let news = out.events.iter().cloned();
            self.all.extend(news.map(|event| (stream, event)));
            let live = &mut self.streams[stream];
            live.log.push(Commit {
                at: now.at,
                events: out.events,
                command,
            });
            live.snapshots.push(live.campaign.state().clone());
        }
        self.said.push(said);
        for device in changed {
            self.device_changed(device);
        }
    }

    fn started(&mut self, stream: usize, target: TargetIndex, claim: u64) {
        let state = self.state(stream);
        let device = device_number(state.device(target).unwrap());
        let epoch = state.epoch();
        let nonce = nonce(stream, epoch);
        let id = device_id(device);
        let uuid = OperationId::derive(state.stream().uuid(), &id, claim, nonce);
        assert_eq!(state.operation(target), Some(uuid), "W1");
        let operation = Operation {
            stream,
            device,
            claim,
            epoch,
        };
        let known = self.operations.insert(uuid, operation);
        assert_eq!(known, None, "W1: an operation's UUID is used once");
    }

    /// W7: the claim follows the log. Says whose device is no longer held.
    fn follow(&mut self, stream: usize, target: TargetIndex) -> Option<usize> {
        let state = self.streams[stream].campaign.state();
        let at = state.target(target)?;
        let phase = at.claim_phase()?;
        let device = device_number(state.device(target)?);
        let row = ClaimRow {
            device: device_id(device),
            number: at.claim,
            holder: state.stream(),
            operation: state.operation(target)?,
            phase,
        };
        let present = self.fleet.device(self.slots[device]).claim();
        let ours = present.is_some_and(|present| present.operation == row.operation);
        if !ours {
            if present.is_some_and(|present| row.number <= present.number) {
                return None; // Another operation has taken it since.
            }
            let held = self.fleet.device(self.slots[device]).is_held();
            assert!(!held, "11: a held device is taken");
        }
        self.fleet.set_claim(self.slots[device], Some(row));
        (phase != ClaimPhase::Held).then_some(device)
    }

    /// Every stream that has the device as a target is told.
    fn device_changed(&mut self, device: usize) {
        for stream in 0..STREAMS {
            if let Some(target) = self.target_of(stream, device) {
                let (out, ..) = self.decide(stream, Input::Device(index(target)));
                assert_eq!(out, Output::default(), "it decides nothing by itself");
            }
        }
    }

    pub(crate) fn tick_all(&mut self) {
        for stream in 0..STREAMS {
            self.input(stream, Input::Tick);
        }
    }

    /// C1.
    pub(crate) fn pass(&mut self, ms: u64) {
        if self.link {
            let settling = self.settling.min(ms);
            self.settling -= settling;
            self.listened += ms - settling;
        }
    }

    /// How long until the listening clock shows this stream's next timer.
    pub(crate) fn until_due(&self, stream: usize) -> u64 {
        let due = self.streams[stream].campaign.next_due();
        due.map_or(0, |due| due.0).saturating_sub(self.listened) + self.settling
    }

    /// Streams and devices whose operations are under way.
    pub(crate) fn under_way(&self) -> Vec<(usize, usize)> {
        let of = |stream: usize| {
            let devices = self.log().devices(stream);
            let targets = self.log().in_progress(stream).into_iter();
            targets.map(move |target| (stream, devices[target.index()]))
        };
        (0..STREAMS).flat_map(of).collect()
    }

    /// The operation that a device names, of those that the log knows.
    pub(crate) fn named(&self, who: Who, about: About) -> OperationId {
        let (stream, device) = who.resolve(&self.under_way());
        let of = |stream: usize, device: usize, back: usize| {
            let mut all: Vec<_> = self
                .operations
                .iter()
                .filter(|(_, operation)| (operation.stream, operation.device) == (stream, device))
                .map(|(uuid, operation)| (operation.claim, *uuid))
                .collect();
            all.sort_unstable();
            all.into_iter().rev().nth(back).map(|(_, uuid)| uuid)
        };
        let found = match about {
            About::Last => of(stream, device, 0),
            About::Former => of(stream, device, 1),
            About::OtherDevice(other) => of(stream, other, 0),
            About::OtherStream(other) => of(other, device, 0),
            About::Unknown => None,
        };
        found.unwrap_or(OperationId(Uuid::from_u128(404)))
    }

    /// An input about one device's target in one stream, if it has one there.
    fn about<'a>(&mut self, who: Who, input: impl FnOnce(TargetIndex) -> Input<'a>) {
        let (stream, device) = who.resolve(&self.under_way());
        if let Some(target) = self.target_of(stream, device) {
            self.input(stream, input(index(target)));
        }
    }

    /// Does one step. `passes`: how many milliseconds pass in it, if that is decided elsewhere.
    pub(crate) fn step(&mut self, step: &Step, passes: Option<u64>) {
        self.said.clear();
        self.outputs.clear();
        match step {
            Step::Command { stream, ask } => self.ask(*stream, ask.clone()),
            Step::CancelOperation { who } => {
                let (stream, device) = who.resolve(&self.under_way());
                if let Some(target) = self.target_of(stream, device) {
                    self.ask(stream, Ask::CancelOperation(target));
                }
            }
            Step::Again { stream } => self.command(*stream),
            Step::Repeat { stream } => {
                let live = &mut self.streams[*stream];
                live.asked += 1;
                if let Some((id, _)) = &mut live.last_ask {
                    *id = live.asked;
                }
                self.command(*stream);
            }
            Step::Snapshot { campaign, empty } => self.snapshot(*campaign, *empty),
            Step::UploadDeleted { stream } => self.input(*stream, Input::UploadDeleted),
            Step::Time {
                passing,
                wall_seconds,
            } => {
                self.pass(passes.unwrap_or_else(|| {
                    match passing {
                        Passing::Seconds(seconds) => seconds * 1_000,
                        Passing::UntilDue {
                            stream,
                            just_before,
                        } => self
                            .until_due(*stream)
                            .saturating_sub(u64::from(*just_before)),
                    }
                }));
                self.wall += wall_seconds * 1_000;
                self.tick_all();
            }
            Step::Slow { step, hang } => {
                self.hang = *hang;
                self.step(step, None);
                let unused = std::mem::take(&mut self.hang);
                self.pass(unused);
                self.tick_all();
            }
            Step::Pump {
                stream,
                events,
                hang,
            } => {
                self.pump(*stream, *events, *hang);
                self.tick_all();
            }
            Step::Restart {
                stream,
                snapshot_percent,
            } => self.restart(*stream, *snapshot_percent),
            Step::LostPump { stream } => {
                let now = self.now(*stream);
                let live = &mut self.streams[*stream].campaign;
                live.pump(&self.fleet, now, &mut Output::default(), usize::MAX);
                self.restart(*stream, 100);
            }
            of_a_device => self.device_step(of_a_device),
        }
    }

    /// What comes from a device, or is known of one.
    fn device_step(&mut self, step: &Step) {
        match step {
            Step::Online { .. } | Step::Offline { .. } if !self.link => {}
            Step::Online {
                device,
                version,
                model,
                heard,
            } => {
                let claim = self.fleet.device(self.slots[*device]).claim();
                let own = claim.map_or(0, |claim| claim.number);
                let image = |version: &&str| BaseImage {
                    version: (*version).into(),
                    ..BaseImage::default()
                };
                let birth = Birth {
                    generation: (*heard > 0).then(|| Generation::update(own + heard)),
                    base_image: version.as_ref().map(image),
                    system_model: model.map(Into::into),
                    ..Birth::default()
                };
                self.fleet.online(self.slots[*device], &birth);
                self.births[*device] = Some(birth);
                self.device_changed(*device);
            }
            Step::Offline { device } => {
                self.fleet.offline(self.slots[*device], "");
                self.births[*device] = None;
                self.device_changed(*device);
            }
            Step::Link { up, births } => self.set_link(*up, *births),
            Step::Report { who, about, word } => {
                let report = words::report(self.named(*who, *about), word);
                self.about(*who, |target| Input::Report(target, &report));
            }
            Step::Progress {
                who,
                about,
                status,
                percent,
            } => {
                let progress = Progress {
                    operation: self.named(*who, *about).0,
                    status: words::status(status),
                    percent: *percent,
                };
                self.about(*who, |target| Input::Progress(target, progress));
            }
            Step::SendRefused { who, about } => {
                let operation = self.named(*who, *about);
                self.about(*who, |target| {
                    Input::SendRefused(target, operation, "not authorised")
                });
            }
            Step::Removed { who } => {
                self.about(*who, Input::DeviceRemoved);
            }
            Step::Raise { device, above } => {
                if let Some(row) = self.fleet.device(self.slots[*device]).claim().cloned() {
                    let holder = self.operations[&row.operation].stream;
                    self.about(Who::Of(holder, *device), |target| {
                        Input::Raise(target, row.number + above)
                    });
                }
            }
            _ => {}
        }
    }

    pub(crate) fn pump(&mut self, stream: usize, events: usize, hang: u64) -> bool {
        let now = self.now(stream);
        let mut out = Output::default();
        let live = &mut self.streams[stream].campaign;
        let more = live.pump(&self.fleet, now, &mut out, events);
        self.hang = hang;
        self.commit(stream, out, now, None, more);
        more
    }

    fn ask(&mut self, stream: usize, ask: Ask) {
        let live = &mut self.streams[stream];
        live.asked += 1;
        live.last_ask = Some((live.asked, ask));
        self.command(stream);
    }

    fn command(&mut self, stream: usize) {
        let Some((id, ask)) = self.streams[stream].last_ask.clone() else {
            return;
        };
        let id = command_id(id);
        if self.state(stream).has_command(id) {
            return; // K1: it gets the first answer.
        }
        let (out, result, now) = self.decide(stream, Input::Command(words::command(&ask)));
        if result.is_ok() && !out.events.is_empty() {
            self.streams[stream].campaign.note_command(id);
        }
        if let Ask::Manual(_) = ask {
            self.arm_targets(stream, &out, now);
        }
        self.commit(stream, out, now, Some(id), false);
        if let (Err(rejection), Some(said)) = (result, self.said.last_mut()) {
            said.refused = Some(words::refused(&rejection));
        }
    }

    pub(crate) fn snapshot(&mut self, campaign: usize, empty: bool) {
        let shipment = &self.setup.campaigns[campaign];
        let devices = shipment.devices.iter().filter(|_| !empty);
        let devices = devices.map(|device| device_id(*device)).collect();
        let image = words::image(shipment).into();
        let (out, result, now) = self.decide(campaign, Input::Snapshot { image, devices });
        result.expect("only commands are refused");
        self.arm_targets(campaign, &out, now);
        self.commit(campaign, out, now, None, false);
    }

    /// Tells a stream the slots of the devices that were just added.
    fn arm_targets(&mut self, stream: usize, out: &Output, now: Now) {
        let adds = |event: &CampaignEvent| {
            matches!(
                event,
                CampaignEvent::CampaignStarted { .. } | CampaignEvent::ManualUpdateRequested { .. }
            )
        };
        if out.events.iter().any(adds) {
            let slots = self.slots_of(stream);
            let live = &mut self.streams[stream].campaign;
            live.arm_targets(slots, &self.fleet, now);
        }
    }

    fn slots_of(&self, stream: usize) -> Vec<DeviceSlot> {
        let devices = self.state(stream).devices().iter();
        devices.map(|id| self.slots[device_number(id)]).collect()
    }

    pub(crate) fn set_link(&mut self, up: bool, births: bool) {
        if up == self.link {
            return;
        }
        self.link = up;
        self.fleet.link(up);
        if up {
            self.settling = SETTLE;
            for device in 0..DEVICES {
                self.births[device].take_if(|_| !births);
                if let Some(birth) = self.births[device].clone() {
                    self.fleet.online(self.slots[device], &birth);
                    self.device_changed(device);
                }
            }
        }
    }

    /// Drops the stream and goes on from the fold (C2), which a snapshot and the rest must equal (6).
    pub(crate) fn restart(&mut self, stream: usize, snapshot_percent: usize) {
        let live = &self.streams[stream];
        let after = live.log.len() * snapshot_percent / 100;
        let whole = fold(State::of(live.id), &live.log);
        let tail = fold(live.snapshots[after].clone(), &live.log[after..]);
        assert_eq!(
            whole, tail,
            "6: a snapshot and what follows it are not the whole fold"
        );
        let (slots, now) = (self.slots_of(stream), self.now(stream));
        self.streams[stream].campaign = Campaign::arm(tail, slots, &self.fleet, now);
        self.own(stream);
    }
}

pub(crate) fn command_id(id: u64) -> CommandId {
    CommandId::from_name(&id.to_string())
}

/// The fold of a log, commands noted with their commits (K1).
pub(crate) fn fold(mut state: State, log: &[Commit]) -> State {
    for commit in log {
        for event in &commit.events {
            state.apply(commit.at, event);
        }
        if let Some(command) = commit.command {
            state.note_command(command);
        }
    }
    state
}
