//! A store, a broker and a fleet around one node, in which everything that may go wrong does.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use sortie_core::{
    Actor, CampaignId, Catalog, CatalogItem, ClaimPhase, ClaimRow, CommandId, DeviceId,
    ManualUpdateId, NewCampaign, NewManualUpdate, Push, Rejection, Sha256, Start, State, StreamId,
    Timestamp,
    campaign::Status,
    catalog::{Artifact, NewBaseImage},
};
use sortie_engine::node::{
    Append, Clocks, Command, Config, Done, Node, NodeCommand, NodeInput, NodeOutput, Query, Refusal,
};
use sortie_ports::{AppendError, Delivery, Forget, MemoryStore, Page, ReadError, Registers};
use sortie_protocol::{Generation, Presence, Report, Request, Route, Status as DeviceStatus, Uuid};

use crate::{
    check::Checker,
    device::{Device, Said, Temper},
    rng::Rng,
};

/// What a seed draws before it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Devices do what they are asked and stay connected: then no outage may fail a target (10).
    pub(crate) honest: bool,
    /// The transport keeps nothing and knows no routes: requests reach connected devices only.
    pub(crate) volatile: bool,
    /// The inventory is asked whether devices exist before they are pushed to (D1).
    pub(crate) confirm: bool,
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    options: Options,
    monotonic: Duration,
    wall: i64,
    node: Option<Node>,
    store: MemoryStore,
    /// Appends whose outcome was told as unknown, and which land later.
    late: Vec<Append>,
    /// A stream that can't be read, and until when.
    unreadable: Option<(StreamId, Duration)>,
    pending: Vec<Pending>,
    heard: VecDeque<(usize, Said)>,
    link: bool,
    broker: Broker,
    pub(crate) devices: Vec<Device>,
    commands: BTreeMap<u64, (CommandId, NodeCommand)>,
    campaigns: Vec<CampaignId>,
    next: u64,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) checker: Checker,
    healing: bool,
    trace: bool,
    /// Devices whose Cancel must be acknowledged before any Update leaves (W4).
    gate: BTreeSet<DeviceId>,
    /// Devices that the inventory has no more.
    removed: BTreeSet<DeviceId>,
    manual_updates: u128,
    /// By the command that told of a removal: the device, and the streams that must have it then.
    told: BTreeMap<u64, (DeviceId, Vec<StreamId>)>,
    /// Devices that were removed more than once.
    again: BTreeSet<DeviceId>,
}

enum Pending {
    Append(Append),
    Read(StreamId, u64),
    Write(sortie_ports::Request),
    Resolve(CampaignId),
    Exist(StreamId, Vec<DeviceId>),
    Forget(Forget, Generation),
    DeleteUpload(ManualUpdateId),
}

