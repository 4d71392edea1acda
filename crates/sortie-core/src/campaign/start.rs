//! Rules S: when a campaign starts, and its snapshot.

use sortie_protocol::DeviceId;

use super::{Campaign, CampaignEvent, ImageCopy, Start, Status, decide::Deciding};
use crate::{Now, Timestamp};

/// A chunk of the snapshot in one event, which stays readable (S2).
const DEVICES_IN_AN_EVENT_MAX: usize = 1_000;

impl Campaign {
    /// When the campaign is to start by wall time, if it waits for that.
    pub fn start_at(&self) -> Option<Timestamp> {
        match self.state.spec()?.start {
            Start::At(at) if self.waits_to_start() => Some(at),
            _ => None,
        }
    }

    /// Whether the snapshot should be resolved now: it is time to start, or it was created for a
    /// later time and an empty Channel would end it already (S4).
    pub fn wants_snapshot(&self, now: Now) -> bool {
        self.waits_to_start() && (self.is_time(now) || self.wants_probe())
    }

    pub(super) fn waits_to_start(&self) -> bool {
        let state = &self.state;
        state.spec().is_some()
            && !state.is_deleted()
            && matches!(state.status, Status::Idle | Status::Scheduled)
    }

    pub(super) fn is_time(&self, now: Now) -> bool {
        self.state.start_requested
            || match self.state.spec().map(|spec| spec.start) {
                Some(Start::Now) => true,
                Some(Start::At(at)) => at <= now.at,
                _ => false,
            }
    }

    pub(super) fn wants_probe(&self) -> bool {
        self.start_at().is_some() && self.state.status == Status::Idle
    }

    pub(super) fn snapshot(
        &mut self,
        image: ImageCopy,
        devices: &[DeviceId],
        d: &mut Deciding<'_>,
    ) {
        if !self.wants_snapshot(d.now) {
            // Edited, cancelled or deleted while the inventory was being asked.
            return;
        }
        if !self.is_time(d.now) && !devices.is_empty() {
            // S4's probe found something: it waits for its time.
            self.emit(CampaignEvent::CampaignScheduled, d);
            return;
        }
        for chunk in devices.chunks(DEVICES_IN_AN_EVENT_MAX) {
            self.emit(
                CampaignEvent::TargetsAdded {
                    devices: chunk.to_vec(),
                },
                d,
            );
        }
        let image = Box::new(image);
        self.emit(CampaignEvent::CampaignStarted { image }, d);
    }
}
