//! The simulator keeps to the contract of `NorFlash`, and to nothing kinder.

#![cfg(feature = "sim")]
#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use embedded_storage::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use sortie_flash::{Fault, SimError, SimFlash, Tear, Trace, TraceKind};

type Flash = SimFlash<4, 64, 2>;

fn flash() -> Flash {
    Flash::memory(256, 7).with_trace(3)
}

fn contents(flash: &mut Flash) -> Vec<u8> {
    let mut bytes = vec![0; flash.capacity()];
    flash.read(0, &mut bytes).unwrap();
    bytes
}

/// A flash whose first page was programmed with zeros, with a cut in the next operation.
fn about_to(fault: Fault, seed: u64) -> Flash {
    let mut flash = flash();
    flash.reseed(seed);
    flash.write(0, &[0; 64]).unwrap();
    flash.inject(1, fault);
    flash
}

#[test]
fn a_new_flash_is_erased_and_its_capacity_whole_pages() {
    let mut flash = Flash::memory(200, 0);
    assert_eq!(flash.capacity(), 256);
    assert!(contents(&mut flash).iter().all(|&byte| byte == 0xFF));
}

#[test]
fn what_is_not_aligned_or_out_of_bounds_is_refused_and_changes_nothing() {
    let mut flash = flash();
    let mut three = [0; 3];
    let errors = [
        (
            flash.read(1, &mut three[..2]),
            NorFlashErrorKind::NotAligned,
        ),
        (flash.read(0, &mut three), NorFlashErrorKind::NotAligned),
        (
            flash.read(256, &mut three[..2]),
            NorFlashErrorKind::OutOfBounds,
        ),
        (flash.write(2, &[0; 4]), NorFlashErrorKind::NotAligned),
        (flash.write(0, &[0; 6]), NorFlashErrorKind::NotAligned),
        (flash.write(252, &[0; 8]), NorFlashErrorKind::OutOfBounds),
        (
            flash.write(u32::MAX - 3, &[0; 8]),
            NorFlashErrorKind::OutOfBounds,
        ),
        (flash.erase(0, 32), NorFlashErrorKind::NotAligned),
        (flash.erase(32, 64), NorFlashErrorKind::NotAligned),
        (flash.erase(64, 0), NorFlashErrorKind::OutOfBounds),
        (flash.erase(192, 320), NorFlashErrorKind::OutOfBounds),
    ];
    for (index, (result, kind)) in errors.iter().enumerate() {
        let error = result.as_ref().unwrap_err();
        assert_eq!(error.kind(), *kind, "call {index}: {error}");
    }
    assert_eq!(flash.stats().breaches, 11);
    assert_eq!(flash.stats().operations, 0);
    assert!(contents(&mut flash).iter().all(|&byte| byte == 0xFF));
}

#[test]
fn a_word_is_programmed_once_between_two_erasures_even_with_ones() {
    let mut flash = flash();
    flash.write(4, &[0xFF; 4]).unwrap();
    let error = flash.write(0, &[0; 12]).unwrap_err();
    assert!(
        matches!(error, SimError::NotErased { offset: 4 }),
        "{error}"
    );
    assert_eq!(flash.stats().breaches, 1);
    flash.write(0, &[1; 4]).unwrap();
    assert_eq!(
        contents(&mut flash)[..12],
        [1, 1, 1, 1, 255, 255, 255, 255, 255, 255, 255, 255]
    );
    flash.erase(0, 64).unwrap();
    flash.write(0, &[2; 12]).unwrap();
}

#[test]
fn a_cut_before_does_nothing_and_a_cut_after_does_all() {
    for (fault, byte) in [(Fault::CutBefore, 0xFF), (Fault::CutAfter, 0x11)] {
        let mut flash = about_to(fault, 0);
        assert!(matches!(
            flash.write(64, &[0x11; 64]),
            Err(SimError::PowerOff)
        ));
        flash.power_on();
        assert!(
            contents(&mut flash)[64..128]
                .iter()
                .all(|&found| found == byte)
        );
    }
    for (fault, byte) in [(Fault::CutBefore, 0), (Fault::CutAfter, 0xFF)] {
        let mut flash = about_to(fault, 0);
        assert!(matches!(flash.erase(0, 64), Err(SimError::PowerOff)));
        flash.power_on();
        assert!(
            contents(&mut flash)[..64]
                .iter()
                .all(|&found| found == byte)
        );
    }
}

