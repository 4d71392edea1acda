//! The rules of a campaign, each as a short story with the events that it leads to.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic on purpose")]

use std::time::Duration;

use sortie_core::{
    Campaign, CampaignEvent, CampaignId, CampaignSpec, ClaimPhase, ClaimRow, Command, DeviceId,
    DeviceSlot, Fleet, Input, Listened, NewCampaign, Now, Outcome, Output, Push, Rejection, Sha256,
    Start, State, StreamId, TargetIndex, TargetReason, TargetStatus, Timestamp,
    campaign::{End, ImageCopy, Status},
    catalog::Artifact,
};
use sortie_protocol::{BaseImage, Birth, Reason, Report, Request, Status as Word, StatusCode};
use uuid::Uuid;

/// A campaign over devices that are all online with version 1.0.0, and image 2.0.0.
struct Story {
    campaign: Campaign,
    fleet: Fleet,
    slots: Vec<DeviceSlot>,
    now: Now,
    events: Vec<CampaignEvent>,
    registers: Vec<TargetIndex>,
}

fn push(limit: u32, percent: f64) -> Push {
    Push::new()
        .max_in_progress_operations(limit)
        .max_failure_percentage(percent)
}

fn spec(push: Push, start: Start) -> CampaignSpec {
    let image = "os@2.0.0".parse().unwrap();
    let new = NewCampaign::new("c", image, "all".parse().unwrap());
    new.mechanism(push).start(start).validate().unwrap()
}

impl Story {
    fn created(push: Push, start: Start) -> Self {
        let mut story = Self {
            campaign: Campaign::arm(
                State::new(CampaignId::from_name("c")),
                vec![],
                &Fleet::default(),
                Now {
                    at: Timestamp(0),
                    listened: Listened(0),
                },
            ),
            fleet: Fleet::default(),
            slots: vec![],
            now: Now {
                at: Timestamp(1_000),
                listened: Listened(0),
            },
            events: vec![],
            registers: vec![],
        };
        story.fleet.link(true);
        story.input(Input::Own {
            epoch: 1,
            nonce: Uuid::from_u128(1),
        });
        story
            .command(Command::Create(Box::new(spec(push, start))))
            .unwrap();
        story
    }

    fn running(devices: u32, push: Push) -> Self {
        let mut story = Self::created(push, Start::Now);
        story.snapshot(devices);
        story.pump();
        story.events.clear();
        story
    }

    fn snapshot(&mut self, devices: u32) {
        let ids: Vec<_> = (0..devices)
            .map(|n| DeviceId::new(&format!("d{n}")).unwrap())
            .collect();
        self.slots = ids.iter().map(|id| self.fleet.slot(id)).collect();
        for slot in self.slots.clone() {
            self.online(slot, "1.0.0");
        }
        let image = ImageCopy::new(
            "2.0.0".parse().unwrap(),
            "m".parse().unwrap(),
            Artifact::new("http://h/a", 1, Sha256([1; 32])),
            None,
        );
        self.input(Input::Snapshot {
            image: image.into(),
            devices: ids,
        });
        self.campaign
            .arm_targets(self.slots.clone(), &self.fleet, self.now);
    }

    fn online(&mut self, slot: DeviceSlot, version: &str) {
        let image = BaseImage {
            version: version.into(),
            ..BaseImage::default()
        };
        self.fleet.online(
            slot,
            &Birth {
                base_image: Some(image),
                ..Birth::default()
            },
        );
    }

