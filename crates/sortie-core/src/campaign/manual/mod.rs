//! Manual OTA Updates (rules M): one operation on one device, in a stream of its own.
//!
//! It is folded and decided as a campaign with this one target, which is pushed whatever it runs: the
//! escape hatch. It can brick the device.
//!
//! `draft.rs`: what a caller writes. `decide.rs`: what follows from it.

mod decide;
mod draft;

use std::fmt;

use semver::Version;
use serde::{Deserialize, Serialize};
use sortie_protocol::DeviceId;

use super::{ImageCopy, spec::PushSpec};
use crate::{BaseImageId, SystemModelId, Timestamp, catalog::Artifact};

pub use draft::NewManualUpdate;

/// Where a manual update's image comes from: exactly one of these (M2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "from",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum ManualSource {
    /// A Base Image, copied from the catalog when the update was asked for.
    BaseImage {
        /// Its name.
        base_image: BaseImageId,
        /// Its content.
        image: Box<ImageCopy>,
    },
    /// A file that was uploaded for this update; it is deleted when the operation has ended.
    File {
        /// Its name where it is kept.
        file: String,
        /// Where the device fetches it.
        artifact: Artifact,
    },
    /// A URL.
    Url {
        /// Where the device fetches it.
        artifact: Artifact,
    },
}

impl ManualSource {
    /// Where the device fetches the image, and what it must find there.
    pub fn artifact(&self) -> &Artifact {
        match self {
            Self::BaseImage { image, .. } => &image.artifact,
            Self::File { artifact, .. } | Self::Url { artifact } => artifact,
        }
    }

    /// The Base Image, if it is one, and its content.
    pub fn base_image(&self) -> Option<(&BaseImageId, &ImageCopy)> {
        match self {
            Self::BaseImage { base_image, image } => Some((base_image, image)),
            _ => None,
        }
    }

    /// The image's version, if it is a Base Image.
    pub fn version(&self) -> Option<&Version> {
        match self {
            Self::BaseImage { image, .. } => Some(&image.version),
            _ => None,
        }
    }

    /// The System Model that the image is for; `None`: nobody knows.
    pub fn system_model(&self) -> Option<&SystemModelId> {
        match self {
            Self::BaseImage { image, .. } => Some(&image.system_model),
            _ => None,
        }
    }
}

impl fmt::Display for ManualSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BaseImage { base_image, .. } => write!(f, "{base_image}"),
            Self::File { file, .. } => write!(f, "the file {file}"),
            Self::Url { artifact } => f.write_str(&artifact.url),
        }
    }
}

/// A Manual OTA Update as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ManualUpdate {
    /// The device.
    pub device: DeviceId,
    /// The image.
    pub source: ManualSource,
    /// A person has taken the risk of an image of another or unknown System Model (M1).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub risk_acknowledged: bool,
    /// How long it waits for a device that is offline or held; `None`: it does not (M3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_until: Option<Timestamp>,
    /// How long a request waits for the device's first report before it is written again, in
    /// milliseconds (P4).
    pub request_timeout_ms: u64,
    /// How often it is written again before the operation is abandoned (P4).
    pub request_retries: u32,
    /// How long the operation may go without an advance, in milliseconds; `None`: for ever (C3).
    pub stage_timeout_ms: Option<u64>,
    /// How long it may take from its first report, in milliseconds (C4).
    pub operation_timeout_ms: u64,
    /// How long, once cancelled, it waits for the device's word, in milliseconds (X2).
    pub cancel_timeout_ms: u64,
}

impl ManualUpdate {
    /// What people call it, where a campaign has its name.
    pub fn name(&self) -> String {
        format!("manual update: {}", self.source)
    }

    /// The mechanism of a campaign that would do the same: no limit, no threshold, no retry (M3).
    pub(crate) fn mechanism(&self) -> PushSpec {
        PushSpec {
            max_in_progress_operations: 1,
            max_failure_hundredths: 10_000,
            force_downgrade: true,
            enforce_requirement_when_forced: false,
            request_timeout_ms: self.request_timeout_ms,
            request_retries: self.request_retries,
            stage_timeout_ms: self.stage_timeout_ms,
            operation_timeout_ms: self.operation_timeout_ms,
            cancel_timeout_ms: self.cancel_timeout_ms,
            busy_retries: 0,
        }
    }
}
