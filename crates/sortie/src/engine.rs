//! The one handle.

use sortie_core::{
    CampaignId, Catalog, CatalogItem, CatalogState, DeviceId, ManualUpdateId, NewCampaign,
    NewManualUpdate, StreamId,
};
use sortie_engine::{
    driver::{Fatal, Handle, Health, Preview, Stopped},
    node::{Done, NodeCommand, Progress},
};

use crate::{
    CampaignHandle, Command, CommandError, EngineBuilder, Explanation, HistoryPage,
    OperationHandle, QueryError,
    command::{Outcome, accepted},
};

/// A running engine. Cheap to clone; put it into your web state.
///
/// It lives until [`Engine::shutdown`], the future given to
/// [`shutdown_on`](EngineBuilder::shutdown_on), or the last `Engine`, [`CampaignHandle`] or
/// [`OperationHandle`] is dropped. That last is like a `kill -9`: safe, and warned about while campaigns run. Its methods
/// may be awaited on any executor.
#[derive(Debug, Clone)]
pub struct Engine {
    handle: Handle,
}

impl Engine {
    /// Begins an engine: give it a store, a transport, and an inventory unless the store has one.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    pub(crate) fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// Declares System Models, Collections, Base Images, Groups and Channels: the same at every
    /// start. Only what differs from before is written, and nothing is deleted (T4). Answers how
    /// many things were written; a repeat under the same id gets the first answer.
    pub fn declare(&self, catalog: Catalog) -> Command<usize> {
        Command::new(&self.handle, NodeCommand::Declare(catalog), declared)
    }

    /// Deletes one thing from the catalog, by its id: a `BaseImageId`, `ChannelId`, `GroupId`,
    /// `CollectionId` or `SystemModelId`. Waits until the log has been read.
    ///
    /// Refused with [`Rejection::InUse`](crate::Rejection::InUse), which names the users, while it is
    /// used (T4): a Base Image until its campaigns are finished and drained and its manual updates have
    /// ended, a Channel until its campaigns have started, a Group while it is in a Channel, a
    /// Collection while it has a Base Image, a System Model while it has a Collection. What a campaign
    /// started with it keeps.
    pub fn delete(&self, item: impl Into<CatalogItem>) -> Command<()> {
        Command::new(&self.handle, NodeCommand::Delete(item.into()), accepted)
    }

    /// The catalog as it is committed.
    ///
    /// # Errors
    /// [`QueryError`]: `Unavailable` while the log can't be read, or `Stopped`.
    pub async fn catalog(&self) -> Result<CatalogState, QueryError> {
        Ok(self.handle.ask_catalog(CatalogState::clone).await?)
    }

    /// Creates a campaign, which starts at once unless it says otherwise (S1). With an id that exists
    /// and the same content it answers with the one that there is; with other content it is refused
    /// (K2). Without an id of its own it is named by its command, so that a repeat under the same
    /// [`CommandId`](crate::CommandId) makes no second ([`Command::id`]).
    pub fn create_campaign(&self, new: NewCampaign) -> Command<CampaignHandle> {
        // Named when it is sent: see `Command::id`.
        let what = NodeCommand::Create(CampaignId::default(), Box::new(new));
        Command::new(&self.handle, what, created)
    }

    /// What a campaign's snapshot would hold if it started now, and what would become of it on what
    /// the devices have said so far (S3). Nothing is recorded.
    ///
    /// # Errors
    /// [`CommandError`]: `Invalid` as at creation, `Unavailable` if the inventory can't say, `Busy`,
    /// `Stopped`.
    pub async fn preview(&self, new: &NewCampaign) -> Result<Preview, CommandError> {
        Ok(self.handle.preview(new.clone()).await?)
    }

    /// Asks for a Manual OTA Update: any image to one device, whatever it runs (M). **It can brick the
    /// device**; see [`NewManualUpdate`]. The device must be in the inventory, and, unless the update was
    /// told to wait, online and not held by another operation. With an id that exists and the same
    /// content it answers with the one that there is (K2). Without an id of its own it is named by its
    /// command, as a campaign is.
    pub fn manual_update(&self, new: NewManualUpdate) -> Command<OperationHandle> {
        // Named when it is sent: see `Command::id`.
        let what = NodeCommand::Manual(ManualUpdateId::default(), Box::new(new), None);
        Command::new(&self.handle, what, requested)
    }

