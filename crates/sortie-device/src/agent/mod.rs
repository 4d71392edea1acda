//! The agent: a state machine without clock, randomness or I/O.
//!
//! A driver gives it what happened ([`Agent::handle`]), performs its [`Effect`]s in order
//! ([`Agent::poll`]), and publishes what it wants told ([`Agent::publish`]), one at a time. The one
//! rule of order: a [`Effect::Store`] is durable before any later effect, and before any publish,
//! so that nothing is told or begun that a power cut could make forgotten.
//!
//! The agent believes the flash about what was booted ([`Boot`]), and its journal about the rest.

mod checks;
mod download;
mod input;
mod operation;
mod presence;
mod record;
mod registers;
mod requests;
mod start;
#[cfg(test)]
mod tests;

use alloc::{collections::VecDeque, vec::Vec};

pub use input::{Effect, Geometry, Input, Publish};
use operation::{Phase, Work};
pub use record::RECORD_BYTES_MAX;
use record::{Outcome, Record};
use registers::Wire;
use sortie_protocol::{Report, Uuid};

use crate::{
    ports::{Boot, Millis},
    settings::{Identity, Settings},
};

/// One device's agent, from one boot to the next.
///
/// Calls, in this order: [`Self::start`] with what the boot said; then for each thing that happens
/// [`Self::handle`], [`Self::poll`] until it is empty, [`Self::publish`] until it is empty or
/// one is under way; and [`Input::Tick`] at [`Self::next_due`].
#[derive(Debug)]
pub struct Agent {
    settings: Settings,
    identity: Identity,
    geometry: Geometry,
    record: Record,
    /// The record has changed in the input being handled.
    unsaved: bool,
    /// What the input being handled leads to, once the record is stored.
    next: Vec<Effect>,
    effects: VecDeque<Effect>,
    work: Work,
    wire: Wire,
    /// The operation that brought the confirmed image.
    installed: Option<Uuid>,
}

impl Agent {
    /// Starts after a boot: `boot` is what the slots say, `journal` the newest stored record.
    pub fn start(
        boot: &Boot,
        journal: Option<&[u8]>,
        geometry: Geometry,
        identity: Identity,
        settings: Settings,
        now: Millis,
    ) -> Self {
        let record = journal.and_then(Record::decode);
        let fresh = record.is_none();
        let mut agent = Self {
            settings,
            identity,
            geometry,
            record: record.unwrap_or_else(Record::fresh),
            unsaved: fresh,
            next: Vec::new(),
            effects: VecDeque::new(),
            work: Work::default(),
            wire: Wire::default(),
            installed: boot.installed,
        };
        agent.take_up(boot, now);
        agent.advance(now);
        agent.commit();
        agent
    }

    /// Takes in what happened at `now`. Inputs that nothing waits for are ignored.
    pub fn handle(&mut self, input: Input<'_>, now: Millis) {
        match input {
            Input::Connected { session } => self.connected(session),
            Input::Disconnected => self.disconnected(),
            Input::Request(payload) => self.request(payload, now),
            Input::OwnPresence(presence) => self.own_presence(presence, now),
            Input::OwnReport {
                route,
                operation,
                present,
            } => self.own_report(route, operation, present),
            Input::Published(acknowledged) => self.published(acknowledged, now),
            Input::Answered {
                offset,
                total,
                etag,
            } => self.answered(offset, total, etag, now),
            Input::Received => self.received(now),
            Input::Differs { offset } => self.differs(offset),
            Input::Written { end } => self.written(end, now),
            Input::FetchEnded(result) => self.fetch_ended(result, now),
            Input::FlashFailed(message) => self.flash_failed(&message),
            Input::Digest(result) => self.digest(result, now),
            Input::Marked(result) => self.marked(result.is_ok(), now),
            Input::Health(result) => self.health(&result),
            Input::Confirmed(result) => self.confirmed(result.is_ok()),
            Input::Rejected => self.rejected(),
            Input::Tick => {}
        }
        self.due(now);
        self.take_deferred(now);
        self.advance(now);
        self.commit();
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// What is to be published now. `None` also while a publish is under way, without a
    /// connection, and while effects wait. After one, [`Input::Published`] must follow.
    pub fn publish(&mut self, now: Millis) -> Option<Publish> {
        if self.effects.is_empty() {
            self.next_publish(now)
        } else {
            None
        }
    }

    /// When [`Input::Tick`] is due, if nothing else happens before.
    pub fn next_due(&self) -> Option<Millis> {
        let due = [self.work_due(), self.wire_due()];
        due.into_iter().flatten().min()
    }

    /// The operation under way and where it is with it.
    pub fn current(&self) -> Option<Report> {
        self.current_report()
    }

    /// The result of an operation, if it is remembered (A3).
    pub fn result(&self, operation: Uuid) -> Option<Report> {
        let outcome = self.record.outcome(operation)?;
        Some(outcome.report(self.record.generation))
    }

    /// Ends the operation under way with its one outcome.
    fn end(&mut self, outcome: Outcome) {
        let Some(operation) = self.record.current.take() else {
            return;
        };
        if matches!(self.work.phase, Phase::Fetching) {
            self.next.push(Effect::StopFetch);
        }
        self.work = Work::default();
        self.record.finish(outcome);
        if let Some(route) = operation.route {
            self.show(operation.operation, route);
        }
        self.unsaved = true;
    }

    /// Puts the record in front of what depends on it.
    fn commit(&mut self) {
        if core::mem::take(&mut self.unsaved) {
            self.effects.push_back(Effect::Store(self.record.encode()));
        }
        self.effects.extend(self.next.drain(..));
    }
}
