//! Rules S, L1 and K: creation, edits, start.

use sortie_core::{
    CampaignId, Command, Outcome, Rejection, Start, StreamId, Timestamp, campaign::Status,
};

use crate::story::{Story, push, spec};

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
fn l1_a_deleted_campaigns_id_is_used_up() {
    let mut story = Story::created(push(1, 0.0), Start::ByHand);
    story.command(Command::Delete).unwrap();
    let again = Command::Create(Box::new(spec(push(1, 0.0), Start::ByHand)));
    let stream = story.campaign.state().stream();
    assert_eq!(story.command(again), Err(Rejection::Deleted { stream }));
    let gone = story.command(Command::Start);
    assert_eq!(gone, Err(Rejection::NoCampaign { stream }));
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
fn s1_s2_who_has_started_or_is_deleted_waits_for_no_time_and_wants_no_snapshot() {
    let at = Timestamp(5_000);
    let wants = |story: &Story| {
        let campaign = &story.campaign;
        (campaign.start_at(), campaign.wants_snapshot(story.now))
    };
    let mut story = Story::created(push(1, 100.0), Start::At(at));
    // S4's probe; then it waits for its time.
    assert_eq!(wants(&story), (Some(at), true));
    story.snapshot(1);
    assert_eq!(wants(&story), (Some(at), false));
    story.now.at = at;
    assert_eq!(wants(&story), (Some(at), true));
    story.snapshot(1);
    assert_eq!(story.status().0, Status::InProgress);
    assert_eq!(wants(&story), (None, false));

    let mut story = Story::created(push(1, 100.0), Start::At(at));
    story.command(Command::Delete).unwrap();
    assert_eq!(wants(&story), (None, false));
    let none = StreamId::Campaign(CampaignId::from_name("none"));
    assert_eq!(wants(&Story::new(none)), (None, false));
}