#[derive(Default)]
struct Broker {
    requests: BTreeMap<usize, Request>,
    presence: BTreeMap<usize, Presence>,
    reports: BTreeMap<(usize, String, Uuid), Report>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let options = Options {
            honest: rng.one_in(4),
            volatile: rng.one_in(5),
            confirm: rng.one_in(2),
        };
        let count = 4 + rng.below(12);
        let devices = (0..count).map(|n| device(n, options, &mut rng)).collect();
        let mut world = Self {
            rng,
            options,
            monotonic: Duration::from_secs(1_000),
            wall: 1_764_000_000_000,
            node: None,
            store: MemoryStore::new(Uuid::from_u128(1)),
            late: vec![],
            unreadable: None,
            pending: vec![],
            heard: VecDeque::new(),
            link: false,
            broker: Broker::default(),
            devices,
            commands: BTreeMap::new(),
            campaigns: vec![],
            next: 0,
            faults: BTreeMap::new(),
            checker: Checker::new(options.honest),
            healing: false,
            gate: BTreeSet::new(),
            removed: BTreeSet::new(),
            manual_updates: 0,
            told: BTreeMap::new(),
            again: BTreeSet::new(),
            trace: std::env::var_os("SORTIE_TRACE").is_some(),
        };
        world.restart();
        world.prepare();
        world
    }

    fn prepare(&mut self) {
        self.command(NodeCommand::Declare(catalog()));
        for n in 0..=self.rng.below(3) {
            let id = CampaignId::from_name(&n.to_string());
            let new = self.draft();
            self.command(NodeCommand::Create(id, new.into()));
            self.campaigns.push(id);
        }
    }

    fn draft(&mut self) -> NewCampaign {
        let image = *self.rng.pick(&["os@2.0.0", "os@3.0.0"]);
        let push = Push::new()
            .max_in_progress_operations(u32::try_from(1 + self.rng.below(4)).unwrap())
            .max_failure_percentage(*self.rng.pick(&[0.0, 10.0, 33.33, 100.0]))
            .force_downgrade(self.rng.one_in(4))
            .request_timeout(Duration::from_mins(5))
            .request_retries(u32::try_from(self.rng.below(4)).unwrap())
            .busy_retries(u32::try_from(self.rng.below(3)).unwrap());
        let start = match self.rng.below(4) {
            0 => Start::ByHand,
            1 => Start::At(Timestamp(self.wall + 100_000)),
            _ => Start::Now,
        };
        let channel = "all".parse().unwrap();
        NewCampaign::new("c", image.parse().unwrap(), channel)
            .mechanism(push)
            .start(start)
    }

    pub(crate) fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    fn clocks(&self) -> Clocks {
        Clocks {
            wall: Timestamp(self.wall),
            monotonic: self.monotonic,
        }
    }

    fn input(&mut self, input: NodeInput) {
        if self.trace {
            eprintln!("{:?} {input:?}", self.monotonic);
        }
        let now = self.clocks();
        if let Some(node) = &mut self.node {
            node.handle(input, now);
        }
    }

    /// A node that knows nothing but the store.
    fn restart(&mut self) {
        let config = Config {
            settle: Duration::from_mins(1),
            seed: Uuid::from_u128(u128::from(self.rng.next())),
            registers: if self.options.volatile {
                Registers::Volatile
            } else {
                Registers::Retained
            },
            batch_events_max: 1 + self.rng.below(20),
            confirm_devices: self.options.confirm,
        };
        self.node = Some(Node::new(config, self.clocks()));
        let claims = self.store.claims_now();
        let streams = self.store.streams_now();
        self.input(NodeInput::Recover { claims, streams });
        let asks: Vec<u64> = self.commands.keys().copied().collect();
        for ask in asks {
            let (id, what) = self.commands[&ask].clone();
            self.input(NodeInput::Command(Command {
                ask,
                id,
                actor: Actor::new("test"),
                what,
            }));
        }
    }

    /// `kill -9`: what the node had under way may or may not have happened.
    fn crash(&mut self) {
        self.fault("crash");
        self.link_down();
        for pending in std::mem::take(&mut self.pending) {
            if let Pending::Append(append) = pending {
                match self.rng.below(3) {
                    0 => drop(self.land(append)),
                    1 => self.late.push(append),
                    _ => {}
                }
            }
        }
        self.node = None;
        let streams = self.store.streams_now();
        if self.rng.one_in(8) && !streams.is_empty() {
            self.fault("stream unreadable");
            let time = Duration::from_secs(self.rng.below(300) as u64);
            self.unreadable = Some((*self.rng.pick(&streams), self.monotonic + time));
        }
        self.restart();
    }

    fn land(&mut self, append: Append) -> Result<u64, AppendError> {
        if self.trace {
            eprintln!("{:?} lands: {append:?}", self.monotonic);
        }
        let result = self.store.append_one(append);
        self.checker.look(&self.store, &self.devices);
        result
    }

    fn command(&mut self, what: NodeCommand) {
        self.next += 1;
        let ask = self.next;
        let id = CommandId(Uuid::from_u128(u128::from(ask)));
        self.commands.insert(ask, (id, what.clone()));
        self.input(NodeInput::Command(Command {
            ask,
            id,
            actor: Actor::new("test"),
            what,
        }));
    }

    fn link_up(&mut self) {
        if self.link {
            return;
        }
        self.link = true;
        // What the node can't know yet, it can't put first.
        let under_way = |p: &Pending| matches!(p, Pending::Append(_) | Pending::Read(..));
        let settled = !self.pending.iter().any(under_way);
        let settled = settled
            && self
                .node
                .as_ref()
                .is_some_and(|n| n.health().halted.is_empty());
        if settled && !self.options.volatile {
            let claims = self.store.claims_now().into_iter();
            let open = claims.filter(|row| row.phase == ClaimPhase::Open);
            self.gate = open.map(|row| row.device).collect();
        }
        self.input(NodeInput::Link(true));
        let presence = self.broker.presence.iter();
        self.heard
            .extend(presence.map(|(d, p)| (*d, Said::Presence(p.clone()))));
        let reports = self
            .broker
            .reports
            .iter()
            .map(|((d, route, uuid), report)| {
                (
                    *d,
                    Said::Report(Route::new(route).unwrap(), *uuid, Some(report.clone())),
                )
            });
        self.heard.extend(reports);
    }

    fn link_down(&mut self) {
        if !self.link {
            return;
        }
        self.link = false;
        self.gate.clear();
        self.heard.clear();
        self.input(NodeInput::Link(false));
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Write(request) => {
                    let (device, generation) = (request.device.clone(), request.generation());
                    if self.rng.one_in(2) {
                        self.fault("write in doubt");
                        self.deliver(&request);
                    }
                    self.input(NodeInput::Sent(device, generation, Delivery::NotNow));
                }
                Pending::Forget(forget, generation) => {
                    let device = forget.device;
                    self.input(NodeInput::Sent(device, generation, Delivery::NotNow));
                }
                other => self.pending.push(other),
            }
        }
    }

    /// The outputs of the node begin.
    fn drain(&mut self) {
        while let Some(output) = self.node.as_mut().and_then(Node::poll) {
            match output {
                NodeOutput::Write(request) => {
                    assert!(self.link, "written while the link is down");
                    let claims = self.store.claims_now();
                    self.leaves(&request, &claims);
                    self.pending.push(Pending::Write(request));
                }
                NodeOutput::Reply(ask, answer) => {
                    let command = self.commands.remove(&ask);
                    let Some((_, what)) = command else {
                        panic!("a second answer to {ask}");
                    };
                    self.answered(ask, &what, &answer);
                }
                other => self.begin(other),
            }
        }
    }

    /// What is begun alike, whoever has polled it.
    fn begin(&mut self, output: NodeOutput) {
        self.pending.push(match output {
            NodeOutput::Append(append) => Pending::Append(append),
            NodeOutput::Read(stream, after) => Pending::Read(stream, after),
            NodeOutput::Resolve(campaign, _) => Pending::Resolve(campaign),
            NodeOutput::Exist(stream, devices) => Pending::Exist(stream, devices),
            NodeOutput::Forget(forget, generation) => {
                assert!(self.link, "forgotten while the link is down");
                self.checker.forgets(&forget.device);
                if !self.again.contains(&forget.device) {
                    let told = self.told.values().filter(|(d, _)| *d == forget.device);
                    told.for_each(|(device, streams)| self.checker.has_removal(device, streams));
                }
                Pending::Forget(forget, generation)
            }
            NodeOutput::DeleteUpload(update, _) => Pending::DeleteUpload(update),
            _ => return,
        });
    }

    fn answered(&mut self, ask: u64, what: &NodeCommand, answer: &Result<Done, Refusal>) {
        match (what, answer) {
            (NodeCommand::Create(id, _), Ok(_)) if !self.campaigns.contains(id) => {
                self.campaigns.push(*id);
            }
            (NodeCommand::Delete(_), Ok(_)) => self.fault("deleted"),
            (NodeCommand::DeviceRemoved(_), Ok(_)) => {
                if let Some((device, streams)) = self.told.get(&ask) {
                    self.checker.has_removal(device, streams);
                }
            }
            (NodeCommand::Delete(_), Err(Refusal::Refused(Rejection::InUse { .. }))) => {
                self.fault("deletion refused");
            }
            _ => {}
        }
    }

    fn leaves(&mut self, request: &sortie_ports::Request, claims: &[ClaimRow]) {
        self.checker.leaves(&request.device, &request.body, claims);
        // A claim that was taken over or has ended has no Cancel to wait for.
        let open = claims.iter().filter(|row| row.phase == ClaimPhase::Open);
        let open: BTreeSet<_> = open.map(|row| row.device.clone()).collect();
        self.gate.retain(|device| open.contains(device));
        let update = matches!(request.body, Request::Update(..));
        assert!(
            !update || self.gate.is_empty(),
            "W4: {request:?} leaves before {:?}",
            self.gate
        );
    }

    fn perform(&mut self, index: usize) {
        let calm = self.healing;
        match self.pending.remove(index) {
            Pending::Append(append) => {
                let stream = append.stream;
                let fate = if calm { 9 } else { self.rng.below(14) };
                let lost = || "reply lost".into();
                let result = match fate {
                    0 => {
                        self.fault("store unavailable");
                        Err(AppendError::Unavailable("away".into()))
                    }
                    1 => {
                        self.fault("committed, reply lost");
                        drop(self.land(append));
                        Err(AppendError::Unknown(lost()))
                    }
                    2 => {
                        self.fault("not committed, reply lost");
                        Err(AppendError::Unknown(lost()))
                    }
                    3 => {
                        self.fault("committed late, reply lost");
                        self.late.push(append);
                        Err(AppendError::Unknown(lost()))
                    }
                    _ => self.land(append),
                };
                self.input(NodeInput::Appended(stream, result));
            }
            Pending::Read(stream, after) => {
                let result = self.read(stream, after);
                self.input(NodeInput::Page(stream, result));
            }
            Pending::Write(request) => {
                let (device, generation) = (request.device.clone(), request.generation());
                let index = self.index(&device);
                let away = self.options.volatile && !self.devices[index].connected;
                let delivery = if away || !calm && self.rng.one_in(20) {
                    self.fault("not now");
                    if !away && self.rng.one_in(2) {
                        self.deliver(&request);
                    }
                    Delivery::NotNow
                } else if !calm && !self.options.honest && self.rng.one_in(100) {
                    self.fault("refused");
                    Delivery::Refused("no".into())
                } else {
                    self.deliver(&request);
                    Delivery::Sent
                };
                if delivery != Delivery::NotNow {
                    self.gate.remove(&device);
                }
                self.input(NodeInput::Sent(device, generation, delivery));
            }
            Pending::Resolve(campaign) => {
                let result = if !calm && self.rng.one_in(4) {
                    self.fault("inventory away");
                    Err("away".into())
                } else {
                    let there = self.devices.iter().map(|device| device.id.clone());
                    Ok(there.filter(|id| !self.removed.contains(id)).collect())
                };
                self.input(NodeInput::Resolved(campaign, result));
            }
            Pending::Exist(stream, devices) => {
                let result = if !calm && self.rng.one_in(4) {
                    self.fault("inventory away");
                    Err("away".into())
                } else {
                    let exist = devices.iter().map(|id| !self.removed.contains(id));
                    Ok(exist.collect())
                };
                self.input(NodeInput::Exist(stream, result));
            }
            Pending::Forget(forget, generation) => {
                let delivery = if !calm && self.rng.one_in(4) {
                    Delivery::NotNow
                } else {
                    self.forget(&forget);
                    Delivery::Sent
                };
                self.input(NodeInput::Sent(forget.device, generation, delivery));
            }
            Pending::DeleteUpload(update) => {
                let result = if !calm && self.rng.one_in(4) {
                    Err("away".into())
                } else {
                    Ok(())
                };
                self.input(NodeInput::UploadDeleted(update, result));
            }
        }
    }

    fn read(&mut self, stream: StreamId, after: u64) -> Result<Page, ReadError> {
        let unreadable = self.unreadable;
        let unreadable = unreadable.is_some_and(|(s, until)| s == stream && until > self.monotonic);
        if !self.healing && (unreadable || self.rng.one_in(20)) {
            self.fault("read failed");
            return Err(ReadError::Unavailable("away".into()));
        }
        let max = 1 + self.rng.below(30);
        Ok(self.store.read_now(stream, after, max))
    }

    /// D1: what is retained of a device is deleted.
    fn forget(&mut self, forget: &Forget) {
        let index = self.index(&forget.device);
        self.broker.requests.remove(&index);
        self.broker.presence.remove(&index);
        for (route, uuid) in &forget.reports {
            let key = (index, route.to_string(), *uuid);
            self.broker.reports.remove(&key);
        }
        if self.devices[index].connected && !self.options.volatile {
            // A11: it sees its presence emptied.
            let birth = self.devices[index].birth();
            self.say(index, vec![Said::Presence(birth)]);
        }
    }

    fn index(&self, id: &DeviceId) -> usize {
        self.devices
            .iter()
            .position(|device| device.id == *id)
            .unwrap()
    }

    /// A request arrives at the broker, or at the device.
    fn deliver(&mut self, request: &sortie_ports::Request) {
        let index = self.index(&request.device);
        let before = self.broker.requests.insert(index, request.body.clone());
        let fits = before
            .as_ref()
            .is_none_or(|b| b.generation() <= request.generation());
        assert!(fits, "W2: {before:?} is overtaken by {:?}", request.body);
        if self.devices[index].connected {
            let said = self.devices[index].request(&request.body, &mut self.rng);
            self.say(index, said);
        }
    }

    /// A device publishes.
    fn say(&mut self, index: usize, said: Vec<Said>) {
        for said in said {
            match &said {
                Said::Presence(presence) => {
                    self.broker.presence.insert(index, presence.clone());
                }
                Said::Report(route, uuid, Some(report)) => {
                    let key = (index, route.to_string(), *uuid);
                    self.broker.reports.insert(key, report.clone());
                }
                Said::Report(route, uuid, None) => {
                    self.broker
                        .reports
                        .remove(&(index, route.to_string(), *uuid));
                }
            }
            if self.link {
                self.heard.push_back((index, said));
            }
        }
    }

    fn connect(&mut self, index: usize) {
        let session = self.rng.next();
        let mut said = self.devices[index].connect(session);
        if !self.options.volatile
            && let Some(request) = self.broker.requests.get(&index).cloned()
        {
            said.extend(self.devices[index].request(&request, &mut self.rng));
        }
        self.say(index, said);
    }

    fn disconnect(&mut self, index: usize) {
        let device = &mut self.devices[index];
        device.connected = false;
        let session = device.session.to_string();
        let lost = Presence::Offline {
            session,
            lost: self.rng.one_in(2),
        };
        self.say(index, vec![Said::Presence(lost)]);
    }

    /// What waits at the broker reaches the node: in order per topic, in any order over topics.
    fn hear(&mut self) {
        let chosen = self.rng.below(self.heard.len());
        let same = |a: &(usize, Said), b: &(usize, Said)| {
            a.0 == b.0
                && match (&a.1, &b.1) {
                    (Said::Presence(_), Said::Presence(_)) => true,
                    (Said::Report(_, a, _), Said::Report(_, b, _)) => a == b,
                    _ => false,
                }
        };
        let first = (0..=chosen)
            .find(|i| same(&self.heard[*i], &self.heard[chosen]))
            .unwrap();
        let heard = if !self.healing && self.rng.one_in(10) {
            self.fault("duplicate");
            self.heard[first].clone()
        } else {
            self.heard.remove(first).unwrap()
        };
        let device = self.devices[heard.0].id.clone();
        match heard.1 {
            Said::Presence(presence) => self.input(NodeInput::Presence(device, presence)),
            Said::Report(route, _, Some(report)) => {
                let route = Some(route).filter(|_| !self.options.volatile);
                self.input(NodeInput::Report(device, route, Box::new(report)));
            }
            Said::Report(_, _, None) => {}
        }
    }

    /// A device lies about another's operation, or about one that nobody knows (R1).
    fn lie(&mut self) {
        self.fault("foreign report");
        let liar = self.rng.below(self.devices.len());
        let reports: Vec<_> = self
            .broker
            .reports
            .keys()
            .filter(|(d, ..)| *d != liar)
            .collect();
        let (route, uuid) = if reports.is_empty() {
            ("x".into(), Uuid::from_u128(77))
        } else {
            let (_, route, uuid) = *self.rng.pick(&reports);
            (route.clone(), *uuid)
        };
        let status = *self
            .rng
            .pick(&[DeviceStatus::Success, DeviceStatus::Failure]);
        let mut report = Report::new(uuid, status);
        report.generation = match self.rng.below(6) {
            0 => Some(Generation((1 << 53) - 1)),
            1 => Some(Generation(4 * self.rng.below(100) as u64)),
            _ => None,
        };
        let device = self.devices[liar].id.clone();
        self.input(NodeInput::Report(
            device,
            Route::new(&route).ok(),
            Box::new(report),
        ));
    }

    fn advance(&mut self, by: Duration) {
        self.monotonic += by;
        self.wall += i64::try_from(by.as_millis()).unwrap();
        self.input(NodeInput::Tick);
    }

    /// One random thing.
    pub(crate) fn step(&mut self) {
        self.drain();
        let honest = self.options.honest;
        match self.rng.below(100) {
            0..30 if !self.pending.is_empty() => {
                let index = self.rng.below(self.pending.len());
                self.perform(index);
            }
            30..55 if !self.heard.is_empty() => self.hear(),
            55..70 => {
                let index = self.rng.below(self.devices.len());
                if self.devices[index].connected {
                    let (said, reboots) = self.devices[index].step(&mut self.rng);
                    self.say(index, said);
                    if reboots {
                        self.disconnect(index);
                        self.connect(index);
                    }
                } else {
                    self.connect(index);
                }
            }
            70..74 => {
                let ms = self.rng.below(2_000) as u64;
                self.advance(Duration::from_millis(ms));
            }
            74..77 if !honest || !self.link => {
                self.fault("time passes");
                let s = self.rng.below(1_200) as u64;
                self.advance(Duration::from_secs(s));
            }
            77..79 => self.link_up(),
            79 => {
                if self.link {
                    self.fault("link lost");
                }
                self.link_down();
            }
            80 if self.rng.one_in(2) => self.crash(),
            81 if !self.late.is_empty() => {
                let index = self.rng.below(self.late.len());
                let append = self.late.remove(index);
                if self.land(append).is_ok() {
                    self.fault("late commit landed");
                }
            }
            82 if !honest => {
                let index = self.rng.below(self.devices.len());
                if self.devices[index].connected {
                    self.fault("device offline");
                    self.disconnect(index);
                }
            }
            83 if self.rng.one_in(5) => {
                self.fault("broker emptied");
                self.link_down();
                self.broker = Broker::default();
                for index in 0..self.devices.len() {
                    if self.devices[index].connected {
                        self.connect(index);
                    }
                }
            }
            84 => self.lie(),
            85 if self.rng.one_in(4) => {
                self.fault("wall clock step");
                self.wall += i64::try_from(self.rng.below(80_000_000)).unwrap() - 40_000_000;
            }
            86..89 => self.operate(),
            90 if self.rng.one_in(8) => {
                self.fault("generation ahead");
                let index = self.rng.below(self.devices.len());
                let ahead = 4 * (1 + self.rng.below(5) as u64);
                self.devices[index].ahead(ahead);
            }
            91 if self.rng.one_in(40) => self.remove(),
            93 if self.rng.one_in(20) => self.add_again(),
            92 if self.rng.one_in(20) => self.ask_manual(),
            89 => self.compare(),
            _ => {}
        }
        self.drain();
    }

    /// A device is removed from the inventory; the engine is told, or finds out.
    fn remove(&mut self) {
        self.fault("device removed");
        let device = self.rng.pick(&self.devices).id.clone();
        if self.removed.insert(device.clone()) && self.rng.one_in(2) {
            let concerned = self.checker.concerned(&device);
            self.told.insert(self.next + 1, (device.clone(), concerned));
            self.command(NodeCommand::DeviceRemoved(device));
        }
    }

    /// A device that was removed is there again.
    fn add_again(&mut self) {
        if let Some(device) = self.removed.pop_first() {
            self.again.insert(device);
            self.fault("device added again");
        }
    }

    /// A person asks for a manual update.
    fn ask_manual(&mut self) {
        let device = self.rng.pick(&self.devices).id.clone();
        if self.removed.contains(&device) {
            // The driver refuses it.
            return;
        }
        self.fault("manual update");
        let artifact = || Artifact::new("http://h/9", 1, Sha256([9; 32]));
        let mut new = match self.rng.below(3) {
            0 => NewManualUpdate::base_image(device, "os@3.0.0".parse().unwrap()),
            1 => NewManualUpdate::file(device, "a.bin", artifact()),
            _ => NewManualUpdate::url(device, artifact()),
        };
        if self.rng.one_in(2) {
            let wait = i64::try_from(self.rng.below(3_600_000)).unwrap();
            new = new.wait_until(Timestamp(self.wall + wait));
        }
        if !self.rng.one_in(4) {
            new = new.acknowledge_risk();
        }
        self.manual_updates += 1;
        let id = ManualUpdateId(Uuid::from_u128(1 << 64 | self.manual_updates));
        let model = Some("m".parse().unwrap());
        self.command(NodeCommand::Manual(id, new.into(), model));
        if self.rng.one_in(8) {
            self.command(NodeCommand::CancelManual(id));
        }
    }

    /// A person does something.
    fn operate(&mut self) {
        let campaign = *self.rng.pick(&self.campaigns);
        let command = match self.rng.below(16) {
            0..4 => sortie_core::Command::Pause,
            4..10 => sortie_core::Command::Resume,
            10 if self.rng.one_in(8) => sortie_core::Command::Cancel,
            10 if self.rng.one_in(8) => sortie_core::Command::Delete,
            11 | 12 => {
                let device = self.rng.pick(&self.devices).id.clone();
                self.command(NodeCommand::CancelOperation(campaign, device));
                return;
            }
            13 => {
                let edited = self.draft();
                self.command(NodeCommand::Edit(campaign, edited.into()));
                return;
            }
            14 => {
                self.edit_catalog();
                return;
            }
            _ => sortie_core::Command::Start,
        };
        self.command(NodeCommand::Campaign(campaign, command));
    }

    /// Something goes from the catalog, or comes back, or is used by one campaign more.
    fn edit_catalog(&mut self) {
        let image = |id: &str| CatalogItem::BaseImage(id.parse().unwrap());
        let item = match self.rng.below(6) {
            0 => image("os@2.0.0"),
            1 => image("os@3.0.0"),
            2 => CatalogItem::Channel("all".parse().unwrap()),
            3 if self.campaigns.len() < CAMPAIGNS_MAX => {
                let id = CampaignId::from_name(&self.next.to_string());
                let new = self.draft();
                self.command(NodeCommand::Create(id, new.into()));
                return;
            }
            _ => {
                self.command(NodeCommand::Declare(catalog()));
                return;
            }
        };
        self.command(NodeCommand::Delete(item));
    }

    /// 6: asks the node for a campaign's committed state, and compares.
    fn compare(&mut self) {
        let campaign = *self.rng.pick(&self.campaigns);
        let (send, receive) = std::sync::mpsc::channel();
        let ask = Box::new(move |view: Result<sortie_engine::node::View<'_>, _>| {
            if let Ok(view) = view {
                send.send(view.campaign.state().clone()).ok();
            }
        });
        let stream = StreamId::Campaign(campaign);
        self.input(NodeInput::Query(Query { stream, ask }));
        if let Some(node) = &mut self.node {
            // Answered now only if nothing is under way; then it is committed.
            let settled = !self
                .pending
                .iter()
                .any(|p| matches!(p, Pending::Append(a) if a.stream == stream));
            let output = node.poll();
            let state = receive.try_recv();
            if let Some(output) = output {
                self.requeue(output);
            }
            if let (Ok(state), true) = (state, settled) {
                self.fault("compared");
                self.checker.same_as(&state);
            }
        }
    }

    fn requeue(&mut self, output: NodeOutput) {
        match output {
            NodeOutput::Write(request) => {
                let claims = self.store.claims_now();
                self.leaves(&request, &claims);
                self.pending.push(Pending::Write(request));
            }
            NodeOutput::Reply(ask, answer) => {
                if let Some((_, what)) = self.commands.remove(&ask) {
                    self.answered(ask, &what, &answer);
                }
            }
            other => self.begin(other),
        }
    }

    /// 9: all is well from now on; every campaign must come to its end, and every register to what the
    /// claims say.
    pub(crate) fn heal(&mut self) {
        self.healing = true;
        for append in std::mem::take(&mut self.late) {
            drop(self.land(append));
        }
        for device in &mut self.devices {
            device.temper = Temper::Good;
        }
        self.link_up();
        for round in 0..3_000 {
            self.settle();
            let refused = |state: &State| state.mechanism().is_none();
            let over = self.checker.states().all(|s| s.is_over() || refused(s));
            if over
                && self.commands.is_empty()
                && self.checker.campaigns().count() == self.campaigns.len()
            {
                return self.healed();
            }
            if round % 50 == 0 {
                for campaign in self.campaigns.clone() {
                    let state = self
                        .checker
                        .campaigns()
                        .find(|state| state.id() == campaign);
                    let command = match state.map(State::status) {
                        Some(Status::Idle | Status::Scheduled) => sortie_core::Command::Start,
                        Some(Status::Pausing | Status::Paused) => sortie_core::Command::Resume,
                        _ => continue,
                    };
                    self.command(NodeCommand::Campaign(campaign, command));
                }
            }
            let wake = self.node.as_ref().and_then(Node::wake);
            let until = wake.map_or(Duration::from_secs(1), |w| w.saturating_sub(self.monotonic));
            self.advance(until.clamp(Duration::from_millis(1), Duration::from_mins(1)));
        }
        for state in self.checker.states() {
            let open = state.targets().iter().zip(state.devices());
            let open = open.filter(|(target, _)| !target.status.is_terminal());
            let open: Vec<_> = open.map(|(_, device)| device).collect();
            let (status, counts) = (state.status(), state.counts());
            eprintln!("{}: {status} {counts:?}, open {open:?}", state.stream());
        }
        let health = self.node.as_ref().map(Node::health);
        panic!(
            "9: not all campaigns came to their end; {:?}; removed {:?}; {health:#?}",
            self.options, self.removed
        );
    }

    /// With nothing under way and nothing due, the node must not ask to be looked at (it would spin).
    fn check_wake(&mut self) {
        self.input(NodeInput::Tick);
        self.drain();
        if self.pending.is_empty() {
            let wake = self.node.as_ref().and_then(Node::wake);
            assert!(
                wake.is_none_or(|at| at > self.monotonic),
                "it spins: {wake:?}"
            );
        }
    }

    /// Performs all that is under way, until nothing is.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            self.drain();
            if !self.pending.is_empty() {
                self.perform(0);
            } else if !self.heard.is_empty() {
                self.hear();
            } else if let Some(index) = self.devices.iter().position(|d| !d.connected) {
                self.connect(index);
            } else if let Some(index) = self.devices.iter().position(|d| !d.is_idle()) {
                let (said, reboots) = self.devices[index].step(&mut self.rng);
                self.say(index, said);
                if reboots {
                    self.disconnect(index);
                }
            } else {
                return self.check_wake();
            }
        }
        panic!("9: what is under way never comes to rest");
    }

    fn healed(&mut self) {
        self.advance(Duration::from_mins(2));
        self.settle();
        self.checker.claims(&self.store.claims_now());
        self.checker.stories(&self.store);
        for campaign in self.campaigns.clone() {
            let folded = self
                .checker
                .campaigns()
                .find(|state| state.id() == campaign);
            assert!(
                folded.is_some_and(|s| s.counts().in_progress == 0),
                "5: nothing drains"
            );
        }
        // Levels have come to rest: each register says what its claim says.
        for row in self.store.claims_now() {
            let index = self.index(&row.device);
            let retained = self.broker.requests.get(&index).map(Request::generation);
            let expected = Some(row.generation());
            let free_and_forgotten = row.phase == ClaimPhase::Free;
            assert!(
                retained == expected
                    || self.options.volatile && free_and_forgotten
                    || retained.is_none() && free_and_forgotten
                    || free_and_forgotten && retained < expected,
                "W: {} holds {retained:?}, and its claim is {row:?}",
                row.device
            );
        }
        for device in &self.devices {
            for (uuid, boots) in &device.booted {
                assert!(*boots == 1, "A3: {} booted {uuid} {boots} times", device.id);
            }
        }
    }
}

