//! The chain of hashes over a stream's commits.

use sha2::{Digest, Sha256};

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// What comes before a stream's first commit.
pub(crate) const START: Hash = [0; 32];

/// A commit's columns, all of which its hash covers.
pub(crate) struct Columns<'a> {
    pub(crate) position: i64,
    pub(crate) stream: &'a str,
    pub(crate) first: i64,
    pub(crate) count: i64,
    pub(crate) recorded_at: i64,
    pub(crate) epoch: i64,
    pub(crate) schema: i64,
    pub(crate) commands: &'a str,
    pub(crate) events: &'a str,
}

impl Columns<'_> {
    /// The commit's hash, when the stream's commit before it has the hash `before`.
    pub(crate) fn hash(&self, before: &Hash) -> Hash {
        let mut sha = Sha256::new();
        sha.update(before);
        for number in [
            self.position,
            self.first,
            self.count,
            self.recorded_at,
            self.epoch,
            self.schema,
        ] {
            sha.update(number.to_be_bytes());
        }
        for text in [self.stream, self.commands, self.events] {
            sha.update((text.len() as u64).to_be_bytes());
            sha.update(text);
        }
        sha.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed apart from this code, with Python's hashlib, from the format in the crate's docs.
    #[test]
    fn the_hash_is_the_documented_one() {
        let columns = Columns {
            position: 7,
            stream: "catalog",
            first: 3,
            count: 2,
            recorded_at: -1,
            epoch: 5,
            schema: 1,
            commands: "[]",
            events: "[{},{}]",
        };
        let hash = sortie_core::Sha256(columns.hash(&[9; 32]));
        assert_eq!(
            hash.to_string(),
            "f9a7fdaa6d0f661589e4571ca8de3d24cf8e3ada6a69b598639f0527ad8c8d7d"
        );
    }
}
