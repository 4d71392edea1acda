//! A device's flash chip: a file, with the simulator of `sortie-flash` over it.

use std::{path::Path, sync::MutexGuard};

use bytes::Bytes;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use sortie_device::{FlashJournal, FlashSlots, RECORD_BYTES_MAX};
use sortie_flash::{
    Boot, Candidate, Fault, Layout, Region, RegionError, Shared, SimError, SimFlash, SlotsError,
    Stage,
};
use sortie_protocol::{Sha256, Uuid};

use crate::{diary::Diary, firmware::Image, problem::Problem};

/// The chip's erase page, in bytes.
const PAGE: u32 = 4096;

type Flash = SimFlash<4, { PAGE as usize }>;
/// What slots and journal are made on.
pub type Part = Region<Shared<Witness>>;
/// Why a chip does not do what it is told.
pub type ChipError = SlotsError<RegionError<SimError>>;

/// One device's chip: two slots, their state, and the agent's journal.
#[derive(Debug, Clone)]
pub struct Chip {
    flash: Shared<Witness>,
    layout: Layout,
}

/// The flash, and somebody who watches how it is treated.
#[derive(Debug)]
pub struct Witness {
    flash: Flash,
    diary: Diary,
    watched: Bytes,
    slots: [u32; 2],
}

/// What a device runs, read from its flash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The digest of the active slot's bytes, taken now. None: they are not what the slots' state
    /// says, so nothing boots.
    pub sha256: Option<Sha256>,
    /// An image that has been marked, and not got its verdict.
    pub undecided: bool,
}

/// What a device with slots for images of `slot` bytes takes on disk, in bytes.
pub fn bytes_for(slot: u32) -> Result<u64, Problem> {
    let capacity = layout(slot)?.capacity();
    // Beside the chip's bytes its file keeps a counter of four bytes for each page.
    Ok(u64::from(capacity) + u64::from(capacity / PAGE * 4))
}

fn layout(slot: u32) -> Result<Layout, Problem> {
    let record = u32::try_from(RECORD_BYTES_MAX).unwrap_or(u32::MAX);
    Layout::fitting::<Flash>(slot, record)
        .map_err(|error| Problem::because("no flash holds this image", &error))
}

impl Chip {
    /// The chip in file `path`, with slots for images of `slot` bytes. A new one comes with the
    /// image `factory` in slot A. How its operations tear follows from `seed`; the diary is told
    /// when a page that holds what `watched` holds there is erased.
    pub fn open(
        path: &Path,
        slot: u32,
        factory: &Image,
        seed: u64,
        diary: Diary,
        watched: Bytes,
    ) -> Result<Self, Problem> {
        let problem = |error: &dyn std::error::Error| {
            Problem::because(format!("the flash in {}", path.display()), error)
        };
        let layout = layout(slot)?;
        let flash = Flash::file(path, layout.capacity(), seed).map_err(|error| problem(&error))?;
        let slot = (layout.slots().end - 2 * PAGE) / 2;
        let witness = Witness {
            flash,
            diary,
            watched,
            slots: [2 * PAGE, 2 * PAGE + slot],
        };
        let chip = Self {
            flash: Shared::new(witness),
            layout,
        };
        let (mut slots, _) = chip.parts().map_err(|error| problem(&error))?;
        if let Err(SlotsError::NoState) = slots.state() {
            let made = slots.provision(&factory.bytes, [0; 16]);
            made.map_err(|error| problem(&error))?;
        }
        Ok(chip)
    }

    /// Switches the power on and lets the loader decide what runs. `fault` befalls the loader when
    /// it boots a new image, so many operations later.
    pub fn boot(
        &self,
        fault: Option<(u64, Fault)>,
    ) -> Result<(FlashSlots<Part>, FlashJournal<Part>, Boot), ChipError> {
        self.flash.lock().flash.power_on();
        let (mut slots, journal) = self.parts()?;
        let pending = matches!(
            slots.state()?.candidate,
            Some(Candidate {
                stage: Stage::Pending,
                ..
            })
        );
        if let Some((ahead, fault)) = fault.filter(|_| pending) {
            self.inject(ahead, fault);
        }
        let boot = slots.boot();
        self.flash.lock().flash.clear_faults();
        let slots = FlashSlots::new(slots);
        let lost =
            |error: &RegionError<SimError>| matches!(error.driver(), Some(SimError::PowerOff));
        let journal = FlashJournal::new(journal).with_power_lost(lost);
        Ok((slots.with_power_lost(lost), journal, boot?))
    }

    /// Lets `fault` befall the flash, `ahead` operations after the next.
    pub fn inject(&self, ahead: u64, fault: Fault) {
        let flash = &mut self.flash.lock().flash;
        let next = flash.stats().operations;
        flash.inject(next + ahead, fault);
    }

    /// Takes back a fault that has not struck.
    pub fn clear_faults(&self) {
        self.flash.lock().flash.clear_faults();
    }

    /// Cuts the power.
    pub fn power_off(&self) {
        self.flash.lock().flash.power_off();
    }

    /// Whether the power is on.
    pub fn is_powered(&self) -> bool {
        self.flash.lock().flash.is_powered()
    }

