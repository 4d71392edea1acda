//! What a manual update leads to.

use super::ManualUpdate;
use crate::{
    SystemModelId, Timestamp,
    campaign::{
        Campaign, CampaignEvent, Command, Rejection, TargetIndex, TargetReason, TargetStatus,
        decide::Deciding,
    },
};

/// A manual update has one target.
const ONLY: TargetIndex = TargetIndex(0);

impl Campaign {
    /// M1, M3, K2: a person asks for a manual update in this stream.
    pub(in crate::campaign) fn request_manual(
        &mut self,
        mut update: ManualUpdate,
        device_model: Option<&str>,
        d: &mut Deciding<'_>,
    ) -> Result<(), Rejection> {
        if let Some(present) = self.state.manual() {
            // Its date may have passed since, or at once.
            update.wait_until = present.wait_until;
            return if *present == update {
                Ok(())
            } else {
                Err(Rejection::Exists {
                    stream: self.state.stream(),
                })
            };
        }
        let slot = d.fleet.find(&update.device);
        let heard = slot.and_then(|slot| d.fleet.device(slot).system_model());
        let device_model = heard.or(device_model);
        let image_model = update.source.system_model().map(SystemModelId::as_str);
        if (image_model.is_none() || image_model != device_model) && !update.risk_acknowledged {
            return Err(Rejection::RiskNotAcknowledged {
                image: image_model.map(Into::into),
                device: device_model.map(Into::into),
            });
        }
        // A date in the past is no waiting (S1's "a time in the past is now").
        update.wait_until = update.wait_until.filter(|until| *until > d.now.at);
        if update.wait_until.is_none() {
            let online = slot.filter(|slot| d.fleet.is_online(*slot));
            let Some(slot) = online else {
                return Err(Rejection::DeviceOffline {
                    device: update.device,
                });
            };
            if let Some(by) = d.fleet.device(slot).claim().filter(|claim| claim.is_held()) {
                return Err(Rejection::DeviceHeld {
                    device: update.device,
                    by: by.holder,
                });
            }
        }
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
