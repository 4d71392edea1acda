//! Which streams ever had a device as a target.

use std::sync::Arc;

use sortie_core::{Campaign, DeviceId, DeviceSlot, StreamId, Timestamp};

use super::{Node, stream::Slot};

/// The devices of a stream's targets, kept also when it is unloaded: 4 B a target, so that a device's
/// history needs no table of its own.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) stream: StreamId,
    pub(crate) started_at: Timestamp,
    /// By target index.
    slots: Arc<[DeviceSlot]>,
}

impl Snapshot {
    pub(crate) fn has(&self, device: DeviceSlot) -> bool {
        self.slots.contains(&device)
    }
}

impl Node {
    /// All snapshots that there are, latest start first, and the device's place in the fleet; `None`:
    /// nobody ever spoke of that device.
    pub(crate) fn snapshots(&self, device: &DeviceId) -> Option<(DeviceSlot, Vec<Snapshot>)> {
        let device = self.fleet.find(device)?;
        let slots = self.streams.values();
        let mut snapshots: Vec<_> = slots.filter_map(|slot| slot.snapshot.clone()).collect();
        snapshots.sort_by_key(|snapshot| (std::cmp::Reverse(snapshot.started_at), snapshot.stream));
        Some((device, snapshots))
    }
}

impl Slot {
    /// Takes note of who the campaign's targets are, once it has started.
    pub(super) fn note_snapshot(&mut self, stream: StreamId, campaign: &Campaign) {
        if self.snapshot.is_none()
            && let Some(started_at) = campaign.state().started_at()
        {
            self.snapshot = Some(Snapshot {
                stream,
                started_at,
                slots: campaign.slots().into(),
            });
        }
    }
}
