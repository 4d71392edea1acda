//! The event log as the builder takes it.

use std::sync::Arc;

use sortie_ports::{EventStore, Inventory, MemoryStore};

/// An event log, and the device table beside it, if it has one.
///
/// [`EngineBuilder::store`](crate::EngineBuilder::store) takes whatever turns into it: `Sqlite`, with
/// its device table; [`MemoryStore`]; an `Arc` of a log of your own, or an `Arc<dyn EventStore>`.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) log: Arc<dyn EventStore>,
    pub(crate) devices: Option<Arc<dyn Inventory>>,
}

impl Store {
    /// A log of your own.
    pub fn new(log: impl EventStore) -> Self {
        Arc::new(log).into()
    }

    /// Says which devices there are, unless the builder is given an inventory.
    pub fn with_devices(mut self, devices: impl Inventory) -> Self {
        self.devices = Some(Arc::new(devices));
        self
    }
}

impl<S: EventStore> From<Arc<S>> for Store {
    fn from(log: Arc<S>) -> Self {
        Self { log, devices: None }
    }
}

impl From<Arc<dyn EventStore>> for Store {
    fn from(log: Arc<dyn EventStore>) -> Self {
        Self { log, devices: None }
    }
}

impl From<MemoryStore> for Store {
    fn from(log: MemoryStore) -> Self {
        Self::new(log)
    }
}

#[cfg(feature = "sqlite")]
impl From<sortie_sqlite::Sqlite> for Store {
    fn from(log: sortie_sqlite::Sqlite) -> Self {
        let devices = log.devices();
        Self::new(log).with_devices(devices)
    }
}
