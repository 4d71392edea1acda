//! Rules P and O: who is pushed, and when it is written again.

use sortie_core::{
    CampaignEvent, CampaignId, ClaimPhase, ClaimRow, DeviceId, Input, Output, Start, StreamId,
    TargetIndex, TargetReason, TargetStatus, campaign::End,
};
use sortie_protocol::{Report, Request, Status as Word};
use uuid::Uuid;

use crate::story::{Story, failed, push};

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
    story.input(Input::SendRefused(TargetIndex(1), operation, "no"));
    assert_eq!(story.events(), [], "another operation's refusal is nothing");
    story.input(Input::SendRefused(TargetIndex(0), operation, ""));
    assert_eq!(
        story.events(),
        [failed(0, TargetReason::SendRefused, End::Abandoned)]
    );
    assert_eq!(story.campaign.state().refusal(TargetIndex(0)), None);
}

#[test]
fn p5_why_the_transport_refuses_is_recorded_and_not_without_end() {
    for (said, kept) in [
        ("not authorised".to_owned(), "not authorised".to_owned()),
        (format!("{}é", "x".repeat(255)), "x".repeat(255)),
    ] {
        let mut story = Story::running(1, push(1, 100.0));
        let own = TargetIndex(0);
        let operation = story.campaign.state().operation(own).unwrap();
        story.input(Input::SendRefused(own, operation, &said));
        let [CampaignEvent::TargetFailed { refusal, .. }, ..] = &story.events()[..] else {
            panic!("failed");
        };
        assert_eq!(refusal.as_deref(), Some(&*kept));
        assert_eq!(story.campaign.state().refusal(own), Some(&*kept));
    }
}

#[test]
fn p3_a_request_says_what_it_was_decided_on_and_allows_a_downgrade_only_when_forced() {
    for forced in [false, true] {
        let story = Story::running(1, push(1, 0.0).force_downgrade(forced));
        let Some(Request::Update(_, update)) = story.register(0) else {
            panic!("an Update");
        };
        assert_eq!(update.allow.downgrade, forced);
        assert!(!update.allow.same_version && !update.allow.system_model);
        assert_eq!(update.decided_on.as_deref(), Some("1.0.0"));
        assert_eq!(story.registers, [TargetIndex(0)]);
    }
}

/// Another stream's claim on device 0.
fn claimed(story: &mut Story, phase: ClaimPhase) -> Uuid {
    let operation = Uuid::from_u128(9);
    let row = ClaimRow {
        device: DeviceId::new("d0").unwrap(),
        number: 4,
        holder: StreamId::Campaign(CampaignId::from_name("other")),
        operation: operation.into(),
        phase,
    };
    story.fleet.set_claim(story.slots[0], Some(row));
    story.input(Input::Device(TargetIndex(0)));
    operation
}

#[test]
fn o1_o3_a_held_device_is_left_alone_and_an_open_or_free_claim_is_taken() {
    for (phase, takes) in [
        (ClaimPhase::Held, false),
        (ClaimPhase::Open, true),
        (ClaimPhase::Free, true),
    ] {
        let mut story = Story::created(push(1, 0.0), Start::Now);
        story.snapshot(1);
        let old = claimed(&mut story, phase);
        story.pump();
        let started = story.events().into_iter().find_map(|event| match event {
            CampaignEvent::OperationStarted {
                claim, replaces, ..
            } => Some((claim, replaces.map(|operation| operation.0))),
            _ => None,
        });
        // Only what was abandoned is named: nothing else is replaced at the device.
        let replaces = (phase == ClaimPhase::Open).then_some(old);
        assert_eq!(started, takes.then_some((5, replaces)), "{phase:?}");
    }
}

#[test]
fn o1_a_device_that_is_no_longer_held_is_pushed_and_p6_nobody_while_the_link_is_down() {
    let mut story = Story::created(push(1, 0.0), Start::Now);
    story.snapshot(1);
    claimed(&mut story, ClaimPhase::Held);
    story.pump();
    assert_eq!(story.in_progress(), 0);
    claimed(&mut story, ClaimPhase::Free);
    story.fleet.link(false);
    story.pump();
    assert_eq!(story.in_progress(), 0, "P6");
    story.fleet.link(true);
    story.online(story.slots[0], "1.0.0");
    story.input(Input::Device(TargetIndex(0)));
    story.pump();
    assert_eq!(story.in_progress(), 1);
}

#[test]
fn o4_a_late_word_after_the_takeover_leaves_the_new_operation_alone() {
    let mut story = Story::running(2, push(2, 100.0).request_retries(0));
    story.after(300);
    claimed(&mut story, ClaimPhase::Held);
    let operation = story.campaign.state().operation(TargetIndex(0)).unwrap().0;
    let late = Report::new(operation, Word::Success);
    let mut out = Output::default();
    let input = Input::Report(TargetIndex(0), &late);
    story
        .campaign
        .handle(&story.fleet, input, story.now, &mut out)
        .unwrap();
    assert!(matches!(out.events[..], [CampaignEvent::LateReport { .. }]));
}

#[test]
fn a_pump_is_bounded_and_says_whether_more_is_ready() {
    let mut story = Story::created(push(5, 100.0), Start::Now);
    story.snapshot(3);
    let pump = |story: &mut Story, share| {
        let mut out = Output::default();
        let more = story
            .campaign
            .pump(&story.fleet, story.now, &mut out, share);
        let events = out.events.len();
        story.take(out);
        (more, events)
    };
    assert_eq!(pump(&mut story, 2), (true, 2));
    assert_eq!(
        pump(&mut story, 1),
        (false, 1),
        "its share is used, and nothing is left"
    );
    assert_eq!(pump(&mut story, 2), (false, 0));
}

#[test]
fn e0_a_refusal_names_the_system_model_only_if_that_is_why() {
    for (version, model, named) in [("1.0.0", "other", Some("other")), ("3.0.0", "m", None)] {
        let mut story = Story::created(push(1, 100.0), Start::Now);
        story.snapshot(1);
        story.born(story.slots[0], Some(version), Some(model));
        story.pump();
        let told = story.events().into_iter().find_map(|event| match event {
            CampaignEvent::TargetFailed {
                decided_on,
                system_model,
                ..
            } => Some((decided_on, system_model)),
            _ => None,
        });
        let expected = (Some(version.into()), named.map(Into::into));
        assert_eq!(told, Some(expected));
    }
}
