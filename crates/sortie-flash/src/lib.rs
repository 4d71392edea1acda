//! A flash simulator at the contract's worst, and A/B slots and a journal over any
//! [`embedded_storage::nor_flash::NorFlash`].
//!
//! Three parts, from the bottom up:
//!
//! - `SimFlash` (feature `sim`, on by default) is a NOR flash with power cuts, torn operations and
//!   wear counters, in memory or in a file that survives the death of the process as flash would.
//! - [`Slots`] keeps two images and a durable state that says which one boots. A power cut at any
//!   flash operation leaves a device that boots the old or the new image, whole.
//! - [`Journal`] keeps one value of the application's, replaced atomically.
//!
//! `Slots` and `Journal` need only `alloc` and a flash driver. Both keep their state in the same log of
//! CRC-ed records, laid out as follows.
//!
//! # The record log
//!
//! A log owns two *halves*, each one or more whole erase pages. Records stand one after another from the
//! start of a half, each on a write-word boundary and padded with `0xFF` to whole words:
//!
//! | bytes | content |
//! |---|---|
//! | 0–1 | magic, ASCII `sR` |
//! | 2 | kind: `0x53` slot state, `0x4A` journal |
//! | 3 | format version, 1 |
//! | 4–7 | length of the payload, u32 little-endian |
//! | 8–15 | sequence number, u64 little-endian, greater by one with each record |
//! | 16–19 | CRC-32 (IEEE) of bytes 0–15 and the payload, u32 little-endian |
//! | 20… | payload |
//!
//! - The newest record with a good CRC, over both halves, is the value. There is no other pointer to it.
//! - A record is written by one call and read back. If it does not read as written, it is written again
//!   in the other half.
//! - The half that holds the newest good record is never erased. The other one is, when the first is full,
//!   when a write in it failed, and at **the first record after opening**: a write that was torn may
//!   read as erased, and the contract forbids to program its words again, so what lies behind
//!   the newest record is trusted only by the run that wrote that record.
//! - An erased half is checked to be blank before it is used.
//!
//! What a boot costs: one erase at the first record stored after opening, nothing when nothing is stored.
//!
//! [`Layout`] gives the map of a chip, [`State`] the payload of the slot state.

#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod io;
mod journal;
mod layout;
mod log;
mod region;
#[cfg(feature = "std")]
mod shared;
#[cfg(feature = "sim")]
mod sim;
mod slots;

pub use journal::{Journal, JournalError};
pub use layout::{Layout, LayoutError};
pub use log::LogError;
pub use region::{Region, RegionError};
#[cfg(feature = "std")]
pub use shared::Shared;
#[cfg(feature = "sim")]
pub use sim::{Fault, SimError, SimFlash, Stats, Tear, Trace, TraceKind};
pub use slots::{
    Boot, Candidate, Cause, Image, Outcome, PageWrite, SlotId, Slots, SlotsError, Stage, State,
    Tag, Verdict,
};
