//! A small device that updates itself: bootloader, application and journal on one simulated chip.
//!
//! It is driven over and over until it has nothing left to do, and checks at every boot what must hold
//! whatever was cut. It plays the device agent with the least code, so that the sweep proves slots and
//! journal and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write};

use sortie_flash::{
    Boot, Cause, Image, Journal, Layout, PageWrite, Region, Shared, SimFlash, Slots, Verdict,
};

use crate::common::{describe, image, tag};

/// One update that the device is to do. Operations are known by the number in their tag.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) number: u8,
    pub(crate) image: Vec<u8>,
    pub(crate) healthy: bool,
}

impl Operation {
    pub(crate) fn new(number: u8, len: usize, healthy: bool) -> Self {
        Self {
            number,
            image: image(number, len),
            healthy,
        }
    }

    pub(crate) fn as_image(&self) -> Image {
        describe(self.number, &self.image)
    }
}

/// The number that an unhealthy image rejects itself with.
const REJECTION: u8 = 77;

/// What ended a run of the device.
enum End {
    /// It restarted on its own.
    Reboot,
    /// Nothing is left to do.
    Idle,
}

type Outcomes = BTreeMap<u8, String>;

#[derive(Debug)]
pub(crate) struct Device<const W: usize, const E: usize, const R: usize> {
    pub(crate) flash: Shared<SimFlash<W, E, R>>,
    layout: Layout,
    operations: Vec<Operation>,
    /// What each image must be, the factory's (0) included.
    images: BTreeMap<u8, Vec<u8>>,
    /// How often each operation's image booted on trial.
    trials: BTreeMap<u8, u32>,
    /// Operations that lost power, or met a failing flash, once their image may have been marked.
    disturbed: BTreeSet<u8>,
    /// For each operation the pages that were written whole: page of the chip, and its wear then.
    whole: BTreeMap<u8, BTreeMap<usize, u32>>,
    /// The outcomes told so far; each must stay.
    told: Outcomes,
    running: Option<u8>,
    boots: u32,
}

impl<const W: usize, const E: usize, const R: usize> Device<W, E, R> {
    /// A device with the factory image, on a chip just large enough.
    pub(crate) fn provisioned(image_len: usize, record_len: u32) -> Self {
        let layout =
            Layout::fitting::<SimFlash<W, E, R>>(image_len.try_into().unwrap(), record_len);
        let layout = layout.unwrap();
        let flash = Shared::new(SimFlash::memory(layout.capacity(), 0).with_trace(64));
        let factory = image(0, image_len);
        let (mut slots, _) = layout.open(flash.clone()).unwrap();
        slots.provision(&factory, tag(0)).unwrap();
        Self::on(flash, layout, factory)
    }

    pub(crate) fn on(flash: Shared<SimFlash<W, E, R>>, layout: Layout, factory: Vec<u8>) -> Self {
        Self {
            flash,
            layout,
            operations: Vec::new(),
            images: BTreeMap::from([(0, factory)]),
            trials: BTreeMap::new(),
            disturbed: BTreeSet::new(),
            whole: BTreeMap::new(),
            told: Outcomes::new(),
            running: None,
            boots: 0,
        }
    }

    /// Another device in the same state, whose flash tears by `seed`.
    pub(crate) fn copy(&self, seed: u64) -> Self {
        let mut flash = self.flash.lock().snapshot().unwrap();
        flash.reseed(seed);
        Self {
            flash: Shared::new(flash),
            layout: self.layout.clone(),
            operations: self.operations.clone(),
            images: self.images.clone(),
            trials: self.trials.clone(),
            disturbed: self.disturbed.clone(),
            whole: self.whole.clone(),
            told: self.told.clone(),
            ..*self
        }
    }

    pub(crate) fn request(&mut self, operation: Operation) {
        self.images
            .insert(operation.number, operation.image.clone());
        self.operations.push(operation);
    }

