//! What counts of what is heard, and when the next timer runs out (P4, P5, C3, R1, W5).

use std::time::Duration;

use sortie_core::{
    CampaignEvent, CampaignId, Command, Event, Input, Listened, OperationId, Start, StreamId,
    TargetIndex, TargetReason, TargetStatus, Timestamp,
};
use sortie_protocol::{Progress, Report, Status as Word, StatusCode};
use uuid::Uuid;

use crate::story::{Story, push};

const ONLY: TargetIndex = TargetIndex(0);

fn seconds(due: Option<Listened>) -> Option<u64> {
    due.map(|due| due.0 / 1_000)
}

fn operation(story: &Story) -> OperationId {
    story.campaign.operation(ONLY).unwrap()
}

#[test]
fn p4_c3_x2_the_next_timer_is_told_and_none_runs_when_nothing_is_under_way() {
    let mut story = Story::running(1, push(1, 100.0));
    assert_eq!(seconds(story.campaign.next_due()), Some(300));
    story.says(0, Word::Acknowledged);
    assert_eq!(seconds(story.campaign.next_due()), Some(3_600));
    story.says(0, Word::Success);
    assert_eq!(story.campaign.next_due(), None);
}

#[test]
fn p4_runs_from_the_commit_for_what_waits_for_a_first_word() {
    let mut story = Story::running(2, push(2, 100.0));
    story.says(1, Word::Acknowledged);
    story.now.listened = Listened(100_000);
    let started = |n| {
        Event::Campaign(CampaignEvent::OperationStarted {
            target: TargetIndex(n),
            claim: 1,
            decided_on: None,
            replaces: None,
        })
    };
    // Target 1 was heard before its commit was: it waits for no first word any more.
    story
        .campaign
        .committed(&[started(0), started(1)], story.now);
    assert_eq!(seconds(story.campaign.next_due()), Some(400));
    story.after(299);
    assert_eq!(story.target(0).0, TargetStatus::InProgress);
    story.events.clear();
    story.after(1);
    let retried = CampaignEvent::RequestRetried { target: ONLY };
    assert_eq!(story.events(), [retried]);
}

/// Decides at 0 s, and has it durable 250 s later, of the 300 that a cancel has.
fn slow_commit(story: &mut Story, decide: impl FnOnce(&mut Story)) {
    story.events.clear();
    decide(story);
    story.now.listened = story.now.listened.after(Duration::from_secs(250));
    let events: Vec<Event> = story.events().into_iter().map(Event::Campaign).collect();
    story.campaign.committed(&events, story.now);
}

#[test]
fn x2_d1_a_cancel_s_time_runs_from_the_commit() {
    let decisions: [fn(&mut Story); 3] = [
        |story| story.command(Command::Cancel).unwrap(),
        |story| story.command(Command::CancelOperation(ONLY)).unwrap(),
        |story| story.input(Input::DeviceRemoved(ONLY)),
    ];
    for decide in decisions {
        let mut story = Story::running(2, push(2, 100.0));
        slow_commit(&mut story, decide);
        assert_eq!(
            story.campaign.state().target(ONLY).unwrap().status,
            TargetStatus::InProgress
        );
        story.after(299);
        assert_eq!(story.target(0).0, TargetStatus::InProgress);
        story.after(1);
        assert_eq!(story.target(0).0, TargetStatus::Failed);
    }
}

#[test]
fn x4_a_second_cancel_restarts_no_timer_when_it_is_committed_either() {
    let first: [fn(&mut Story); 3] = [
        |story| story.command(Command::Cancel).unwrap(),
        |story| story.command(Command::CancelOperation(ONLY)).unwrap(),
        |story| story.input(Input::DeviceRemoved(ONLY)),
    ];
    for (n, cancel) in first.iter().enumerate() {
        for (m, again) in first.iter().enumerate() {
            let mut story = Story::running(2, push(2, 100.0));
            cancel(&mut story);
            slow_commit(&mut story, again);
            story.after(50);
            assert_eq!(story.target(0).0, TargetStatus::Failed, "{n}, then {m}");
        }
    }
}

#[test]
fn x2_what_is_no_longer_being_cancelled_when_its_cancel_is_committed_gets_no_timer() {
    let mut story = Story::running(2, push(2, 100.0));
    slow_commit(&mut story, |story| {
        story.command(Command::Cancel).unwrap();
        story.says(0, Word::Success);
        story.says(1, Word::Success);
    });
    assert_eq!(story.campaign.next_due(), None);
}

