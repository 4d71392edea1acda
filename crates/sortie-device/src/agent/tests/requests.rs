//! A1–A5, A7, A9, A10: what is asked of the device.

use alloc::vec::Vec;

use sortie_protocol::{Generation, Reason, Request, Status, StatusCode, Update};

use super::{Bench, SIZE, details, id, rolled_back, update};
use crate::{
    agent::{Effect, Input, record::Record},
    ports::{Boot, TrialEnd},
};

#[test]
fn a1_an_empty_register_is_no_information() {
    let mut bench = Bench::new();
    bench.update(1, 7);
    let journal = bench.journal.clone();
    bench.input(Input::Request(b""));
    assert_eq!(bench.journal, journal);
    assert_eq!(bench.status(7), Some(Status::Downloading));
}

#[test]
fn a2_the_generation_is_journaled_with_the_decision_before_anything_is_told() {
    let mut bench = Bench::new();
    bench
        .agent
        .handle(Input::Request(&update(3, 7).to_json()), bench.now);
    assert_eq!(bench.agent.publish(bench.now), None);
    let Some(Effect::Store(record)) = bench.agent.poll() else {
        panic!("the store comes first");
    };
    let record = Record::decode(&record).unwrap();
    assert_eq!(record.generation, Generation::update(3));
    assert_eq!(record.current.unwrap().operation, id(7));
}

#[test]
fn a2_a_lower_generation_is_ignored_and_births_say_behind_until_the_register_is_in_order() {
    let mut bench = Bench::new();
    bench.cancel(5, 7);
    let births = bench.births();
    bench.update(4, 8);
    assert_eq!(bench.status(8), None);
    assert_eq!(bench.fetches(), 0);
    assert_eq!(bench.births(), births + 1);
    let birth = bench.birth.clone().unwrap();
    assert_eq!(
        (birth.behind, birth.generation),
        (true, Some(Generation::cancel(5)))
    );
    bench.input(Input::Disconnected);
    bench.connect();
    assert!(
        bench.birth.clone().unwrap().behind,
        "also after a reconnect"
    );
    // A repeat of the highest is in order, and is handled.
    bench.cancel(5, 7);
    assert!(!bench.birth.clone().unwrap().behind);
    assert!(bench.failed(7, StatusCode::Canceled));
}

#[test]
fn a3_a_repeated_update_is_answered_by_its_state_and_nothing_is_redone() {
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.update(2, 7);
    assert_eq!(bench.fetches(), 1);
    bench.succeed(7);
    assert_eq!(bench.status(7), Some(Status::Success));
    bench.boot(&Boot::default());
    bench.registers.clear();
    bench.update(3, 7);
    bench.cancel(3, 7);
    assert_eq!(bench.status(7), Some(Status::Success));
    assert!(bench.effects.is_empty());
}

#[test]
fn a3_four_finished_and_four_refused_are_remembered_apart() {
    let mut bench = Bench::new();
    for operation in 1..=4 {
        bench.cancel(u64::try_from(operation).unwrap(), operation);
    }
    bench.update(10, 7);
    bench.deploy();
    for operation in 21..=25 {
        bench.update(u64::try_from(operation).unwrap(), operation);
    }
    let remembered: Vec<_> = (1..=30)
        .filter(|n| bench.agent.result(id(*n)).is_some())
        .collect();
    assert_eq!(remembered, [1, 2, 3, 4, 22, 23, 24, 25]);
}

#[test]
fn a3_a_result_that_only_the_flash_remembers_is_answered_by_it() {
    let mut bench = Bench::new();
    bench.journal = None;
    let last = Some((id(7), TrialEnd::Confirmed));
    bench.boot(&Boot {
        last,
        ..Boot::default()
    });
    bench.update(1, 7);
    assert_eq!(bench.status(7), Some(Status::Success));
    let installed = Some(id(6));
    bench.boot(&Boot {
        installed,
        ..rolled_back(9)
    });
    bench.update(2, 6);
    assert_eq!(bench.status(6), Some(Status::Success));
    assert_eq!(bench.fetches(), 0);
}

#[test]
fn a4_before_the_point_of_no_return_a_request_replaces_what_runs() {
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.update(2, 8);
    let seven = bench.published.iter().any(|publish| {
        matches!(publish, crate::Publish::Report { report: Some(report), .. }
            if report.operation == id(7) && report.code == Some(StatusCode::Canceled))
    });
    assert!(seven, "7 is told to be cancelled, then emptied");
    assert_eq!(bench.status(7), None);
    assert_eq!(bench.status(8), Some(Status::Downloading));
    let stops = bench.effects.iter().filter(|e| **e == Effect::StopFetch);
    assert_eq!((stops.count(), bench.fetches()), (1, 2));
}