    /// What is in the active slot.
    pub fn running(&self) -> Result<Running, ChipError> {
        self.flash.lock().flash.power_on();
        let (mut slots, _) = self.parts()?;
        let state = slots.state()?;
        let found = slots.digest(state.active, state.image.size)?;
        Ok(Running {
            sha256: (found == state.image.sha256).then_some(Sha256(found)),
            undecided: state.candidate.is_some(),
        })
    }

    /// How often pages were erased, over all the chip's life, and the most often that one page was.
    pub fn wear(&self) -> (u64, u32) {
        let flash: MutexGuard<'_, Witness> = self.flash.lock();
        let wear = flash.flash.wear();
        let sum = wear.iter().map(|&count| u64::from(count)).sum();
        (sum, wear.iter().copied().max().unwrap_or_default())
    }

    fn parts(&self) -> Result<(sortie_flash::Slots<Part>, sortie_flash::Journal<Part>), ChipError> {
        let slots = Region::new(self.flash.clone(), self.layout.slots());
        let journal = Region::new(self.flash.clone(), self.layout.journal());
        let out = |_| SlotsError::Flash(RegionError::OutOfBounds);
        let slots = sortie_flash::Slots::open(slots.map_err(out)?)?;
        let journal =
            sortie_flash::Journal::open(journal.map_err(out)?).map_err(SlotsError::State)?;
        Ok((slots, journal))
    }
}

/// The operation that a boot is on trial for.
pub fn trial_of(boot: &Boot) -> Option<Uuid> {
    boot.trial.then(|| Uuid::from_bytes(boot.image.tag))
}

impl Witness {
    /// Which page of the watched image the flash page at `offset` holds, whole, if it does.
    fn whole_page(&mut self, offset: u32) -> Result<Option<u32>, SimError> {
        let [a, b] = self.slots;
        let start = if (a..b).contains(&offset) { a } else { b };
        let Some(at) = offset.checked_sub(start) else {
            return Ok(None);
        };
        let Some(wanted) = self
            .watched
            .get(at as usize..)
            .filter(|rest| !rest.is_empty())
        else {
            return Ok(None);
        };
        let wanted = &wanted[..wanted.len().min(PAGE as usize)];
        let mut held = vec![0; wanted.len()];
        self.flash.read(offset, &mut held)?;
        Ok((held == wanted).then_some(at / PAGE))
    }
}

impl ErrorType for Witness {
    type Error = SimError;
}

impl ReadNorFlash for Witness {
    const READ_SIZE: usize = Flash::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimError> {
        self.flash.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl NorFlash for Witness {
    const WRITE_SIZE: usize = Flash::WRITE_SIZE;
    const ERASE_SIZE: usize = Flash::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        for offset in (from..to).step_by(PAGE as usize) {
            // Whether it will happen is not known yet, and that it was asked for is bad enough.
            if self.flash.is_powered()
                && let Some(page) = self.whole_page(offset)?
            {
                self.diary.whole_page_erased(page)?;
            }
        }
        self.flash.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        self.flash.write(offset, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firmware::{Firmware, NEW, OLD};

    fn chip(dir: &Path, factory: &str) -> (Chip, Firmware) {
        let firmware = Firmware::load(1, None).unwrap();
        let diary = Diary::new(dir.join("x.diary"));
        let factory = firmware.image(factory).unwrap();
        let new = firmware.new.bytes.clone();
        let path = dir.join("x.flash");
        let chip = Chip::open(&path, firmware.largest(), factory, 1, diary, new).unwrap();
        (chip, firmware)
    }

    #[test]
    fn a_new_chip_runs_its_factory_image_and_keeps_what_it_runs() {
        let dir = tempfile::tempdir().unwrap();
        for factory in [OLD[0], NEW] {
            // The second chip is the first one's file: what it was made with counts.
            let (chip, firmware) = chip(dir.path(), factory);
            let running = chip.running().unwrap();
            assert_eq!(firmware.version_of(running.sha256.unwrap()), Some(OLD[0]));
            assert!(!running.undecided);
        }
    }

    #[test]
    fn a_broken_active_image_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (chip, _) = chip(dir.path(), OLD[0]);
        let at = chip.flash.lock().slots[0];
        chip.flash.lock().erase(at, at + PAGE).unwrap();
        assert_eq!(chip.running().unwrap().sha256, None);
    }

    #[test]
    fn erasing_a_page_of_the_new_image_is_noted_and_of_another_image_not() {
        let dir = tempfile::tempdir().unwrap();
        let (chip, firmware) = chip(dir.path(), OLD[0]);
        let [a, b] = chip.flash.lock().slots;
        chip.flash.lock().erase(a, a + PAGE).unwrap();
        let page = &firmware.new.bytes[PAGE as usize..2 * PAGE as usize];
        chip.flash.lock().write(b + PAGE, page).unwrap();
        chip.flash.lock().erase(b, b + PAGE).unwrap();
        let seen = |chip: &Chip| chip.flash.lock().diary.read().unwrap().whole_pages_erased;
        assert_eq!(seen(&chip), 0);
        chip.flash.lock().erase(b + PAGE, b + 2 * PAGE).unwrap();
        assert_eq!(seen(&chip), 1);
    }
}