#[test]
fn a_tick_is_bounded_and_what_is_left_is_still_due() {
    let mut story = Story::running(1_001, push(1_001, 100.0));
    story.now.listened = Listened(300_000);
    story.input(Input::Tick);
    assert_eq!(story.events().len(), 1_000);
    assert_eq!(story.campaign.next_due(), Some(story.now.listened));
    story.input(Input::Tick);
    assert_eq!(story.events().len(), 1);
}

#[test]
fn c3_a_sign_of_life_counts_for_the_last_operation_only_and_not_before_its_first_word() {
    let mut story = Story::running(1, push(1, 100.0));
    let own = operation(&story).0;
    let progress = |operation| Progress {
        operation,
        status: Word::Downloading,
        percent: 50,
    };
    story.input(Input::Progress(ONLY, progress(own)));
    assert_eq!(seconds(story.campaign.next_due()), Some(300));
    story.says(0, Word::Acknowledged);
    story.now.listened = Listened(1_000_000);
    story.input(Input::Progress(ONLY, progress(Uuid::from_u128(77))));
    assert_eq!(seconds(story.campaign.next_due()), Some(3_600));
    story.input(Input::Progress(ONLY, progress(own)));
    assert_eq!(seconds(story.campaign.next_due()), Some(4_600));
}

#[test]
fn p5_only_the_refusal_of_the_operation_in_force_abandons_it() {
    let mut story = Story::running(1, push(1, 100.0));
    let own = operation(&story);
    let other = OperationId(Uuid::from_u128(77));
    story.input(Input::SendRefused(ONLY, other, "no"));
    assert_eq!(story.target(0).0, TargetStatus::InProgress);
    story.says(0, Word::Success);
    story.events.clear();
    story.input(Input::SendRefused(ONLY, own, "no"));
    assert_eq!(story.events(), []);
}

#[test]
fn w5_a_claim_is_raised_above_its_number_only_and_by_its_holder_only() {
    let mut story = Story::running(1, push(1, 100.0));
    let own = operation(&story);
    story.events.clear();
    story.registers.clear();
    story.input(Input::Raise(ONLY, 1));
    assert_eq!((story.events(), story.registers.len()), (vec![], 0));
    story.input(Input::Raise(ONLY, 9));
    let raised = CampaignEvent::ClaimRaised {
        target: ONLY,
        claim: 9,
    };
    assert_eq!((story.events(), story.registers.len()), (vec![raised], 1));
    let target = story.campaign.state().target(ONLY).unwrap();
    assert_eq!((target.claim, target.claim_at_start), (9, 1));
    // The operation keeps its UUID (W1).
    assert_eq!(story.campaign.state().operation(ONLY), Some(own));

    // Another has taken the claim since.
    let mut row = story.fleet.device(story.slots[0]).claim().unwrap().clone();
    row.operation = OperationId(Uuid::from_u128(77));
    story.fleet.set_claim(story.slots[0], Some(row));
    story.input(Input::Raise(ONLY, 20));
    assert_eq!(story.events(), []);
}

#[test]
fn a_campaign_says_whom_it_targets_and_where_they_are() {
    let story = Story::running(3, push(1, 100.0));
    assert_eq!(story.campaign.slots(), story.slots);
    let devices = story.campaign.state().devices().iter();
    let devices: Vec<_> = devices.map(ToString::to_string).collect();
    assert_eq!(devices, ["d0", "d1", "d2"]);
    let kinds = [
        ((TargetStatus::Idle, None), 2),
        ((TargetStatus::InProgress, None), 1),
    ];
    assert_eq!(story.campaign.state().kinds(), kinds);
    let id = CampaignId::from_name("c");
    assert_eq!(story.campaign.state().id(), id);
    assert_eq!(story.campaign.state().stream(), StreamId::Campaign(id));
}

