//! Targets, for who lists them.

use serde::Serialize;
use sortie_core::{
    ClaimPhase, DeviceId, OperationId, StreamId, TargetIndex, TargetReason, TargetStatus,
    Timestamp,
    campaign::{DeviceWord, Target},
};
use sortie_engine::node::View;
use sortie_protocol::Status as DeviceStatus;

/// No page of targets is longer.
const PAGE_MAX: usize = 10_000;
/// No page looks at more targets: the engine has other things to do.
const LOOKED_AT_MAX: u32 = 100_000;

/// One target: what is committed, and beside it what is heard of its device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TargetRow {
    /// Its place in the snapshot.
    pub index: TargetIndex,
    /// Its device.
    pub device: DeviceId,
    /// Where it is.
    pub status: TargetStatus,
    /// Why.
    pub reason: Option<TargetReason>,
    /// Its operation under way, or its last one.
    pub operation: Option<OperationId>,
    /// The last word of the device on that operation.
    pub heard: Option<DeviceStatus>,
    /// That word in full, if it says more than a status: code, detail, message.
    pub word: Option<DeviceWord>,
    /// Why the transport refused its request for good, if it did and said so (P5).
    pub refusal: Option<String>,
    /// When that operation started.
    pub started_at: Option<Timestamp>,
    /// When it ended, or when the target was judged without one (E).
    pub ended_at: Option<Timestamp>,
    /// A person asked for that operation to be cancelled, and the device has not answered yet (X2).
    pub cancelling: bool,
    /// It ended without the device's word: the device may still be installing (X1).
    pub abandoned: bool,
    /// The version that the device ran when that operation was decided.
    pub decided_on: Option<String>,
    /// Heard, not committed: the device is online. `None`: nothing is known of it.
    pub online: Option<bool>,
    /// Heard, not committed: the version that the device says it runs.
    pub version: Option<String>,
    /// Idle, since another campaign's operation is in force on the device (O1): which.
    pub waits_for: Option<StreamId>,
}

/// How many targets there are of one status and reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SummaryRow {
    /// The status.
    pub status: TargetStatus,
    /// The reason; idle and in-progress targets may have none.
    pub reason: Option<TargetReason>,
    /// How many.
    pub count: usize,
}

/// Which targets are listed. Default: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetFilter {
    status: Option<TargetStatus>,
    reason: Option<TargetReason>,
    abandoned: bool,
}

impl TargetFilter {
    /// All targets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those of this status.
    pub fn status(mut self, status: TargetStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Only those with this reason. An idle target keeps that of its last try.
    pub fn reason(mut self, reason: TargetReason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Only those whose device may still be installing: abandoned, and no word on it yet (X1).
    pub fn abandoned(mut self) -> Self {
        self.abandoned = true;
        self
    }

    fn fits(&self, target: &Target) -> bool {
        self.fits_kind(target.status, target.reason)
            && (!self.abandoned || target.claim_phase() == Some(ClaimPhase::Open))
    }

    fn fits_kind(&self, status: TargetStatus, reason: Option<TargetReason>) -> bool {
        self.status.is_none_or(|wanted| wanted == status)
            && self.reason.is_none_or(|wanted| Some(wanted) == reason)
    }
}

/// Some of the targets that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TargetPage {
    /// In the order of the snapshot.
    pub rows: Vec<TargetRow>,
    /// Ask again with this as `after`, also when the page is not full: it is not longer than what may
    /// be looked at in one go. `None`: there are no more.
    pub next: Option<TargetIndex>,
}

/// Looks at targets after `after` in their order, which never changes: nothing is listed twice or left
/// out, whatever happens between two pages.
pub(crate) fn page(
    view: View<'_>,
    filter: &TargetFilter,
    after: Option<TargetIndex>,
    limit: usize,
) -> TargetPage {
    let mut page = TargetPage::default();
    let state = view.campaign.state();
    let mut kinds = state.kinds().iter();
    if !kinds.any(|((status, reason), _)| filter.fits_kind(*status, *reason)) {
        return page;
    }
    let first = after.map_or(0, |index| index.0.saturating_add(1));
    let targets = state.counts().targets;
    let end = first.saturating_add(LOOKED_AT_MAX).min(targets);
    for index in (first..end).map(TargetIndex) {
        if state
            .target(index)
            .is_some_and(|target| filter.fits(target))
        {
            page.rows.extend(row(view, index));
        }
        if page.rows.len() >= limit.clamp(1, PAGE_MAX) {
            page.next = Some(index).filter(|index| index.0 + 1 < targets);
            return page;
        }
    }
    page.next = (end < targets).then(|| TargetIndex(end.saturating_sub(1)));
    page
}

pub(crate) fn of(view: View<'_>, device: &DeviceId) -> Option<TargetRow> {
    row(view, view.target_of(device)?)
}

impl From<((TargetStatus, Option<TargetReason>), u32)> for SummaryRow {
    fn from(((status, reason), count): ((TargetStatus, Option<TargetReason>), u32)) -> Self {
        Self {
            status,
            reason,
            count: count as usize,
        }
    }
}

fn row(view: View<'_>, index: TargetIndex) -> Option<TargetRow> {
    let state = view.campaign.state();
    let target = state.target(index)?;
    let device = state.device(index)?;
    let slot = view.fleet.find(device);
    let heard = slot.filter(|slot| view.fleet.is_heard(*slot));
    let fleet = slot.map(|slot| view.fleet.device(slot));
    let held = fleet.and_then(|device| device.claim());
    let held = held
        .filter(|claim| claim.phase == ClaimPhase::Held)
        .map(|claim| claim.holder);
    let own = StreamId::Campaign(state.id());
    let decided_on = (target.claim != 0)
        .then(|| state.decided_on(target))
        .flatten();
    Some(TargetRow {
        index,
        device: device.clone(),
        status: target.status,
        reason: target.reason,
        operation: state.operation(index),
        heard: target.heard,
        word: state.last_word(index).cloned(),
        refusal: state.refusal(index).map(Into::into),
        started_at: state.operation_started_at(index),
        ended_at: state.operation_ended_at(index),
        cancelling: state.is_cancelling(target),
        abandoned: target.claim_phase() == Some(ClaimPhase::Open),
        decided_on: decided_on.map(Into::into),
        online: heard.map(|slot| view.fleet.is_online(slot)),
        version: fleet
            .and_then(|device| device.version())
            .map(|version| version.text.to_string()),
        waits_for: held.filter(|holder| target.status == TargetStatus::Idle && *holder != own),
    })
}
