//! What a manual update leads to.

use super::ManualUpdate;
use crate::{
    Fleet, SystemModelId, Timestamp,
    campaign::{
        Campaign, CampaignEvent, Command, Rejection, TargetIndex, TargetReason, TargetStatus,
        decide::Deciding,
    },
};

impl ManualUpdate {
    /// Whether it may be asked for now (M1, M3). `device_model` is the device's System Model by the
    /// inventory; what the device itself names goes before it.
    ///
    /// # Errors
    /// Why not.
    pub fn check(
        &self,
        device_model: Option<&SystemModelId>,
        fleet: &Fleet,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let slot = fleet.find(&self.device);
        let heard = slot.and_then(|slot| fleet.device(slot).system_model());
        let device_model = heard.or(device_model.map(SystemModelId::as_str));
        let image_model = self.source.system_model().map(SystemModelId::as_str);
        let risky = image_model.is_none() || image_model != device_model;
        if risky && !self.risk_acknowledged {
            return Err(Rejection::RiskNotAcknowledged {
                device: self.device.clone(),
                image_model: image_model.map(Into::into),
                device_model: device_model.map(Into::into),
            });
        }
        if self.waits(now) {
            return Ok(());
        }
        let device = self.device.clone();
        let Some(slot) = slot.filter(|slot| fleet.is_online(*slot)) else {
            return Err(Rejection::DeviceOffline { device });
        };
        match fleet.device(slot).claim().filter(|claim| claim.is_held()) {
            Some(by) => Err(Rejection::DeviceHeld {
                device,
                by: by.holder,
            }),
            None => Ok(()),
        }
    }

    /// Whether it waits for its device if need be. A date in the past is no waiting (S1's "a time in the past
    /// is now").
    fn waits(&self, now: Timestamp) -> bool {
        self.wait_until.is_some_and(|until| until > now)
    }
}

/// A manual update has one target.
const ONLY: TargetIndex = TargetIndex(0);

impl Campaign {
    /// M1, M3, K2: a person asks for a manual update in this stream.
    pub(in crate::campaign) fn request_manual(
        &mut self,
        mut update: ManualUpdate,
        device_model: Option<&SystemModelId>,
        d: &mut Deciding<'_>,
    ) -> Result<(), Rejection> {
        if let Some(present) = self.state.manual() {
            // A date that has passed, since or at once, is the recorded one; another is other content.
            if update.wait_until.is_some() && !update.waits(d.now.at) {
                update.wait_until = present.wait_until;
            }
            // It keeps the image as it was then, which may have been edited since (T4).
            if let (Some((asked, _)), Some((sent, _))) =
                (update.source.base_image(), present.source.base_image())
                && asked == sent
            {
                update.source = present.source.clone();
            }
            return if *present == update {
                Ok(())
            } else {
                Err(Rejection::Exists {
                    stream: self.state.stream(),
                })
            };
        }
        if !update.waits(d.now.at) {
            update.wait_until = None;
        }
        update.check(device_model, d.fleet, d.now.at)?;
        let update = Box::new(update);
        self.emit(CampaignEvent::ManualUpdateRequested { update }, d);
        Ok(())
    }

    /// A command to a manual update: it can only be cancelled, as an operation is (M3, X2).
    pub(in crate::campaign) fn command_manual(
        &mut self,
        command: &Command,
        d: &mut Deciding<'_>,
    ) -> Result<(), Rejection> {
        match command {
            Command::Cancel | Command::CancelOperation(_) => {
                let target = self.state.target(ONLY);
                if target.is_some_and(|target| target.status == TargetStatus::Idle) {
                    self.end_unsent(ONLY, TargetReason::Canceled, d);
                    Ok(())
                } else {
                    self.cancel_operation(ONLY, d)
                }
            }
            _ => Err(Rejection::NotForManual {
                stream: self.state.stream(),
            }),
        }
    }

    /// M3: unsent by its date.
    pub(in crate::campaign) fn expire_manual(&mut self, d: &mut Deciding<'_>) {
        if self.expires_at().is_some_and(|at| at <= d.now.at) {
            self.end_unsent(ONLY, TargetReason::Expired, d);
        }
    }

    /// When a manual update that waits for its device fails, by wall time (M3).
    pub fn expires_at(&self) -> Option<Timestamp> {
        let target = self.state.target(ONLY)?;
        let update = self.state.manual()?;
        update
            .wait_until
            .filter(|_| target.status == TargetStatus::Idle)
    }
}
