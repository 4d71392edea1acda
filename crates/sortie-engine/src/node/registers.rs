//! When and in which order request registers are written (rules W).

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    time::Duration,
};

use sortie_core::{ClaimPhase, ClaimRow, DeviceId, DeviceSlot, StreamId};
use sortie_ports::{Delivery, Registers, Request};
use sortie_protocol::{Generation, Request as Body};

use super::{
    Node, NodeOutput,
    stream::{Slot, Work},
};

/// How many writes are under way at once. Paces the rewrites after a reconnect.
const WRITES_IN_FLIGHT_MAX: usize = 256;
/// After so many failures in a row, about half a minute, a Cancel holds up no Updates any more (W4).
const GATE_FAILURES_MAX: u32 = 5;
/// W5: at most once a second a device.
const W5_INTERVAL: Duration = Duration::from_secs(1);
/// A raise is an event: a device that always knows more than its register must not make the log grow
/// without end. After each the next waits twice as long, at most this,
const RAISE_WAIT_MAX: Duration = Duration::from_mins(10);
/// until there was none for so long.
const RAISES_FORGOTTEN: Duration = Duration::from_hours(1);

/// What is owed to each device's request register.
#[derive(Debug, Default)]
pub(super) struct Writes {
    marks: Vec<Mark>,
    /// Cancel and None, which leave before Updates.
    first: VecDeque<DeviceSlot>,
    updates: VecDeque<DeviceSlot>,
    /// Owed, but what to write is being decided by this stream.
    unsettled: HashMap<StreamId, BTreeSet<DeviceSlot>>,
    /// Cancels that must be acknowledged before any Update leaves (W4).
    gate: HashSet<DeviceSlot>,
    retries: BTreeSet<(Duration, DeviceSlot)>,
    in_flight: usize,
    linked: bool,
}

/// One device's register. What must be in it is not kept: it is computed when it leaves.
#[derive(Debug, Clone, Default)]
struct Mark {
    owed: bool,
    /// The most urgent queue that it stands in. What is behind it in another is passed over there.
    queued: Option<Urgency>,
    in_flight: Option<Generation>,
    /// The generation that the latest birth named.
    born: Option<Generation>,
    /// The latest birth says that the device's last request was lower than one before (W5 b).
    behind: bool,
    /// Acknowledged since the latest birth.
    sent: Option<Generation>,
    /// A report came of an operation that the register does not name (W5 c).
    stray: bool,
    /// When levels were last found to differ and something was done for it (W5).
    answered: Option<Duration>,
    /// When its claim was last asked to be raised, and how long from then it is not again.
    raised: Option<(Duration, Duration)>,
    failures: u32,
}

impl Writes {
    pub(super) fn grow(&mut self, devices: usize) {
        self.marks.resize(devices, Mark::default());
    }

    pub(super) fn link(&mut self, up: bool) {
        self.linked = up;
        self.first.clear();
        self.updates.clear();
        self.gate.clear();
        self.retries.clear();
        for mark in &mut self.marks {
            mark.owed = false;
            mark.queued = None;
            mark.born = None;
            mark.behind = false;
            mark.sent = None;
            mark.stray = false;
            mark.failures = 0;
            mark.answered = None;
        }
    }

    pub(super) fn born(&mut self, slot: DeviceSlot, generation: Option<Generation>, behind: bool) {
        let mark = &mut self.marks[slot.index()];
        mark.born = generation;
        mark.behind = behind;
        mark.sent = None;
    }

    pub(super) fn next_retry(&self) -> Option<Duration> {
        self.retries.first().map(|(at, _)| *at)
    }

    /// The devices whose retry is due: what is owed is queued, and levels are to be compared.
    pub(super) fn retry_due(&mut self, now: Duration) -> Vec<DeviceSlot> {
        let mut due = vec![];
        while let Some((at, slot)) = self.retries.first().copied()
            && at <= now
        {
            self.retries.pop_first();
            if self.marks[slot.index()].owed {
                self.queue(slot, Urgency::First);
            } else {
                due.push(slot);
            }
        }
        due
    }

    pub(super) fn waiting(&self) -> usize {
        self.first.len() + self.updates.len() + self.retries.len() + self.in_flight
    }

    /// What the register must hold is being decided by this stream: it is looked at again after that.
    fn wait_for(&mut self, stream: StreamId, device: DeviceSlot) {
        self.unsettled.entry(stream).or_default().insert(device);
    }

