//! What a command leads to, or why it is refused (rules L, K).

use super::{
    Campaign, CampaignEvent, CampaignSpec, Command, CommandKind, Rejection, State, Status,
    TargetIndex, TargetStatus, decide::Deciding,
};

impl Campaign {
    pub(super) fn command(
        &mut self,
        command: Command,
        d: &mut Deciding<'_>,
    ) -> Result<(), Rejection> {
        let stream = self.state.stream();
        let before = d.out.events.len();
        match command {
            Command::Create(spec) => return self.create(*spec, d),
            Command::RequestManual {
                update,
                device_model,
            } => {
                return self.request_manual(*update, device_model.as_ref(), d);
            }
            command if self.state.manual().is_some() => self.command_manual(&command, d)?,
            _ if self.state.spec().is_none() || self.state.is_deleted() => {
                return Err(Rejection::NoCampaign { stream });
            }
            command => self.command_campaign(command, d)?,
        }
        if d.out.events.len() == before {
            self.emit(CampaignEvent::CommandAccepted, d);
        }
        Ok(())
    }

    /// K2: the same content again is the campaign that there is.
    fn create(&mut self, spec: CampaignSpec, d: &mut Deciding<'_>) -> Result<(), Rejection> {
        match self.state.spec() {
            None => {
                let spec = Box::new(spec);
                self.emit(CampaignEvent::CampaignCreated { spec }, d);
                Ok(())
            }
            _ if self.state.is_deleted() => Err(Rejection::Deleted {
                stream: self.state.stream(),
            }),
            Some(present) if *present == spec => Ok(()),
            Some(_) => Err(Rejection::Exists {
                stream: self.state.stream(),
            }),
        }
    }

    fn command_campaign(
        &mut self,
        command: Command,
        d: &mut Deciding<'_>,
    ) -> Result<(), Rejection> {
        let (status, draining) = (self.state.status, self.state.is_draining());
        let wrong = |command| Err(Rejection::WrongStatus { command, status });
        let not_started = matches!(status, Status::Idle | Status::Scheduled);
        match command {
            Command::Edit(spec) if not_started => {
                if self.state.spec() != Some(&*spec) {
                    self.emit(CampaignEvent::CampaignEdited { spec }, d);
                }
            }
            Command::Edit(_) => return wrong(CommandKind::Edit),
            Command::Delete if not_started => self.emit(CampaignEvent::CampaignDeleted, d),
            Command::Delete => return wrong(CommandKind::Delete),
            Command::Start if not_started => {
                if !self.state.start_requested {
                    self.emit(CampaignEvent::StartRequested, d);
                }
            }
            Command::Start => return wrong(CommandKind::Start),
            Command::Pause if status == Status::InProgress => {
                self.emit(CampaignEvent::CampaignPausing, d);
            }
            Command::Pause => return wrong(CommandKind::Pause),
            Command::Resume if matches!(status, Status::Pausing | Status::Paused) => {
                self.emit(CampaignEvent::CampaignResumed, d);
            }
            Command::Resume => return wrong(CommandKind::Resume),
            Command::Cancel if status != Status::Finished || draining => self.cancel(d),
            Command::Cancel => return wrong(CommandKind::Cancel),
            Command::CancelOperation(target) => self.cancel_operation(target, d)?,
            Command::Create(_) | Command::RequestManual { .. } => {}
        }
        Ok(())
    }

    /// L3: nothing starts any more, and all that is under way is cancelled (X2).
    pub(super) fn cancel(&mut self, d: &mut Deciding<'_>) {
        if self.state.all_cancelled {
            // A second cancel restarts no timer (X4).
            return;
        }
        let under_way = |state: &State, index: TargetIndex| {
            state
                .target(index)
                .is_some_and(|t| t.status == TargetStatus::InProgress && !state.is_cancelling(t))
        };
        let indices = (0..self.state.counts().targets).map(TargetIndex);
        let cancelled: Vec<_> = indices
            .filter(|index| under_way(&self.state, *index))
            .collect();
        self.emit(CampaignEvent::CampaignCancelled, d);
        for index in cancelled {
            self.start_cancel(index, d);
        }
    }

    pub(super) fn cancel_operation(
        &mut self,
        index: TargetIndex,
        d: &mut Deciding<'_>,
    ) -> Result<(), Rejection> {
        let target = self.state.target(index).zip(self.state.device(index));
        let (target, device) = target.ok_or(Rejection::NoTarget { target: index })?;
        if target.status != TargetStatus::InProgress {
            return Err(Rejection::NothingUnderWay {
                device: device.clone(),
                status: target.status,
            });
        }
        if !self.state.is_cancelling(target) {
            self.emit(CampaignEvent::OperationCancelRequested { target: index }, d);
            self.start_cancel(index, d);
        }
        Ok(())
    }

    pub(super) fn start_cancel(&mut self, index: TargetIndex, d: &mut Deciding<'_>) {
        if let Some(mechanism) = self.mechanism() {
            self.timers.cancel(index, &mechanism, d.now.listened);
        }
        d.out.registers.push(index);
    }
}
