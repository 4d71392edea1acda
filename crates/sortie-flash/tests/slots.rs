//! The rules of the slots, one by one, without power cuts.

#![cfg(feature = "sim")]
#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

mod common;

use common::{describe, image, tag};
use embedded_storage::nor_flash::NorFlash;
use sortie_flash::{
    Cause, Fault, Image, PageWrite, Shared, SimFlash, SlotId, Slots, SlotsError, Stage, Tear,
    Verdict,
};

type Flash = SimFlash<4, 256>;
type Device = Slots<Shared<Flash>>;

/// Two state pages, two slots of four pages.
const CAPACITY: u32 = 10 * 256;
const LEN: usize = 900;

fn provisioned() -> (Shared<Flash>, Device) {
    let flash = Shared::new(Flash::memory(CAPACITY, 0));
    let mut slots = Slots::open(flash.clone()).unwrap();
    slots.provision(&image(0, LEN), tag(0)).unwrap();
    (flash, slots)
}

/// What a restart leaves: nothing but flash.
fn restarted(flash: &Shared<Flash>) -> Device {
    Slots::open(flash.clone()).unwrap()
}

fn write_image(slots: &mut Device, number: u8) -> Image {
    let bytes = image(number, LEN);
    for (page, bytes) in (0..).zip(bytes.chunks(256)) {
        slots.write_page(page, bytes).unwrap();
    }
    describe(number, &bytes)
}

/// Boots image `number` on trial.
fn on_trial(flash: &Shared<Flash>, number: u8) -> Device {
    let mut slots = restarted(flash);
    let image = write_image(&mut slots, number);
    slots.mark_pending(image).unwrap();
    let mut slots = restarted(flash);
    let boot = slots.boot().unwrap();
    assert_eq!((boot.image, boot.trial), (image, true));
    slots
}

#[test]
fn a_device_without_a_state_says_so_until_it_is_provisioned_once() {
    let mut slots = Slots::open(Shared::new(Flash::memory(CAPACITY, 0))).unwrap();
    assert!(matches!(slots.state(), Err(SlotsError::NoState)));
    assert!(matches!(slots.boot(), Err(SlotsError::NoState)));
    assert!(matches!(
        slots.write_page(0, &[1]),
        Err(SlotsError::NoState)
    ));
    assert!(matches!(
        slots.provision(&[], tag(0)),
        Err(SlotsError::Size { size: 0, .. })
    ));
    assert!(matches!(
        slots.provision(&[1; 1025], tag(0)),
        Err(SlotsError::Size { .. })
    ));
    slots.provision(&image(0, 1024), tag(0)).unwrap();
    let boot = slots.boot().unwrap();
    assert_eq!((boot.slot, boot.trial), (SlotId::A, false));
    let mut first = [0; 10];
    slots.read(boot.slot, 3, &mut first).unwrap();
    assert_eq!(first, image(0, 1024)[3..13]);
    assert!(matches!(
        slots.provision(&[1], tag(1)),
        Err(SlotsError::AlreadyProvisioned)
    ));
}

#[test]
fn provisioning_is_repeated_after_a_cut_anywhere() {
    for (at, tear) in (0..).zip(Tear::ALL.into_iter().cycle()) {
        let flash = Shared::new(Flash::memory(CAPACITY, at));
        flash.lock().inject(at, Fault::CutTorn(tear));
        let first = restarted(&flash).provision(&image(0, LEN), tag(0));
        flash.lock().power_on();
        if first.is_ok() {
            assert!(at > 8, "only {at} operations");
            return;
        }
        match restarted(&flash).provision(&image(0, LEN), tag(0)) {
            Ok(()) | Err(SlotsError::AlreadyProvisioned) => {}
            Err(error) => panic!("cut at {at}: {error}"),
        }
        let mut slots = restarted(&flash);
        assert_eq!(slots.boot().unwrap().image, describe(0, &image(0, LEN)));
        assert_eq!(
            slots.digest(SlotId::A, 900).unwrap(),
            describe(0, &image(0, LEN)).sha256
        );
        assert_eq!(flash.lock().stats().breaches, 0);
    }
}

#[test]
fn a_confirmed_image_is_active_and_its_outcome_waits_until_told() {
    let (flash, _) = provisioned();
    let mut slots = on_trial(&flash, 1);
    slots.confirm().unwrap();
    for _ in 0..3 {
        let mut slots = restarted(&flash);
        let boot = slots.boot().unwrap();
        assert_eq!(
            (boot.slot, boot.image.tag, boot.trial),
            (SlotId::B, tag(1), false)
        );
        let outcome = slots.state().unwrap().outcome.unwrap();
        assert_eq!((outcome.tag, outcome.verdict), (tag(1), Verdict::Confirmed));
        assert!(!outcome.told);
    }
    let mut slots = restarted(&flash);
    let next = write_image(&mut slots, 2);
    let error = slots.mark_pending(next).unwrap_err();
    assert!(
        matches!(error, SlotsError::OutcomeUntold { tag } if tag == common::tag(1)),
        "{error}"
    );
    slots.told(tag(9)).unwrap();
    assert!(
        slots.mark_pending(next).is_err(),
        "another operation was told"
    );
    slots.told(tag(1)).unwrap();
    slots.mark_pending(next).unwrap();
    assert!(
        slots.state().unwrap().outcome.unwrap().told,
        "kept as told until the next"
    );
}

