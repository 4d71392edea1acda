//! The way to a running driver.

use std::{pin::pin, sync::Arc};

use futures_util::future::{Either, select};
use sortie_core::{Actor, CatalogState, CommandId, NewCampaign, StreamId};
use sortie_ports::Clock;
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::UnboundedSender,
    oneshot,
    watch::{self, Receiver},
};
use uuid::Uuid;

use super::{
    ask::{CommandMessage, Message, WAITING_MAX},
    health::Health,
    ids::Ids,
    preview::{self, Preview},
    stopped::{Fatal, Stopped},
};
use crate::node::{Done, Kinds, NodeCommand, Progress, Query, Refusal, View, named};

/// The way to a running driver. Cheap to clone; when the last clone is dropped, the driver ends.
///
/// Its futures need no runtime of their own: any executor may poll them.
#[derive(Debug, Clone)]
pub struct Handle {
    messages: UnboundedSender<Message>,
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    commands: Arc<Semaphore>,
    pub(super) questions: Arc<Semaphore>,
    /// Of those who wait as long as it takes: they leave room for others while the log is away.
    patient: Arc<Semaphore>,
    stopped: Receiver<Option<Stopped>>,
    pub(super) clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
}

/// Why something that was asked has no answer, or was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// It was refused; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too much waits for answers: back off and repeat. Nothing changed.
    #[error("the engine is busy: {WAITING_MAX} others wait for their answers")]
    Busy,
    /// It can't be done now, and why: back off and repeat. Nothing changed.
    #[error("{0}")]
    Unavailable(String),
    /// There was no answer in time, and why; a command may still be carried out. Repeat it under the
    /// same id (K1).
    #[error("{0}")]
    Unknown(String),
    /// The engine is gone. A command may have been carried out: repeat it under the same id once an
    /// engine runs on the same store.
    #[error("{0}")]
    Stopped(Stopped),
}

impl Handle {
    pub(super) fn new(
        messages: UnboundedSender<Message>,
        stopped: Receiver<Option<Stopped>>,
        clock: Arc<dyn Clock>,
        ids: Arc<Ids>,
    ) -> Self {
        let shared = Shared {
            commands: Arc::new(Semaphore::new(WAITING_MAX)),
            questions: Arc::new(Semaphore::new(WAITING_MAX)),
            patient: Arc::new(Semaphore::new(WAITING_MAX)),
            stopped,
            clock,
            ids,
        };
        Self {
            messages,
            shared: Arc::new(shared),
        }
    }

    /// Draws an id that no other has: for a command or a campaign that is given none.
    pub fn draw_id(&self) -> Uuid {
        self.shared.ids.draw()
    }

