//! Rules C: timers and the listening clock.

use std::time::Duration;

use sortie_core::{Campaign, Command, Listened, TargetReason, TargetStatus};
use sortie_protocol::{Report, Status as Word};

use crate::story::{Story, push};

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
fn c2_x2_after_a_restart_what_is_being_cancelled_has_the_time_of_a_cancel_again_and_no_other() {
    for heard in [false, true] {
        let mut story = Story::running(1, push(1, 100.0).cancel_timeout(Duration::from_secs(50)));
        if heard {
            story.says(0, Word::Downloading);
        }
        story.command(Command::Cancel).unwrap();
        let state = story.campaign.state().clone();
        story.campaign = Campaign::arm(state, story.slots.clone(), &story.fleet, story.now);
        story.after(49);
        assert_eq!(story.target(0).0, TargetStatus::InProgress);
        story.after(1);
        assert_eq!(story.target(0).1, Some(TargetReason::Canceled));
    }
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