#[test]
fn the_fold_counts_its_events_and_knows_its_owner_and_its_times() {
    let mut story = Story::new(StreamId::Campaign(CampaignId::from_name("c")));
    let (uuid, later) = (Uuid::from_u128(2), Timestamp(4_000));
    assert_eq!(story.campaign.state().version(), 1);
    story.now.at = later;
    story.input(Input::Own {
        epoch: 7,
        nonce: uuid,
    });
    let state = story.campaign.state();
    assert_eq!((state.version(), state.epoch()), (2, 7));
    assert_eq!(state.last_at(), later);

    // Another owner's operations have other UUIDs (W1).
    let derived = |owners: u64| {
        let mut story = Story::created(push(1, 100.0), Start::Now);
        for epoch in 1..owners {
            story.input(Input::Own {
                epoch: epoch + 1,
                nonce: uuid,
            });
        }
        story.snapshot(1);
        story.pump();
        operation(&story)
    };
    assert_ne!(derived(1), derived(2));
    assert_eq!(derived(2), derived(3));

    let mut story = Story::created(push(1, 100.0), Start::Now);
    story.now.at = Timestamp(5_000);
    story.snapshot(1);
    story.pump();
    story.now.at = Timestamp(9_000);
    story.says(0, Word::Success);
    let state = story.campaign.state();
    assert_eq!(state.created_at(), Timestamp(1_000));
    assert_eq!(state.started_at(), Some(Timestamp(5_000)));
    assert_eq!(state.finished_at(), Some(Timestamp(9_000)));
}

#[test]
fn r2_the_last_word_is_kept_while_it_says_more_than_its_status() {
    let mut story = Story::running(2, push(2, 100.0));
    let kept = |story: &Story| {
        let word = story.campaign.state().last_word(ONLY);
        word.map(|word| (word.status, word.code.clone(), word.message.clone()))
    };
    story.says(0, Word::Downloading);
    assert_eq!(kept(&story), None);
    story.report(0, |operation| Report {
        code: Some(StatusCode::NetworkError),
        message: "no route".into(),
        ..Report::new(operation, Word::Error)
    });
    let error = (
        Word::Error,
        Some(StatusCode::NetworkError),
        "no route".into(),
    );
    assert_eq!(kept(&story), Some(error.clone()));
    // Another target's word is its own.
    story.says(1, Word::Downloading);
    assert_eq!(kept(&story), Some(error));
    story.says(0, Word::Downloading);
    assert_eq!(kept(&story), None);
    story.fails(0, StatusCode::IOError);
    let failure = (Word::Failure, Some(StatusCode::IOError), String::new());
    assert_eq!(kept(&story), Some(failure));
    story.report(1, |operation| Report {
        message: "nearly".into(),
        ..Report::new(operation, Word::Rebooting)
    });
    story.says(1, Word::Success);
    let after = story.campaign.state().last_word(TargetIndex(1));
    assert_eq!(after, None, "success is the last word");
}

#[test]
fn p1_starts_are_numbered_over_the_campaign() {
    let story = Story::running(3, push(3, 100.0));
    let targets = story.campaign.state().targets();
    let started: Vec<_> = targets.iter().map(|target| target.started).collect();
    assert_eq!(started, [1, 2, 3]);
}

#[test]
fn r4_a_second_try_keeps_the_reason_of_the_first_and_nothing_of_its_operation() {
    let mut story = Story::running(1, push(1, 100.0));
    let decided_on = |story: &Story| {
        let state = story.campaign.state();
        let target = state.target(ONLY).unwrap();
        state.decided_on(target).map(ToOwned::to_owned)
    };
    assert_eq!(decided_on(&story), Some("1.0.0".into()));
    story.fails(0, StatusCode::UpdateAlreadyInProgress);
    story.online(story.slots[0], "1.1.0");
    story.after(60);
    let state = story.campaign.state();
    let target = state.target(ONLY).unwrap();
    assert_eq!(target.status, TargetStatus::InProgress);
    assert_eq!(target.reason, Some(TargetReason::DeviceBusy));
    assert_eq!((target.deferrals, target.heard), (1, None));
    assert_eq!(state.last_word(ONLY), None);
    assert_eq!(decided_on(&story), Some("1.1.0".into()));
}

#[test]
fn l_failed_and_successful_are_final_and_have_their_names() {
    use TargetStatus::{Failed, Idle, InProgress, Successful};
    for (status, name, is_final) in [
        (Idle, "idle", false),
        (InProgress, "in_progress", false),
        (Failed, "failed", true),
        (Successful, "successful", true),
    ] {
        assert_eq!(
            (status.to_string(), status.is_terminal()),
            (name.into(), is_final)
        );
    }
}
