//! Reproducible randomness, without a dependency.

/// `SplitMix64`: small, and good enough to choose bits to tear.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The stream of operation `operation` of a flash seeded with `seed`: a tear depends on nothing
    /// else, so that a run can be repeated from its seed and its faults.
    pub(crate) fn of_operation(seed: u64, operation: u64) -> Self {
        let mut rng = Self(seed);
        rng.0 = rng.next() ^ operation.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        rng
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// A number from 0 to `end`, both included.
    pub(crate) fn up_to(&mut self, end: usize) -> usize {
        let count = end as u64 + 1;
        // The remainder is at most `end`, which is a `usize`.
        usize::try_from(self.next() % count).unwrap_or(end)
    }
}
