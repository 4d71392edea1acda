//! The map of a chip that holds slots and journal.

use core::fmt::Debug;
use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use crate::io;
use crate::journal::{Journal, JournalError};
use crate::log::HEADER;
use crate::region::{Region, RegionError};
use crate::slots::{Slots, SlotsError};

/// Where slots and journal are on a chip.
///
/// | from | what | pages |
/// |---|---|---|
/// | 0 | slot state, two pages used in turn | 2 |
/// | | slot A | n |
/// | | slot B | n |
/// | | journal, two halves | 2 m |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    slots: Range<u32>,
    journal: Range<u32>,
}

/// Why a layout is not possible, or its parts do not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError<E: Debug> {
    /// What was asked for exceeds what 32-bit offsets can address.
    #[error("images of {image_len} bytes and records of {record_len} exceed 4 GiB of flash")]
    TooLarge {
        /// Largest image, in bytes.
        image_len: u32,
        /// Largest journal record, in bytes.
        record_len: u32,
    },
    /// The flash is smaller than the layout.
    #[error("layout does not fit the flash: {0}")]
    Region(RegionError<E>),
    /// The slot state can't be read.
    #[error("slots do not open: {0}")]
    Slots(SlotsError<RegionError<E>>),
    /// The journal can't be read.
    #[error("journal does not open: {0}")]
    Journal(JournalError<RegionError<E>>),
}

/// The two users of a chip, as [`Layout::open`] gives them.
pub(crate) type Parts<F> = (Slots<Region<F>>, Journal<Region<F>>);

impl Layout {
    /// The smallest layout on `F` whose slots hold images of `image_len` bytes and whose journal
    /// holds values of `record_len` bytes.
    pub fn fitting<F: NorFlash>(
        image_len: u32,
        record_len: u32,
    ) -> Result<Self, LayoutError<F::Error>> {
        let too_large = || LayoutError::TooLarge {
            image_len,
            record_len,
        };
        let page = io::to_u32(F::ERASE_SIZE);
        let pages = |len: u32| len.max(1).checked_next_multiple_of(page);
        let word = io::to_u32(F::WRITE_SIZE);
        let half = record_len
            .checked_add(HEADER)
            .and_then(|len| len.checked_next_multiple_of(word))
            .and_then(pages);
        let slots = pages(image_len).and_then(|slot| slot.checked_add(page)?.checked_mul(2));
        let (slots, half) = slots.zip(half).ok_or_else(too_large)?;
        let end = half.checked_mul(2).and_then(|len| len.checked_add(slots));
        Ok(Self {
            slots: 0..slots,
            journal: slots..end.ok_or_else(too_large)?,
        })
    }

    /// Size of a chip that holds just this, in bytes.
    pub fn capacity(&self) -> u32 {
        self.journal.end
    }

    /// The bytes of state pages and slots, for [`Slots`].
    pub fn slots(&self) -> Range<u32> {
        self.slots.clone()
    }

    /// The bytes of the [`Journal`].
    pub fn journal(&self) -> Range<u32> {
        self.journal.clone()
    }

    /// Opens both on one chip. `F` is a handle that can be had twice, as `Shared` is.
    pub fn open<F: NorFlash + Clone>(&self, flash: F) -> Result<Parts<F>, LayoutError<F::Error>> {
        let slots = Region::new(flash.clone(), self.slots()).map_err(LayoutError::Region)?;
        let journal = Region::new(flash, self.journal()).map_err(LayoutError::Region)?;
        let slots = Slots::open(slots).map_err(LayoutError::Slots)?;
        let journal = Journal::open(journal).map_err(LayoutError::Journal)?;
        Ok((slots, journal))
    }
}
