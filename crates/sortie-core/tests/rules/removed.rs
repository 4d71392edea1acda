//! Rule D1: a device is removed from the inventory.

use sortie_core::{
    Command, Input, Outcome, Output, Start, TargetIndex, TargetReason, TargetStatus,
    campaign::Status,
};
use sortie_protocol::{Request, Status as Word, StatusCode};

use crate::story::{Story, push};

fn removed(story: &mut Story, target: u32) {
    story.input(Input::DeviceRemoved(TargetIndex(target)));
}

const GONE: (TargetStatus, Option<TargetReason>) =
    (TargetStatus::Failed, Some(TargetReason::DeviceRemoved));

#[test]
fn d1_its_idle_target_fails_and_is_not_counted_and_the_total_stays() {
    let mut story = Story::running(2, push(1, 0.0));
    removed(&mut story, 1);
    assert_eq!(story.target(1), GONE);
    let counts = story.campaign.state().counts();
    assert_eq!(
        (counts.targets, counts.failed, counts.failed_counted),
        (2, 1, 0)
    );
    story.says(0, Word::Success);
    assert_eq!(story.status(), (Status::Finished, Some(Outcome::Success)));
}

#[test]
fn d1_its_operation_is_cancelled_and_without_a_word_the_claim_is_free() {
    let mut story = Story::running(1, push(1, 0.0));
    removed(&mut story, 0);
    assert!(matches!(story.register(0), Some(Request::Cancel { .. })));
    story.after(299);
    removed(&mut story, 0);
    story.after(1);
    assert_eq!(story.target(0), GONE, "a second removal restarts no timer");
    assert_eq!(story.register(0), None, "the claim is free");
    let counts = story.campaign.state().counts();
    assert_eq!((counts.failed_counted, counts.abandoned), (0, 0));
}

#[test]
fn d1_a_device_that_still_answers_is_believed() {
    for (code, reason, counted) in [
        (StatusCode::Canceled, TargetReason::DeviceRemoved, 0),
        (
            StatusCode::UpdateAlreadyInProgress,
            TargetReason::DeviceRemoved,
            0,
        ),
        (StatusCode::SystemRollback, TargetReason::SystemRollback, 1),
    ] {
        let mut story = Story::running(1, push(1, 100.0));
        removed(&mut story, 0);
        story.fails(0, code);
        assert_eq!(story.target(0).1, Some(reason));
        assert_eq!(story.campaign.state().counts().failed_counted, counted);
    }
    let mut story = Story::running(1, push(1, 100.0));
    removed(&mut story, 0);
    story.says(0, Word::Success);
    assert_eq!(story.target(0).1, Some(TargetReason::Updated), "X3");
}

#[test]
fn d1_an_abandoned_operation_waits_for_its_word_no_longer_and_an_outcome_stays() {
    let mut story = Story::running(2, push(2, 100.0).request_retries(0));
    story.after(300);
    assert_eq!(story.campaign.state().counts().abandoned, 2);
    removed(&mut story, 0);
    let timed_out = (TargetStatus::Failed, Some(TargetReason::RequestTimeout));
    assert_eq!(story.target(0), timed_out);
    assert_eq!(
        (story.register(0), story.campaign.state().counts().abandoned),
        (None, 1)
    );
    story.events.clear();
    removed(&mut story, 0);
    assert_eq!(story.events(), []);
}

#[test]
fn d1_a_device_is_pushed_only_once_the_inventory_has_confirmed_it() {
    let mut story = Story::created(push(2, 100.0), Start::Now);
    story.fleet.confirm_anew();
    story.snapshot(3);
    let pump = |story: &mut Story| {
        let mut out = Output::default();
        let more = story
            .campaign
            .pump(&story.fleet, story.now, &mut out, usize::MAX);
        let unconfirmed = std::mem::take(&mut out.unconfirmed);
        story.take(out);
        (more, unconfirmed)
    };
    // Nothing can be pushed at once; who is next is asked for, in the order of their turns.
    assert_eq!(pump(&mut story), (false, story.slots.clone()));
    assert_eq!(story.in_progress(), 0);
    story.fleet.confirm(story.slots[1]);
    assert_eq!(
        pump(&mut story),
        (false, vec![story.slots[0], story.slots[2]])
    );
    story.fleet.confirm(story.slots[0]);
    // Two slots are taken now, and nobody else's turn has come.
    assert_eq!(pump(&mut story), (false, vec![]));
    assert_eq!(story.in_progress(), 2);
    // What was said holds for one round more.
    story.fleet.confirm_anew();
    assert!(story.fleet.is_confirmed(story.slots[0]));
    story.fleet.confirm_anew();
    assert!(!story.fleet.is_confirmed(story.slots[0]));
}

#[test]
fn d1_after_the_end_an_idle_target_stays_as_it_is_and_a_second_removal_is_nothing() {
    let mut story = Story::running(2, push(1, 100.0));
    story.command(Command::Cancel).unwrap();
    story.events.clear();
    removed(&mut story, 1);
    assert_eq!(story.events(), []);
    assert_eq!(story.target(1), (TargetStatus::Idle, None));
    removed(&mut story, 0);
    assert_eq!(story.events().len(), 1);
    removed(&mut story, 0);
    assert_eq!(story.events(), []);
}
