//! Until the log has been read, and a stream that can't be.

use std::time::Duration;

use sortie_core::{CatalogItem, campaign::CampaignEvent};
use sortie_engine::node::{NodeCommand, Refusal};
use sortie_protocol::{Request, Status};

use crate::bed::{Bed, device};

fn started(event: &CampaignEvent) -> bool {
    matches!(event, CampaignEvent::OperationStarted { .. })
}

#[test]
fn p4_nothing_is_pushed_and_no_timer_runs_before_requests_may_leave() {
    let mut bed = Bed::new(2);
    let a = bed.campaign("a");
    let b = bed.campaign("b");
    // `a` holds device 1.
    bed.online(1);
    assert_eq!(bed.progress(a).in_progress, 1);
    bed.unreadable.insert(b);
    bed.restart();
    bed.written.clear();
    bed.online(1);
    bed.online(2);
    bed.pass(Duration::from_secs(20));
    // Is there, and waits for the other's log.
    assert_eq!((bed.progress(a).idle, bed.progress(a).in_progress), (1, 1));
    assert_eq!(bed.written, []);
    bed.unreadable.clear();
    bed.pass(Duration::from_secs(20));
    assert_eq!((bed.progress(a).idle, bed.progress(a).in_progress), (0, 2));
    assert_eq!(bed.written.len(), 2);
    // P4 has run for no time yet: the minute's settling and five minutes.
    bed.pass(Duration::from_secs(330));
    assert_eq!(bed.progress(a).failed, 0);
    bed.pass(Duration::from_secs(40));
    assert_eq!(bed.progress(a).failed, 2);
}

#[test]
fn a_stream_that_cant_be_read_does_not_hold_up_the_others_for_ever() {
    let mut bed = Bed::new(3);
    let a = bed.campaign("a");
    let b = bed.campaign("b");
    bed.online(1);
    assert_eq!(bed.progress(a).in_progress, 1);
    bed.unreadable.insert(a);
    bed.restart();
    bed.written.clear();
    for n in 1..=3 {
        bed.online(n);
    }
    bed.pass(Duration::from_secs(20));
    assert!(!bed.node.is_recovered());
    bed.pass(Duration::from_secs(20));
    assert!(bed.node.is_recovered());
    // What the unread one holds stays held: the claim is beside the log.
    assert_eq!((bed.progress(b).idle, bed.progress(b).in_progress), (1, 2));
    let written: Vec<_> = bed.written.iter().map(|request| &request.device).collect();
    assert_eq!(written, [&device(2), &device(3)]);
    let health = bed.node.health();
    assert_eq!(health.halted.len(), 1);
    assert!(health.halted[0].stream == a && health.halted[0].retried);
    // T4: who knows what it uses.
    let delete = NodeCommand::Delete(CatalogItem::Group("all".parse().unwrap()));
    assert!(bed.command(delete).is_err());
    let delete = NodeCommand::Delete(CatalogItem::Channel("all".parse().unwrap()));
    let refused = bed.command(delete);
    assert!(matches!(refused, Err(Refusal::Refused(_))), "{refused:?}");
    // It comes back, first in the order of starts as before (O2), and goes on.
    bed.unreadable.clear();
    bed.written.clear();
    bed.pass(Duration::from_secs(31));
    assert_eq!(bed.progress(a).in_progress, 1);
    assert_eq!(bed.written.len(), 1);
    assert!(bed.node.health().halted.is_empty());
    let Request::Update(_, update) = bed.written[0].body.clone() else {
        panic!("{:?}", bed.written)
    };
    for n in [2, 3] {
        let held = bed.store.claims_now();
        let row = held.iter().find(|row| row.device == device(n)).unwrap();
        bed.says(n, None, row.operation.0, Status::Success);
    }
    assert_eq!(bed.progress(a).in_progress, 3);
    bed.says(1, None, update.operation, Status::Success);
    assert_eq!(bed.progress(a).successful, 1);
    assert_eq!(bed.count(a, started), 3);
}

#[test]
fn d1_a_removal_waits_for_the_stream_that_cant_be_read() {
    let mut bed = Bed::new(1);
    let a = bed.campaign("a");
    bed.unreadable.insert(a);
    bed.restart();
    bed.pass(Duration::from_secs(40));
    assert!(bed.node.is_recovered());
    bed.devices.clear();
    let id = sortie_core::CommandId::from_name("gone");
    let removed = NodeCommand::DeviceRemoved(device(1));
    assert_eq!(bed.command_as(id, removed), None);
    bed.unreadable.clear();
    bed.pass(Duration::from_secs(31));
    assert_eq!(bed.progress(a).failed, 1);
}
