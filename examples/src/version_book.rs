//! A device's own note of which image is which version.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use sortie_protocol::Sha256;

use crate::{machine::Versions, problem::Problem};

/// Versions by digest, in a file. A real firmware carries its version in itself.
#[derive(Debug)]
pub struct VersionBook {
    path: PathBuf,
    versions: Mutex<BTreeMap<String, String>>,
}

impl VersionBook {
    /// The book in file `path`, which need not exist.
    pub fn open(path: PathBuf) -> Result<Self, Problem> {
        let failed = |error: &dyn std::error::Error| Problem::because(path.display(), error);
        let versions = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| failed(&error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(failed(&error)),
        };
        Ok(Self {
            path,
            versions: Mutex::new(versions),
        })
    }

    /// Notes which version an image is. If the file can't be written, it is known until the program
    /// ends.
    pub fn note(&self, sha256: Sha256, version: &str) {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let before = versions.insert(sha256.to_string(), version.into());
        if before.as_deref() != Some(version)
            && let Ok(text) = serde_json::to_vec_pretty(&*versions)
        {
            let new = self.path.with_extension("new");
            let _unwritten = fs::write(&new, text).and_then(|()| fs::rename(&new, &self.path));
        }
    }
}

impl Versions for VersionBook {
    fn version_of(&self, sha256: Sha256) -> Option<String> {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.get(&sha256.to_string()).cloned()
    }

    fn learn(&self, sha256: Sha256, version: &str) {
        self.note(sha256, version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_known_after_the_book_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("book");
        let (one, two) = (Sha256([1; 32]), Sha256([2; 32]));
        let book = VersionBook::open(path.clone()).unwrap();
        assert_eq!(book.version_of(one), None);
        book.note(one, "1.0.0");
        book.learn(two, "2.0.0");
        let again = VersionBook::open(path.clone()).unwrap();
        assert_eq!(again.version_of(one).as_deref(), Some("1.0.0"));
        assert_eq!(again.version_of(two).as_deref(), Some("2.0.0"));
        fs::write(&path, "[").unwrap();
        assert!(VersionBook::open(path).is_err());
    }
}
