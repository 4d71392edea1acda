//! A6, A12 and the trial: what the device does.

use alloc::vec::Vec;
use core::time::Duration;

use sortie_protocol::{Reason, Sha256, Status, StatusCode};

use super::{Bench, DIGEST, SIZE, id, rolled_back};
use crate::{
    agent::{Effect, Input, record::Record},
    ports::{Boot, DownloadError, FlashError, TrialEnd},
    settings::Settings,
};

fn io() -> FlashError {
    FlashError::Io("worn".into())
}

#[test]
fn a6_deployed_is_reported_only_once_the_slot_is_marked() {
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.download();
    bench.input(Input::Digest(Ok(DIGEST)));
    assert_eq!(bench.status(7), Some(Status::Deploying));
    assert!(matches!(bench.effects.last(), Some(Effect::MarkPending(p)) if p.operation == id(7)));
    bench.acknowledges = false;
    bench.input(Input::Marked(Ok(())));
    assert!(matches!(bench.published.last(),
        Some(crate::Publish::Report { report: Some(r), .. }) if r.status == Status::Deployed));
    assert_ne!(
        bench.effects.last(),
        Some(&Effect::Reboot),
        "it waits to be told"
    );
    bench.input(Input::Published(true));
    bench.input(Input::Published(true));
    assert_eq!(bench.effects.last(), Some(&Effect::Reboot));
}

#[test]
fn without_acknowledgements_or_a_link_the_work_goes_on_after_a_grace() {
    let mut bench = Bench::new();
    bench.acknowledges = false;
    bench.update(1, 7);
    assert_eq!(bench.fetches(), 0);
    bench.tick(5_000);
    assert_eq!(bench.fetches(), 1);
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.input(Input::Disconnected);
    bench.deploy();
    assert_eq!(bench.effects.last(), Some(&Effect::Reboot));
}

#[test]
fn a_verified_slot_is_read_again_after_a_cut_and_never_written_again() {
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.acknowledges = false;
    bench.download();
    bench.input(Input::Digest(Ok(DIGEST)));
    bench.acknowledges = true;
    bench.boot(&Boot::default());
    assert_eq!(bench.effects, [Effect::Verify { size: SIZE }]);
    bench.input(Input::Digest(Ok(Sha256([0; 32]))));
    assert!(bench.failed(7, StatusCode::InvalidBaseImage));
}

#[test]
fn the_digest_in_flash_decides_and_a_download_in_parts_gets_a_second_chance() {
    let wrong = || Input::Digest(Ok(Sha256([0; 32])));
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.download();
    bench.input(wrong());
    assert!(bench.failed(7, StatusCode::InvalidBaseImage));
    assert_eq!(bench.registers[&id(7)].reason, Some(Reason::DigestMismatch));

    bench.update(2, 8);
    bench.answered(0);
    bench.input(Input::Written { end: 2_048 });
    bench.input(Input::FetchEnded(Ok(())));
    bench.tick(2_000);
    bench.answered(2_048);
    bench.input(Input::Written { end: SIZE });
    bench.input(wrong());
    let Some(Effect::Fetch { fetch, held, .. }) = bench.effects.last() else {
        panic!("{:?}", bench.effects);
    };
    assert_eq!((fetch.offset, *held), (0, SIZE));
    bench.answered(0);
    bench.input(Input::Differs { offset: 1_024 });
    let record = Record::decode(bench.journal.as_deref().unwrap()).unwrap();
    assert_eq!(
        record.current.unwrap().durable,
        1_024,
        "not certain any more"
    );
    bench.input(Input::Written { end: SIZE });
    bench.input(wrong());
    assert!(bench.failed(8, StatusCode::InvalidBaseImage));
}

#[test]
fn flash_that_fails_is_an_io_error_and_a_mark_that_fails_is_judged_by_the_next_boot() {
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.input(Input::FlashFailed("worn".into()));
    assert!(bench.failed(7, StatusCode::IOError));
    bench.update(2, 8);
    bench.download();
    bench.input(Input::Digest(Err(io())));
    assert!(bench.failed(8, StatusCode::IOError));
    bench.update(3, 9);
    bench.download();
    for _ in 0..3 {
        bench.input(Input::Digest(Ok(DIGEST)));
        bench.input(Input::Marked(Err(io())));
        assert_eq!(bench.effects.last(), Some(&Effect::Reboot));
        assert_eq!(
            bench.status(9),
            Some(Status::Deploying),
            "nothing is claimed"
        );
        bench.boot(&Boot::default());
    }
    assert!(bench.failed(9, StatusCode::IOError));
    // Had it been marked after all, the boot would have said so.
    bench.update(4, 10);
    bench.download();
    bench.input(Input::Digest(Ok(DIGEST)));
    bench.input(Input::Marked(Err(io())));
    bench.boot(&Boot {
        trial: Some(id(10)),
        ..Boot::default()
    });
    assert_eq!(bench.effects, [Effect::CheckHealth]);
}

