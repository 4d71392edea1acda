//! A node over a store in memory and devices that say what a test makes them say.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use sortie_core::{
    Actor, CampaignId, Catalog, CommandId, DeviceId, Event, NewCampaign, Push, Sha256, StreamId,
    Timestamp, campaign::CampaignEvent, catalog::Artifact,
};
use sortie_engine::node::{
    Clocks, Command, Config, Done, Node, NodeCommand, NodeInput, NodeOutput, Notice, Progress,
    Query, Refusal, View,
};
use sortie_ports::{AppendError, Delivery, MemoryStore, ReadError, Registers, Request};
use sortie_protocol::{
    BaseImage, Birth, Generation, Presence, Progress as SignOfLife, Report, Route,
    Status as DeviceStatus, Uuid,
};

pub(crate) struct Bed {
    pub(crate) node: Node,
    pub(crate) store: MemoryStore,
    /// Streams that can't be read.
    pub(crate) unreadable: BTreeSet<StreamId>,
    /// Streams whose appends can never be stored.
    pub(crate) unwritable: BTreeSet<StreamId>,
    /// How often each was read from its start.
    pub(crate) folds: BTreeMap<StreamId, usize>,
    /// What was said for the application's log.
    pub(crate) notices: Vec<Notice>,
    /// The inventory and the place of uploads answer nothing.
    pub(crate) outside_away: bool,
    /// What the inventory has.
    pub(crate) devices: BTreeSet<DeviceId>,
    /// What has left since it was last looked at, oldest first.
    pub(crate) written: Vec<Request>,
    /// What becomes of a write.
    pub(crate) delivery: Delivery,
    monotonic: Duration,
    answers: BTreeMap<u64, Result<Done, Refusal>>,
    asks: u64,
    runs: u128,
}

pub(crate) fn device(n: u32) -> DeviceId {
    DeviceId::new(&format!("d{n}")).unwrap()
}

impl Bed {
    /// An engine with `devices` devices in its inventory, and its link up.
    pub(crate) fn new(devices: u32) -> Self {
        let store = MemoryStore::new(Uuid::from_u128(1));
        let mut bed = Self {
            node: Node::new(config(0), clocks(Duration::ZERO)),
            store,
            unreadable: BTreeSet::new(),
            unwritable: BTreeSet::new(),
            folds: BTreeMap::new(),
            notices: vec![],
            outside_away: false,
            devices: (1..=devices).map(device).collect(),
            written: vec![],
            delivery: Delivery::Sent,
            monotonic: Duration::from_secs(1_000),
            answers: BTreeMap::new(),
            asks: 0,
            runs: 0,
        };
        bed.restart();
        bed.command(NodeCommand::Declare(catalog())).unwrap();
        bed
    }

    /// A node that knows nothing but the store, with the link up.
    pub(crate) fn restart(&mut self) {
        self.runs += 1;
        self.node = Node::new(config(self.runs), clocks(self.monotonic));
        let claims = self.store.claims_now();
        let streams = self.store.streams_now();
        self.input(NodeInput::Recover { claims, streams });
        self.input(NodeInput::Link(true));
    }

    /// Something happens, and all that follows from it at once.
    pub(crate) fn input(&mut self, input: NodeInput) {
        self.node.handle(input, clocks(self.monotonic));
        while let Some(output) = self.node.poll() {
            let Some(answer) = self.perform(output) else {
                continue;
            };
            self.node.handle(answer, clocks(self.monotonic));
        }
    }

