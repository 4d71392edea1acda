//! The journal holds the old value or the new one, whatever is cut.

#![cfg(feature = "sim")]
#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use embedded_storage::nor_flash::NorFlash;
use sortie_flash::{Fault, Journal, LogError, Region, RegionError, Shared, SimFlash, Tear};

type Flash = SimFlash<8, 256, 4>;

fn value(n: u8, len: usize) -> Vec<u8> {
    vec![n; len]
}

#[test]
fn a_new_journal_is_empty_and_keeps_what_was_stored_last() {
    let mut flash = Flash::memory(512, 0);
    let mut journal = Journal::open(&mut flash).unwrap();
    assert_eq!(journal.load().unwrap(), None);
    for (n, len) in [(1, 0), (2, 1), (3, 236), (4, 100)] {
        journal.store(&value(n, len)).unwrap();
        assert_eq!(journal.load().unwrap(), Some(value(n, len)));
    }
    assert_eq!(
        Journal::open(&mut flash).unwrap().load().unwrap(),
        Some(value(4, 100))
    );
    assert_eq!(flash.stats().breaches, 0);
}

#[test]
fn a_value_that_does_not_fit_is_refused_and_changes_nothing() {
    let mut journal = Journal::open(Flash::memory(1024 + 256, 0)).unwrap();
    assert_eq!(
        journal.max_len(),
        512 - 20,
        "two halves of two pages, one page over"
    );
    journal.store(&value(1, 492)).unwrap();
    let error = journal.store(&value(2, 493)).unwrap_err();
    assert!(
        matches!(error, LogError::TooLarge { len: 493, max: 492 }),
        "{error}"
    );
    assert_eq!(journal.load().unwrap(), Some(value(1, 492)));
}

#[test]
fn a_flash_of_one_page_is_refused() {
    let error = Journal::open(Flash::memory(256, 0)).unwrap_err();
    assert!(
        matches!(error, LogError::Geometry { capacity: 256 }),
        "{error}"
    );
}

#[test]
fn records_are_appended_and_a_half_is_erased_only_when_the_other_is_full() {
    let mut journal = Journal::open(Flash::memory(512, 0)).unwrap();
    // 24 bytes of payload make records of 48 (44, padded to words of 8): 5 in a page of 256.
    for n in 0..20 {
        journal.store(&value(n, 24)).unwrap();
    }
    assert_eq!(journal.into_flash().wear(), [2, 2]);
}

#[test]
fn storing_what_is_stored_writes_nothing() {
    let mut flash = Flash::memory(512, 0);
    Journal::open(&mut flash)
        .unwrap()
        .store(&value(1, 9))
        .unwrap();
    let before = flash.stats().operations;
    let mut journal = Journal::open(&mut flash).unwrap();
    journal.store(&value(1, 9)).unwrap();
    assert_eq!(journal.into_flash().stats().operations, before);
}

#[test]
fn a_flash_full_of_anything_is_an_empty_journal_that_works() {
    for seed in 0..50 {
        let mut flash = Flash::memory(512, seed);
        for page in 0..2 {
            flash.power_on();
            flash.inject(flash.stats().operations, Fault::CutTorn(Tear::Undefined));
            flash.erase(page * 256, page * 256 + 256).unwrap_err();
        }
        flash.power_on();
        let mut journal = Journal::open(&mut flash).unwrap();
        assert_eq!(journal.load().unwrap(), None);
        journal.store(b"value").unwrap();
        assert_eq!(journal.load().unwrap().as_deref(), Some(&b"value"[..]));
    }
}

/// Stores ten values, opening the journal anew before every third, with a fault at one operation;
/// after each failure the value must be the old or the new one.
fn stores_under<const W: usize>(fault: Fault, at: u64, seed: u64, len: usize) -> bool {
    let mut flash = SimFlash::<W, 256>::memory(1024, seed);
    flash.inject(at, fault);
    let mut current = None;
    for n in 0..10 {
        let mut journal = Journal::open(&mut flash).unwrap();
        let mut last = current.clone();
        for part in 0..3 {
            let new = value(n * 3 + part, len + usize::from(part));
            match journal.store(&new) {
                Ok(()) => last = Some(new),
                Err(error) => {
                    flash.power_on();
                    journal = Journal::open(&mut flash).unwrap();
                    let found = journal.load().unwrap();
                    assert!(
                        found == last || found == Some(new),
                        "{error}: found {found:?}"
                    );
                    last = found;
                }
            }
            assert_eq!(journal.load().unwrap(), last);
        }
        current = last;
    }
    assert_eq!(flash.stats().breaches, 0, "broke the contract");
    flash.stats().faults == 1
}

