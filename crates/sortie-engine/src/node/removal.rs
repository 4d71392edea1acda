//! Devices that are removed from the inventory (D1): told, or found out before a push.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use sortie_core::{ClaimPhase, DeviceSlot, StreamId};
use sortie_ports::Forget;

use super::{
    Node, NodeOutput,
    command::{Command, Done, NodeCommand, Refusal},
    stream::{Slot, Work},
};

/// What the inventory said of a device holds this long, and at most twice as long.
const ROUND: Duration = Duration::from_mins(5);

/// Names a removal that several streams have to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RemovalId(u64);

/// Removals under way.
#[derive(Debug, Default)]
pub(super) struct Removals {
    /// Commands that came before all streams were folded.
    early: Vec<Command>,
    under_way: HashMap<RemovalId, Removal>,
    last: u64,
    /// Devices of which all that is retained is to be deleted, once nothing is in force on them. Their
    /// removal is durable.
    forget: BTreeSet<DeviceSlot>,
    /// Why the inventory could not be asked, for `health()`.
    pub(super) trouble: Option<String>,
}

/// One device's removal, until every stream that is concerned has it in its log.
#[derive(Debug)]
struct Removal {
    device: DeviceSlot,
    streams_left: usize,
    /// The command that it is the answer to; none if the engine has found out.
    ask: Option<u64>,
}

impl Removals {
    /// Whether what is retained of a device is to be deleted.
    pub(super) fn is_forgotten(&self, device: DeviceSlot) -> bool {
        self.forget.contains(&device)
    }
}

impl Node {
    /// An application says that a device is gone. Answered once every stream that is concerned has it in
    /// its log.
    pub(super) fn device_removed(&mut self, command: Command) {
        if !self.recovered {
            self.removals.early.push(command);
            return;
        }
        if let NodeCommand::DeviceRemoved(id) = &command.what {
            let device = self.slot(&id.clone());
            self.remove(device, Some(&command));
        }
    }

    /// All streams are folded: what had to wait for that is done now.
    pub(super) fn early_removals(&mut self) {
        for command in std::mem::take(&mut self.removals.early) {
            self.device_removed(command);
        }
    }

    /// Tells every stream that is concerned.
    fn remove(&mut self, device: DeviceSlot, command: Option<&Command>) {
        let claim = self.claims.committed(&self.fleet, device);
        let claim = claim.filter(|claim| claim.phase != ClaimPhase::Free);
        let mut streams: BTreeSet<StreamId> = self.interested[device.index()]
            .iter()
            .map(|interest| interest.stream)
            .collect();
        streams.extend(claim.map(|claim| claim.holder));
        // Of those that are being folded it is not known yet whom they target.
        let folding = self.streams.iter().filter(|(_, slot)| slot.is_folding());
        streams.extend(folding.map(|(stream, _)| *stream));
        streams.retain(|stream| {
            let slot = self.streams.get(stream);
            *stream != StreamId::Catalog && slot.is_some_and(|slot| !slot.is_halted())
        });
        self.removals.last += 1;
        let id = RemovalId(self.removals.last);
        let removal = Removal {
            device,
            // And one for the loop below, so that it is not over before all are told.
            streams_left: streams.len() + 1,
            ask: command.map(|command| command.ask),
        };
        self.removals.under_way.insert(id, removal);
        for stream in streams {
            self.enqueue(stream, Work::Removed(device, id, command.cloned()));
        }
        self.removal_recorded(id);
    }

    /// One more stream has it in its log. After the last what is retained of the device can go.
    pub(super) fn removal_recorded(&mut self, id: RemovalId) {
        let Some(removal) = self.removals.under_way.get_mut(&id) else {
            return;
        };
        removal.streams_left -= 1;
        if removal.streams_left > 0 {
            return;
        }
        let (device, ask) = (removal.device, removal.ask);
        self.removals.under_way.remove(&id);
        self.removals.forget.insert(device);
        self.owe(device);
        if let Some(ask) = ask {
            self.reply(ask, Ok(Done::Accepted));
        }
    }

    /// A stream that stands still can't record it: what is retained stays.
    pub(super) fn removal_failed(&mut self, id: RemovalId, why: &str) {
        let removal = self.removals.under_way.remove(&id);
        if let Some(ask) = removal.and_then(|removal| removal.ask) {
            self.reply(ask, Err(Refusal::Halted(why.into())));
        }
    }

    /// After the link's return: what could not be deleted before.
    pub(super) fn owe_forgotten(&mut self) {
        for device in self.removals.forget.clone() {
            self.owe(device);
        }
    }

    /// What is to be deleted of a device: its last report registers are those of its claim and of the
    /// streams that target it.
    pub(super) fn to_forget(&self, device: DeviceSlot) -> Forget {
        let claim = self.fleet.device(device).claim();
        let mut reports: Vec<_> = claim
            .map(|claim| (claim.holder.route(), claim.operation.0))
            .into_iter()
            .collect();
        for interest in &self.interested[device.index()] {
            let campaign = self
                .streams
                .get(&interest.stream)
                .and_then(Slot::settled_campaign);
            let operation = campaign.and_then(|c| c.state().operation(interest.target));
            reports.extend(operation.map(|operation| (interest.stream.route(), operation.0)));
        }
        reports.sort_unstable();
        reports.dedup();
        Forget::new(self.fleet.device(device).id().clone(), reports)
    }

    pub(super) fn forgotten(&mut self, device: DeviceSlot) {
        self.removals.forget.remove(&device);
    }

    /// What the inventory said some time ago counts no longer.
    pub(super) fn confirm_anew(&mut self) {
        if self.config.confirm_devices && self.now.monotonic >= self.next_round {
            self.fleet.confirm_anew();
            self.next_round = self.now.monotonic + ROUND;
        }
    }

    /// Asks the inventory for the devices that are to be pushed next.
    pub(super) fn ask_whether_exist(
        &mut self,
        stream: StreamId,
        slot: &mut Slot,
        devices: Vec<DeviceSlot>,
    ) {
        if devices.is_empty() || !slot.confirming.is_empty() {
            return;
        }
        let ids = devices.iter().map(|slot| self.fleet.device(*slot).id());
        let ids = ids.cloned().collect();
        slot.confirming = devices;
        self.outputs.push_back(NodeOutput::Exist(stream, ids));
    }

    pub(super) fn exist(&mut self, stream: StreamId, result: Result<Vec<bool>, String>) {
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        let devices = std::mem::take(&mut slot.confirming);
        let exist = match result {
            Ok(exist) if exist.len() == devices.len() => {
                self.removals.trouble = None;
                exist
            }
            // An inventory that is away holds up no push.
            other => {
                let why = other
                    .err()
                    .unwrap_or_else(|| "the inventory did not answer for each device".to_owned());
                self.removals.trouble = Some(why);
                vec![true; devices.len()]
            }
        };
        for (device, exists) in devices.into_iter().zip(exist) {
            self.fleet.confirm(device);
            if exists {
                self.removals.forget.remove(&device);
            } else {
                self.remove(device, None);
            }
        }
        self.touch(stream);
    }
}
