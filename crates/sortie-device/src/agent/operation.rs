//! The operation under way, but for its download: verify, mark, reboot, trial (A6).

use alloc::{
    format,
    string::{String, ToString},
};

use sortie_protocol::{Progress, Reason, Report, Sha256, Status, StatusCode};

use super::{
    Agent, Effect,
    record::{Current, Failure, Outcome},
};
use crate::ports::{FlashError, Millis, Pending};

/// Marking a slot is tried over this many boots.
pub(super) const MARKS_MAX: u8 = 3;
/// Progress is told at most this often.
const PROGRESS_EVERY: u64 = 1_000;

/// Where the operation under way is. Volatile: after a boot it follows from flash and journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none.
    #[default]
    Idle,
    /// Taken, nothing done yet.
    Accepted,
    /// A fetch is under way.
    Fetching,
    /// The next fetch is at `until`.
    Waiting { until: Millis },
    /// The slot is being read.
    Verifying,
    /// The slot's digest is right.
    Verified,
    /// The slot is being marked: from here on past the point of no return (A6).
    Marking,
    /// It is marked.
    Deployed,
    /// The reboot is being told.
    Rebooting,
    /// The new image runs, on trial; the health check has time `until` then.
    Checking { until: Millis },
    /// It is healthy and being confirmed.
    Confirming,
    /// It is being rejected.
    Rejecting,
    /// The reboot is ordered.
    Leaving,
}

impl Phase {
    pub(super) fn is_past_return(self) -> bool {
        match self {
            Self::Idle
            | Self::Accepted
            | Self::Fetching
            | Self::Waiting { .. }
            | Self::Verifying
            | Self::Verified => false,
            Self::Marking
            | Self::Deployed
            | Self::Rebooting
            | Self::Checking { .. }
            | Self::Confirming
            | Self::Rejecting
            | Self::Leaving => true,
        }
    }

    fn status(self) -> Status {
        match self {
            Self::Idle | Self::Accepted => Status::Acknowledged,
            Self::Fetching | Self::Waiting { .. } => Status::Downloading,
            Self::Verifying | Self::Verified | Self::Marking => Status::Deploying,
            Self::Deployed => Status::Deployed,
            Self::Rebooting
            | Self::Checking { .. }
            | Self::Confirming
            | Self::Rejecting
            | Self::Leaving => Status::Rebooting,
        }
    }
}

/// What is known of the operation under way until the next boot.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) phase: Phase,
    /// Counts the changes of the report, to tell whether an acknowledged one is still the current.
    pub(super) edition: u32,
    /// The current report is acknowledged.
    pub(super) told: bool,
    /// Since when the report is what it is.
    since: Millis,
    /// The slot holds the image up to here.
    pub(super) held: u64,
    /// All is to be fetched again and compared with what the slot holds.
    pub(super) whole: bool,
    /// The last fetch failed, and no byte came since.
    pub(super) trouble: Option<String>,
    /// Fetches that failed one after the other.
    pub(super) failures: u32,
    /// When the last byte came, or the work was taken up.
    pub(super) last_byte: Millis,
    /// The percentage of the last sign of life, and when it was given.
    progress: (u8, Millis),
}

impl Agent {
    /// Changes the phase; another status is another report.
    pub(super) fn enter(&mut self, phase: Phase, now: Millis) {
        if self.work.phase == Phase::Idle {
            self.work.last_byte = now;
        }
        let before = (self.work.phase.status(), self.work.phase == Phase::Idle);
        self.work.phase = phase;
        if before != (phase.status(), false) {
            self.report_changed(now);
        }
    }

    pub(super) fn report_changed(&mut self, now: Millis) {
        self.work.edition = self.work.edition.wrapping_add(1);
        self.work.told = false;
        self.work.since = now;
        self.wire.report = true;
    }

    fn percent(&self) -> u8 {
        let size = self
            .record
            .current
            .as_ref()
            .map_or(0, |current| current.size);
        match self.work.phase {
            Phase::Fetching | Phase::Waiting { .. } if size > 0 => {
                // Not more than 100, since `held` is at most `size`.
                u8::try_from(u128::from(self.work.held) * 100 / u128::from(size)).unwrap_or(100)
            }
            _ => 0,
        }
    }

    pub(super) fn current_report(&self) -> Option<Report> {
        let current = self.record.current.as_ref()?;
        let mut report = Report {
            percent: self.percent(),
            generation: Some(self.record.generation),
            ..Report::new(current.operation, self.work.phase.status())
        };
        if let Some(trouble) = &self.work.trouble {
            report.status = Status::Error;
            report.code = Some(StatusCode::NetworkError);
            report.message.clone_from(trouble);
        }
        Some(report)
    }

    pub(super) fn current_progress(&mut self, now: Millis) -> Option<Progress> {
        let (told, at) = self.work.progress;
        let percent = self.percent();
        let downloading = self.work.phase == Phase::Fetching && self.work.trouble.is_none();
        if !downloading || percent == told || now.0 < at.0.saturating_add(PROGRESS_EVERY) {
            return None;
        }
        self.work.progress = (percent, now);
        let operation = self.record.current.as_ref()?.operation;
        Some(Progress {
            operation,
            status: Status::Downloading,
            percent,
        })
    }

