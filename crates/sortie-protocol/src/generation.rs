//! The counter that orders all requests a device has ever been given.

use serde::{Deserialize, Serialize};

use crate::limits::GENERATION_MAX;

/// `gen` on the wire: 4 × claim number + {1 Update, 2 Cancel, 3 None} (rule W1).
///
/// Claim numbers only grow for a device, so a higher generation is always the newer request, and
/// within one claim Update < Cancel < None.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation of an Update under claim `number`.
    pub const fn update(number: u64) -> Self {
        Self::of(number, 1)
    }

    /// The generation of a Cancel under claim `number`.
    pub const fn cancel(number: u64) -> Self {
        Self::of(number, 2)
    }

    /// The generation of None under claim `number`.
    pub const fn none(number: u64) -> Self {
        Self::of(number, 3)
    }

    const fn of(number: u64, kind: u64) -> Self {
        Self(number.saturating_mul(4).saturating_add(kind))
    }

    /// The claim number that this generation belongs to.
    pub const fn claim_number(self) -> u64 {
        self.0 / 4
    }

    /// Whether this value may appear on the wire: below 2^53.
    pub const fn is_legal(self) -> bool {
        self.0 <= GENERATION_MAX
    }
}
