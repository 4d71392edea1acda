//! What a device promises, checked on all that it says and does.

use std::collections::{BTreeMap, BTreeSet};

use sortie_flash::{Stage, State};
use sortie_protocol::{Report, Status, StatusCode, Uuid};

use crate::engine::Artifact;

#[derive(Default)]
pub(crate) struct Oracle {
    /// The first terminal report of each operation.
    pub(crate) results: BTreeMap<Uuid, Report>,
    /// Boots on trial.
    pub(crate) trials: BTreeMap<Uuid, u32>,
    /// Confirmed in flash.
    confirmed: BTreeSet<Uuid>,
    /// What was installed when the device was re-imaged: known as long as it runs.
    former: Option<Uuid>,
    /// Versions that ran.
    ran: BTreeSet<String>,
    /// Operations that were fetched, in the order in which they were first.
    begun: Vec<Uuid>,
    /// Operations cancelled before they were begun.
    cancelled: BTreeSet<Uuid>,
    /// The last operation that was told to be in progress.
    in_progress: Option<Uuid>,
    /// An operation whose slot was verified, and the slot's wear then.
    verified: Option<(Uuid, Vec<u32>)>,
    /// Successes, failures and trials, over all lives of the device.
    pub(crate) counts: [u32; 3],
}

impl Oracle {
    /// A re-imaged device is another one, but for what its slots remember.
    pub(crate) fn re_imaged(&mut self, state: &State) {
        let installed = Uuid::from_bytes(state.image.tag);
        let candidate = state.candidate.filter(|c| c.stage != Stage::Pending);
        // The trial that this boot ends takes the place of the one before.
        let tried = candidate.map(|candidate| candidate.image.tag);
        let tried = tried.or(state.outcome.map(|outcome| outcome.tag));
        let trials = tried.map(|tag| (Uuid::from_bytes(tag), 0));
        let trials = trials.into_iter().collect();
        let ran = std::mem::take(&mut self.ran);
        *self = Self {
            former: Some(installed),
            ran,
            trials,
            counts: self.counts,
            ..Self::default()
        };
    }

    pub(crate) fn booted(&mut self, running: Artifact, trial: Option<Uuid>) {
        self.ran.insert(running.version());
        if let Some(operation) = trial {
            let trials = self.trials.entry(operation).or_default();
            *trials += 1;
            self.counts[2] += 1;
            assert_eq!(*trials, 1, "{operation} boots on trial again");
            assert_eq!(running.0, operation, "another image is on trial");
            assert!(running.has_right_digest(), "a wrong image is on trial");
            assert!(
                !self.results.contains_key(&operation),
                "tried after its result"
            );
        }
    }

    pub(crate) fn boot_failed(&mut self, state: &State) {
        let candidate = state.candidate.filter(|c| c.stage != Stage::Pending);
        if let Some(candidate) = candidate {
            let operation = Uuid::from_bytes(candidate.image.tag);
            self.trials.entry(operation).or_insert(1);
        }
    }

    pub(crate) fn confirmed(&mut self, operation: Uuid) {
        if self.former == Some(operation) {
            return;
        }
        self.confirmed.insert(operation);
        let result = self.results.get(&operation);
        let failed = result.is_some_and(|result| result.status == Status::Failure);
        assert!(!failed, "{operation} is confirmed after {result:?}");
        assert!(
            Artifact(operation).is_healthy(),
            "an ill image is confirmed"
        );
    }

    /// A Cancel was taken in, durably.
    pub(crate) fn cancel_taken(&mut self, operation: Uuid) {
        if !self.begun.contains(&operation) && !self.trials.contains_key(&operation) {
            self.cancelled.insert(operation);
        }
    }

    pub(crate) fn fetches(&mut self, operation: Uuid) {
        assert!(
            !self.cancelled.contains(&operation),
            "{operation} begun after its cancel"
        );
        assert!(
            !self.results.contains_key(&operation),
            "{operation} begun after its result"
        );
        if !self.begun.contains(&operation) {
            self.begun.push(operation);
        }
        assert_eq!(
            self.begun.last(),
            Some(&operation),
            "two operations at once"
        );
    }

    pub(crate) fn verified(&mut self, operation: Uuid, wear: Vec<u32>) {
        self.verified.get_or_insert((operation, wear));
    }

    /// The slot of a verified operation is not erased as long as that is under way.
    pub(crate) fn wear(&mut self, current: Option<Uuid>, wear: &[u32]) {
        if let Some((operation, then)) = &self.verified {
            if current == Some(*operation) {
                assert_eq!(then, wear, "a verified slot is erased");
            } else {
                self.verified = None;
            }
        }
    }

    /// A report left the device, whether or not it arrived.
    pub(crate) fn told(&mut self, report: &Report) {
        let operation = report.operation;
        if let Some(first) = self.results.get(&operation) {
            let same = Report {
                generation: first.generation,
                ..report.clone()
            };
            assert_eq!(&same, first, "another word on {operation}");
            return;
        }
        if !report.status.is_terminal() {
            let others_ended = self.in_progress == Some(operation)
                || self
                    .in_progress
                    .is_none_or(|other| self.is_over(other, operation));
            assert!(others_ended, "{operation} beside {:?}", self.in_progress);
            self.in_progress = Some(operation);
            return;
        }
        self.counts[usize::from(report.status == Status::Failure)] += 1;
        if report.status == Status::Success {
            let already = self.ran.contains(&Artifact(operation).version());
            let true_of_flash =
                self.confirmed.contains(&operation) || self.former == Some(operation) || already;
            assert!(true_of_flash, "{operation} is no success");
        } else {
            assert!(
                !self.confirmed.contains(&operation),
                "{report:?} and confirmed"
            );
            let rollback = report.code == Some(StatusCode::SystemRollback);
            match self.trials.get(&operation) {
                // Tried before it was re-imaged, and known or forgotten since.
                Some(0) => {}
                tried => assert_eq!(tried.is_some(), rollback, "{report:?}"),
            }
        }
        self.results.insert(operation, report.clone());
    }

    /// An operation told to be in progress is over once its result is told, or once a newer one
    /// is told, which is not begun yet or was begun later.
    fn is_over(&self, other: Uuid, newer: Uuid) -> bool {
        let place = |operation| self.begun.iter().position(|begun| *begun == operation);
        let later =
            place(newer).is_none_or(|newer| place(other).is_some_and(|other| other < newer));
        self.results.contains_key(&other) || later
    }
}
