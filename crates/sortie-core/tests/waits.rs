//! What a target waits for, as its campaign and the fleet are.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic on purpose")]

use sortie_core::{
    Campaign, CampaignId, ClaimPhase, ClaimRow, Command, DeviceId, DeviceSlot, Fleet, Input,
    Listened, NewCampaign, Now, OperationId, Output, Push, Sha256, Start, State, StreamId,
    TargetIndex, Timestamp,
    campaign::ImageCopy,
    catalog::Artifact,
    explain::{Live, Wait},
};
use sortie_protocol::{BaseImage, Birth, Report, Status as Word, StatusCode};
use uuid::Uuid;

struct Scene {
    campaign: Campaign,
    fleet: Fleet,
    slots: Vec<DeviceSlot>,
    now: Now,
}

impl Scene {
    fn created(start: Start) -> Self {
        let now = Now {
            at: Timestamp(10_000),
            listened: Listened(0),
        };
        let mut fleet = Fleet::default();
        fleet.time(Timestamp(5_000));
        let state = State::new(CampaignId::from_name("c"));
        let campaign = Campaign::arm(state, vec![], &fleet, now);
        let mut scene = Self {
            campaign,
            fleet,
            slots: vec![],
            now,
        };
        let push = Push::new()
            .max_in_progress_operations(1)
            .max_failure_percentage(50.0);
        let [image, channel] = ["os@2.0.0", "all"];
        let new = NewCampaign::new("c", image.parse().unwrap(), channel.parse().unwrap());
        let spec = new.mechanism(push).start(start).validate().unwrap();
        let nonce = Uuid::from_u128(1);
        scene.input(Input::Own { epoch: 1, nonce });
        scene.input(Input::Command(Command::Create(Box::new(spec))));
        scene
    }

    /// Two devices, both idle; the link is up, and nobody is heard.
    fn started() -> Self {
        let mut scene = Self::created(Start::Now);
        scene.fleet.link(true);
        let devices: Vec<_> = ["d0", "d1"].map(|id| DeviceId::new(id).unwrap()).into();
        scene.slots = devices.iter().map(|id| scene.fleet.slot(id)).collect();
        let artifact = Artifact::new("http://h/a", 1, Sha256([1; 32]));
        let [version, model] = ["2.0.0", "m"];
        let image = ImageCopy::new(
            version.parse().unwrap(),
            model.parse().unwrap(),
            artifact,
            None,
        );
        let image = Box::new(image);
        scene.input(Input::Snapshot { image, devices });
        let slots = scene.slots.clone();
        scene.campaign.arm_targets(slots, &scene.fleet, scene.now);
        scene
    }

    /// Both devices are online, and `d0` is pushed.
    fn pushed() -> Self {
        let mut scene = Self::started();
        scene.online(0);
        scene.online(1);
        scene.pump();
        scene
    }

    fn input(&mut self, input: Input) {
        let mut out = Output::default();
        self.campaign
            .handle(&self.fleet, input, self.now, &mut out)
            .unwrap();
    }

    fn pump(&mut self) {
        let mut out = Output::default();
        self.campaign.pump(&self.fleet, self.now, &mut out, 100);
    }

    fn online(&mut self, n: usize) {
        let image = BaseImage {
            version: "1.0.0".into(),
            ..BaseImage::default()
        };
        let birth = Birth {
            base_image: Some(image),
            ..Birth::default()
        };
        self.fleet.online(self.slots[n], &birth);
        self.input(Input::Device(TargetIndex(u32::try_from(n).unwrap())));
    }

    fn report(&mut self, status: Word, code: Option<StatusCode>) {
        let operation = self.campaign.state().operation(TargetIndex(0)).unwrap().0;
        let report = Report {
            code,
            ..Report::new(operation, status)
        };
        self.input(Input::Report(TargetIndex(0), &report));
    }

    fn pass(&mut self, seconds: u64) {
        self.now.listened = Listened(self.now.listened.0 + seconds * 1_000);
    }

    fn waits(&self, target: u32) -> Vec<Wait> {
        let live = Live {
            fleet: &self.fleet,
            now: self.now,
            settling_ms: 0,
            start_trouble: Some("no route"),
        };
        self.campaign.waits(Some(TargetIndex(target)), &live)
    }

    fn operation(&self) -> Option<OperationId> {
        self.campaign.state().operation(TargetIndex(0))
    }
}

#[test]
fn s1_a_campaign_that_has_not_started_waits_for_a_person_a_time_or_the_inventory() {
    let waits = |start| Scene::created(start).waits(0);
    let why = Some("no route".into());
    assert_eq!(waits(Start::ByHand), [Wait::StartByHand]);
    let at = Timestamp(60_000);
    assert_eq!(waits(Start::At(at)), [Wait::StartTime { at }]);
    assert_eq!(waits(Start::Now), [Wait::Inventory { why: why.clone() }]);
    let mut asked_for = Scene::created(Start::ByHand);
    asked_for.input(Input::Command(Command::Start));
    assert_eq!(asked_for.waits(0), [Wait::Inventory { why }]);
}

