//! The sans-IO node: everything that a campaign engine does, but the doing.
//!
//! ```text
//!  NodeInput ──▶ Node::handle ─▶ inboxes of streams ─▶ Campaign ─▶ Append ─┐
//!                                                                          ▼ NodeOutput
//!  NodeOutput ◀── Node::poll ◀── registers, replies, progress ◀── Appended(Ok)
//! ```
//!
//! Call [`Node::handle`] for everything that happens, as much as waits; then [`Node::poll`] until it
//! answers `None`, performing each output; then wait for the next thing, at most until
//! [`Node::wake`]. Outputs may be performed concurrently, but writes of one device are never given
//! out two at a time, and appends of one stream neither.
//!
//! - **Everything durable first.** A batch of a stream is decided in memory and appended once; its
//!   registers, replies and progress leave after the commit (invariant 8).
//! - **One failure path.** Whatever goes wrong with an append: the in-memory campaign is dropped, the
//!   log folded again, the stream owned again under a new epoch, and the batch's inputs, which were
//!   kept, are handed in again.
//! - **An effect is a level.** A request register is computed from committed state when it leaves, so
//!   that recovery, reconnect, retry and first send are one call.

mod claims;
mod clock;
mod command;
mod commit;
mod delete;
mod health;
mod history;
mod io;
mod kept;
mod load;
mod notice;
mod process;
mod progress;
mod registers;
mod removal;
mod retry;
mod start;
mod steps;
mod stream;
mod upload;
mod view;
mod whose;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sortie_core::{Campaign, ClaimPhase, DeviceId, DeviceSlot, Fleet, OperationId, StreamId};
use sortie_protocol::{Presence, Progress as DeviceProgress, Report, Route};
use uuid::Uuid;

use claims::Claims;
use clock::ListeningClock;
use kept::Kept;
use registers::Writes;
use removal::Removals;
use steps::Steps;
use stream::{Body, Slot, Work};

pub(crate) use command::named;
pub use command::{Command, Done, NodeCommand, Refusal};
pub use health::{Halt, NodeHealth};
pub(crate) use history::Snapshot;
pub use io::{Append, Ask, Clocks, Config, NodeInput, NodeOutput, Query, Resolve};
pub use notice::Notice;
pub use progress::{Kinds, Progress};
pub use steps::ClockStep;
pub use view::View;

/// Owns campaigns, claims, the fleet's table, batching and recovery. See the module.
#[derive(Debug)]
pub struct Node {
    config: Config,
    now: Clocks,
    clock: ListeningClock,
    fleet: Fleet,
    claims: Claims,
    /// Which started campaigns have a device as a target, by slot, in the order of their start (O2).
    interested: Vec<Vec<Interest>>,
    streams: BTreeMap<StreamId, Slot>,
    /// Streams with something to do, in the order of O2.
    dirty: BTreeSet<(StartOrder, StreamId)>,
    /// Streams of the first recovery that are not there yet.
    recovering: BTreeSet<StreamId>,
    /// None of them is waited for any more: requests may leave.
    recovered: bool,
    writes: Writes,
    outputs: VecDeque<NodeOutput>,
    nonces: u64,
    /// Streams of the first recovery that are not being folded yet.
    to_load: VecDeque<StreamId>,
    /// The latest place given out in the order of starts (O2).
    last_order: StartOrder,
    dropped_reports: u64,
    /// Commands that wait for all streams to have been folded.
    early: Vec<Command>,
    removals: Removals,
    kept: Kept,
    /// When what the inventory said of devices is too old.
    next_round: std::time::Duration,
    steps: Steps,
}

/// A campaign's place in the order of O2: the catalog, then campaigns by their start.
type StartOrder = i64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Interest {
    order: StartOrder,
    stream: StreamId,
    target: sortie_core::TargetIndex,
}

impl Node {
    /// A node that knows nothing yet: give it [`NodeInput::Recover`] first.
    pub fn new(config: Config, now: Clocks) -> Self {
        let mut fleet = Fleet::default();
        fleet.time(now.wall);
        // Until the link is up, it is down since now.
        fleet.link(false);
        Self {
            config,
            now,
            clock: ListeningClock::new(config.settle),
            fleet,
            claims: Claims::default(),
            interested: vec![],
            streams: BTreeMap::new(),
            dirty: BTreeSet::new(),
            recovering: BTreeSet::new(),
            recovered: false,
            writes: Writes::default(),
            outputs: VecDeque::new(),
            nonces: 0,
            to_load: VecDeque::new(),
            last_order: i64::MIN + 1,
            dropped_reports: 0,
            early: vec![],
            removals: Removals::default(),
            kept: Kept::default(),
            next_round: std::time::Duration::ZERO,
            steps: Steps::new(now),
        }
    }

