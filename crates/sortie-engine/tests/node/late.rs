//! Words on operations that have ended without one (R5), from a transport that knows no routes.

use std::time::Duration;

use sortie_core::{StreamId, campaign::CampaignEvent};
use sortie_protocol::{Status, Uuid};

use crate::bed::Bed;

fn late(event: &CampaignEvent) -> bool {
    matches!(event, CampaignEvent::LateReport { .. })
}

/// An operation of campaign `a` is abandoned, and `b` takes its claim over.
fn taken_over(devices: u32) -> (Bed, StreamId, StreamId, Uuid) {
    let mut bed = Bed::new(devices);
    let a = bed.campaign("a");
    bed.online(1);
    let operation = bed.operation(1);
    bed.pass(Duration::from_mins(7));
    assert_eq!(bed.progress(a).abandoned, 1);
    let b = bed.campaign("b");
    assert_eq!(bed.progress(b).in_progress, 1);
    assert_ne!(bed.operation(1), operation);
    (bed, a, b, operation)
}

fn gives_its_word(mut bed: Bed, a: StreamId, b: StreamId, operation: Uuid) {
    let dropped = bed.node.health().reports_dropped;
    bed.says(1, None, operation, Status::Failure);
    assert_eq!((bed.progress(a).abandoned, bed.count(a, late)), (0, 1));
    assert_eq!(bed.node.health().reports_dropped, dropped);
    assert_eq!((bed.progress(b).in_progress, bed.count(b, late)), (1, 0));
}

#[test]
fn r5_a_late_word_without_a_route_reaches_a_campaign_that_goes_on() {
    let (bed, a, b, operation) = taken_over(2);
    assert!(!bed.progress(a).is_over());
    gives_its_word(bed, a, b, operation);
}

#[test]
fn r5_a_late_word_without_a_route_reaches_a_finished_campaign() {
    let (bed, a, b, operation) = taken_over(1);
    assert!(bed.progress(a).is_over());
    gives_its_word(bed, a, b, operation);
}

#[test]
fn r5_a_late_word_without_a_route_reaches_a_finished_campaign_after_a_restart() {
    let (mut bed, a, b, operation) = taken_over(1);
    bed.restart();
    gives_its_word(bed, a, b, operation);
}

#[test]
fn r5_a_contradiction_without_a_route_is_recorded_too() {
    let mut bed = Bed::new(2);
    let a = bed.campaign("a");
    bed.online(1);
    let operation = bed.operation(1);
    bed.says(1, None, operation, Status::Failure);
    bed.campaign("b");
    assert_ne!(bed.operation(1), operation);
    bed.says(1, None, operation, Status::Success);
    let contradictions = bed.count(a, |event| {
        matches!(event, CampaignEvent::ContradictoryReport { .. })
    });
    assert_eq!(contradictions, 1);
}