    /// Gives a command. Dropping the future does not take it back.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn command(
        &self,
        id: CommandId,
        actor: Actor,
        what: NodeCommand,
    ) -> Result<Done, CallError> {
        let commands = self.shared.commands.clone();
        let permit = commands.try_acquire_owned().map_err(|_| CallError::Busy)?;
        let (answer, answered) = oneshot::channel();
        let (late, is_late) = oneshot::channel();
        self.send(Message::Command(CommandMessage {
            id,
            actor,
            what,
            answer,
            late,
            permit,
        }))
        .await?;
        let why = |late| CallError::Unknown(format!("no answer yet; it may still be done: {late}"));
        self.wait(answered, is_late, why).await?
    }

    /// Asks a question about the committed state of a campaign or manual update; `ask` is called in the driver's loop, so
    /// it must be quick.
    ///
    /// # Errors
    /// [`CallError`], never `Unknown`.
    pub async fn ask<T: Send + 'static>(
        &self,
        stream: StreamId,
        ask: impl FnOnce(View<'_>) -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let questions = self.shared.questions.clone();
        let permit = questions.try_acquire_owned().map_err(|_| CallError::Busy)?;
        let (answered, is_late) = self.query(stream, ask, permit).await?;
        Ok(self
            .wait(answered, is_late, CallError::Unavailable)
            .await??)
    }

    /// As [`Self::ask`], for as long as it takes: it waits for its turn, and for a log that is away.
    ///
    /// # Errors
    /// [`CallError`]: `Refused` or `Stopped`.
    pub async fn ask_patiently<T: Send + 'static>(
        &self,
        stream: StreamId,
        ask: impl FnOnce(View<'_>) -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let patient = self.shared.patient.clone();
        // It is never closed.
        let permit = patient.acquire_owned().await.map_err(|_| CallError::Busy)?;
        let (answered, _) = self.query(stream, ask, permit).await?;
        Ok(self.answer(answered).await??)
    }

    async fn query<T: Send + 'static>(
        &self,
        stream: StreamId,
        ask: impl FnOnce(View<'_>) -> T + Send + 'static,
        permit: OwnedSemaphorePermit,
    ) -> Result<
        (
            oneshot::Receiver<Result<T, Refusal>>,
            oneshot::Receiver<String>,
        ),
        CallError,
    > {
        let (answer, answered) = oneshot::channel();
        let (late, is_late) = oneshot::channel();
        let query = Query {
            stream,
            ask: Box::new(move |view| {
                // Who asked may have gone.
                let _ = answer.send(view.map(ask));
                drop(permit);
            }),
        };
        self.send(Message::Query { query, late }).await?;
        Ok((answered, is_late))
    }

    /// The progress of a campaign, or of a manual update as of a campaign with one target, now and at
    /// each commit from now on. The receiver keeps nothing alive; its channel
    /// closes with the engine, or when the campaign is deleted.
    ///
    /// # Errors
    /// [`CallError`], never `Unknown`.
    pub async fn watch(&self, stream: StreamId) -> Result<Receiver<Progress>, CallError> {
        if let Some(progress) = self.subscribe(stream).await? {
            return Ok(progress);
        }
        // It is not there, or not read yet.
        let exists = |view: View<'_>| {
            let state = view.campaign.state();
            state.mechanism().is_some() && !state.is_deleted()
        };
        if self.ask(stream, exists).await?
            && let Some(progress) = self.subscribe(stream).await?
        {
            return Ok(progress);
        }
        Err(Refusal::NotFound(named(stream)).into())
    }

    async fn subscribe(&self, stream: StreamId) -> Result<Option<Receiver<Progress>>, CallError> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Subscribe(stream, answer)).await?;
        self.answer(answered).await
    }

    /// A finished campaign's targets, counted by status and reason, without a look at its log. `None`:
    /// it is not finished, or not read yet; its [`View`] says.
    ///
    /// # Errors
    /// [`CallError::Stopped`].
    pub async fn kinds(&self, stream: StreamId) -> Result<Option<Kinds>, CallError> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Kinds(stream, answer)).await?;
        self.answer(answered).await
    }

    /// The progress of all campaigns, by id.
    ///
    /// # Errors
    /// [`CallError`], never `Unknown`; `Unavailable` while the log is being read.
    pub async fn campaigns(&self) -> Result<Vec<Progress>, CallError> {
        let (answer, answered) = oneshot::channel();
        let (late, is_late) = oneshot::channel();
        self.send(Message::Campaigns { answer, late }).await?;
        self.wait(answered, is_late, CallError::Unavailable).await
    }

    /// Asks a question about the committed catalog; `ask` is called in the driver's loop, so it must
    /// be quick.
    ///
    /// # Errors
    /// [`CallError`], never `Unknown`.
    pub async fn ask_catalog<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&CatalogState) -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let questions = self.shared.questions.clone();
        let permit = questions.try_acquire_owned().map_err(|_| CallError::Busy)?;
        let (answer, answered) = oneshot::channel();
        let (late, is_late) = oneshot::channel();
        let ask = Box::new(move |catalog: Result<&CatalogState, Refusal>| {
            // Who asked may have gone.
            let _ = answer.send(catalog.map(ask));
            drop(permit);
        });
        self.send(Message::Catalog { ask, late }).await?;
        Ok(self
            .wait(answered, is_late, CallError::Unavailable)
            .await??)
    }

    /// How the engine is. Always answers.
    pub async fn health(&self) -> Health {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.send(Message::Health(answer)).await?;
            self.answer(answered).await
        };
        match asked.await {
            Ok(health) => health,
            Err(error) => Health::of_stopped(self.shared.clock.now(), error.to_string()),
        }
    }

    /// What a campaign's snapshot would hold now (S3).
    ///
    /// # Errors
    /// [`CallError`], never `Unknown`.
    pub async fn preview(&self, draft: NewCampaign) -> Result<Preview, CallError> {
        let wanted = self.ask_catalog(move |catalog| preview::wanted(catalog, &draft));
        let wanted = Box::new(wanted.await??);
        let questions = self.shared.questions.clone();
        let permit = questions.try_acquire_owned().map_err(|_| CallError::Busy)?;
        let (answer, answered) = oneshot::channel();
        let message = Message::Preview {
            wanted,
            answer,
            permit,
        };
        self.send(message).await?;
        self.answer(answered).await?
    }

    /// Shuts the engine down and returns once all is let go of: nothing new is taken, the append
    /// under way ends, the link is closed, the ports are dropped. Within 10 s.
    ///
    /// # Errors
    /// [`Fatal`], if the engine ended otherwise, now or before.
    pub async fn shutdown(&self) -> Result<(), Fatal> {
        // If nobody is there to hear it, it has stopped.
        let _ = self.messages.send(Message::Stop);
        self.stopped().await.into_result()
    }

    /// Waits until the engine has stopped, for whatever reason.
    pub async fn stopped(&self) -> Stopped {
        let mut stopped = self.shared.stopped.clone();
        let why = match stopped.wait_for(Option::is_some).await {
            Ok(why) => why.clone(),
            Err(_) => None,
        };
        // Its sender is gone and has said nothing: the driver was dropped.
        why.unwrap_or(Stopped::Fatal(Fatal::Dropped))
    }

    pub(super) async fn send(&self, message: Message) -> Result<(), CallError> {
        if self.messages.send(message).is_err() {
            return Err(CallError::Stopped(self.stopped().await));
        }
        Ok(())
    }

    pub(super) async fn answer<T>(&self, answered: oneshot::Receiver<T>) -> Result<T, CallError> {
        match answered.await {
            Ok(answer) => Ok(answer),
            Err(_) => Err(CallError::Stopped(self.stopped().await)),
        }
    }

    /// The answer, or what `why` makes of the reason for its being late.
    async fn wait<T>(
        &self,
        answered: oneshot::Receiver<T>,
        late: oneshot::Receiver<String>,
        why: impl FnOnce(String) -> CallError,
    ) -> Result<T, CallError> {
        let answered = pin!(self.answer(answered));
        // The answer is looked at first.
        match select(answered, late).await {
            Either::Left((answer, _)) => answer,
            Either::Right((Ok(reason), _)) => Err(why(reason)),
            Either::Right((Err(_), answered)) => answered.await,
        }
    }
}

/// The other end of [`Handle::stopped`].
pub(super) type StoppedSender = watch::Sender<Option<Stopped>>;
