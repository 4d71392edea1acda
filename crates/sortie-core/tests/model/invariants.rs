//! The invariants of docs/architecture.md that concern the core, each on its own: over random runs, by
//! the log and by what leaves, without the reference.

use std::collections::BTreeSet;

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use sortie_core::{
    CampaignEvent, Input, Outcome, State, Status, SystemModelId, TargetIndex, TargetReason,
    TargetStatus,
};
use sortie_protocol::Request;

use super::{
    config,
    engine::{
        Engine, fold,
        words::{device_number, index, report},
    },
    log::Log,
    step::{self, About, Ask, CAMPAIGNS, DEVICES, Passing, STREAMS, Setup, Step, Who, Word},
    versions::{Verdict, eligibility},
};

type Run = (Setup, Vec<Step>);

/// A fleet, and what happens to it: first what makes campaigns start, then anything.
fn run() -> impl Strategy<Value = Run> {
    let young = prop::collection::vec(step::step(true), 0..40);
    let grown = prop::collection::vec(step::step(false), 0..80);
    (step::setup(), young, grown).prop_map(|(setup, mut steps, grown)| {
        steps.extend(grown);
        (setup, steps)
    })
}

/// Does all steps. `see`: the engine after each, and how long the log was before it.
fn play(setup: Setup, steps: &[Step], mut see: impl FnMut(&Engine, usize, &Step)) -> Engine {
    let mut engine = Engine::new(setup);
    for step in steps {
        let before = engine.log().0.len();
        engine.step(step, None);
        see(&engine, before, step);
    }
    engine
}

fn states(engine: &Engine) -> Vec<State> {
    (0..STREAMS)
        .map(|stream| engine.state(stream).clone())
        .collect()
}

/// Else the properties say less than they seem to.
#[test]
fn the_runs_reach_every_kind_of_event_and_every_reason() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..600 {
        let (setup, steps) = run().new_tree(&mut runner).unwrap().current();
        for (_, event) in &play(setup, &steps, |_, _, _| {}).all {
            let json = serde_json::to_value(event).unwrap();
            reached.extend(["type", "reason"].map(|field| json[field].to_string()));
        }
    }
    let missing: Vec<_> = KINDS_AND_REASONS
        .iter()
        .filter(|name| !reached.contains(&format!("{name:?}")))
        .collect();
    assert_eq!(missing, [&""; 0]);
}

const KINDS_AND_REASONS: [&str; 51] = [
    "OwnerChanged",
    "CampaignCreated",
    "CampaignEdited",
    "CampaignDeleted",
    "CampaignScheduled",
    "StartRequested",
    "TargetsAdded",
    "CampaignStarted",
    "ManualUpdateRequested",
    "UploadDeleted",
    "CommandAccepted",
    "OperationStarted",
    "RequestRetried",
    "OperationReported",
    "OperationCancelRequested",
    "TargetSucceeded",
    "TargetFailed",
    "TargetDeferred",
    "DeviceRemoved",
    "LateReport",
    "ContradictoryReport",
    "ClaimRaised",
    "CampaignPausing",
    "CampaignPaused",
    "CampaignResumed",
    "CampaignCancelled",
    "CampaignFailed",
    "CampaignSucceeded",
    "updated",
    "already_at_version",
    "system_model_mismatch",
    "missing_version",
    "invalid_version",
    "ambiguous_version_ordering",
    "downgrade_not_allowed",
    "version_requirement_not_matched",
    "device_busy",
    "version_changed",
    "request_timeout",
    "stalled",
    "send_refused",
    "canceled",
    "device_canceled",
    "device_removed",
    "expired",
    "invalid_request",
    "network_error",
    "io_error",
    "invalid_base_image",
    "system_rollback",
    "device_failure",
];

