//! How fast the core decides and folds, against the plainest loop over arrays that counts the same.
//!
//! Each target takes four events (started, acknowledged, deployed, succeeded), in an order that is
//! random over the targets. "decide" is the live path: input, decision, event, fold. "fold" is the
//! replay of those events. "plain loop" applies them to two byte arrays and four counters: it has no
//! timers, claims, reasons or versions, and is the bound that memory sets.
//!
//! `cargo bench -p sortie-benches --bench core_fold`
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a bench that can't run must stop"
)]

use std::{hint::black_box, time::Instant};

use sortie_core::{
    Campaign, CampaignEvent, CampaignId, ClaimPhase, ClaimRow, Command, DeviceId, DeviceSlot,
    Fleet, Input, Listened, NewCampaign, Now, Output, Push, Sha256, State, StreamId, TargetIndex,
    Timestamp,
    campaign::{ImageCopy, Target},
    catalog::Artifact,
};
use sortie_protocol::{BaseImage, Birth, Report, Status};
use uuid::Uuid;

const NOW: Now = Now {
    at: Timestamp(1),
    listened: Listened(0),
};

fn main() {
    println!("state: {} B a target beside its id", size_of::<Target>());
    println!(
        "| targets | decide, M events/s | fold, M events/s | plain loop, M events/s | fold ÷ plain | decide ÷ plain |"
    );
    println!("|---|---|---|---|---|---|");
    for targets in [10_000, 100_000, 1_000_000] {
        let best = |runs: Vec<f64>| runs.into_iter().fold(0.0, f64::max);
        let mut live = vec![];
        let mut log = vec![];
        for _ in 0..3 {
            let (events, rate) = decide(targets);
            log = events;
            live.push(rate);
        }
        let folded = best((0..3).map(|_| fold(&log)).collect());
        let plain = best((0..3).map(|_| plain_loop(targets, &log)).collect());
        let live = best(live);
        println!(
            "| {targets} | {live:.1} | {folded:.1} | {plain:.0} | {:.3} | {:.4} |",
            folded / plain,
            live / plain
        );
    }
}

/// Runs a campaign over `targets` devices to its end. Returns its events and millions of them a second.
fn decide(targets: u32) -> (Vec<CampaignEvent>, f64) {
    let mut fleet = Fleet::default();
    fleet.link(true);
    let ids: Vec<DeviceId> = (0..targets)
        .map(|n| DeviceId::new(&format!("gw-{n:07}")).unwrap())
        .collect();
    let slots: Vec<DeviceSlot> = ids.iter().map(|id| fleet.slot(id)).collect();
    let image = BaseImage {
        version: "1.0.0".into(),
        ..BaseImage::default()
    };
    let birth = Birth {
        base_image: Some(image),
        ..Birth::default()
    };
    for slot in &slots {
        fleet.online(*slot, &birth);
    }
    let mut campaign = Campaign::arm(
        State::new(CampaignId::from_name("bench")),
        vec![],
        &fleet,
        NOW,
    );
    let mut out = Output::default();
    let push = Push::new()
        .max_in_progress_operations(u32::MAX)
        .max_failure_percentage(100.0);
    let new = NewCampaign::new("bench", "os@2.0.0".parse().unwrap(), "all".parse().unwrap());
    let spec = new.mechanism(push).validate().expect("valid");
    let artifact = Artifact::new("http://h/a", 1, Sha256([1; 32]));
    let image = ImageCopy::new(
        "2.0.0".parse().unwrap(),
        "m".parse().unwrap(),
        artifact,
        None,
    )
    .into();
    for input in [
        Input::Own {
            epoch: 1,
            nonce: Uuid::from_u128(1),
        },
        Input::Command(Command::Create(spec.into())),
        Input::Snapshot {
            image,
            devices: ids.clone(),
        },
    ] {
        campaign
            .handle(&fleet, input, NOW, &mut out)
            .expect("accepted");
    }
    campaign.arm_targets(slots.clone(), &fleet, NOW);
    let mut log = out.events;
    log.reserve(targets as usize * 4);
    let order = shuffled(targets);
    let begin = Instant::now();
    let mut out = Output::default();
    campaign.pump(&fleet, NOW, &mut out, usize::MAX);
    let mut pushed = begin.elapsed();
    log.append(&mut out.events);
    // What a node does at the commit, and the device's side, are not the core's time.
    let mut operations = vec![Uuid::nil(); targets as usize];
    for index in (0..targets).map(TargetIndex) {
        let operation = campaign.state().operation(index).expect("started");
        operations[index.index()] = operation.0;
        let row = ClaimRow {
            device: ids[index.index()].clone(),
            number: 1,
            holder: StreamId::Campaign(campaign.state().id()),
            operation,
            phase: ClaimPhase::Held,
        };
        fleet.set_claim(slots[index.index()], Some(row));
    }
    for status in [Status::Acknowledged, Status::Deployed, Status::Success] {
        let reports: Vec<Input> = order
            .iter()
            .map(|&n| {
                let report = Report::new(operations[n as usize], status);
                Input::Report(TargetIndex(n), Box::new(report))
            })
            .collect();
        let begin = Instant::now();
        for report in reports {
            campaign
                .handle(&fleet, report, NOW, &mut out)
                .expect("only commands are refused");
        }
        pushed += begin.elapsed();
        log.append(&mut out.events);
        out.registers.clear();
    }
    assert_eq!(
        campaign.state().counts().successful,
        targets,
        "the campaign ended"
    );
    let rate = f64::from(targets) * 4.0 / pushed.as_secs_f64() / 1e6;
    (log, rate)
}

fn fold(log: &[CampaignEvent]) -> f64 {
    let mut state = State::new(CampaignId::from_name("bench"));
    let begin = Instant::now();
    for event in log {
        state.apply(Timestamp(1), event);
    }
    let seconds = begin.elapsed().as_secs_f64();
    black_box(&state);
    rate(log, seconds)
}

/// The same counters, by two bytes a target and nothing else.
fn plain_loop(targets: u32, log: &[CampaignEvent]) -> f64 {
    let lean: Vec<(u32, u8)> = log
        .iter()
        .filter_map(|event| {
            let kind = match event {
                CampaignEvent::OperationStarted { .. } => 1,
                CampaignEvent::OperationReported { .. } => 2,
                CampaignEvent::TargetSucceeded { .. } => 3,
                _ => return None,
            };
            Some((event.target()?.0, kind))
        })
        .collect();
    let mut status = vec![0_u8; targets as usize];
    let mut words = vec![0_u8; targets as usize];
    let mut counts = [0_u64; 4];
    counts[0] = u64::from(targets);
    let begin = Instant::now();
    for (target, kind) in &lean {
        let target = *target as usize;
        if *kind == 2 {
            words[target] += 1;
        } else {
            counts[status[target] as usize] -= 1;
            status[target] = *kind;
            counts[*kind as usize] += 1;
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    black_box((&status, &words, counts));
    rate(log, seconds)
}

#[expect(clippy::cast_precision_loss, reason = "a rate, to be printed")]
fn rate(log: &[CampaignEvent], seconds: f64) -> f64 {
    log.len() as f64 / seconds / 1e6
}

/// A permutation, the same at each run.
fn shuffled(targets: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..targets).collect();
    let mut seed = 42_u64;
    for i in (1..order.len()).rev() {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from((seed >> 33) % (i as u64 + 1)).unwrap_or(0);
        order.swap(i, at);
    }
    order
}
