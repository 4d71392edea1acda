//! OTAEvent's statuses and codes.

use alloc::{borrow::ToOwned, string::String};
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{limits::TEXT_BYTES_MAX, text};

/// Where a device is with an OTA Operation (OTAEvent `status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(
    clippy::exhaustive_enums,
    reason = "Edgehog's OTAEvent interface closes this set"
)]
pub enum Status {
    /// The request was received and will be handled.
    Acknowledged,
    /// The image is being fetched.
    Downloading,
    /// The image is being written.
    Deploying,
    /// The slot is marked pending: past the point of no return (rule A6).
    Deployed,
    /// About to boot the new image.
    Rebooting,
    /// Recoverable trouble; the device tries again by itself.
    Error,
    /// Final: the new image runs and is confirmed.
    Success,
    /// Final: the device runs what it ran before.
    Failure,
}

impl Status {
    /// Whether the device has nothing more to say on this operation.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Success | Self::Failure)
    }

    /// The stage in the order of rule C3; `None` for those that are no advance.
    pub const fn stage(self) -> Option<u8> {
        match self {
            Self::Acknowledged => Some(1),
            Self::Downloading => Some(2),
            Self::Deploying => Some(3),
            Self::Deployed => Some(4),
            Self::Rebooting => Some(5),
            Self::Error | Self::Success | Self::Failure => None,
        }
    }
}

/// Defines a set of names that is open on the wire: an unknown name is kept as text.
macro_rules! open_names {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A name that this version does not know, kept as it came (cut to a bounded length).
            Other(String),
        }

        impl $name {
            /// The name on the wire.
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $text,)+ Self::Other(name) => name }
            }

            /// Reads a name; an unknown one is kept.
            pub fn from_name(name: &str) -> Self {
                match name {
                    $($text => Self::$variant,)+
                    other => {
                        let mut other = other.to_owned();
                        text::cut(&mut other, TEXT_BYTES_MAX);
                        Self::Other(other)
                    }
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let name = String::deserialize(d)?;
                Ok(Self::from_name(&name))
            }
        }
    };
}

open_names! {
    /// Why an operation is in trouble or has failed (OTAEvent `statusCode`).
    StatusCode {
        /// Only the engine says it: the device did not answer in time (rule P4).
        RequestTimeout = "RequestTimeout",
        /// The request was malformed, or the device's own checks refuse it (rule A9).
        InvalidRequest = "InvalidRequest",
        /// Another operation is past its point of no return (rule A4).
        UpdateAlreadyInProgress = "UpdateAlreadyInProgress",
        /// The image could not be fetched (rule A12).
        NetworkError = "NetworkError",
        /// Flash could not be written or read.
        IOError = "IOError",
        /// Anything else that went wrong on the device.
        InternalError = "InternalError",
        /// Wrong digest, signature or System Model.
        InvalidBaseImage = "InvalidBaseImage",
        /// The new image did not come up or was not confirmed; the old one runs again.
        SystemRollback = "SystemRollback",
        /// The operation was cancelled before its point of no return.
        Canceled = "Canceled",
    }
}

impl StatusCode {
    /// Reads OTAEvent's text: empty is none, and the device runtime's `RequestError` is
    /// `InvalidRequest` (rule B3).
    pub fn from_wire(text: &str) -> Option<Self> {
        match text {
            "" => None,
            "RequestError" => Some(Self::InvalidRequest),
            name => Some(Self::from_name(name)),
        }
    }
}

open_names! {
    /// A machine-readable reason that refines a failure; sortie's addition to OTAEvent.
    Reason {
        /// The device's version is no longer the one that the request was decided on (rule A9).
        VersionChanged = "version_changed",
        /// The image is older than what runs, and the request does not allow that (rule A9).
        DowngradeNotAllowed = "downgrade_not_allowed",
        /// The bytes in flash do not have the digest of the request.
        DigestMismatch = "digest_mismatch",
        /// The image is for another System Model.
        SystemModelMismatch = "system_model_mismatch",
        /// The artifact's size is not what the request says, or larger than a slot.
        SizeMismatch = "size_mismatch",
        /// The new image booted and its health check failed.
        HealthCheckFailed = "health_check_failed",
        /// The new image booted on trial and did not come up before the next boot.
        TrialFailed = "trial_failed",
    }
}
