//! How fast the core decides and folds, what memory it takes, and how fast the plainest loops are.
//!
//! Each target takes four events (started, acknowledged, deployed, succeeded), the devices' words in random orders.
//!
//! - *decide*: the live path, input, decision, event and fold, with a look at the timers each thousand
//!   inputs; *push* and *reports* are its parts. It must not allocate, or the bench stops.
//! - *not ahead*: the same without `Campaign::look_ahead`.
//! - *in order*: the same, the words in the order of the snapshot. Then nothing waits for memory; so if steps
//!   grew with the number of targets, this would show it.
//! - *presence*: a device goes or comes, which leads to no event.
//! - *fold*: the replay of the events.
//! - *cycle* and *plain fold*: two bytes a target and four counters, nothing else. The one decides, logs and
//!   applies, the other only applies: the bound that memory sets.
//!
//! Times are those of the thread, so that other programs take caches away from it, but no time.
//!
//! `cargo bench -p sortie-benches --bench core_fold`
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a bench that can't run must stop"
)]

mod heap;
mod live;
mod plain;

use std::{hint::black_box, time::Duration};

use sortie_benches::ThreadTime;
use sortie_core::{CampaignEvent, CampaignId, DeviceId, DeviceSlot, OperationId, State, Timestamp};

use heap::Heap;
use live::{Live, Taken};

/// In which the devices speak, each time.
type Orders = [Vec<u32>; 3];

const RUNS: usize = 3;

/// Of the state, beside ids.
const BYTES_OF_A_TARGET_MAX: usize = 96;

fn main() {
    let in_full = std::env::args().any(|argument| argument == "--bench");
    let sizes: &[u32] = if in_full {
        &[10_000, 100_000, 1_000_000]
    } else {
        &[10_000]
    };
    println!("Millions a second, the best of {RUNS} runs.\n");
    println!(
        "| targets | decide | push | reports | not ahead | in order | presence | fold | cycle | plain fold \
         | cycle ÷ decide | plain fold ÷ fold |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    let bytes: Vec<_> = sizes.iter().map(|targets| measure(*targets)).collect();
    println!("\nBytes of heap a target.\n");
    println!(
        "| targets | state, beside ids | kept to decide, beside ids | together | ids of both |"
    );
    println!("|---|---|---|---|---|");
    let (id, other_ids) = (
        size_of::<DeviceId>(),
        size_of::<DeviceSlot>() + size_of::<OperationId>(),
    );
    for (targets, state, armed) in bytes {
        let (state, armed, ids) = (state - id, armed - other_ids, id + other_ids);
        let together = state + armed;
        println!("| {targets} | {state} | {armed} | {together} | {ids} |");
        assert!(state <= BYTES_OF_A_TARGET_MAX, "{state} bytes a target");
    }
}

/// Measures campaigns of a size and prints the rates. Answers the size, and the bytes of a target in the
/// state and beside it.
fn measure(targets: u32) -> (u32, usize, usize) {
    let events = 4 * targets as usize;
    let snapshot: Orders = [(); 3].map(|()| (0..targets).collect());
    let random: Orders = [1, 2, 3].map(|seed| shuffled(targets, seed));
    let mut rates = [0.0_f64; 9];
    let mut bytes = (0, 0);
    for _ in 0..RUNS {
        let of_both = |taken: &Taken| rate(events, taken.push.time + taken.reports.time);
        let in_order = of_both(&Live::new(targets).run(&snapshot, true));
        let alone = of_both(&Live::new(targets).run(&random, false));
        let mut live = Live::new(targets);
        let taken = live.run(&random, true);
        for meter in [&taken.presence, &taken.push, &taken.reports] {
            let count = meter.allocations;
            assert_eq!(count, 0, "allocations for {} inputs", meter.inputs);
        }
        let (folded, state) = fold(&live.log);
        let (cycle, plain_fold) = plain::run(&random);
        bytes = (state, live.armed_bytes);
        let run = [
            of_both(&taken),
            rate(taken.push.inputs, taken.push.time),
            rate(taken.reports.inputs, taken.reports.time),
            alone,
            in_order,
            rate(taken.presence.inputs, taken.presence.time),
            rate(live.log.len(), folded),
            rate(events, cycle),
            rate(events, plain_fold),
        ];
        for (best, rate) in rates.iter_mut().zip(run) {
            *best = best.max(rate);
        }
    }
    let [decide, .., fold, cycle, plain_fold] = rates;
    print!("| {targets} |");
    for rate in rates {
        print!(" {rate:.1} |");
    }
    println!(" {:.0} | {:.0} |", cycle / decide, plain_fold / fold);
    let a_target = |bytes: usize| bytes.div_ceil(targets as usize);
    (targets, a_target(bytes.0), a_target(bytes.1))
}

/// Replays a log. Answers how long it took, and the bytes of the state.
fn fold(log: &[CampaignEvent]) -> (Duration, usize) {
    let (heap, begin) = (Heap::now(), ThreadTime::now());
    let mut state = State::new(CampaignId::from_name("bench"));
    for event in log {
        state.apply(Timestamp(1), event);
    }
    let time = begin.elapsed();
    let bytes = heap.grown();
    black_box(&state);
    (time, bytes)
}

/// Millions a second.
#[expect(clippy::cast_precision_loss, reason = "a rate, to be printed")]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64() / 1e6
}

/// A permutation, the same at each run.
fn shuffled(targets: u32, mut seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..targets).collect();
    for i in (1..order.len()).rev() {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from((seed >> 33) % (i as u64 + 1)).unwrap_or(0);
        order.swap(i, at);
    }
    order
}
