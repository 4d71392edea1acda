//! The timers of operations and backoffs, on the listening clock (rules C).
//!
//! They are not recorded: after a restart each starts again in full (C2).

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use sortie_protocol::Status as DeviceStatus;

use super::{Target, TargetIndex, spec::PushSpec};
use crate::Listened;

/// What runs out for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// P4: no report on the operation yet.
    Request,
    /// C3: no advance for too long.
    Stage,
    /// C4: too long altogether.
    Operation,
    /// X2: no word after a person's cancel.
    Cancel,
    /// R4: the backoff of an idle target is over.
    Backoff,
}

/// The timers that run for one target.
#[derive(Debug, Clone, Copy)]
enum Running {
    Request {
        due: Listened,
    },
    Stages {
        stage: Option<Listened>,
        operation: Listened,
        furthest: (u8, u8),
    },
    Cancel {
        due: Listened,
    },
    Backoff {
        due: Listened,
    },
}

/// All timers of a campaign. One entry a target, due at the earliest of what runs for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Timers {
    running: HashMap<TargetIndex, Running>,
    due: BTreeSet<(Listened, TargetIndex)>,
}

impl Running {
    fn next(self) -> (Listened, Due) {
        match self {
            Self::Request { due } => (due, Due::Request),
            Self::Cancel { due } => (due, Due::Cancel),
            Self::Backoff { due } => (due, Due::Backoff),
            Self::Stages {
                stage: Some(stage),
                operation,
                ..
            } if stage < operation => (stage, Due::Stage),
            Self::Stages { operation, .. } => (operation, Due::Operation),
        }
    }
}

impl Timers {
    /// Starts the timers that a target's state calls for, in full (C2).
    pub(super) fn start(
        &mut self,
        index: TargetIndex,
        target: &Target,
        cancelling: bool,
        mechanism: &PushSpec,
        now: Listened,
    ) {
        use super::TargetStatus::{Idle, InProgress};
        match target.status {
            InProgress if cancelling => self.cancel(index, mechanism, now),
            InProgress if target.heard.is_some() => self.heard(index, mechanism, now),
            InProgress => self.request(index, mechanism, now),
            Idle if target.deferrals > 0 => {
                let due = now.after(backoff(target.deferrals));
                self.set(index, Running::Backoff { due });
            }
            _ => self.stop(index),
        }
    }

    /// P4: waits for the first report.
    pub(super) fn request(&mut self, index: TargetIndex, mechanism: &PushSpec, now: Listened) {
        let due = now.after(Duration::from_millis(mechanism.request_timeout_ms));
        self.set(index, Running::Request { due });
    }

    /// X2: waits for the word after a person's cancel; nothing else runs.
    pub(super) fn cancel(&mut self, index: TargetIndex, mechanism: &PushSpec, now: Listened) {
        let due = now.after(Duration::from_millis(mechanism.cancel_timeout_ms));
        self.set(index, Running::Cancel { due });
    }

    fn heard(&mut self, index: TargetIndex, mechanism: &PushSpec, now: Listened) {
        let stage = mechanism
            .stage_timeout_ms
            .map(|ms| now.after(Duration::from_millis(ms)));
        let operation = now.after(Duration::from_millis(mechanism.operation_timeout_ms));
        self.set(
            index,
            Running::Stages {
                stage,
                operation,
                furthest: (0, 0),
            },
        );
    }

    /// C3: the device said where it is. The first word ends the wait of P4 and starts C3 and C4; an
    /// advance beyond the furthest point so far starts C3 again.
    pub(super) fn word(
        &mut self,
        index: TargetIndex,
        status: DeviceStatus,
        percent: u8,
        mechanism: &PushSpec,
        now: Listened,
    ) {
        if matches!(self.running.get(&index), Some(Running::Request { .. })) {
            self.heard(index, mechanism, now);
        }
        let Some(Running::Stages {
            operation,
            furthest,
            ..
        }) = self.running.get(&index).copied()
        else {
            return;
        };
        // `error` is no advance.
        let Some(stage) = status.stage() else { return };
        let reached = (stage, percent);
        if reached > furthest {
            let stage = mechanism
                .stage_timeout_ms
                .map(|ms| now.after(Duration::from_millis(ms)));
            self.set(
                index,
                Running::Stages {
                    stage,
                    operation,
                    furthest: reached,
                },
            );
        }
    }

    /// Nothing runs for the target any more.
    pub(super) fn stop(&mut self, index: TargetIndex) {
        if let Some(running) = self.running.remove(&index) {
            self.due.remove(&(running.next().0, index));
        }
    }

    /// Whether P4's timer runs.
    pub(super) fn waits_for_report(&self, index: TargetIndex) -> bool {
        matches!(self.running.get(&index), Some(Running::Request { .. }))
    }

    /// Whether R4's backoff still holds the target back.
    pub(super) fn is_backing_off(&self, index: TargetIndex) -> bool {
        matches!(self.running.get(&index), Some(Running::Backoff { .. }))
    }

    /// When the next timer runs out.
    pub(super) fn next_due(&self) -> Option<Listened> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The next timer that has run out. It stays until it is started again or stopped.
    pub(super) fn expired(&self, now: Listened) -> Option<(TargetIndex, Due)> {
        let (due, index) = self.due.first()?;
        let running = self.running.get(index)?;
        (*due <= now).then(|| (*index, running.next().1))
    }

    fn set(&mut self, index: TargetIndex, running: Running) {
        self.stop(index);
        self.due.insert((running.next().0, index));
        self.running.insert(index, running);
    }
}

/// R4: 1 min, doubling, at most 30 min.
pub(super) fn backoff(deferrals: u32) -> Duration {
    Duration::from_mins(1 << deferrals.saturating_sub(1).min(5)).min(Duration::from_mins(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r4_the_backoff_doubles_from_one_minute_to_thirty() {
        let minutes: Vec<_> = (1..=8).map(|n| backoff(n).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
