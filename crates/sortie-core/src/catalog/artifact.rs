//! Where an image's bytes are, and what must be found there.

use serde::{Deserialize, Serialize};
use sortie_protocol::Sha256;

use super::check::shown;
use crate::Invalid;

/// A file to be fetched over HTTP with Range: URL, size in bytes, digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// An absolute `http://` or `https://` URL, as the devices reach it.
    pub url: String,
    /// Length in bytes, at least 1.
    pub size: u64,
    /// Digest of all bytes.
    pub sha256: Sha256,
}

/// A request must fit into a message of 8 KiB.
const URL_BYTES_MAX: usize = 4096;

impl Artifact {
    /// An artifact; it is checked when it is declared.
    pub fn new(url: &str, size: u64, sha256: Sha256) -> Self {
        Self {
            url: url.into(),
            size,
            sha256,
        }
    }

    pub(crate) fn validate(&self, field: &str, invalid: &mut Invalid) {
        let Self { url, size, .. } = self;
        if !["http://", "https://"]
            .iter()
            .any(|s| url.strip_prefix(s).is_some_and(|r| !r.is_empty()))
        {
            invalid.add(
                format!("{field}.url"),
                format!("{:?} is no http:// or https:// URL", shown(url)),
            );
        } else if url.len() > URL_BYTES_MAX {
            invalid.add(
                format!("{field}.url"),
                format!(
                    "{} bytes are too long, {URL_BYTES_MAX} is the limit",
                    url.len()
                ),
            );
        } else if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
            invalid.add(
                format!("{field}.url"),
                format!("{:?} has a space or control character", shown(url)),
            );
        }
        if *size == 0 {
            invalid.add(format!("{field}.size"), "it is empty");
        }
    }
}
