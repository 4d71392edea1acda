//! What one input to one stream leads to: rules C, R, X, F, L, D, and S's start.

use super::{
    super::{
        said::{Operation, Said},
        step::{Manual, Word},
    },
    stream::{Stream, Target, TerminalWord, Timers},
};

/// One decision of one stream: its events, and the registers to write.
pub(crate) struct Deciding<'a> {
    pub(crate) stream: &'a mut Stream,
    pub(crate) listened: u64,
    pub(crate) at: i64,
    pub(crate) said: Said,
}

/// C3's order.
const STAGES: [&str; 5] = [
    "Acknowledged",
    "Downloading",
    "Deploying",
    "Deployed",
    "Rebooting",
];

fn stage(status: &str) -> Option<usize> {
    let place = STAGES.iter().position(|stage| *stage == status);
    place.map(|place| place + 1)
}

/// R4: a minute, doubling, at most half an hour.
fn backoff(deferrals: u32) -> u64 {
    let mut minutes = 1;
    for _ in 1..deferrals {
        minutes = (minutes * 2).min(30);
    }
    minutes * 60_000
}

/// R3, X4.
fn reason_of(code: Option<&str>) -> &'static str {
    match code {
        Some("InvalidRequest") => "invalid_request",
        Some("NetworkError") => "network_error",
        Some("IOError") => "io_error",
        Some("InternalError") => "internal_error",
        Some("InvalidBaseImage") => "invalid_base_image",
        Some("SystemRollback") => "system_rollback",
        Some("Canceled") => "device_canceled",
        _ => "device_failure",
    }
}

/// What two terminal words are compared by (R5).
fn result(word: &Word) -> TerminalWord {
    let failure = |more: Option<&'static str>| more.filter(|_| word.status == "Failure");
    (word.status, failure(word.code), failure(word.reason))
}

fn in_words(word: &Word) -> String {
    let more = [word.code, word.reason].into_iter().flatten();
    more.fold(format!(" {}", word.status), |text, more| {
        format!("{text} {more}")
    })
}