    fn perform(&mut self, output: NodeOutput) -> Option<NodeInput> {
        Some(match output {
            NodeOutput::Append(append) if self.unwritable.contains(&append.stream) => {
                NodeInput::Appended(append.stream, Err(AppendError::Invalid("no".into())))
            }
            NodeOutput::Append(append) => {
                let stream = append.stream;
                NodeInput::Appended(stream, self.store.append_one(append))
            }
            NodeOutput::Read(stream, _) if self.unreadable.contains(&stream) => {
                NodeInput::Page(stream, Err(ReadError::Unavailable("away".into())))
            }
            NodeOutput::Read(stream, after) => {
                *self.folds.entry(stream).or_default() += usize::from(after == 0);
                NodeInput::Page(stream, Ok(self.store.read_now(stream, after, 100)))
            }
            NodeOutput::Write(request) => {
                let (device, generation) = (request.device.clone(), request.generation());
                self.written.push(request);
                NodeInput::Sent(device, generation, self.delivery.clone())
            }
            NodeOutput::Notice(notice) => {
                self.notices.push(notice);
                return None;
            }
            NodeOutput::Resolve(campaign, _) if self.outside_away => {
                NodeInput::Resolved(campaign, Err("away".into()))
            }
            NodeOutput::Exist(stream, _) if self.outside_away => {
                NodeInput::Exist(stream, Err("away".into()))
            }
            NodeOutput::DeleteUpload(update, _) if self.outside_away => {
                NodeInput::UploadDeleted(update, Err("away".into()))
            }
            NodeOutput::Resolve(campaign, _) => {
                NodeInput::Resolved(campaign, Ok(self.devices.iter().cloned().collect()))
            }
            NodeOutput::Exist(stream, ids) => {
                let exist = ids.iter().map(|id| self.devices.contains(id)).collect();
                NodeInput::Exist(stream, Ok(exist))
            }
            NodeOutput::Forget(forget, generation) => {
                NodeInput::Sent(forget.device, generation, Delivery::Sent)
            }
            NodeOutput::DeleteUpload(update, _) => NodeInput::UploadDeleted(update, Ok(())),
            NodeOutput::Reply(ask, answer) => {
                self.answers.insert(ask, answer);
                return None;
            }
            _ => return None,
        })
    }

    /// Time passes, with all that is due on the way; answers how often something was.
    pub(crate) fn pass(&mut self, time: Duration) -> usize {
        let end = self.monotonic + time;
        let mut wakes = 0;
        while let Some(at) = self.node.wake().filter(|at| *at <= end) {
            self.monotonic = self.monotonic.max(at) + Duration::from_millis(1);
            self.input(NodeInput::Tick);
            wakes += 1;
        }
        self.monotonic = self.monotonic.max(end);
        self.input(NodeInput::Tick);
        wakes
    }

    /// The answer to a command with an id of its own; it must come at once.
    pub(crate) fn command(&mut self, what: NodeCommand) -> Result<Done, Refusal> {
        let id = CommandId(Uuid::from_u128(u128::from(self.asks) + 1));
        self.command_as(id, what).unwrap()
    }

    /// The answer to a command; `None`: not yet.
    pub(crate) fn command_as(
        &mut self,
        id: CommandId,
        what: NodeCommand,
    ) -> Option<Result<Done, Refusal>> {
        self.asks += 1;
        let ask = self.asks;
        let actor = Actor::new("test");
        self.input(NodeInput::Command(Command {
            ask,
            id,
            actor,
            what,
        }));
        self.answers.remove(&ask)
    }

    /// A campaign for all devices, ten at once.
    pub(crate) fn campaign(&mut self, name: &str) -> StreamId {
        // After a restart, the recorded times tell the order of starts (O2).
        self.pass(Duration::from_millis(1));
        let id = CampaignId::from_name(name);
        let new = NewCampaign::new(name, "os@2.0.0".parse().unwrap(), "all".parse().unwrap());
        let push = Push::new()
            .max_in_progress_operations(10)
            .max_failure_percentage(100.0)
            .request_retries(0);
        let new = new.mechanism(push).into();
        self.command(NodeCommand::Create(id, new)).unwrap();
        StreamId::Campaign(id)
    }

