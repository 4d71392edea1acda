//! A campaign's committed progress, for those who watch.

use std::{fmt, ops::Deref};

use serde::Serialize;
use sortie_core::{
    Campaign, CampaignId, Counts, Outcome, StreamId, TargetReason, TargetStatus, Timestamp,
    campaign::Status, catalog::Use,
};

use super::{Node, NodeOutput, stream::Body};

/// How many targets there are of each status and reason, in their order.
pub type Kinds = Vec<((TargetStatus, Option<TargetReason>), u32)>;

/// A campaign's counters as they are committed, and beside them why it may stand still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Progress {
    /// The campaign.
    pub campaign: CampaignId,
    /// Its name; of a manual update, what it sends.
    pub name: String,
    /// Its status.
    pub status: Status,
    /// Its outcome, once finished.
    pub outcome: Option<Outcome>,
    /// Finished, with so many operations still followed to their end (L5).
    pub draining: u32,
    /// Its counters.
    #[serde(flatten)]
    pub counts: Counts,
    /// Max in-progress operations (P2).
    pub limit: u32,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it got its outcome.
    pub finished_at: Option<Timestamp>,
    /// Why its start waits, if the inventory can't answer (S2).
    pub start_waits: Option<String>,
    /// Why it stands still: the store is away, or its decision panicked.
    pub halted: Option<String>,
}

impl Progress {
    /// Finished and drained: nothing but a late report can come.
    pub fn is_over(&self) -> bool {
        self.status == Status::Finished && self.draining == 0
    }
}

/// `progress.failed` is `progress.counts.failed`.
impl Deref for Progress {
    type Target = Counts;

    fn deref(&self) -> &Counts {
        &self.counts
    }
}

impl fmt::Display for Progress {
    /// `in_progress: 149 idle, 50 of 50 in progress, 1 successful, 0 failed`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            idle,
            in_progress,
            successful,
            failed,
            abandoned,
            ..
        } = self.counts;
        write!(f, "{}", self.status)?;
        if let Some(outcome) = self.outcome {
            write!(f, " ({outcome})")?;
        }
        let limit = self.limit;
        write!(
            f,
            ": {idle} idle, {in_progress} of {limit} in progress, {successful} successful, {failed} failed"
        )?;
        if abandoned > 0 {
            write!(f, " ({abandoned} without a word)")?;
        }
        if self.draining > 0 {
            write!(f, ", draining {}", self.draining)?;
        }
        if let Some(why) = &self.start_waits {
            write!(f, "; the start waits: {why}")?;
        }
        if let Some(why) = &self.halted {
            write!(f, "; halted: {why}")?;
        }
        Ok(())
    }
}

impl Node {
    /// The committed progress of a campaign, or of a manual update as of a campaign with one target;
    /// `None`: there is no such stream.
    pub fn progress(&self, stream: StreamId) -> Option<Progress> {
        let slot = self.streams.get(&stream)?;
        let mut progress = slot.progress.clone()?;
        progress.start_waits = slot.start.trouble().map(Into::into);
        if progress.halted.is_none() {
            progress.halted.clone_from(&slot.trouble);
        }
        Some(progress)
    }

    /// A finished campaign's targets, counted by status and reason; `None`: it is not finished, or not
    /// read yet, and its [`View`](super::View) says.
    pub fn kinds(&self, stream: StreamId) -> Option<Kinds> {
        self.streams.get(&stream)?.kinds.clone()
    }

    /// The campaigns that there are.
    pub fn campaigns(&self) -> impl Iterator<Item = CampaignId> + '_ {
        self.streams
            .iter()
            .filter(|(_, slot)| slot.progress.is_some())
            .filter_map(|(id, _)| match id {
                StreamId::Campaign(id) => Some(*id),
                _ => None,
            })
    }

    pub(super) fn note_progress(&mut self, stream: StreamId, campaign: &Campaign) {
        let state = campaign.state();
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        slot.uses = Use::of(state);
        slot.kinds = None;
        let spec = state.spec().filter(|_| !state.is_deleted());
        let name = spec
            .map(|spec| spec.name.clone())
            .or_else(|| Some(state.manual()?.name()));
        let (Some(name), Some(mechanism)) = (name, state.mechanism()) else {
            if slot.progress.take().is_some() {
                self.outputs.push_back(NodeOutput::Progress(stream));
            }
            return;
        };
        let counts = state.counts();
        slot.progress = Some(Progress {
            campaign: state.id(),
            name,
            status: state.status(),
            outcome: state.outcome(),
            draining: if state.is_draining() {
                counts.in_progress
            } else {
                0
            },
            counts,
            limit: mechanism.max_in_progress_operations,
            started_at: state.started_at(),
            finished_at: state.finished_at(),
            start_waits: None,
            halted: None,
        });
        slot.kinds = slot.is_over().then(|| state.kinds().to_vec());
        self.outputs.push_back(NodeOutput::Progress(stream));
    }

    /// Takes a campaign's progress over, at its commit.
    pub(super) fn refresh_progress(&mut self, stream: StreamId) {
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        match std::mem::replace(&mut slot.body, Body::Unloaded) {
            Body::Campaign(campaign) => {
                self.note_progress(stream, &campaign);
                if let Some(slot) = self.streams.get_mut(&stream) {
                    slot.note_snapshot(stream, &campaign);
                    slot.body = Body::Campaign(campaign);
                }
            }
            other => slot.body = other,
        }
    }
}