const CAMPAIGNS_MAX: usize = 8;

fn catalog() -> Catalog {
    let image = NewBaseImage::new("os@3.0.0", Artifact::new("http://h/3", 1, Sha256([3; 32])));
    Catalog::new()
        .collection("os", "m")
        .base_image("os@2.0.0", Artifact::new("http://h/2", 1, Sha256([2; 32])))
        .with(image.starting_version_requirement(">= 1.2.0"))
        .group("all", r#""never" not in tags"#)
        .channel("all", &["all"])
}

fn device(n: usize, options: Options, rng: &mut Rng) -> Device {
    let id = DeviceId::new(&format!("d{n}")).unwrap();
    let versions = [
        "1.0.0", "1.3.0", "1.3.0", "2.0.0", "2.0.0+b", "2.5.0", "3.0.0", "x", "",
    ];
    let version = Some((*rng.pick(&versions)).to_owned()).filter(|v| !v.is_empty());
    let tempers = [
        Temper::Good,
        Temper::Good,
        Temper::Failing,
        Temper::Busy,
        Temper::Silent,
    ];
    let honest = [Temper::Good, Temper::Failing, Temper::Busy];
    let temper = if options.honest {
        *rng.pick(&honest)
    } else {
        *rng.pick(&tempers)
    };
    Device::new(id, version, temper, !options.honest && rng.one_in(8))
}