    pub(super) fn fail(&mut self, failure: &Failure) {
        if let Some(current) = &self.record.current {
            self.end(Outcome::failure(current.operation, failure));
        }
    }

    pub(super) fn flash_failed(&mut self, why: &str) {
        if !self.work.phase.is_past_return() {
            self.fail(&Failure::new(StatusCode::IOError, why));
        }
    }

    pub(super) fn digest(&mut self, result: Result<Sha256, FlashError>, now: Millis) {
        let (Phase::Verifying, Some(current)) = (self.work.phase, &mut self.record.current) else {
            return;
        };
        match result {
            Ok(digest) if digest == current.sha256 => {
                self.unsaved |= !current.verified;
                current.verified = true;
                self.enter(Phase::Verified, now);
            }
            Ok(_) if current.resumed && !current.verified => {
                // The parts may be of different artifacts: once more, from one answer.
                current.resumed = false;
                self.unsaved = true;
                self.work.whole = true;
                self.resume(self.work.held, now);
            }
            Ok(digest) => {
                let mut found = digest.to_string();
                found.truncate(16);
                self.fail(&Failure::because(
                    StatusCode::InvalidBaseImage,
                    Reason::DigestMismatch,
                    format!("flash holds {found}..."),
                ));
            }
            Err(error) => self.flash_failed(&error.to_string()),
        }
    }

    pub(super) fn marked(&mut self, done: bool, now: Millis) {
        if self.work.phase != Phase::Marking {
            return;
        }
        if done {
            self.enter(Phase::Deployed, now);
        } else {
            // Whether it is marked is not known: only the next boot can say it truthfully.
            self.reboot();
        }
    }

    pub(super) fn health(&mut self, result: &Result<(), String>) {
        if !matches!(self.work.phase, Phase::Checking { .. }) {
            return;
        }
        if result.is_ok() {
            self.work.phase = Phase::Confirming;
            self.next.push(Effect::Confirm);
        } else {
            self.reject();
        }
    }

    fn reject(&mut self) {
        self.work.phase = Phase::Rejecting;
        self.next.push(Effect::Reject(Reason::HealthCheckFailed));
    }

    pub(super) fn confirmed(&mut self, done: bool) {
        let (Phase::Confirming, Some(current)) = (self.work.phase, &self.record.current) else {
            return;
        };
        if done {
            let operation = current.operation;
            self.installed = Some(operation);
            self.end(Outcome::success(operation));
            self.next.push(Effect::Told(operation));
        } else {
            // Whether it is confirmed is not known: the next boot keeps it or rolls back.
            self.reboot();
        }
    }

    pub(super) fn rejected(&mut self) {
        if self.work.phase == Phase::Rejecting {
            self.reboot();
        }
    }

    fn reboot(&mut self) {
        self.work.phase = Phase::Leaving;
        self.next.push(Effect::Reboot);
    }

    /// Does what only waits for time.
    pub(super) fn due(&mut self, now: Millis) {
        match self.work.phase {
            Phase::Fetching | Phase::Waiting { .. }
                if now >= self.work.last_byte.after(self.settings.give_up) =>
            {
                let why = self.work.trouble.clone();
                let why = why.unwrap_or_else(|| "no byte came".into());
                self.fail(&Failure::new(StatusCode::NetworkError, why));
            }
            Phase::Waiting { until } if now >= until => self.resume(self.work.held, now),
            Phase::Checking { until } if now >= until => self.reject(),
            _ => {}
        }
        self.wire_timers(now);
    }

    /// Begins the next stage once the present one is told, or need not be.
    pub(super) fn advance(&mut self, now: Millis) {
        while self.is_settled(now) {
            match (self.work.phase, &mut self.record.current) {
                (Phase::Accepted, Some(_)) => self.resume(0, now),
                (Phase::Verified, Some(current)) => {
                    current.marks = current.marks.saturating_add(1);
                    let pending = pending(current);
                    self.unsaved = true;
                    self.next.push(Effect::MarkPending(pending));
                    self.work.phase = Phase::Marking;
                }
                (Phase::Deployed, _) => self.enter(Phase::Rebooting, now),
                (Phase::Rebooting, _) => self.reboot(),
                _ => return,
            }
        }
    }

    fn is_settled(&self, now: Millis) -> bool {
        self.wire.session.is_none() || self.work.told || now >= self.settled_by()
    }

    fn settled_by(&self) -> Millis {
        self.work.since.after(self.settings.report_grace)
    }

    pub(super) fn work_due(&self) -> Option<Millis> {
        let give_up = self.work.last_byte.after(self.settings.give_up);
        match self.work.phase {
            Phase::Fetching => Some(give_up),
            Phase::Waiting { until } => Some(until.min(give_up)),
            Phase::Checking { until } => Some(until),
            Phase::Accepted | Phase::Verified | Phase::Deployed | Phase::Rebooting => {
                Some(self.settled_by())
            }
            Phase::Idle
            | Phase::Verifying
            | Phase::Marking
            | Phase::Confirming
            | Phase::Rejecting
            | Phase::Leaving => None,
        }
    }
}

fn pending(current: &Current) -> Pending {
    Pending {
        operation: current.operation,
        size: current.size,
        sha256: current.sha256,
    }
}
