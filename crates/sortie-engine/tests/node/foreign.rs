//! Reports that count for nothing, and are counted (R1).

use std::time::Duration;

use sortie_core::StreamId;
use sortie_protocol::{Status, Uuid};

use crate::bed::Bed;

fn dropped(bed: &Bed) -> u64 {
    bed.node.health().reports_dropped
}

#[test]
fn r1_a_foreign_report_is_counted_wherever_it_was_sent() {
    let mut bed = Bed::new(2);
    let a = bed.campaign("a");
    bed.online(1);
    bed.online(2);
    let before = bed.log(a);
    let foreign = [Uuid::from_u128(7), bed.operation(2)];
    for (n, uuid) in (1..).zip(foreign) {
        bed.says(1, Some(a.route()), uuid, Status::Success);
        assert_eq!(dropped(&bed), n);
    }
    // No device that is known, nor a campaign.
    bed.says(9, Some(a.route()), bed.operation(1), Status::Success);
    let other = StreamId::Campaign(Uuid::from_u128(9).into());
    bed.says(1, Some(other.route()), Uuid::from_u128(7), Status::Success);
    assert_eq!((dropped(&bed), bed.log(a)), (4, before));
    // Its own counts, and its repetition is not foreign.
    let own = bed.operation(1);
    bed.says(1, Some(a.route()), own, Status::Success);
    bed.says(1, Some(a.route()), own, Status::Success);
    assert_eq!((dropped(&bed), bed.progress(a).successful), (4, 1));
}

#[test]
fn r1_what_waits_of_one_device_is_bounded_and_the_rest_counted() {
    let mut bed = Bed::new(2);
    let a = bed.campaign("a");
    bed.unreadable.insert(a);
    bed.restart();
    bed.online(1);
    for uuid in 1..=10 {
        bed.says(1, Some(a.route()), Uuid::from_u128(uuid), Status::Success);
    }
    assert_eq!(dropped(&bed), 2);
    bed.unreadable.clear();
    bed.pass(Duration::from_secs(31));
    assert_eq!(dropped(&bed), 10);
}

#[test]
fn l6_a_finished_campaign_is_read_for_reports_every_10_s_at_most() {
    let mut bed = Bed::new(3);
    let a = bed.finished_campaign("a");
    let second = Duration::from_secs(1);
    for uuid in 1..=39 {
        bed.says(1, Some(a.route()), Uuid::from_u128(uuid), Status::Failure);
        bed.pass(second);
    }
    assert_eq!(bed.folds[&a], 4);
    // What comes too early is heard all the same.
    bed.pass(9 * second);
    let before = bed.log(a).len();
    bed.says(1, Some(a.route()), bed.operation(1), Status::Failure);
    assert_eq!(bed.log(a).len(), before);
    bed.pass(10 * second);
    assert!(bed.log(a).len() > before, "the contradiction");
}