    /// A manual update by its id.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn operation(&self, id: ManualUpdateId) -> Result<OperationHandle, QueryError> {
        OperationHandle::find(self.handle.clone(), StreamId::Manual(id)).await
    }

    /// Says that a device was removed from your device table (D1): its idle targets fail
    /// (`device_removed`, not counted), its operation under way is cancelled, and then all that is
    /// retained of it is deleted. Without being told, the engine finds out before it pushes to it.
    /// Answered once it is in the log of every campaign that is concerned, but for those that are halted
    /// and can record nothing: say it again, as a new command, after the restart that they need. Saying it
    /// again is harmless.
    pub fn device_removed(&self, device: &DeviceId) -> Command<()> {
        let what = NodeCommand::DeviceRemoved(device.clone());
        Command::new(&self.handle, what, accepted)
    }

    /// A campaign by its id.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn campaign(&self, id: CampaignId) -> Result<CampaignHandle, QueryError> {
        CampaignHandle::find(self.handle.clone(), id).await
    }

    /// The committed progress of all campaigns, by id.
    ///
    /// # Errors
    /// [`QueryError`]: `Unavailable` while the log is still being read, or `Stopped`.
    pub async fn campaigns(&self) -> Result<Vec<Progress>, QueryError> {
        Ok(self.handle.campaigns().await?)
    }

    /// Why a target of a campaign is where it is, and what it waits for now: see
    /// [`CampaignHandle::explain`].
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn explain(
        &self,
        campaign: CampaignId,
        device: &DeviceId,
    ) -> Result<Explanation, QueryError> {
        self.campaign(campaign).await?.explain(device).await
    }

    /// What became of a device in each campaign that had it as a target, and in each manual update,
    /// also in those that ended long ago: those that started last first, after the one given. A page has at
    /// most `limit` of them, at least 1 and at most 100: each is read from the log from its start, beside
    /// all else. [`HistoryPage::next`] says whether there are more. A device that no campaign targeted has
    /// no history.
    ///
    /// # Errors
    /// [`QueryError`]: `Unavailable` while the log is still being read, `NotFound` if there is no campaign
    /// or manual update `after`, or `Stopped`.
    pub async fn device_history(
        &self,
        device: &DeviceId,
        after: Option<StreamId>,
        limit: usize,
    ) -> Result<HistoryPage, QueryError> {
        Ok(self.handle.device_history(device, after, limit).await?)
    }

    /// How the engine is: link, store, what stands still and why. Always answers.
    pub async fn health(&self) -> Health {
        self.handle.health().await
    }

    /// Waits until the engine has stopped, for whatever reason. Keeps it alive meanwhile.
    pub async fn stopped(&self) -> Stopped {
        self.handle.stopped().await
    }

    /// Shuts the engine down: nothing new is taken, the append under way ends, the link is closed,
    /// the store is let go of. Returns once that is done, at most 10 s later. No device is touched;
    /// the next start goes on. If it was asked to stop before, that is fine.
    ///
    /// # Errors
    /// [`Fatal`], if it ended in another way, now or before.
    pub async fn shutdown(&self) -> Result<(), Fatal> {
        self.handle.shutdown().await
    }
}

fn declared(_: Handle, done: &Done) -> Outcome<usize> {
    let written = match done {
        Done::Declared(written) => Ok(*written),
        other => Err(unexpected(other)),
    };
    Box::pin(std::future::ready(written))
}

fn created(handle: Handle, done: &Done) -> Outcome<CampaignHandle> {
    let created = match done {
        Done::Created(id) => Ok(*id),
        other => Err(unexpected(other)),
    };
    Box::pin(async move { Ok(CampaignHandle::find(handle, created?).await?) })
}

fn requested(handle: Handle, done: &Done) -> Outcome<OperationHandle> {
    let requested = match done {
        Done::Requested(id) => Ok(StreamId::Manual(*id)),
        other => Err(unexpected(other)),
    };
    Box::pin(async move { Ok(OperationHandle::find(handle, requested?).await?) })
}

/// Never: each command has its own kind of answer.
fn unexpected(answer: &Done) -> CommandError {
    CommandError::Unknown(format!("the answer was {answer:?}"))
}
