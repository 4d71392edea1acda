//! A campaign, or a manual update, as one can look at it. Nothing is kept that can be counted.

use super::super::{
    said::{self, Operation},
    step::{Ask, CAMPAIGNS, Manual, Shipment, Spec, When},
};

/// A campaign's or manual update's stream.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Stream {
    pub(crate) number: usize,
    pub(crate) epoch: u64,
    /// How many events it has.
    pub(crate) version: u64,
    pub(crate) spec: Option<Spec>,
    /// M: what was asked for, in the stream of a manual update.
    pub(crate) manual: Option<Manual>,
    pub(crate) upload_deleted: bool,
    pub(crate) deleted: bool,
    pub(crate) status: &'static str,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) start_requested: bool,
    /// L3: all under way is being cancelled.
    pub(crate) all_cancelled: bool,
    pub(crate) started: bool,
    pub(crate) targets: Vec<Target>,
    pub(crate) created_at: i64,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
    pub(crate) last_at: i64,
    /// K1: ids of the commands that were carried out.
    pub(crate) commands: Vec<u64>,
    /// The last command given, and its id.
    pub(crate) last_ask: Option<(u64, Ask)>,
    pub(crate) asked: u64,
    pub(crate) starts: u32,
}

/// Status, and of a failure code and reason.
pub(crate) type TerminalWord = (&'static str, Option<&'static str>, Option<&'static str>);

#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Target {
    pub(crate) device: usize,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<&'static str>,
    /// How a failure ended: `NotSent`, `Answered`, `Abandoned`, `Removed`.
    pub(crate) end: Option<&'static str>,
    /// Its operations, the last one last.
    pub(crate) operations: Vec<Operation>,
    pub(crate) claim: u64,
    pub(crate) decided_on: Option<&'static str>,
    /// The place of its last start among all; 0: never.
    pub(crate) started: u32,
    pub(crate) cancel_requested: bool,
    /// D1: its device was removed.
    pub(crate) removed: bool,
    /// The words recorded of the last operation, none terminal: status, code, reason (R2).
    pub(crate) words: Vec<(&'static str, Option<&'static str>, Option<&'static str>)>,
    /// The terminal status recorded of the last operation.
    pub(crate) result: Option<TerminalWord>,
    pub(crate) late: bool,
    pub(crate) contradicted: bool,
    pub(crate) retries: u32,
    pub(crate) deferrals: u32,
    /// The highest (stage, percent) that the last operation has reached (C3).
    pub(crate) reached: (usize, u8),
    pub(crate) timers: Timers,
}

/// When each runs out, on the listening clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timers {
    pub(crate) request: Option<u64>,
    pub(crate) stage: Option<u64>,
    pub(crate) operation: Option<u64>,
    pub(crate) cancel: Option<u64>,
    pub(crate) backoff: Option<u64>,
}

impl Timers {
    fn next(&self) -> Option<u64> {
        let all = [
            self.request,
            self.stage,
            self.operation,
            self.cancel,
            self.backoff,
        ];
        all.into_iter().flatten().min()
    }
}

impl Target {
    pub(crate) fn new(device: usize) -> Self {
        Self {
            device,
            status: "idle",
            ..Self::default()
        }
    }

    pub(crate) fn last(&self) -> Option<Operation> {
        self.operations.last().copied()
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.status == "failed" || self.status == "successful"
    }

    /// F1: those cancelled by a person, and removed devices, don't count.
    pub(crate) fn counts(&self) -> bool {
        let reason = self.reason.unwrap_or_default();
        self.status == "failed" && !["canceled", "device_removed"].contains(&reason)
    }

    /// Invariant 1: it can't be heard, and may still be installing.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.end == Some("Abandoned") && !self.late && !self.removed
    }

    /// W7, D1.
    pub(crate) fn claim_phase(&self) -> &'static str {
        match () {
            () if self.status == "in_progress" => "held",
            () if self.is_abandoned() => "open",
            () => "free",
        }
    }
}

