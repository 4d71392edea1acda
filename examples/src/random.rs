//! Numbers that look random and follow from a seed.

/// `SplitMix64`: small, and the same on every machine for ever. Not for secrets.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence of `seed` for one of many uses, so that no use shifts another's numbers.
    pub fn of(seed: u64, purpose: u64) -> Self {
        let mut random = Self(seed);
        Self(random.next() ^ Self(purpose).next())
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "a sequence without an end")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The bias of the remainder is far below what a simulation could show.
        self.next().checked_rem(end).unwrap_or(0)
    }

    /// A number from `from` to `to`, both included.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from).saturating_add(1))
    }

    /// One of `choices`, which must not be empty.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let count = choices.len() as u64;
        // Below `count`, which came from a `usize`.
        choices[usize::try_from(self.below(count)).unwrap_or(0)]
    }

    /// `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = std::iter::from_fn(|| Some(self.next().to_le_bytes()));
        words.flatten().take(len).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_of_a_seed_never_changes() {
        let mut random = Random::new(1_234_567);
        // The first numbers of the published reference implementation for this seed.
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn purposes_of_one_seed_have_sequences_of_their_own() {
        let firsts: std::collections::BTreeSet<u64> = (0..1000)
            .map(|purpose| Random::of(7, purpose).next())
            .collect();
        assert_eq!(firsts.len(), 1000);
    }
}
