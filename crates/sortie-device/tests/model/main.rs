//! The whole agent on simulated flash against a model of an engine, at random by seed: stale,
//! repeated and reordered requests, lost acknowledgements, bad servers, bad images, power cuts at any
//! flash operation, re-imaging. Checked is what a device promises (invariant 12).
//!
//! `SEEDS=first..last cargo test -p sortie-device --test model` runs other seeds.
#![expect(clippy::unwrap_used, reason = "what helps a test fails it by a panic")]

mod device;
mod engine;
mod oracle;
mod world;

use world::World;

/// Plays one seed, and says what it came to.
fn play(seed: u64) -> String {
    let mut world = World::new(seed);
    for _ in 0..600 {
        world.step();
    }
    world.calm_down();
    world.summary()
}

#[test]
fn whatever_happens_a_device_tells_one_true_result_for_each_operation() {
    let range = std::env::var("SEEDS").unwrap_or_else(|_| "0..400".into());
    let (first, last) = range.split_once("..").unwrap();
    let mut sums = [0_usize; 6];
    for seed in first.parse().unwrap()..last.parse::<u64>().unwrap() {
        let played = std::panic::catch_unwind(|| play(seed));
        let Ok(summary) = played else {
            panic!("seed {seed}");
        };
        for (sum, part) in sums.iter_mut().zip(summary.split(' ')) {
            *sum += part.parse::<usize>().unwrap();
        }
    }
    let [operations, successes, failures, trials, cuts, re_imaged] = sums;
    println!(
        "{operations} operations, {successes} succeeded, {failures} failed, {trials} trials, \
         {cuts} power cuts, {re_imaged} times re-imaged"
    );
    // What did not happen was not tested.
    if range == "0..400" {
        assert!(successes > 300 && failures > 300 && trials > 300 && cuts > 300 && re_imaged > 50);
    }
}
