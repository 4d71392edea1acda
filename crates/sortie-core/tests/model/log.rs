//! The log, read plainly: every question is answered by going through all events.

use std::collections::BTreeSet;

use sortie_core::{
    CampaignEvent, CampaignSpec, ManualUpdate, TargetIndex, TargetReason, campaign::End,
};

use super::{engine::words::device_number, step::CAMPAIGNS};

/// All events of all streams, in the order of their commits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log<'a>(pub(crate) &'a [(usize, CampaignEvent)]);

impl<'a> Log<'a> {
    /// Each event from the `from`-th on, with the log as it was before it.
    pub(crate) fn each(self, from: usize, mut see: impl FnMut(Log<'a>, usize, &'a CampaignEvent)) {
        for at in from..self.0.len() {
            let (stream, event) = &self.0[at];
            see(Log(&self.0[..at]), *stream, event);
        }
    }

    /// The events of one stream.
    pub(crate) fn of(self, stream: usize) -> impl DoubleEndedIterator<Item = &'a CampaignEvent> {
        let own = self.0.iter().filter(move |(at, _)| *at == stream);
        own.map(|(_, event)| event)
    }

    /// What a campaign is made of, by its latest edit.
    pub(crate) fn spec(self, stream: usize) -> Option<&'a CampaignSpec> {
        self.of(stream).rev().find_map(|event| match event {
            CampaignEvent::CampaignCreated { spec } | CampaignEvent::CampaignEdited { spec } => {
                Some(&**spec)
            }
            _ => None,
        })
    }

    pub(crate) fn manual(self, stream: usize) -> Option<&'a ManualUpdate> {
        self.of(stream).find_map(|event| match event {
            CampaignEvent::ManualUpdateRequested { update } => Some(&**update),
            _ => None,
        })
    }

    /// How many operations may be in progress.
    pub(crate) fn limit(self, stream: usize) -> usize {
        let spec = self.spec(stream);
        spec.map_or(1, |spec| spec.mechanism.max_in_progress_operations as usize)
    }

    /// The devices of the snapshot, by target index.
    pub(crate) fn devices(self, stream: usize) -> Vec<usize> {
        let mut devices = vec![];
        for event in self.of(stream) {
            match event {
                CampaignEvent::TargetsAdded { devices: more } => {
                    devices.extend(more.iter().map(device_number));
                }
                CampaignEvent::ManualUpdateRequested { update } => {
                    devices.push(device_number(&update.device));
                }
                _ => {}
            }
        }
        devices
    }

    /// Targets whose operation has started and not ended.
    pub(crate) fn in_progress(self, stream: usize) -> BTreeSet<TargetIndex> {
        let mut under_way = BTreeSet::new();
        for event in self.of(stream) {
            match event {
                CampaignEvent::OperationStarted { target, .. } => {
                    under_way.insert(*target);
                }
                CampaignEvent::TargetSucceeded { target, .. }
                | CampaignEvent::TargetFailed { target, .. }
                | CampaignEvent::TargetDeferred { target, .. } => {
                    under_way.remove(target);
                }
                _ => {}
            }
        }
        under_way
    }

    /// Targets that have an outcome.
    pub(crate) fn ended(self, stream: usize) -> BTreeSet<TargetIndex> {
        let outcome = |event: &CampaignEvent| match event {
            CampaignEvent::TargetSucceeded { target, .. }
            | CampaignEvent::TargetFailed { target, .. } => Some(*target),
            _ => None,
        };
        self.of(stream).filter_map(outcome).collect()
    }

    /// Targets that were ever pushed.
    pub(crate) fn pushed(self, stream: usize) -> BTreeSet<TargetIndex> {
        let started = |event: &CampaignEvent| match event {
            CampaignEvent::OperationStarted { target, .. } => Some(*target),
            _ => None,
        };
        self.of(stream).filter_map(started).collect()
    }

    /// Targets that were abandoned and whose device has neither spoken since, nor been removed.
    pub(crate) fn abandoned(self, stream: usize) -> BTreeSet<TargetIndex> {
        let mut open = BTreeSet::new();
        for event in self.of(stream) {
            match event {
                CampaignEvent::TargetFailed {
                    target,
                    end: End::Abandoned,
                    ..
                } => {
                    open.insert(*target);
                }
                CampaignEvent::LateReport { target, .. }
                | CampaignEvent::DeviceRemoved { target } => {
                    open.remove(target);
                }
                _ => {}
            }
        }
        open
    }

    /// How many failures count against the threshold (F1).
    pub(crate) fn counted(self, stream: usize) -> usize {
        let counts = |event: &&CampaignEvent| match event {
            CampaignEvent::TargetFailed { reason, .. } => {
                !matches!(reason, TargetReason::Canceled | TargetReason::DeviceRemoved)
            }
            _ => false,
        };
        self.of(stream).filter(counts).count()
    }

    /// Whether no operation may start: paused, failed, cancelled or succeeded, or too much has failed.
    pub(crate) fn is_stopped(self, stream: usize) -> bool {
        let mut stopped = false;
        for event in self.of(stream) {
            match event {
                CampaignEvent::CampaignPausing
                | CampaignEvent::CampaignCancelled
                | CampaignEvent::CampaignFailed
                | CampaignEvent::CampaignSucceeded => stopped = true,
                CampaignEvent::CampaignResumed => stopped = false,
                _ => {}
            }
        }
        stopped || (stream < CAMPAIGNS && self.is_over_the_threshold(stream))
    }

    /// F1.
    pub(crate) fn is_over_the_threshold(self, stream: usize) -> bool {
        let hundredths = self
            .spec(stream)
            .map(|spec| spec.mechanism.max_failure_hundredths);
        let (failed, all) = (self.counted(stream), self.devices(stream).len());
        hundredths.is_some_and(|allowed| failed * 10_000 > allowed as usize * all)
    }

    /// The streams in which an operation is in force on a device.
    pub(crate) fn in_force(self, device: usize) -> Vec<usize> {
        let streams: BTreeSet<usize> = self.0.iter().map(|(stream, _)| *stream).collect();
        let holds = |stream: &usize| {
            let devices = self.devices(*stream);
            self.in_progress(*stream)
                .iter()
                .any(|target| devices.get(target.index()) == Some(&device))
        };
        streams.into_iter().filter(holds).collect()
    }
}
