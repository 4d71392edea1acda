//! Which operation a device's request register belongs to.

use serde::{Deserialize, Serialize};
use sortie_protocol::{DeviceId, Generation};

use crate::{OperationId, StreamId};

/// What a claim says of its device (rule W7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "rule W7 has these three phases")]
pub enum ClaimPhase {
    /// From `OperationStarted` until the operation has ended in the log. Never taken over.
    Held,
    /// Abandoned: the register says Cancel until the device gives its terminal word.
    Open,
    /// The device itself ended it: the register says None.
    Free,
}

/// The claim on one device. Lives beside the log and changes in the same append as its cause; the
/// row stays when it is free, since its number must never be used again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRow {
    /// The device.
    pub device: DeviceId,
    /// The claim number: one operation on one device; it only grows (rule W1).
    pub number: u64,
    /// The stream that holds it, or did last. The route of its reports is [`StreamId::route`].
    pub holder: StreamId,
    /// The operation that it belongs to; nil for a row that only raises the number.
    pub operation: OperationId,
    /// What it says now.
    pub phase: ClaimPhase,
}

impl ClaimRow {
    /// Whether its operation is in force (O1).
    pub fn is_held(&self) -> bool {
        self.phase == ClaimPhase::Held
    }

    /// The generation that the device's register must have by this row, when the holder's state
    /// does not say Cancel for a held claim.
    pub fn generation(&self) -> Generation {
        match self.phase {
            ClaimPhase::Held => Generation::update(self.number),
            ClaimPhase::Open => Generation::cancel(self.number),
            ClaimPhase::Free => Generation::none(self.number),
        }
    }
}

/// A change of one device's claim, made in the append of its cause.
///
/// The store makes it only if the present row has exactly the holder and number of `expected`
/// (`None`: there is no row), and, when `row` names another operation, is not held. Otherwise the
/// whole append is refused as claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimChange {
    /// The row as it will be.
    pub row: ClaimRow,
    /// Holder and number of the row as the writer knows it.
    pub expected: Option<(StreamId, u64)>,
}

impl ClaimChange {
    /// Whether a store whose present row is `present` may make this change.
    pub fn fits(&self, present: Option<&ClaimRow>) -> bool {
        let known = present.map(|row| (row.holder, row.number));
        let held_by_other = present.is_some_and(|row| {
            row.phase == ClaimPhase::Held && row.operation != self.row.operation
        });
        known == self.expected && !held_by_other
    }
}