    /// A campaign over devices 1 to 3 that is finished: one was updated, one had the image, one a newer.
    pub(crate) fn finished_campaign(&mut self, name: &str) -> StreamId {
        for (n, version) in [(1, "1.0.0"), (2, "2.0.0"), (3, "3.0.0")] {
            self.runs(n, version, None, false);
        }
        let stream = self.campaign(name);
        let operation = self.operation(1);
        self.says(1, None, operation, DeviceStatus::Success);
        assert!(self.progress(stream).is_over());
        self.folds.clear();
        stream
    }

    /// Asks a campaign; it must answer at once.
    pub(crate) fn ask<T: Send + 'static>(
        &mut self,
        stream: StreamId,
        ask: impl FnOnce(View<'_>) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let answered = Arc::new(Mutex::new(None));
        let answer = answered.clone();
        self.input(NodeInput::Query(Query {
            stream,
            ask: Box::new(move |view| *answer.lock().unwrap() = Some(view.map(ask))),
        }));
        let answer = answered.lock().unwrap().take();
        answer.unwrap()
    }

    pub(crate) fn progress(&self, stream: StreamId) -> Progress {
        self.node.progress(stream).unwrap()
    }

    /// A device connects, running 1.0.0.
    pub(crate) fn online(&mut self, n: u32) {
        self.born(n, None, false);
    }

    pub(crate) fn born(&mut self, n: u32, generation: Option<Generation>, behind: bool) {
        self.runs(n, "1.0.0", generation, behind);
    }

    fn runs(&mut self, n: u32, version: &str, generation: Option<Generation>, behind: bool) {
        let birth = Birth {
            session: format!("s{n}"),
            generation,
            behind,
            base_image: Some(BaseImage {
                version: version.into(),
                ..BaseImage::default()
            }),
            system_model: Some("m".into()),
        };
        self.input(NodeInput::Presence(device(n), Presence::Online(birth)));
    }

    pub(crate) fn says(&mut self, n: u32, route: Option<Route>, uuid: Uuid, status: DeviceStatus) {
        let report = Box::new(Report::new(uuid, status));
        self.input(NodeInput::Report(device(n), route, report));
    }

    /// A device shows that it is at work on an operation.
    pub(crate) fn lives(&mut self, n: u32, operation: Uuid) {
        let sign = SignOfLife {
            operation,
            status: DeviceStatus::Downloading,
            percent: 50,
        };
        self.input(NodeInput::Progress(device(n), sign));
    }

    /// A device's operation, or its last one.
    pub(crate) fn operation(&self, n: u32) -> Uuid {
        let mut rows = self.store.claims_now().into_iter();
        rows.find(|row| row.device == device(n))
            .unwrap()
            .operation
            .0
    }

    /// The stream's events.
    pub(crate) fn log(&self, stream: StreamId) -> Vec<Event> {
        let commits = self.store.read_now(stream, 0, usize::MAX).commits;
        commits.into_iter().flat_map(|c| c.events).collect()
    }

    /// How many of the stream's events are such.
    pub(crate) fn count(&self, stream: StreamId, is: impl Fn(&CampaignEvent) -> bool) -> usize {
        let log = self.log(stream);
        let events = log.iter().filter(|event| match event {
            Event::Campaign(event) => is(event),
            _ => false,
        });
        events.count()
    }
}

fn config(run: u128) -> Config {
    Config {
        settle: Duration::from_mins(1),
        seed: Uuid::from_u128(run),
        registers: Registers::Retained,
        batch_events_max: 100,
        confirm_devices: true,
    }
}

fn clocks(monotonic: Duration) -> Clocks {
    let ms = i64::try_from(monotonic.as_millis()).unwrap();
    Clocks {
        wall: Timestamp(1_764_000_000_000 + ms),
        monotonic,
    }
}

fn catalog() -> Catalog {
    Catalog::new()
        .collection("os", "m")
        .base_image("os@2.0.0", Artifact::new("http://h/2", 1, Sha256([2; 32])))
        .group("all", r#""never" not in tags"#)
        .channel("all", &["all"])
}
