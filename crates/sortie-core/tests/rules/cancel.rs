//! Rules X: ending without the device's word.

use sortie_core::{
    Command, Outcome, TargetIndex, TargetReason, TargetStatus,
    campaign::{End, Status},
};
use sortie_protocol::{Reason, Report, Request, Status as Word, StatusCode};
use uuid::Uuid;

use crate::story::{Story, failed, push};

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
    let refused = again.unwrap_err().to_string();
    let expected = "cannot cancel the operation on d0: the target is failed";
    assert_eq!(refused, expected);
}

#[test]
fn x1_an_abandoned_operation_frees_its_slot_and_its_register_says_cancel_until_the_device_answers()
{
    let mut story = Story::running(2, push(1, 100.0).request_retries(0));
    story.after(300);
    assert_eq!(
        story.target(1).0,
        TargetStatus::InProgress,
        "the slot is free"
    );
    assert!(matches!(story.register(0), Some(Request::Cancel { .. })));
    story.says(0, Word::Downloading);
    assert!(
        matches!(story.register(0), Some(Request::Cancel { .. })),
        "no answer yet"
    );
    story.fails(0, StatusCode::Canceled);
    assert_eq!(story.register(0), None);
}

#[test]
fn x2_after_a_cancel_no_update_is_written_again_whatever_the_device_says_or_does_not() {
    let mut story = Story::running(1, push(1, 100.0));
    story
        .command(Command::CancelOperation(TargetIndex(0)))
        .unwrap();
    story.says(0, Word::Acknowledged);
    story.after(299);
    assert!(matches!(story.register(0), Some(Request::Cancel { .. })));
    story.after(1);
    assert_eq!(
        story.target(0),
        (TargetStatus::Failed, Some(TargetReason::Canceled))
    );
}

#[test]
fn x3_a_cancel_of_the_campaign_that_crosses_a_success_is_answered_by_it_and_counts_nothing() {
    let mut story = Story::running(2, push(2, 0.0));
    story.command(Command::Cancel).unwrap();
    story.says(0, Word::Success);
    story.fails(1, StatusCode::SystemRollback);
    assert_eq!(story.target(0).1, Some(TargetReason::Updated));
    assert_eq!(
        story.status(),
        (Status::Finished, Some(Outcome::Cancelled)),
        "the outcome stays, threshold or not"
    );
}
