//! Time stands while a port of the application's is at work.

use std::sync::Arc;

use sortie_core::{Device, DeviceId, SystemModelId};
use sortie_ports::{DevicePage, Inventory, InventoryError, async_trait};

use super::ManualClock;

/// An application's device table, which may answer from another thread: no time passes until it has.
#[derive(Debug)]
pub(super) struct HeldInventory {
    pub(super) inner: Arc<dyn Inventory>,
    pub(super) clock: ManualClock,
}

#[async_trait]
impl Inventory for HeldInventory {
    async fn page(&self, want: &DevicePage) -> Result<Vec<Device>, InventoryError> {
        let _hold = self.clock.hold();
        self.inner.page(want).await
    }

    async fn exist(&self, ids: &[DeviceId]) -> Result<Vec<bool>, InventoryError> {
        let _hold = self.clock.hold();
        self.inner.exist(ids).await
    }

    async fn system_model(&self, id: &DeviceId) -> Result<Option<SystemModelId>, InventoryError> {
        let _hold = self.clock.hold();
        self.inner.system_model(id).await
    }
}
