//! A8, A11: what the device says.

use alloc::vec::Vec;

use sortie_protocol::{Birth, Presence, Status, StatusCode};

use super::{Bench, id, route};
use crate::{
    agent::{Input, Publish, record::REGISTERS_MAX},
    ports::Boot,
};

#[test]
fn a8_the_current_report_is_published_again_after_every_connect() {
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.input(Input::Disconnected);
    bench.registers.clear();
    bench.connect();
    assert_eq!(bench.status(7), Some(Status::Downloading));
    bench.succeed(7);
    bench.input(Input::Disconnected);
    bench.registers.clear();
    bench.connect();
    assert_eq!(bench.status(7), Some(Status::Success));
}

#[test]
fn a8_an_ended_register_is_emptied_and_forgotten_only_once_that_is_acknowledged() {
    let mut bench = Bench::new();
    bench.cancel(1, 7);
    bench.acknowledges = false;
    bench.none(1);
    let emptied = |bench: &Bench| {
        matches!(bench.published.last(),
            Some(Publish::Report { operation, report: None, .. }) if *operation == id(7))
    };
    assert!(emptied(&bench));
    // Not acknowledged, and the power goes: it is emptied again.
    bench.input(Input::Published(false));
    bench.published.clear();
    bench.acknowledges = true;
    bench.boot(&Boot::default());
    assert!(emptied(&bench));
    assert!(bench.registers.is_empty());
    bench.published.clear();
    bench.boot(&Boot::default());
    assert!(!emptied(&bench), "and not once more");
    // Its result is still known.
    bench.cancel(2, 7);
    assert!(bench.failed(7, StatusCode::Canceled));
}

#[test]
fn a8_a_request_for_another_operation_empties_and_one_for_the_same_does_not() {
    let mut bench = Bench::new();
    bench.cancel(1, 7);
    bench.cancel(2, 7);
    assert!(bench.failed(7, StatusCode::Canceled));
    bench.cancel(3, 8);
    assert_eq!(bench.registers.keys().copied().collect::<Vec<_>>(), [id(8)]);
}

#[test]
fn a8_a_re_imaged_device_empties_what_it_finds_on_none() {
    let mut bench = Bench::new();
    assert!(bench.published.contains(&Publish::WatchOwnReports));
    let found = |operation, present| Input::OwnReport {
        route: route(),
        operation: id(operation),
        present,
    };
    bench
        .registers
        .insert(id(5), sortie_protocol::Report::new(id(5), Status::Success));
    bench
        .registers
        .insert(id(6), sortie_protocol::Report::new(id(6), Status::Success));
    bench.input(found(5, true));
    bench.update(1, 7);
    bench.input(found(7, true));
    assert!(bench.registers.contains_key(&id(5)), "not before None");
    bench.none(2);
    bench.input(found(6, true));
    assert!(bench.registers.is_empty(), "{:?}", bench.registers);
    // A while after None, it is a device like any other.
    bench.tick(61_000);
    bench.published.clear();
    bench.boot(&Boot::default());
    assert!(!bench.published.contains(&Publish::WatchOwnReports));
}

#[test]
fn a8_more_registers_than_the_journal_holds_make_a_request_wait() {
    let mut bench = Bench::new();
    bench.acknowledges = false;
    let last = u64::try_from(REGISTERS_MAX).unwrap() + 5;
    for number in 1..=last {
        bench.cancel(number, number.into());
    }
    assert_eq!(bench.agent.result(id(last.into())), None, "not decided yet");
    bench.acknowledges = true;
    bench.input(Input::Published(false));
    bench.tick(1_000);
    assert!(bench.failed(last.into(), StatusCode::Canceled));
    assert_eq!(bench.registers.len(), 1, "{:?}", bench.registers);
}

#[test]
fn a11_another_session_in_the_own_presence_leads_to_one_more_birth_with_jitter() {
    let mut bench = Bench::new();
    let will = Presence::Offline {
        session: "old".into(),
        lost: true,
    };
    let births = bench.births();
    bench.input(Input::OwnPresence(&will));
    assert_eq!(bench.births(), births, "not at once");
    let due = bench.agent.next_due().unwrap();
    assert!((200..500).contains(&(due.0 - bench.now.0)));
    bench.tick(500);
    assert_eq!(bench.births(), births + 1);
    // Its own echo is no reason, and calls off a birth that the former presence led to.
    let own = Presence::Online(bench.birth.clone().unwrap());
    bench.input(Input::OwnPresence(&own));
    bench.input(Input::OwnPresence(&will));
    bench.input(Input::OwnPresence(&own));
    bench.tick(5_000);
    assert_eq!(bench.births(), births + 1);
    // Two devices under one id don't flood the broker: the waits double.
    let other = Presence::Online(Birth {
        session: "twin".into(),
        ..Birth::default()
    });
    for _ in 0..10 {
        bench.input(Input::OwnPresence(&other));
        bench.tick(60_000);
    }
    bench.input(Input::OwnPresence(&other));
    assert!(bench.agent.next_due().unwrap().0 - bench.now.0 >= 29_000);
}

#[test]
fn a_publish_that_failed_is_not_tried_again_before_a_reconnect_or_a_second() {
    let mut bench = Bench::new();
    bench.acknowledges = false;
    bench.cancel(1, 7);
    let published = bench.published.len();
    bench.input(Input::Published(false));
    bench.tick(500);
    assert_eq!(bench.published.len(), published);
    bench.tick(500);
    assert_eq!(bench.published.len(), published + 1);
    bench.input(Input::Published(false));
    bench.acknowledges = true;
    bench.input(Input::Disconnected);
    bench.connect();
    assert!(bench.failed(7, StatusCode::Canceled));
}

#[test]
fn progress_is_told_at_most_once_a_second() {
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.tick(10_000);
    bench.download();
    let progress = |publish: &&Publish| matches!(publish, Publish::Progress { .. });
    assert_eq!(bench.published.iter().filter(progress).count(), 1);
}

#[test]
fn results_say_the_same_after_any_number_of_boots() {
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.input(Input::FlashFailed("page 3 \u{1} \"worn\"".repeat(9)));
    let told = bench.registers[&id(7)].clone();
    for _ in 0..3 {
        bench.registers.clear();
        bench.boot(&Boot::default());
        assert_eq!(bench.registers[&id(7)], told);
    }
}
