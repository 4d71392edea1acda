//! What is said once, for the application's log.

use sortie_core::StreamId;

use super::{Node, NodeOutput, health::Halt, stream::Slot};

/// Something for the application's log. The node does no I/O, so it writes none itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// Something stands still until a restart.
    Halted(String),
    /// A trouble begins: its first time in a row.
    Begins(String),
    /// That trouble is over.
    Over(String),
}

impl Node {
    /// A campaign's start can't go on now (S2).
    pub(super) fn start_failed(&mut self, stream: StreamId, slot: &mut Slot, why: String) {
        if slot.start.failed(self.now.monotonic, why) {
            let wait = slot.start.trouble().unwrap_or_default();
            let wait = Halt::of(stream, slot, wait, true);
            self.notice(Notice::Begins(format!("start waits: {wait}")));
        }
        // Who watches is shown why it waits.
        self.outputs.push_back(NodeOutput::Progress(stream));
    }

    /// The start waits for nobody any more.
    pub(super) fn start_waits_no_longer(&mut self, stream: StreamId, slot: &mut Slot) {
        if slot.start.over() {
            self.notice(Notice::Over(format!("start waits no longer: {stream}")));
            self.outputs.push_back(NodeOutput::Progress(stream));
        }
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(NodeOutput::Notice(notice));
    }
}
