//! How an engine ends.

use std::fmt;

/// Why an engine is no longer there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// It was asked to: `shutdown`, `shutdown_on`, or its last handle was dropped.
    Asked,
    /// It could not go on. Build and start an engine on the same store: it goes on from the log.
    Fatal(Fatal),
}

/// Why an engine could not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fatal {
    /// The engine's own loop panicked, with this message: a bug of sortie's, please report it. The
    /// log is whole.
    #[error("the engine's loop panicked: {0}")]
    Panicked(String),
    /// The store could not be read when the driver began; why. (`start` answers `StartError`.)
    #[error("the store can't be read: {0}")]
    Store(String),
    /// The shutdown was given up on after 10 s, waiting for this. The log is whole; a thread or a
    /// connection may still be there.
    #[error("the shutdown did not end within 10 s: {0} did not")]
    ShutdownTimedOut(&'static str),
    /// The runtime ended, or the driver was dropped, before the engine had been shut down.
    #[error("the engine's task was dropped before it was shut down")]
    Dropped,
}

impl Stopped {
    /// Whether it was asked to stop, and did.
    pub fn is_asked(&self) -> bool {
        *self == Self::Asked
    }

    /// Asked is fine.
    ///
    /// # Errors
    /// [`Fatal`], if that is why.
    pub fn into_result(self) -> Result<(), Fatal> {
        match self {
            Self::Asked => Ok(()),
            Self::Fatal(fatal) => Err(fatal),
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("the engine was shut down"),
            Self::Fatal(fatal) => fatal.fmt(f),
        }
    }
}
