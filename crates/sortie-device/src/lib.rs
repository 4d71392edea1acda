//! The device agent: download, write, verify, reboot, confirm, report.
//!
//! [`Agent`] is the state machine: it decides everything that the wire protocol asks of a device
//! (rules A1–A12 of the device protocol), without clock, randomness or I/O, in `no_std` with
//! `alloc`. The traits in this crate are what it needs of a device: [`Slots`], [`Journal`],
//! [`Download`], [`Health`], and a [`Link`] to the engine.
#![cfg_attr(
    feature = "tokio",
    doc = "",
    doc = "With the feature `tokio` there is [`run`], which drives an agent from one boot to the next, and",
    doc = "[`HttpDownload`]."
)]
#![cfg_attr(not(any(feature = "tokio", test)), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod agent;
#[cfg(feature = "flash")]
mod flash;
mod link;
mod ports;
mod settings;
#[cfg(feature = "tokio")]
mod tokio;

pub use agent::{Agent, Effect, Geometry, Input, Publish, RECORD_BYTES_MAX};
#[cfg(feature = "flash")]
pub use flash::{FlashJournal, FlashSlots};
pub use link::{Link, LinkDown, LinkEvent, LinkEvents};
pub use ports::{
    Answer, Body, Boot, Download, DownloadError, Fetch, FlashError, Health, Journal, Millis,
    Pending, Slots, TrialEnd,
};
pub use settings::{Identity, Settings};

#[cfg(feature = "tokio")]
pub use self::tokio::{Device, HttpBody, HttpDownload, RunError, run};