#[test]
fn an_image_that_does_not_confirm_itself_boots_once_and_is_rolled_back() {
    let (flash, _) = provisioned();
    on_trial(&flash, 1);
    let mut slots = restarted(&flash);
    let boot = slots.boot().unwrap();
    assert_eq!(
        (boot.slot, boot.image.tag, boot.trial),
        (SlotId::A, tag(0), false)
    );
    let state = slots.state().unwrap();
    let outcome = state.outcome.unwrap();
    assert_eq!(outcome.verdict, Verdict::RolledBack(Cause::TrialLimit));
    assert_eq!((outcome.tag, state.candidate), (tag(1), None));
    assert!(matches!(slots.confirm(), Err(SlotsError::NotOnTrial)));
}

#[test]
fn more_trials_are_counted_where_they_are_allowed() {
    let (flash, _) = provisioned();
    on_trial(&flash, 1);
    for count in 2..=3 {
        let mut slots = restarted(&flash).with_max_trials(3);
        assert!(slots.boot().unwrap().trial);
        assert_eq!(
            slots.state().unwrap().candidate.unwrap().stage,
            Stage::Trial(count)
        );
    }
    assert!(!restarted(&flash).with_max_trials(3).boot().unwrap().trial);
}

#[test]
fn a_rejected_image_is_rolled_back_at_the_next_boot_with_its_number() {
    let (flash, _) = provisioned();
    let mut slots = on_trial(&flash, 1);
    slots.reject(42).unwrap();
    assert_eq!(
        slots.state().unwrap().outcome,
        None,
        "not rolled back before the boot"
    );
    assert!(matches!(slots.confirm(), Err(SlotsError::NotOnTrial)));
    // Even where more trials are allowed.
    let mut slots = restarted(&flash).with_max_trials(9);
    assert_eq!(slots.boot().unwrap().slot, SlotId::A);
    let outcome = slots.state().unwrap().outcome.unwrap();
    assert_eq!(outcome.verdict, Verdict::RolledBack(Cause::Rejected(42)));
}

#[test]
fn an_operation_gets_no_second_trial() {
    let (flash, _) = provisioned();
    let ends = [Slots::confirm, |slots: &mut Device| slots.reject(1)];
    for (number, end) in (1..).zip(ends) {
        end(&mut on_trial(&flash, number)).unwrap();
        let mut slots = restarted(&flash);
        slots.boot().unwrap();
        slots.told(tag(number)).unwrap();
        let again = write_image(&mut slots, number);
        let error = slots.mark_pending(again).unwrap_err();
        assert!(matches!(error, SlotsError::AlreadyTried { .. }), "{error}");
    }
}

#[test]
fn neither_the_active_slot_nor_a_candidate_is_changed() {
    let (flash, mut slots) = provisioned();
    let image = write_image(&mut slots, 1);
    assert_eq!(
        slots.digest(SlotId::A, 900).unwrap(),
        describe(0, &common::image(0, LEN)).sha256
    );
    slots.mark_pending(image).unwrap();
    let operations = flash.lock().stats().operations;
    for _ in 0..2 {
        assert!(matches!(
            slots.write_page(0, &[1]),
            Err(SlotsError::SlotInUse { .. })
        ));
        assert!(matches!(
            slots.erase_page(0),
            Err(SlotsError::SlotInUse { .. })
        ));
        assert!(matches!(
            slots.write(0, &[1]),
            Err(SlotsError::SlotInUse { .. })
        ));
        slots.mark_pending(image).unwrap();
        let other = Image {
            tag: tag(2),
            ..image
        };
        assert!(matches!(
            slots.mark_pending(other),
            Err(SlotsError::SlotInUse { .. })
        ));
        assert_eq!(
            flash.lock().stats().operations,
            operations,
            "nothing was written"
        );
        slots = restarted(&flash);
    }
    slots.boot().unwrap();
    assert!(
        matches!(slots.erase_page(0), Err(SlotsError::SlotInUse { .. })),
        "nor on trial"
    );
}

#[test]
fn only_what_flash_holds_is_marked() {
    let (_, mut slots) = provisioned();
    let image = write_image(&mut slots, 1);
    let wrong = Image {
        sha256: [3; 32],
        ..image
    };
    let found = image.sha256;
    assert!(matches!(slots.mark_pending(wrong),
        Err(SlotsError::DigestMismatch { found: digest }) if digest == found));
    for size in [0, 1025] {
        let wrong = Image { size, ..image };
        assert!(matches!(
            slots.mark_pending(wrong),
            Err(SlotsError::Size { .. })
        ));
    }
    assert_eq!(slots.state().unwrap().candidate, None);
    slots.mark_pending(image).unwrap();
}

