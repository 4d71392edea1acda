//! One owner a log: an OS lock on a side file.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::{Holder, OpenError};

/// The lock on a log; free again when dropped, or with the process.
///
/// It is never on the database itself: closing a second descriptor of that would drop the locks
/// that SQLite holds on it. The side file stays, since removing it would let two processes hold a
/// lock each, on the old file and on a new one.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the database at `path`, or says who has it.
    pub(crate) fn take(path: &Path) -> Result<Self, OpenError> {
        let io = |e: io::Error| OpenError::Store {
            path: path.into(),
            source: e.into(),
        };
        let mut side = path.as_os_str().to_owned();
        side.push(".lock");
        // Nothing is left beside a file that is plainly not ours. Not where a side file is: then this
        // process may have the database open, and to close another descriptor would drop its locks.
        if !Path::new(&side).exists() && !may_be_a_database(path).map_err(io)? {
            return Err(OpenError::Foreign {
                path: path.into(),
                why: "it is no SQLite database".into(),
            });
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(PathBuf::from(side)).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {
                // The name of the holder is a courtesy; the lock holds without it.
                let pid = std::process::id().to_string();
                let named = file
                    .set_len(0)
                    .and_then(|()| file.write_all(pid.as_bytes()));
                named.map_err(io)?;
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
                path: path.into(),
                holder: Holder::new(pid_in(&mut file)),
            }),
            Err(TryLockError::Error(e)) => Err(io(e)),
        }
    }
}

/// Whether the file is not there, is empty, or begins as every SQLite database does
/// (SQLite's "Database File Format", 1.3.1).
fn may_be_a_database(path: &Path) -> io::Result<bool> {
    let mut header = vec![];
    match File::open(path) {
        Ok(file) => file.take(16).read_to_end(&mut header)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(e) => return Err(e),
    };
    Ok(header.is_empty() || header == *b"SQLite format 3\0")
}

/// The process id that the holder wrote; `None` if it has not yet, or if it can't be read.
fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The one name of the database at `path`, whichever way it was named, so that it has one lock.
pub(crate) fn resolve(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        resolved => return resolved,
    }
    if path.is_symlink() {
        // SQLite would follow it and make the file; afterwards it had another name and lock.
        let why = "it is a symbolic link to a file that does not exist";
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    }
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the path does not name a file")
    })?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok(folder.canonicalize()?.join(name))
}
