//! Stories of targets, read from the log beside the loop.

use sortie_core::{
    ClaimPhase, DeviceId, DeviceSlot, Event, StreamId,
    explain::{By, Explanation, Happened, HistoryPage, HistoryRow, Story, Wait, Waiting},
};
use sortie_ports::{Commit, EventStore, Version};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    ask::Message,
    handle::{CallError, Handle},
    store,
    turn::{Loop, yield_once},
};
use crate::{
    node::{Refusal, Snapshot, View, named},
    text::full_text,
};

/// No page of a device's history is longer: each row is a stream read to its end.
const HISTORY_PAGE_MAX: usize = 100;

/// A question that is answered from the log alone.
pub(super) enum FromLog {
    /// One target's story.
    Story {
        stream: StreamId,
        device: DeviceId,
        /// The version up to which it is told; `None`: to the end.
        until: Option<Version>,
        /// What it waits for, if that is known already.
        waiting: Option<Waiting>,
        answer: oneshot::Sender<Result<Option<Explanation>, CallError>>,
    },
    /// The campaigns that had a device as a target, after this one.
    History {
        device: DeviceId,
        after: Option<StreamId>,
        limit: usize,
        answer: oneshot::Sender<Result<HistoryPage, CallError>>,
    },
}

impl Handle {
    /// Why a target is where it is (its story from the log), and what it waits for now. Once all of its
    /// stream is `over`, which is then not read for that, it can only be the device's word on what was
    /// abandoned, as its claim tells. `None`: the device is no target of the campaign.
    ///
    /// The two agree: the story ends with what was committed when it was looked at what is live.
    ///
    /// # Errors
    /// [`CallError`], never `Unknown`.
    pub async fn explain(
        &self,
        stream: StreamId,
        device: &DeviceId,
        over: bool,
    ) -> Result<Option<Explanation>, CallError> {
        let (until, waiting) = if over {
            (None, None)
        } else {
            self.waiting(stream, device).await?
        };
        let (answer, answered) = oneshot::channel();
        let story = FromLog::Story {
            stream,
            device: device.clone(),
            until,
            waiting,
            answer,
        };
        self.read_log(story, answered).await
    }

    /// What a target waits for, and the version of the campaign at which it does.
    async fn waiting(
        &self,
        stream: StreamId,
        device: &DeviceId,
    ) -> Result<(Option<Version>, Option<Waiting>), CallError> {
        let device = device.clone();
        let live = move |view: View<'_>| {
            let waiting = view.waiting(view.target_of(&device));
            (view.campaign.state().version(), waiting)
        };
        let instead = |wait| {
            Ok((
                None,
                Some(Waiting::new(self.shared.clock.now(), vec![wait])),
            ))
        };
        match self.ask(stream, live).await {
            Ok((version, waiting)) => Ok((Some(version), Some(waiting))),
            // There may be a story all the same.
            Err(CallError::Refused(Refusal::Halted { why, .. })) => instead(Wait::Restart { why }),
            Err(CallError::Unavailable(why)) => instead(Wait::Log { why }),
            Err(error) => Err(error),
        }
    }

    /// What became of a device in each campaign that had it as a target and each manual update, those
    /// that started last first, after the one given: at most `limit` of them, at least 1 and at most 100.
    ///
    /// # Errors
    /// [`CallError`], never `Unknown`; `NotFound`, if there is no stream `after`.
    pub async fn device_history(
        &self,
        device: &DeviceId,
        after: Option<StreamId>,
        limit: usize,
    ) -> Result<HistoryPage, CallError> {
        let (answer, answered) = oneshot::channel();
        let history = FromLog::History {
            device: device.clone(),
            after,
            limit,
            answer,
        };
        self.read_log(history, answered).await
    }

    async fn read_log<T>(
        &self,
        question: FromLog,
        answered: oneshot::Receiver<Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let questions = self.shared.questions.clone();
        let permit = questions.try_acquire_owned().map_err(|_| CallError::Busy)?;
        self.send(Message::FromLog(question, permit)).await?;
        self.answer(answered).await?
    }
}

