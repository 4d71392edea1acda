//! Folding streams: at the start, after a failure, and for what comes late.

use sortie_core::{
    Campaign, ClaimPhase, ClaimRow, DeviceSlot, Event, Now, OperationId, Output, State, StreamId,
    TargetIndex, Timestamp, campaign::Input,
};
use sortie_ports::{Page, ReadError};

use super::{
    Halt, Interest, Node, NodeOutput, Notice, Refusal, StartOrder, View,
    stream::{Batch, Body, Fold, Slot, Work},
};
use crate::text::full_text;

/// How many streams are folded at once at the start.
const LOADS_AT_ONCE_MAX: usize = 4;
/// After so many failures in a row, about half a minute, a stream that can't be read holds up the
/// recovery no longer. It is tried on, as any stream whose append has failed. What it holds stays held:
/// claims are beside the log.
const READ_FAILURES_MAX: u32 = 8;

impl Slot {
    /// So often in a row its log could not be read.
    fn is_unreadable(&self) -> bool {
        self.failures >= READ_FAILURES_MAX
    }
}

impl Node {
    /// The first thing of all: what the store has.
    pub(super) fn recover(&mut self, claims: Vec<ClaimRow>, streams: Vec<StreamId>) {
        for row in claims {
            let slot = self.slot(&row.device.clone());
            self.fleet.set_claim(slot, Some(row));
        }
        for stream in streams.into_iter().chain([StreamId::Catalog]) {
            self.streams
                .entry(stream)
                .or_insert_with(|| Slot::new(stream));
        }
        self.recovering = self.streams.keys().copied().collect();
        // The catalog first; of the others few at once, since a fold is as large as its campaign.
        self.to_load = self.recovering.iter().copied().collect();
        for _ in 0..LOADS_AT_ONCE_MAX {
            self.load_next();
        }
    }

    fn load_next(&mut self) {
        if let Some(stream) = self.to_load.pop_front() {
            if self
                .streams
                .get(&stream)
                .is_some_and(|slot| matches!(slot.body, Body::Unloaded))
            {
                self.load(stream);
            } else {
                self.load_next();
            }
        }
    }

    pub(super) fn load(&mut self, stream: StreamId) {
        if let Some(slot) = self.streams.get_mut(&stream) {
            slot.body = Body::Loading(Fold::new(stream));
            slot.version = 0;
            slot.retry_at = None;
            self.outputs.push_back(NodeOutput::Read(stream, 0));
        }
    }

    pub(super) fn page(&mut self, stream: StreamId, result: Result<Page, ReadError>) {
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        let Body::Loading(fold) = &mut slot.body else {
            return;
        };
        match result {
            Ok(page) if page.commits.is_empty() => self.loaded(stream),
            Ok(page) => {
                for commit in page.commits {
                    for event in &commit.events {
                        fold.apply(commit.at, event);
                    }
                    for command in &commit.commands {
                        match fold {
                            Fold::Campaign(state) => state.note_command(command.id),
                            // One declaration a commit, see `decide_catalog`.
                            Fold::Catalog(state) => {
                                state.note_command(command.id, commit.events.len());
                            }
                        }
                    }
                    slot.version = commit.first + commit.events.len() as u64 - 1;
                    slot.epoch = slot.epoch.max(commit.epoch);
                }
                self.outputs
                    .push_back(NodeOutput::Read(stream, slot.version));
            }
            Err(ReadError::Corrupt(why)) => self.halt(stream, &why),
            Err(error) => {
                let why = full_text(&error);
                slot.body = Body::Unloaded;
                slot.trouble = Some(why);
                slot.back_off(self.now.monotonic);
                if slot.failures == READ_FAILURES_MAX && self.recovering.contains(&stream) {
                    self.load_next();
                    self.look_if_recovered();
                }
            }
        }
    }

    /// The whole stream is folded.
    fn loaded(&mut self, stream: StreamId) {
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        match std::mem::replace(&mut slot.body, Body::Unloaded) {
            Body::Loading(Fold::Catalog(state)) => {
                slot.body = Body::Catalog(state);
                self.own(stream);
            }
            Body::Loading(Fold::Campaign(state)) => self.campaign_loaded(stream, *state),
            other => slot.body = other,
        }
    }

