//! Why a target is where it is.

use std::fmt;

use serde::{Deserialize, Serialize};
use sortie_protocol::StatusCode;

/// The machine-readable reason of a target's status, `snake_case` as text and in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TargetReason {
    /// Successful: the device says that it runs the image (R3).
    Updated,
    /// Successful: it ran the image already; nothing was sent (E2).
    AlreadyAtVersion,
    /// Failed: the device names another System Model (E0).
    SystemModelMismatch,
    /// Failed: the device names no version (E1).
    MissingVersion,
    /// Failed: the device's version is not SemVer (E1).
    InvalidVersion,
    /// Failed: same precedence, other build metadata, not forced (E3).
    AmbiguousVersionOrdering,
    /// Failed: the image is older than what runs, not forced (E4).
    DowngradeNotAllowed,
    /// Failed: the image's starting Version Requirement is not met, not forced (E5).
    VersionRequirementNotMatched,
    /// The device was busy with another operation (R4): to be tried again, or failed.
    DeviceBusy,
    /// The device's version was no longer the one decided on (R4): to be tried again, or failed.
    VersionChanged,
    /// Failed, abandoned: no word on the request (P4).
    RequestTimeout,
    /// Failed, abandoned: no advance for too long, or too long altogether (C3, C4).
    Stalled,
    /// Failed, abandoned: the transport refuses the request for good (P5).
    SendRefused,
    /// Failed: a person cancelled it (X4). Not counted against the threshold.
    Canceled,
    /// Failed: the device cancelled it, unasked (X4).
    DeviceCanceled,
    /// Failed: the device was removed from the inventory (D1). Not counted.
    DeviceRemoved,
    /// Failed: a manual update could not be sent before its date (M3).
    Expired,
    /// Failed on the device: it refuses the request (A9).
    InvalidRequest,
    /// Failed on the device: the image could not be fetched (A12).
    NetworkError,
    /// Failed on the device: flash trouble.
    IoError,
    /// Failed on the device: anything else.
    InternalError,
    /// Failed on the device: wrong digest, signature or System Model.
    InvalidBaseImage,
    /// Failed on the device: the new image did not come up, or its health check failed.
    SystemRollback,
    /// Failed on the device, with a code that this version does not know, or none.
    DeviceFailure,
}

impl TargetReason {
    /// The name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::AlreadyAtVersion => "already_at_version",
            Self::SystemModelMismatch => "system_model_mismatch",
            Self::MissingVersion => "missing_version",
            Self::InvalidVersion => "invalid_version",
            Self::AmbiguousVersionOrdering => "ambiguous_version_ordering",
            Self::DowngradeNotAllowed => "downgrade_not_allowed",
            Self::VersionRequirementNotMatched => "version_requirement_not_matched",
            Self::DeviceBusy => "device_busy",
            Self::VersionChanged => "version_changed",
            Self::RequestTimeout => "request_timeout",
            Self::Stalled => "stalled",
            Self::SendRefused => "send_refused",
            Self::Canceled => "canceled",
            Self::DeviceCanceled => "device_canceled",
            Self::DeviceRemoved => "device_removed",
            Self::Expired => "expired",
            Self::InvalidRequest => "invalid_request",
            Self::NetworkError => "network_error",
            Self::IoError => "io_error",
            Self::InternalError => "internal_error",
            Self::InvalidBaseImage => "invalid_base_image",
            Self::SystemRollback => "system_rollback",
            Self::DeviceFailure => "device_failure",
        }
    }

    /// Whether a target that failed so counts against the failure threshold (F1).
    pub const fn counts(self) -> bool {
        !matches!(self, Self::Canceled | Self::DeviceRemoved)
    }

    /// The reason of a failure that the device reports with `code`, R4 and X4 apart.
    pub fn of_failure(code: Option<&StatusCode>) -> Self {
        match code {
            Some(StatusCode::InvalidRequest) => Self::InvalidRequest,
            Some(StatusCode::UpdateAlreadyInProgress) => Self::DeviceBusy,
            Some(StatusCode::NetworkError) => Self::NetworkError,
            Some(StatusCode::IOError) => Self::IoError,
            Some(StatusCode::InternalError) => Self::InternalError,
            Some(StatusCode::InvalidBaseImage) => Self::InvalidBaseImage,
            Some(StatusCode::SystemRollback) => Self::SystemRollback,
            Some(StatusCode::Canceled) => Self::DeviceCanceled,
            _ => Self::DeviceFailure,
        }
    }
}

impl fmt::Display for TargetReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
