//! What the node asks of ports now and then: whether devices exist, and that things be deleted.

use sortie_core::{DeviceId, ManualUpdateId, StreamId};
use sortie_ports::{Delivery, Forget};
use sortie_protocol::Generation;

use super::{
    guard::{unpanicked, until},
    inventory,
    jobs::Resolved,
    perform::WRITE_LIMIT,
    turn::Loop,
};
use crate::{node::NodeInput, text::full_text};

impl Loop {
    pub(super) fn exist(&mut self, stream: StreamId, devices: Vec<DeviceId>) {
        let (inventory, clock) = (self.ports.inventory.clone(), self.ports.clock.clone());
        self.jobs.resolves.push(Box::pin(async move {
            let exist = inventory::exist(&*inventory, &*clock, &devices).await;
            Resolved::Node(NodeInput::Exist(stream, exist))
        }));
    }

    pub(super) fn forget(&mut self, device: Forget, generation: Generation) {
        let (transport, clock) = (self.ports.transport.clone(), self.ports.clock.clone());
        self.jobs.writes.push(Box::pin(async move {
            let deadline = clock.monotonic() + WRITE_LIMIT;
            let forgetting = unpanicked(async { transport.forget(&device).await });
            let delivery = match until(&*clock, deadline, forgetting).await {
                Some(Ok(delivery)) => delivery,
                _ => Delivery::NotNow,
            };
            NodeInput::Sent(device.device, generation, delivery)
        }));
    }

    pub(super) fn delete_upload(&mut self, update: ManualUpdateId, file: String) {
        let (uploads, clock) = (self.ports.uploads.clone(), self.ports.clock.clone());
        self.jobs.deletes.push(Box::pin(async move {
            let deadline = clock.monotonic() + WRITE_LIMIT;
            let deleting = unpanicked(async {
                let uploads = uploads.ok_or("the engine was built without uploads")?;
                uploads.delete(&file).await
            });
            let deleted = match until(&*clock, deadline, deleting).await {
                Some(Ok(deleted)) => deleted.map_err(|error| full_text(&*error)),
                Some(Err(panic)) => Err(format!("the uploads panicked: {panic}")),
                None => Err("no answer within 30 s".into()),
            };
            NodeInput::UploadDeleted(update, deleted)
        }));
    }
}
