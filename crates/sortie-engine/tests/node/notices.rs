//! What is said once, for the application's log.

use std::time::Duration;

use sortie_core::{
    ManualUpdateId, NewManualUpdate, Sha256, StreamId, campaign::Status, catalog::Artifact,
};
use sortie_engine::node::{NodeCommand, Notice};
use sortie_protocol::Status as DeviceStatus;

use crate::bed::{Bed, device};

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn s2_a_start_that_waits_is_said_once_and_so_is_its_end() {
    let mut bed = Bed::new(1);
    bed.outside_away = true;
    let stream = bed.campaign("c");
    bed.pass(MINUTE);
    let begin = Notice::Begins(format!("start waits: \"c\" ({stream}): away"));
    assert_eq!(bed.notices, [begin]);
    assert_eq!(bed.node.health().starts_waiting.len(), 1);
    bed.outside_away = false;
    bed.pass(MINUTE);
    let end = Notice::Over(format!("start waits no longer: {stream}"));
    assert_eq!(bed.notices[1..], [end]);
    assert_eq!(bed.node.health().starts_waiting, []);
    assert_eq!(bed.progress(stream).status, Status::InProgress);
}

#[test]
fn d1_an_inventory_that_cant_say_who_exists_is_said_once_and_so_is_its_return() {
    let mut bed = Bed::new(3);
    bed.campaign("c");
    bed.outside_away = true;
    for n in 1..=2 {
        bed.online(n);
        // Longer than what it said is held for: that it is forgotten is no return.
        bed.pass(11 * MINUTE);
    }
    let what = "inventory: it can't say which devices still exist: away";
    assert_eq!(bed.notices, [Notice::Begins(what.into())]);
    bed.outside_away = false;
    bed.online(3);
    let what = "inventory: it says again which devices still exist";
    assert_eq!(bed.notices[1..], [Notice::Over(what.into())]);
}

#[test]
fn m2_an_upload_that_stays_is_said_once_and_so_is_its_deletion() {
    let mut bed = Bed::new(1);
    bed.online(1);
    let id = ManualUpdateId::from_name("u");
    let artifact = Artifact::new("http://h/u", 1, Sha256([4; 32]));
    let draft = NewManualUpdate::file(device(1), "u.bin", artifact).acknowledge_risk();
    bed.command(NodeCommand::Manual(id, draft.into(), None))
        .unwrap();
    bed.outside_away = true;
    let operation = bed.operation(1);
    bed.says(1, None, operation, DeviceStatus::Success);
    bed.pass(MINUTE);
    let health = bed.node.health();
    let [wait] = &health.uploads_waiting[..] else {
        panic!("{health:?}");
    };
    assert_eq!(
        bed.notices,
        [Notice::Begins(format!("upload stays: {wait}"))]
    );
    assert_eq!(wait.why, "its uploaded file can't be deleted: away");
    assert_eq!(health.starts_waiting, [], "it is no start");
    bed.outside_away = false;
    bed.pass(MINUTE);
    let stream = StreamId::Manual(id);
    let end = Notice::Over(format!("upload is deleted: {stream}"));
    assert_eq!(bed.notices[1..], [end]);
}
