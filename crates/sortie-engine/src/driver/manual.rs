//! Manual updates: their device is looked up in the inventory before the node hears of them (M3).

use sortie_core::{Invalid, StreamId};

use super::{
    ask::CommandMessage,
    handle::CallError,
    inventory,
    jobs::{ManualJob, Resolved},
    turn::Loop,
};
use crate::node::{NodeCommand, Refusal};

impl Loop {
    /// The command, if it can be given at once.
    pub(super) fn looked_up(&mut self, command: CommandMessage) -> Option<CommandMessage> {
        let NodeCommand::Manual(id, draft, _) = &command.what else {
            return Some(command);
        };
        // A repeat gets the first answer, whatever became of the device since (K1, K2).
        if self.node.may_exist(StreamId::Manual(*id)) {
            return Some(command);
        }
        if draft.given_file().is_some() && self.ports.uploads.is_none() {
            let mut invalid = Invalid::default();
            let why = "the engine was built without uploads, and could not delete it (M2)";
            invalid.add("file", why);
            // Who asked may have gone, here and below.
            let _ = command.answer.send(Err(Refusal::Invalid(invalid).into()));
            return None;
        }
        let (devices, clock) = (self.ports.inventory.clone(), self.ports.clock.clone());
        let device = draft.device().clone();
        self.jobs.resolves.push(Box::pin(async move {
            let found = inventory::look_up(&*devices, &*clock, &device).await;
            Resolved::Manual(Box::new(ManualJob { command, found }))
        }));
        None
    }

    pub(super) fn device_looked_up(&mut self, job: ManualJob) {
        let ManualJob { mut command, found } = job;
        let NodeCommand::Manual(_, draft, device_model) = &mut command.what else {
            return;
        };
        let refusal = match found {
            Ok(found) if found.exists => {
                *device_model = found.system_model;
                return self.give(command);
            }
            Ok(_) => Refusal::NotFound(format!("device {}", draft.device())).into(),
            Err(why) => CallError::Unavailable(why),
        };
        let _ = command.answer.send(Err(refusal));
    }
}