impl Deciding<'_> {
    pub(crate) fn event(&mut self, line: impl Into<String>) {
        self.said.events.push(line.into());
        self.stream.version += 1;
        self.stream.last_at = self.at;
    }

    pub(crate) fn target(&mut self, target: usize) -> &mut Target {
        &mut self.stream.targets[target]
    }

    pub(crate) fn finish(&mut self, outcome: &'static str) {
        self.stream.status = "finished";
        self.stream.outcome = Some(outcome);
        self.stream.finished_at = Some(self.at);
    }

    /// F1, L2, L4, in this order.
    pub(crate) fn settle(&mut self) {
        let stream = &self.stream;
        if !["in_progress", "pausing", "paused"].contains(&stream.status) {
            return;
        }
        if stream.is_manual() {
            // It has ended with its only target, which says how.
            match stream.targets[0].status {
                "successful" => self.finish("success"),
                "failed" => self.finish("failure"),
                _ => {}
            }
            return;
        }
        let percent = stream.spec().failure_percent as usize;
        let counted = stream.count(Target::counts);
        if counted * 100 > percent * stream.targets.len() {
            self.event("CampaignFailed");
            self.finish("failure");
        } else if stream.targets.iter().all(Target::is_terminal) {
            self.event("CampaignSucceeded");
            self.finish("success");
        } else if stream.status == "pausing" && stream.in_progress() == 0 {
            self.event("CampaignPaused");
            self.stream.status = "paused";
        }
    }

    fn ended(&mut self, target: usize, status: &'static str, reason: &'static str) {
        let at = self.target(target);
        at.status = status;
        at.reason = Some(reason);
        at.end = None;
        at.timers = Timers::default();
    }

    /// E2, R3: `more` is what the event says besides.
    pub(crate) fn succeeded(&mut self, target: usize, reason: &'static str, more: &str) {
        self.ended(target, "successful", reason);
        self.event(format!("TargetSucceeded {target} {reason}{more}"));
        self.settle();
    }

    /// E, R3, X, P5, D1, M3.
    pub(crate) fn failed(
        &mut self,
        target: usize,
        reason: &'static str,
        end: &'static str,
        more: &str,
    ) {
        self.ended(target, "failed", reason);
        self.target(target).end = Some(end);
        self.event(format!("TargetFailed {target} {reason} {end}{more}"));
        self.settle();
    }

    /// X1, X2: the register says Cancel from now on.
    fn abandoned(&mut self, target: usize, reason: &'static str) {
        self.said.registers.insert(target);
        self.failed(target, reason, "Abandoned", "");
    }

    /// R4.
    fn deferred(&mut self, target: usize, reason: &'static str, word: &Word) {
        self.ended(target, "idle", reason);
        let listened = self.listened;
        let at = self.target(target);
        at.deferrals += 1;
        at.timers.backoff = Some(listened + backoff(at.deferrals));
        self.event(format!(
            "TargetDeferred {target} {reason}{}",
            in_words(word)
        ));
        self.settle();
    }

    /// P3, O3: from here on the target is in progress.
    pub(crate) fn start(
        &mut self,
        target: usize,
        operation: Operation,
        version: Option<&'static str>,
        replaces: Option<Operation>,
    ) {
        self.stream.starts += 1;
        let started = self.stream.starts;
        let until = self.listened + self.stream.spec().request_timeout;
        let at = self.target(target);
        let before = std::mem::take(at);
        *at = Target {
            device: before.device,
            status: "in_progress",
            // The reason of the last try stays, for whoever looks meanwhile.
            reason: before.reason,
            operations: before.operations,
            claim: operation.claim,
            decided_on: version,
            started,
            deferrals: before.deferrals,
            ..Target::default()
        };
        at.operations.push(operation);
        at.timers.request = Some(until);
        self.said.registers.insert(target);
        let on = version.unwrap_or("nothing");
        self.event(format!(
            "OperationStarted {target} claim={} on={on} replaces={replaces:?}",
            operation.claim
        ));
    }

    /// R1: whether this is the operation in force, or the target's last.
    pub(crate) fn report(&mut self, target: usize, operation: Option<Operation>, word: &Word) {
        if operation.is_none() || self.target(target).last() != operation {
            return;
        }
        let terminal = ["Success", "Failure"].contains(&word.status);
        match (self.target(target).status == "in_progress", terminal) {
            (true, true) => self.ended_by_its_device(target, word),
            (true, false) => self.heard(target, word),
            (false, true) => self.late(target, word),
            (false, false) => {}
        }
    }

    /// R2, C3, C4, and the end of P4's wait.
    fn heard(&mut self, target: usize, word: &Word) {
        let cancelling = self.stream.is_cancelling(target);
        let (listened, spec) = (self.listened, self.stream.spec());
        let at = self.target(target);
        at.timers.request = None;
        if !cancelling && at.timers.operation.is_none() {
            at.timers.operation = Some(listened + spec.operation_timeout);
            at.timers.stage = spec.stage_timeout.map(|timeout| listened + timeout);
        }
        self.advanced(target, word.status, word.percent);
        let at = self.target(target);
        // A repeat says nothing else than the last recorded word; percentages don't matter.
        let said = (word.status, word.code, word.reason);
        if at.words.last() != Some(&said) && at.words.len() < 64 {
            at.words.push(said);
            self.event(format!("OperationReported {target}{}", in_words(word)));
        }
    }

    /// C3.
    fn advanced(&mut self, target: usize, status: &str, percent: u8) {
        let (listened, timeout) = (self.listened, self.stream.spec().stage_timeout);
        let at = self.target(target);
        // Before the first report P4 alone waits for it, and after a cancel X2 alone.
        if let Some(stage) = stage(status)
            && at.timers.operation.is_some()
            && (stage, percent) > at.reached
        {
            at.reached = (stage, percent);
            at.timers.stage = timeout.map(|timeout| listened + timeout);
        }
    }

    /// C3: progress counts there only.
    pub(crate) fn progress(
        &mut self,
        target: usize,
        operation: Option<Operation>,
        status: &str,
        percent: u8,
    ) {
        let at = self.target(target);
        if at.status == "in_progress" && operation.is_some() && at.last() == operation {
            self.advanced(target, status, percent);
        }
    }

    /// R3, R4, X3, X4, M3.
    fn ended_by_its_device(&mut self, target: usize, word: &Word) {
        let cancelling = self.stream.is_cancelling(target);
        let retries = self.stream.spec().busy_retries;
        let at = self.target(target);
        at.result = Some(result(word));
        let (deferrals, removed) = (at.deferrals, at.removed);
        self.said.registers.insert(target);
        if word.status == "Success" {
            return self.succeeded(target, "updated", "");
        }
        let again = match (word.code, word.reason) {
            // The reason refines the code.
            (_, Some("version_changed")) => Some("version_changed"),
            (Some("UpdateAlreadyInProgress"), _) => Some("device_busy"),
            _ => None,
        };
        let more = in_words(word);
        if cancelling && (again.is_some() || word.code == Some("Canceled")) {
            let reason = if removed {
                "device_removed"
            } else {
                "canceled"
            };
            return self.failed(target, reason, "Answered", &more);
        }
        match again {
            Some(reason) if deferrals < retries => self.deferred(target, reason, word),
            Some(reason) => self.failed(target, reason, "Answered", &more),
            None => self.failed(target, reason_of(word.code), "Answered", &more),
        }
    }

    /// R5.
    fn late(&mut self, target: usize, word: &Word) {
        let at = self.target(target);
        let without_a_word = ["Abandoned", "Removed"].contains(&at.end.unwrap_or_default());
        if without_a_word && !at.late {
            at.late = true;
            at.result = Some(result(word));
            self.said.registers.insert(target);
            self.event(format!("LateReport {target}{}", in_words(word)));
        } else if at.result.is_some() && at.result != Some(result(word)) && !at.contradicted {
            at.contradicted = true;
            self.event(format!("ContradictoryReport {target}{}", in_words(word)));
        }
    }

    /// P5.
    pub(crate) fn send_refused(&mut self, target: usize, operation: Option<Operation>) {
        let at = self.target(target);
        let in_force = at.status == "in_progress" && operation.is_some() && at.last() == operation;
        if in_force && !self.stream.is_cancelling(target) {
            self.said.registers.insert(target);
            self.failed(target, "send_refused", "Abandoned", " why=not authorised");
        }
    }

    /// W5.
    pub(crate) fn raise(&mut self, target: usize, claim: u64) {
        let at = self.target(target);
        if claim > at.claim {
            at.claim = claim;
            self.said.registers.insert(target);
            self.event(format!("ClaimRaised {target} {claim}"));
        }
    }

    /// X2: only this timer runs from now on. A second cancel restarts none.
    pub(crate) fn cancel_target(&mut self, target: usize) {
        if self.stream.is_cancelling(target) {
            return;
        }
        let until = self.listened + self.stream.spec().cancel_timeout;
        self.target(target).timers = Timers {
            cancel: Some(until),
            ..Timers::default()
        };
        self.said.registers.insert(target);
    }

    /// D1.
    pub(crate) fn device_removed(&mut self, target: usize) {
        let finished = self.stream.status == "finished";
        let at = self.target(target).clone();
        match at.status {
            "idle" if !finished => self.failed(target, "device_removed", "NotSent", ""),
            "in_progress" if !at.removed => {
                self.cancel_target(target);
                self.target(target).removed = true;
                self.event(format!("DeviceRemoved {target}"));
            }
            _ if at.is_abandoned() => {
                self.target(target).removed = true;
                self.said.registers.insert(target);
                self.event(format!("DeviceRemoved {target}"));
            }
            _ => {}
        }
    }

    /// P4, C3, C4, X2, R4: what has run out. Of two that have, the one that did so first.
    pub(crate) fn tick(&mut self) {
        let now = self.listened;
        let over = |due: Option<u64>| due.is_some_and(|due| due <= now);
        for target in 0..self.stream.targets.len() {
            let at = self.target(target).clone();
            let timers = at.timers;
            let stalled = timers.stage.into_iter().chain(timers.operation).min();
            if over(timers.backoff) {
                self.target(target).timers.backoff = None;
            }
            if over(timers.cancel) && at.removed {
                self.said.registers.insert(target);
                self.failed(target, "device_removed", "Removed", "");
            } else if over(timers.cancel) {
                self.abandoned(target, "canceled");
            } else if over(stalled) && timers.request.is_none_or(|due| stalled < Some(due)) {
                self.abandoned(target, "stalled");
            } else if over(timers.request) {
                self.not_acknowledged(target);
            }
        }
        self.expire();
    }

    /// P4.
    fn not_acknowledged(&mut self, target: usize) {
        let (now, spec) = (self.listened, self.stream.spec());
        let at = self.target(target);
        if at.retries < spec.request_retries {
            at.retries += 1;
            at.timers.request = Some(now + spec.request_timeout);
            self.said.registers.insert(target);
            self.event(format!("RequestRetried {target}"));
        } else {
            self.abandoned(target, "request_timeout");
        }
    }

    /// M3: unsent by its date.
    fn expire(&mut self) {
        let Some(Manual { until, .. }) = self.stream.manual else {
            return;
        };
        let past = until.is_some_and(|until| until <= self.at);
        if past && self.stream.status == "in_progress" && self.stream.targets[0].status == "idle" {
            self.failed(0, "expired", "NotSent", "");
        }
    }

    /// S2, S4.
    pub(crate) fn snapshot(&mut self, devices: &[usize]) {
        if !self.stream.wants_snapshot(self.at) {
            return;
        }
        if !self.stream.is_time(self.at) && !devices.is_empty() {
            self.stream.status = "scheduled";
            return self.event("CampaignScheduled");
        }
        if !devices.is_empty() {
            self.event(format!("TargetsAdded {devices:?}"));
        }
        self.started(devices);
        self.event("CampaignStarted");
        self.settle();
    }

    pub(crate) fn started(&mut self, devices: &[usize]) {
        self.stream.targets = devices.iter().copied().map(Target::new).collect();
        self.stream.status = "in_progress";
        self.stream.started = true;
        self.stream.started_at = Some(self.at);
    }

    /// C2: every running timer starts again in full.
    pub(crate) fn rearm(&mut self) {
        let now = self.listened;
        for target in 0..self.stream.targets.len() {
            let cancelling = self.stream.is_cancelling(target);
            let spec = self.stream.spec();
            let at = self.target(target);
            let mut timers = Timers::default();
            match (at.status, at.words.is_empty()) {
                ("in_progress", _) if cancelling => timers.cancel = Some(now + spec.cancel_timeout),
                ("in_progress", true) => timers.request = Some(now + spec.request_timeout),
                ("in_progress", false) => {
                    timers.stage = spec.stage_timeout.map(|timeout| now + timeout);
                    timers.operation = Some(now + spec.operation_timeout);
                }
                ("idle", _) if at.deferrals > 0 => {
                    timers.backoff = Some(now + backoff(at.deferrals));
                }
                _ => {}
            }
            at.timers = timers;
            // Percentages are not recorded.
            let highest = at.words.iter().filter_map(|word| stage(word.0)).max();
            at.reached = (highest.unwrap_or(0), 0);
        }
    }
}
