//! What a question about a campaign sees.

use sortie_core::{
    Campaign, DeviceId, Fleet, TargetIndex,
    explain::{Live, Wait, Waiting},
};

use super::Node;

/// What a [`Query`](super::Query) sees: committed state, and apart from it what is live.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct View<'a> {
    /// The campaign; its state is committed.
    pub campaign: &'a Campaign,
    /// What is heard and claimed now.
    pub fleet: &'a Fleet,
    node: &'a Node,
    start_trouble: Option<&'a str>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        campaign: &'a Campaign,
        node: &'a Node,
        start_trouble: Option<&'a str>,
    ) -> Self {
        Self {
            campaign,
            fleet: &node.fleet,
            node,
            start_trouble,
        }
    }

    /// The target that a device is.
    pub fn target_of(&self, device: &DeviceId) -> Option<TargetIndex> {
        let slot = self.fleet.find(device)?;
        let live = self.node.target(self.campaign.state().stream(), slot);
        live.or_else(|| {
            // One that is folded for a question is in nobody's way, and stands in no table.
            let place = self.campaign.slots().iter().position(|s| *s == slot)?;
            Some(TargetIndex(u32::try_from(place).ok()?))
        })
    }

    /// What a target waits for now; without one, what the campaign's start waits for.
    pub fn waiting(&self, target: Option<TargetIndex>) -> Waiting {
        let node = self.node;
        let settling = node.clock.settling(node.now.monotonic);
        let live = Live {
            fleet: self.fleet,
            now: node.campaign_now(self.campaign.state()),
            settling_ms: u64::try_from(settling.as_millis()).unwrap_or(u64::MAX),
            start_trouble: self.start_trouble,
        };
        let mut waits = self.campaign.waits(target, &live);
        for wait in &mut waits {
            if let Wait::Held { stream, name, .. } = wait {
                let holder = node.streams.get(stream);
                let progress = holder.and_then(|slot| slot.progress.as_ref());
                *name = progress.map(|progress| progress.name.clone());
            }
        }
        Waiting::new(node.now.wall, waits)
    }
}