#[test]
fn any_fault_at_any_operation_leaves_the_old_or_the_new_value() {
    let tears = Tear::ALL.map(Fault::CutTorn);
    let others = [
        Fault::CutBefore,
        Fault::CutAfter,
        Fault::Fail,
        Fault::Ignore,
    ];
    let mut runs = 0;
    for fault in tears.into_iter().chain(others) {
        for seed in 0..8 {
            // Small values share a half of two pages, large ones fill it.
            for len in [10, 400] {
                let mut at = 0;
                while stores_under::<1>(fault, at, seed, len)
                    | stores_under::<16>(fault, at, seed, len)
                {
                    at += 1;
                    runs += 2;
                }
                assert!(at > 30, "only {at} operations");
            }
        }
    }
    println!("{runs} runs");
}

#[test]
fn a_store_that_failed_with_the_power_on_can_be_repeated() {
    let mut journal = Journal::open(Flash::memory(512, 0)).unwrap();
    journal.store(b"old").unwrap();
    let mut flash = journal.into_flash();
    let next = flash.stats().operations;
    flash.inject(next, Fault::Fail);
    let mut journal = Journal::open(flash).unwrap();
    let error = journal.store(b"new").unwrap_err();
    assert!(error.driver().is_some(), "{error}");
    assert_eq!(journal.load().unwrap().as_deref(), Some(&b"old"[..]));
    journal.store(b"new").unwrap();
    assert_eq!(journal.load().unwrap().as_deref(), Some(&b"new"[..]));
}

#[test]
fn after_a_store_that_did_not_return_the_same_journal_knows_what_flash_holds() {
    let flash = Shared::new(Flash::memory(512, 0));
    let mut journal = Journal::open(flash.clone()).unwrap();
    for n in 0..12 {
        // Each is whole in flash, and said to have failed; the erasure of a full half may be what failed.
        let next = flash.lock().stats().operations;
        flash.lock().inject(next, Fault::CutAfter);
        let new = value(n, 100);
        while journal.store(&new).is_err() {
            flash.lock().power_on();
            let found = journal.load().unwrap();
            assert_eq!(found, Journal::open(flash.clone()).unwrap().load().unwrap());
        }
        assert_eq!(journal.load().unwrap(), Some(new));
    }
    assert_eq!(flash.lock().stats().breaches, 0);
}

#[test]
fn an_append_that_fails_in_place_goes_to_the_other_half() {
    for fault in [Fault::Fail, Fault::Ignore] {
        let mut flash = Shared::new(Flash::memory(512, 0));
        let mut journal = Journal::open(flash.clone()).unwrap();
        journal.store(b"first").unwrap();
        let next = flash.lock().stats().operations;
        flash.lock().inject(next, fault);
        journal.store(b"second").unwrap();
        assert_eq!(flash.lock().wear(), [1, 1]);
        let again = Journal::open(&mut flash).unwrap().load().unwrap();
        assert_eq!(again.as_deref(), Some(&b"second"[..]));
    }
}

#[test]
fn a_region_keeps_to_its_pages() {
    let mut flash = Flash::memory(1024, 0);
    assert!(matches!(
        Region::new(&mut flash, 0..100),
        Err(RegionError::NotAligned)
    ));
    assert!(matches!(
        Region::new(&mut flash, 512..1280),
        Err(RegionError::OutOfBounds)
    ));
    let mut region = Region::new(&mut flash, 256..768).unwrap();
    assert!(matches!(
        region.write(508, &[0; 8]),
        Err(RegionError::OutOfBounds)
    ));
    assert!(matches!(
        region.erase(256, 768),
        Err(RegionError::OutOfBounds)
    ));
    assert!(matches!(
        region.erase(256, 0),
        Err(RegionError::OutOfBounds)
    ));
    Journal::open(&mut region).unwrap().store(b"value").unwrap();
    region.erase(256, 512).unwrap();
    assert_eq!(flash.wear(), [0, 1, 1, 0]);
}