proptest! {
    #![proptest_config(config())]

    #[test]
    fn invariant_1_operations_in_progress_never_exceed_the_limit_in_force(run in run()) {
        limit(run);
    }

    #[test]
    fn invariant_2_only_an_eligible_device_of_the_snapshot_is_pushed(run in run()) {
        eligible(run);
    }

    #[test]
    fn invariant_3_a_target_has_at_most_one_outcome_and_it_never_changes(run in run()) {
        one_outcome(run);
    }

    #[test]
    fn invariant_4_nothing_starts_after_the_threshold_a_pause_or_a_cancel(run in run()) {
        nothing_starts(run);
    }

    #[test]
    fn invariant_5_what_a_status_says_of_what_is_under_way_is_true(run in run()) {
        statuses_are_true(run);
    }

    #[test]
    fn invariant_6_the_state_is_the_fold_and_so_is_any_snapshot_with_its_tail(run in run()) {
        folds(run);
    }

    #[test]
    fn invariant_7_a_report_moves_its_own_operation_only_and_once(run in run()) {
        reports_move_their_own(run);
    }

    #[test]
    fn invariant_8_a_register_is_written_for_a_cause_that_is_in_the_log(run in run()) {
        causes_are_in_the_log(run);
    }

    #[test]
    fn invariant_9_whoever_is_ready_is_pushed_and_once_all_answer_every_campaign_ends(run in run()) {
        nobody_starves(run);
    }

    #[test]
    fn invariant_10_an_outage_and_steps_of_the_clock_end_no_target(run in run(), outage in prop::collection::vec(of_an_outage(), 1..12)) {
        outages_end_nobody(run, &outage);
    }

    #[test]
    fn invariant_11_a_device_has_at_most_one_operation_in_force(run in run()) {
        one_operation_a_device(run);
    }
}

fn limit((setup, steps): Run) {
    play(setup, &steps, |engine, from, _| {
        engine.log().each(from, |log, stream, event| {
            if matches!(event, CampaignEvent::OperationStarted { .. }) {
                let (in_progress, limit) = (log.in_progress(stream).len(), log.limit(stream));
                assert!(
                    in_progress < limit,
                    "1: one more than {in_progress} of {limit}: {event:?}"
                );
            }
        });
    });
}

fn eligible((setup, steps): Run) {
    play(setup, &steps, |engine, from, _| {
        engine.log().each(from, |log, stream, event| {
            if let CampaignEvent::OperationStarted {
                target, decided_on, ..
            } = event
            {
                let device = log
                    .devices(stream)
                    .get(target.index())
                    .copied()
                    .expect("2: a target of the snapshot");
                let known = engine.fleet.device(engine.slots[device]);
                let version = known.version().map(|version| &*version.text);
                assert_eq!(
                    decided_on.as_deref(),
                    version,
                    "2: decided on what the device reports now"
                );
                assert!(
                    is_eligible(engine, log, stream, known.system_model(), version),
                    "2: {event:?}"
                );
            }
        });
    });
}

fn one_outcome((setup, steps): Run) {
    let mut outcomes: Vec<(usize, usize, TargetStatus, Option<TargetReason>)> = vec![];
    play(setup, &steps, |engine, from, _| {
        engine.log().each(from, |log, stream, event| {
            let ended = event
                .target()
                .is_some_and(|target| log.ended(stream).contains(&target));
            let still = matches!(
                event,
                CampaignEvent::LateReport { .. }
                    | CampaignEvent::ContradictoryReport { .. }
                    | CampaignEvent::ClaimRaised { .. }
                    | CampaignEvent::DeviceRemoved { .. }
            );
            assert!(!ended || still, "3: after its outcome: {event:?}");
        });
        for (stream, target, status, reason) in &outcomes {
            let now = &engine.state(*stream).targets()[*target];
            assert_eq!((now.status, now.reason), (*status, *reason), "3");
        }
        outcomes.clear();
        for stream in 0..STREAMS {
            let targets = engine.state(stream).targets().iter().enumerate();
            outcomes.extend(
                targets
                    .filter(|(_, target)| target.status.is_terminal())
                    .map(|(number, target)| (stream, number, target.status, target.reason)),
            );
        }
    });
}

