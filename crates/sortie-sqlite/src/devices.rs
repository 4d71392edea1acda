//! The device table.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sortie_core::{AttributeValue, Device, DeviceError, DeviceId, SystemModelId};
use sortie_ports::{DevicePage, Inventory, InventoryError, async_trait};

use crate::{Sqlite, fault::Fault};

/// How many devices are put in one transaction: appends of the engine come between.
const CHUNK: usize = 1_000;

/// The most bytes that a device's tags and attributes may have together.
const DEVICE_BYTES_MAX: usize = 65_536;

/// A small device table beside the log, for who has none: `store.devices()`. Clones share it.
///
/// Nothing in it is recorded as an event; the snapshot of a campaign is.
#[derive(Debug, Clone)]
pub struct Devices {
    store: Sqlite,
}

impl Devices {
    pub(crate) fn new(store: Sqlite) -> Self {
        Self { store }
    }

    /// Adds devices, or replaces those of the same id; durable when it returns.
    ///
    /// A thousand are put at once, or none of them. After an error some thousands may be in; to
    /// put all again does no harm.
    ///
    /// # Errors
    /// [`InventoryError::BadRow`] naming the device, before any is put: its tags and attributes
    /// take more than 65,536 bytes, or an attribute is not a finite number.
    /// [`InventoryError::Unavailable`].
    pub async fn put(
        &self,
        devices: impl IntoIterator<Item = Device>,
    ) -> Result<(), InventoryError> {
        // Taken out first, so that the iterator need not live across an await.
        let mut devices: Vec<Device> = devices.into_iter().collect();
        self.put_all(&mut devices).await
    }

    async fn put_all(&self, devices: &mut Vec<Device>) -> Result<(), InventoryError> {
        devices.iter().try_for_each(check)?;
        while !devices.is_empty() {
            let chunk = devices.split_off(devices.len().saturating_sub(CHUNK));
            let work = move |connection: &Connection| {
                chunk.iter().try_for_each(|device| put(connection, device))
            };
            self.store.on_writer(work).await?;
        }
        Ok(())
    }

    /// Removes a device; says whether it was there. Tell the engine as well (rule D1).
    ///
    /// # Errors
    /// [`InventoryError::Unavailable`].
    pub async fn remove(&self, id: &DeviceId) -> Result<bool, InventoryError> {
        let id = id.clone();
        let work = move |connection: &Connection| {
            let mut delete = connection.prepare_cached("DELETE FROM devices WHERE id = ?1")?;
            Ok(delete.execute([id.as_str()])? > 0)
        };
        self.store.on_writer(work).await
    }

    /// A device, if it is there.
    ///
    /// # Errors
    /// [`InventoryError`].
    pub async fn get(&self, id: &DeviceId) -> Result<Option<Device>, InventoryError> {
        const SQL: &str = "SELECT id, system_model, tags, attributes FROM devices WHERE id = ?1";
        let id = id.clone();
        let row = self.store.on_reader(move |connection| {
            let mut select = connection.prepare_cached(SQL)?;
            Ok(select.query_row([id.as_str()], Stored::of).optional()?)
        });
        Ok(row.await?.map(Stored::device).transpose()?)
    }

    /// How many devices there are.
    ///
    /// # Errors
    /// [`InventoryError::Unavailable`].
    pub async fn count(&self) -> Result<u64, InventoryError> {
        let count = self.store.on_reader(|connection| {
            let mut select = connection.prepare_cached("SELECT count(*) FROM devices")?;
            Ok(select.query_row([], |row| row.get::<_, i64>(0))?)
        });
        Ok(count.await?.unsigned_abs())
    }
}

