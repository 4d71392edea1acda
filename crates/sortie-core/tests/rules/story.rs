//! The stage of every story.

use std::time::Duration;

use sortie_core::{
    Campaign, CampaignEvent, CampaignId, CampaignSpec, ClaimRow, Command, DeviceId, DeviceSlot,
    Fleet, Input, Listened, NewCampaign, Now, Outcome, Output, Push, Rejection, Sha256, Start,
    State, StreamId, TargetIndex, TargetReason, TargetStatus, Timestamp,
    campaign::{End, ImageCopy, Status},
    catalog::Artifact,
};
use sortie_protocol::{BaseImage, Birth, Report, Request, Status as Word, StatusCode};
use uuid::Uuid;

/// A campaign over devices that are all online with version 1.0.0, and image 2.0.0.
pub(crate) struct Story {
    pub(crate) campaign: Campaign,
    pub(crate) fleet: Fleet,
    pub(crate) slots: Vec<DeviceSlot>,
    pub(crate) now: Now,
    pub(crate) events: Vec<CampaignEvent>,
    pub(crate) registers: Vec<TargetIndex>,
    pub(crate) image: ImageCopy,
}

pub(crate) fn image(version: &str, requirement: Option<&str>) -> ImageCopy {
    ImageCopy::new(
        version.parse().unwrap(),
        "m".parse().unwrap(),
        artifact(),
        requirement.map(|text| text.parse().unwrap()),
    )
}

pub(crate) fn artifact() -> Artifact {
    Artifact::new("http://h/a", 1, Sha256([1; 32]))
}

pub(crate) fn push(limit: u32, percent: f64) -> Push {
    Push::new()
        .max_in_progress_operations(limit)
        .max_failure_percentage(percent)
}

pub(crate) fn spec(push: Push, start: Start) -> CampaignSpec {
    let image = "os@2.0.0".parse().unwrap();
    let new = NewCampaign::new("c", image, "all".parse().unwrap());
    new.mechanism(push).start(start).validate().unwrap()
}

impl Story {
    pub(crate) fn new(stream: StreamId) -> Self {
        let now = Now {
            at: Timestamp(1_000),
            listened: Listened(0),
        };
        let fleet = Fleet::default();
        let mut story = Self {
            campaign: Campaign::arm(State::of(stream), vec![], &fleet, now),
            fleet,
            slots: vec![],
            now,
            events: vec![],
            registers: vec![],
            image: image("2.0.0", None),
        };
        story.fleet.link(true);
        story.input(Input::Own {
            epoch: 1,
            nonce: Uuid::from_u128(1),
        });
        story
    }

    pub(crate) fn created(push: Push, start: Start) -> Self {
        let mut story = Self::new(StreamId::Campaign(CampaignId::from_name("c")));
        let spec = spec(push, start);
        story.command(Command::Create(Box::new(spec))).unwrap();
        story
    }

    pub(crate) fn running(devices: u32, push: Push) -> Self {
        let mut story = Self::created(push, Start::Now);
        story.snapshot(devices);
        story.pump();
        story.events.clear();
        story
    }

    pub(crate) fn snapshot(&mut self, devices: u32) {
        let ids: Vec<_> = (0..devices)
            .map(|n| DeviceId::new(&format!("d{n}")).unwrap())
            .collect();
        self.slots = ids.iter().map(|id| self.fleet.slot(id)).collect();
        for slot in self.slots.clone() {
            self.online(slot, "1.0.0");
        }
        let image = self.image.clone();
        self.input(Input::Snapshot {
            image: image.into(),
            devices: ids,
        });
        self.campaign
            .arm_targets(self.slots.clone(), &self.fleet, self.now);
    }

    pub(crate) fn online(&mut self, slot: DeviceSlot, version: &str) {
        self.born(slot, Some(version), None);
    }

    pub(crate) fn born(&mut self, slot: DeviceSlot, version: Option<&str>, model: Option<&str>) {
        let image = version.map(|version| BaseImage {
            version: version.into(),
            ..BaseImage::default()
        });
        let birth = Birth {
            base_image: image,
            system_model: model.map(Into::into),
            ..Birth::default()
        };
        self.fleet.online(slot, &birth);
    }

    pub(crate) fn take(&mut self, out: Output) {
        for event in &out.events {
            // As the node does it: the claim follows the log.
            if let Some(index) = event.target() {
                let state = self.campaign.state();
                if let Some(phase) = state.target(index).unwrap().claim_phase() {
                    let row = ClaimRow {
                        device: state.device(index).unwrap().clone(),
                        number: state.target(index).unwrap().claim,
                        holder: state.stream(),
                        operation: state.operation(index).unwrap(),
                        phase,
                    };
                    self.fleet.set_claim(self.slots[index.index()], Some(row));
                }
            }
        }
        self.events.extend(out.events);
        self.registers.extend(out.registers);
    }

    pub(crate) fn input(&mut self, input: Input) {
        let mut out = Output::default();
        self.campaign
            .handle(&self.fleet, input, self.now, &mut out)
            .unwrap();
        self.take(out);
    }

    pub(crate) fn command(&mut self, command: Command) -> Result<(), Rejection> {
        let before = self.campaign.state().clone();
        let mut out = Output::default();
        let result = self
            .campaign
            .handle(&self.fleet, Input::Command(command), self.now, &mut out);
        if result.is_err() {
            assert_eq!((&before, &Output::default()), (self.campaign.state(), &out));
        }
        self.take(out);
        result
    }

    pub(crate) fn pump(&mut self) {
        let mut out = Output::default();
        self.campaign
            .pump(&self.fleet, self.now, &mut out, usize::MAX);
        self.take(out);
    }

    pub(crate) fn report(&mut self, index: u32, report: impl FnOnce(Uuid) -> Report) {
        let index = TargetIndex(index);
        let operation = self.campaign.state().operation(index).unwrap().0;
        self.input(Input::Report(index, &report(operation)));
        self.pump();
    }

    pub(crate) fn says(&mut self, index: u32, word: Word) {
        self.report(index, |operation| Report::new(operation, word));
    }

    pub(crate) fn fails(&mut self, index: u32, code: StatusCode) {
        self.report(index, |operation| Report::failure(operation, code));
    }

    pub(crate) fn after(&mut self, seconds: u64) {
        self.now.listened = self.now.listened.after(Duration::from_secs(seconds));
        self.input(Input::Tick);
        self.pump();
    }

    pub(crate) fn events(&mut self) -> Vec<CampaignEvent> {
        std::mem::take(&mut self.events)
    }

    pub(crate) fn target(&self, index: u32) -> (TargetStatus, Option<TargetReason>) {
        let target = self.campaign.state().target(TargetIndex(index)).unwrap();
        (target.status, target.reason)
    }

    pub(crate) fn register(&self, index: u32) -> Option<Request> {
        self.campaign.state().register(TargetIndex(index))
    }

    pub(crate) fn status(&self) -> (Status, Option<Outcome>) {
        (
            self.campaign.state().status(),
            self.campaign.state().outcome(),
        )
    }

    pub(crate) fn in_progress(&self) -> u32 {
        self.campaign.state().counts().in_progress
    }
}

pub(crate) fn failed(target: u32, reason: TargetReason, end: End) -> CampaignEvent {
    CampaignEvent::TargetFailed {
        target: TargetIndex(target),
        reason,
        end,
        word: None,
        decided_on: (end == End::NotSent).then(|| "1.0.0".into()),
        system_model: None,
        refusal: None,
    }
}