fn nothing_starts((setup, mut steps): Run) {
    // Each campaign is paused in the end, everyone is there, and one operation after the other ends.
    steps.push(Step::Link {
        up: true,
        births: true,
    });
    for stream in 0..CAMPAIGNS {
        let (events, hang) = (100, 0);
        steps.extend((0..DEVICES).map(ordinary));
        steps.push(Step::Pump {
            stream,
            events: 1,
            hang,
        });
        steps.push(Step::Command {
            stream,
            ask: Ask::Pause,
        });
        for device in 0..DEVICES {
            steps.push(Step::Pump {
                stream,
                events,
                hang,
            });
            steps.push(says(Who::Of(stream, device), "Success"));
        }
    }
    play(setup, &steps, |engine, from, _| {
        engine.log().each(from, |log, stream, event| {
            let starts = matches!(event, CampaignEvent::OperationStarted { .. });
            assert!(!starts || !log.is_stopped(stream), "4: {event:?}");
        });
    });
}

fn statuses_are_true((setup, steps): Run) {
    play(setup, &steps, |engine, _, _| {
        for stream in 0..STREAMS {
            let state = engine.state(stream);
            let under_way = engine.log().in_progress(stream).len();
            let rests = state.status() == Status::Paused
                || (state.status(), state.outcome()) == (Status::Finished, Some(Outcome::Success));
            assert!(
                !rests || under_way == 0,
                "5: {} with {under_way} in progress",
                state.status()
            );
            assert_eq!(state.counts().in_progress as usize, under_way, "5");
            let drains = state.status() == Status::Finished && under_way > 0;
            assert_eq!(state.is_draining(), drains, "5: draining {under_way}");
            assert_eq!(
                state.counts().abandoned as usize,
                engine.log().abandoned(stream).len(),
                "5: abandoned"
            );
        }
    });
}

fn folds((setup, steps): Run) {
    let engine = play(setup, &steps, |_, _, _| {});
    for live in &engine.streams {
        let json = serde_json::to_string(
            &live
                .log
                .iter()
                .map(|commit| &commit.events)
                .collect::<Vec<_>>(),
        );
        let stored: Vec<Vec<CampaignEvent>> = serde_json::from_str(&json.unwrap()).unwrap();
        let mut log = live.log.clone();
        for (commit, events) in log.iter_mut().zip(stored) {
            commit.events = events;
        }
        assert_eq!(
            fold(State::of(live.id), &log),
            *live.campaign.state(),
            "6: not the fold of the stored log"
        );
        for (after, snapshot) in live.snapshots.iter().enumerate() {
            assert_eq!(
                fold(State::of(live.id), &log[..after]),
                *snapshot,
                "6: a prefix is no state that was"
            );
            assert_eq!(
                fold(snapshot.clone(), &log[after..]),
                *live.campaign.state(),
                "6: a snapshot and its tail"
            );
        }
    }
}