#[test]
fn a4_past_the_point_of_no_return_a_request_is_refused_in_its_own_report() {
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.deploy();
    bench.update(2, 8);
    assert!(bench.failed(8, StatusCode::UpdateAlreadyInProgress));
    assert_eq!(bench.status(7), Some(Status::Rebooting));
    // And a second time, also after the reboot, by the same word.
    bench.boot(&Boot {
        trial: Some(id(7)),
        ..Boot::default()
    });
    bench.update(3, 8);
    assert!(bench.failed(8, StatusCode::UpdateAlreadyInProgress));
    bench.input(Input::Health(Ok(())));
    bench.input(Input::Confirmed(Ok(())));
    assert_eq!(bench.status(7), Some(Status::Success));
    bench.update(4, 8);
    assert!(bench.failed(8, StatusCode::UpdateAlreadyInProgress));
}

#[test]
fn a5_a_cancel_is_answered_by_what_is_true_of_its_operation() {
    // Never seen: cancelled, and not begun by an Update that comes later.
    let mut bench = Bench::new();
    bench.cancel(2, 9);
    bench.update(3, 9);
    assert!(bench.failed(9, StatusCode::Canceled));
    assert_eq!(bench.fetches(), 0);
    // Under way: stopped.
    bench.update(4, 7);
    bench.cancel(4, 7);
    assert!(bench.failed(7, StatusCode::Canceled));
    assert_eq!(bench.effects.last(), Some(&Effect::StopFetch));
    // Another one under way: both end.
    bench.update(5, 8);
    bench.cancel(6, 10);
    assert_eq!(
        bench.agent.result(id(8)).unwrap().code,
        Some(StatusCode::Canceled)
    );
    assert!(bench.failed(10, StatusCode::Canceled));
    // Past the point of no return: its real state.
    bench.update(7, 11);
    bench.deploy();
    bench.registers.clear();
    bench.cancel(7, 11);
    assert_eq!(bench.status(11), Some(Status::Rebooting));
}

