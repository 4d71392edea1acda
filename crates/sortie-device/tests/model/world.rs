//! Device, broker and engine, and chance.

use std::collections::{BTreeMap, VecDeque};

use sortie_device::{Effect, Input, Millis, Publish};
use sortie_flash::{Fault, Tear, Verdict};
use sortie_protocol::{Birth, Presence, Report, Request, Uuid};

use crate::{
    device::{Device, Flash, Job, Off},
    engine::{Engine, route},
    oracle::Oracle,
};

/// Xorshift: the same on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "the state of things, one by one"
)]
pub(crate) struct World {
    chance: Chance,
    now: Millis,
    flash: Flash,
    device: Option<Device>,
    engine: Engine,
    oracle: Oracle,
    connected: bool,
    sessions: u32,
    /// The broker's registers.
    request: Option<Request>,
    reports: BTreeMap<Uuid, Report>,
    birth: Option<Birth>,
    watched: bool,
    /// On their way to the device.
    inbox: VecDeque<Request>,
    /// The highest generation that the device has taken in durably.
    highest: u64,
    operations: u64,
    cuts: u32,
    re_imaged: u32,
    /// This device is re-imaged now and then.
    is_re_imaged: bool,
    /// No more mischief.
    calm: bool,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            now: Millis(0),
            flash: Flash::new(seed),
            device: None,
            engine: Engine::default(),
            oracle: Oracle::default(),
            connected: false,
            sessions: 0,
            request: None,
            reports: BTreeMap::new(),
            birth: None,
            watched: false,
            inbox: VecDeque::new(),
            highest: 0,
            operations: 0,
            cuts: 0,
            re_imaged: 0,
            is_re_imaged: seed.is_multiple_of(5),
            calm: false,
        }
    }

    pub(crate) fn step(&mut self) {
        self.now.0 += self.chance.below(3_000);
        match self.chance.below(40) {
            0 => self.start_operation(),
            3 if self.chance.one_in(4) => {
                let request = self.engine.cancel();
                self.write(request);
            }
            4 if !self.calm => {
                let request = self.engine.raise();
                self.write(request);
            }
            5 if !self.calm => self.sleeper_writes(),
            6 if !self.calm => self.stray_request(),
            7 if !self.calm && self.chance.one_in(3) => self.power_will_fail(),
            8 if !self.calm && self.chance.one_in(4) => self.power_off(),
            9 if !self.calm && self.is_re_imaged && self.chance.one_in(12) => self.re_image(),
            10 if !self.calm && self.chance.one_in(2) => self.disconnect(),
            11..=13 => self.engine_listens(),
            14..=17 => self.deliver(),
            18..=25 => self.publish(),
            26..=27 => self.with_device(|device, now| device.handle(Input::Tick, now)),
            28..=29 => self.connect(),
            _ => self.work(),
        }
        if self.device.is_none() {
            self.boot();
        }
    }

    /// Everything works again: what is in force must come to its end, and be cleaned up.
    pub(crate) fn calm_down(&mut self) {
        self.calm = true;
        self.flash.chip.lock().clear_faults();
        let request = self.engine.again();
        self.write(request);
        for _ in 0..20_000 {
            self.now.0 += 100;
            self.step_calmly();
            if self.is_quiet() {
                return;
            }
        }
        panic!(
            "not quiet: {:?} {:?} {:?}",
            self.request,
            self.reports,
            self.device.as_ref().map(|device| device.agent.current())
        );
    }

    fn step_calmly(&mut self) {
        if self.device.is_none() {
            self.boot();
        }
        self.connect();
        self.deliver();
        self.publish();
        self.engine_listens();
        self.work();
        self.with_device(|device, now| device.handle(Input::Tick, now));
    }

    fn is_quiet(&self) -> bool {
        let none = matches!(self.request, None | Some(Request::None { .. }));
        none && self.inbox.is_empty() && self.reports.is_empty()
    }

    pub(crate) fn summary(&self) -> String {
        let [successes, failures, trials] = self.oracle.counts;
        let (operations, cuts, re_imaged) = (self.operations, self.cuts, self.re_imaged);
        format!("{operations} {successes} {failures} {trials} {cuts} {re_imaged}")
    }

    fn start_operation(&mut self) {
        let random = u128::from(self.chance.below(u64::MAX)) << 8;
        let operation =
            Uuid::from_u128((random & !0xff) | (u128::from(self.operations & 0x7f) + 1));
        let request = self.engine.start(operation);
        self.operations += u64::from(request.is_some());
        self.write(request);
    }

    fn write(&mut self, request: Option<Request>) {
        let Some(request) = request else {
            return;
        };
        self.request = Some(request.clone());
        if self.connected {
            self.inbox.push_back(request);
        }
    }

    /// A node that slept writes what it once wanted.
    fn sleeper_writes(&mut self) {
        let request = self.old_request();
        self.write(request);
    }

    /// A repeat, in any order, that is in no register.
    fn stray_request(&mut self) {
        let request = self.old_request().filter(|_| self.connected);
        let at = self.chance.below(self.inbox.len() as u64 + 1);
        if let Some(request) = request {
            self.inbox.insert(usize::try_from(at).unwrap(), request);
        }
    }

    fn old_request(&mut self) -> Option<Request> {
        let written = self.engine.written.len() as u64;
        let nth = self.chance.below(written.clamp(1, 12));
        let nth = usize::try_from(written.checked_sub(nth + 1)?).unwrap();
        self.engine.written.get(nth).cloned()
    }

    fn power_will_fail(&mut self) {
        self.power_will_fail_within(12);
    }

    fn power_will_fail_within(&mut self, operations: u64) {
        let tear = Tear::ALL[usize::try_from(self.chance.below(4)).unwrap()];
        let faults = [Fault::CutBefore, Fault::CutAfter, Fault::CutTorn(tear)];
        let fault = faults[usize::try_from(self.chance.below(3)).unwrap()];
        let mut chip = self.flash.chip.lock();
        let next = chip.stats().operations;
        let at = next + self.chance.below(operations);
        chip.inject(at, fault);
    }

    fn power_off(&mut self) {
        self.device = None;
        self.connected = false;
        self.inbox.clear();
    }

    fn re_image(&mut self) {
        self.power_off();
        self.flash.re_image();
        self.oracle.re_imaged(&self.flash.state());
        self.highest = 0;
        self.re_imaged += 1;
    }

    fn boot(&mut self) {
        if let Some(mut device) = self.flash.boot(self.now) {
            self.oracle.booted(device.running, device.trial);
            let started = device.perform(self.now);
            self.device = Some(device);
            self.after(&started);
        } else {
            self.cuts += 1;
            // A trial that was counted was one, though nothing ran.
            self.flash.chip.lock().power_on();
            self.oracle.boot_failed(&self.flash.state());
        }
    }

    /// Does something with the device, and looks at what came of it.
    fn with_device(&mut self, act: impl FnOnce(&mut Device, Millis) -> Result<(), Off>) {
        if let Some(device) = &mut self.device {
            let result = act(device, self.now);
            self.after(&result);
        }
    }

    fn after(&mut self, result: &Result<(), Off>) {
        let off_by_cut = *result == Err(Off::PowerLost);
        let device = self.device.as_mut().unwrap();
        let current = device.agent.current().map(|report| report.operation);
        for report in std::mem::take(&mut device.left) {
            self.oracle.told(&report);
        }
        for effect in std::mem::take(&mut device.performed) {
            match effect {
                Effect::Fetch { .. } => {
                    if let Job::Fetch { operation, .. } = device.job {
                        self.oracle.fetches(operation);
                    }
                }
                // From when the journal says so, unless the power went just then.
                Effect::Store(record) if !off_by_cut => {
                    let record = String::from_utf8(record).unwrap();
                    if let Some(current) = current
                        && record.contains(r#""verified":true"#)
                    {
                        self.oracle.verified(current, self.flash.spare_wear());
                    }
                }
                _ => {}
            }
        }
        if off_by_cut {
            self.cuts += 1;
        } else {
            let state = self.flash.state();
            if let Some(outcome) = state.outcome
                && outcome.verdict == Verdict::Confirmed
            {
                self.oracle.confirmed(Uuid::from_bytes(outcome.tag));
            }
            if device.trial.is_none() {
                self.oracle.wear(current, &self.flash.spare_wear());
            }
        }
        assert_eq!(self.flash.chip.lock().stats().breaches, 0);
        if result.is_err() {
            self.power_off();
        }
    }

    fn connect(&mut self) {
        if self.connected || self.device.is_none() {
            return;
        }
        self.connected = true;
        self.watched = false;
        self.sessions += 1;
        let session = format!("s{}", self.sessions);
        self.inbox.extend(self.request.clone());
        self.with_device(|device, now| {
            if device.publishing.take().is_some() {
                device.handle(Input::Published(false), now)?;
            }
            device.handle(Input::Connected { session }, now)
        });
    }

    fn disconnect(&mut self) {
        if self.connected {
            self.connected = false;
            self.inbox.clear();
            self.with_device(|device, now| device.handle(Input::Disconnected, now));
        }
    }

    fn deliver(&mut self) {
        let Some(request) = self.inbox.pop_front() else {
            return;
        };
        if !self.calm && self.chance.one_in(12) {
            // Just when the decision is journaled.
            self.power_will_fail_within(3);
        }
        let payload = request.to_json();
        self.with_device(|device, now| device.handle(Input::Request(&payload), now));
        // Taken in, unless the power went or the record had no room.
        let generation = request.generation().0;
        let decided = self.device.is_some() && generation >= self.highest;
        if let Request::Cancel { operation, .. } = request
            && decided
            && self.knows(operation)
        {
            self.oracle.cancel_taken(operation);
        }
        if decided {
            self.highest = generation;
        }
    }

    fn knows(&self, operation: Uuid) -> bool {
        let device = self.device.as_ref();
        device.is_some_and(|device| device.agent.result(operation).is_some())
    }

    /// One publish leaves, arrives or not, and is acknowledged or not.
    fn publish(&mut self) {
        let now = self.now;
        let Some(device) = &mut self.device else {
            return;
        };
        if device.publishing.is_none() {
            device.publish(now);
            return self.after(&Ok(()));
        }
        let Some(publish) = device.publishing.take() else {
            return;
        };
        let arrives = self.connected && (self.calm || !self.chance.one_in(5));
        let acknowledged = arrives && (self.calm || !self.chance.one_in(5));
        if arrives {
            self.arrives(publish);
        }
        self.with_device(|device, now| device.handle(Input::Published(acknowledged), now));
    }

    fn arrives(&mut self, publish: Publish) {
        let mut found = Vec::new();
        match publish {
            Publish::Report {
                operation,
                report: Some(report),
                ..
            } => {
                self.reports.insert(operation, report);
                found.extend(self.watched.then_some((operation, true)));
            }
            Publish::Report { operation, .. } => {
                self.reports.remove(&operation);
                found.extend(self.watched.then_some((operation, false)));
            }
            Publish::Birth(birth) => {
                let presence = Presence::Online(birth.clone());
                self.birth = Some(birth);
                self.with_device(|device, now| device.handle(Input::OwnPresence(&presence), now));
            }
            Publish::WatchOwnReports => {
                self.watched = true;
                found.extend(self.reports.keys().map(|operation| (*operation, true)));
            }
            Publish::Progress { .. } => {}
        }
        for (operation, present) in found {
            let route = route();
            self.with_device(|device, now| {
                device.handle(
                    Input::OwnReport {
                        route,
                        operation,
                        present,
                    },
                    now,
                )
            });
        }
    }

    fn engine_listens(&mut self) {
        if let Some(birth) = self.birth.take() {
            let request = self.engine.hears_birth(&birth);
            self.write(request);
        }
        let reports = self.reports.len() as u64;
        if reports > 0 {
            let nth = usize::try_from(self.chance.below(reports)).unwrap();
            let report = self.reports.values().nth(nth).unwrap().clone();
            let request = self.engine.hears_report(&report);
            self.write(request);
        }
    }

    fn work(&mut self) {
        let lucky = self.calm || !self.chance.one_in(10);
        let whole = self.chance.one_in(6);
        self.with_device(|device, now| device.work(lucky, whole, now));
    }
}