    /// W5: at most once a second a device, so that none can make the engine write without end. If it
    /// is too early, levels are compared again when it is not.
    fn answers(&mut self, slot: DeviceSlot, now: Duration) -> bool {
        let mark = &mut self.marks[slot.index()];
        match mark.answered.map(|at| at + W5_INTERVAL) {
            Some(next) if next > now => {
                self.retries.insert((next, slot));
                false
            }
            _ => {
                mark.answered = Some(now);
                true
            }
        }
    }

    /// Whether the device's claim may be raised now; if not, levels are compared again when it may.
    fn raises(&mut self, slot: DeviceSlot, now: Duration) -> bool {
        let mark = &mut self.marks[slot.index()];
        let wait = match mark.raised {
            Some((at, wait)) if at + wait > now => {
                self.retries.insert((at + wait, slot));
                return false;
            }
            Some((at, wait)) if at + RAISES_FORGOTTEN > now => (2 * wait).min(RAISE_WAIT_MAX),
            _ => W5_INTERVAL,
        };
        mark.raised = Some((now, wait));
        true
    }

    /// Which of them it really is, is decided again when it leaves. An Update that waits for the gate
    /// and has become a Cancel since must not wait on: the gate may wait for it.
    fn queue(&mut self, slot: DeviceSlot, urgency: Urgency) {
        let mark = &mut self.marks[slot.index()];
        if mark.in_flight.is_none() && mark.queued < Some(urgency) {
            mark.queued = Some(urgency);
            match urgency {
                Urgency::First => self.first.push_back(slot),
                Urgency::Update => self.updates.push_back(slot),
            }
        }
    }
}

/// Cancel and None leave before Updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Update,
    First,
}

/// What a register must hold, if that can be told now.
enum Wanted {
    Write(Body),
    /// The stream is deciding it.
    Unsettled(StreamId),
    /// It never had a request.
    Nothing,
    /// The device was removed, and all that is retained of it is to be deleted (D1).
    Forget,
}

impl Node {
    /// What a device's register must hold, from committed state (W2).
    fn wanted(&self, device: DeviceSlot) -> Wanted {
        let forgotten = self.removals.is_forgotten(device);
        let Some(claim) = self.fleet.device(device).claim() else {
            return if forgotten {
                Wanted::Forget
            } else {
                Wanted::Nothing
            };
        };
        match claim.phase {
            ClaimPhase::Free if forgotten => Wanted::Forget,
            ClaimPhase::Free => Wanted::Write(Body::None {
                generation: claim.generation(),
            }),
            ClaimPhase::Open => Wanted::Write(Body::Cancel {
                generation: claim.generation(),
                operation: claim.operation.0,
                route: claim.holder.route(),
            }),
            ClaimPhase::Held => {
                let campaign = self
                    .streams
                    .get(&claim.holder)
                    .and_then(Slot::settled_campaign);
                let interests = self.interested.get(device.index());
                let interest = interests.and_then(|i| i.iter().find(|i| i.stream == claim.holder));
                let register = campaign
                    .zip(interest)
                    .and_then(|(c, i)| c.state().register(i.target));
                register.map_or(Wanted::Unsettled(claim.holder), Wanted::Write)
            }
        }
    }

    /// The register is to be written, with what it must hold when it leaves.
    pub(super) fn owe(&mut self, device: DeviceSlot) {
        if !self.writes.linked || !self.is_reachable(device) {
            // What is in force is owed again at the link's or the device's return (W4).
            return;
        }
        let wanted = self.wanted(device);
        let mark = &mut self.writes.marks[device.index()];
        mark.owed = true;
        match wanted {
            Wanted::Write(Body::Update(..)) => {
                // A Cancel that had to be acknowledged first has been replaced (O3).
                self.writes.gate.remove(&device);
                self.writes.queue(device, Urgency::Update);
            }
            Wanted::Write(_) | Wanted::Forget => self.writes.queue(device, Urgency::First),
            Wanted::Unsettled(stream) => {
                self.writes.wait_for(stream, device);
            }
            Wanted::Nothing => mark.owed = false,
        }
    }

    /// Whether a write can reach the device at all: a volatile register is gone with its connection.
    fn is_reachable(&self, device: DeviceSlot) -> bool {
        self.config.registers == Registers::Retained || self.fleet.is_online(device)
    }

