//! The draft of a manual update.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sortie_protocol::DeviceId;

use super::{ManualSource, ManualUpdate};
use crate::{
    BaseImageId, Invalid, ManualUpdateId, Timestamp,
    campaign::{ImageCopy, Push},
    catalog::Artifact,
};

/// A draft of a Manual OTA Update, as a caller writes it (M).
///
/// It is sent whatever the device runs: an older image, the same version, another System Model. **It
/// can brick the device.** An image of another or unknown System Model needs
/// [`acknowledge_risk`](Self::acknowledge_risk).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewManualUpdate {
    id: Option<ManualUpdateId>,
    device: DeviceId,
    source: DraftSource,
    #[serde(default)]
    risk_acknowledged: bool,
    wait_until: Option<Timestamp>,
    #[serde(default)]
    timeouts: Push,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum DraftSource {
    BaseImage(BaseImageId),
    File { file: String, artifact: Artifact },
    Url(Artifact),
}

const FILE_BYTES_MAX: usize = 256;

impl NewManualUpdate {
    fn new(device: DeviceId, source: DraftSource) -> Self {
        Self {
            id: None,
            device,
            source,
            risk_acknowledged: false,
            wait_until: None,
            timeouts: Push::new(),
        }
    }

    /// Sends a Base Image of the catalog.
    pub fn base_image(device: DeviceId, image: BaseImageId) -> Self {
        Self::new(device, DraftSource::BaseImage(image))
    }

    /// Sends a file that was uploaded for this: `file` is its name where it is kept, at most 256
    /// bytes, `artifact` how the device fetches it. It is deleted when the operation has ended (M2).
    pub fn file(device: DeviceId, file: &str, artifact: impl Into<Artifact>) -> Self {
        let (file, artifact) = (file.into(), artifact.into());
        Self::new(device, DraftSource::File { file, artifact })
    }

    /// Sends what is at a URL.
    pub fn url(device: DeviceId, artifact: impl Into<Artifact>) -> Self {
        Self::new(device, DraftSource::Url(artifact.into()))
    }

    /// Names the update, so that asking for it twice makes one (K2). Default: derived from its
    /// command's id.
    pub fn id(mut self, id: ManualUpdateId) -> Self {
        self.id = Some(id);
        self
    }

    /// Takes the risk of an image of another or unknown System Model, which can brick the device
    /// (M1). It is kept in the log, and the device is told to allow it.
    pub fn acknowledge_risk(mut self) -> Self {
        self.risk_acknowledged = true;
        self
    }

    /// Waits until this date for a device that is offline or held by another operation; unsent by
    /// then it fails (`expired`). Default: it is refused at once (M3).
    pub fn wait_until(mut self, date: Timestamp) -> Self {
        self.wait_until = Some(date);
        self
    }

    /// As [`Push::request_timeout`].
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts = self.timeouts.request_timeout(timeout);
        self
    }

    /// As [`Push::request_retries`].
    pub fn request_retries(mut self, retries: u32) -> Self {
        self.timeouts = self.timeouts.request_retries(retries);
        self
    }

    /// As [`Push::stage_timeout`].
    pub fn stage_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts = self.timeouts.stage_timeout(timeout);
        self
    }

    /// As [`Push::operation_timeout`].
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts = self.timeouts.operation_timeout(timeout);
        self
    }

    /// As [`Push::cancel_timeout`].
    pub fn cancel_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts = self.timeouts.cancel_timeout(timeout);
        self
    }

    /// The id, if one was given.
    pub fn given_id(&self) -> Option<ManualUpdateId> {
        self.id
    }

    /// The device.
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// The Base Image that it sends, if it sends one.
    pub fn given_base_image(&self) -> Option<&BaseImageId> {
        match &self.source {
            DraftSource::BaseImage(image) => Some(image),
            _ => None,
        }
    }

    /// The file that it sends, if it sends one that was uploaded.
    pub fn given_file(&self) -> Option<&str> {
        match &self.source {
            DraftSource::File { file, .. } => Some(file),
            _ => None,
        }
    }

    /// Checks everything, with the Base Image as the catalog has it, if it sends one.
    ///
    /// # Errors
    /// All that is wrong, by field (S3).
    pub fn validate(&self, image: Option<ImageCopy>) -> Result<ManualUpdate, Invalid> {
        let mut invalid = Invalid::default();
        let limits = self.timeouts.clone();
        let limits = limits
            .max_in_progress_operations(1)
            .max_failure_percentage(100.0);
        let mechanism = limits.validate(&mut invalid);
        let source = match &self.source {
            DraftSource::BaseImage(base_image) => {
                let Some(image) = image else {
                    invalid.add("base_image", format!("there is no base image {base_image}"));
                    return Err(invalid);
                };
                ManualSource::BaseImage {
                    base_image: base_image.clone(),
                    image: Box::new(image),
                }
            }
            DraftSource::File { file, artifact } => {
                if file.trim().is_empty() {
                    invalid.add("file", "it is empty");
                } else if file.len() > FILE_BYTES_MAX {
                    let why = format!("{} bytes are too long, 256 is the limit", file.len());
                    invalid.add("file", why);
                }
                artifact.validate("artifact", &mut invalid);
                ManualSource::File {
                    file: file.clone(),
                    artifact: artifact.clone(),
                }
            }
            DraftSource::Url(artifact) => {
                artifact.validate("artifact", &mut invalid);
                ManualSource::Url {
                    artifact: artifact.clone(),
                }
            }
        };
        invalid.or(ManualUpdate {
            device: self.device.clone(),
            source,
            risk_acknowledged: self.risk_acknowledged,
            wait_until: self.wait_until,
            request_timeout_ms: mechanism.request_timeout_ms,
            request_retries: mechanism.request_retries,
            stage_timeout_ms: mechanism.stage_timeout_ms,
            operation_timeout_ms: mechanism.operation_timeout_ms,
            cancel_timeout_ms: mechanism.cancel_timeout_ms,
        })
    }
}
