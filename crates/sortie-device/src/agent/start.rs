//! Taking up the work after a boot.

use alloc::string::String;

use sortie_protocol::{Reason, Sha256, StatusCode, Uuid};

use super::{
    Agent,
    operation::{MARKS_MAX, Phase},
    record::{Current, Failure, Outcome, RESULTS_MAX},
};
use crate::{
    agent::Effect,
    ports::{Boot, Millis, TrialEnd},
};

impl Agent {
    /// Compares the journal with what the flash says happened since.
    pub(super) fn take_up(&mut self, boot: &Boot, now: Millis) {
        if let Some(operation) = boot.trial {
            self.make_current(operation);
            self.enter(
                Phase::Checking {
                    until: now.after(self.settings.health_timeout),
                },
                now,
            );
            self.next.push(Effect::CheckHealth);
            return;
        }
        if let Some(operation) = boot.pending {
            self.make_current(operation);
            self.enter(Phase::Deployed, now);
            return;
        }
        let ended = boot.last.as_ref().map(|(operation, end)| match end {
            TrialEnd::Confirmed => Outcome::success(*operation),
            TrialEnd::RolledBack(reason) => Outcome::failure(*operation, &rolled_back(reason)),
        });
        if let Some(outcome) = &ended {
            self.recover(outcome);
            self.next.push(Effect::Told(outcome.operation));
        }
        let Some(current) = &self.record.current else {
            return;
        };
        if let Some(outcome) = ended.filter(|outcome| outcome.operation == current.operation) {
            return self.end(outcome);
        }
        if current.marks >= MARKS_MAX {
            let failure = Failure::new(StatusCode::IOError, "the slot can't be marked pending");
            return self.end(Outcome::failure(current.operation, &failure));
        }
        let held = current.durable;
        self.resume(held, now);
    }

    /// The journal is gone, and the flash still knows this result.
    fn recover(&mut self, outcome: &Outcome) {
        let operation = outcome.operation;
        let known = self.is_current(operation) || self.record.outcome(operation).is_some();
        if !known && self.record.finished.len() < RESULTS_MAX {
            // In front of those that came since, if any.
            self.record.finished.insert(0, outcome.clone());
            self.unsaved = true;
        }
    }

    /// The flash says that this operation is under way. Its journal entry was stored before the
    /// slot was marked, unless the journal is another's.
    fn make_current(&mut self, operation: Uuid) {
        let current = self.record.current.as_ref();
        if current.is_some_and(|current| current.operation == operation) {
            return;
        }
        if let Some(never_begun) = current.map(|current| current.operation) {
            self.end(Outcome::failure(never_begun, &canceled()));
        }
        self.record.current = Some(Current {
            operation,
            route: None,
            url: String::new(),
            size: 0,
            sha256: Sha256([0; 32]),
            durable: 0,
            etag: None,
            resumed: false,
            verified: true,
            marks: 1,
        });
        self.unsaved = true;
    }
}

fn rolled_back(reason: &Reason) -> Failure {
    Failure::because(
        StatusCode::SystemRollback,
        reason.clone(),
        "the former image runs again",
    )
}

pub(super) fn canceled() -> Failure {
    Failure::new(StatusCode::Canceled, "")
}