#[async_trait]
impl Inventory for Devices {
    async fn page(&self, want: &DevicePage) -> Result<Vec<Device>, InventoryError> {
        const SQL: &str = "SELECT id, system_model, tags, attributes FROM devices
            WHERE system_model = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
        let want = want.clone();
        let rows = self.store.on_reader(move |connection| {
            let after = want.after.as_ref().map_or("", DeviceId::as_str);
            let limit = i64::try_from(want.limit).unwrap_or(i64::MAX);
            let mut select = connection.prepare_cached(SQL)?;
            let rows = select.query_map(
                params![want.system_model.as_str(), after, limit],
                Stored::of,
            )?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        });
        let devices = rows.await?.into_iter().map(Stored::device);
        Ok(devices.collect::<Result<_, _>>()?)
    }

    async fn exist(&self, ids: &[DeviceId]) -> Result<Vec<bool>, InventoryError> {
        let ids = ids.to_vec();
        let exist = self.store.on_reader(move |connection| {
            let mut select = connection.prepare_cached("SELECT 1 FROM devices WHERE id = ?1")?;
            let exist = ids.iter().map(|id| select.exists([id.as_str()]));
            Ok(exist.collect::<Result<_, _>>()?)
        });
        Ok(exist.await?)
    }

    async fn system_model(&self, id: &DeviceId) -> Result<Option<SystemModelId>, InventoryError> {
        let device = self.get(id).await?;
        Ok(device.map(|device| device.system_model().clone()))
    }
}

/// Whether a device can be kept, and be read again as it was.
fn check(device: &Device) -> Result<(), DeviceError> {
    let wrong = |why: String| DeviceError {
        what: "device",
        value: device.id().to_string(),
        why,
    };
    let mut bytes: usize = device.tags().iter().map(String::len).sum();
    for (key, value) in device.attributes() {
        bytes += key.len();
        match value {
            AttributeValue::Text(text) => bytes += text.len(),
            AttributeValue::BinaryBlob(blob) => bytes += blob.len(),
            AttributeValue::Number(number) if !number.is_finite() => {
                return Err(wrong(format!("attribute {key:?} is {number}")));
            }
            _ => {}
        }
    }
    if bytes > DEVICE_BYTES_MAX {
        let why = format!(
            "its tags and attributes have {bytes} bytes, and the limit is {DEVICE_BYTES_MAX}"
        );
        return Err(wrong(why));
    }
    Ok(())
}

fn put(connection: &Connection, device: &Device) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO devices(id, system_model, tags, attributes)
        VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT(id) DO UPDATE SET system_model = excluded.system_model,
            tags = excluded.tags, attributes = excluded.attributes";
    let json = |e: serde_json::Error| Fault::Refused(format!("device {}: {e}", device.id()));
    let mut upsert = connection.prepare_cached(SQL)?;
    upsert.execute(params![
        device.id().as_str(),
        device.system_model().as_str(),
        serde_json::to_string(device.tags()).map_err(json)?,
        serde_json::to_string(device.attributes()).map_err(json)?,
    ])?;
    Ok(())
}

/// A row's columns.
struct Stored {
    id: String,
    system_model: String,
    tags: String,
    attributes: String,
}

impl Stored {
    fn of(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            id: row.get(0)?,
            system_model: row.get(1)?,
            tags: row.get(2)?,
            attributes: row.get(3)?,
        })
    }

    /// The device; the row may have been written by hand.
    fn device(self) -> Result<Device, DeviceError> {
        let wrong = |what: &str, e: &serde_json::Error| DeviceError {
            what: "device",
            value: self.id.clone(),
            why: format!("its {what}: {e}"),
        };
        let tags: Vec<String> = serde_json::from_str(&self.tags).map_err(|e| wrong("tags", &e))?;
        let attributes: Vec<(String, AttributeValue)> =
            serde_json::from_str::<std::collections::BTreeMap<_, _>>(&self.attributes)
                .map_err(|e| wrong("attributes", &e))?
                .into_iter()
                .collect();
        let device = Device::new(&self.id, &self.system_model)?;
        let device = tags.iter().fold(device, |device, tag| device.tag(tag));
        Ok(attributes
            .into_iter()
            .fold(device, |device, (key, value)| device.attribute(&key, value)))
    }
}
