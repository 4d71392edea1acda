//! Devices that somebody says are gone (D1), and says again (K1).

use sortie_core::{CatalogEvent, CommandId, Event, StreamId};
use sortie_engine::node::{Done, NodeCommand};

use crate::bed::{Bed, device};

fn tell(bed: &mut Bed, command: &str) {
    let id = CommandId::from_name(command);
    let answer = bed.command_as(id, NodeCommand::DeviceRemoved(device(1)));
    assert_eq!(answer, Some(Ok(Done::Accepted)));
}

/// How often the catalog has it.
fn recorded_in_catalog(bed: &Bed) -> usize {
    let log = bed.log(StreamId::Catalog);
    let removal = |event: &&Event| {
        matches!(
            event,
            Event::Catalog(CatalogEvent::DeviceRemovalRecorded { .. })
        )
    };
    log.iter().filter(removal).count()
}

/// A device was removed while campaign `a` targeted it, and is there again, with a campaign of its own.
fn there_again() -> (Bed, StreamId) {
    let mut bed = Bed::new(1);
    let a = bed.campaign("a");
    tell(&mut bed, "gone");
    assert_eq!((bed.progress(a).failed, recorded_in_catalog(&bed)), (1, 1));
    let b = bed.campaign("b");
    (bed, b)
}

#[test]
fn k1_a_removal_told_again_by_the_same_command_changes_nothing() {
    let (mut bed, b) = there_again();
    tell(&mut bed, "gone");
    assert_eq!((bed.progress(b).idle, recorded_in_catalog(&bed)), (1, 1));
    tell(&mut bed, "gone again");
    assert_eq!((bed.progress(b).failed, recorded_in_catalog(&bed)), (1, 2));
}

#[test]
fn k1_a_removal_told_again_after_a_restart_changes_nothing() {
    let (mut bed, b) = there_again();
    bed.restart();
    tell(&mut bed, "gone");
    assert_eq!((bed.progress(b).idle, recorded_in_catalog(&bed)), (1, 1));
}

#[test]
fn k1_a_removal_that_concerns_no_campaign_is_carried_out_once() {
    let mut bed = Bed::new(1);
    tell(&mut bed, "gone");
    assert_eq!(recorded_in_catalog(&bed), 1);
    let a = bed.campaign("a");
    tell(&mut bed, "gone");
    assert_eq!((bed.progress(a).idle, recorded_in_catalog(&bed)), (1, 1));
}

/// Campaign `a` is halted while one of its two devices is removed, and the engine is started anew.
fn removed_while_halted() -> (Bed, StreamId) {
    let mut bed = Bed::new(2);
    let a = bed.campaign("a");
    bed.unwritable.insert(a);
    bed.online(2);
    assert!(bed.progress(a).halted.is_some());
    bed.devices.remove(&device(1));
    tell(&mut bed, "gone");
    bed.unwritable.clear();
    bed.restart();
    assert_eq!((bed.progress(a).idle, bed.progress(a).halted), (2, None));
    (bed, a)
}

#[test]
fn d1_a_campaign_that_was_halted_finds_out_before_it_pushes() {
    let (mut bed, a) = removed_while_halted();
    bed.online(1);
    assert_eq!((bed.progress(a).failed, bed.written.len()), (1, 0));
}

#[test]
fn d1_a_campaign_that_was_halted_hears_of_it_when_it_is_said_again() {
    let (mut bed, a) = removed_while_halted();
    tell(&mut bed, "gone, I said");
    assert_eq!((bed.progress(a).failed, bed.progress(a).idle), (1, 1));
}