#[test]
fn a_trial_is_confirmed_by_health_and_rejected_by_its_failure_or_its_silence() {
    let trial = Boot {
        trial: Some(id(7)),
        ..Boot::default()
    };
    let on_trial = || {
        let mut bench = Bench::new();
        bench.update(1, 7);
        bench.deploy();
        bench.boot(&trial);
        assert_eq!(bench.effects, [Effect::CheckHealth]);
        bench
    };
    let mut bench = on_trial();
    bench.input(Input::Health(Ok(())));
    assert_eq!(bench.effects.last(), Some(&Effect::Confirm));
    assert_eq!(
        bench.status(7),
        Some(Status::Rebooting),
        "not a success before it is kept"
    );
    bench.input(Input::Confirmed(Ok(())));
    assert_eq!(bench.status(7), Some(Status::Success));
    assert_eq!(bench.effects.last(), Some(&Effect::Told(id(7))));

    let mut ill = on_trial();
    ill.input(Input::Health(Err("ill".into())));
    let mut silent = on_trial();
    silent.tick(300_000);
    for mut bench in [ill, silent] {
        let rejected = Effect::Reject(Reason::HealthCheckFailed);
        assert_eq!(bench.effects.last(), Some(&rejected));
        bench.input(Input::Health(Ok(())));
        bench.input(Input::Rejected);
        assert_eq!(bench.effects.last(), Some(&Effect::Reboot));
        let reason = TrialEnd::RolledBack(Reason::HealthCheckFailed);
        bench.boot(&Boot {
            last: Some((id(7), reason)),
            ..Boot::default()
        });
        assert!(bench.failed(7, StatusCode::SystemRollback));
        assert_eq!(
            bench.registers[&id(7)].reason,
            Some(Reason::HealthCheckFailed)
        );
    }

    let mut unkept = on_trial();
    unkept.input(Input::Health(Ok(())));
    unkept.input(Input::Confirmed(Err(io())));
    assert_eq!(unkept.effects.last(), Some(&Effect::Reboot));
    unkept.boot(&rolled_back(7));
    assert!(unkept.failed(7, StatusCode::SystemRollback));
}

#[test]
fn a_cut_between_the_confirmation_and_the_journal_is_a_success() {
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.deploy();
    bench.boot(&Boot {
        last: Some((id(7), TrialEnd::Confirmed)),
        ..Boot::default()
    });
    assert_eq!(bench.status(7), Some(Status::Success));
    assert_eq!(bench.effects, [Effect::Told(id(7))]);
}

#[test]
fn a_trial_of_which_the_journal_knows_nothing_is_judged_and_answered() {
    let mut bench = Bench::new();
    bench.journal = None;
    bench.boot(&Boot {
        trial: Some(id(7)),
        ..Boot::default()
    });
    bench.update(1, 7);
    assert_eq!(bench.status(7), Some(Status::Rebooting));
    bench.input(Input::Health(Ok(())));
    bench.input(Input::Confirmed(Ok(())));
    assert_eq!(bench.status(7), Some(Status::Success));
}

#[test]
fn a12_network_trouble_is_an_error_tried_again_with_backoff_and_at_last_a_failure() {
    let trouble = || Input::FetchEnded(Err(DownloadError::Network("no route".into())));
    let mut bench = Bench::new();
    bench.update(1, 7);
    let began = bench.now;
    let mut waits = Vec::new();
    while bench.report(7) != Some((Status::Failure, Some(StatusCode::NetworkError))) {
        let fetches = bench.fetches();
        bench.input(trouble());
        if bench.fetches() == fetches && bench.status(7) == Some(Status::Error) {
            let due = bench.agent.next_due().unwrap();
            waits.push(due.0 - bench.now.0);
            bench.tick(due.0 - bench.now.0);
        }
    }
    let took = Duration::from_millis(bench.now.0 - began.0);
    let give_up = Settings::default().give_up;
    assert!(
        took >= give_up && took < give_up + Duration::from_secs(10),
        "{took:?}"
    );
    assert!((500..=1_000).contains(&waits[0]), "{waits:?}");
    assert!(
        waits[1] > waits[0] / 2 && waits.iter().all(|w| *w <= 60_000),
        "{waits:?}"
    );
    assert!(waits[8] >= 30_000, "{waits:?}");
}

#[test]
fn a12_a_byte_ends_the_error_and_starts_give_up_anew() {
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.tick(29 * 60 * 1_000);
    bench.input(Input::FetchEnded(Err(DownloadError::Network(
        "no route".into(),
    ))));
    let report = bench.registers[&id(7)].clone();
    assert_eq!(
        (report.status, report.message.as_str()),
        (Status::Error, "no route")
    );
    bench.tick(1_000);
    bench.answered(0);
    bench.input(Input::Received);
    assert_eq!(bench.status(7), Some(Status::Downloading));
    bench.tick(29 * 60 * 1_000);
    assert_eq!(bench.status(7), Some(Status::Downloading));
    bench.tick(60 * 1_000);
    assert!(bench.failed(7, StatusCode::NetworkError));
    assert_eq!(bench.effects.last(), Some(&Effect::StopFetch));
}
