//! Properties of what comes from outside, and of the fold, for any input.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic on purpose")]

use proptest::prelude::*;
use sortie_core::{
    BaseImageId, Campaign, CampaignEvent, CampaignId, Command, DeviceId, Fleet, Input, Listened,
    NewCampaign, Now, Output, Push, Selector, Sha256, State, StreamId, TargetIndex, TargetStatus,
    Timestamp, VersionRequirement, campaign::ImageCopy, catalog::Artifact,
};
use sortie_protocol::{BaseImage, Birth, Report, Status, StatusCode};
use uuid::Uuid;

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic_and_what_is_accepted_reads_back(text in "\\PC{0,60}") {
        if let Ok(selector) = text.parse::<Selector>() {
            prop_assert_eq!(selector.to_string(), text.clone());
        }
        if let Ok(requirement) = text.parse::<VersionRequirement>() {
            prop_assert_eq!(requirement.to_string(), text.clone());
        }
        if let Ok(image) = text.parse::<BaseImageId>() {
            prop_assert_eq!(image.to_string().parse::<BaseImageId>().unwrap(), image);
        }
        if let Ok(stream) = text.parse::<StreamId>() {
            prop_assert_eq!(stream.to_string().parse::<StreamId>().unwrap(), stream);
        }
    }

    /// Invariants 1, 3, 4 and 6, for any order of inputs to a campaign.
    #[test]
    fn any_inputs_keep_the_limit_the_outcomes_and_the_fold(
        limit in 1_u32..4, percent in 0_u32..=100, steps in prop::collection::vec(step(), 0..120),
    ) {
        run(limit, percent, &steps);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Command(Command),
    Report(u32, Status, Option<StatusCode>),
    Presence(u32, bool),
    Time(u64),
    Pump(usize),
    /// Drop the campaign, and go on from the fold (C2).
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let statuses = [
        Status::Acknowledged,
        Status::Downloading,
        Status::Error,
        Status::Deployed,
        Status::Success,
        Status::Failure,
    ];
    let codes = [
        None,
        Some(StatusCode::IOError),
        Some(StatusCode::UpdateAlreadyInProgress),
        Some(StatusCode::Canceled),
    ];
    prop_oneof![
        1 => prop_oneof![
            Just(Command::Pause),
            Just(Command::Resume),
            Just(Command::Cancel),
            (0_u32..6).prop_map(|n| Command::CancelOperation(TargetIndex(n))),
        ].prop_map(Step::Command),
        5 => (0_u32..6, prop::sample::select(statuses.to_vec()), prop::sample::select(codes.to_vec()))
            .prop_map(|(n, status, code)| Step::Report(n, status, code)),
        2 => (0_u32..6, any::<bool>()).prop_map(|(n, online)| Step::Presence(n, online)),
        2 => (0_u64..2_000).prop_map(Step::Time),
        3 => (1_usize..4).prop_map(Step::Pump),
        1 => Just(Step::Restart),
    ]
}

fn run(limit: u32, percent: u32, steps: &[Step]) {
    let mut fleet = Fleet::default();
    fleet.link(true);
    let ids: Vec<_> = (0..6)
        .map(|n| DeviceId::new(&format!("d{n}")).unwrap())
        .collect();
    let slots: Vec<_> = ids.iter().map(|id| fleet.slot(id)).collect();
    let image = BaseImage {
        version: "1.0.0".into(),
        ..BaseImage::default()
    };
    let birth = Birth {
        base_image: Some(image),
        ..Birth::default()
    };
    let mut now = Now {
        at: Timestamp(0),
        listened: Listened(0),
    };
    let fresh = State::new(CampaignId::from_name("c"));
    let mut campaign = Campaign::arm(fresh.clone(), vec![], &fleet, now);
    let mut out = Output::default();
    let push = Push::new()
        .max_in_progress_operations(limit)
        .max_failure_percentage(f64::from(percent))
        .busy_retries(1);
    let new = NewCampaign::new("c", "os@2.0.0".parse().unwrap(), "all".parse().unwrap());
    let spec = new.mechanism(push).validate().unwrap();
    let artifact = Artifact::new("http://h/a", 1, Sha256([1; 32]));
    let image = ImageCopy::new(
        "2.0.0".parse().unwrap(),
        "m".parse().unwrap(),
        artifact,
        None,
    );
    for input in [
        Input::Own {
            epoch: 1,
            nonce: Uuid::from_u128(1),
        },
        Input::Command(Command::Create(spec.into())),
        Input::Snapshot {
            image: image.into(),
            devices: ids,
        },
    ] {
        campaign.handle(&fleet, input, now, &mut out).unwrap();
    }
    campaign.arm_targets(slots.clone(), &fleet, now);
    for step in steps {
        match step {
            Step::Command(command) => {
                let input = Input::Command(command.clone());
                // Whether it is refused is the rules' tests' business.
                drop(campaign.handle(&fleet, input, now, &mut out));
            }
            Step::Report(n, status, code) => {
                if let Some(operation) = campaign.state().operation(TargetIndex(*n)) {
                    let report = Report {
                        code: code.clone(),
                        ..Report::new(operation.0, *status)
                    };
                    let input = Input::Report(TargetIndex(*n), &report);
                    campaign.handle(&fleet, input, now, &mut out).unwrap();
                }
            }
            Step::Presence(n, online) => {
                let slot = slots[*n as usize];
                if *online {
                    fleet.online(slot, &birth);
                } else {
                    fleet.offline(slot, "");
                }
                campaign
                    .handle(&fleet, Input::Device(TargetIndex(*n)), now, &mut out)
                    .unwrap();
            }
            Step::Time(seconds) => {
                now.at.0 += i64::try_from(*seconds).unwrap() * 1_000;
                now.listened.0 += seconds * 1_000;
                campaign.handle(&fleet, Input::Tick, now, &mut out).unwrap();
            }
            Step::Pump(events) => drop(campaign.pump(&fleet, now, &mut out, *events)),
            Step::Restart => {
                campaign = Campaign::arm(campaign.state().clone(), slots.clone(), &fleet, now);
            }
        }
    }
    check(fresh, &out.events, campaign.state(), limit, now);
}

fn check(fresh: State, events: &[CampaignEvent], live: &State, limit: u32, now: Now) {
    let mut folded = fresh;
    let mut ended = std::collections::BTreeSet::new();
    for event in events {
        let running = folded.status() == sortie_core::Status::InProgress;
        let before = event
            .target()
            .and_then(|t| folded.target(t))
            .map(|t| t.status);
        folded.apply(now.at, event);
        let after = event
            .target()
            .and_then(|t| folded.target(t))
            .map(|t| t.status);
        assert!(folded.counts().in_progress <= limit, "1: {event:?}");
        let started = before == Some(TargetStatus::Idle) && after == Some(TargetStatus::InProgress);
        assert!(!started || running, "4: {event:?}");
        if before != after && after.is_some_and(TargetStatus::is_terminal) {
            assert!(ended.insert(event.target()), "3: {event:?}");
        }
    }
    // The time of the last commit is the driver's to give; the rest is the fold's alone.
    assert_eq!(folded.targets(), live.targets(), "6");
    assert_eq!(
        (folded.status(), folded.counts()),
        (live.status(), live.counts())
    );
}