    /// What is in force is written again; nothing else waits for it.
    fn owe_again(&mut self, device: DeviceSlot) {
        let claim = self.fleet.device(device).claim();
        if claim.is_some_and(|claim| claim.phase != ClaimPhase::Free) {
            self.owe(device);
        }
    }

    /// A device whose register is gone with its connection is there again: what is in force is written,
    /// unless it has seen more than that, which W5 exceeds first.
    pub(super) fn owe_at_presence(&mut self, device: DeviceSlot) {
        let born = self.writes.marks[device.index()].born;
        let ahead = match self.wanted(device) {
            Wanted::Write(body) => born.is_some_and(|born| born > body.generation()),
            _ => false,
        };
        if self.config.registers == Registers::Volatile && !ahead {
            self.owe_again(device);
        }
    }

    /// W4: after recovery or a reconnect; a Cancel must be acknowledged before any Update leaves.
    fn owe_in_force(&mut self, device: DeviceSlot) {
        // A claim that is just being taken is open until the taking is committed.
        let open = self.claims.committed(&self.fleet, device);
        let open = open.is_some_and(|claim| claim.phase == ClaimPhase::Open);
        let cancel = matches!(self.wanted(device), Wanted::Write(Body::Cancel { .. }));
        if (open || cancel) && self.writes.linked && self.is_reachable(device) {
            self.writes.gate.insert(device);
        }
        self.owe_again(device);
    }

    pub(super) fn owe_all_in_force(&mut self) {
        for device in (0..).map(DeviceSlot).take(self.fleet.len()) {
            self.owe_in_force(device);
        }
    }

    pub(super) fn owe_of_stream(&mut self, stream: StreamId) {
        let Some(campaign) = self.streams.get(&stream).and_then(Slot::settled_campaign) else {
            return;
        };
        let devices = campaign.slots().to_vec();
        for device in devices {
            let claim = self.fleet.device(device).claim();
            if claim.is_some_and(|claim| claim.holder == stream) {
                self.owe_in_force(device);
                self.compare_levels(device);
            }
        }
    }

    /// What a stream was deciding is committed: what waited for that can be written.
    pub(super) fn settled(&mut self, stream: StreamId) {
        for device in self.writes.unsettled.remove(&stream).unwrap_or_default() {
            if self.writes.marks[device.index()].owed {
                self.owe(device);
            }
            self.compare_levels(device);
        }
    }

    /// W5: compares what the device was last heard to know with its register.
    pub(super) fn compare_levels(&mut self, device: DeviceSlot) {
        if !self.writes.linked || !self.is_reachable(device) {
            return;
        }
        let now = self.now.monotonic;
        let mark = &self.writes.marks[device.index()];
        let entry = self.fleet.device(device);
        let heard = entry.generation();
        let Some(claim) = entry.claim() else {
            // Nothing was ever asked of it, and it believes that something was.
            let owed = mark.behind && mark.sent.is_none() || mark.stray;
            let believed = mark.born.is_none_or(|born| born <= heard);
            if owed
                && believed
                && self.writes.answers(device, now)
                && self.writes.raises(device, now)
            {
                let number = heard.claim_number() + 1;
                self.enqueue(StreamId::Catalog, Work::Raise(device, number));
            }
            return;
        };
        let register = match self.wanted(device) {
            Wanted::Write(body) => body.generation(),
            Wanted::Unsettled(stream) => {
                self.writes.wait_for(stream, device);
                return;
            }
            Wanted::Nothing | Wanted::Forget => return,
        };
        let in_force = claim.phase != ClaimPhase::Free;
        let other = mark.born.is_some_and(|born| born != register);
        let answered = mark.sent == Some(register) || mark.in_flight == Some(register);
        let owed =
            in_force && other && !answered || mark.behind && mark.sent.is_none() || mark.stray;
        // A generation that is not believed can't be exceeded: to write below it would help nothing.
        if !owed || mark.born.is_some_and(|born| born > heard) {
            return;
        }
        if !self.writes.answers(device, now) {
            return;
        }
        if heard > register {
            let holder = claim.holder;
            if self.writes.raises(device, now) {
                self.enqueue(holder, Work::Raise(device, heard.claim_number() + 1));
            }
        } else {
            self.owe(device);
        }
    }

    /// W5 (c): a report came of an operation that the register does not name.
    pub(super) fn stray(&mut self, device: DeviceSlot) {
        let known = self.fleet.device(device).claim().is_some()
            || !self.interested[device.index()].is_empty();
        if known && self.writes.linked {
            self.writes.marks[device.index()].stray = true;
            self.compare_levels(device);
        }
    }

