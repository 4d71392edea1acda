//! The reference: campaigns as docs/rules.md has them, with plain lists, counted anew each time.
//!
//! Nothing is kept that can be found by looking; nothing is shared with the core but the words of the
//! rules. One function a rule, where a rule is more than a line.
//!
//! - `stream.rs`: a campaign as one can look at it. `rules.rs`: what an input leads to.
//!   `commands.rs`: what a person may ask for. Here: devices, claims and clocks.

mod commands;
mod rules;
mod stream;

use std::fmt;

use super::{
    said::{Operation, Said},
    step::{About, Ask, DEVICES, Passing, STREAMS, Setup, Step, Who},
    versions::{Verdict, eligibility},
};
use rules::Deciding;
pub(crate) use stream::{Stream, Target};

/// C1.
pub(crate) const SETTLE: u64 = 60_000;

/// Devices, claims, clocks and streams: what a node holds.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) streams: Vec<Stream>,
    pub(crate) devices: Vec<Device>,
    pub(crate) link: bool,
    pub(crate) clock: Clock,
    /// What the last step led to, one entry a decision.
    pub(crate) said: Vec<Said>,
    /// How many milliseconds passed in the last step.
    pub(crate) passed: u64,
}

/// C1, C5.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    pub(crate) wall: i64,
    pub(crate) listened: u64,
    /// What is left of `settle` since the link's return.
    pub(crate) settling: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Device {
    pub(crate) online: bool,
    pub(crate) version: Option<&'static str>,
    pub(crate) model: Option<&'static str>,
    /// The highest claim number that it was heard to know.
    pub(crate) heard: u64,
    pub(crate) claim: Option<Claim>,
}

/// W7.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claim {
    pub(crate) operation: Operation,
    pub(crate) number: u64,
    pub(crate) phase: &'static str,
}

/// A failing run prints what it began with; the steps tell the rest.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.setup.fmt(f)
    }
}

impl World {
    pub(crate) fn new(setup: Setup) -> Self {
        let mut world = Self {
            setup,
            streams: (0..STREAMS).map(Stream::new).collect(),
            devices: vec![Device::default(); DEVICES],
            link: true,
            clock: Clock {
                wall: 1_000,
                ..Clock::default()
            },
            said: vec![],
            passed: 0,
        };
        for stream in 0..STREAMS {
            world.own(stream);
        }
        world
    }

