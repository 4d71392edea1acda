//! Why a simulated flash refuses.

use std::io;

use embedded_storage::nor_flash::{NorFlashError, NorFlashErrorKind};

/// Why a call on [`SimFlash`](crate::SimFlash) failed.
///
/// The first three are bugs of the caller, counted as [`breaches`](crate::Stats::breaches); nothing was
/// changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The call reaches beyond the flash.
    #[error("beyond the end of flash")]
    OutOfBounds,
    /// Offset or length is not a multiple of the size that the call has to keep.
    #[error("offset or length not aligned")]
    NotAligned,
    /// A word was programmed, or torn, since its last whole erasure.
    #[error("word at {offset:#x} programmed without an erasure")]
    NotErased {
        /// Where the word is, in bytes.
        offset: u32,
    },
    /// The power is off; every call fails until [`power_on`](crate::SimFlash::power_on).
    #[error("power is off")]
    PowerOff,
    /// The operation was to fail ([`Fault::Fail`](crate::Fault::Fail)).
    #[error("operation {operation} failed")]
    Failed {
        /// Its number.
        operation: u64,
    },
    /// The file that holds the flash can't be used. Not a property of the flash.
    #[error("file of the flash")]
    File(#[from] io::Error),
}

impl NorFlashError for SimError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            _ => NorFlashErrorKind::Other,
        }
    }
}
