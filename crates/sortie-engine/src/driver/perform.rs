//! Performing what the node asks for.

use std::time::Duration;

use sortie_core::{CampaignId, StreamId};
use sortie_ports::{Delivery, Request, Version};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    guard::{unpanicked, until},
    handle::CallError,
    inventory,
    jobs::{PreviewJob, Resolved},
    preview::{self, Preview, Wanted},
    store,
    turn::Loop,
};
use crate::node::{Done, NodeInput, NodeOutput, Notice, Refusal, Resolve};

/// A write that is not answered by then counts as not now.
pub(super) const WRITE_LIMIT: Duration = Duration::from_secs(30);

impl Loop {
    /// Performs all that the node asks for now, and tells those who wait and watch.
    pub(super) fn perform_all(&mut self) {
        while let Some(output) = self.node.poll() {
            self.perform(output);
        }
        if self.jobs.append.is_none() && !self.appends.is_empty() {
            let batch = std::mem::take(&mut self.appends);
            self.appending_since = Some(self.now);
            let append = store::append(self.ports.store.clone(), batch);
            self.jobs.append = Some(Box::pin(append));
        }
        self.publish();
    }

    fn perform(&mut self, output: NodeOutput) {
        match output {
            NodeOutput::Append(append) => self.appends.push(append),
            NodeOutput::Read(stream, after) => self.read(stream, after),
            NodeOutput::Write(request) => self.write(request),
            NodeOutput::Resolve(campaign, want) => self.resolve(campaign, want),
            NodeOutput::Reply(ask, answer) => self.reply(ask, answer),
            NodeOutput::Exist(stream, devices) => self.exist(stream, devices),
            NodeOutput::Forget(device, generation) => self.forget(device, generation),
            NodeOutput::DeleteUpload(update, file) => self.delete_upload(update, file),
            NodeOutput::Notice(notice) => log(&notice),
            // Also a commit after which there is no progress any more, the campaign being deleted.
            NodeOutput::Progress(stream) | NodeOutput::Committed { stream, .. } => {
                self.progressed.insert(stream);
            }
        }
    }

    pub(super) fn reply(&mut self, ask: u64, answer: Result<Done, Refusal>) {
        if let Some(asked) = self.asked.remove(&ask) {
            // Who asked may have gone.
            let _ = asked.answer.send(answer.map_err(Into::into));
        }
    }

    fn read(&mut self, stream: StreamId, after: Version) {
        let log = self.ports.store.clone();
        self.jobs.reads.push(Box::pin(async move {
            NodeInput::Page(stream, store::read(&*log, stream, after).await)
        }));
    }

    fn write(&mut self, request: Request) {
        let (transport, clock) = (self.ports.transport.clone(), self.ports.clock.clone());
        self.jobs.writes.push(Box::pin(async move {
            let deadline = clock.monotonic() + WRITE_LIMIT;
            let writing = unpanicked(async { transport.write(&request).await });
            let delivery = match until(&*clock, deadline, writing).await {
                Some(Ok(delivery)) => delivery,
                Some(Err(panic)) => {
                    let device = &request.device;
                    tracing::error!(%device, "the transport panicked in a write: {panic}");
                    Delivery::NotNow
                }
                None => Delivery::NotNow,
            };
            let generation = request.generation();
            if let Delivery::Refused(why) = &delivery {
                let device = &request.device;
                tracing::warn!(%device, "the transport refuses the request for {device} for good: {why}");
            }
            NodeInput::Sent(request.device, generation, delivery)
        }));
    }

    fn resolve(&mut self, campaign: CampaignId, want: Resolve) {
        let (devices, clock) = (self.ports.inventory.clone(), self.ports.clock.clone());
        self.jobs.resolves.push(Box::pin(async move {
            let devices = inventory::resolve(&*devices, &*clock, &want).await;
            Resolved::Node(NodeInput::Resolved(campaign, devices))
        }));
    }

    pub(super) fn preview(
        &mut self,
        wanted: Box<Wanted>,
        answer: oneshot::Sender<Result<Preview, CallError>>,
        permit: OwnedSemaphorePermit,
    ) {
        let (devices, clock) = (self.ports.inventory.clone(), self.ports.clock.clone());
        self.jobs.resolves.push(Box::pin(async move {
            let snapshot = preview::prospect(&*devices, &*clock, *wanted).await;
            Resolved::Preview(Box::new(PreviewJob {
                snapshot,
                answer,
                _permit: permit,
            }))
        }));
    }
}

fn log(notice: &Notice) {
    match notice {
        Notice::Halted(text) => tracing::error!("{text}"),
        Notice::Begins(text) => tracing::warn!("{text}"),
        Notice::Over(text) => tracing::info!("{text}"),
    }
}
