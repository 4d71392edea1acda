//! What a target waits for, from live state: heard and computed, not recorded.

use std::fmt;

use serde::Serialize;
use sortie_protocol::Status as DeviceStatus;

use super::text::status;
use crate::{Fleet, Now, OperationId, StreamId, Timestamp, phrase::span};

/// What a target waits for at one moment; nothing of it is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Waiting {
    /// When this was so.
    pub at: Timestamp,
    /// All that it waits for.
    pub waits: Vec<Wait>,
}

impl Waiting {
    /// What it waited for at `at`.
    pub fn new(at: Timestamp, waits: Vec<Wait>) -> Self {
        Self { at, waits }
    }
}

/// One thing that a target waits for. Where something runs out, `due_in_ms` is when, if the link stays
/// up; `None`: the link is down, and the listening clock stands (C1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(
    tag = "waitsFor",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum Wait {
    /// The campaign's start by hand (S1).
    StartByHand,
    /// The campaign's start time (S1).
    StartTime {
        /// When.
        at: Timestamp,
    },
    /// The answer of the inventory or catalog, without which the campaign can't start (S2).
    Inventory {
        /// What is wrong with it; `None`: it is being asked.
        why: Option<String>,
    },
    /// The campaign to be resumed (L2).
    Resume,
    /// The link to the devices (P6).
    Link {
        /// Down since then.
        since: Option<Timestamp>,
    },
    /// The device's presence: nothing was heard of it since the link came up (P1).
    Presence {
        /// The link is up since then.
        link_since: Option<Timestamp>,
    },
    /// The device to come online (P1).
    Online {
        /// Offline since then, as heard.
        since: Option<Timestamp>,
    },
    /// Another operation on the device, which is in force (O1).
    Held {
        /// Whose.
        stream: StreamId,
        /// The name of that campaign.
        name: Option<String>,
        /// Which.
        operation: OperationId,
    },
    /// The backoff of a target that was tried before (R4).
    Backoff {
        /// The next try's number, from 1.
        nth: u32,
        /// How often it may be.
        most: u32,
        /// When it is over.
        due_in_ms: Option<u64>,
    },
    /// A free slot (P2).
    Slot {
        /// Operations in progress.
        in_progress: u32,
        /// At most so many.
        limit: u32,
    },
    /// Nothing else: it is pushed next, or decided just now.
    Turn,
    /// The device's first word on the request (P4).
    Acknowledgement {
        /// The operation.
        operation: Option<OperationId>,
        /// How often the request was written again so far.
        nth: u32,
        /// How often it may be.
        most: u32,
        /// Then it is written again, or the operation ends.
        due_in_ms: Option<u64>,
    },
    /// The device to advance (C3) and to end the operation (C4).
    Advance {
        /// The operation.
        operation: Option<OperationId>,
        /// Where the device was when it was last heard.
        heard: Option<DeviceStatus>,
        /// The first of the two limits runs out.
        due_in_ms: Option<u64>,
    },
    /// The device's word on the cancel of its operation (X2).
    CancelAnswer {
        /// The operation.
        operation: Option<OperationId>,
        /// Then the operation is abandoned.
        due_in_ms: Option<u64>,
    },
    /// The device's word on an abandoned operation: it may still be installing (X1, O4). Holds up nobody.
    LateWord {
        /// The operation.
        operation: OperationId,
    },
    /// Beside the others: the date of a manual update, which then fails unsent (M3).
    Expiry {
        /// The date.
        at: Timestamp,
    },
    /// A restart of the engine: the campaign stands still, and `health()` has it among those halted.
    Restart {
        /// Why.
        why: String,
    },
    /// The event log (P3).
    Log {
        /// Why it is away.
        why: String,
    },
}

/// What is live when a campaign is asked what a target waits for.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made by whoever asks, from what it has"
)]
pub struct Live<'a> {
    /// Presence and claims.
    pub fleet: &'a Fleet,
    /// The time.
    pub now: Now,
    /// The listening clock stands for so long yet, if the link is up.
    pub settling_ms: u64,
    /// What is wrong with the inventory, if that holds up the start.
    pub start_trouble: Option<&'a str>,
}

impl fmt::Display for Waiting {
    /// `waits now (2026-11-24T17:23:46.123Z, live, not recorded) for` and a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waits now ({}, live, not recorded) for", self.at)?;
        for wait in &self.waits {
            f.write_str("\n  ")?;
            wait.write(f, self.at)?;
        }
        Ok(())
    }
}

