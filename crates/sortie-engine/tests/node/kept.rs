//! What is asked of campaigns that are finished, and what that costs (L6).

use std::time::Duration;

use sortie_core::{TargetReason, TargetStatus};
use sortie_engine::node::View;
use sortie_protocol::Status;

use crate::bed::Bed;

fn targets(view: View<'_>) -> usize {
    view.campaign.state().devices().len()
}

#[test]
fn a_finished_campaigns_counts_are_at_hand_and_its_log_is_not_read_for_them() {
    let mut bed = Bed::new(3);
    let stream = bed.finished_campaign("c");
    bed.restart();
    let before = bed.folds.clone();
    let kinds = bed.node.kinds(stream).unwrap();
    let expected = [
        (TargetStatus::Failed, TargetReason::DowngradeNotAllowed),
        (TargetStatus::Successful, TargetReason::Updated),
        (TargetStatus::Successful, TargetReason::AlreadyAtVersion),
    ];
    assert_eq!(kinds.len(), expected.len(), "{kinds:?}");
    for (status, reason) in expected {
        assert!(kinds.contains(&((status, Some(reason)), 1)), "{kinds:?}");
    }
    assert_eq!(bed.folds, before);
}

#[test]
fn a_finished_campaign_is_folded_once_for_all_questions_that_follow_each_other() {
    let mut bed = Bed::new(3);
    let stream = bed.finished_campaign("c");
    let second = Duration::from_secs(1);
    for _ in 0..10 {
        assert_eq!(bed.ask(stream, targets), Ok(3));
        bed.pass(20 * second);
    }
    assert_eq!(bed.folds[&stream], 1, "each question extends it");
    assert_eq!(bed.pass(11 * second), 1, "it is let go of");
    assert_eq!(bed.node.wake(), None, "and nothing is left to wake for");
    assert_eq!(bed.ask(stream, targets), Ok(3));
    assert_eq!(bed.folds[&stream], 2);
}

#[test]
fn only_a_few_finished_campaigns_stay_folded_and_the_longest_unasked_goes_first() {
    let mut bed = Bed::new(3);
    let streams: Vec<_> = (0..5)
        .map(|n| bed.finished_campaign(&n.to_string()))
        .collect();
    for stream in &streams[..4] {
        bed.ask(*stream, targets).unwrap();
    }
    bed.ask(streams[0], targets).unwrap();
    bed.ask(streams[4], targets).unwrap();
    let mut folds = |n: usize| {
        bed.ask(streams[n], targets).unwrap();
        bed.folds[&streams[n]]
    };
    assert_eq!([0, 2, 3, 4].map(&mut folds), [1; 4]);
    assert_eq!(folds(1), 2, "it was unasked for longest");
}

#[test]
fn r5_a_late_report_reaches_a_campaign_that_is_folded_for_questions() {
    let mut bed = Bed::new(3);
    let stream = bed.finished_campaign("c");
    let version = |view: View<'_>| view.campaign.state().version();
    let before = bed.ask(stream, version).unwrap();
    bed.says(1, None, bed.operation(1), Status::Failure);
    assert!(
        bed.ask(stream, version).unwrap() > before,
        "the contradiction is recorded, and shown"
    );
    bed.pass(Duration::from_mins(1));
    assert_eq!(bed.node.wake(), None);
}

#[test]
fn c3_signs_of_life_after_an_operations_end_read_no_log() {
    let mut bed = Bed::new(3);
    let stream = bed.finished_campaign("c");
    let before = bed.log(stream);
    for _ in 0..3 {
        bed.lives(1, bed.operation(1));
    }
    assert_eq!(bed.folds.get(&stream), None);
    assert_eq!(bed.log(stream), before);
}
