//! Which status allows which command (L1–L3), and what a repeat leads to (K1).

use sortie_core::{
    CampaignEvent, Command, CommandId, Input, Push, Rejection, Start, TargetIndex, TargetReason,
    TargetStatus, Timestamp,
    campaign::{CommandKind, Status},
};
use sortie_protocol::Status as Word;
use uuid::Uuid;

use crate::story::{Story, push, spec};

/// A campaign that has come to this status.
fn at(status: Status) -> Story {
    let limits = || push(1, 100.0);
    match status {
        Status::Idle => Story::created(limits(), Start::ByHand),
        Status::Scheduled => {
            let mut story = Story::created(limits(), Start::At(Timestamp(1_000_000)));
            // S4's probe finds a device.
            story.snapshot(1);
            story
        }
        Status::InProgress => Story::running(2, limits()),
        Status::Pausing | Status::Paused => {
            let mut story = Story::running(2, limits());
            story.command(Command::Pause).unwrap();
            if status == Status::Paused {
                story.says(0, Word::Success);
            }
            story
        }
        Status::Finished => {
            let mut story = Story::running(1, limits());
            story.says(0, Word::Success);
            story
        }
    }
}

#[test]
fn l1_l2_l3_a_command_that_the_status_forbids_is_refused_and_names_it() {
    use Status::{Finished, Idle, InProgress, Paused, Pausing, Scheduled};
    let edited = spec(push(7, 100.0), Start::ByHand);
    let running = [Idle, Scheduled, InProgress, Pausing, Paused];
    for status in [Idle, Scheduled, InProgress, Pausing, Paused, Finished] {
        for (kind, command, allowed) in [
            (
                CommandKind::Edit,
                Command::Edit(Box::new(edited.clone())),
                &[Idle, Scheduled][..],
            ),
            (CommandKind::Delete, Command::Delete, &[Idle, Scheduled]),
            (CommandKind::Start, Command::Start, &[Idle, Scheduled]),
            (CommandKind::Pause, Command::Pause, &[InProgress]),
            (CommandKind::Resume, Command::Resume, &[Pausing, Paused]),
            (CommandKind::Cancel, Command::Cancel, &running),
        ] {
            let mut story = at(status);
            assert_eq!(story.status().0, status);
            let expected = if allowed.contains(&status) {
                Ok(())
            } else {
                let command = kind;
                Err(Rejection::WrongStatus { command, status })
            };
            assert_eq!(story.command(command), expected, "{kind} at {status}");
        }
    }
}

#[test]
fn k1_an_accepted_command_that_changes_nothing_is_recorded_and_a_refused_one_is_not() {
    let mut story = at(Status::Idle);
    story.command(Command::Start).unwrap();
    story.events.clear();
    story.command(Command::Start).unwrap();
    assert_eq!(story.events(), [CampaignEvent::CommandAccepted]);

    let mut story = at(Status::InProgress);
    story.command(Command::Cancel).unwrap();
    story.events.clear();
    story.command(Command::Cancel).unwrap();
    assert_eq!(story.events(), [CampaignEvent::CommandAccepted]);
    story.command(Command::Pause).unwrap_err();
    assert_eq!(story.events(), []);
}

#[test]
fn k1_the_last_256_commands_of_a_stream_are_known() {
    let mut story = at(Status::Idle);
    let id = |n: u32| CommandId(Uuid::from_u128(n.into()));
    for n in 0..257 {
        story.campaign.note_command(id(n));
    }
    let state = story.campaign.state();
    assert!(!state.has_command(id(0)));
    assert!((1..257).all(|n| state.has_command(id(n))));
}

#[test]
fn l3_x4_a_cancel_of_the_campaign_touches_what_is_under_way_and_restarts_no_timer() {
    let mut story = Story::running(3, push(2, 100.0));
    story
        .command(Command::CancelOperation(TargetIndex(0)))
        .unwrap();
    story.after(100);
    story.registers.clear();
    story.command(Command::Cancel).unwrap();
    // Target 0 is being cancelled already, and target 2 was never pushed.
    assert_eq!(story.registers, [TargetIndex(1)]);
    story.after(200);
    let canceled = (TargetStatus::Failed, Some(TargetReason::Canceled));
    assert_eq!(story.target(0), canceled);
    assert_eq!(story.target(1).0, TargetStatus::InProgress);
    story.after(100);
    assert_eq!(story.target(1), canceled);
    assert_eq!(story.target(2), (TargetStatus::Idle, None));
}

#[test]
fn l1_an_edit_that_says_the_same_changes_nothing() {
    let mut story = at(Status::Idle);
    story.events.clear();
    let same = spec(push(1, 100.0), Start::ByHand);
    story.command(Command::Edit(Box::new(same))).unwrap();
    assert_eq!(story.events(), [CampaignEvent::CommandAccepted]);
    let other: Push = push(9, 100.0);
    let other = spec(other, Start::ByHand);
    story.command(Command::Edit(Box::new(other))).unwrap();
    let limit = story.campaign.state().mechanism().unwrap();
    assert_eq!(limit.max_in_progress_operations, 9);
}

#[test]
fn a_stream_without_a_campaign_takes_no_command_and_no_tick_harms_it() {
    let stream = sortie_core::StreamId::Campaign(sortie_core::CampaignId::from_name("none"));
    let mut story = Story::new(stream);
    story.events.clear();
    story.input(Input::Tick);
    story.pump();
    let refused = story.command(Command::Cancel);
    assert_eq!(refused, Err(Rejection::NoCampaign { stream }));
    assert_eq!(story.events(), []);
}