impl Stream {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            number,
            status: "idle",
            ..Self::default()
        }
    }

    pub(crate) fn is_manual(&self) -> bool {
        self.number >= CAMPAIGNS
    }

    pub(crate) fn count(&self, which: impl Fn(&Target) -> bool) -> usize {
        self.targets.iter().filter(|target| which(target)).count()
    }

    pub(crate) fn in_progress(&self) -> usize {
        self.count(|target| target.status == "in_progress")
    }

    pub(crate) fn target_of(&self, device: usize) -> Option<usize> {
        self.targets
            .iter()
            .position(|target| target.device == device)
    }

    /// How it is paced and timed. M3: a manual update has a target, no limit, no threshold, no retry.
    pub(crate) fn spec(&self) -> Spec {
        let manual = self.manual.as_ref().map(|manual| manual.timing.clone());
        self.spec.clone().or(manual).expect("it was created")
    }

    /// X2, L3, D1.
    pub(crate) fn is_cancelling(&self, target: usize) -> bool {
        let at = &self.targets[target];
        at.status == "in_progress" && (self.all_cancelled || at.cancel_requested || at.removed)
    }

    pub(crate) fn exists(&self) -> bool {
        (self.spec.is_some() || self.manual.is_some()) && !self.deleted
    }

    fn waits_to_start(&self) -> bool {
        self.spec.is_some() && !self.deleted && ["idle", "scheduled"].contains(&self.status)
    }

    /// S1: the time that it waits for.
    pub(crate) fn start_at(&self) -> Option<i64> {
        match self.spec.as_ref()?.start {
            When::At(at) if self.waits_to_start() => Some(at),
            _ => None,
        }
    }

    /// S1: whether it is time.
    pub(crate) fn is_time(&self, now: i64) -> bool {
        self.start_requested
            || match self.spec().start {
                When::Now => true,
                When::At(at) => at <= now,
                When::ByHand => false,
            }
    }

    /// S2, S4: whether the Channel is to be resolved, to start, or to see whether it is empty.
    pub(crate) fn wants_snapshot(&self, now: i64) -> bool {
        let probes = || matches!(self.spec().start, When::At(_)) && self.status == "idle";
        self.waits_to_start() && (self.is_time(now) || probes())
    }

    /// When the next timer runs out. Once it has finished, nobody is tried again.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let all = self.targets.iter().map(|target| target.timers.clone());
        let counting = |timers: Timers| match self.status {
            "finished" => Timers {
                backoff: None,
                ..timers
            },
            _ => timers,
        };
        all.filter_map(|timers| counting(timers).next()).min()
    }

    /// M2: the file that is not needed any more.
    pub(crate) fn upload_to_delete(&self) -> Option<&'static str> {
        let file = self.manual.as_ref()?.file()?;
        let ended = self.status == "finished" && self.in_progress() == 0;
        (ended && !self.upload_deleted).then_some(file)
    }

    /// L6: only a late report can add to it.
    pub(crate) fn is_over(&self) -> bool {
        let finished = self.status == "finished" && self.in_progress() == 0;
        (finished && self.upload_to_delete().is_none()) || self.deleted
    }

    /// W7, X1, X2: what the device's register must hold, as far as this stream is concerned.
    pub(crate) fn register(&self, target: usize, shipments: &[Shipment]) -> Option<String> {
        let at = &self.targets[target];
        let operation = at.last()?;
        match at.claim_phase() {
            "held" if !self.is_cancelling(target) => Some(match &self.manual {
                None => {
                    let image = Some((shipments[self.number].version, "m"));
                    let allow = [self.spec().force, false, false];
                    said::update(operation, at.claim, image, allow, at.decided_on)
                }
                // M1: it is sent whatever the device runs.
                Some(manual) => {
                    let allow = [true, manual.acknowledged, true];
                    said::update(operation, at.claim, manual.image(), allow, None)
                }
            }),
            "free" => None,
            _ => Some(said::cancel(operation, at.claim)),
        }
    }
}