fn reports_move_their_own((setup, steps): Run) {
    let mut engine = Engine::new(setup);
    for step in &steps {
        let before = states(&engine);
        let length = engine.log().0.len();
        let named = match step {
            Step::Report { who, about, .. } => {
                Some((who.resolve(&engine.under_way()), engine.named(*who, *about)))
            }
            _ => None,
        };
        engine.step(step, None);
        let (Step::Report { word, .. }, Some(((stream, device), named))) = (step, named) else {
            continue;
        };
        let Some(target) = engine.target_of(stream, device) else {
            continue;
        };
        let after = states(&engine);
        let own = before[stream].operation(index(target)) == Some(named);
        assert!(
            own || before == after,
            "7: a report on {named} moves another operation"
        );
        for other in 0..STREAMS {
            for (number, was) in before[other].targets().iter().enumerate() {
                let moved =
                    (other, number) != (stream, target) && *was != after[other].targets()[number];
                assert!(
                    !moved,
                    "7: a report of d{device} on {named} moves target {number} of stream {other}"
                );
            }
        }
        let again = report(named, word);
        engine.input(stream, Input::Report(index(target), &again));
        let news = &engine.log().0[length..];
        let own_words = |event: &CampaignEvent| event.target() == Some(index(target));
        let words = news
            .iter()
            .filter(|(at, event)| *at == stream && own_words(event))
            .count();
        assert!(words <= 1, "7: a repeat is news: {news:?}");
        assert_eq!(states(&engine), after, "7: a repeat changes something");
    }
    // Whatever a device that has ended says, over and over, it is one late word and one contradiction.
    for stream in 0..STREAMS {
        for device in 0..DEVICES {
            for status in ["Success", "Failure", "Success", "Failure"] {
                engine.step(&says(Who::Of(stream, device), status), None);
            }
        }
        for number in 0..engine.state(stream).targets().len() {
            let own = |event: &&CampaignEvent| event.target() == Some(index(number));
            let start =
                |event: &CampaignEvent| matches!(event, CampaignEvent::OperationStarted { .. });
            let words = engine.log().of(stream).rev().filter(own);
            let words = words
                .take_while(|event| !start(event))
                .filter(|event| matches!(event, CampaignEvent::ContradictoryReport { .. }))
                .count();
            assert!(
                words <= 1,
                "7: {words} contradictions of target {number} of {stream}"
            );
        }
    }
}

/// A device comes online with what most of them run.
fn ordinary(device: usize) -> Step {
    Step::Online {
        device,
        version: Some("1.0.0"),
        model: Some("m"),
        heard: 0,
    }
}

/// A word on a device's last operation.
fn says(who: Who, status: &'static str) -> Step {
    Step::Report {
        who,
        about: About::Last,
        word: Word {
            status,
            percent: 0,
            code: None,
            reason: None,
        },
    }
}

fn causes_are_in_the_log((setup, steps): Run) {
    play(setup, &steps, |engine, _, _| {
        for (stream, out) in &engine.outputs {
            for target in &out.registers {
                let cause = |event: &CampaignEvent| {
                    event.target() == Some(*target)
                        || matches!(event, CampaignEvent::CampaignCancelled)
                };
                assert!(
                    out.events.iter().any(cause),
                    "8: no cause for {target:?} of stream {stream}: {out:?}"
                );
            }
        }
        for stream in 0..STREAMS {
            for number in 0..engine.state(stream).targets().len() {
                in_the_log(engine, stream, index(number));
            }
        }
    });
}

fn nobody_starves((setup, steps): Run) {
    let mut engine = play(setup, &steps, |engine, from, step| {
        fresh_ones_go_first(engine.log(), from);
        if let Step::Pump {
            stream,
            events: 100,
            hang: 0,
        } = step
        {
            nobody_is_left(engine, *stream);
        }
    });
    heal(&mut engine);
}

fn outages_end_nobody((setup, steps): Run, outage: &[Step]) {
    let mut engine = play(setup, &steps, |_, _, _| {});
    engine.step(
        &Step::Link {
            up: false,
            births: false,
        },
        None,
    );
    let statuses = |engine: &Engine| -> Vec<(usize, Vec<_>)> {
        let targets = |stream: usize| engine.state(stream).targets().iter();
        // M3's date is wall time: who was not sent by then has expired.
        let of =
            |stream: usize| targets(stream).filter(|t| t.reason != Some(TargetReason::Expired));
        (0..CAMPAIGNS)
            .map(|stream| (stream, of(stream).map(|t| (t.status, t.reason)).collect()))
            .collect()
    };
    let (before, length) = (statuses(&engine), engine.log().0.len());
    for step in outage {
        engine.step(step, None);
    }
    // The link is back, and registers and presences have a while to arrive (C1).
    engine.step(
        &Step::Link {
            up: true,
            births: true,
        },
        None,
    );
    engine.step(
        &Step::Time {
            passing: Passing::Seconds(60),
            wall_seconds: 60,
        },
        None,
    );
    assert_eq!(statuses(&engine), before, "10");
    for (stream, event) in &engine.log().0[length..] {
        let expired = matches!(
            event,
            CampaignEvent::TargetFailed {
                reason: TargetReason::Expired,
                ..
            }
        );
        let nothing = matches!(event, CampaignEvent::OwnerChanged { .. })
            || (expired && *stream >= CAMPAIGNS);
        assert!(nothing, "10: an outage led to {event:?}");
    }
}

