//! The application's own durable value.

use alloc::vec::Vec;

use embedded_storage::nor_flash::NorFlash;

use crate::io;
use crate::log::{Kind, LogError, RecordLog};

/// Why a [`Journal`] could not answer.
pub type JournalError<E> = LogError<E>;

/// One value of bytes in flash, replaced atomically: a power cut leaves the old value or the new one.
///
/// It takes a whole flash, or a [`Region`](crate::Region) of one, and uses it as two halves of a
/// record log (see the [crate's documentation](crate)). So that a value can be replaced, it must fit one
/// half: for 4 KiB values on 4 KiB pages that is two pages a half, four in all.
///
/// The device agent keeps here what it must remember over reboots and updates (rules A2, A3, A8).
///
#[cfg_attr(feature = "sim", doc = "```")]
#[cfg_attr(not(feature = "sim"), doc = "```ignore")]
/// use sortie_flash::{Journal, SimFlash};
///
/// let mut flash = SimFlash::<4, 4096>::memory(16 * 1024, 1);
/// let mut journal = Journal::open(&mut flash)?;
/// assert_eq!(journal.load()?, None);
/// journal.store(b"gen 5")?;
///
/// let mut again = Journal::open(&mut flash)?;
/// assert_eq!(again.load()?.as_deref(), Some(&b"gen 5"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Journal<F> {
    flash: F,
    log: RecordLog,
}

impl<F: NorFlash> Journal<F> {
    /// Opens the journal that `flash` holds; a flash without a record is an empty journal.
    pub fn open(mut flash: F) -> Result<Self, JournalError<F::Error>> {
        let capacity = flash.capacity();
        if !io::geometry_is_sound::<F>() {
            return Err(LogError::Geometry { capacity });
        }
        let pages = io::to_u32(capacity / F::ERASE_SIZE);
        let half_len = pages / 2 * io::to_u32(F::ERASE_SIZE);
        let log = RecordLog::open(&mut flash, Kind::Journal, 0, half_len)?;
        Ok(Self { flash, log })
    }

    /// The most that [`store`](Self::store) takes, in bytes.
    pub fn max_len(&self) -> u32 {
        self.log.max_payload()
    }

    /// The value stored last, or nothing if none ever was.
    pub fn load(&mut self) -> Result<Option<Vec<u8>>, JournalError<F::Error>> {
        self.log.load(&mut self.flash)
    }

    /// Makes `value` the journal's value. It is durable when this returns.
    ///
    /// Storing what is stored already writes nothing. After an error the value is the old one or
    /// this one, and [`load`](Self::load) says which.
    pub fn store(&mut self, value: &[u8]) -> Result<(), JournalError<F::Error>> {
        if self.load()?.as_deref() == Some(value) {
            return Ok(());
        }
        self.log.append(&mut self.flash, value)
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }
}
