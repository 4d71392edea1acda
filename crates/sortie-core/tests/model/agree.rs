//! All that can be seen of the core, compared with the reference.

use sortie_core::{ClaimPhase, State, TargetReason, TargetStatus};

use super::{
    engine::{
        Engine, command_id, fold,
        words::{campaign_spec, device_id, index, manual_update},
    },
    reference::{Stream, Target, World},
    said::Said,
    step::{DEVICES, STREAMS, Step},
};

/// What the last step led to.
pub(crate) fn said(engine: &Engine, world: &World, step: &Step) {
    if let Step::Pump { events, .. } = step {
        let (core, reference) = (&engine.said[0], &world.said[0]);
        assert!(
            core.more || !reference.more,
            "9: something is left to push, and the core does not say so"
        );
        assert!(
            !core.more || core.events.len() >= *events,
            "a pump asks for another, and has not used its share"
        );
    }
    let comparable = |said: &[Said]| {
        let mut said = said.to_vec();
        // It may say so for one that turns out not to be ready.
        for said in &mut said {
            said.more = false;
        }
        if matches!(
            step,
            Step::Time { .. } | Step::Pump { .. } | Step::Slow { .. }
        ) {
            // In which order timers of one moment run out is nobody's business.
            let ticks = said.len() - STREAMS;
            for said in &mut said[ticks..] {
                said.events.sort();
            }
        }
        said
    };
    assert_eq!(
        comparable(&engine.said),
        comparable(&world.said),
        "what {step:?} led to: core, then reference"
    );
}

/// Where everything stands.
pub(crate) fn whole(engine: &Engine, world: &World) {
    assert_eq!(
        (engine.listened, engine.wall),
        (world.clock.listened, world.clock.wall)
    );
    for stream in &world.streams {
        self::stream(engine, world, stream);
    }
    for device in 0..DEVICES {
        let slot = engine.slots[device];
        assert_eq!(
            engine.fleet.is_online(slot),
            world.is_online(device),
            "d{device}"
        );
        let row = engine.fleet.device(slot).claim();
        let of_core = row.map(|row| {
            (
                engine.operations[&row.operation],
                row.number,
                phase(row.phase),
            )
        });
        let claim = world.devices[device].claim.as_ref();
        let claim = claim.map(|claim| (claim.operation, claim.number, claim.phase));
        assert_eq!(of_core, claim, "W7: d{device}'s claim");
    }
}

fn stream(engine: &Engine, world: &World, expected: &Stream) {
    let number = expected.number;
    let live = &engine.streams[number];
    let state = live.campaign.state();
    let name = format!("stream {number}");
    let outcome = state.outcome().map(|outcome| outcome.to_string());
    assert_eq!(
        (state.status().to_string().as_str(), outcome.as_deref()),
        (expected.status, expected.outcome),
        "{name}"
    );
    assert_eq!(
        (state.is_deleted(), state.epoch(), state.version()),
        (expected.deleted, expected.epoch, expected.version),
        "{name}"
    );
    let spec = expected.spec.as_ref().map(campaign_spec);
    let manual = expected.manual.as_ref().map(manual_update);
    assert_eq!(
        (state.spec(), state.manual()),
        (spec.as_ref(), manual.as_ref()),
        "{name}"
    );
    assert_eq!(
        (state.created_at().0, state.last_at().0),
        (expected.created_at, expected.last_at),
        "{name}'s times"
    );
    assert_eq!(
        (
            state.started_at().map(|at| at.0),
            state.finished_at().map(|at| at.0)
        ),
        (expected.started_at, expected.finished_at),
        "{name}'s start and end"
    );
    counters(engine, expected, &name);
    assert_eq!(
        state.is_draining(),
        expected.status == "finished" && expected.in_progress() > 0,
        "L5: {name}"
    );
    assert_eq!(state.is_over(), expected.is_over(), "L6: {name}");
    assert_eq!(
        state.upload_to_delete(),
        expected.upload_to_delete(),
        "M2: {name}"
    );
    let now = engine.now(number);
    assert_eq!(
        live.campaign.wants_snapshot(now),
        expected.wants_snapshot(now.at.0),
        "S2, S4: {name}"
    );
    assert_eq!(
        live.campaign.start_at().map(|at| at.0),
        expected.start_at(),
        "S1: {name}"
    );
    for id in 1..=expected.asked {
        let known = expected.commands.contains(&id);
        assert_eq!(
            state.has_command(command_id(id)),
            known,
            "K1: {name}, command {id}"
        );
    }
    let (due, expected_due) = (
        live.campaign.next_due().map(|due| due.0),
        expected.next_due(),
    );
    // A backoff that nobody waits for any more may still wake the core.
    let early = due.is_some() && (expected_due.is_none() || due < expected_due);
    assert!(
        due == expected_due || (early && expected.status == "finished"),
        "{name}'s next timer: {due:?} instead of {expected_due:?}"
    );
    for (at, target) in expected.targets.iter().enumerate() {
        self::target(engine, number, at, target);
        assert_eq!(
            engine.register(number, index(at)),
            expected.register(at, &world.setup.campaigns),
            "{name}'s target {at}: its register"
        );
    }
    assert_eq!(
        fold(State::of(live.id), &live.log),
        *state,
        "6: {name}'s state is not the fold of its log"
    );
}

