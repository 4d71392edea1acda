//! What changes which slot boots: the bootloader's choice, and the application's word on it.

use embedded_storage::nor_flash::NorFlash;

use super::Slots;
use super::error::SlotsError;
use super::state::{Candidate, Cause, Image, Outcome, SlotId, Stage, State, Tag, Verdict};

/// What the bootloader is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    /// The slot.
    pub slot: SlotId,
    /// What it holds.
    pub image: Image,
    /// The image is on trial: its application must [confirm](Slots::confirm) it, or it is the last time.
    pub trial: bool,
}

impl<F: NorFlash> Slots<F> {
    /// Decides which slot boots, durably, before it boots. For the bootloader, once at each start.
    ///
    /// | candidate | what happens |
    /// |---|---|
    /// | none | the active slot boots; nothing is written |
    /// | pending or on trial, trials left | digest checked; good: trial counted, then booted; bad: rolled back |
    /// | on trial, none left | rolled back: [`Cause::TrialLimit`] |
    /// | rejected | rolled back: [`Cause::Rejected`] |
    ///
    /// Rolling back checks the digest of the active slot and fails with
    /// [`NoBootableImage`](SlotsError::NoBootableImage) if it is wrong. A power cut on the way repeats
    /// the decision at the next start, but for one after the count of the trial: that was the trial.
    ///
    /// If the state can't be written for another reason, a bootloader may run the slot that
    /// [`state`](Slots::state) calls active: it holds a confirmed image at any time.
    pub fn boot(&mut self) -> Result<Boot, SlotsError<F::Error>> {
        let state = self.state()?;
        let Some(candidate) = state.candidate else {
            return Ok(Boot {
                slot: state.active,
                image: state.image,
                trial: false,
            });
        };
        let trials = match candidate.stage {
            Stage::Rejected(number) => {
                return self.roll_back(state, candidate, Cause::Rejected(number));
            }
            Stage::Trial(count) => count,
            Stage::Pending => 0,
        };
        if trials >= self.max_trials {
            return self.roll_back(state, candidate, Cause::TrialLimit);
        }
        let slot = state.active.other();
        if !self.is_whole(slot, &candidate.image)? {
            return self.roll_back(state, candidate, Cause::DigestMismatch);
        }
        let counted = Candidate {
            stage: Stage::Trial(trials + 1),
            ..candidate
        };
        self.store(State {
            candidate: Some(counted),
            ..state
        })?;
        Ok(Boot {
            slot,
            image: candidate.image,
            trial: true,
        })
    }

    /// Makes the image in the slot that is not active the next one to boot, on trial. This is the point of
    /// no return (A6).
    ///
    /// The digest is taken from flash and compared first. Marking the same image for the same operation again
    /// changes nothing. An operation whose image was tried, and had its outcome, is refused.
    pub fn mark_pending(&mut self, image: Image) -> Result<(), SlotsError<F::Error>> {
        let state = self.state()?;
        if let Some(candidate) = state.candidate {
            let tag = candidate.image.tag;
            let same = candidate.image == image && candidate.stage == Stage::Pending;
            return if same {
                Ok(())
            } else {
                Err(SlotsError::SlotInUse { tag })
            };
        }
        if state
            .outcome
            .is_some_and(|outcome| outcome.tag == image.tag)
            || state.image.tag == image.tag
        {
            return Err(SlotsError::AlreadyTried { tag: image.tag });
        }
        if let Some(Outcome {
            tag, told: false, ..
        }) = state.outcome
        {
            return Err(SlotsError::OutcomeUntold { tag });
        }
        self.check_size(image.size)?;
        let found = self.digest(state.active.other(), image.size)?;
        if found != image.sha256 {
            return Err(SlotsError::DigestMismatch { found });
        }
        let candidate = Candidate {
            image,
            stage: Stage::Pending,
        };
        self.store(State {
            candidate: Some(candidate),
            ..state
        })
    }

    /// Makes the image on trial the active one. For its application, after its health check.
    pub fn confirm(&mut self) -> Result<(), SlotsError<F::Error>> {
        let (state, candidate) = self.on_trial()?;
        self.store(State {
            active: state.active.other(),
            image: candidate.image,
            candidate: None,
            outcome: Some(outcome(candidate, Verdict::Confirmed)),
        })
    }

    /// Gives up the image on trial: the next boot goes back to the old one, with [`Cause::Rejected`]
    /// and `number`, whose meaning is the caller's. For its application, when its health check failed;
    /// it then reboots.
    pub fn reject(&mut self, number: u8) -> Result<(), SlotsError<F::Error>> {
        let (state, candidate) = self.on_trial()?;
        let rejected = Candidate {
            stage: Stage::Rejected(number),
            ..candidate
        };
        self.store(State {
            candidate: Some(rejected),
            ..state
        })
    }

    /// Notes that the application has journaled the outcome of operation `tag`, so that it need not be
    /// kept for it. Without one that waits, nothing is written.
    pub fn told(&mut self, tag: Tag) -> Result<(), SlotsError<F::Error>> {
        let state = self.state()?;
        match state.outcome {
            Some(outcome) if outcome.tag == tag && !outcome.told => self.store(State {
                outcome: Some(Outcome {
                    told: true,
                    ..outcome
                }),
                ..state
            }),
            _ => Ok(()),
        }
    }

    fn on_trial(&mut self) -> Result<(State, Candidate), SlotsError<F::Error>> {
        let state = self.state()?;
        match state.candidate {
            Some(
                candidate @ Candidate {
                    stage: Stage::Trial(_),
                    ..
                },
            ) => Ok((state, candidate)),
            _ => Err(SlotsError::NotOnTrial),
        }
    }

    fn roll_back(
        &mut self,
        state: State,
        candidate: Candidate,
        cause: Cause,
    ) -> Result<Boot, SlotsError<F::Error>> {
        let boot = Boot {
            slot: state.active,
            image: state.image,
            trial: false,
        };
        if !self.is_whole(boot.slot, &boot.image)? {
            return Err(SlotsError::NoBootableImage);
        }
        let outcome = Some(outcome(candidate, Verdict::RolledBack(cause)));
        self.store(State {
            candidate: None,
            outcome,
            ..state
        })?;
        Ok(boot)
    }

    fn is_whole(&mut self, slot: SlotId, image: &Image) -> Result<bool, SlotsError<F::Error>> {
        // A state written over a larger flash names a size that this one can't hold.
        Ok(image.size <= self.slot_len() && self.digest(slot, image.size)? == image.sha256)
    }
}

fn outcome(candidate: Candidate, verdict: Verdict) -> Outcome {
    Outcome {
        tag: candidate.image.tag,
        verdict,
        told: false,
    }
}