#[test]
fn without_power_every_call_fails_and_none_counts() {
    let mut flash = about_to(Fault::CutBefore, 0);
    flash.write(64, &[0; 4]).unwrap_err();
    let before = flash.stats();
    assert!(matches!(
        flash.read(0, &mut [0; 2]),
        Err(SimError::PowerOff)
    ));
    assert!(matches!(flash.write(64, &[0; 4]), Err(SimError::PowerOff)));
    assert!(matches!(flash.erase(0, 64), Err(SimError::PowerOff)));
    assert_eq!(flash.stats(), before);
    assert!(!flash.is_powered());
    flash.power_on();
    flash.write(64, &[0; 4]).unwrap();
}

#[test]
fn of_a_torn_erasure_of_pages_those_before_are_erased_and_those_after_untouched() {
    let mut flash = flash();
    flash.write(0, &[0; 256]).unwrap();
    flash.inject(2, Fault::CutTorn(Tear::Prefix));
    flash.erase(0, 256).unwrap_err();
    flash.power_on();
    let bytes = contents(&mut flash);
    assert!(bytes[..64].iter().all(|&byte| byte == 0xFF));
    assert!(bytes[128..].iter().all(|&byte| byte == 0));
    assert_eq!(flash.wear(), [1, 1, 0, 0]);
}

#[test]
fn a_torn_program_leaves_whole_words_then_a_torn_one_then_erased_ones() {
    let new: Vec<u8> = (0..64).collect();
    let mut under_way_seen = std::collections::BTreeSet::new();
    for tear in [Tear::Prefix, Tear::Suffix, Tear::Bits] {
        for seed in 0..200 {
            let mut flash = about_to(Fault::CutTorn(tear), seed);
            flash.write(64, &new).unwrap_err();
            flash.power_on();
            let found = &contents(&mut flash)[64..128];
            let torn = (0..16)
                .find(|word| found[word * 4..] != new[word * 4..])
                .map_or(16, |_| {
                    (0..16)
                        .find(|word| found[word * 4..][..4] != new[word * 4..][..4])
                        .unwrap()
                });
            under_way_seen.insert(torn);
            for (index, (&found, &new)) in found.iter().zip(&new).enumerate() {
                match index / 4 {
                    word if word > torn => assert_eq!(found, 0xFF, "{tear:?} {seed}"),
                    // Only bits that the program clears may be cleared.
                    _ => assert_eq!(found & new, new, "{tear:?} {seed}"),
                }
            }
        }
    }
    assert!(
        under_way_seen.len() > 12,
        "tears hit only words {under_way_seen:?}"
    );
}

#[test]
fn each_tear_of_an_erasure_leaves_what_it_says() {
    for seed in 0..100 {
        let torn = |tear| {
            let mut flash = about_to(Fault::CutTorn(tear), seed);
            flash.erase(0, 64).unwrap_err();
            flash.power_on();
            contents(&mut flash)[..64].to_vec()
        };
        let prefix = torn(Tear::Prefix);
        assert!(prefix.is_sorted_by(|a, b| a >= b) && prefix.iter().all(|b| [0, 255].contains(b)));
        let suffix = torn(Tear::Suffix);
        assert!(suffix.is_sorted() && suffix.iter().all(|b| [0, 255].contains(b)));
        let bits = torn(Tear::Bits);
        assert!(bits.contains(&0) && bits.contains(&255), "{bits:?}");
        assert!(bits.iter().any(|byte| ![0, 255].contains(byte)), "{bits:?}");
        assert!(
            torn(Tear::Undefined)
                .iter()
                .any(|byte| ![0, 255].contains(byte))
        );
    }
}

