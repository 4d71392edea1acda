//! A campaign that is really decided, from its start to its end.

use std::time::Duration;

use sortie_benches::ThreadTime;
use sortie_core::{
    Campaign, CampaignEvent, CampaignId, ClaimPhase, ClaimRow, Command, DeviceId, DeviceSlot,
    Fleet, Input, Listened, NewCampaign, Now, OperationId, Output, Push, Sha256, State, StreamId,
    TargetIndex, Timestamp, campaign::ImageCopy, catalog::Artifact,
};
use sortie_protocol::{BaseImage, Birth, Report, Status};
use uuid::Uuid;

use crate::{Orders, heap::Heap};

/// Inputs, or events of a push, between two looks at the timers: a node's batch.
const BATCH: usize = 1_000;

/// What some inputs took.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) inputs: usize,
    pub(crate) time: Duration,
    pub(crate) allocations: usize,
}

struct Start {
    heap: Heap,
    time: ThreadTime,
}

impl Start {
    fn now() -> Self {
        Self {
            heap: Heap::now(),
            time: ThreadTime::now(),
        }
    }
}

impl Meter {
    fn add(&mut self, inputs: usize, since: &Start) {
        self.time += since.time.elapsed();
        // The first batch finds out what versions there are.
        if self.inputs > 0 {
            self.allocations += since.heap.allocations();
        }
        self.inputs += inputs;
    }
}

/// What each part of the campaign's life took.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Devices that go away and come back before it starts to push: two inputs each.
    pub(crate) presence: Meter,
    /// Targets that are pushed: an event each.
    pub(crate) push: Meter,
    /// Reports: three of each device, an event each.
    pub(crate) reports: Meter,
}

pub(crate) struct Live {
    fleet: Fleet,
    ids: Vec<DeviceId>,
    slots: Vec<DeviceSlot>,
    birth: Birth,
    campaign: Campaign,
    out: Output,
    now: Now,
    /// Its events so far.
    pub(crate) log: Vec<CampaignEvent>,
    /// Heap that the campaign holds beside its state.
    pub(crate) armed_bytes: usize,
}

impl Live {
    /// A campaign over `targets` devices that has started and has pushed nothing.
    pub(crate) fn new(targets: u32) -> Self {
        let mut fleet = Fleet::default();
        fleet.link(true);
        let ids: Vec<DeviceId> = (0..targets)
            .map(|n| DeviceId::new(&format!("gw-{n:07}")).unwrap())
            .collect();
        let slots: Vec<DeviceSlot> = ids.iter().map(|id| fleet.slot(id)).collect();
        let version = "1.0.0".into();
        let base_image = Some(BaseImage {
            version,
            ..BaseImage::default()
        });
        let birth = Birth {
            base_image,
            ..Birth::default()
        };
        for slot in &slots {
            fleet.online(*slot, &birth);
        }
        let now = Now {
            at: Timestamp(1),
            listened: Listened(0),
        };
        let state = State::new(CampaignId::from_name("bench"));
        let mut live = Self {
            campaign: Campaign::arm(state, vec![], &fleet, now),
            fleet,
            ids,
            slots,
            birth,
            out: Output {
                events: Vec::with_capacity(2 * BATCH),
                registers: Vec::with_capacity(2 * BATCH),
                ..Output::default()
            },
            now,
            log: vec![],
            armed_bytes: 0,
        };
        live.start();
        live
    }

