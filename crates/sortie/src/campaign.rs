//! One campaign.

use sortie_core::{
    CampaignId, Command as CoreCommand, DeviceId, NewCampaign, StreamId, TargetIndex,
};
use sortie_engine::{
    driver::{CallError, Handle},
    node::{NodeCommand, Progress, Refusal, View},
};
use tokio::sync::watch::Receiver;

use crate::{
    Command, Explanation, OperationHandle, QueryError, SummaryRow, TargetFilter, TargetPage,
    TargetRow, Watch, command::accepted, targets,
};

/// One campaign. Cheap to clone; it keeps the engine alive.
#[derive(Debug, Clone)]
pub struct CampaignHandle {
    handle: Handle,
    id: CampaignId,
    progress: Receiver<Progress>,
}

impl CampaignHandle {
    pub(crate) async fn find(handle: Handle, id: CampaignId) -> Result<Self, QueryError> {
        let progress = handle.watch(StreamId::Campaign(id)).await?;
        Ok(Self {
            handle,
            id,
            progress,
        })
    }

    /// Its id.
    pub fn id(&self) -> CampaignId {
        self.id
    }

    /// Starts a campaign that was created to start by hand or later (L1).
    pub fn start(&self) -> Command<()> {
        self.command(CoreCommand::Start)
    }

    /// Pauses it: nothing new starts, what is under way goes on (L2).
    pub fn pause(&self) -> Command<()> {
        self.command(CoreCommand::Pause)
    }

    /// Resumes it (L2).
    pub fn resume(&self) -> Command<()> {
        self.command(CoreCommand::Resume)
    }

    /// Cancels it and every operation of it that is under way (L3).
    pub fn cancel(&self) -> Command<()> {
        self.command(CoreCommand::Cancel)
    }

    /// Deletes it, before it has started (L1).
    pub fn delete(&self) -> Command<()> {
        self.command(CoreCommand::Delete)
    }

    /// Makes it of something else, before it has started (L1). Validated like a creation; an id given
    /// in `campaign` is not looked at.
    pub fn edit(&self, campaign: NewCampaign) -> Command<()> {
        Command::new(
            &self.handle,
            NodeCommand::Edit(self.id, Box::new(campaign)),
            accepted,
        )
    }

    /// The operation on one of its devices: the one under way, or its last.
    ///
    /// # Errors
    /// [`QueryError`]: `NotFound`, if the device is no target of the campaign.
    pub async fn operation(&self, device: &DeviceId) -> Result<OperationHandle, QueryError> {
        let stream = StreamId::Campaign(self.id);
        let operation = OperationHandle::of(self.handle.clone(), stream, device.clone()).await?;
        operation.target().await?;
        Ok(operation)
    }

    /// Cancels the operation under way on one device (X2).
    pub fn cancel_operation(&self, device: &DeviceId) -> Command<()> {
        let what = NodeCommand::CancelOperation(self.id, device.clone());
        Command::new(&self.handle, what, accepted)
    }

    fn command(&self, command: CoreCommand) -> Command<()> {
        let what = NodeCommand::Campaign(self.id, command);
        Command::new(&self.handle, what, accepted)
    }

    /// The committed progress as it is now.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Follows its progress: first the present, then the newest after each change, until it is
    /// finished and drained, or the engine stops. Keeps nothing alive.
    pub fn watch(&self) -> Watch {
        Watch::new(self.progress.clone())
    }

    /// Waits until it is finished and drained, and answers how it ended.
    ///
    /// # Errors
    /// [`QueryError::Stopped`], if the engine stops before; [`QueryError::NotFound`], if the campaign
    /// is deleted.
    pub async fn finished(&self) -> Result<Progress, QueryError> {
        let mut progress = self.progress.clone();
        if let Ok(over) = progress.wait_for(Progress::is_over).await {
            return Ok(over.clone());
        }
        // Its sender has gone: with the engine, or with the campaign.
        match self.handle.watch(StreamId::Campaign(self.id)).await {
            Ok(_) => Err(QueryError::Unavailable("the campaign was read anew".into())),
            Err(error) => Err(error.into()),
        }
    }

    /// Some of its targets in the order of the snapshot: those that fit `filter` after `after`, at most
    /// `limit` of them, at least 1 and at most 10,000. [`TargetPage::next`] says whether there may be more.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn targets(
        &self,
        filter: &TargetFilter,
        after: Option<TargetIndex>,
        limit: usize,
    ) -> Result<TargetPage, QueryError> {
        let filter = filter.clone();
        self.ask(move |view| targets::page(view, &filter, after, limit))
            .await
    }

    /// One target by its device.
    ///
    /// # Errors
    /// [`QueryError`]: `NotFound`, if it is no target of the campaign.
    pub async fn target(&self, device: &DeviceId) -> Result<TargetRow, QueryError> {
        let (id, wanted) = (self.id, device.clone());
        let found = self.ask(move |view| targets::of(view, &wanted)).await?;
        found.ok_or_else(|| no_target(device, id))
    }

    /// Why a target is where it is: its story from the log, told up to what is committed now, and
    /// apart from it what it waits for. Reads the campaign's log from its start, beside all else.
    ///
    /// ```no_run
    /// # async fn f(campaign: sortie::CampaignHandle) -> Result<(), sortie::Error> {
    /// let story = campaign.explain(&"gw-0042".parse()?).await?;
    /// println!("{story}"); // gw-0042 in "Pilot 1.4.0": failed, system_rollback …
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`QueryError`]: `NotFound`, if the campaign has started and it is no target of it.
    pub async fn explain(&self, device: &DeviceId) -> Result<Explanation, QueryError> {
        let over = self.progress.borrow().is_over();
        let story = self
            .handle
            .explain(StreamId::Campaign(self.id), device, over)
            .await?;
        story.ok_or_else(|| no_target(device, self.id))
    }

    /// How many targets there are of each status and reason, as counted with each event. Of a finished
    /// campaign these counts are kept: its log is not read for them, however large it was.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn summary(&self) -> Result<Vec<SummaryRow>, QueryError> {
        let kept = self.handle.kinds(StreamId::Campaign(self.id)).await?;
        let kinds = if let Some(kinds) = kept {
            kinds
        } else {
            let live = |view: View<'_>| view.campaign.state().kinds().to_vec();
            self.ask(live).await?
        };
        Ok(kinds.into_iter().map(SummaryRow::from).collect())
    }

    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(View<'_>) -> T + Send + 'static,
    ) -> Result<T, QueryError> {
        // A campaign that was deleted has a log still.
        let ask = |view: View<'_>| (!view.campaign.state().is_deleted()).then(|| ask(view));
        let answer = self.handle.ask(StreamId::Campaign(self.id), ask).await?;
        let gone = || Refusal::NotFound(format!("campaign {}", self.id));
        answer.ok_or_else(|| CallError::from(gone()).into())
    }
}

fn no_target(device: &DeviceId, campaign: CampaignId) -> QueryError {
    QueryError::NotFound(format!("target {device} in campaign {campaign}"))
}