    /// Takes note of something that happened at `now`.
    pub fn handle(&mut self, input: NodeInput, now: Clocks) {
        self.now = Clocks {
            wall: now.wall,
            monotonic: self.now.monotonic.max(now.monotonic),
        };
        self.confirm_anew();
        self.steps.look(self.now);
        self.fleet.time(self.now.wall);
        match input {
            NodeInput::Recover { claims, streams } => self.recover(claims, streams),
            NodeInput::Link(up) => self.link(up),
            NodeInput::Presence(device, presence) => self.presence(&device, &presence),
            NodeInput::Report(device, route, report) => {
                self.report(&device, route.as_ref(), *report);
            }
            NodeInput::Progress(device, progress) => self.progress_heard(&device, progress),
            NodeInput::Command(command) => self.command(command),
            NodeInput::Query(query) => self.query(query),
            NodeInput::Appended(stream, result) => self.appended(stream, result),
            NodeInput::Page(stream, result) => self.page(stream, result),
            NodeInput::Sent(device, generation, delivery) => {
                self.sent(&device, generation, &delivery);
            }
            NodeInput::Resolved(campaign, result) => self.resolved(campaign, result),
            NodeInput::Exist(stream, result) => self.exist(stream, result),
            NodeInput::UploadDeleted(update, result) => self.upload_deleted(update, result),
            NodeInput::Tick => self.tick(),
        }
    }

