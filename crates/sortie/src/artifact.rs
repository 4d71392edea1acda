//! A Base Image's file.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256 as Hasher};
use sortie_core::Sha256;
use tokio::sync::oneshot;

/// Where an image's bytes are, and what must be found there: URL, size and SHA-256. In serde an object
/// with `url`, `size` and `sha256`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Artifact {
    inner: sortie_core::catalog::Artifact,
}

/// A file could not be hashed.
#[derive(Debug, thiserror::Error)]
#[error("{} can't be hashed", .path.display())]
pub struct ArtifactError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

impl Artifact {
    /// A file that was hashed before: its absolute `http://` or `https://` URL as the devices reach
    /// it, its length in bytes and its digest. All is checked when it is declared.
    pub fn new(url: &str, size: u64, sha256: Sha256) -> Self {
        Self {
            inner: sortie_core::catalog::Artifact::new(url, size, sha256),
        }
    }

    /// The file at `path`, which the devices reach at `url`. It is hashed on a thread of its own,
    /// `sortie-hash`.
    ///
    /// # Errors
    /// [`ArtifactError`]: it can't be read.
    pub async fn of_file(url: &str, path: impl AsRef<Path>) -> Result<Self, ArtifactError> {
        let path = path.as_ref().to_owned();
        let hashed = hash_on_thread(path.clone()).await;
        let (size, sha256) = hashed.map_err(|source| ArtifactError { path, source })?;
        Ok(Self::new(url, size, sha256))
    }

    /// Where the devices find it.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.inner.size
    }

    /// The digest of all its bytes.
    pub fn sha256(&self) -> Sha256 {
        self.inner.sha256
    }
}

impl From<Artifact> for sortie_core::catalog::Artifact {
    fn from(artifact: Artifact) -> Self {
        artifact.inner
    }
}

async fn hash_on_thread(path: PathBuf) -> io::Result<(u64, Sha256)> {
    let (hashed, answer) = oneshot::channel();
    thread::Builder::new()
        .name("sortie-hash".into())
        .spawn(move || {
            let result = hash(&path, || hashed.is_closed());
            // Who asked may have gone.
            let _ = hashed.send(result);
        })?;
    let gone = |_| io::Error::other("the hashing thread ended without an answer");
    answer.await.map_err(gone)?
}

/// Length and digest of the file; `is_cancelled` is asked now and then.
fn hash(path: &Path, is_cancelled: impl Fn() -> bool) -> io::Result<(u64, Sha256)> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    let mut size = 0;
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = match file.read(&mut chunk) {
            Ok(0) => return Ok((size, Sha256(hasher.finalize().into()))),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if is_cancelled() {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        hasher.update(&chunk[..length]);
        size += length as u64;
    }
}
