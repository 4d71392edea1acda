//! Rules L, X2, K and M: what a person may ask for.

use super::{
    super::step::{Ask, Manual},
    Device,
    rules::Deciding,
};

impl Deciding<'_> {
    /// K1: the same id again gets the first answer.
    pub(crate) fn command(&mut self, id: u64, ask: &Ask, device: Option<&(Device, bool)>) {
        let answer = match ask {
            Ask::Manual(manual) => self.request_manual(manual, device),
            _ if self.stream.is_manual() => self.manual_command(ask),
            _ => self.campaign_command(ask),
        };
        match answer {
            // K2: what exists is returned, and not a word recorded, however often an application asks.
            Ok(())
                if matches!(ask, Ask::Create(_) | Ask::Manual(_))
                    && self.said.events.is_empty() => {}
            Ok(()) => {
                if self.said.events.is_empty() {
                    self.event("CommandAccepted"); // It changes nothing.
                }
                self.stream.commands.push(id);
            }
            Err(refused) => self.said.refused = Some(refused),
        }
    }

    /// L1, L2, L3, X2, X4, K2.
    fn campaign_command(&mut self, ask: &Ask) -> Result<(), String> {
        let status = self.stream.status;
        let only = |command: &str, allowed: &[&str]| {
            if allowed.contains(&status) {
                return Ok(());
            }
            Err(format!("cannot {command}: the campaign is {status}"))
        };
        match ask {
            Ask::Create(spec) if self.stream.spec.is_none() => {
                self.stream.spec = Some(spec.clone());
                self.stream.created_at = self.at;
                self.event("CampaignCreated");
                return Ok(());
            }
            Ask::Create(spec) if self.stream.exists() && self.stream.spec() == *spec => {
                return Ok(());
            }
            // An id is never used again.
            Ask::Create(_) if self.stream.deleted => return Err("was deleted".into()),
            Ask::Create(_) => return Err("exists already, with other content".into()),
            _ if !self.stream.exists() => return Err("there is no such stream".into()),
            Ask::Edit(spec) => {
                only("edit", &["idle", "scheduled"])?;
                if self.stream.spec() != *spec {
                    // S1 anew, if the edit says another time.
                    self.stream.start_requested &= self.stream.spec().start == spec.start;
                    self.stream.spec = Some(spec.clone());
                    self.stream.status = "idle";
                    self.event("CampaignEdited");
                }
            }
            Ask::Delete => {
                only("delete", &["idle", "scheduled"])?;
                self.stream.deleted = true;
                self.event("CampaignDeleted");
            }
            Ask::Start => {
                only("start", &["idle", "scheduled"])?;
                if !self.stream.start_requested {
                    self.stream.start_requested = true;
                    self.event("StartRequested");
                }
            }
            Ask::Pause => {
                only("pause", &["in_progress"])?;
                self.stream.status = "pausing";
                self.event("CampaignPausing");
                self.settle();
            }
            Ask::Resume => {
                only("resume", &["pausing", "paused"])?;
                self.stream.status = "in_progress";
                self.event("CampaignResumed");
            }
            Ask::Cancel => self.cancel()?,
            Ask::CancelOperation(target) => self.cancel_operation(*target)?,
            Ask::Manual(_) => unreachable!("only in streams of manual updates"),
        }
        Ok(())
    }

    /// M3: a manual update can be cancelled, nothing else.
    fn manual_command(&mut self, ask: &Ask) -> Result<(), String> {
        match ask {
            _ if !self.stream.exists() => Err("there is no such stream".into()),
            // X2, X4: its only target is cancelled, sent or not.
            Ask::Cancel | Ask::CancelOperation(_) if self.stream.targets[0].status == "idle" => {
                self.failed(0, "canceled", "NotSent", "");
                Ok(())
            }
            Ask::Cancel | Ask::CancelOperation(_) => self.cancel_operation(0),
            _ => Err("it can only be cancelled".into()),
        }
    }

    /// X2, X4.
    fn cancel_operation(&mut self, target: usize) -> Result<(), String> {
        let Some(at) = self.stream.targets.get(target) else {
            return Err(format!("the campaign has no target {target}"));
        };
        if at.status != "in_progress" {
            let status = at.status;
            return Err(format!(
                "cannot cancel the operation: the target is {status}"
            ));
        }
        if !self.stream.is_cancelling(target) {
            self.cancel_target(target);
            self.target(target).cancel_requested = true;
            self.event(format!("OperationCancelRequested {target}"));
        }
        Ok(())
    }

    /// L3.
    fn cancel(&mut self) -> Result<(), String> {
        if self.stream.status == "finished" && self.stream.in_progress() == 0 {
            return Err("cannot cancel: the campaign is finished".into());
        }
        if self.stream.all_cancelled {
            return Ok(());
        }
        for target in 0..self.stream.targets.len() {
            if self.stream.targets[target].status == "in_progress" {
                self.cancel_target(target);
            }
        }
        self.stream.all_cancelled = true;
        self.event("CampaignCancelled");
        if self.stream.status != "finished" {
            self.finish("cancelled");
        }
        Ok(())
    }

    /// M1, M3, K2. `device` is what is known of it, and whether it is held.
    fn request_manual(
        &mut self,
        manual: &Manual,
        device: Option<&(Device, bool)>,
    ) -> Result<(), String> {
        if let Some(present) = &self.stream.manual {
            // A date that has passed, since or at once, is the recorded one.
            let passed = manual.until.is_some_and(|until| until <= self.at);
            let until = if passed { present.until } else { manual.until };
            let asked = Manual {
                until,
                ..manual.clone()
            };
            if asked.is_same(present) {
                return Ok(());
            }
            return Err("exists already, with other content".into());
        }
        let (device, held) = device.cloned().unwrap_or_default();
        let image_model = manual.image().map(|(_, model)| model);
        let device_model = device.model.or(manual.inventory_model);
        let known_to_fit = image_model.is_some() && image_model == device_model;
        if !known_to_fit && !manual.acknowledged {
            return Err("the risk is not acknowledged".into());
        }
        // A date in the past is no waiting.
        let waits = manual.until.is_some_and(|until| until > self.at);
        if !device.online && !waits {
            return Err("the device is not online".into());
        }
        if held && !waits {
            return Err("the device is held".into());
        }
        self.stream.manual = Some(Manual {
            until: manual.until.filter(|_| waits),
            ..manual.clone()
        });
        self.stream.created_at = self.at;
        self.started(&[manual.device]);
        self.event("ManualUpdateRequested");
        Ok(())
    }
}
