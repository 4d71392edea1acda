//! Devices that are removed from the inventory (D1): told, or found out before a push.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use sortie_core::{CatalogEvent, ClaimPhase, DeviceSlot, StreamId};
use sortie_ports::Forget;

use super::{
    Node, NodeOutput, Notice,
    command::{Command, NodeCommand, Refusal},
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
    under_way: HashMap<RemovalId, Removal>,
    last: u64,
    /// Devices of which all that is retained is to be deleted, once nothing is in force on them. Their
    /// removal is durable.
    forget: BTreeSet<DeviceSlot>,
    /// Why the inventory could not say whether devices exist, for `health()`.
    pub(super) trouble: Option<String>,
    /// Its last answer was none. Unlike `trouble`, which says no more than is known, this stands until it
    /// answers: what is said of it in the log has a beginning and an end.
    away: bool,
}

/// One device's removal, until every stream that is concerned has it in its log. The catalog is the last:
/// that it has it says that the command was carried out (K1).
#[derive(Debug)]
struct Removal {
    device: DeviceSlot,
    streams_left: BTreeSet<StreamId>,
    /// Who told of it; nobody if the engine has found out.
    command: Option<Command>,
}

impl Removals {
    /// Whether what is retained of a device is to be deleted.
    pub(super) fn is_forgotten(&self, device: DeviceSlot) -> bool {
        self.forget.contains(&device)
    }
}

impl Node {
    /// A removal that an application tells of is recorded in the catalog, which answers it, once every
    /// stream that is concerned has it in its log. `None`: it waits for that.
    pub(super) fn record_removal(&mut self, command: &Command) -> Option<CatalogEvent> {
        let device = match &command.what {
            NodeCommand::RecordRemoval(device) => device.clone(),
            NodeCommand::DeviceRemoved(device) if self.recovered => {
                let slot = self.slot(device);
                if self.remove(slot, Some(command)) {
                    return None;
                }
                device.clone()
            }
            _ => {
                self.early.push(command.clone());
                return None;
            }
        };
        Some(CatalogEvent::DeviceRemovalRecorded { device })
    }

    /// Tells every stream that is concerned. Answers whether there is any.
    fn remove(&mut self, device: DeviceSlot, command: Option<&Command>) -> bool {
        self.fleet.unconfirm(device);
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
        if streams.is_empty() {
            self.forget(device);
            return false;
        }
        let removal = Removal {
            device,
            streams_left: streams.clone(),
            command: command.cloned(),
        };
        self.removals.under_way.insert(id, removal);
        for stream in streams {
            self.enqueue(stream, Work::Removed(device, id, command.cloned()));
        }
        true
    }

    /// One more stream has it in its log.
    pub(super) fn removal_recorded(&mut self, id: RemovalId, stream: StreamId) {
        let Some(removal) = self.removals.under_way.get_mut(&id) else {
            return;
        };
        removal.streams_left.remove(&stream);
        if removal.streams_left.is_empty()
            && let Some(removal) = self.removals.under_way.remove(&id)
        {
            self.forget(removal.device);
            if let Some(command) = removal.command {
                let device = self.fleet.device(removal.device).id().clone();
                self.command(Command {
                    what: NodeCommand::RecordRemoval(device),
                    ..command
                });
            }
        }
    }

    /// All streams have it in their logs: what is retained of the device can go.
    fn forget(&mut self, device: DeviceSlot) {
        self.removals.forget.insert(device);
        self.owe(device);
    }

    /// A stream that stands still can't record any: what is retained stays.
    pub(super) fn removals_failed(&mut self, stream: StreamId, why: &str) {
        let under_way = self.removals.under_way.iter();
        let failed: Vec<RemovalId> = under_way
            .filter(|(_, removal)| removal.streams_left.contains(&stream))
            .map(|(id, _)| *id)
            .collect();
        for id in failed {
            let removal = self.removals.under_way.remove(&id);
            if let Some(command) = removal.and_then(|removal| removal.command) {
                self.reply(command.ask, Err(Refusal::halted(stream, why)));
            }
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

    /// The inventory has the device, or has it again: what is retained of it stays.
    pub(super) fn exists(&mut self, device: DeviceSlot) {
        self.fleet.confirm(device);
        self.removals.forget.remove(&device);
    }

    pub(super) fn forgotten(&mut self, device: DeviceSlot) {
        self.removals.forget.remove(&device);
    }

    /// What the inventory said some time ago counts no longer.
    pub(super) fn confirm_anew(&mut self) {
        if self.config.confirm_devices && self.now.monotonic >= self.next_round {
            self.fleet.confirm_anew();
            self.removals.trouble = None;
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
                if std::mem::take(&mut self.removals.away) {
                    let text = "inventory: it says again which devices still exist";
                    self.notice(Notice::Over(text.into()));
                }
                exist.into_iter().map(Some).collect()
            }
            // An inventory that is away holds up no push.
            other => {
                let why = other
                    .err()
                    .unwrap_or_else(|| "the inventory did not answer for each device".to_owned());
                if !std::mem::replace(&mut self.removals.away, true) {
                    let text = format!("inventory: it can't say which devices still exist: {why}");
                    self.notice(Notice::Begins(text));
                }
                self.removals.trouble = Some(why);
                vec![None; devices.len()]
            }
        };
        for (device, exists) in devices.into_iter().zip(exist) {
            match exists {
                Some(true) => self.exists(device),
                Some(false) => drop(self.remove(device, None)),
                None => self.fleet.confirm(device),
            }
        }
        self.touch(stream);
    }
}