impl Loop {
    pub(super) fn read_log(&mut self, question: FromLog, permit: OwnedSemaphorePermit) {
        let log = self.ports.store.clone();
        match question {
            FromLog::Story {
                stream,
                device,
                until,
                waiting,
                answer,
            } => {
                let waiting = waiting.or_else(|| self.late_word(stream, &device));
                self.jobs.stories.push(Box::pin(async move {
                    let story = story(&*log, stream, device, until).await;
                    let story = story.map(|story| story.map(|story| waits(story, waiting)));
                    // Who asked may have gone, here and below.
                    let _ = answer.send(story);
                    drop(permit);
                }));
            }
            FromLog::History {
                device,
                after,
                limit,
                answer,
            } => {
                if !self.node.is_recovered() {
                    let why = "the log is still being read".to_owned();
                    let _ = answer.send(Err(CallError::Unavailable(why)));
                    return;
                }
                let Some((slot, snapshots)) = self.node.snapshots(&device) else {
                    let _ = answer.send(Ok(HistoryPage::default()));
                    return;
                };
                self.jobs.stories.push(Box::pin(async move {
                    let page = page(snapshots, slot, after, limit.clamp(1, HISTORY_PAGE_MAX));
                    let history = match page {
                        Ok((streams, next)) => history(&*log, &device, &streams, next).await,
                        Err(refusal) => Err(refusal.into()),
                    };
                    let _ = answer.send(history);
                    drop(permit);
                }));
            }
        }
    }
}

impl Loop {
    /// The device's word that a stream still waits for, as the claim that it left open tells (O4).
    fn late_word(&self, stream: StreamId, device: &DeviceId) -> Option<Waiting> {
        let fleet = self.node.fleet();
        let claim = fleet.device(fleet.find(device)?).claim()?;
        let operation = claim.operation;
        let is_open = claim.phase == ClaimPhase::Open && claim.holder == stream;
        is_open.then(|| Waiting::new(self.now.wall, vec![Wait::LateWord { operation }]))
    }
}

/// A story and what its target waits for, unless it tells, being read later, that this has come.
fn waits(mut story: Explanation, waiting: Option<Waiting>) -> Explanation {
    let is_over = |wait: &Wait| {
        let ends =
            |what: &Happened| matches!(what, Happened::LateReport { .. } | Happened::DeviceRemoved);
        matches!(wait, Wait::LateWord { .. }) && story.steps.iter().any(|step| ends(&step.what))
    };
    story.waiting = waiting.filter(|waiting| !waiting.waits.iter().all(is_over));
    story
}

/// The streams of a device's history that make up a page, and the last of them if there are more.
fn page(
    mut snapshots: Vec<Snapshot>,
    device: DeviceSlot,
    after: Option<StreamId>,
    limit: usize,
) -> Result<(Vec<StreamId>, Option<StreamId>), Refusal> {
    if let Some(after) = after {
        let place = snapshots.iter().position(|seen| seen.stream == after);
        let place = place.ok_or_else(|| Refusal::NotFound(named(after)))?;
        snapshots.drain(..=place);
    }
    let mut found = snapshots.into_iter().filter(|seen| seen.has(device));
    let page: Vec<_> = found.by_ref().take(limit).map(|seen| seen.stream).collect();
    let next = found.next().and(page.last().copied());
    Ok((page, next))
}

async fn history(
    log: &dyn EventStore,
    device: &DeviceId,
    streams: &[StreamId],
    next: Option<StreamId>,
) -> Result<HistoryPage, CallError> {
    let mut rows = vec![];
    for stream in streams {
        let story = story(log, *stream, device.clone(), None).await?;
        rows.extend(story.as_ref().map(HistoryRow::from));
    }
    Ok(HistoryPage::new(rows, next))
}

/// Reads a stream and tells what it says of a device; `None`: that is no target of it.
async fn story(
    log: &dyn EventStore,
    stream: StreamId,
    device: DeviceId,
    until: Option<Version>,
) -> Result<Option<Explanation>, CallError> {
    let mut story = Story::new(stream, device);
    let mut after = 0;
    loop {
        let page = store::read(log, stream, after).await;
        let page = page.map_err(|error| CallError::Unavailable(full_text(&error)))?;
        let last = |commit: &Commit| commit.first + commit.events.len() as Version - 1;
        let Some(end) = page.commits.last().map(last) else {
            return Ok(story.end());
        };
        for commit in &page.commits {
            if until.is_some_and(|until| last(commit) > until) {
                return Ok(story.end());
            }
            tell(&mut story, commit);
        }
        after = end;
        // A store in memory answers at once, and the loop has other things to do.
        yield_once().await;
    }
}

fn tell(story: &mut Story, commit: &Commit) {
    let commands = commit.commands.iter();
    let commands: Vec<By> = commands
        .map(|command| By::new(command.actor.clone(), command.id))
        .collect();
    let events = commit.events.iter().filter_map(Event::of_campaign);
    story.commit(commit.at, &commands, events);
}
