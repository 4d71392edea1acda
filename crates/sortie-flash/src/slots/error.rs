//! Why the slots refuse.

use core::fmt::Debug;

use super::state::Tag;
use crate::log::LogError;

/// Why a call on [`Slots`](crate::Slots) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlotsError<E: Debug> {
    /// The flash driver refused or failed, for instance because the power is off.
    #[error("flash failed: {0:?}")]
    Flash(E),
    /// The state could not be read or stored. After a failed store it is the old or the new one; the next
    /// call reads it again.
    #[error("slot state: {0}")]
    State(#[from] LogError<E>),
    /// There is no state with a good CRC: the device was never provisioned.
    #[error("no slot state: not provisioned")]
    NoState,
    /// The newest state has a good CRC and is none that this version can read.
    #[error("slot state of an unknown format")]
    UnknownState,
    /// The device has a state already, which provisioning would destroy.
    #[error("already provisioned")]
    AlreadyProvisioned,
    /// Neither the candidate nor the active image reads as its digest says. Nothing was changed.
    #[error("no slot holds a whole image")]
    NoBootableImage,
    /// A page does not hold what was erased or programmed: it is worn out, or a word was programmed twice.
    #[error("flash at {offset:#x} does not hold what was written")]
    Worn {
        /// Where in the flash, in bytes.
        offset: u32,
    },
    /// The slot holds an image that is pending or on trial, so it must not be changed.
    #[error("slot holds the candidate of operation {tag:02x?}")]
    SlotInUse {
        /// The operation that the candidate belongs to.
        tag: Tag,
    },
    /// The outcome of an operation was not [told](crate::Slots::told) yet and would be lost.
    #[error("outcome of operation {tag:02x?} not told yet")]
    OutcomeUntold {
        /// The operation whose outcome waits.
        tag: Tag,
    },
    /// This operation has had its trial; it gets no second one.
    #[error("operation {tag:02x?} was tried already")]
    AlreadyTried {
        /// The operation.
        tag: Tag,
    },
    /// No image is on trial, so there is nothing to confirm or reject.
    #[error("no image is on trial")]
    NotOnTrial,
    /// What flash holds is not the image that was to be marked. Nothing was changed.
    #[error("slot holds another image: its digest is {found:02x?}")]
    DigestMismatch {
        /// SHA-256 of what flash holds.
        found: [u8; 32],
    },
    /// An image is empty or larger than a slot.
    #[error("image of {size} bytes does not fit a slot of {slot_len}")]
    Size {
        /// Size of the image, in bytes.
        size: u32,
        /// Size of a slot, in bytes.
        slot_len: u32,
    },
    /// The call reaches beyond the slot, or a page's bytes beyond the page.
    #[error("{len} bytes at {offset:#x} reach beyond page or slot (of {slot_len} bytes)")]
    OutOfSlot {
        /// Where in the slot, in bytes.
        offset: u32,
        /// How many bytes.
        len: u32,
        /// Size of a slot, in bytes.
        slot_len: u32,
    },
}

impl<E: Debug> SlotsError<E> {
    /// The flash driver's own error, if that is what it comes from.
    pub fn driver(&self) -> Option<&E> {
        match self {
            Self::Flash(error) => Some(error),
            Self::State(error) => error.driver(),
            _ => None,
        }
    }
}
