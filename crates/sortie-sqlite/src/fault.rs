//! What can go wrong inside, and how it shows outside.

use std::sync::Arc;

use rusqlite::ErrorCode;
use sortie_ports::{BoxError, InventoryError, ReadError};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// SQLite or the system below it said no.
    #[error("SQLite: {0}")]
    Sql(#[from] rusqlite::Error),
    /// What is stored is not what was written.
    #[error("{0}")]
    Corrupt(String),
    /// The request can't be stored, now or later.
    #[error("{0}")]
    Refused(String),
    /// Too much waits already.
    #[error("{0} requests wait already")]
    Full(usize),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The thread has gone.
    #[error("the store's thread has ended")]
    Gone,
}

impl Fault {
    /// Whether it concerns one request only, so that others in its transaction may still succeed.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Corrupt(_) | Self::Refused(_) => true,
            Self::Full(_) | Self::Closed | Self::Gone => false,
            Self::Sql(e) => match e.sqlite_error_code() {
                // A conversion of a column: what is stored there is not of its type.
                None => true,
                Some(code) => matches!(
                    code,
                    ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch
                ),
            },
        }
    }

    /// Whether the database itself is damaged.
    pub(crate) fn is_corruption(&self) -> bool {
        match self {
            Self::Corrupt(_) => true,
            Self::Sql(e) => e.sqlite_error_code().is_none_or(|code| {
                matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            }),
            Self::Refused(_) | Self::Full(_) | Self::Closed | Self::Gone => false,
        }
    }
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        if fault.is_corruption() {
            Self::Corrupt(fault.to_string())
        } else {
            Self::Unavailable(fault.into())
        }
    }
}

impl From<Fault> for InventoryError {
    fn from(fault: Fault) -> Self {
        Self::unavailable(fault)
    }
}

/// A fault that several requests of one transaction share.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Cause(Arc<Fault>);

impl Cause {
    pub(crate) fn boxed(&self) -> BoxError {
        Box::new(self.clone())
    }
}

impl From<Fault> for Cause {
    fn from(fault: Fault) -> Self {
        Self(Arc::new(fault))
    }
}

/// A number of ours as a column; SQLite's integers have a sign.
pub(crate) fn stored(what: &str, number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| Fault::Refused(format!("{what} {number} is out of range")))
}

/// A column as a number of ours.
pub(crate) fn loaded(what: &str, number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|_| Fault::Corrupt(format!("{what} {number} is negative")))
}
