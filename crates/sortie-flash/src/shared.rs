//! One flash with several owners.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// A handle to a flash that others hold too, so that slots and journal can each own a
/// [`Region`](crate::Region) of one chip. Each call takes the lock for its own length only.
#[derive(Debug)]
pub struct Shared<F>(Arc<Mutex<F>>);

impl<F> Shared<F> {
    /// Puts `flash` behind a lock.
    pub fn new(flash: F) -> Self {
        Self(Arc::new(Mutex::new(flash)))
    }

    /// The flash itself, for as long as the guard lives; other handles wait meanwhile.
    pub fn lock(&self) -> MutexGuard<'_, F> {
        // Flash has no state in memory that a panic could leave half-changed: it is as after a power cut.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Clone for Shared<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: ErrorType> ErrorType for Shared<F> {
    type Error = F::Error;
}

impl<F: ReadNorFlash> ReadNorFlash for Shared<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.lock().read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.lock().capacity()
    }
}

impl<F: NorFlash> NorFlash for Shared<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.lock().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.lock().write(offset, bytes)
    }
}
