//! What a power cut in the middle of an operation leaves.

use super::rng::Rng;

/// Which of the results that the contract permits a torn operation has. Seed and operation number choose the
/// details, the extremes (nothing done, all done) included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tear {
    /// Program: words before the one under way are whole, of that one some first bytes.
    /// Erasure: some first bytes of the page are erased.
    Prefix,
    /// Program: as `Prefix`, but of the word under way some last bytes.
    /// Erasure: some last bytes of the page are erased.
    Suffix,
    /// Program: as `Prefix`, but of the word under way some of the bits that were to clear.
    /// Erasure: each byte of the page is old, erased, or has some of its bits risen.
    Bits,
    /// The contract's letter. Program: every word of the call is old, new, torn or anything at all.
    /// Erasure: every byte of the page is anything at all.
    Undefined,
}

impl Tear {
    /// All of them, for sweeps.
    pub const ALL: [Self; 4] = [Self::Prefix, Self::Suffix, Self::Bits, Self::Undefined];

    /// Changes `flash` to what is left of the program of `new` over it, in words of `word` bytes.
    pub(crate) fn program(self, rng: &mut Rng, word: usize, flash: &mut [u8], new: &[u8]) {
        let words = flash.chunks_mut(word).zip(new.chunks(word));
        if self == Self::Undefined {
            for (flash, new) in words {
                match rng.up_to(3) {
                    0 => {}
                    1 => flash.copy_from_slice(new),
                    2 => clear_some(rng, flash, new),
                    _ => flash.fill_with(|| rng.byte()),
                }
            }
            return;
        }
        let under_way = rng.up_to((new.len() / word).saturating_sub(1));
        for (index, (flash, new)) in words.enumerate().take(under_way + 1) {
            let cut = rng.up_to(new.len());
            match self {
                _ if index < under_way => flash.copy_from_slice(new),
                Self::Prefix => flash[..cut].copy_from_slice(&new[..cut]),
                Self::Suffix => flash[cut..].copy_from_slice(&new[cut..]),
                Self::Bits | Self::Undefined => clear_some(rng, flash, new),
            }
        }
    }

    /// Changes `page` to what is left of its erasure.
    pub(crate) fn erase(self, rng: &mut Rng, page: &mut [u8]) {
        let cut = rng.up_to(page.len());
        match self {
            Self::Prefix => page[..cut].fill(0xFF),
            Self::Suffix => page[cut..].fill(0xFF),
            Self::Bits => {
                for byte in page {
                    match rng.up_to(2) {
                        0 => {}
                        1 => *byte = 0xFF,
                        _ => *byte |= rng.byte(),
                    }
                }
            }
            Self::Undefined => page.fill_with(|| rng.byte()),
        }
    }
}

/// Clears some of the bits that programming `new` would clear.
fn clear_some(rng: &mut Rng, flash: &mut [u8], new: &[u8]) {
    for (flash, new) in flash.iter_mut().zip(new) {
        *flash &= new | rng.byte();
    }
}
