//! When campaigns start: asking the inventory, and what wakes for that (S1, S2).

use std::time::Duration;

use sortie_core::{Campaign, Now, StreamId, Timestamp};

use super::{
    Node, NodeOutput, Resolve, StartOrder,
    stream::{Asked, Body, Slot, Work},
};

/// How long at most until wall time is looked at again while a campaign waits for its start.
const WALL_LOOK_MS: u64 = 60_000;

impl Node {
    /// When a campaign that has not started is to be looked at again. Not at all while the inventory is
    /// being asked, or the catalog, whose commit touches every stream, is being written.
    pub(super) fn start_wake(&self, slot: &Slot, campaign: &Campaign) -> Option<Duration> {
        if campaign.state().upload_to_delete().is_some() {
            let at = slot.upload.at(self.now.monotonic);
            return Some(at).filter(|_| !slot.deleting);
        }
        if let Some(at) = campaign.expires_at() {
            let due = at <= self.campaign_now(campaign.state()).at;
            return Some(if due {
                self.now.monotonic
            } else {
                self.look_at(at)
            });
        }
        let catalog = self
            .streams
            .get(&StreamId::Catalog)
            .and_then(Slot::settled_catalog);
        if slot.resolving || catalog.is_none() {
            return None;
        }
        if campaign.wants_snapshot(self.campaign_now(campaign.state())) {
            return Some(slot.start.at(self.now.monotonic));
        }
        // A start time is wall time; if that steps, the look after the step finds it due.
        Some(self.look_at(campaign.start_at()?))
    }

    fn look_at(&self, at: Timestamp) -> Duration {
        let ms = u64::try_from(at.0.saturating_sub(self.now.wall.0)).unwrap_or(0);
        self.now.monotonic + Duration::from_millis(ms.clamp(1, WALL_LOOK_MS))
    }

    /// If the snapshot is in the campaign's state now, its devices get their slots, and it gets its place
    /// in the order of starts.
    pub(super) fn snapshot_decided(
        &mut self,
        stream: StreamId,
        campaign: &mut Campaign,
        now: Now,
    ) -> Option<StartOrder> {
        let started = campaign.state().started_at()?;
        if !campaign.slots().is_empty() {
            return None;
        }
        let slots = campaign.state().devices().to_vec();
        let slots = slots.iter().map(|device| self.slot(device)).collect();
        campaign.arm_targets(slots, &self.fleet, now);
        let order = self.next_order(stream, started);
        self.interest_at(order, stream, campaign);
        Some(order)
    }

    /// S2: resolves the Channel, if it is time and the catalog is there.
    pub(super) fn ask_inventory(&mut self, stream: StreamId, slot: &mut Slot, now: Now) {
        let (Body::Campaign(campaign), StreamId::Campaign(id)) = (&slot.body, stream) else {
            return;
        };
        if !campaign.wants_snapshot(now) {
            // Started, cancelled, deleted, or edited to start later.
            self.start_waits_no_longer(stream, slot);
            return;
        }
        if slot.resolving || slot.start.waits(self.now.monotonic) {
            return;
        }
        let catalog = self
            .streams
            .get(&StreamId::Catalog)
            .and_then(Slot::settled_catalog);
        let (Some(catalog), Some(spec)) = (catalog, campaign.state().spec()) else {
            return;
        };
        let Some(image) = catalog.image_copy(&spec.base_image) else {
            let why = format!("base image {} is gone", spec.base_image);
            return self.start_failed(stream, slot, why);
        };
        let Some(groups) = catalog.groups_of(&spec.channel) else {
            let why = format!("channel {} is gone", spec.channel);
            return self.start_failed(stream, slot, why);
        };
        let resolve = Resolve {
            system_model: image.system_model.clone(),
            groups,
        };
        let (base_image, channel) = (spec.base_image.clone(), spec.channel.clone());
        slot.asked = Some(Box::new(Asked {
            base_image,
            channel,
            image,
        }));
        slot.resolving = true;
        self.outputs.push_back(NodeOutput::Resolve(id, resolve));
    }

    pub(super) fn resolved(
        &mut self,
        campaign: sortie_core::CampaignId,
        result: Result<Vec<sortie_core::DeviceId>, String>,
    ) {
        let stream = StreamId::Campaign(campaign);
        let Some(mut slot) = self.streams.remove(&stream) else {
            return;
        };
        slot.resolving = false;
        let asked = slot.asked.take();
        let resolved = match result {
            Ok(devices) => {
                self.start_waits_no_longer(stream, &mut slot);
                asked.map(|asked| Work::Resolved(asked, devices))
            }
            Err(why) => {
                self.start_failed(stream, &mut slot, why);
                None
            }
        };
        self.streams.insert(stream, slot);
        match resolved {
            Some(work) => self.enqueue(stream, work),
            None => self.touch(stream),
        }
    }
}
