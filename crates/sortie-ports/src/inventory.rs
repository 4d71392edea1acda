//! The application's device table as a port.

use std::fmt::Debug;

use async_trait::async_trait;
use sortie_core::{Device, DeviceId, SystemModelId};

use crate::error::BoxError;

/// Which devices there are. Groups, Channels and images stay in the log.
#[async_trait]
pub trait Inventory: Debug + Send + Sync + 'static {
    /// A page of the devices that `want` asks for, in any stable order, each device once over all
    /// pages. It may hold *more* than was asked for (the engine applies selectors itself); one
    /// shorter than `limit` is the last.
    ///
    /// # Errors
    /// [`InventoryError`]: the start of the campaign waits, and `health()` says why.
    async fn page(&self, want: &DevicePage) -> Result<Vec<Device>, InventoryError>;

    /// Whether each of `ids` still exists, in order.
    ///
    /// # Errors
    /// [`InventoryError`].
    async fn exist(&self, ids: &[DeviceId]) -> Result<Vec<bool>, InventoryError>;

    /// The System Model of a device, if it is known. A manual update asks for it where the device itself
    /// names none (rule M1); unknown, the update needs an acknowledgement of the risk.
    ///
    /// # Errors
    /// [`InventoryError`].
    async fn system_model(&self, _id: &DeviceId) -> Result<Option<SystemModelId>, InventoryError> {
        Ok(None)
    }
}

/// Which devices are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DevicePage {
    /// Of this System Model.
    pub system_model: SystemModelId,
    /// After the last one of the page before.
    pub after: Option<DeviceId>,
    /// At most about so many; at least 1.
    pub limit: usize,
}

impl DevicePage {
    /// The first page.
    pub fn first(system_model: SystemModelId, limit: usize) -> Self {
        Self {
            system_model,
            after: None,
            limit,
        }
    }

    /// The page after `last`.
    pub fn following(self, last: DeviceId) -> Self {
        Self {
            after: Some(last),
            ..self
        }
    }
}

/// Why an inventory can't answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// It is away: asked again after a backoff.
    #[error("the inventory is unavailable: {0}")]
    Unavailable(BoxError),
    /// One of its rows is no device; named. Asked again after a backoff, since it may be mended.
    #[error("the inventory has a bad row: {0}")]
    BadRow(#[from] sortie_core::DeviceError),
}

impl InventoryError {
    /// It is away, and why.
    pub fn unavailable(why: impl Into<BoxError>) -> Self {
        Self::Unavailable(why.into())
    }
}
