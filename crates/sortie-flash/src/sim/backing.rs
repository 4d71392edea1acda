//! Where a simulated flash keeps its bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

/// In memory, or in a file that has at any moment what the last call that returned has written.
///
/// The file is `capacity` bytes of flash, each inverted, then for each page its erasures as a u32,
/// little-endian. Inverted, so that a new file, which is zeros and takes no room on disk, is erased flash.
#[derive(Debug)]
pub(super) enum Backing {
    Memory {
        bytes: Vec<u8>,
        /// For each word: it was programmed, or torn, since its last whole erasure.
        used: Vec<bool>,
    },
    File {
        file: File,
    },
}

impl Backing {
    pub(super) fn read(&mut self, offset: usize, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Memory { bytes, .. } => {
                buffer.copy_from_slice(&bytes[offset..offset + buffer.len()]);
                Ok(())
            }
            Self::File { file } => {
                file.seek(SeekFrom::Start(offset as u64))?;
                file.read_exact(buffer)?;
                invert(buffer);
                Ok(())
            }
        }
    }

    /// Puts `new` at `offset`, in one system call if it is a file.
    pub(super) fn put(&mut self, offset: usize, mut new: Vec<u8>) -> io::Result<()> {
        match self {
            Self::Memory { bytes, .. } => {
                bytes[offset..offset + new.len()].copy_from_slice(&new);
                Ok(())
            }
            Self::File { file } => {
                invert(&mut new);
                file.seek(SeekFrom::Start(offset as u64))?;
                file.write_all(&new)
            }
        }
    }

    /// Notes the words of `words` as used or as erased. A file notes nothing: its words are used unless
    /// they read as erased.
    pub(super) fn mark(&mut self, words: Range<usize>, as_used: bool) {
        if let Self::Memory { used, .. } = self {
            used[words].fill(as_used);
        }
    }

    /// The first of the words that may not be programmed, if any; `old` is what they hold.
    pub(super) fn first_used(&self, words: Range<usize>, old: &[u8], word: usize) -> Option<usize> {
        let by_content = old
            .chunks(word)
            .position(|word| word.iter().any(|&byte| byte != 0xFF));
        let by_note = match self {
            Self::Memory { used, .. } => used[words.clone()].iter().position(|&used| used),
            Self::File { .. } => None,
        };
        let index = by_content.into_iter().chain(by_note).min()?;
        Some(words.start + index)
    }

    /// How often each of `pages` pages was erased, on a flash of `capacity` bytes.
    pub(super) fn wear(&mut self, capacity: usize, pages: usize) -> io::Result<Vec<u32>> {
        let Self::File { file } = self else {
            return Ok(vec![0; pages]);
        };
        let mut bytes = vec![0; 4 * pages];
        file.seek(SeekFrom::Start(capacity as u64))?;
        file.read_exact(&mut bytes)?;
        let (counts, _) = bytes.as_chunks();
        Ok(counts
            .iter()
            .map(|&count| u32::from_le_bytes(count))
            .collect())
    }

    /// Records that page `page` has been erased `count` times, on a flash of `capacity` bytes.
    pub(super) fn put_wear(&mut self, capacity: usize, page: usize, count: u32) -> io::Result<()> {
        if let Self::File { file } = self {
            file.seek(SeekFrom::Start((capacity + 4 * page) as u64))?;
            file.write_all(&count.to_le_bytes())?;
        }
        Ok(())
    }
}

/// Flips every bit.
fn invert(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = !*byte;
    }
}