#[test]
fn words_of_a_torn_operation_want_an_erasure_even_if_they_read_erased() {
    let mut read_erased = 0;
    for seed in 0..200 {
        let mut flash = about_to(Fault::CutTorn(Tear::Prefix), seed);
        flash.write(64, &[0; 4]).unwrap_err();
        flash.power_on();
        read_erased += u32::from(contents(&mut flash)[64..68] == [0xFF; 4]);
        assert!(matches!(
            flash.write(64, &[0; 4]),
            Err(SimError::NotErased { offset: 64 })
        ));

        let mut flash = about_to(Fault::CutTorn(Tear::Suffix), seed);
        flash.erase(0, 64).unwrap_err();
        flash.power_on();
        assert!(matches!(
            flash.write(60, &[0; 4]),
            Err(SimError::NotErased { offset: 60 })
        ));
        flash.erase(0, 64).unwrap();
        flash.write(60, &[0; 4]).unwrap();
    }
    assert!(
        read_erased > 10,
        "only {read_erased} torn words read erased"
    );
}

#[test]
fn a_tear_is_repeated_by_its_seed_and_operation() {
    let torn = |seed| {
        let mut flash = about_to(Fault::CutTorn(Tear::Undefined), seed);
        flash.erase(0, 64).unwrap_err();
        flash.power_on();
        contents(&mut flash)
    };
    assert_eq!(torn(3), torn(3));
    assert_ne!(torn(3), torn(4));
}

#[test]
fn an_operation_may_fail_or_lie_with_the_power_on() {
    let mut flash = about_to(Fault::Fail, 0);
    flash.inject(2, Fault::Ignore);
    flash.inject(3, Fault::Ignore);
    assert!(matches!(
        flash.write(64, &[0; 4]),
        Err(SimError::Failed { operation: 1 })
    ));
    flash.write(64, &[0; 4]).unwrap();
    flash.erase(0, 64).unwrap();
    let bytes = contents(&mut flash);
    assert_eq!(
        (bytes[64], bytes[0]),
        (0xFF, 0),
        "both only said that they had"
    );
    assert_eq!(flash.stats().faults, 3);
}

#[test]
fn everything_is_counted_and_the_last_operations_are_traced() {
    let mut flash = flash();
    flash.erase(0, 128).unwrap();
    flash.erase(64, 128).unwrap();
    flash.inject(3, Fault::CutAfter);
    flash.write(64, &[0; 8]).unwrap_err();
    flash.power_on();
    contents(&mut flash);
    let stats = flash.stats();
    assert_eq!((stats.operations, stats.erases, stats.programs), (4, 3, 1));
    assert_eq!(
        (stats.reads, stats.read_bytes, stats.programmed_bytes),
        (1, 256, 8)
    );
    assert_eq!(flash.wear(), [1, 2, 0, 0]);
    let erase = |operation| Trace {
        operation,
        kind: TraceKind::Erase { page: 1 },
        fault: None,
    };
    let program = TraceKind::Program { offset: 64, len: 8 };
    let program = Trace {
        operation: 3,
        kind: program,
        fault: Some(Fault::CutAfter),
    };
    assert_eq!(
        flash.trace().copied().collect::<Vec<_>>(),
        [erase(1), erase(2), program]
    );
}

#[test]
fn a_snapshot_goes_its_own_way_from_the_same_state() {
    let mut flash = about_to(Fault::CutTorn(Tear::Bits), 5);
    let mut copy = flash.snapshot().unwrap();
    flash.erase(0, 64).unwrap_err();
    assert!(
        contents(&mut copy)[..64].iter().all(|&byte| byte == 0),
        "the copy is untouched"
    );
    assert!(matches!(
        copy.write(0, &[0; 4]),
        Err(SimError::NotErased { .. })
    ));
    copy.erase(0, 64).unwrap_err();
    flash.power_on();
    copy.power_on();
    assert_eq!(contents(&mut flash), contents(&mut copy));
}