    fn campaign_loaded(&mut self, stream: StreamId, state: State) {
        let slots: Vec<DeviceSlot> = state
            .devices()
            .iter()
            .map(|device| self.slot(device))
            .collect();
        self.take_claims_from(stream, &state, &slots);
        let now = self.campaign_now(&state);
        let campaign = Campaign::arm(state, slots, &self.fleet, now);
        self.note_progress(stream, &campaign);
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        slot.failures = 0;
        slot.trouble = None;
        slot.note_snapshot(stream, &campaign);
        let queries = std::mem::take(&mut slot.queries);
        let asked = !queries.is_empty();
        let trouble = slot.start.trouble().map(str::to_owned);
        for query in queries {
            (query.ask)(Ok(View::new(&campaign, self, trouble.as_deref())));
        }
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        // Nobody but a late report can add to it, and there is none (L6).
        if campaign.state().is_over() && slot.inbox.is_empty() {
            if asked && matches!(stream, StreamId::Campaign(_)) {
                self.keep(stream, Box::new(campaign));
            }
            self.there(stream);
            return;
        }
        self.interest(stream, &campaign);
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        slot.body = Body::Campaign(Box::new(campaign));
        if slot.owned {
            // Unloaded by ourselves, and ours still: its version was checked by every append.
            self.there(stream);
            self.touch(stream);
        } else {
            self.own(stream);
        }
    }

    /// The claims of a stream's last operations, as its log has them: after an unknown append they
    /// may be ahead of what this node had committed. Higher numbers win.
    fn take_claims_from(&mut self, stream: StreamId, state: &State, slots: &[DeviceSlot]) {
        for (index, slot) in (0..).map(TargetIndex).zip(slots) {
            if let Some(row) = claim_of(stream, state, index, state.operation(index)) {
                let present = self.claims.committed(&self.fleet, *slot);
                let newer = present.is_none_or(|present| {
                    row.number > present.number
                        || row.number == present.number && row.operation == present.operation
                });
                if newer && present != Some(&row) {
                    self.claims.learn(&mut self.fleet, *slot, Some(row));
                    self.device_changed(*slot);
                } else if !newer && row.phase == ClaimPhase::Open {
                    self.claims.replaced.note(*slot, row.operation, stream);
                }
            }
        }
    }

    /// Registers the campaign as interested in its devices, in the order of starts (O2).
    fn interest(&mut self, stream: StreamId, campaign: &Campaign) {
        let Some(started) = campaign.state().started_at() else {
            return;
        };
        let order = match self.streams.get(&stream).map_or(i64::MAX, Slot::order) {
            // It started before this node: wall time is all that is known of the order.
            i64::MAX => order_of(stream, started),
            order => order,
        };
        if matches!(stream, StreamId::Campaign(_)) {
            self.last_order = self.last_order.max(order);
        }
        if let Some(slot) = self.streams.get_mut(&stream) {
            slot.order = order;
        }
        self.interest_at(order, stream, campaign);
    }

    /// The place of a campaign that starts now: after all that have, also when wall time has stepped back.
    pub(super) fn next_order(&mut self, stream: StreamId, started: Timestamp) -> StartOrder {
        if matches!(stream, StreamId::Manual(_)) {
            return order_of(stream, started);
        }
        self.last_order = started.0.max(self.last_order + 1);
        self.last_order
    }

    pub(super) fn interest_at(&mut self, order: StartOrder, stream: StreamId, campaign: &Campaign) {
        for (target, slot) in (0..).map(TargetIndex).zip(campaign.slots()) {
            let interests = &mut self.interested[slot.index()];
            if !interests.iter().any(|interest| interest.stream == stream) {
                let at = interests.partition_point(|i| (i.order, i.stream) < (order, stream));
                interests.insert(
                    at,
                    Interest {
                        order,
                        stream,
                        target,
                    },
                );
            }
        }
    }

    pub(super) fn lose_interest(&mut self, stream: StreamId, campaign: &Campaign) {
        for slot in campaign.slots() {
            self.interested[slot.index()].retain(|interest| interest.stream != stream);
        }
    }