fn one_operation_a_device((setup, steps): Run) {
    let mut claims = [0_u64; DEVICES];
    play(setup, &steps, |engine, from, _| {
        engine.log().each(from, |log, stream, event| {
            let number = |target: &TargetIndex| log.devices(stream)[target.index()];
            match event {
                CampaignEvent::OperationStarted { target, claim, .. } => {
                    let device = number(target);
                    let holders = log.in_force(device);
                    assert_eq!(
                        holders, [0; 0],
                        "11: d{device} is held: {event:?} of stream {stream}"
                    );
                    assert!(
                        *claim > claims[device],
                        "11: W1: claim numbers grow: {event:?}"
                    );
                    claims[device] = *claim;
                }
                CampaignEvent::ClaimRaised { target, claim } => claims[number(target)] = *claim,
                _ => {}
            }
        });
    });
}

/// E, M1: by the versions known by heart.
fn is_eligible(
    engine: &Engine,
    log: Log<'_>,
    stream: usize,
    model: Option<&str>,
    version: Option<&str>,
) -> bool {
    if let Some(manual) = log.manual(stream) {
        let image = manual.source.system_model().map(SystemModelId::as_str);
        return manual.risk_acknowledged || image.is_some();
    }
    let shipment = &engine.setup.campaigns[stream];
    let mechanism = log.spec(stream).expect("it was created").mechanism;
    let forced = (
        mechanism.force_downgrade,
        mechanism.enforce_requirement_when_forced,
    );
    let verdict = eligibility(
        shipment.version,
        shipment.requirement,
        forced,
        model,
        version,
    );
    verdict == Verdict::Push
}

/// What a register says of an operation is in the log: its start, and its cancel or its end.
fn in_the_log(engine: &Engine, stream: usize, target: TargetIndex) {
    let Some(request) = engine.state(stream).register(target) else {
        return;
    };
    let operation = request
        .operation()
        .expect("8: None is not a campaign's to say");
    let known = engine.operations.get(&operation.into());
    let known = known.unwrap_or_else(|| panic!("8: {operation} was never started"));
    let device = engine.log().devices(stream)[target.index()];
    assert_eq!((known.stream, known.device), (stream, device), "8");
    let cancels = |(at, event): &(usize, CampaignEvent)| {
        let own = event.target() == Some(target);
        *at == stream
            && match event {
                CampaignEvent::OperationCancelRequested { .. }
                | CampaignEvent::DeviceRemoved { .. }
                | CampaignEvent::TargetFailed { .. } => own,
                CampaignEvent::CampaignCancelled => true,
                _ => false,
            }
    };
    let start = |(at, event): &(usize, CampaignEvent)| {
        *at == stream
            && event.target() == Some(target)
            && matches!(event, CampaignEvent::OperationStarted { .. })
    };
    let all = engine.log().0;
    let since = all
        .iter()
        .rposition(start)
        .expect("8: its start is in the log");
    let cancelled = matches!(request, Request::Cancel { .. });
    assert_eq!(
        cancelled,
        all[since..].iter().any(cancels),
        "8: {request:?}"
    );
}

