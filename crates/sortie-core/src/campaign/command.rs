//! What people ask of a campaign, and why it may be refused.

use std::fmt;

use sortie_protocol::DeviceId;

use super::{CampaignSpec, ManualUpdate, Status, TargetIndex, TargetStatus};
use crate::{
    StreamId, SystemModelId,
    catalog::{CatalogItem, CatalogUser},
};

/// A command of a person or program (L, X2, K).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Creates the campaign (S3). Repeated with the same content it changes nothing (K2).
    Create(Box<CampaignSpec>),
    /// Edits it before its start (L1).
    Edit(Box<CampaignSpec>),
    /// Deletes it before its start (L1).
    Delete,
    /// Starts it by hand (S1, L1).
    Start,
    /// Pauses it (L2).
    Pause,
    /// Resumes it (L2).
    Resume,
    /// Cancels it (L3).
    Cancel,
    /// Cancels the operation under way on one target (X2).
    CancelOperation(TargetIndex),
    /// Asks for a Manual OTA Update (M). Repeated with the same content it changes nothing (K2).
    RequestManual {
        /// What is asked for.
        update: Box<ManualUpdate>,
        /// The device's System Model by the inventory, if that says; what the device itself names
        /// goes before it.
        device_model: Option<SystemModelId>,
    },
}

/// A command without its arguments, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommandKind {
    /// [`Command::Create`].
    Create,
    /// [`Command::Edit`].
    Edit,
    /// [`Command::Delete`].
    Delete,
    /// [`Command::Start`].
    Start,
    /// [`Command::Pause`].
    Pause,
    /// [`Command::Resume`].
    Resume,
    /// [`Command::Cancel`].
    Cancel,
}

impl fmt::Display for CommandKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
        })
    }
}

/// Why a command was refused. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The campaign's status forbids it (L1).
    #[error("cannot {command}: the campaign is {status}")]
    WrongStatus {
        /// What was asked.
        command: CommandKind,
        /// The status that it is in.
        status: Status,
    },
    /// A campaign or manual update of this id exists, with other content (K2).
    #[error("{stream} exists already, with other content")]
    Exists {
        /// Its stream.
        stream: StreamId,
    },
    /// The campaign of this id was deleted (L1): its id is used up, since the log names it for ever.
    #[error("{stream} was deleted, and its id is not used again")]
    Deleted {
        /// Its stream.
        stream: StreamId,
    },
    /// There is no campaign of this id, or it was deleted.
    #[error("there is no {stream}")]
    NoCampaign {
        /// Its stream.
        stream: StreamId,
    },
    /// A manual update can be cancelled, nothing else.
    #[error("{stream} is a manual update: it can only be cancelled")]
    NotForManual {
        /// Its stream.
        stream: StreamId,
    },
    /// The image is of another System Model than the device, or nobody knows of which: it could brick
    /// the device (M1).
    #[error(
        "the image is for {}, the device {device} is {}: it could brick the device, which needs an explicit acknowledgement",
        .image_model.as_deref().unwrap_or("an unknown System Model"),
        .device_model.as_deref().unwrap_or("of an unknown System Model")
    )]
    RiskNotAcknowledged {
        /// The device.
        device: DeviceId,
        /// The image's System Model, if it is known.
        image_model: Option<String>,
        /// The device's System Model, if it is known.
        device_model: Option<String>,
    },
    /// The device is not known to be online, and the update was not told to wait (M3).
    #[error("the device {device} is not online, and the update was not told to wait")]
    DeviceOffline {
        /// The device.
        device: DeviceId,
    },
    /// Another operation is in force on the device, and the update was not told to wait (M3).
    #[error("the device {device} is held by {by}, and the update was not told to wait")]
    DeviceHeld {
        /// The device.
        device: DeviceId,
        /// Whose operation it is.
        by: StreamId,
    },
    /// The campaign has no such target.
    #[error("the campaign has no target {}", .target.0)]
    NoTarget {
        /// The index.
        target: TargetIndex,
    },
    /// No operation is under way on the target (X4).
    #[error("cannot cancel the operation on {device}: the target is {status}")]
    NothingUnderWay {
        /// The target's device.
        device: DeviceId,
        /// Where the target is.
        status: TargetStatus,
    },
    /// The catalog has no such thing, so it can't be deleted.
    #[error("there is no {item}")]
    NotDeclared {
        /// What was to be deleted.
        item: CatalogItem,
    },
    /// It can't be deleted while it is used (T4).
    #[error("cannot delete {item}: {} it", used_by(.users))]
    InUse {
        /// What was to be deleted.
        item: CatalogItem,
        /// All that use it, in order; at least one.
        users: Vec<CatalogUser>,
    },
}

/// `campaign A uses`, `channels A, B and 5 more use`
fn used_by(users: &[CatalogUser]) -> String {
    let shown = &users[..users.len().min(USERS_SHOWN_MAX)];
    let names: Vec<_> = shown.iter().map(ToString::to_string).collect();
    let more = match users.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let verb = if users.len() == 1 { "uses" } else { "use" };
    format!("{}{more} {verb}", names.join(", "))
}

/// Whoever wants all of them has them in [`Rejection::InUse`].
const USERS_SHOWN_MAX: usize = 10;