/// Erases a page of slot B behind the back of the slots.
fn spoil(flash: &Shared<Flash>, slot: SlotId) {
    let start = restarted(flash).slot_offset(slot) + 256;
    flash.lock().erase(start, start + 256).unwrap();
}

#[test]
fn a_candidate_that_was_spoiled_is_not_booted() {
    let (flash, mut slots) = provisioned();
    let image = write_image(&mut slots, 1);
    slots.mark_pending(image).unwrap();
    spoil(&flash, SlotId::B);
    let mut slots = restarted(&flash);
    assert_eq!(slots.boot().unwrap().slot, SlotId::A);
    let outcome = slots.state().unwrap().outcome.unwrap();
    assert_eq!(outcome.verdict, Verdict::RolledBack(Cause::DigestMismatch));
}

#[test]
fn with_both_slots_spoiled_nothing_boots_and_nothing_changes() {
    let (flash, mut slots) = provisioned();
    let image = write_image(&mut slots, 1);
    slots.mark_pending(image).unwrap();
    spoil(&flash, SlotId::A);
    spoil(&flash, SlotId::B);
    let before = slots.state().unwrap();
    let mut slots = restarted(&flash);
    assert!(matches!(slots.boot(), Err(SlotsError::NoBootableImage)));
    assert_eq!(restarted(&flash).state().unwrap(), before);
}

#[test]
fn a_page_that_holds_its_bytes_is_not_erased_again() {
    let (flash, mut slots) = provisioned();
    let bytes = image(1, 256);
    assert_eq!(slots.write_page(2, &bytes).unwrap(), PageWrite::Programmed);
    let wear = flash.lock().wear().to_vec();
    assert_eq!(
        slots.write_page(2, &bytes).unwrap(),
        PageWrite::AlreadyThere
    );
    assert_eq!(flash.lock().wear(), wear);
    assert_eq!(
        slots.write_page(2, &image(2, 255)).unwrap(),
        PageWrite::Programmed
    );
    assert!(slots.write_page(4, &bytes).is_err(), "beyond the slot");
    assert!(slots.write_page(u32::MAX, &bytes).is_err());
    assert!(slots.write_page(0, &[0; 257]).is_err(), "more than a page");
}

#[test]
fn pieces_are_written_into_erased_pages_and_the_last_word_is_padded() {
    let (flash, mut slots) = provisioned();
    let bytes = image(1, 403);
    slots.erase_page(0).unwrap();
    slots.erase_page(1).unwrap();
    for (n, piece) in (0..).zip(bytes.chunks(100)) {
        slots.write(n * 100, piece).unwrap();
    }
    slots.mark_pending(describe(1, &bytes)).unwrap();
    let mut tail = [0; 5];
    slots.read(SlotId::B, 400, &mut tail).unwrap();
    assert_eq!(
        (tail[..3].to_vec(), &tail[3..]),
        (bytes[400..].to_vec(), &[0xFF, 0xFF][..])
    );
    assert_eq!(flash.lock().stats().breaches, 0);
}

#[test]
fn a_cell_that_lies_is_found_at_once() {
    let (flash, mut slots) = provisioned();
    let next = flash.lock().stats().operations;
    flash.lock().inject(next + 1, Fault::Ignore);
    let error = slots.write_page(0, &image(1, 256)).unwrap_err();
    assert!(
        matches!(error, SlotsError::Worn { offset: 1536 }),
        "{error}"
    );
    let next = flash.lock().stats().operations;
    slots.write_page(1, &image(1, 256)).unwrap();
    flash.lock().inject(next + 2, Fault::Ignore);
    let error = slots.erase_page(1).unwrap_err();
    assert!(
        matches!(error, SlotsError::Worn { offset: 1792 }),
        "{error}"
    );
}

#[test]
fn after_a_store_that_did_not_return_the_same_slots_know_what_flash_holds() {
    let (flash, _) = provisioned();
    let mut slots = on_trial(&flash, 1);
    // A page has room for one record, so this one is an erasure and the program that is cut.
    let next = flash.lock().stats().operations;
    flash.lock().inject(next + 1, Fault::CutAfter);
    slots.confirm().unwrap_err();
    flash.lock().power_on();
    assert_eq!(
        slots.state().unwrap().active,
        restarted(&flash).state().unwrap().active
    );
}

#[test]
fn without_power_the_error_is_the_drivers() {
    let (flash, mut slots) = provisioned();
    flash.lock().power_off();
    let error = slots.write_page(0, &[1]).unwrap_err();
    assert!(
        matches!(error.driver(), Some(sortie_flash::SimError::PowerOff)),
        "{error}"
    );
}

#[test]
fn a_flash_too_small_for_slots_or_for_a_state_record_is_refused() {
    assert!(matches!(
        Slots::open(Flash::memory(3 * 256, 0)),
        Err(SlotsError::State(_))
    ));
    let small = SimFlash::<4, 128>::memory(4096, 0);
    assert!(matches!(Slots::open(small), Err(SlotsError::State(_))));
}