    /// Starts it again and again until it is idle, then checks the outcomes against what runs.
    pub(crate) fn run(&mut self) -> &Outcomes {
        for _ in 0..40 {
            self.flash.lock().power_on();
            self.boots += 1;
            match self.one_boot() {
                Ok(End::Idle) => {
                    self.check_outcomes();
                    return &self.told;
                }
                Ok(End::Reboot) => {}
                Err(error) => {
                    let struck = self.flash.lock().stats().faults > 0;
                    assert!(struck, "failed without a fault: {error}");
                    if let Some(number) = self.under_way() {
                        self.disturbed.insert(number);
                    }
                }
            }
        }
        panic!("device never gets idle: {:?}", self.told);
    }

    pub(crate) fn journal_half_pages(&self) -> u64 {
        let journal = self.layout.journal();
        (u64::from(journal.end - journal.start)) / 2 / E as u64
    }

    /// The operation that runs in the slot now.
    pub(crate) fn running(&self) -> Option<u8> {
        self.running
    }

    fn under_way(&self) -> Option<u8> {
        self.operations
            .iter()
            .map(|operation| operation.number)
            .find(|n| !self.told.contains_key(n))
    }

    fn one_boot(&mut self) -> Result<End, String> {
        let (mut slots, mut journal) = self.layout.open(self.flash.clone()).map_err(text)?;
        let boot = slots.boot().map_err(text)?;
        self.check_boot(&mut slots, boot)?;
        if boot.trial {
            if !self.operation(boot.image.tag[0]).healthy {
                slots.reject(REJECTION).map_err(text)?;
                return Ok(End::Reboot);
            }
            slots.confirm().map_err(text)?;
        }
        let mut notes = Notes::load(&mut journal)?;
        Self::settle(&mut slots, &mut journal, &mut notes)?;
        self.told = notes.outcomes.clone();
        let Some(operation) = self
            .operations
            .iter()
            .find(|o| notes.is_open(o.number))
            .cloned()
        else {
            return Ok(End::Idle);
        };
        self.download(&mut slots, &mut journal, &mut notes, &operation)?;
        self.check_pages(operation.number);
        slots.mark_pending(operation.as_image()).map_err(text)?;
        Ok(End::Reboot)
    }

    /// The booted slot holds, whole, an image that may run here; on trial at most once.
    fn check_boot(&mut self, slots: &mut SlotsOf<W, E, R>, boot: Boot) -> Result<(), String> {
        let number = boot.image.tag[0];
        let expected = &self.images[&number];
        let mut found = vec![0; expected.len()];
        slots.read(boot.slot, 0, &mut found).map_err(text)?;
        assert!(
            found == *expected,
            "boots a torn image of operation {number}"
        );
        assert_eq!(
            boot.image,
            describe(number, expected),
            "state and image disagree"
        );
        if boot.trial {
            let trials = self.trials.entry(number).or_default();
            *trials += 1;
            assert_eq!(*trials, 1, "operation {number} on trial again");
            self.check_pages(number);
        } else if number != 0 {
            assert!(
                self.operation(number).healthy,
                "runs unhealthy image {number} unasked"
            );
        }
        self.running = Some(number);
        Ok(())
    }

    /// Journals the outcome that waits, if there is one, then says that it was told.
    fn settle(
        slots: &mut SlotsOf<W, E, R>,
        journal: &mut JournalOf<W, E, R>,
        notes: &mut Notes,
    ) -> Result<(), String> {
        let state = slots.state().map_err(text)?;
        let Some(outcome) = state.outcome.filter(|outcome| !outcome.told) else {
            return Ok(());
        };
        let number = outcome.tag[0];
        let runs = state.image.tag == outcome.tag;
        assert_eq!(
            outcome.verdict == Verdict::Confirmed,
            runs,
            "outcome and image disagree"
        );
        let verdict = format!("{:?}", outcome.verdict);
        let before = notes.outcomes.insert(number, verdict.clone());
        assert!(
            before.is_none_or(|before| before == verdict),
            "a second outcome: {verdict}"
        );
        notes.store(journal)?;
        slots.told(outcome.tag).map_err(text)
    }