#[test]
fn a7_none_stops_what_runs_if_it_still_can_be() {
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.none(1);
    assert_eq!(
        bench.agent.result(id(7)).unwrap().code,
        Some(StatusCode::Canceled)
    );
    assert_eq!(bench.effects.last(), Some(&Effect::StopFetch));
    assert!(bench.registers.is_empty());
    bench.update(2, 8);
    bench.deploy();
    bench.none(2);
    assert_eq!(bench.effects.last(), Some(&Effect::Reboot));
    assert_eq!(bench.status(8), Some(Status::Rebooting));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table, one case a row")]
fn a9_the_first_check_that_applies_decides() {
    type Change = fn(&mut Update);
    type Answer = Result<Status, (StatusCode, Option<Reason>)>;
    let goes = Ok(Status::Downloading);
    let version = |reason| Err((StatusCode::InvalidRequest, Some(reason)));
    let image = |reason| Err((StatusCode::InvalidBaseImage, Some(reason)));
    let cases: &[(&str, Change, Answer)] = &[
        ("newer", |_| {}, goes.clone()),
        (
            "same",
            |u| u.version = Some("1.3.0+a".into()),
            Ok(Status::Success),
        ),
        (
            "same, decided on another",
            |u| {
                u.version = Some("1.3.0+a".into());
                u.decided_on = Some("1.0.0".into());
            },
            Ok(Status::Success),
        ),
        (
            "same, allowed",
            |u| {
                u.version = Some("1.3.0+a".into());
                u.allow.same_version = true;
            },
            goes.clone(),
        ),
        (
            "other build",
            |u| u.version = Some("1.3.0+b".into()),
            goes.clone(),
        ),
        (
            "decided on this",
            |u| u.decided_on = Some("1.3.0+a".into()),
            goes.clone(),
        ),
        (
            "decided on another, older",
            |u| {
                u.decided_on = Some("1.3.0".into());
                u.version = Some("1.0.0".into());
            },
            version(Reason::VersionChanged),
        ),
        (
            "older, of another model",
            |u| {
                u.version = Some("1.2.9".into());
                u.system_model = Some("n".into());
            },
            version(Reason::DowngradeNotAllowed),
        ),
        (
            "older, allowed",
            |u| {
                u.version = Some("1.2.9".into());
                u.allow.downgrade = true;
            },
            goes.clone(),
        ),
        (
            "other model",
            |u| u.system_model = Some("n".into()),
            image(Reason::SystemModelMismatch),
        ),
        (
            "other model, allowed",
            |u| {
                u.system_model = Some("n".into());
                u.allow.system_model = true;
            },
            goes.clone(),
        ),
        (
            "nothing told",
            |u| {
                u.version = None;
                u.system_model = None;
            },
            goes.clone(),
        ),
        (
            "too large",
            |u| u.artifact.size = 65_537,
            image(Reason::SizeMismatch),
        ),
        (
            "empty",
            |u| u.artifact.size = 0,
            image(Reason::SizeMismatch),
        ),
        (
            "odd format",
            |u| u.artifact.format = "zst".into(),
            Err((StatusCode::InvalidRequest, None)),
        ),
        (
            "long URL",
            |u| u.url = "x".repeat(1_025),
            Err((StatusCode::InvalidRequest, None)),
        ),
    ];
    for (name, change, expected) in cases {
        let mut bench = Bench::new();
        let mut update = details(7);
        change(&mut update);
        bench.ask(&Request::Update(Generation::update(1), update.into()));
        let report = bench.registers[&id(7)].clone();
        let found = match report.code {
            Some(code) => Err((code, report.reason)),
            None => Ok(report.status),
        };
        assert_eq!(found, *expected, "{name}");
        assert_eq!(bench.fetches() == 1, *expected == goes, "{name}");
    }
}

#[test]
fn a10_a_new_operation_is_started_only_in_its_session_and_else_the_device_is_behind() {
    let mut bench = Bench::new();
    let of = |number, session: &str| {
        let mut update = details(7);
        update.session = Some(session.into());
        Request::Update(Generation::update(number), update.into())
    };
    bench.ask(&of(3, "other"));
    assert_eq!((bench.status(7), bench.fetches()), (None, 0));
    let birth = bench.birth.clone().unwrap();
    assert_eq!(
        (birth.behind, birth.generation),
        (true, Some(Generation::update(3)))
    );
    // A lower generation comes first, whatever its session.
    let session = birth.session.clone();
    bench.ask(&of(2, &session));
    assert_eq!(bench.status(7), None);
    bench.ask(&of(4, &session));
    assert_eq!(bench.status(7), Some(Status::Downloading));
    assert!(!bench.birth.clone().unwrap().behind);
    // A generation that led to nothing is kept all the same.
    let mut bench = Bench::new();
    bench.ask(&of(3, "other"));
    bench.boot(&Boot::default());
    assert_eq!(
        bench.birth.clone().unwrap().generation,
        Some(Generation::update(3))
    );
    let session = bench.birth.clone().unwrap().session;
    bench.ask(&of(4, &session));
    // Once begun, the session is no matter.
    bench.boot(&Boot::default());
    bench.ask(&of(5, "other"));
    assert_eq!(bench.status(7), Some(Status::Downloading));
}

#[test]
fn a_malformed_update_that_names_its_operation_is_an_invalid_request() {
    let mut bench = Bench::new();
    let stub = |rest: &str| {
        alloc::format!(
            r#"{{"operation":"Update","gen":5,"uuid":"{}","route":"c"{rest}}}"#,
            id(7)
        )
    };
    bench.input(Input::Request(stub(r#","url":5"#).as_bytes()));
    assert!(bench.failed(7, StatusCode::InvalidRequest));
    let journal = bench.journal.clone();
    for dropped in ["{}", "[", "\u{0}", r#"{"operation":"Update","gen":9}"#] {
        bench.input(Input::Request(dropped.as_bytes()));
    }
    bench.input(Input::Request(&[b' '; 9_000]));
    assert_eq!(bench.journal, journal, "what can't be answered is dropped");
}

#[test]
fn an_operation_that_a_cut_interrupts_goes_on_with_what_the_slot_holds() {
    let mut bench = Bench::new();
    bench.update(1, 7);
    bench.answered(0);
    for page in 1..=4 {
        bench.input(Input::Written { end: page * 1_024 });
    }
    bench.boot(&Boot::default());
    let [Effect::Fetch { fetch, size, held }] = &bench.effects[..] else {
        panic!("{:?}", bench.effects);
    };
    assert_eq!((fetch.offset, *size, *held), (4_096, SIZE, 4_096));
    assert_eq!(fetch.etag.as_deref(), Some("\"v1\""));
}
