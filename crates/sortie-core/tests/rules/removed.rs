//! Rule D1: a device is removed from the inventory.

use sortie_core::{Input, Outcome, TargetIndex, TargetReason, TargetStatus, campaign::Status};
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