fn counters(engine: &Engine, expected: &Stream, name: &str) {
    let counts = engine.state(expected.number).counts();
    let counted = [
        counts.targets,
        counts.idle,
        counts.in_progress,
        counts.successful,
        counts.failed,
        counts.failed_counted,
        counts.abandoned,
    ];
    let recounted = [
        expected.targets.len(),
        expected.count(|target| target.status == "idle"),
        expected.in_progress(),
        expected.count(|target| target.status == "successful"),
        expected.count(|target| target.status == "failed"),
        expected.count(Target::counts),
        expected.count(Target::is_abandoned),
    ];
    assert_eq!(counted.map(|n| n as usize), recounted, "{name}'s counters");
}

fn target(engine: &Engine, stream: usize, number: usize, expected: &Target) {
    let state = engine.state(stream);
    let name = format!("stream {stream}'s target {number}");
    let target = state
        .target(index(number))
        .expect("a target of the snapshot");
    assert_eq!(
        state.device(index(number)),
        Some(&device_id(expected.device)),
        "{name}"
    );
    let status = match target.status {
        TargetStatus::Idle => "idle",
        TargetStatus::InProgress => "in_progress",
        TargetStatus::Failed => "failed",
        TargetStatus::Successful => "successful",
    };
    assert_eq!(
        (status, target.reason.map(TargetReason::as_str)),
        (expected.status, expected.reason),
        "{name}"
    );
    assert_eq!(
        target.end.map(|end| format!("{end:?}")).as_deref(),
        expected.end,
        "{name}"
    );
    assert_eq!(
        (
            target.late,
            target.contradicted,
            target.request_retries,
            target.deferrals,
            target.started,
            target.claim
        ),
        (
            expected.late,
            expected.contradicted,
            expected.retries,
            expected.deferrals,
            expected.started,
            expected.claim
        ),
        "{name}"
    );
    let operation = state.operation(index(number));
    assert_eq!(
        operation.map(|operation| engine.operations[&operation]),
        expected.last(),
        "{name}'s operation"
    );
    if expected.last().is_some() {
        assert_eq!(
            target.claim_phase().map(phase),
            Some(expected.claim_phase()),
            "W7: {name}"
        );
    }
    assert_eq!(
        usize::from(target.words_recorded),
        expected.words.len(),
        "R2: {name}"
    );
}

fn phase(phase: ClaimPhase) -> &'static str {
    match phase {
        ClaimPhase::Held => "held",
        ClaimPhase::Open => "open",
        ClaimPhase::Free => "free",
    }
}
