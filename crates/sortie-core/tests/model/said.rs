//! What one decision says, in words, so that a difference can be read.

use std::collections::BTreeSet;

/// The answer of one stream to one input.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) stream: usize,
    /// One line an event.
    pub(crate) events: Vec<String>,
    /// Targets whose device's register is to be written.
    pub(crate) registers: BTreeSet<usize>,
    /// Why a command was refused.
    pub(crate) refused: Option<String>,
    /// Whether a pump left something that could be pushed at once.
    pub(crate) more: bool,
}

/// The name of an operation: its stream, device and claim number, and which owner began it (W1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operation {
    pub(crate) stream: usize,
    pub(crate) device: usize,
    pub(crate) claim: u64,
    pub(crate) epoch: u64,
}

/// What a device's request register must hold, as one target knows it. `allow`: a downgrade, another
/// System Model, the same version.
pub(crate) fn update(
    operation: Operation,
    claim: u64,
    image: Option<(&str, &str)>,
    allow: [bool; 3],
    decided_on: Option<&str>,
) -> String {
    let generation = 4 * claim + 1;
    format!("Update {generation} {operation:?} {image:?} allow {allow:?} on {decided_on:?}")
}

/// As [`update`].
pub(crate) fn cancel(operation: Operation, claim: u64) -> String {
    format!("Cancel {} {operation:?}", 4 * claim + 2)
}
