//! A part of a flash as a flash of its own.

use core::fmt::Debug;
use core::ops::Range;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// A range of erase pages of a flash, itself a `NorFlash` whose offsets begin at 0.
///
/// `F` may be a flash, a `&mut` to one, or a handle that several regions share (`Shared`).
#[derive(Debug, Clone)]
pub struct Region<F> {
    flash: F,
    start: u32,
    len: u32,
}

/// Why a call on a [`Region`] failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError<E: Debug> {
    /// The call reaches beyond the region. Nothing was changed.
    #[error("beyond the region")]
    OutOfBounds,
    /// The region's edges are not on page boundaries.
    #[error("region is not made of whole pages")]
    NotAligned,
    /// The flash beneath failed.
    #[error("{0:?}")]
    Flash(E),
}

impl<E: Debug> RegionError<E> {
    /// The error of the flash beneath, if that is what it comes from.
    pub fn driver(&self) -> Option<&E> {
        match self {
            Self::Flash(error) => Some(error),
            _ => None,
        }
    }
}

impl<F: NorFlash> Region<F> {
    /// The pages from `range.start` up to `range.end`, in bytes of `flash`; both on page boundaries.
    pub fn new(flash: F, range: Range<u32>) -> Result<Self, RegionError<F::Error>> {
        let aligned = |offset: u32| (offset as usize).is_multiple_of(F::ERASE_SIZE);
        if !aligned(range.start) || !aligned(range.end) {
            return Err(RegionError::NotAligned);
        }
        let len = range
            .end
            .checked_sub(range.start)
            .ok_or(RegionError::OutOfBounds)?;
        if range.end as usize > flash.capacity() {
            return Err(RegionError::OutOfBounds);
        }
        Ok(Self {
            flash,
            start: range.start,
            len,
        })
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }
}

impl<F> Region<F> {
    fn translate<E: Debug>(&self, offset: u32, len: usize) -> Result<u32, RegionError<E>> {
        let end = (offset as usize).checked_add(len);
        if end.is_some_and(|end| end <= self.len as usize) {
            // The region lies within the flash, so the sum is an offset in it.
            Ok(self.start + offset)
        } else {
            Err(RegionError::OutOfBounds)
        }
    }
}

impl<E: NorFlashError> NorFlashError for RegionError<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::Flash(error) => error.kind(),
        }
    }
}

impl<F: ErrorType> ErrorType for Region<F> {
    type Error = RegionError<F::Error>;
}

impl<F: ReadNorFlash> ReadNorFlash for Region<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let offset = self.translate(offset, bytes.len())?;
        self.flash.read(offset, bytes).map_err(RegionError::Flash)
    }

    fn capacity(&self) -> usize {
        self.len as usize
    }
}

impl<F: NorFlash> NorFlash for Region<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let len = to.checked_sub(from).ok_or(RegionError::OutOfBounds)?;
        let start = self.translate(from, len as usize)?;
        self.flash
            .erase(start, start + len)
            .map_err(RegionError::Flash)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let offset = self.translate(offset, bytes.len())?;
        self.flash.write(offset, bytes).map_err(RegionError::Flash)
    }
}
