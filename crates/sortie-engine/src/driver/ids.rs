//! Where what must be unique comes from.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// Draws ids: at random, or, for a test that wants every run to be the same, from a seed.
#[derive(Debug)]
pub(super) struct Ids {
    seed: Option<Uuid>,
    drawn: AtomicU64,
}

impl Ids {
    pub(super) fn new(seed: Option<Uuid>) -> Self {
        Self {
            seed,
            drawn: AtomicU64::new(0),
        }
    }

    pub(super) fn draw(&self) -> Uuid {
        let Some(seed) = &self.seed else {
            return Uuid::new_v4();
        };
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        Uuid::new_v5(seed, &drawn.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_seed_are_the_same_in_every_run_and_no_two_are_alike() {
        let draw = |seed| {
            let ids = Ids::new(seed);
            [ids.draw(), ids.draw(), ids.draw()]
        };
        let [one, two] = [1, 2].map(|n| Some(Uuid::from_u128(n)));
        assert_eq!(draw(one), draw(one));
        let [a, b, c] = draw(one);
        assert!(a != b && b != c && a != c);
        assert_ne!(draw(one), draw(two));
        assert_ne!(draw(None), draw(None));
    }
}
