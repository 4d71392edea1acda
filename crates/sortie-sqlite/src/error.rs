//! Why a log can't be opened.

use std::{fmt, path::PathBuf};

use sortie_ports::BoxError;

/// Why [`Sqlite::open`](crate::Sqlite::open) failed. What the caller does next differs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another engine has the log open: stop that one, or use another file.
    #[error("{} is in use by {holder}", .path.display())]
    InUse {
        /// The database.
        path: PathBuf,
        /// Who has it open.
        holder: Holder,
    },
    /// A newer version of sortie wrote it: upgrade.
    #[error("{} has schema {found}, and {known} is the newest known", .path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest that this version knows.
        known: u32,
    },
    /// It is something else, and was left as it is: use another file.
    #[error("{} is not a log of sortie: {why}", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// It can't be read, written or made: see the source.
    #[error("{} can't be opened", .path.display())]
    Store {
        /// The database.
        path: PathBuf,
        /// What the system or SQLite said.
        source: BoxError,
    },
}

/// Who has a log open, as far as its lock file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    pid: Option<u32>,
}

impl Holder {
    pub(crate) fn new(pid: Option<u32>) -> Self {
        Self { pid }
    }

    /// Its process id; `None` if it has not written it yet, or the system forbids reading a locked
    /// file.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}
