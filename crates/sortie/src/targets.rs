//! Targets, for who lists them.

use std::collections::BTreeMap;

use serde::Serialize;
use sortie_core::{
    ClaimPhase, DeviceId, OperationId, StreamId, TargetIndex, TargetReason, TargetStatus,
    campaign::End,
};
use sortie_engine::node::View;
use sortie_protocol::Status as DeviceStatus;

/// No page of targets is longer.
const PAGE_MAX: usize = 10_000;

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

pub(crate) fn page(view: View<'_>, after: Option<TargetIndex>, limit: usize) -> Vec<TargetRow> {
    let first = after.map_or(0, |index| index.0.saturating_add(1));
    let rows = (first..view.campaign.state().counts().targets).map(TargetIndex);
    rows.filter_map(|index| row(view, index))
        .take(limit.min(PAGE_MAX))
        .collect()
}

pub(crate) fn of(view: View<'_>, device: &DeviceId) -> Option<TargetRow> {
    let devices = view.campaign.state().devices();
    let index = devices.iter().position(|target| target == device)?;
    row(view, TargetIndex(u32::try_from(index).ok()?))
}

pub(crate) fn summary(view: View<'_>) -> Vec<SummaryRow> {
    let mut counts = BTreeMap::new();
    for target in view.campaign.state().targets() {
        *counts.entry((target.status, target.reason)).or_default() += 1;
    }
    let rows = counts.into_iter();
    rows.map(|((status, reason), count)| SummaryRow {
        status,
        reason,
        count,
    })
    .collect()
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
        cancelling: state.is_cancelling(target),
        abandoned: target.end == Some(End::Abandoned) && !target.late,
        decided_on: decided_on.map(Into::into),
        online: heard.map(|slot| view.fleet.is_online(slot)),
        version: fleet
            .and_then(|device| device.version())
            .map(|version| version.text.to_string()),
        waits_for: held.filter(|holder| target.status == TargetStatus::Idle && *holder != own),
    })
}