    fn start(&mut self) {
        let push = Push::new()
            .max_in_progress_operations(u32::MAX)
            .max_failure_percentage(100.0);
        let new = NewCampaign::new("bench", "os@2.0.0".parse().unwrap(), "all".parse().unwrap());
        let spec = new.mechanism(push).validate().expect("valid");
        let artifact = Artifact::new("http://h/a", 1, Sha256([1; 32]));
        let image = ImageCopy::new(
            "2.0.0".parse().unwrap(),
            "m".parse().unwrap(),
            artifact,
            None,
        );
        let nonce = Uuid::from_u128(1);
        for input in [
            Input::Own { epoch: 1, nonce },
            Input::Command(Command::Create(spec.into())),
            Input::Snapshot {
                image: image.into(),
                devices: self.ids.clone(),
            },
        ] {
            let handled = self
                .campaign
                .handle(&self.fleet, input, self.now, &mut self.out);
            handled.expect("accepted");
        }
        self.log.append(&mut self.out.events);
        let heap = Heap::now();
        self.campaign
            .arm_targets(self.slots.clone(), &self.fleet, self.now);
        self.armed_bytes = heap.grown();
    }

    /// Runs it to its end, the devices' words in these orders. `ahead`: what a batch needs is asked for at
    /// once, as the node does.
    pub(crate) fn run(&mut self, orders: &Orders, ahead: bool) -> Taken {
        let mut taken = Taken::default();
        for devices in orders[0].chunks(BATCH) {
            for online in [false, true] {
                for n in devices {
                    let slot = self.slots[*n as usize];
                    if online {
                        self.fleet.online(slot, &self.birth);
                    } else {
                        self.fleet.offline(slot, "");
                    }
                }
                let inputs = devices.iter().map(|n| Input::Device(TargetIndex(*n)));
                self.handle(inputs, &mut taken.presence);
            }
        }
        self.push(&mut taken.push);
        let statuses = [Status::Acknowledged, Status::Deployed, Status::Success];
        for (order, status) in orders.iter().zip(statuses) {
            let reports: Vec<(TargetIndex, Report)> = order
                .iter()
                .map(|n| (TargetIndex(*n), Report::new(self.operation(*n).0, status)))
                .collect();
            for reports in reports.chunks(BATCH) {
                let inputs = reports
                    .iter()
                    .map(|(target, report)| Input::Report(*target, report));
                if ahead {
                    let start = Start::now();
                    let targets = reports.iter().map(|(target, _)| *target);
                    self.campaign.look_ahead(targets);
                    taken.reports.add(0, &start);
                }
                self.handle(inputs, &mut taken.reports);
            }
        }
        let counts = self.campaign.state().counts();
        assert_eq!(counts.successful, counts.targets, "the campaign ended");
        taken
    }

    fn push(&mut self, meter: &mut Meter) {
        let mut more = true;
        while more {
            let start = Start::now();
            more = self
                .campaign
                .pump(&self.fleet, self.now, &mut self.out, BATCH);
            meter.add(self.out.events.len(), &start);
            // What a node does at the commit is not the core's time.
            for event in &self.out.events {
                let Some(n) = event.target().map(|target| target.0) else {
                    continue;
                };
                let row = ClaimRow {
                    device: self.ids[n as usize].clone(),
                    number: 1,
                    holder: StreamId::Campaign(self.campaign.state().id()),
                    operation: self.operation(n),
                    phase: ClaimPhase::Held,
                };
                self.fleet.set_claim(self.slots[n as usize], Some(row));
            }
            self.commit();
        }
    }

    /// A batch of inputs, and the looks at the timers that go with it.
    fn handle<'a>(&mut self, inputs: impl Iterator<Item = Input<'a>>, meter: &mut Meter) {
        self.now.listened.0 += 1;
        let (start, mut count) = (Start::now(), 0);
        for input in inputs.chain([Input::Tick]) {
            let handled = self
                .campaign
                .handle(&self.fleet, input, self.now, &mut self.out);
            handled.expect("only commands are refused");
            count += 1;
        }
        let due = self.campaign.next_due();
        meter.add(count, &start);
        assert!(due.is_none_or(|due| due > self.now.listened), "none is due");
        self.commit();
    }

    fn commit(&mut self) {
        self.log.append(&mut self.out.events);
        self.out.registers.clear();
    }

    fn operation(&self, n: u32) -> OperationId {
        let operation = self.campaign.operation(TargetIndex(n));
        operation.expect("started")
    }
}