    fn download(
        &mut self,
        slots: &mut SlotsOf<W, E, R>,
        journal: &mut JournalOf<W, E, R>,
        notes: &mut Notes,
        operation: &Operation,
    ) -> Result<(), String> {
        let slot = slots.state().map_err(text)?.active.other();
        let first_page = slots.slot_offset(slot) as usize / E;
        let done = notes.pages_of(operation.number);
        for (page, bytes) in (0..).zip(operation.image.chunks(E)).skip(done) {
            let written = slots.write_page(page, bytes).map_err(text)?;
            let page = first_page + page as usize;
            let wear = self.flash.lock().wear()[page];
            let whole = self.whole.entry(operation.number).or_default();
            if let Some(before) = whole.insert(page, wear) {
                assert_eq!(
                    written,
                    PageWrite::AlreadyThere,
                    "page {page} written twice"
                );
                assert_eq!(before, wear, "whole page {page} erased again");
            }
            notes.progress = Some((operation.number, page - first_page + 1));
            notes.store(journal)?;
        }
        Ok(())
    }

    /// No page that was written whole for this operation was erased since.
    fn check_pages(&self, number: u8) {
        for (&page, &wear) in self.whole.get(&number).into_iter().flatten() {
            assert_eq!(
                self.flash.lock().wear()[page],
                wear,
                "whole page {page} erased again"
            );
        }
    }

    fn check_outcomes(&self) {
        let mut expected_to_run = 0;
        for operation in &self.operations {
            let number = operation.number;
            let told = self
                .told
                .get(&number)
                .unwrap_or_else(|| panic!("{number}: no outcome"));
            let name = |verdict: Verdict| format!("{verdict:?}");
            let ordinary = if operation.healthy {
                Verdict::Confirmed
            } else {
                Verdict::RolledBack(Cause::Rejected(REJECTION))
            };
            let lost = *told == name(Verdict::RolledBack(Cause::TrialLimit));
            let allowed = *told == name(ordinary) || lost && self.disturbed.contains(&number);
            assert!(
                allowed,
                "operation {number} (healthy: {}) told {told}",
                operation.healthy
            );
            if *told == name(Verdict::Confirmed) {
                expected_to_run = number;
            }
        }
        assert_eq!(
            self.running,
            Some(expected_to_run),
            "the outcomes are not what runs"
        );
        assert_eq!(
            self.flash.lock().stats().breaches,
            0,
            "broke the contract of the flash"
        );
    }

    fn operation(&self, number: u8) -> &Operation {
        self.operations
            .iter()
            .find(|o| o.number == number)
            .expect("boots what was requested")
    }
}

pub(crate) type Part<const W: usize, const E: usize, const R: usize> =
    Region<Shared<SimFlash<W, E, R>>>;
pub(crate) type SlotsOf<const W: usize, const E: usize, const R: usize> = Slots<Part<W, E, R>>;
pub(crate) type JournalOf<const W: usize, const E: usize, const R: usize> = Journal<Part<W, E, R>>;

/// What the application journals, as text.
#[derive(Debug, Default)]
struct Notes {
    outcomes: Outcomes,
    progress: Option<(u8, usize)>,
}

impl Notes {
    fn load<const W: usize, const E: usize, const R: usize>(
        journal: &mut JournalOf<W, E, R>,
    ) -> Result<Self, String> {
        let mut notes = Self::default();
        let value = String::from_utf8(journal.load().map_err(text)?.unwrap_or_default()).unwrap();
        for line in value.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["at", number, pages] => {
                    notes.progress = Some((number.parse().unwrap(), pages.parse().unwrap()));
                }
                [number, verdict] => {
                    notes
                        .outcomes
                        .insert(number.parse().unwrap(), verdict.to_owned());
                }
                _ => panic!("journal holds {line:?}"),
            }
        }
        Ok(notes)
    }

    fn store<const W: usize, const E: usize, const R: usize>(
        &self,
        journal: &mut JournalOf<W, E, R>,
    ) -> Result<(), String> {
        let mut value = String::new();
        for (number, verdict) in &self.outcomes {
            writeln!(value, "{number} {verdict}").unwrap();
        }
        if let Some((number, pages)) = self.progress {
            writeln!(value, "at {number} {pages}").unwrap();
        }
        journal.store(value.as_bytes()).map_err(text)
    }

    fn is_open(&self, number: u8) -> bool {
        !self.outcomes.contains_key(&number)
    }

    fn pages_of(&self, number: u8) -> usize {
        self.progress
            .map_or(0, |(of, pages)| if of == number { pages } else { 0 })
    }
}

fn text<T: Debug>(error: T) -> String {
    format!("{error:?}")
}
