//! Rules R: what a device's word leads to.

use sortie_core::{
    Campaign, CampaignEvent, Input, TargetIndex, TargetReason, TargetStatus, campaign::End,
};
use sortie_protocol::{Reason, Report, Status as Word, StatusCode};
use uuid::Uuid;

use crate::story::{Story, push};

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
fn r2_another_code_or_reason_is_news_and_another_message_is_not() {
    let mut story = Story::running(1, push(1, 100.0));
    let mut news = vec![];
    for (code, reason, message) in [
        (Some(StatusCode::NetworkError), None, "a"),
        (Some(StatusCode::NetworkError), None, "b"),
        (Some(StatusCode::IOError), None, "b"),
        (Some(StatusCode::IOError), Some(Reason::VersionChanged), "b"),
        (Some(StatusCode::IOError), Some(Reason::VersionChanged), "c"),
        (None, None, "c"),
    ] {
        story.report(0, |operation| {
            let mut report = Report::new(operation, Word::Error);
            (report.code, report.reason, report.message) = (code, reason, message.into());
            report
        });
        news.push(story.events().len());
    }
    assert_eq!(news, [1, 0, 1, 1, 0, 1]);
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
fn r4_a_target_tried_again_has_the_times_of_its_last_operation() {
    let mut story = Story::running(1, push(1, 100.0).busy_retries(2));
    let times = |story: &Story| {
        let (state, target) = (story.campaign.state(), TargetIndex(0));
        let times = [
            state.operation_started_at(target),
            state.operation_ended_at(target),
        ];
        times.map(|at| at.map(|at| at.0))
    };
    let started = story.now.at.0;
    assert_eq!(times(&story), [Some(started), None]);
    story.now.at.0 += 7;
    story.fails(0, StatusCode::UpdateAlreadyInProgress);
    assert_eq!(times(&story), [Some(started), Some(started + 7)]);
    story.now.at.0 += 7;
    story.after(60);
    assert_eq!(times(&story), [Some(started + 14), None]);
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
fn r5_another_failure_contradicts_too_and_its_text_or_a_repeat_does_not() {
    let mut story = Story::running(2, push(2, 100.0));
    let failure = |code, message: &'static str| {
        move |operation| Report {
            message: message.into(),
            ..Report::failure(operation, code)
        }
    };
    story.report(0, failure(StatusCode::NetworkError, "no route"));
    story.says(1, Word::Success);
    story.events.clear();
    story.report(0, failure(StatusCode::NetworkError, "no route"));
    story.report(0, failure(StatusCode::NetworkError, "no host"));
    story.report(1, |operation| Report {
        code: Some(StatusCode::NetworkError),
        ..Report::new(operation, Word::Success)
    });
    assert_eq!(story.events(), []);
    for _ in 0..2 {
        story.report(0, failure(StatusCode::SystemRollback, "no boot"));
    }
    let contradiction = CampaignEvent::ContradictoryReport {
        target: TargetIndex(0),
        word: (&failure(StatusCode::SystemRollback, "no boot")(Uuid::nil())).into(),
    };
    assert_eq!(story.events(), [contradiction]);
}

#[test]
fn r1_after_a_restart_a_word_on_the_operation_under_way_counts_still_and_none_on_what_never_began()
{
    let mut story = Story::running(2, push(1, 100.0));
    let state = story.campaign.state().clone();
    let operation = state.operation(TargetIndex(0));
    story.campaign = Campaign::arm(state, story.slots.clone(), &story.fleet, story.now);
    assert_eq!(story.campaign.operation(TargetIndex(0)), operation);
    assert_eq!(story.campaign.operation(TargetIndex(1)), None);
    story.says(0, Word::Success);
    assert_eq!(story.target(0).1, Some(TargetReason::Updated));
}

#[test]
fn r1_only_the_operation_in_force_or_the_targets_last_counts() {
    let mut story = Story::running(2, push(2, 100.0));
    let operation = |story: &Story, n| story.campaign.state().operation(TargetIndex(n)).unwrap().0;
    let former = operation(&story, 0);
    let of_another = operation(&story, 1);
    story.fails(0, StatusCode::UpdateAlreadyInProgress);
    story.after(60);
    assert_eq!(story.target(0).0, TargetStatus::InProgress, "R4: again");
    story.events.clear();
    let before = story.campaign.state().clone();
    for named in [former, of_another, Uuid::from_u128(404)] {
        for status in [Word::Downloading, Word::Success, Word::Failure] {
            let report = Report::new(named, status);
            story.input(Input::Report(TargetIndex(0), &report));
        }
    }
    assert_eq!(story.events(), []);
    assert_eq!(*story.campaign.state(), before);
}

#[test]
fn r2_any_status_may_follow_any_other_and_terminal_is_final() {
    let all = [
        Word::Acknowledged,
        Word::Downloading,
        Word::Deploying,
        Word::Deployed,
        Word::Rebooting,
        Word::Error,
    ];
    for first in all {
        for then in all.into_iter().filter(|then| *then != first) {
            let mut story = Story::running(1, push(1, 100.0));
            story.says(0, first);
            story.says(0, then);
            assert_eq!(story.events().len(), 2, "{first:?} {then:?}");
            story.says(0, Word::Success);
            story.events.clear();
            story.says(0, then);
            story.says(0, Word::Success);
            assert_eq!(story.events(), []);
        }
    }
}

#[test]
fn r3_each_code_has_its_reason() {
    for (code, reason) in [
        (StatusCode::InvalidRequest, TargetReason::InvalidRequest),
        (StatusCode::NetworkError, TargetReason::NetworkError),
        (StatusCode::IOError, TargetReason::IoError),
        (StatusCode::InternalError, TargetReason::InternalError),
        (StatusCode::InvalidBaseImage, TargetReason::InvalidBaseImage),
        (StatusCode::SystemRollback, TargetReason::SystemRollback),
        (StatusCode::Canceled, TargetReason::DeviceCanceled),
        (StatusCode::RequestTimeout, TargetReason::DeviceFailure),
        (StatusCode::from_name("New"), TargetReason::DeviceFailure),
    ] {
        let mut story = Story::running(1, push(1, 100.0));
        story.fails(0, code);
        assert_eq!(story.target(0), (TargetStatus::Failed, Some(reason)));
        assert_eq!(
            story.campaign.state().counts().failed_counted,
            1,
            "{reason}"
        );
    }
}