impl Wait {
    fn write(&self, f: &mut fmt::Formatter<'_>, now: Timestamp) -> fmt::Result {
        match self {
            Self::StartByHand => f.write_str("a person who starts the campaign (S1)"),
            Self::StartTime { at } => {
                let left = between(now, *at);
                write!(f, "the campaign's start at {at}, in {left} (S1)")
            }
            Self::Inventory { why } => {
                f.write_str("the devices of the Channel (S2)")?;
                match why {
                    Some(why) => write!(f, ", which can't be told: {why}"),
                    None => Ok(()),
                }
            }
            Self::Resume => f.write_str("the campaign to be resumed (L2)"),
            Self::Link { since } => {
                f.write_str("the link to the devices, down")?;
                since_when(f, *since, now)?;
                f.write_str(" (P6)")
            }
            Self::Slot { in_progress, limit } => {
                write!(
                    f,
                    "a free slot: {in_progress} of {limit} are in progress (P2)"
                )
            }
            Self::Turn => f.write_str("its turn, which is next (P1)"),
            Self::Restart { why } => write!(f, "a restart of the engine: {why}"),
            Self::Log { why } => write!(f, "the event log: {why}"),
            _ => self.write_of_device(f, now),
        }
    }

    /// What the device is to do, or another operation on it.
    fn write_of_device(&self, f: &mut fmt::Formatter<'_>, now: Timestamp) -> fmt::Result {
        match self {
            Self::Presence { link_since } => {
                f.write_str("the device: not heard since the link came up")?;
                if let Some(at) = link_since {
                    write!(f, " at {at}, {} ago", between(*at, now))?;
                }
                f.write_str(" (P1)")
            }
            Self::Online { since } => {
                f.write_str("the device: offline")?;
                since_when(f, *since, now)?;
                f.write_str(" (P1)")
            }
            Self::Held {
                stream,
                name,
                operation,
            } => {
                write!(f, "operation {operation} of ")?;
                match name {
                    Some(name) => write!(f, "{name:?} ({stream})")?,
                    None => write!(f, "{stream}")?,
                }
                f.write_str(", in force on the device (O1)")
            }
            Self::Backoff {
                nth,
                most,
                due_in_ms,
            } => {
                let due = due(*due_in_ms);
                write!(f, "the next try, {nth} of {most}, {due} (R4)")
            }
            Self::Acknowledgement {
                nth,
                most,
                due_in_ms,
                ..
            } => {
                let then = if nth < most {
                    "written again"
                } else {
                    "given up"
                };
                let due = due(*due_in_ms);
                write!(
                    f,
                    "the device's first word: request {then} {due}, {nth} of {most} retries made (P4)"
                )
            }
            Self::Advance {
                heard, due_in_ms, ..
            } => {
                let after = heard.map(|heard| format!(" after {}", status(heard)));
                let (after, due) = (after.unwrap_or_default(), due(*due_in_ms));
                write!(f, "the device to go on{after}: given up {due} (C3, C4)")
            }
            Self::CancelAnswer { due_in_ms, .. } => {
                let due = due(*due_in_ms);
                write!(f, "the device's answer to the cancel: given up {due} (X2)")
            }
            Self::LateWord { operation } => write!(
                f,
                "the device's word on {operation}, abandoned: it may still be installing, and holds up nobody (O4)"
            ),
            Self::Expiry { at } => {
                let left = between(now, *at);
                write!(
                    f,
                    "at most until {at}, for {left}: then it fails, unsent (M3)"
                )
            }
            // Of the campaign or the engine: see above.
            _ => Ok(()),
        }
    }
}

fn since_when(f: &mut fmt::Formatter<'_>, since: Option<Timestamp>, now: Timestamp) -> fmt::Result {
    match since {
        Some(since) => write!(f, " since {since}, for {}", between(since, now)),
        None => Ok(()),
    }
}

/// While the link is down the listening clock stands (C1).
fn due(due_in_ms: Option<u64>) -> String {
    match due_in_ms {
        Some(ms) => format!("in {}", span(ms)),
        None => "once the link is back for long enough".into(),
    }
}

fn between(from: Timestamp, to: Timestamp) -> String {
    span(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0))
}
