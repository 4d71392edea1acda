//! One operation: a manual update, or that of one target of a campaign.

use sortie_core::{DeviceId, StreamId};
use sortie_engine::{
    driver::{CallError, Handle},
    node::{NodeCommand, Progress, Refusal},
};
use tokio::sync::watch::Receiver;

use crate::{Command, Explanation, QueryError, TargetRow, command::accepted, targets};

/// One OTA Operation: a Manual OTA Update, from [`Engine::manual_update`](crate::Engine::manual_update),
/// or the one under way, or last, on a device in a campaign, from
/// [`CampaignHandle::operation`](crate::CampaignHandle::operation). Cheap to clone; it keeps the engine
/// alive.
#[derive(Debug, Clone)]
pub struct OperationHandle {
    handle: Handle,
    stream: StreamId,
    device: DeviceId,
    progress: Receiver<Progress>,
}

impl OperationHandle {
    pub(crate) async fn of(
        handle: Handle,
        stream: StreamId,
        device: DeviceId,
    ) -> Result<Self, QueryError> {
        let progress = handle.watch(stream).await?;
        Ok(Self {
            handle,
            stream,
            device,
            progress,
        })
    }

    /// A manual update by its stream.
    pub(crate) async fn find(handle: Handle, stream: StreamId) -> Result<Self, QueryError> {
        let device = handle.ask(stream, |view| {
            view.campaign.state().devices().first().cloned()
        });
        match device.await? {
            Some(device) => Self::of(handle, stream, device).await,
            None => Err(QueryError::NotFound(stream.to_string())),
        }
    }

    /// The stream that it is recorded in: `manual/UUID`, or that of its campaign.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// Its device.
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// Where it is: what is committed, and beside it what is heard of the device.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn row(&self) -> Result<TargetRow, QueryError> {
        let device = self.device.clone();
        let row = self
            .handle
            .ask(self.stream, move |view| targets::of(view, &device))
            .await?;
        row.ok_or_else(|| {
            let what = format!("target {} in {}", self.device, self.stream);
            CallError::from(Refusal::NotFound(what)).into()
        })
    }

    /// Why it is where it is: its story from the log, and apart from it what it waits for now. Of a
    /// campaign's operation it is the whole story of its target: see
    /// [`CampaignHandle::explain`](crate::CampaignHandle::explain).
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn explain(&self) -> Result<Explanation, QueryError> {
        let over = self.progress.borrow().is_over();
        let story = self.handle.explain(self.stream, &self.device, over).await?;
        let what = || format!("target {} in {}", self.device, self.stream);
        story.ok_or_else(|| QueryError::NotFound(what()))
    }

    /// Cancels it (X2). A manual update that still waits for its device ends at once.
    pub fn cancel(&self) -> Command<()> {
        let what = match self.stream {
            StreamId::Campaign(id) => NodeCommand::CancelOperation(id, self.device.clone()),
            // An operation is in one of these two.
            stream => NodeCommand::CancelManual(stream.uuid().into()),
        };
        Command::new(&self.handle, what, accepted)
    }

    /// Waits until its target has an outcome, and answers how it ended.
    ///
    /// # Errors
    /// [`QueryError::Stopped`], if the engine stops before.
    pub async fn finished(&self) -> Result<TargetRow, QueryError> {
        let mut progress = self.progress.clone();
        loop {
            progress.mark_unchanged();
            let row = self.row().await?;
            if row.status.is_terminal() {
                return Ok(row);
            }
            if progress.changed().await.is_err() {
                // Its sender has gone with the engine: the next question says why.
                progress = self.handle.watch(self.stream).await?;
            }
        }
    }
}
