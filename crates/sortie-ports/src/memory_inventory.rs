//! A device table in memory.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use sortie_core::{Device, DeviceId, SystemModelId};

use crate::{DevicePage, Inventory, InventoryError};

/// A device table in memory, for tests and small applications. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryInventory {
    devices: Arc<Mutex<BTreeMap<DeviceId, Device>>>,
}

impl MemoryInventory {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds devices, or replaces those of the same id.
    pub fn put(&self, devices: impl IntoIterator<Item = Device>) {
        let mut table = self.lock();
        table.extend(
            devices
                .into_iter()
                .map(|device| (device.id().clone(), device)),
        );
    }

    /// Removes a device; returns whether it was there.
    pub fn remove(&self, id: &DeviceId) -> bool {
        self.lock().remove(id).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeviceId, Device>> {
        // A map is whole whatever panicked while it was locked.
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Inventory for MemoryInventory {
    async fn page(&self, want: &DevicePage) -> Result<Vec<Device>, InventoryError> {
        let after = want
            .after
            .as_ref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let table = self.lock();
        let devices = table
            .range((after, Bound::Unbounded))
            .map(|(_, device)| device);
        let wanted = devices.filter(|device| *device.system_model() == want.system_model);
        Ok(wanted.take(want.limit).cloned().collect())
    }

    async fn exist(&self, ids: &[DeviceId]) -> Result<Vec<bool>, InventoryError> {
        let table = self.lock();
        Ok(ids.iter().map(|id| table.contains_key(id)).collect())
    }

    async fn system_model(&self, id: &DeviceId) -> Result<Option<SystemModelId>, InventoryError> {
        let model = self
            .lock()
            .get(id)
            .map(|device| device.system_model().clone());
        Ok(model)
    }
}
