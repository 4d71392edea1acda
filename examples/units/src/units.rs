//! The units that were built, by MAC address. A service would ask its database here.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sortie::{Device, DeviceError, DeviceId, DevicePage, Inventory, InventoryError, async_trait};

/// A unit's MAC address. It is the unit's `DeviceId` as well: a colon is legal there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.map(|byte| format!("{byte:02x}"));
        f.write_str(&bytes.join(":"))
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its key.
    pub mac: Mac,
    /// Its hardware.
    pub model: String,
    /// Where it stands: `field`, or `lab`.
    pub site: String,
}

impl Unit {
    /// The unit as campaigns see it.
    ///
    /// # Errors
    /// [`DeviceError`]: the model is no name of a System Model.
    pub fn device(&self) -> Result<Device, DeviceError> {
        Ok(Device::new(&self.mac.to_string(), &self.model)?.tag(&self.site))
    }
}

/// The table. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Units {
    rows: Arc<Mutex<BTreeMap<Mac, Unit>>>,
}

impl Units {
    /// Adds a unit, or changes it.
    pub fn put(&self, unit: Unit) {
        self.rows().insert(unit.mac, unit);
    }

    /// Deletes a unit. Who does so tells the engine, too: `Engine::device_removed`.
    pub fn delete(&self, id: &DeviceId) {
        self.rows().retain(|mac, _| mac.to_string() != id.as_str());
    }

    /// Whether there is a unit of this id.
    pub fn knows(&self, id: &DeviceId) -> bool {
        self.rows().keys().any(|mac| mac.to_string() == id.as_str())
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<Mac, Unit>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Inventory for Units {
    /// Ordered by MAC, whose texts sort as their bytes do. Of what was asked only the model is
    /// looked at: sortie applies the selectors.
    async fn page(&self, want: &DevicePage) -> Result<Vec<Device>, InventoryError> {
        let rows = self.rows();
        let after = want.after.as_ref().map_or("", DeviceId::as_str);
        // The unit at the end of the last page may have been deleted since: what counts is the order.
        let units = rows
            .iter()
            .filter(|(mac, _)| mac.to_string().as_str() > after);
        let units = units.map(|(_, unit)| unit);
        let units = units.filter(|unit| unit.model == want.system_model.as_str());
        // One bad row holds up the start of a campaign, and is named in `health()`.
        let devices = units.take(want.limit).map(Unit::device);
        Ok(devices.collect::<Result<_, _>>()?)
    }

    async fn exist(&self, ids: &[DeviceId]) -> Result<Vec<bool>, InventoryError> {
        Ok(ids.iter().map(|id| self.knows(id)).collect())
    }
}
