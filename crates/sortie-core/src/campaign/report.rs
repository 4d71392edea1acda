//! Rules R and X: what a device's word leads to.

use sortie_protocol::{Reason, Report, Status as DeviceStatus, StatusCode};

use super::{
    Campaign, CampaignEvent, DeviceWord, End, TargetIndex, TargetReason, TargetStatus,
    decide::Deciding,
};

/// R2: non-terminal words recorded of one operation.
const WORDS_RECORDED_MAX: u8 = 64;

impl Campaign {
    /// A report on the target's last operation (the caller has compared the UUID).
    pub(super) fn reported(&mut self, index: TargetIndex, report: &Report, d: &mut Deciding<'_>) {
        let Some(target) = self.state.target(index) else {
            return;
        };
        match target.status {
            TargetStatus::InProgress if report.status.is_terminal() => {
                self.answered(index, report, d);
            }
            TargetStatus::InProgress => self.advanced(index, report, d),
            _ if !report.status.is_terminal() => {}
            _ if matches!(target.end, Some(End::Abandoned | End::Removed)) && !target.late => {
                // R5; the claim becomes free with it (O4).
                self.emit(
                    CampaignEvent::LateReport {
                        target: index,
                        word: report.into(),
                    },
                    d,
                );
                d.out.registers.push(index);
            }
            _ => {
                // R5: only a result that differs from the recorded one, and once.
                if target.claim != 0 && self.contradicts(index, report) && !target.contradicted {
                    let word = report.into();
                    self.emit(
                        CampaignEvent::ContradictoryReport {
                            target: index,
                            word,
                        },
                        d,
                    );
                }
            }
        }
    }

    /// Whether a terminal word is another than the one that was heard: of a failure, also by code or reason.
    fn contradicts(&self, index: TargetIndex, report: &Report) -> bool {
        let heard = self.state.target(index).and_then(|target| target.heard);
        let another_failure = report.status == DeviceStatus::Failure && self.is_news(index, report);
        heard.is_some_and(|heard| heard != report.status || another_failure)
    }

    /// Whether a word is another than the last: by status, code or reason.
    fn is_news(&self, index: TargetIndex, report: &Report) -> bool {
        let heard = self.state.target(index).and_then(|target| target.heard);
        let told = self.state.last_word(index);
        let told = (
            told.and_then(|word| word.code.as_ref()),
            told.and_then(|word| word.reason.as_ref()),
        );
        heard != Some(report.status) || told != (report.code.as_ref(), report.reason.as_ref())
    }

    /// R2: a word that ends nothing.
    fn advanced(&mut self, index: TargetIndex, report: &Report, d: &mut Deciding<'_>) {
        let Some(target) = self.state.target(index) else {
            return;
        };
        if self.is_news(index, report) && target.words_recorded < WORDS_RECORDED_MAX {
            self.emit(
                CampaignEvent::OperationReported {
                    target: index,
                    word: report.into(),
                },
                d,
            );
        }
        self.progressed(index, report.status, report.percent, d);
    }

    /// C3: a sign of life, never an event. Once a cancel was asked for, only X2's timer runs.
    pub(super) fn progressed(
        &mut self,
        index: TargetIndex,
        status: DeviceStatus,
        percent: u8,
        d: &mut Deciding<'_>,
    ) {
        if let Some(mechanism) = self.state.mechanism()
            && self
                .state
                .target(index)
                .is_some_and(|t| t.status == TargetStatus::InProgress)
        {
            self.timers
                .word(index, status, percent, mechanism, d.now.listened);
        }
    }

    /// R3, R4, X3, X4: the device ended the operation.
    fn answered(&mut self, index: TargetIndex, report: &Report, d: &mut Deciding<'_>) {
        let Some(target) = self.state.target(index) else {
            return;
        };
        let cancelled = self.state.is_cancelling(target);
        let removed = target.removed;
        let busy_retries = self.state.mechanism().map_or(0, |m| m.busy_retries);
        let retries_left = target.deferrals < busy_retries;
        let event = if report.status == DeviceStatus::Success {
            CampaignEvent::TargetSucceeded {
                target: index,
                reason: TargetReason::Updated,
                decided_on: None,
            }
        } else {
            let again = again(report);
            let word: Option<DeviceWord> = Some(report.into());
            let yields = report.code == Some(StatusCode::Canceled) || again.is_some();
            let failed = |reason| CampaignEvent::TargetFailed {
                target: index,
                reason,
                end: End::Answered,
                word: word.clone(),
                decided_on: None,
                system_model: None,
                refusal: None,
            };
            match again {
                _ if cancelled && yields && removed => failed(TargetReason::DeviceRemoved),
                _ if cancelled && yields => failed(TargetReason::Canceled),
                Some(reason) if retries_left => CampaignEvent::TargetDeferred {
                    target: index,
                    reason,
                    word: word.clone(),
                },
                Some(reason) => failed(reason),
                None => failed(TargetReason::of_failure(report.code.as_ref())),
            }
        };
        self.end_operation(index, event, d);
    }
}

/// R4: the failures after which the target is tried again.
fn again(report: &Report) -> Option<TargetReason> {
    if report.reason == Some(Reason::VersionChanged) {
        return Some(TargetReason::VersionChanged);
    }
    (report.code == Some(StatusCode::UpdateAlreadyInProgress)).then_some(TargetReason::DeviceBusy)
}
