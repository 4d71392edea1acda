//! The ports on [`sortie_flash`]: two slots and a journal over embedded-storage.

use alloc::{string::ToString, vec::Vec};
use core::fmt;

use embedded_storage::nor_flash::NorFlash;
use sortie_flash::{Cause, LogError, SlotsError, Stage, Verdict};
use sortie_protocol::{Reason, Uuid};

use crate::ports::{Boot, FlashError, Journal, Pending, Slots, TrialEnd};

/// The number under which slots keep a failed health check.
const HEALTH_CHECK_FAILED: u8 = 1;

/// Says whether a driver's error means that the power is gone. A real driver has no such error.
type PowerLost<E> = fn(&E) -> bool;

/// [`Slots`] on two slots in flash.
pub struct FlashSlots<F: NorFlash> {
    slots: sortie_flash::Slots<F>,
    power_lost: PowerLost<F::Error>,
}

impl<F: NorFlash> FlashSlots<F> {
    /// Takes the slots, after they have [booted](sortie_flash::Slots::boot).
    pub fn new(slots: sortie_flash::Slots<F>) -> Self {
        let power_lost = |_: &F::Error| false;
        Self { slots, power_lost }
    }

    /// For a simulation: which errors of the driver are a power cut, at which the run ends.
    pub fn with_power_lost(self, power_lost: fn(&F::Error) -> bool) -> Self {
        Self { power_lost, ..self }
    }

    /// What the boot said, for [`crate::Agent::start`].
    pub fn boot(&mut self) -> Result<Boot, FlashError> {
        let state = self.slots.state().map_err(|error| self.error(&error))?;
        let mut boot = Boot {
            installed: Some(Uuid::from_bytes(state.image.tag)),
            ..Boot::default()
        };
        if let Some(candidate) = state.candidate {
            let operation = Some(Uuid::from_bytes(candidate.image.tag));
            match candidate.stage {
                Stage::Pending => boot.pending = operation,
                Stage::Trial(_) | Stage::Rejected(_) => boot.trial = operation,
            }
        }
        boot.last = state.outcome.map(|outcome| {
            let end = match outcome.verdict {
                Verdict::Confirmed => TrialEnd::Confirmed,
                Verdict::RolledBack(Cause::Rejected(HEALTH_CHECK_FAILED)) => {
                    TrialEnd::RolledBack(Reason::HealthCheckFailed)
                }
                Verdict::RolledBack(_) => TrialEnd::RolledBack(Reason::TrialFailed),
            };
            (Uuid::from_bytes(outcome.tag), end)
        });
        Ok(boot)
    }

    /// Gives the slots back.
    pub fn into_inner(self) -> sortie_flash::Slots<F> {
        self.slots
    }

    fn error(&self, error: &SlotsError<F::Error>) -> FlashError {
        match error.driver() {
            Some(driver) if (self.power_lost)(driver) => FlashError::PowerLost,
            _ => FlashError::Io(error.to_string()),
        }
    }

    /// The slots address with 32 bits; what is beyond is beyond the slot.
    fn offset(offset: u64) -> Result<u32, FlashError> {
        u32::try_from(offset).map_err(|_| FlashError::Io("offset beyond the slot".into()))
    }
}

impl<F: NorFlash> fmt::Debug for FlashSlots<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlashSlots").finish_non_exhaustive()
    }
}

impl<F: NorFlash + Send> Slots for FlashSlots<F> {
    fn capacity(&self) -> u64 {
        self.slots.slot_len().into()
    }

    fn page_size(&self) -> usize {
        F::ERASE_SIZE
    }

    fn write_page(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FlashError> {
        let page = Self::offset(offset)? / self.slots.page_len();
        match self.slots.write_page(page, bytes) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error(&error)),
        }
    }

    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<(), FlashError> {
        let offset = Self::offset(offset)?;
        let state = self.slots.state().map_err(|error| self.error(&error))?;
        let read = self.slots.read(state.active.other(), offset, into);
        read.map_err(|error| self.error(&error))
    }

    fn mark_pending(&mut self, pending: Pending) -> Result<(), FlashError> {
        let marked = self.slots.mark_pending(sortie_flash::Image {
            size: Self::offset(pending.size)?,
            sha256: pending.sha256.0,
            tag: pending.operation.into_bytes(),
        });
        marked.map_err(|error| self.error(&error))
    }

    fn confirm(&mut self) -> Result<(), FlashError> {
        self.slots.confirm().map_err(|error| self.error(&error))
    }

    fn reject(&mut self, reason: Reason) -> Result<(), FlashError> {
        let number = if reason == Reason::HealthCheckFailed {
            HEALTH_CHECK_FAILED
        } else {
            0
        };
        let rejected = self.slots.reject(number);
        rejected.map_err(|error| self.error(&error))
    }

    fn told(&mut self, operation: Uuid) -> Result<(), FlashError> {
        let told = self.slots.told(operation.into_bytes());
        told.map_err(|error| self.error(&error))
    }
}

/// [`Journal`] on a record log in flash.
pub struct FlashJournal<F: NorFlash> {
    journal: sortie_flash::Journal<F>,
    power_lost: PowerLost<F::Error>,
}

impl<F: NorFlash> FlashJournal<F> {
    /// Takes the journal. It should hold [`crate::RECORD_BYTES_MAX`] bytes.
    pub fn new(journal: sortie_flash::Journal<F>) -> Self {
        let power_lost = |_: &F::Error| false;
        Self {
            journal,
            power_lost,
        }
    }

    /// For a simulation: which errors of the driver are a power cut, at which the run ends.
    pub fn with_power_lost(self, power_lost: fn(&F::Error) -> bool) -> Self {
        Self { power_lost, ..self }
    }

    fn error(&self, error: &LogError<F::Error>) -> FlashError {
        match error.driver() {
            Some(driver) if (self.power_lost)(driver) => FlashError::PowerLost,
            _ => FlashError::Io(error.to_string()),
        }
    }
}

impl<F: NorFlash> fmt::Debug for FlashJournal<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlashJournal").finish_non_exhaustive()
    }
}

impl<F: NorFlash + Send> Journal for FlashJournal<F> {
    fn load(&mut self) -> Result<Option<Vec<u8>>, FlashError> {
        self.journal.load().map_err(|error| self.error(&error))
    }

    fn store(&mut self, record: &[u8]) -> Result<(), FlashError> {
        let stored = self.journal.store(record);
        stored.map_err(|error| self.error(&error))
    }
}