    fn take(&mut self, out: Output) {
        for event in &out.events {
            // As the node does it: the claim follows the log.
            if let Some(index) = event.target() {
                let state = self.campaign.state();
                if let Some(phase) = state.target(index).unwrap().claim_phase() {
                    let row = ClaimRow {
                        device: state.device(index).unwrap().clone(),
                        number: state.target(index).unwrap().claim,
                        holder: StreamId::Campaign(state.id()),
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

    fn input(&mut self, input: Input) {
        let mut out = Output::default();
        self.campaign
            .handle(&self.fleet, input, self.now, &mut out)
            .unwrap();
        self.take(out);
    }

    fn command(&mut self, command: Command) -> Result<(), Rejection> {
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

    fn pump(&mut self) {
        let mut out = Output::default();
        self.campaign
            .pump(&self.fleet, self.now, &mut out, usize::MAX);
        self.take(out);
    }

    fn report(&mut self, index: u32, report: impl FnOnce(Uuid) -> Report) {
        let index = TargetIndex(index);
        let operation = self.campaign.state().operation(index).unwrap().0;
        self.input(Input::Report(index, &report(operation)));
        self.pump();
    }

    fn says(&mut self, index: u32, word: Word) {
        self.report(index, |operation| Report::new(operation, word));
    }

    fn fails(&mut self, index: u32, code: StatusCode) {
        self.report(index, |operation| Report::failure(operation, code));
    }

    fn after(&mut self, seconds: u64) {
        self.now.listened = self.now.listened.after(Duration::from_secs(seconds));
        self.input(Input::Tick);
        self.pump();
    }

    fn events(&mut self) -> Vec<CampaignEvent> {
        std::mem::take(&mut self.events)
    }

    fn target(&self, index: u32) -> (TargetStatus, Option<TargetReason>) {
        let target = self.campaign.state().target(TargetIndex(index)).unwrap();
        (target.status, target.reason)
    }

    fn register(&self, index: u32) -> Option<Request> {
        self.campaign.state().register(TargetIndex(index))
    }

    fn status(&self) -> (Status, Option<Outcome>) {
        (
            self.campaign.state().status(),
            self.campaign.state().outcome(),
        )
    }

    fn in_progress(&self) -> u32 {
        self.campaign.state().counts().in_progress
    }
}

fn failed(target: u32, reason: TargetReason, end: End) -> CampaignEvent {
    CampaignEvent::TargetFailed {
        target: TargetIndex(target),
        reason,
        end,
        word: None,
        decided_on: (end == End::NotSent).then(|| "1.0.0".into()),
        system_model: None,
    }
}

#[test]
fn p1_p2_targets_are_pushed_in_snapshot_order_up_to_the_limit() {
    let mut story = Story::created(push(2, 100.0), Start::Now);
    story.snapshot(4);
    story.pump();
    let started: Vec<_> = story
        .events()
        .into_iter()
        .filter_map(|event| match event {
            CampaignEvent::OperationStarted {
                target, decided_on, ..
            } => Some((target.0, decided_on.unwrap())),
            _ => None,
        })
        .collect();
    assert_eq!(started, [(0, "1.0.0".into()), (1, "1.0.0".into())]);
    story.says(1, Word::Success);
    assert_eq!(story.target(2).0, TargetStatus::InProgress);
    assert_eq!(story.in_progress(), 2);
}

#[test]
fn p1_a_device_that_is_offline_or_held_takes_no_slot() {
    let mut story = Story::created(push(1, 100.0), Start::Now);
    story.snapshot(3);
    story.fleet.offline(story.slots[0], "");
    let held = ClaimRow {
        device: DeviceId::new("d1").unwrap(),
        number: 4,
        holder: StreamId::Campaign(CampaignId::from_name("other")),
        operation: Uuid::from_u128(9).into(),
        phase: ClaimPhase::Held,
    };
    story.fleet.set_claim(story.slots[1], Some(held));
    for index in [0, 1] {
        story.input(Input::Device(TargetIndex(index)));
    }
    story.pump();
    assert_eq!(
        [0, 1, 2].map(|i| story.target(i).0 == TargetStatus::InProgress),
        [false, false, true]
    );
}

#[test]
fn p4_an_unanswered_request_is_written_again_and_then_abandoned() {
    let mut story = Story::running(1, push(1, 0.0).request_retries(2));
    story.after(299);
    assert_eq!(story.events(), []);
    for _ in 0..2 {
        story.after(300);
        assert_eq!(
            story.events(),
            [CampaignEvent::RequestRetried {
                target: TargetIndex(0)
            }]
        );
        assert!(matches!(story.register(0), Some(Request::Update(..))));
    }
    story.after(300);
    let abandoned = failed(0, TargetReason::RequestTimeout, End::Abandoned);
    assert_eq!(story.events(), [abandoned, CampaignEvent::CampaignFailed]);
    assert!(
        matches!(story.register(0), Some(Request::Cancel { .. })),
        "X1: the register says Cancel"
    );
    assert_eq!(story.campaign.state().counts().abandoned, 1);
}

#[test]
fn p4_the_first_report_ends_the_wait() {
    let mut story = Story::running(1, push(1, 0.0));
    story.says(0, Word::Acknowledged);
    story.after(3_500);
    assert_eq!(story.target(0).0, TargetStatus::InProgress);
}

#[test]
fn p5_an_update_that_is_refused_for_good_abandons_its_operation() {
    let mut story = Story::running(2, push(2, 100.0));
    let operation = story.campaign.state().operation(TargetIndex(0)).unwrap();
    story.input(Input::SendRefused(TargetIndex(1), operation));
    assert_eq!(story.events(), [], "another operation's refusal is nothing");
    story.input(Input::SendRefused(TargetIndex(0), operation));
    assert_eq!(
        story.events(),
        [failed(0, TargetReason::SendRefused, End::Abandoned)]
    );
}

#[test]
fn c3_only_an_advance_keeps_an_operation_from_being_stalled() {
    let mut story = Story::running(1, push(1, 100.0));
    story.says(0, Word::Downloading);
    let percent = |percent| {
        move |operation| Report {
            percent,
            ..Report::new(operation, Word::Downloading)
        }
    };
    for p in [10, 20, 30] {
        story.after(3_000);
        story.report(0, percent(p));
    }
    assert_eq!(story.target(0).0, TargetStatus::InProgress);
    story.after(3_000);
    story.report(0, percent(30));
    story.says(0, Word::Error);
    story.says(0, Word::Acknowledged);
    story.after(600);
    assert_eq!(
        story.target(0),
        (TargetStatus::Failed, Some(TargetReason::Stalled))
    );
}

#[test]
fn c4_an_operation_may_not_take_longer_than_its_timeout_however_it_advances() {
    let hour = Duration::from_hours(1);
    let mut story = Story::running(
        1,
        push(1, 100.0)
            .operation_timeout(2 * hour)
            .stage_timeout(None),
    );
    story.says(0, Word::Downloading);
    story.after(7_100);
    story.says(0, Word::Deploying);
    story.after(100);
    assert_eq!(
        story.target(0),
        (TargetStatus::Failed, Some(TargetReason::Stalled))
    );
}

#[test]
fn c2_after_a_restart_every_running_timer_starts_again_in_full() {
    let mut story = Story::running(1, push(1, 100.0).request_retries(0));
    story.after(299);
    let state = story.campaign.state().clone();
    story.now.listened = Listened(0);
    story.campaign = Campaign::arm(state, story.slots.clone(), &story.fleet, story.now);
    story.after(299);
    assert_eq!(story.target(0).0, TargetStatus::InProgress);
    story.after(1);
    assert_eq!(story.target(0).1, Some(TargetReason::RequestTimeout));
}

#[test]
fn c3_after_a_restart_going_back_is_still_no_advance() {
    let mut story = Story::running(1, push(1, 100.0));
    story.says(0, Word::Deployed);
    story.says(0, Word::Error);
    let state = story.campaign.state().clone();
    story.campaign = Campaign::arm(state, story.slots.clone(), &story.fleet, story.now);
    story.after(3_599);
    story.says(0, Word::Acknowledged);
    story.after(1);
    assert_eq!(
        story.target(0),
        (TargetStatus::Failed, Some(TargetReason::Stalled))
    );
}

#[test]
fn r2_repeats_change_nothing_and_at_most_64_words_are_recorded() {
    let mut story = Story::running(1, push(1, 100.0));
    story.says(0, Word::Downloading);
    assert_eq!(story.events().len(), 1);
    story.says(0, Word::Downloading);
    assert_eq!(story.events(), []);
    for _ in 0..100 {
        story.says(0, Word::Error);
        story.says(0, Word::Downloading);
    }
    assert_eq!(story.events().len(), 63);
    story.says(0, Word::Success);
    assert_eq!(
        story.target(0),
        (TargetStatus::Successful, Some(TargetReason::Updated))
    );
}

#[test]
fn r3_a_failure_keeps_its_code_message_and_reason() {
    let mut story = Story::running(1, push(1, 100.0));
    story.report(0, |operation| Report {
        message: "bad sector".into(),
        reason: Some(Reason::DigestMismatch),
        ..Report::failure(operation, StatusCode::InvalidBaseImage)
    });
    let CampaignEvent::TargetFailed {
        reason,
        end,
        word: Some(word),
        ..
    } = &story.events()[0]
    else {
        panic!("failed");
    };
    assert_eq!(
        (*reason, *end),
        (TargetReason::InvalidBaseImage, End::Answered)
    );
    assert_eq!(word.message, "bad sector");
    assert_eq!(story.register(0), None, "W7: the claim is free");
}

#[test]
fn r4_a_busy_device_is_tried_again_after_backoff_and_not_for_ever() {
    let mut story = Story::running(1, push(1, 100.0).busy_retries(2));
    for minutes in [1, 2] {
        story.fails(0, StatusCode::UpdateAlreadyInProgress);
        assert_eq!(
            story.target(0),
            (TargetStatus::Idle, Some(TargetReason::DeviceBusy))
        );
        story.after(minutes * 60 - 1);
        assert_eq!(story.target(0).0, TargetStatus::Idle);
        story.after(1);
        assert_eq!(story.target(0).0, TargetStatus::InProgress);
    }
    story.fails(0, StatusCode::UpdateAlreadyInProgress);
    assert_eq!(
        story.target(0),
        (TargetStatus::Failed, Some(TargetReason::DeviceBusy))
    );
    assert_eq!(story.campaign.state().counts().failed_counted, 1);
}

#[test]
fn r4_a_changed_version_is_decided_again() {
    let mut story = Story::running(1, push(1, 0.0));
    story.report(0, |operation| Report {
        reason: Some(Reason::VersionChanged),
        ..Report::failure(operation, StatusCode::InvalidRequest)
    });
    assert_eq!(
        story.target(0),
        (TargetStatus::Idle, Some(TargetReason::VersionChanged))
    );
    story.online(story.slots[0], "2.0.0");
    story.after(60);
    assert_eq!(
        story.target(0),
        (
            TargetStatus::Successful,
            Some(TargetReason::AlreadyAtVersion)
        )
    );
}

#[test]
fn r5_a_late_word_is_recorded_once_and_a_contradiction_once_and_no_outcome_changes() {
    let mut story = Story::running(2, push(2, 100.0).request_retries(0));
    story.after(300);
    story.events.clear();
    story.says(0, Word::Success);
    assert!(matches!(
        story.events()[..],
        [CampaignEvent::LateReport { .. }]
    ));
    assert_eq!(story.register(0), None, "O4: the claim is free");
    story.says(0, Word::Success);
    assert_eq!(story.events(), []);
    for _ in 0..2 {
        story.fails(0, StatusCode::IOError);
    }
    assert!(matches!(
        story.events()[..],
        [CampaignEvent::ContradictoryReport { .. }]
    ));
    assert_eq!(
        story.target(0),
        (TargetStatus::Failed, Some(TargetReason::RequestTimeout))
    );
}

#[test]
fn x2_x4_a_person_s_cancel_by_what_the_device_answers() {
    type Answer = fn(Uuid) -> Report;
    let cases: [(Answer, TargetReason, bool); 5] = [
        (
            |o| Report::failure(o, StatusCode::Canceled),
            TargetReason::Canceled,
            false,
        ),
        (
            |o| Report::failure(o, StatusCode::UpdateAlreadyInProgress),
            TargetReason::Canceled,
            false,
        ),
        (
            |o| Report {
                reason: Some(Reason::VersionChanged),
                ..Report::failure(o, StatusCode::InvalidRequest)
            },
            TargetReason::Canceled,
            false,
        ),
        (
            |o| Report::failure(o, StatusCode::SystemRollback),
            TargetReason::SystemRollback,
            true,
        ),
        // X3: past the point of no return.
        (
            |o| Report::new(o, Word::Success),
            TargetReason::Updated,
            false,
        ),
    ];
    for (answer, reason, counts) in cases {
        let mut story = Story::running(2, push(1, 100.0));
        story
            .command(Command::CancelOperation(TargetIndex(0)))
            .unwrap();
        assert!(matches!(story.register(0), Some(Request::Cancel { .. })));
        story.report(0, answer);
        assert_eq!(story.target(0).1, Some(reason));
        assert_eq!(
            story.campaign.state().counts().failed_counted > 0,
            counts,
            "{reason}"
        );
    }
    let mut story = Story::running(1, push(1, 100.0));
    story.fails(0, StatusCode::Canceled);
    assert_eq!(story.target(0).1, Some(TargetReason::DeviceCanceled));
    assert_eq!(
        story.campaign.state().counts().failed_counted,
        1,
        "unasked, it counts"
    );
}

#[test]
fn x2_a_cancel_without_an_answer_ends_after_its_own_timeout_and_a_second_restarts_none() {
    let mut story = Story::running(2, push(2, 0.0));
    story.says(0, Word::Downloading);
    story
        .command(Command::CancelOperation(TargetIndex(0)))
        .unwrap();
    story.after(299);
    story
        .command(Command::CancelOperation(TargetIndex(0)))
        .unwrap();
    story.events.clear();
    story.after(1);
    assert_eq!(
        story.events()[0],
        failed(0, TargetReason::Canceled, End::Abandoned)
    );
    let again = story.command(Command::CancelOperation(TargetIndex(0)));
    assert_eq!(
        again,
        Err(Rejection::NothingUnderWay {
            status: TargetStatus::Failed
        })
    );
}

#[test]
fn f1_f2_strictly_more_than_the_percentage_ends_the_campaign_and_what_is_under_way_drains() {
    let mut story = Story::running(10, push(3, 10.0));
    story.fails(0, StatusCode::IOError);
    assert_eq!(
        story.status(),
        (Status::InProgress, None),
        "10 % is not more than 10 %"
    );
    story.fails(1, StatusCode::IOError);
    assert_eq!(story.status(), (Status::Finished, Some(Outcome::Failure)));
    assert!(story.campaign.state().is_draining());
    let started = story.in_progress();
    story.pump();
    assert_eq!(story.in_progress(), started, "nothing new starts");
    story.after(300);
    assert!(matches!(
        story.events().last(),
        Some(CampaignEvent::RequestRetried { .. })
    ));
    story.says(2, Word::Success);
    story.says(3, Word::Success);
    assert!(story.campaign.state().is_over());
    assert_eq!(
        story.target(4),
        (TargetStatus::Idle, None),
        "L5: not attempted"
    );
}

#[test]
fn l2_a_pause_waits_for_what_is_under_way_and_a_resume_goes_on() {
    let mut story = Story::running(3, push(2, 100.0));
    story.command(Command::Pause).unwrap();
    assert_eq!(story.status().0, Status::Pausing);
    story.says(0, Word::Success);
    assert_eq!(story.in_progress(), 1, "no new operation starts");
    story.says(1, Word::Success);
    assert_eq!(story.status().0, Status::Paused);
    let refused = story.command(Command::Pause).unwrap_err();
    assert_eq!(refused.to_string(), "cannot pause: the campaign is paused");
    story.command(Command::Resume).unwrap();
    story.pump();
    story.says(2, Word::Success);
    assert_eq!(story.status(), (Status::Finished, Some(Outcome::Success)));
}

#[test]
fn l2_a_pause_that_finds_no_idle_target_ends_in_success_and_one_that_crosses_the_threshold_fails() {
    let mut story = Story::running(1, push(1, 100.0));
    story.command(Command::Pause).unwrap();
    story.says(0, Word::Success);
    assert_eq!(story.status(), (Status::Finished, Some(Outcome::Success)));
    let mut story = Story::running(2, push(1, 0.0));
    story.command(Command::Pause).unwrap();
    story.fails(0, StatusCode::IOError);
    assert_eq!(story.status(), (Status::Finished, Some(Outcome::Failure)));
}

#[test]
fn l3_a_cancel_ends_the_campaign_at_once_and_keeps_an_outcome_that_it_had() {
    let mut story = Story::running(3, push(2, 0.0));
    story.command(Command::Cancel).unwrap();
    assert_eq!(story.status(), (Status::Finished, Some(Outcome::Cancelled)));
    assert!(matches!(story.register(0), Some(Request::Cancel { .. })));
    story.fails(0, StatusCode::Canceled);
    story.says(1, Word::Success);
    assert_eq!(
        story.target(1).0,
        TargetStatus::Successful,
        "X3: a success that crossed the cancel"
    );
    let refused = story.command(Command::Cancel).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "cannot cancel: the campaign is finished"
    );

    let mut story = Story::running(3, push(2, 0.0));
    story.fails(0, StatusCode::IOError);
    story.command(Command::Cancel).unwrap();
    assert_eq!(story.status(), (Status::Finished, Some(Outcome::Failure)));
    assert!(
        matches!(story.register(1), Some(Request::Cancel { .. })),
        "what drains is cancelled"
    );
}

#[test]
fn s1_s4_an_empty_snapshot_ends_a_campaign_at_its_creation_unless_it_starts_by_hand() {
    let later = Start::At(Timestamp(9_000));
    for (start, ends) in [(Start::Now, true), (later, true), (Start::ByHand, false)] {
        let mut story = Story::created(push(1, 0.0), start);
        assert_eq!(story.campaign.wants_snapshot(story.now), ends, "{start}");
        if ends {
            story.snapshot(0);
            assert_eq!(
                story.status(),
                (Status::Finished, Some(Outcome::Success)),
                "{start}"
            );
            assert_eq!(story.campaign.state().started_at(), Some(story.now.at));
        }
    }
}

#[test]
fn s1_a_campaign_for_later_waits_and_one_by_hand_starts_when_told() {
    let mut story = Story::created(push(1, 0.0), Start::At(Timestamp(9_000)));
    story.snapshot(1);
    assert_eq!(story.status().0, Status::Scheduled);
    assert!(!story.campaign.wants_snapshot(story.now));
    story.now.at = Timestamp(9_000);
    assert!(story.campaign.wants_snapshot(story.now));
    let mut story = Story::created(push(1, 0.0), Start::ByHand);
    story.command(Command::Start).unwrap();
    assert!(story.campaign.wants_snapshot(story.now));
}

#[test]
fn s1_an_answer_of_the_inventory_that_is_no_longer_asked_for_starts_nothing() {
    for devices in [0, 1] {
        let mut story = Story::created(push(1, 0.0), Start::Now);
        story
            .command(Command::Edit(Box::new(spec(push(1, 0.0), Start::ByHand))))
            .unwrap();
        story.events.clear();
        story.snapshot(devices);
        assert_eq!(story.events(), []);
        assert_eq!(story.status(), (Status::Idle, None));
    }
}

#[test]
fn l1_an_edit_of_the_start_supersedes_a_start_by_hand_and_another_edit_does_not() {
    let later = Start::At(Timestamp(9_000));
    for (edited, starts) in [
        (spec(push(7, 0.0), Start::ByHand), true),
        (spec(push(1, 0.0), later), false),
    ] {
        let mut story = Story::created(push(1, 0.0), Start::ByHand);
        story.command(Command::Start).unwrap();
        story.command(Command::Edit(edited.into())).unwrap();
        story.snapshot(1);
        assert_eq!(story.status().0 == Status::InProgress, starts);
    }
}

#[test]
fn k2_creating_again_is_nothing_with_the_same_content_and_refused_with_other() {
    let mut story = Story::created(push(1, 0.0), Start::Now);
    story.events.clear();
    story
        .command(Command::Create(Box::new(spec(push(1, 0.0), Start::Now))))
        .unwrap();
    assert_eq!(story.events(), []);
    let other = Command::Create(Box::new(spec(push(2, 0.0), Start::Now)));
    assert!(matches!(
        story.command(other),
        Err(Rejection::Exists { .. })
    ));
}

#[test]
fn l1_edit_and_delete_are_for_campaigns_that_have_not_started() {
    let mut story = Story::created(push(1, 0.0), Start::ByHand);
    story
        .command(Command::Edit(Box::new(spec(push(7, 0.0), Start::ByHand))))
        .unwrap();
    assert_eq!(
        story
            .campaign
            .state()
            .spec()
            .unwrap()
            .mechanism
            .max_in_progress_operations,
        7
    );
    story.command(Command::Delete).unwrap();
    assert!(matches!(
        story.command(Command::Start),
        Err(Rejection::NoCampaign { .. })
    ));
    let mut story = Story::running(1, push(1, 0.0));
    assert!(matches!(
        story.command(Command::Delete),
        Err(Rejection::WrongStatus { .. })
    ));
}

#[test]
fn replay_of_the_events_is_the_live_state() {
    let mut story = Story::created(push(2, 50.0), Start::Now);
    story.snapshot(3);
    story.pump();
    story.says(0, Word::Acknowledged);
    story.fails(0, StatusCode::UpdateAlreadyInProgress);
    story.fails(1, StatusCode::SystemRollback);
    story.command(Command::Pause).unwrap();
    story.says(2, Word::Success);
    let mut replayed = State::new(CampaignId::from_name("c"));
    for event in story.events() {
        let json = serde_json::to_string(&event).unwrap();
        let stored: CampaignEvent = serde_json::from_str(&json).unwrap();
        assert_eq!(stored, event, "{json}");
        replayed.apply(story.now.at, &stored);
    }
    assert_eq!(replayed, *story.campaign.state());
}
