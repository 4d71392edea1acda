//! Power cuts at every flash operation of an update, torn in every way the contract permits
//! (invariant 12).

#![cfg(feature = "sim")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed helper fails the test"
)]

#[path = "../common/mod.rs"]
mod common;
mod device;

use device::{Device, Operation};
use sortie_flash::{Fault, Tear};

/// Faults that cut the power.
const CUTS: [Fault; 6] = [
    Fault::CutBefore,
    Fault::CutTorn(Tear::Prefix),
    Fault::CutTorn(Tear::Suffix),
    Fault::CutTorn(Tear::Bits),
    Fault::CutTorn(Tear::Undefined),
    Fault::CutAfter,
];

/// A geometry with what is swept on it.
struct Sweep<const W: usize, const E: usize, const R: usize> {
    start: Device<W, E, R>,
    len: usize,
    first: u64,
    end: u64,
    erases: u64,
}

impl<const W: usize, const E: usize, const R: usize> Sweep<W, E, R> {
    /// `healths` says of each update of the script whether its image is healthy.
    fn new(record_len: u32, healths: &[bool]) -> Self {
        let len = 4 * E + 37;
        let mut start = Device::<W, E, R>::provisioned(len, record_len);
        for (number, &healthy) in (1..).zip(healths) {
            start.request(Operation::new(number, len - usize::from(number), healthy));
        }
        let mut undisturbed = start.copy(0);
        undisturbed.run();
        let (before, after) = (start.flash.lock().stats(), undisturbed.flash.lock().stats());
        let (first, end) = (before.operations, after.operations);
        assert!(
            end - first > 20,
            "a script of {} operations proves little",
            end - first
        );
        Self {
            start,
            len,
            first,
            end,
            erases: after.erases - before.erases,
        }
    }

    /// Runs the script under these faults, then one more update without any.
    /// Says how many of them struck.
    fn check(&self, seed: u64, faults: &[(u64, Fault)]) -> u64 {
        let mut device = self.start.copy(seed);
        for &(operation, fault) in faults {
            device.flash.lock().inject(operation, fault);
        }
        device.run();
        let stats = device.flash.lock().stats();
        device.flash.lock().clear_faults();
        let erases = stats.erases - self.start.flash.lock().stats().erases;
        // A fault costs the page that was under way, and the state and journal records of two more boots.
        let pages_of_journal = self.start.journal_half_pages();
        let bound = self.erases + stats.faults * (1 + 2 * (1 + pages_of_journal) + 2);
        assert!(
            erases <= bound,
            "{erases} erasures, {} without faults",
            self.erases
        );

        device.request(Operation::new(100, self.len, true));
        device.run();
        assert_eq!(device.running(), Some(100), "the next update does not work");
        stats.faults
    }

    /// One fault at each operation, in each way. Says how many runs that were.
    fn single(&self, faults: &[Fault], seeds: u64) -> u64 {
        let mut runs = 0;
        for operation in self.first..self.end {
            for &fault in faults {
                let seeds = if matches!(fault, Fault::CutTorn(_)) {
                    seeds
                } else {
                    1
                };
                for seed in 0..seeds {
                    let struck = in_context(seed, &[(operation, fault)], |faults| {
                        self.check(seed, faults)
                    });
                    assert_eq!(struck, 1, "{fault:?} at {operation} never struck");
                    runs += 1;
                }
            }
        }
        runs
    }

    /// Two cuts: each `j` after each `k`, until `j` is beyond the end.
    fn pairs(&self, seed: u64) -> u64 {
        let mut runs = 0;
        for k in self.first..self.end {
            for j in k + 1.. {
                // The kinds of the cuts vary over the pairs and the seeds, all 36 combinations in turn.
                let kind = usize::try_from(k * 7 + j * 5 + seed).unwrap();
                let faults = [(k, CUTS[kind % 6]), (j, CUTS[kind / 6 % 6])];
                let struck = in_context(seed, &faults, |faults| self.check(seed, faults));
                assert!(struck > 0, "no cut at {k}");
                runs += 1;
                if struck == 1 {
                    break;
                }
            }
        }
        runs
    }
}

/// Says which faults a failure belongs to, so that it can be repeated.
fn in_context(seed: u64, faults: &[(u64, Fault)], run: impl FnOnce(&[(u64, Fault)]) -> u64) -> u64 {
    struct Context<'a>(u64, &'a [(u64, Fault)]);
    impl Drop for Context<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("with seed {} and {:?}", self.0, self.1);
            }
        }
    }
    let _context = Context(seed, faults);
    run(faults)
}

/// The scripts: an update; one that fails its health check; one after that; two in a row.
const SCRIPTS: [&[bool]; 4] = [&[true], &[false], &[false, true], &[true, true]];

fn sweep_singles<const W: usize, const E: usize, const R: usize>(record_len: u32) {
    let mut runs = 0;
    for script in SCRIPTS {
        runs += Sweep::<W, E, R>::new(record_len, script).single(&CUTS, 6);
    }
    println!("words of {W}, pages of {E}, reads of {R}: {runs} runs");
    assert!(runs > 3000, "only {runs} runs");
}

#[test]
fn one_cut_anywhere_leaves_the_old_or_the_new_image_words_of_1() {
    sweep_singles::<1, 256, 1>(200);
}

#[test]
fn one_cut_anywhere_leaves_the_old_or_the_new_image_words_of_4() {
    sweep_singles::<4, 512, 1>(200);
}

#[test]
fn one_cut_anywhere_leaves_the_old_or_the_new_image_words_of_32() {
    sweep_singles::<32, 512, 8>(200);
}

#[test]
fn one_cut_anywhere_leaves_the_old_or_the_new_image_journal_halves_of_two_pages() {
    sweep_singles::<8, 256, 4>(300);
}

#[test]
fn an_operation_that_fails_or_lies_leaves_the_old_or_the_new_image() {
    let faults = [Fault::Fail, Fault::Ignore];
    for script in SCRIPTS {
        Sweep::<4, 512, 1>::new(200, script).single(&faults, 1);
        Sweep::<8, 256, 4>::new(300, script).single(&faults, 1);
    }
}

#[test]
fn two_cuts_anywhere_leave_the_old_or_the_new_image() {
    let mut runs = 0;
    for script in [&[true][..], &[false], &[false, true]] {
        let sweep = Sweep::<4, 256, 1>::new(200, script);
        for seed in 0..6 {
            runs += sweep.pairs(seed);
        }
    }
    println!("{runs} pairs");
    assert!(runs > 5000, "only {runs} pairs");
}

#[test]
fn cuts_in_quick_succession_leave_the_old_or_the_new_image() {
    let sweep = Sweep::<4, 256, 1>::new(200, &[false, true]);
    for seed in 0..2000_u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut at = sweep.first;
        let faults: Vec<_> = std::iter::repeat_with(|| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            at += 1 + (random >> 33) % 12;
            (at, CUTS[usize::try_from((random >> 40) % 6).unwrap()])
        })
        .take(5)
        .collect();
        let struck = in_context(seed, &faults, |faults| sweep.check(seed, faults));
        assert!(struck > 0, "no cut at all");
    }
}
