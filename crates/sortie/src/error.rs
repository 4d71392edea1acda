//! Errors, told apart by what the caller does next.

use sortie_core::{
    Invalid, ParseError, Rejection, RequirementError, SelectorError, StreamId, TimestampError,
};
use sortie_engine::{
    driver::{CallError, Fatal, Stopped},
    node::Refusal,
};

use crate::ArtifactError;

/// Why a [`Command`](crate::Command) was not carried out, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// It is malformed: show all that is wrong, each by field (S3). Nothing changed.
    #[error("{0}")]
    Invalid(Invalid),
    /// There is no such thing: what. Nothing changed.
    #[error("there is no {0}")]
    NotFound(String),
    /// The state of the campaign or catalog forbids it: tell. Nothing changed.
    #[error("{0}")]
    Refused(Rejection),
    /// Too many commands wait for their answers: back off and repeat. Nothing changed.
    #[error("the engine is busy: too many commands wait for their answers")]
    Busy,
    /// It can't be done now, and why: back off and repeat. Nothing changed.
    #[error("{0}")]
    Unavailable(String),
    /// The campaign, manual update or catalog stands still until the engine is started anew, and why: its
    /// log is corrupt, or a decision panicked. Call a person. Nothing changed.
    #[error("{}", Refusal::Halted { stream: *.stream, why: why.clone() })]
    Halted {
        /// Which.
        stream: StreamId,
        /// Why.
        why: String,
    },
    /// There was no answer for 30 s; it may still be carried out. Repeat it under the same
    /// [`CommandId`](crate::CommandId), at once or after a restart (K1).
    #[error("{0}")]
    Unknown(String),
    /// The engine is gone. The command may have been carried out: build and start an engine on the
    /// same store, and repeat it under the same [`CommandId`](crate::CommandId).
    #[error("{0}")]
    Stopped(Stopped),
}

impl CommandError {
    /// Whether the same command, under the same id, may succeed on this engine later: `Busy`,
    /// `Unavailable`, `Unknown`.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable(_) | Self::Unknown(_))
    }
}

impl From<CallError> for CommandError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(Refusal::Invalid(invalid)) => Self::Invalid(invalid),
            CallError::Refused(Refusal::NotFound(what)) => Self::NotFound(what),
            CallError::Refused(Refusal::Refused(Rejection::NoCampaign { stream })) => {
                Self::NotFound(format!("campaign {}", stream.uuid()))
            }
            CallError::Refused(Refusal::Refused(Rejection::NotDeclared { item })) => {
                Self::NotFound(item.to_string())
            }
            CallError::Refused(Refusal::Refused(rejection)) => Self::Refused(rejection),
            CallError::Refused(Refusal::Halted { stream, why }) => Self::Halted { stream, why },
            CallError::Busy => Self::Busy,
            CallError::Unknown(why) => Self::Unknown(why),
            CallError::Stopped(why) => Self::Stopped(why),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// There is no such thing: what.
    #[error("there is no {0}")]
    NotFound(String),
    /// Committed state can't be read now, and why: ask again later.
    #[error("{0}")]
    Unavailable(String),
    /// The campaign, manual update or catalog stands still until the engine is started anew, and why: its
    /// log is corrupt, or a decision panicked. Call a person. The log can be asked still: `explain`.
    #[error("{}", Refusal::Halted { stream: *.stream, why: why.clone() })]
    Halted {
        /// Which.
        stream: StreamId,
        /// Why.
        why: String,
    },
    /// The engine is gone: ask one that runs on the same store.
    #[error("{0}")]
    Stopped(Stopped),
}

impl From<CallError> for QueryError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(Refusal::NotFound(what)) => Self::NotFound(what),
            CallError::Refused(Refusal::Halted { stream, why }) => Self::Halted { stream, why },
            CallError::Stopped(why) => Self::Stopped(why),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<QueryError> for CommandError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::NotFound(what) => Self::NotFound(what),
            QueryError::Unavailable(why) => Self::Unavailable(why),
            QueryError::Halted { stream, why } => Self::Halted { stream, why },
            QueryError::Stopped(why) => Self::Stopped(why),
        }
    }
}

/// Why an engine did not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no tokio runtime to run on, or it has no timers: start from within one.
    #[error("no usable tokio runtime: {0}")]
    NoRuntime(&'static str),
    /// The builder was not given this.
    #[error("the engine needs a {0}, and the builder was given none")]
    Missing(&'static str),
    /// The event log can't be read now, and why: try again.
    #[error("{0}")]
    Store(String),
    /// The event log is not what was written, and where: call a person.
    #[error("the log is corrupt: {0}")]
    Corrupt(String),
}

/// The sum of all errors, so that `?` works in a `main`. Elsewhere match on the error of the method.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name or id is malformed.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A time is malformed.
    #[error(transparent)]
    Timestamp(#[from] TimestampError),
    /// A selector is malformed.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// A Version Requirement is malformed.
    #[error(transparent)]
    Requirement(#[from] RequirementError),
    /// A message of a device is malformed.
    #[error(transparent)]
    Decode(#[from] sortie_protocol::DecodeError),
    /// A file could not be hashed.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// An engine did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A command was not carried out.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A question has no answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The engine could not go on.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// A device table could not be read or written.
    #[error(transparent)]
    Inventory(#[from] sortie_ports::InventoryError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] sortie_ports::ReadError),
    /// The log could not be opened.
    #[cfg(feature = "sqlite")]
    #[error(transparent)]
    Open(#[from] sortie_sqlite::OpenError),
    /// The log is not what was written, or could not be looked through.
    #[cfg(feature = "sqlite")]
    #[error(transparent)]
    Verify(#[from] sortie_sqlite::VerifyError),
    /// A setting of the MQTT transport is not usable.
    #[cfg(feature = "mqtt")]
    #[error(transparent)]
    Mqtt(#[from] sortie_mqtt::MqttError),
}

impl From<sortie_protocol::IdError> for Error {
    fn from(error: sortie_protocol::IdError) -> Self {
        Self::Parse(error.into())
    }
}
