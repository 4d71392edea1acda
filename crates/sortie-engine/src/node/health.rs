//! What is wrong, for people.

use std::fmt;

use serde::Serialize;
use sortie_core::StreamId;

use super::{
    ClockStep, Node,
    stream::{Body, Slot},
};

/// A stream that stands still, or whose start waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Halt {
    /// The stream.
    pub stream: StreamId,
    /// The campaign's name, or what a manual update is called; `None`: its log could not be read.
    pub name: Option<String>,
    /// Why.
    pub why: String,
    /// It goes on by itself once the cause is gone; otherwise a restart is needed.
    pub retried: bool,
}

impl Halt {
    pub(super) fn of(stream: StreamId, slot: &Slot, why: &str, retried: bool) -> Self {
        let progress = slot.progress.as_ref();
        Self {
            stream,
            name: progress.map(|progress| progress.name.clone()),
            why: why.into(),
            retried,
        }
    }
}

impl fmt::Display for Halt {
    /// `"Pilot 1.4.0" (campaign/…): the inventory does not answer`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, why, .. } = self;
        match &self.name {
            Some(name) => write!(f, "\"{name}\" ({stream}): {why}"),
            None => write!(f, "{stream}: {why}"),
        }
    }
}

/// What a node knows of its own state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NodeHealth {
    /// All streams that there were at the start have been folded, but for those that can't be read for
    /// long: they are among `halted`.
    pub recovered: bool,
    /// Streams that stand still.
    pub halted: Vec<Halt>,
    /// Campaigns whose start waits for the inventory or the catalog.
    pub starts_waiting: Vec<Halt>,
    /// Manual updates that have ended, and whose uploaded file can't be deleted (M2).
    pub uploads_waiting: Vec<Halt>,
    /// Why the inventory could not say in the last minutes, before a push, whether devices still exist
    /// (D1). That holds up no push.
    pub inventory_trouble: Option<String>,
    /// Devices known.
    pub devices: usize,
    /// Request registers that are to be written and are not yet.
    pub writes_waiting: usize,
    /// Reports that counted for nothing (R1): of unknown devices, or on operations that are not the device's
    /// last of a campaign, or more of one device at once than it has operations.
    pub reports_dropped: u64,
    /// Devices with an operation that was abandoned, and no word on it yet: each may still be
    /// installing (X1). They hold up nobody.
    pub claims_open: usize,
    /// How often the wall clock was seen to step (C5): forward steps are followed, backward ones not.
    pub clock_steps: u64,
    /// The latest of these.
    pub last_clock_step: Option<ClockStep>,
}

impl Node {
    /// What is wrong now.
    pub fn health(&self) -> NodeHealth {
        let mut health = NodeHealth {
            recovered: self.recovered,
            inventory_trouble: self.removals.trouble.clone(),
            devices: self.fleet.len(),
            writes_waiting: self.writes.waiting(),
            reports_dropped: self.reports_dropped(),
            claims_open: self.fleet.claims_open(),
            clock_steps: self.steps.count(),
            last_clock_step: self.steps.last(),
            ..NodeHealth::default()
        };
        for (stream, slot) in &self.streams {
            let halt = |why: &str, retried| Halt::of(*stream, slot, why, retried);
            if let Body::Halted(why) = &slot.body {
                health.halted.push(halt(why, false));
            } else if let Some(why) = &slot.trouble {
                health.halted.push(halt(why, true));
            }
            if let Some(why) = slot.start.trouble() {
                health.starts_waiting.push(halt(why, true));
            }
            if let Some(why) = slot.upload.trouble() {
                health.uploads_waiting.push(halt(why, true));
            }
        }
        health
    }
}
