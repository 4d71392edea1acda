//! Rules F and L: threshold, pause, cancel, end.

use sortie_core::{
    CampaignEvent, CampaignId, Command, Outcome, Start, State, TargetStatus, campaign::Status,
};
use sortie_protocol::{Request, Status as Word, StatusCode};

use crate::story::{Story, push};

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

#[test]
fn f1_the_threshold_is_exceeded_strictly_in_integers() {
    // Targets, allowed percent, how many may fail.
    for (targets, percent, allowed) in [
        (3, 33.33, 0),
        (3, 33.34, 1),
        (4, 25.0, 1),
        (7, 14.28, 0),
        (7, 14.29, 1),
        (5, 0.0, 0),
        (5, 19.99, 0),
        (2, 100.0, 2),
    ] {
        let mut story = Story::running(targets, push(targets, percent));
        for n in 0..allowed {
            assert_eq!(story.status().0, Status::InProgress, "{targets} {percent}");
            story.fails(n, StatusCode::IOError);
        }
        assert_ne!(
            story.status().1,
            Some(Outcome::Failure),
            "{targets} {percent}"
        );
        if allowed < targets {
            story.fails(allowed, StatusCode::IOError);
            let failed = (Status::Finished, Some(Outcome::Failure));
            assert_eq!(story.status(), failed, "{targets} {percent}");
        }
    }
}

#[test]
fn f1_those_refused_before_the_push_count_and_end_it_before_another_starts() {
    let mut story = Story::created(push(4, 25.0), Start::Now);
    story.snapshot(4);
    for n in [0, 1] {
        story.online(story.slots[n], "3.0.0");
    }
    story.pump();
    assert_eq!(story.status(), (Status::Finished, Some(Outcome::Failure)));
    assert_eq!(story.in_progress(), 0, "F1 comes before the next push");
}

#[test]
fn l4_l6_success_comes_with_the_last_outcome_failures_within_the_threshold_included() {
    let mut story = Story::running(3, push(2, 50.0));
    story.fails(0, StatusCode::IOError);
    story.says(1, Word::Success);
    assert_eq!(story.status(), (Status::InProgress, None));
    assert!(!story.campaign.state().is_over());
    story.says(2, Word::Success);
    assert_eq!(story.status(), (Status::Finished, Some(Outcome::Success)));
    let state = story.campaign.state();
    assert!(state.is_over() && !state.is_draining());
    assert_eq!(story.campaign.next_due(), None, "nothing is waited for");
}

#[test]
fn f1_a_failure_that_crosses_the_threshold_while_pausing_fails_the_campaign_and_the_rest_drains() {
    let mut story = Story::running(3, push(2, 0.0));
    story.command(Command::Pause).unwrap();
    story.fails(0, StatusCode::IOError);
    assert_eq!(story.status(), (Status::Finished, Some(Outcome::Failure)));
    assert!(story.campaign.state().is_draining(), "L5");
    let refused = story.command(Command::Resume).unwrap_err().to_string();
    assert_eq!(refused, "cannot resume: the campaign is finished");
    story.says(1, Word::Success);
    assert!(story.campaign.state().is_over());
}
