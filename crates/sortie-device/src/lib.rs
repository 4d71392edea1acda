//! The device agent: download, write, verify, reboot, confirm, report.
//!
//! [`Agent`] is the state machine: it decides everything that the wire protocol asks of a device
//! (rules A1–A12 of the device protocol), without clock, randomness or I/O, in `no_std` with
//! `alloc`. The traits in this crate are what it needs of a device: [`Slots`], [`Journal`],
//! [`Download`], [`Health`], and a [`Link`] to the engine.
//!
//! With the feature `tokio` there are `run`, which drives an agent from one boot to the next, and
//! `HttpDownload`; with `flash` there are the ports on `sortie-flash`. One device, from boot to
//! boot, over whatever link:
//!
#![cfg_attr(all(feature = "tokio", feature = "flash"), doc = "```")]
#![cfg_attr(not(all(feature = "tokio", feature = "flash")), doc = "```ignore")]
//! use sortie_device::{
//!     Device, FlashError, FlashJournal, FlashSlots, HttpDownload, Identity, Link, LinkEvents,
//!     RECORD_BYTES_MAX, Settings, run,
//! };
//! use sortie_flash::{Layout, Shared, SimFlash, SlotId};
//!
//! type Chip = Shared<SimFlash<4, 4096>>;
//!
//! /// Boots again and again, as a device does.
//! async fn live<L: Link, E: LinkEvents>(
//!     chip: Chip,
//!     layout: Layout,
//!     connect: impl Fn() -> (L, E),
//!     identity: impl Fn(SlotId) -> Identity,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     loop {
//!         chip.lock().power_on();
//!         let (mut slots, journal) = layout.open(chip.clone())?;
//!         let booted = slots.boot()?; // the bootloader
//!         let mut slots = FlashSlots::new(slots);
//!         let boot = slots.boot()?; // what it did, for the agent
//!         let (link, events) = connect();
//!         let device = Device {
//!             link,
//!             events,
//!             download: &HttpDownload::default(),
//!             slots,
//!             journal: FlashJournal::new(journal),
//!             health: || async { Ok(()) },
//!         };
//!         run(device, boot, identity(booted.slot), Settings::default()).await?;
//!     }
//! }
//! ```
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