    /// Takes the stream over: a new epoch and nonce, durably, before anything else. What an earlier owner
    /// may still append is refused from then on.
    fn own(&mut self, stream: StreamId) {
        let nonce = self.nonce();
        let Some(mut slot) = self.streams.remove(&stream) else {
            return;
        };
        let epoch = slot.epoch + 1;
        let mut batch = match &mut slot.body {
            Body::Catalog(state) => {
                let event = sortie_core::CatalogEvent::CatalogOwnerChanged { epoch, nonce };
                let at = self.now.wall.max(state.last_at());
                state.apply(at, &event);
                Batch { at, ..event.into() }
            }
            Body::Campaign(campaign) => {
                let now = self.campaign_now(campaign.state());
                let mut out = Output::default();
                let input = Input::Own { epoch, nonce };
                // Owning is never refused; `handle` refuses commands only.
                let _ = campaign.handle(&self.fleet, input, now, &mut out);
                let events = out.events.into_iter().map(Event::Campaign).collect();
                Batch {
                    at: now.at,
                    events,
                    ..Batch::default()
                }
            }
            _ => {
                self.streams.insert(stream, slot);
                return;
            }
        };
        batch.owns = true;
        slot.epoch = epoch;
        slot.batch = Some(batch);
        self.append(stream, &slot);
        self.streams.insert(stream, slot);
    }

    /// A stream is there, or never will be: what waited for it can be looked at again.
    pub(super) fn there(&mut self, stream: StreamId) {
        self.settled(stream);
        if !self.recovering.remove(&stream) {
            return;
        }
        self.load_next();
        if self.recovered {
            self.hear_early();
        } else {
            self.look_if_recovered();
        }
    }

    /// The recovery is over once no stream is waited for any more: requests may leave from now on.
    fn look_if_recovered(&mut self) {
        let waited_for = |stream| {
            self.streams
                .get(stream)
                .is_none_or(|slot| !slot.is_unreadable())
        };
        if self.recovered || self.recovering.iter().any(waited_for) {
            return;
        }
        self.recovered = true;
        self.clock
            .listen(self.fleet.is_linked(), self.now.monotonic);
        self.hear_early();
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            self.touch(stream);
        }
    }

    fn hear_early(&mut self) {
        for command in std::mem::take(&mut self.early) {
            self.command(command);
        }
    }

    pub(super) fn halt(&mut self, stream: StreamId, why: &str) {
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        let halt = Halt::of(stream, slot, why, false);
        slot.body = Body::Halted(why.into());
        slot.batch = None;
        slot.changed.clear();
        if let Some(progress) = &mut slot.progress {
            progress.halted = Some(why.into());
        }
        let queries = std::mem::take(&mut slot.queries);
        let mut asks = std::mem::take(&mut slot.deciding);
        while let Some(work) = slot.inbox.pop() {
            if let Work::Command(command) = work {
                asks.push(command.ask);
            }
        }
        for query in queries {
            (query.ask)(Err(Refusal::halted(stream, why)));
        }
        self.removals_failed(stream, why);
        for ask in asks {
            self.reply(ask, Err(Refusal::halted(stream, why)));
        }
        self.outputs.push_back(NodeOutput::Progress(stream));
        let text = format!("halted: {halt}; a restart is needed");
        self.notice(Notice::Halted(text));
        self.there(stream);
    }

    pub(super) fn campaign_now(&self, state: &State) -> Now {
        Now {
            at: self.now.wall.max(state.last_at()),
            listened: self.clock.now(self.now.monotonic),
        }
    }
}

/// O2: manual updates come before all campaigns, by the time when they were asked for.
fn order_of(stream: StreamId, started: Timestamp) -> StartOrder {
    match stream {
        StreamId::Manual(_) => started.0.saturating_add(i64::MIN / 2),
        _ => started.0,
    }
}

/// The claim of a target's last operation as its campaign's state has it.
pub(super) fn claim_of(
    stream: StreamId,
    state: &State,
    index: TargetIndex,
    operation: Option<OperationId>,
) -> Option<ClaimRow> {
    let target = state.target(index)?;
    let phase: ClaimPhase = target.claim_phase()?;
    Some(ClaimRow {
        device: state.device(index)?.clone(),
        number: target.claim,
        holder: stream,
        operation: operation?,
        phase,
    })
}