/// P1: within one pump, those that were never pushed go before those that were.
fn fresh_ones_go_first(log: Log<'_>, from: usize) {
    let mut tried = [false; STREAMS];
    log.each(from, |log, stream, event| {
        if let CampaignEvent::OperationStarted { target, .. } = event {
            let again = log.pushed(stream).contains(target);
            assert!(
                again || !tried[stream],
                "9: a retry goes before a fresh target: {event:?}"
            );
            tried[stream] |= again;
        }
    });
}

/// A pump that was not cut short leaves no fresh target whose turn it is.
fn nobody_is_left(engine: &Engine, stream: usize) {
    let state = engine.state(stream);
    let free = engine.log().in_progress(stream).len() < engine.log().limit(stream);
    if state.status() != Status::InProgress || !free {
        return;
    }
    for (number, target) in state.targets().iter().enumerate() {
        let device = device_number(state.device(index(number)).expect("of the snapshot"));
        let slot = engine.slots[device];
        let ready = target.status == TargetStatus::Idle
            && target.deferrals == 0
            && engine.fleet.is_online(slot)
            && !engine.fleet.device(slot).is_held();
        assert!(
            !ready,
            "9: target {number} of stream {stream} waits for nothing"
        );
    }
}

/// The link comes up, everyone is online and answers, persons resume: all must come to an end soon.
fn heal(engine: &mut Engine) {
    engine.step(
        &Step::Link {
            up: true,
            births: true,
        },
        None,
    );
    for device in 0..DEVICES {
        engine.step(&ordinary(device), None);
    }
    // One round for each operation that can be needed, one after the other, would be slow, and is enough.
    for _ in 0..STREAMS * DEVICES + 2 {
        let over = |stream| engine.state(stream).is_over() || engine.state(stream).last_at().0 == 0;
        if (0..STREAMS).all(over) {
            break;
        }
        for stream in 0..STREAMS {
            let ask = match engine.state(stream).status() {
                Status::Pausing | Status::Paused => Some(Ask::Resume),
                Status::Idle | Status::Scheduled if stream < CAMPAIGNS => Some(Ask::Start),
                _ => None,
            };
            if let Some(ask) = ask {
                engine.step(&Step::Command { stream, ask }, None);
            }
            if stream < CAMPAIGNS {
                engine.step(
                    &Step::Snapshot {
                        campaign: stream,
                        empty: false,
                    },
                    None,
                );
            }
            let events = 100;
            engine.step(
                &Step::Pump {
                    stream,
                    events,
                    hang: 0,
                },
                None,
            );
            for device in 0..DEVICES {
                engine.step(&says(Who::Of(stream, device), "Success"), None);
            }
            engine.step(&Step::UploadDeleted { stream }, None);
        }
        // The longest backoff.
        let passing = Passing::Seconds(1_800);
        engine.step(
            &Step::Time {
                passing,
                wall_seconds: 0,
            },
            None,
        );
    }
    for stream in 0..STREAMS {
        let state = engine.state(stream);
        let there = state.spec().is_some() || state.manual().is_some();
        assert!(
            !there || state.is_over(),
            "9: stream {stream} does not end: {:?}",
            state.counts()
        );
    }
}

/// What happens while the link is down.
fn of_an_outage() -> impl Strategy<Value = Step> {
    let stream = 0..STREAMS;
    let wall = -10_000_000_i64..10_000_000;
    prop_oneof![
        4 => (0_u64..1_000_000, wall).prop_map(|(seconds, wall_seconds)| Step::Time {
            passing: Passing::Seconds(seconds),
            wall_seconds,
        }),
        2 => (stream.clone(), 0_u64..1_000_000).prop_map(|(stream, hang)| Step::Pump {
            stream,
            events: 100,
            hang,
        }),
        1 => (stream.clone(), 0_usize..=100).prop_map(|(stream, snapshot_percent)| Step::Restart {
            stream,
            snapshot_percent,
        }),
        1 => stream.prop_map(|stream| Step::LostPump { stream }),
    ]
}
