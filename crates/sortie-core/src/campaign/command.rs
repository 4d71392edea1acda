//! What people ask of a campaign, and why it may be refused.

use std::fmt;

use super::{CampaignSpec, Status, TargetIndex, TargetStatus};
use crate::CampaignId;

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
    /// A campaign of this id exists, with other content (K2).
    #[error("the campaign {id} exists already, with other content")]
    Exists {
        /// The id.
        id: CampaignId,
    },
    /// There is no campaign of this id, or it was deleted.
    #[error("there is no campaign {id}")]
    NoCampaign {
        /// The id.
        id: CampaignId,
    },
    /// The campaign has no such target.
    #[error("the campaign has no target {}", .target.0)]
    NoTarget {
        /// The index.
        target: TargetIndex,
    },
    /// No operation is under way on the target (X4).
    #[error("cannot cancel the operation: the target is {status}")]
    NothingUnderWay {
        /// Where the target is.
        status: TargetStatus,
    },
}
