//! What follows an append.

use sortie_core::{ClaimPhase, Now, StreamId};
use sortie_ports::{AppendError, Version};

use super::{
    Node, NodeOutput,
    stream::{Batch, Body, Slot},
};
use crate::text::full_text;

impl Node {
    pub(super) fn appended(&mut self, stream: StreamId, result: Result<Version, AppendError>) {
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        let Some(batch) = slot.batch.take() else {
            return;
        };
        match result {
            Ok(version) => self.committed(stream, batch, version),
            Err(error) => self.failed(stream, batch, &error),
        }
    }

    fn committed(&mut self, stream: StreamId, batch: Batch, version: Version) {
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        slot.version = version;
        slot.failures = 0;
        slot.trouble = None;
        slot.retry_at = None;
        slot.owned = true;
        let Batch {
            at,
            events,
            replies,
            registers,
            works,
            claims,
            taken,
            owns,
            foreign,
            ..
        } = batch;
        self.dropped_reports += foreign;
        let listened = self.clock.now(self.now.monotonic);
        if let Some(Slot {
            body: Body::Campaign(campaign),
            ..
        }) = self.streams.get_mut(&stream)
        {
            campaign.committed(&events, Now { at, listened });
        }
        for device in taken {
            self.claims.taken(device);
        }
        for (device, change) in claims {
            let held = change.row.phase == ClaimPhase::Held;
            self.claims.commit(&mut self.fleet, device, change.row);
            if !held {
                self.device_changed(device);
            }
        }
        self.outputs.push_back(NodeOutput::Committed {
            stream,
            version,
            at,
            events,
        });
        self.refresh_progress(stream);
        self.worked(stream, &works);
        for (ask, answer) in replies {
            self.reply(ask, answer);
        }
        for device in registers {
            self.owe(device);
        }
        if owns {
            self.owe_of_stream(stream);
        }
        self.there(stream);
        if stream == StreamId::Catalog {
            // Campaigns may have waited for the catalog to start.
            let campaigns: Vec<StreamId> = self.streams.keys().copied().collect();
            for campaign in campaigns {
                self.touch(campaign);
            }
        }
        self.touch(stream);
    }

    /// The one failure path: drop what was decided, fold the log again, own the stream again, and
    /// hand in the inputs again.
    fn failed(&mut self, stream: StreamId, batch: Batch, error: &AppendError) {
        for device in batch.taken {
            self.claims.give_back(&mut self.fleet, device);
            self.device_changed(device);
            self.compare_levels(device);
        }
        if let AppendError::Claimed(rows) = error {
            for row in rows {
                let device = self.slot(&row.device.clone());
                let present = (row.number > 0).then(|| row.clone());
                self.claims.learn(&mut self.fleet, device, present);
                self.device_changed(device);
            }
        }
        let now = self.now.monotonic;
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        slot.inbox.put_back(batch.works);
        if let AppendError::Invalid(why) = error {
            // To hand the same inputs in again would lead to the same append.
            self.halt(stream, why);
            return;
        }
        slot.owned = false;
        slot.changed.clear();
        if let AppendError::Fenced { epoch } = error {
            slot.epoch = slot.epoch.max(*epoch);
        }
        let body = std::mem::replace(&mut slot.body, Body::Unloaded);
        let waits = matches!(error, AppendError::Unknown(_) | AppendError::Unavailable(_));
        if waits {
            slot.back_off(now);
            slot.trouble = Some(full_text(error));
        }
        if let Body::Campaign(campaign) = body {
            self.lose_interest(stream, &campaign);
        }
        if !waits {
            self.load(stream);
        }
        self.outputs.push_back(NodeOutput::Progress(stream));
    }
}

impl Slot {
    pub(super) fn back_off(&mut self, now: std::time::Duration) {
        self.failures += 1;
        self.retry_at = Some(now + super::stream::backoff(self.failures));
    }
}