    /// The next write that may leave.
    pub(super) fn next_write(&mut self) -> Option<NodeOutput> {
        while self.writes.linked && self.writes.in_flight < WRITES_IN_FLIGHT_MAX {
            let open = self.writes.gate.is_empty() && self.recovered;
            let device = match self.writes.first.pop_front() {
                Some(device) => device,
                None if open => self.writes.updates.pop_front()?,
                None => return None,
            };
            let wanted = self.wanted(device);
            let claim = self.fleet.device(device).claim().map(ClaimRow::generation);
            let mark = &mut self.writes.marks[device.index()];
            mark.queued = None;
            if !mark.owed || mark.in_flight.is_some() {
                continue;
            }
            match wanted {
                Wanted::Write(Body::Update(..)) if !open => {
                    // It was a Cancel when it was queued, or is retried: it waits its turn.
                    self.writes.gate.remove(&device);
                    self.writes.queue(device, Urgency::Update);
                }
                Wanted::Write(body) => {
                    mark.owed = false;
                    mark.in_flight = Some(body.generation());
                    self.writes.in_flight += 1;
                    let device = self.fleet.device(device).id().clone();
                    return Some(NodeOutput::Write(Request { device, body }));
                }
                Wanted::Unsettled(stream) => {
                    self.writes.wait_for(stream, device);
                }
                Wanted::Forget => {
                    mark.owed = false;
                    let generation = claim.unwrap_or_default();
                    mark.in_flight = Some(generation);
                    self.writes.in_flight += 1;
                    return Some(NodeOutput::Forget(self.to_forget(device), generation));
                }
                Wanted::Nothing => mark.owed = false,
            }
        }
        None
    }

    pub(super) fn sent(&mut self, device: &DeviceId, generation: Generation, delivery: &Delivery) {
        let Some(slot) = self.fleet.find(device) else {
            return;
        };
        let now = self.now.monotonic;
        let away = !self.is_reachable(slot);
        let wanted = self.wanted(slot);
        let mark = &mut self.writes.marks[slot.index()];
        if mark.in_flight.take().is_none() {
            return;
        }
        self.writes.in_flight -= 1;
        match delivery {
            Delivery::Sent => {
                mark.failures = 0;
                mark.sent = Some(generation);
                mark.stray = false;
                // Not by the acknowledgement of what was written before the Cancel.
                match wanted {
                    Wanted::Forget if self.removals.is_forgotten(slot) && !mark.owed => {
                        self.forgotten(slot);
                        return;
                    }
                    Wanted::Write(body) if body.generation() == generation => {
                        self.writes.gate.remove(&slot);
                    }
                    // Looked at again once it is decided what the register holds.
                    Wanted::Unsettled(_) if self.writes.gate.contains(&slot) => mark.owed = true,
                    _ => {}
                }
            }
            Delivery::NotNow if away => {
                // It is written again when the device is there.
                mark.owed = false;
                self.writes.gate.remove(&slot);
            }
            Delivery::NotNow => {
                mark.owed = true;
                mark.failures += 1;
                if mark.failures == GATE_FAILURES_MAX {
                    // One register that can't be written must not stand in every device's way.
                    self.writes.gate.remove(&slot);
                }
                let wait = Duration::from_secs(1 << (mark.failures - 1).min(6));
                if self.writes.linked {
                    self.writes
                        .retries
                        .insert((now + wait.min(Duration::from_mins(1)), slot));
                }
                return;
            }
            Delivery::Refused(why) => {
                self.writes.gate.remove(&slot);
                self.refused(slot, generation, why);
                if !self.writes.marks[slot.index()].owed {
                    return;
                }
            }
        }
        if self.writes.marks[slot.index()].owed {
            self.owe(slot);
        }
        self.compare_levels(slot);
    }

    /// P5: the Update of the operation in force will never be taken.
    fn refused(&mut self, device: DeviceSlot, generation: Generation, why: &str) {
        let Some(claim) = self.fleet.device(device).claim() else {
            return;
        };
        if claim.phase == ClaimPhase::Held && Generation::update(claim.number) == generation {
            let (holder, operation) = (claim.holder, claim.operation);
            self.enqueue(holder, Work::Refused(device, operation, why.into()));
        }
    }
}
