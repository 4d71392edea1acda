//! One operation: a manual update, or that of one target of a campaign.

use sortie_core::{DeviceId, ManualUpdateId, StreamId};
use sortie_engine::{
    driver::Handle,
    node::{NodeCommand, Progress, View},
};
use tokio::sync::watch::Receiver;

use crate::{
    Command, Explanation, OperationWatch, QueryError, TargetRow, command::accepted, targets,
};

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

    /// The manual update's id, for [`Engine::operation`](crate::Engine::operation); `None`: it is of a
    /// campaign.
    pub fn manual_id(&self) -> Option<ManualUpdateId> {
        match self.stream {
            StreamId::Manual(id) => Some(id),
            _ => None,
        }
    }

    /// Where it is: its target, as of a campaign with this one target if it is a manual update. What is
    /// committed, and beside it what is heard of the device.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn target(&self) -> Result<TargetRow, QueryError> {
        self.found(self.handle.ask(self.stream, self.row()).await?)
    }

    /// As [`Self::target`], for as long as it takes: never `Unavailable`.
    pub(crate) async fn target_patiently(&self) -> Result<TargetRow, QueryError> {
        self.found(self.handle.ask_patiently(self.stream, self.row()).await?)
    }

    fn row(&self) -> impl FnOnce(View<'_>) -> Option<TargetRow> + Send + use<> {
        let device = self.device.clone();
        move |view| targets::of(view, &device)
    }

    fn found<T>(&self, found: Option<T>) -> Result<T, QueryError> {
        let what = || format!("target {} in {}", self.device, self.stream);
        found.ok_or_else(|| QueryError::NotFound(what()))
    }

    /// Why it is where it is: its story from the log, and apart from it what it waits for now. Of a
    /// campaign's operation it is the whole story of its target: see
    /// [`CampaignHandle::explain`](crate::CampaignHandle::explain).
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn explain(&self) -> Result<Explanation, QueryError> {
        let over = self.progress.borrow().is_over();
        self.found(self.handle.explain(self.stream, &self.device, over).await?)
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

    /// Follows it: first where it is, then the newest after each change, until it has an outcome.
    pub fn watch(&self) -> OperationWatch {
        OperationWatch::new(self.clone(), self.progress.clone())
    }

    /// Waits until its target has an outcome, and answers how it ended; or until its campaign is over and
    /// has left the target idle (L5). An outage of the store ends no wait.
    ///
    /// # Errors
    /// [`QueryError::Stopped`], if the engine stops before, or [`QueryError::Halted`].
    pub async fn finished(&self) -> Result<TargetRow, QueryError> {
        self.watch().end().await
    }

    /// The progress of its stream, anew.
    pub(crate) async fn subscribe(&self) -> Result<Receiver<Progress>, QueryError> {
        Ok(self.handle.watch(self.stream).await?)
    }
}
