//! Whose operation a report names (R1, R5).

use std::collections::{HashMap, VecDeque};

use sortie_core::{Campaign, DeviceSlot, OperationId, StreamId, TargetIndex};
use sortie_protocol::{Report, Route};
use uuid::Uuid;

use super::{Node, stream::Body};

/// Operations that were abandoned and whose claim another took over (O3): the device may still give its
/// word on them, and the claim does not name them any more. Kept in memory; made anew from the logs at
/// a restart.
#[derive(Debug, Default)]
pub(super) struct Replaced(HashMap<DeviceSlot, VecDeque<(OperationId, StreamId)>>);

/// A device keeps at most 4 results (A3): it can't answer for more.
const REPLACED_OF_A_DEVICE_MAX: usize = 4;

impl Replaced {
    pub(super) fn note(&mut self, device: DeviceSlot, operation: OperationId, stream: StreamId) {
        let replaced = self.0.entry(device).or_default();
        if replaced.iter().any(|(known, _)| *known == operation) {
            return;
        }
        if replaced.len() == REPLACED_OF_A_DEVICE_MAX {
            replaced.pop_front();
        }
        replaced.push_back((operation, stream));
    }

    fn stream(&self, device: DeviceSlot, operation: OperationId) -> Option<StreamId> {
        let mut replaced = self.0.get(&device)?.iter();
        let found = replaced.find(|(known, _)| *known == operation);
        found.map(|(_, stream)| *stream)
    }
}

impl Node {
    /// The stream that may have a use for a report: of the device's claim, if that names the operation; else
    /// where it was sent, if the transport knows; else as far as it can be told without reading a log.
    pub(super) fn whose(
        &self,
        device: DeviceSlot,
        route: Option<&Route>,
        operation: OperationId,
    ) -> Option<StreamId> {
        let claim = self.fleet.device(device).claim();
        let claimed = claim.filter(|claim| claim.operation == operation);
        claimed
            .map(|claim| claim.holder)
            .or_else(|| self.claims.replaced.stream(device, operation))
            .or_else(|| self.routed(route?))
            .or_else(|| self.last_of(device, operation))
    }

    /// How many reports counted for nothing.
    pub(super) fn reports_dropped(&self) -> u64 {
        let waiting = self.streams.values().map(|slot| slot.inbox.dropped);
        self.dropped_reports + waiting.sum::<u64>()
    }

    /// R1: the target whose last operation a report names. `None`: the report is foreign, and counts for
    /// nothing.
    pub(super) fn named(
        &self,
        stream: StreamId,
        campaign: &Campaign,
        device: DeviceSlot,
        report: &Report,
    ) -> Option<TargetIndex> {
        let target = self.target(stream, device)?;
        let last = campaign.operation(target)?;
        (last.0 == report.operation).then_some(target)
    }

    fn routed(&self, route: &Route) -> Option<StreamId> {
        let id = route.as_str().parse::<Uuid>().ok()?;
        let streams = [StreamId::Campaign(id.into()), StreamId::Manual(id.into())];
        let mut streams = streams.into_iter();
        streams.find(|stream| self.streams.contains_key(stream))
    }

    /// The campaign that is there and whose last operation on the device it was.
    fn last_of(&self, device: DeviceSlot, operation: OperationId) -> Option<StreamId> {
        let mut interests = self.interested[device.index()].iter();
        let found = interests.find(|interest| {
            let slot = self.streams.get(&interest.stream);
            slot.is_some_and(|slot| match &slot.body {
                Body::Campaign(campaign) => campaign.operation(interest.target) == Some(operation),
                _ => false,
            })
        });
        found.map(|interest| interest.stream)
    }
}