    /// One decision of one stream, and what follows for the claims.
    fn decide(&mut self, stream: usize, decision: impl FnOnce(&mut Deciding<'_>)) {
        let (listened, wall) = (self.clock.listened, self.clock.wall);
        let stream = &mut self.streams[stream];
        let said = Said {
            stream: stream.number,
            ..Said::default()
        };
        // C5: never below the stream's last recorded time.
        let at = wall.max(stream.last_at);
        let mut deciding = Deciding {
            stream,
            listened,
            at,
            said,
        };
        decision(&mut deciding);
        let said = deciding.said;
        self.follow(said.stream);
        self.said.push(said);
    }

    /// W7, O4: a claim that belongs to a target's last operation says what became of it.
    fn follow(&mut self, stream: usize) {
        for target in &self.streams[stream].targets {
            if let (Some(last), Some(claim)) =
                (target.last(), &mut self.devices[target.device].claim)
                && claim.operation == last
            {
                claim.phase = target.claim_phase();
                claim.number = target.claim;
            }
        }
    }

    fn own(&mut self, stream: usize) {
        self.decide(stream, |deciding| {
            deciding.stream.epoch += 1;
            let line = format!("OwnerChanged {}", deciding.stream.epoch);
            deciding.event(line);
        });
    }

    pub(crate) fn is_online(&self, device: usize) -> bool {
        self.link && self.devices[device].online
    }

    /// O1.
    fn is_held(&self, device: usize) -> bool {
        let claim = self.devices[device].claim.as_ref();
        claim.is_some_and(|claim| claim.phase == "held")
    }

    /// P1: who may be pushed, in which order.
    fn ready(&self, stream: usize) -> Vec<usize> {
        let targets = &self.streams[stream].targets;
        let is_ready = |target: &Target| {
            target.status == "idle"
                && target.timers.backoff.is_none()
                && self.is_online(target.device)
                && !self.is_held(target.device)
        };
        let mut ready: Vec<usize> = (0..targets.len())
            .filter(|index| is_ready(&targets[*index]))
            .collect();
        // Fresh ones have 0 here, and keep the snapshot's order.
        ready.sort_by_key(|index| targets[*index].started);
        ready
    }

    /// P2, and L: whether a push may start now, and which.
    fn next_push(&self, stream: usize) -> Option<usize> {
        let at = &self.streams[stream];
        let may = at.status == "in_progress" && at.in_progress() < at.spec().limit;
        self.ready(stream).first().copied().filter(|_| may)
    }

    /// P1, P2. Says who was pushed.
    fn pump(&mut self, stream: usize, events: usize) -> Vec<usize> {
        let mut pushed = vec![];
        let mut all = Said {
            stream,
            ..Said::default()
        };
        while let Some(target) = self.next_push(stream) {
            if all.events.len() >= events {
                all.more = true;
                break;
            }
            self.push(stream, target);
            let said = self.said.pop().unwrap_or_default();
            pushed.extend(&said.registers);
            all.events.extend(said.events);
            all.registers.extend(said.registers);
        }
        self.said.push(all);
        pushed
    }

    /// E, P3, O3, W1.
    fn push(&mut self, stream: usize, target: usize) {
        let number = self.streams[stream].targets[target].device;
        let device = self.devices[number].clone();
        let on = device.version.map(|version| format!(" on={version}"));
        let mut on = on.unwrap_or_default();
        match self.verdict(stream, &device) {
            Verdict::Successful(reason) => {
                self.decide(stream, |deciding| deciding.succeeded(target, reason, &on));
            }
            Verdict::Failed(reason) => {
                if reason == "system_model_mismatch" {
                    on = [on.as_str(), " model=", device.model.unwrap_or_default()].concat();
                }
                self.decide(stream, |deciding| {
                    deciding.failed(target, reason, "NotSent", &on);
                });
            }
            Verdict::Push => {
                let own = device.claim.as_ref().map_or(0, |claim| claim.number);
                let claim = own.max(device.heard) + 1;
                let open = device.claim.filter(|claim| claim.phase == "open");
                let replaces = open.map(|claim| claim.operation);
                let operation = Operation {
                    stream,
                    device: number,
                    claim,
                    epoch: self.streams[stream].epoch,
                };
                self.devices[number].claim = Some(Claim {
                    operation,
                    number: claim,
                    phase: "held",
                });
                self.decide(stream, |deciding| {
                    deciding.start(target, operation, device.version, replaces);
                });
            }
        }
    }

    /// E, M1.
    fn verdict(&self, stream: usize, device: &Device) -> Verdict {
        let at = &self.streams[stream];
        if at.is_manual() {
            return Verdict::Push;
        }
        let shipment = &self.setup.campaigns[stream];
        let forced = (at.spec().force, at.spec().enforce);
        let (model, version) = (device.model, device.version);
        eligibility(
            shipment.version,
            shipment.requirement,
            forced,
            model,
            version,
        )
    }

    /// C1.
    fn pass(&mut self, ms: u64) {
        self.passed += ms;
        if self.link {
            let settling = self.clock.settling.min(ms);
            self.clock.settling -= settling;
            self.clock.listened += ms - settling;
        }
    }

    fn tick_all(&mut self) {
        for stream in 0..STREAMS {
            self.decide(stream, |deciding| {
                deciding.tick();
            });
        }
    }

    /// The stream is folded again.
    fn restart(&mut self, stream: usize) {
        self.decide(stream, |deciding| {
            deciding.rearm();
        });
        self.said.clear();
        self.own(stream);
    }

    /// Streams and devices whose operations are under way.
    fn under_way(&self) -> Vec<(usize, usize)> {
        let all = self.streams.iter().flat_map(|stream| {
            let targets = stream.targets.iter();
            let under_way = targets.filter(|target| target.status == "in_progress");
            under_way.map(|target| (stream.number, target.device))
        });
        all.collect()
    }

    /// The operation that a device names.
    fn named(&self, who: Who, about: About) -> Option<Operation> {
        let (stream, device) = who.resolve(&self.under_way());
        let of = |stream: usize, device: usize, back: usize| {
            let stream = &self.streams[stream];
            let target = &stream.targets[stream.target_of(device)?];
            target.operations.iter().rev().nth(back).copied()
        };
        match about {
            About::Last => of(stream, device, 0),
            About::Former => of(stream, device, 1),
            About::OtherDevice(other) => of(stream, other, 0),
            About::OtherStream(other) => of(other, device, 0),
            About::Unknown => None,
        }
    }

    /// An input about one device's target in one stream, if it has one there.
    fn about(&mut self, who: Who, decision: impl FnOnce(&mut Deciding<'_>, usize)) {
        let (stream, device) = who.resolve(&self.under_way());
        if let Some(target) = self.streams[stream].target_of(device) {
            self.decide(stream, |deciding| decision(deciding, target));
        }
    }

    pub(crate) fn step(&mut self, step: &Step) {
        self.said.clear();
        self.passed = 0;
        match step {
            Step::Command { stream, ask } => self.ask(*stream, ask.clone()),
            Step::CancelOperation { who } => {
                let (stream, device) = who.resolve(&self.under_way());
                if let Some(target) = self.streams[stream].target_of(device) {
                    self.ask(stream, Ask::CancelOperation(target));
                }
            }
            Step::Again { stream } => self.command(*stream),
            Step::Repeat { stream } => {
                let at = &mut self.streams[*stream];
                at.asked += 1;
                if let Some((id, _)) = &mut at.last_ask {
                    *id = at.asked;
                }
                self.command(*stream);
            }
            Step::Snapshot { campaign, empty } => {
                let mut devices = self.setup.campaigns[*campaign].devices.clone();
                devices.retain(|_| !empty);
                self.decide(*campaign, |deciding| deciding.snapshot(&devices));
            }
            Step::UploadDeleted { stream } => self.decide(*stream, |deciding| {
                if deciding.stream.upload_to_delete().is_some() {
                    deciding.stream.upload_deleted = true;
                    deciding.event("UploadDeleted");
                }
            }),
            Step::Time {
                passing,
                wall_seconds,
            } => {
                self.pass(match passing {
                    Passing::Seconds(seconds) => seconds * 1_000,
                    Passing::UntilDue {
                        stream,
                        just_before,
                    } => {
                        let due = self.streams[*stream].next_due().unwrap_or(0);
                        let ms = due.saturating_sub(self.clock.listened) + self.clock.settling;
                        ms.saturating_sub(u64::from(*just_before))
                    }
                });
                self.clock.wall += wall_seconds * 1_000;
                self.tick_all();
            }
            // What is decided here depends on no time, and what it starts counts from the commit.
            Step::Slow { step, hang } => {
                self.pass(*hang);
                self.step(step);
                self.tick_all();
            }
            Step::Pump {
                stream,
                events,
                hang,
            } => {
                let pushed = self.pump(*stream, *events);
                self.pass(*hang);
                // P4 counts from the commit, when the requests leave.
                let at = &mut self.streams[*stream];
                for target in pushed {
                    let until = self.clock.listened + at.spec().request_timeout;
                    at.targets[target].timers.request = Some(until);
                }
                self.tick_all();
            }
            Step::Restart { stream, .. } | Step::LostPump { stream } => self.restart(*stream),
            of_a_device => self.device_step(of_a_device),
        }
    }

    /// What comes from a device, or is known of one.
    fn device_step(&mut self, step: &Step) {
        match step {
            // While the link is down nobody is heard.
            Step::Online { .. } | Step::Offline { .. } if !self.link => {}
            Step::Online {
                device,
                version,
                model,
                heard,
            } => {
                let device = &mut self.devices[*device];
                let own = device.claim.as_ref().map_or(0, |claim| claim.number);
                device.online = true;
                device.version = *version;
                device.model = *model;
                if *heard > 0 {
                    device.heard = device.heard.max(own + heard);
                }
            }
            Step::Offline { device } => self.devices[*device].online = false,
            Step::Link { up, births } => self.set_link(*up, *births),
            Step::Report { who, about, word } => {
                let operation = self.named(*who, *about);
                self.about(*who, |deciding, target| {
                    deciding.report(target, operation, word);
                });
            }
            Step::Progress {
                who,
                about,
                status,
                percent,
            } => {
                let operation = self.named(*who, *about);
                self.about(*who, |deciding, target| {
                    deciding.progress(target, operation, status, *percent);
                });
            }
            Step::SendRefused { who, about } => {
                let operation = self.named(*who, *about);
                self.about(*who, |deciding, target| {
                    deciding.send_refused(target, operation);
                });
            }
            Step::Removed { who } => {
                self.about(*who, |deciding, target| {
                    deciding.device_removed(target);
                });
            }
            Step::Raise { device, above } => {
                if let Some(claim) = self.devices[*device].claim.clone() {
                    self.about(
                        Who::Of(claim.operation.stream, *device),
                        |deciding, target| {
                            deciding.raise(target, claim.number + above);
                        },
                    );
                }
            }
            _ => {}
        }
    }

    fn set_link(&mut self, up: bool, births: bool) {
        if up && !self.link {
            self.clock.settling = SETTLE;
            // Only what is heard after the link's return counts.
            for device in &mut self.devices {
                device.online &= births;
            }
        }
        self.link = up;
    }

    fn ask(&mut self, stream: usize, ask: Ask) {
        let at = &mut self.streams[stream];
        at.asked += 1;
        at.last_ask = Some((at.asked, ask));
        self.command(stream);
    }

    fn command(&mut self, stream: usize) {
        let Some((id, ask)) = self.streams[stream].last_ask.clone() else {
            return;
        };
        if self.streams[stream].commands.contains(&id) {
            return;
        }
        let device = match &ask {
            Ask::Manual(manual) => {
                let online = self.is_online(manual.device);
                let device = self.devices[manual.device].clone();
                Some((Device { online, ..device }, self.is_held(manual.device)))
            }
            _ => None,
        };
        self.decide(stream, |deciding| {
            deciding.command(id, &ask, device.as_ref());
        });
    }
}