    /// The next thing to perform; `None` when all is done for now.
    pub fn poll(&mut self) -> Option<NodeOutput> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            if let Some(write) = self.next_write() {
                return Some(write);
            }
            let (_, stream) = self.dirty.pop_first()?;
            self.process(stream);
        }
    }

    /// When [`NodeInput::Tick`] is due at the latest, on the monotonic clock.
    pub fn wake(&self) -> Option<std::time::Duration> {
        let streams = self
            .streams
            .values()
            .filter_map(|slot| self.stream_wake(slot));
        let others = [self.writes.next_retry(), self.kept.next_end()];
        streams.chain(others.into_iter().flatten()).min()
    }

    /// The table of devices, as heard and as committed.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Whether all streams that there were at the start have been folded, but for those that can't be
    /// read for long: `health()` names them.
    pub fn is_recovered(&self) -> bool {
        self.recovered
    }

    fn stream_wake(&self, slot: &Slot) -> Option<std::time::Duration> {
        let campaign = slot.settled_campaign();
        let timer = campaign
            .and_then(Campaign::next_due)
            .and_then(|due| self.clock.monotonic(due));
        let start = campaign.and_then(|campaign| self.start_wake(slot, campaign));
        [slot.retry_at, timer, start].into_iter().flatten().min()
    }

    fn tick(&mut self) {
        self.let_go_unasked();
        for device in self.writes.retry_due(self.now.monotonic) {
            self.compare_levels(device);
        }
        let due: Vec<StreamId> = self
            .streams
            .iter()
            .filter(|(_, slot)| {
                self.stream_wake(slot)
                    .is_some_and(|at| at <= self.now.monotonic)
            })
            .map(|(stream, _)| *stream)
            .collect();
        for stream in due {
            self.touch(stream);
        }
    }

    fn link(&mut self, up: bool) {
        self.fleet.link(up);
        self.clock.listen(up && self.recovered, self.now.monotonic);
        self.writes.link(up);
        if up {
            self.owe_all_in_force();
            self.owe_forgotten();
        }
    }

    fn presence(&mut self, device: &DeviceId, presence: &Presence) {
        let slot = self.slot(device);
        match presence {
            Presence::Online(birth) => {
                self.fleet.online(slot, birth);
                self.writes.born(slot, birth.generation, birth.behind);
                self.owe_at_presence(slot);
                self.compare_levels(slot);
            }
            Presence::Offline { session, .. } => {
                self.fleet.offline(slot, session);
            }
        }
        self.device_changed(slot);
    }

    fn report(&mut self, device: &DeviceId, route: Option<&Route>, report: Report) {
        let Some(slot) = self.fleet.find(device) else {
            self.dropped_reports += 1;
            return;
        };
        if let Some(generation) = report.generation {
            self.fleet.heard_generation(slot, generation);
        }
        let claim = self.fleet.device(slot).claim();
        let operation = OperationId(report.operation);
        let named = claim
            .is_some_and(|claim| claim.operation == operation && claim.phase != ClaimPhase::Free);
        let stream = self.whose(slot, route, operation);
        if !named {
            self.stray(slot);
        }
        // After a campaign's end only a terminal word can add to its log (R5).
        let over = |stream: &StreamId| {
            let slot = self.streams.get(stream);
            let rests = |s: &Slot| matches!(s.body, Body::Unloaded | Body::Kept(_));
            slot.is_some_and(|s| rests(s) && s.is_over())
        };
        match stream {
            Some(stream) if report.status.is_terminal() || !over(&stream) => {
                self.enqueue(stream, Work::Report(slot, report));
            }
            _ => self.dropped_reports += 1,
        }
    }

    fn progress_heard(&mut self, device: &DeviceId, progress: DeviceProgress) {
        let Some(slot) = self.fleet.find(device) else {
            return;
        };
        let claim = self.fleet.device(slot).claim();
        // Once its operation has ended it says nothing (C3), and the campaign may be unloaded.
        let under_way = claim.filter(|claim| {
            claim.phase == ClaimPhase::Held && claim.operation.0 == progress.operation
        });
        if let Some(stream) = under_way.map(|claim| claim.holder) {
            self.enqueue(stream, Work::Progress(slot, progress));
        }
    }

    /// The fleet's entry of a device changed: the campaigns that target it look again, in the order
    /// of their start (O2).
    fn device_changed(&mut self, slot: DeviceSlot) {
        for interest in &self.interested[slot.index()] {
            if let Some(stream) = self.streams.get_mut(&interest.stream) {
                if matches!(stream.body, Body::Campaign(_)) {
                    stream.changed.insert(interest.target);
                }
                self.dirty.insert((interest.order, interest.stream));
            }
        }
    }

    fn slot(&mut self, device: &DeviceId) -> DeviceSlot {
        let slot = self.fleet.slot(device);
        if self.interested.len() <= slot.index() {
            self.interested.resize(slot.index() + 1, vec![]);
            self.writes.grow(slot.index() + 1);
        }
        slot
    }

    /// The stream is looked at before the next `poll` answers `None`.
    fn touch(&mut self, stream: StreamId) {
        let order = self.streams.get(&stream).map_or(i64::MAX, Slot::order);
        self.dirty.insert((order, stream));
    }

    fn enqueue(&mut self, stream: StreamId, work: Work) {
        let now = self.now.monotonic;
        // What was kept for questions has no place among those who are at work: it is folded anew.
        self.let_go(stream);
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        match slot.body {
            // It stands until a restart, and so would what waits for it.
            Body::Halted(_) => {
                self.dropped_reports += u64::from(matches!(work, Work::Report(..)));
                return;
            }
            // While an outage is waited out, work waits too.
            Body::Unloaded if slot.retry_at.is_none() => {
                let again = slot.loaded_at.map(|at| at + LATE_LOAD_INTERVAL);
                match (&work, again) {
                    // No device can make a finished campaign be folded over and over.
                    (Work::Report(..), Some(again)) if again > now => {
                        slot.retry_at = Some(again);
                        slot.loaded_at = Some(again);
                    }
                    (Work::Report(..), _) => {
                        slot.loaded_at = Some(now);
                        self.load(stream);
                    }
                    _ => self.load(stream),
                }
            }
            _ => {}
        }
        if let Some(slot) = self.streams.get_mut(&stream) {
            slot.inbox.push(work);
        }
        self.touch(stream);
    }

    /// A fresh nonce: random, since the driver drew the seed, and the same for a test's seed.
    fn nonce(&mut self) -> Uuid {
        self.nonces += 1;
        Uuid::new_v5(&self.config.seed, &self.nonces.to_be_bytes())
    }
}

/// How often at most a finished campaign is folded again for reports that come after its end.
const LATE_LOAD_INTERVAL: std::time::Duration = std::time::Duration::from_secs(10);
