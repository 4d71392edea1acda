//! What a campaign's snapshot would hold (S3).

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use sortie_core::{
    CampaignSpec, CatalogState, DeviceId, Fleet, NewCampaign, TargetReason,
    campaign::{ImageCopy, Verdict, verdict},
    phrase::count,
};
use sortie_ports::{Clock, Inventory};

use super::{handle::CallError, inventory};
use crate::node::{Refusal, Resolve};

/// What a campaign's snapshot would hold, if it started now (S3).
///
/// What would become of a target is decided just before its push, on what the device says then (E);
/// here it is decided on what has been heard so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Preview {
    /// The devices that would be targets (S2).
    pub targets: usize,
    /// Of these: would be pushed, by what they say that they run.
    pub pushed: usize,
    /// Of these: would be successful without a push, by reason (E2).
    pub skipped: BTreeMap<TargetReason, usize>,
    /// Of these: would fail without a push, by reason (E).
    pub failed: BTreeMap<TargetReason, usize>,
    /// Of these: nothing has been heard of what they run.
    pub unheard: usize,
}

impl fmt::Display for Preview {
    /// `200 targets: 180 to be pushed, 4 already_at_version, 16 not heard yet`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets = count(self.targets as u64, "target", "targets");
        write!(f, "{targets}: {} to be pushed", self.pushed)?;
        for (reason, count) in self.skipped.iter().chain(&self.failed) {
            write!(f, ", {count} {reason}")?;
        }
        if self.unheard > 0 {
            write!(f, ", {} not heard yet", self.unheard)?;
        }
        Ok(())
    }
}

/// What the snapshot is to be taken of.
pub(super) struct Wanted {
    want: Resolve,
    image: ImageCopy,
    spec: CampaignSpec,
}

/// What the draft's campaign would be made of (S3).
pub(super) fn wanted(catalog: &CatalogState, draft: &NewCampaign) -> Result<Wanted, CallError> {
    let (spec, image, groups) = draft.check(catalog).map_err(Refusal::Invalid)?;
    let want = Resolve {
        system_model: image.system_model.clone(),
        groups,
    };
    Ok(Wanted { want, image, spec })
}

/// A snapshot as it would be, and what is needed to judge its devices.
pub(super) struct Prospect {
    devices: Vec<DeviceId>,
    image: ImageCopy,
    spec: CampaignSpec,
}

/// Takes the snapshot that the draft's campaign would have now.
pub(super) async fn prospect(
    devices: &dyn Inventory,
    clock: &dyn Clock,
    wanted: Wanted,
) -> Result<Prospect, CallError> {
    let Wanted { want, image, spec } = wanted;
    let devices = inventory::resolve(devices, clock, &want).await;
    Ok(Prospect {
        devices: devices.map_err(CallError::Unavailable)?,
        image,
        spec,
    })
}

impl Prospect {
    /// Judges the devices on what the fleet has been heard to say.
    pub(super) fn judge(&self, fleet: &Fleet) -> Preview {
        let mut preview = Preview {
            targets: self.devices.len(),
            ..Preview::default()
        };
        for device in &self.devices {
            let heard = fleet.find(device).map(|slot| fleet.device(slot));
            let Some(device) = heard.filter(|device| !device.session().is_empty()) else {
                preview.unheard += 1;
                continue;
            };
            match verdict(&self.image, &self.spec.mechanism, device) {
                Verdict::Push => preview.pushed += 1,
                Verdict::Successful(why) => *preview.skipped.entry(why).or_default() += 1,
                Verdict::Failed(why) => *preview.failed.entry(why).or_default() += 1,
            }
        }
        preview
    }
}
