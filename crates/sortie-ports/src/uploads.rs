//! Where files that were uploaded for manual updates are kept, as a port.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::BoxError;

/// The files that an application keeps for manual updates, and serves to the devices.
///
/// The engine only deletes them, once their operation has ended (rule M2).
#[async_trait]
pub trait Uploads: Debug + Send + Sync + 'static {
    /// Deletes a file, by the name that the update was asked for with. It may be asked for again after a
    /// crash: a file that is not there is deleted.
    ///
    /// # Errors
    /// Why it can't be deleted now; tried again after a backoff, and shown in `health()`.
    async fn delete(&self, file: &str) -> Result<(), BoxError>;
}
