//! Images for tests, known by a number.

use sha2::{Digest, Sha256};
use sortie_flash::{Image, Tag};

pub(crate) fn tag(number: u8) -> Tag {
    [number; 16]
}

/// The bytes of an image, different at each place and for each number.
pub(crate) fn image(number: u8, len: usize) -> Vec<u8> {
    let mut state = u32::from(number).wrapping_mul(2_654_435_761) + 1;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    };
    (0..len).map(next).collect()
}

pub(crate) fn describe(number: u8, bytes: &[u8]) -> Image {
    let size = bytes.len().try_into().unwrap();
    Image {
        size,
        sha256: Sha256::digest(bytes).into(),
        tag: tag(number),
    }
}
