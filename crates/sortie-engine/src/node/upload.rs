//! Deleting the uploaded file of a manual update that has ended (M2).

use sortie_core::{ManualUpdateId, StreamId};

use super::{
    Node, NodeOutput,
    stream::{Body, Slot, Work, backoff},
};

impl Node {
    /// A level, as a register is: asked for again, also after a restart, until the log says that it is done.
    pub(super) fn delete_upload(&mut self, stream: StreamId, slot: &mut Slot) {
        let (Body::Campaign(update), StreamId::Manual(id)) = (&slot.body, stream) else {
            return;
        };
        let waits = slot
            .start_retry_at
            .is_some_and(|at| at > self.now.monotonic);
        if let Some(file) = update.state().upload_to_delete()
            && !waits
            && !slot.deleting
        {
            slot.deleting = true;
            self.outputs
                .push_back(NodeOutput::DeleteUpload(id, file.into()));
        }
    }

    pub(super) fn upload_deleted(&mut self, update: ManualUpdateId, result: Result<(), String>) {
        let stream = StreamId::Manual(update);
        let now = self.now.monotonic;
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        slot.deleting = false;
        match result {
            Ok(()) => {
                slot.start_trouble = None;
                slot.start_retry_at = None;
                self.enqueue(stream, Work::UploadDeleted);
            }
            Err(why) => {
                slot.start_failures += 1;
                slot.start_retry_at = Some(now + backoff(slot.start_failures));
                slot.start_trouble = Some(format!("its uploaded file can't be deleted: {why}"));
            }
        }
    }
}
