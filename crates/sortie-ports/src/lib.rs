//! What an adapter of sortie implements, and the adapters that live in memory.
//!
//! | port | what it is | here | elsewhere |
//! |---|---|---|---|
//! | [`EventStore`] | the log and the claims beside it | [`MemoryStore`] | `sortie-sqlite` |
//! | [`Transport`] | the connection to the devices | – | `sortie-mqtt`, yours |
//! | [`Uploads`] | where files for manual updates are kept | – | yours |
//! | [`Inventory`] | which devices there are | [`MemoryInventory`] | `sortie-sqlite`, yours |
//! | [`Clock`] | the time | – | `sortie-engine` |
//!
//! Ports are held as `Arc<dyn …>`; they grow by provided methods only.
#![forbid(unsafe_code)]

mod clock;
pub mod codec;
mod error;
mod inbox;
mod inventory;
mod memory_inventory;
mod memory_store;
mod presences;
mod store;
mod transport;
mod uploads;

pub use async_trait::async_trait;
pub use clock::Clock;
pub use error::BoxError;
pub use inbox::{Heard, Inbox, InboxReader, inbox};
pub use inventory::{DevicePage, Inventory, InventoryError};
pub use memory_inventory::MemoryInventory;
pub use memory_store::MemoryStore;
pub use store::{
    Append, AppendError, Commit, EventStore, Page, ReadError, RecordedCommand, Version,
};
pub use transport::{Delivery, Forget, Registers, Request, Transport, TransportError};
pub use uploads::Uploads;