#[test]
fn p1_p2_p6_an_idle_target_waits_for_the_link_its_device_and_a_slot() {
    let mut scene = Scene::started();
    let link_since = Some(Timestamp(5_000));
    assert_eq!(scene.waits(1), [Wait::Presence { link_since }]);
    scene.online(1);
    assert_eq!(scene.waits(1), [Wait::Turn]);
    scene.fleet.time(Timestamp(7_000));
    scene.fleet.offline(scene.slots[1], "");
    let offline = Wait::Online {
        since: Some(Timestamp(7_000)),
    };
    assert_eq!(scene.waits(1), std::slice::from_ref(&offline));
    scene.online(0);
    scene.pump();
    let slot = Wait::Slot {
        in_progress: 1,
        limit: 1,
    };
    assert_eq!(scene.waits(1), [offline, slot.clone()]);
    scene.online(1);
    assert_eq!(scene.waits(1), std::slice::from_ref(&slot));
    scene.fleet.link(false);
    let since = Some(Timestamp(7_000));
    assert_eq!(scene.waits(1), [Wait::Link { since }, slot]);
}

#[test]
fn l2_a_paused_campaigns_target_waits_to_be_resumed_and_a_finished_ones_for_nothing() {
    let mut scene = Scene::started();
    scene.online(0);
    scene.input(Input::Command(Command::Pause));
    assert_eq!(scene.waits(0), [Wait::Resume]);
    scene.input(Input::Command(Command::Cancel));
    assert_eq!(scene.waits(0), []);
}

#[test]
fn o1_a_target_whose_device_is_held_names_the_holder() {
    let mut scene = Scene::started();
    scene.online(0);
    let stream = StreamId::Campaign(CampaignId::from_name("other"));
    let operation = OperationId(Uuid::from_u128(3));
    let row = ClaimRow {
        device: DeviceId::new("d0").unwrap(),
        number: 1,
        holder: stream,
        operation,
        phase: ClaimPhase::Held,
    };
    scene.fleet.set_claim(scene.slots[0], Some(row));
    let name = None;
    let held = Wait::Held {
        stream,
        name,
        operation,
    };
    assert_eq!(scene.waits(0), [held]);
}

#[test]
fn p4_c3_c4_x2_a_target_under_way_waits_for_the_word_that_its_timer_runs_for() {
    let mut scene = Scene::pushed();
    let operation = scene.operation();
    scene.pass(100);
    let acknowledgement = Wait::Acknowledgement {
        operation,
        nth: 0,
        most: 3,
        due_in_ms: Some(200_000),
    };
    assert_eq!(scene.waits(0), [acknowledgement]);
    scene.report(Word::Downloading, None);
    scene.pass(600);
    let advance = Wait::Advance {
        operation,
        heard: Some(Word::Downloading),
        due_in_ms: Some(3_000_000),
    };
    assert_eq!(scene.waits(0), [advance]);
    scene.input(Input::Command(Command::CancelOperation(TargetIndex(0))));
    scene.fleet.offline(scene.slots[0], "");
    let answer = Wait::CancelAnswer {
        operation,
        due_in_ms: Some(300_000),
    };
    let since = Some(Timestamp(5_000));
    assert_eq!(scene.waits(0), [answer, Wait::Online { since }]);
    // C1: with the link down nothing runs out.
    scene.fleet.link(false);
    let stands = Wait::CancelAnswer {
        operation,
        due_in_ms: None,
    };
    assert_eq!(scene.waits(0)[0], stands);
}

#[test]
fn r4_a_target_tried_again_waits_for_its_backoff() {
    let mut scene = Scene::pushed();
    scene.report(Word::Failure, Some(StatusCode::UpdateAlreadyInProgress));
    scene.pass(15);
    let backoff = Wait::Backoff {
        nth: 1,
        most: 10,
        due_in_ms: Some(45_000),
    };
    assert_eq!(scene.waits(0), [backoff]);
}

#[test]
fn o4_an_abandoned_operation_is_owed_a_word_until_another_takes_over() {
    let mut scene = Scene::pushed();
    let operation = scene.operation().unwrap();
    scene.input(Input::SendRefused(TargetIndex(0), operation, "no"));
    let mut row = ClaimRow {
        device: DeviceId::new("d0").unwrap(),
        number: 1,
        holder: StreamId::Campaign(CampaignId::from_name("c")),
        operation,
        phase: ClaimPhase::Open,
    };
    scene.fleet.set_claim(scene.slots[0], Some(row.clone()));
    assert_eq!(scene.waits(0), [Wait::LateWord { operation }]);
    row.operation = OperationId(Uuid::nil());
    scene.fleet.set_claim(scene.slots[0], Some(row));
    assert_eq!(scene.waits(0), []);
}
