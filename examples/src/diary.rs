//! What a simulated device has gone through, kept where a kill of the process can't reach it.
//!
//! It is evidence, not part of the device: neither its loader nor its agent ever reads it.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use sortie_protocol::Uuid;

/// One device's diary: a text file that only grows, a line an entry.
#[derive(Debug, Clone)]
pub struct Diary(PathBuf);

/// What a diary says in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// How often the device has booted.
    pub boots: usize,
    /// How often the new image booted on trial, by operation.
    pub trials: BTreeMap<Uuid, usize>,
    /// Pages that were erased although they held the new image's bytes.
    pub whole_pages_erased: usize,
    /// Which troubles of the device's fate have struck, by name.
    pub struck: Vec<String>,
    /// All of it for people: milliseconds since 1970, and what happened.
    pub told: Vec<(i64, String)>,
}

impl Diary {
    /// The diary in file `path`, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The device boots: on trial for an operation, or what it ran before.
    pub fn booted(&self, trial: Option<Uuid>) -> io::Result<()> {
        match trial {
            Some(operation) => self.write(&format!("trial {operation}")),
            None => self.write("boot"),
        }
    }

    /// A page was erased that held the new image's bytes.
    pub fn whole_page_erased(&self, page: u32) -> io::Result<()> {
        self.write(&format!("whole-page-erased {page}"))
    }

    /// A trouble of the device's fate has struck: it does not strike again.
    pub fn struck(&self, trouble: &str, what: &str) -> io::Result<()> {
        self.write(&format!("struck {trouble}: {what}"))
    }

    /// All that was written so far.
    pub fn read(&self) -> io::Result<Entries> {
        let text = match std::fs::read_to_string(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let mut entries = Entries::default();
        for line in text.lines() {
            let unknown = || unknown(&self.0, line);
            let (at, entry) = line.split_once(' ').ok_or_else(unknown)?;
            let at = at.parse().map_err(|_| unknown())?;
            let what: String = match entry.split_once(' ').unwrap_or((entry, "")) {
                ("boot", _) => {
                    entries.boots += 1;
                    "boots what it ran before".into()
                }
                ("trial", operation) => {
                    entries.boots += 1;
                    let operation = operation.parse().map_err(|_| unknown())?;
                    *entries.trials.entry(operation).or_default() += 1;
                    "boots the new image, on trial".into()
                }
                ("whole-page-erased", page) => {
                    entries.whole_pages_erased += 1;
                    format!("erases page {page}, which was whole")
                }
                ("struck", trouble) => {
                    let (name, what) = trouble.split_once(": ").ok_or_else(unknown)?;
                    entries.struck.push(name.into());
                    what.into()
                }
                _ => return Err(unknown()),
            };
            entries.told.push((at, what));
        }
        Ok(entries)
    }

    /// One call, one line: what it has written survives the process, and no line is ever cut.
    /// Opened each time, so that a fleet does not need a descriptor more for each device.
    fn write(&self, line: &str) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_millis());
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0)?;
        file.write_all(format!("{now} {line}\n").as_bytes())
    }
}

fn unknown(path: &Path, line: &str) -> io::Error {
    let why = format!("{}: no entry of a diary: {line:?}", path.display());
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diary_tells_what_was_written_by_all_who_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gw-0001.diary");
        assert_eq!(Diary::new(path.clone()).read().unwrap(), Entries::default());
        let operation = Uuid::from_u128(7);
        Diary::new(path.clone()).booted(None).unwrap();
        let diary = Diary::new(path);
        diary.booted(Some(operation)).unwrap();
        diary.booted(Some(operation)).unwrap();
        diary.whole_page_erased(3).unwrap();
        diary.struck("cut 1", "loses power").unwrap();
        let entries = diary.read().unwrap();
        assert_eq!(entries.boots, 3);
        assert_eq!(entries.trials, BTreeMap::from([(operation, 2)]));
        assert_eq!(entries.whole_pages_erased, 1);
        assert_eq!(entries.struck, ["cut 1"]);
        let told: Vec<&str> = entries.told.iter().map(|(_, what)| &what[..]).collect();
        assert_eq!(told.len(), 5);
        assert_eq!(told[4], "loses power");
    }
}
