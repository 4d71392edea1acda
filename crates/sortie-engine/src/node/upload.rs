//! Deleting the uploaded file of a manual update that has ended (M2).

use sortie_core::{ManualUpdateId, StreamId};

use super::{
    Halt, Node, NodeOutput, Notice,
    stream::{Body, Slot, Work},
};

impl Node {
    /// A level, as a register is: asked for again, also after a restart, until the log says that it is done.
    pub(super) fn delete_upload(&mut self, stream: StreamId, slot: &mut Slot) {
        let (Body::Campaign(update), StreamId::Manual(id)) = (&slot.body, stream) else {
            return;
        };
        if let Some(file) = update.state().upload_to_delete()
            && !slot.upload.waits(self.now.monotonic)
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
                let stayed = slot.upload.over();
                self.enqueue(stream, Work::UploadDeleted);
                if stayed {
                    self.notice(Notice::Over(format!("upload is deleted: {stream}")));
                }
            }
            Err(why) => {
                let why = format!("its uploaded file can't be deleted: {why}");
                let halt = Halt::of(stream, slot, &why, true);
                if slot.upload.failed(now, why) {
                    self.notice(Notice::Begins(format!("upload stays: {halt}")));
                }
            }
        }
    }
}
