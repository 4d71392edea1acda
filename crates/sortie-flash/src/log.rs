//! The log of CRC-ed records that slot state and journal share; the crate's documentation has its layout.

use alloc::vec;
use alloc::vec::Vec;

use embedded_storage::nor_flash::NorFlash;

use crate::io;

/// Length of what precedes the payload, in bytes.
pub(crate) const HEADER: u32 = 20;
const MAGIC: [u8; 2] = *b"sR";
const FORMAT: u8 = 1;

/// What a log is for. A record of another kind is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    SlotState = 0x53,
    Journal = 0x4A,
}

/// Why a record could not be read or stored.
///
/// After an error of [`Flash`](Self::Flash), [`ReadBack`](Self::ReadBack) or [`NotBlank`](Self::NotBlank)
/// in a store, the value is the old or the new one; a later call reads it from flash again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError<E: core::fmt::Debug> {
    /// The flash driver refused or failed, for instance because the power is off.
    #[error("flash failed: {0:?}")]
    Flash(E),
    /// A record does not read as it was written, in either half: the flash is worn out.
    #[error("record written at {offset:#x} reads otherwise")]
    ReadBack {
        /// Where the record starts.
        offset: u32,
    },
    /// A half does not read blank after its erasure: the flash is worn out.
    #[error("flash at {offset:#x} is not blank after its erasure")]
    NotBlank {
        /// Where the half starts.
        offset: u32,
    },
    /// The value is longer than a half can hold. Nothing was changed.
    #[error("record of {len} bytes exceeds {max}")]
    TooLarge {
        /// Length of the value, in bytes.
        len: usize,
        /// The most that fits, in bytes.
        max: u32,
    },
    /// The region can't hold two halves with a record each, or the driver's sizes do not divide each other.
    #[error("a flash of {capacity} bytes does not suit the layout")]
    Geometry {
        /// Size of the flash that was given, in bytes.
        capacity: usize,
    },
    /// The sequence number has reached its end, which only a forged record can bring about.
    #[error("sequence number exhausted")]
    Exhausted,
}

impl<E: core::fmt::Debug> LogError<E> {
    /// The flash driver's own error, if that is what it comes from.
    pub fn driver(&self) -> Option<&E> {
        match self {
            Self::Flash(error) => Some(error),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Found {
    half: u32,
    offset: u32,
    len: u32,
    sequence: u64,
}

/// Where the log is and what it knows. The flash itself is passed to each call, so that its owner can
/// use the rest of it.
#[derive(Debug)]
pub(crate) struct RecordLog {
    kind: Kind,
    start: u32,
    half_len: u32,
    newest: Option<Found>,
    /// Where the next record may go in the half of the newest: known only to the run that wrote that one.
    cursor: Option<u32>,
    /// A store has failed, so flash may hold more than we know.
    stale: bool,
}

impl RecordLog {
    /// Opens the log in the `2 * half_len` bytes at `start` and finds the newest record.
    pub(crate) fn open<F: NorFlash>(
        flash: &mut F,
        kind: Kind,
        start: u32,
        half_len: u32,
    ) -> Result<Self, LogError<F::Error>> {
        let page = io::to_u32(F::ERASE_SIZE);
        let fits = half_len
            .checked_mul(2)
            .and_then(|len| len.checked_add(start))
            .is_some_and(|end| end as usize <= flash.capacity());
        if !io::geometry_is_sound::<F>()
            || !fits
            || !half_len.is_multiple_of(page)
            || !start.is_multiple_of(page)
            || half_len <= HEADER
        {
            return Err(LogError::Geometry {
                capacity: flash.capacity(),
            });
        }
        let mut log = Self {
            kind,
            start,
            half_len,
            newest: None,
            cursor: None,
            stale: false,
        };
        log.scan(flash)?;
        Ok(log)
    }

    /// The most that a record can carry, in bytes.
    pub(crate) fn max_payload(&self) -> u32 {
        self.half_len - HEADER
    }

    /// The newest good record's payload.
    pub(crate) fn load<F: NorFlash>(
        &mut self,
        flash: &mut F,
    ) -> Result<Option<Vec<u8>>, LogError<F::Error>> {
        if self.stale {
            self.scan(flash)?;
        }
        let Some(found) = self.newest else {
            return Ok(None);
        };
        let mut payload = vec![0; found.len as usize];
        io::read(flash, found.offset + HEADER, &mut payload).map_err(LogError::Flash)?;
        Ok(Some(payload))
    }

    /// Makes `payload` the newest record, or leaves the one before it as it was.
    pub(crate) fn append<F: NorFlash>(
        &mut self,
        flash: &mut F,
        payload: &[u8],
    ) -> Result<(), LogError<F::Error>> {
        let too_large = || LogError::TooLarge {
            len: payload.len(),
            max: self.max_payload(),
        };
        let len = u32::try_from(payload.len()).map_err(|_| too_large())?;
        if len > self.max_payload() {
            return Err(too_large());
        }
        if self.stale {
            self.scan(flash)?;
        }
        let before = self.newest.map_or(0, |found| found.sequence);
        let sequence = before.checked_add(1).ok_or(LogError::Exhausted)?;
        let record = self.encode::<F>(sequence, len, payload);

        self.stale = true;
        let half = self.newest.map(|found| found.half);
        let appended = match (half, self.room_for(record.len())) {
            (Some(half), Some(offset)) if program(flash, offset, &record).is_ok() => {
                Some((half, offset))
            }
            _ => None,
        };
        // A failed append in place falls through: if the power is off, the erasure says so; else the
        // other half is as good. Should the failed record be whole after all, it says the same.
        let (half, offset) = if let Some(place) = appended {
            place
        } else {
            let half = half.map_or(0, |half| 1 - half);
            let offset = self.start + half * self.half_len;
            self.erase(flash, offset)?;
            program(flash, offset, &record)?;
            (half, offset)
        };
        self.newest = Some(Found {
            half,
            offset,
            len,
            sequence,
        });
        self.cursor = Some(offset + io::to_u32(record.len()));
        self.stale = false;
        Ok(())
    }

    fn room_for(&self, len: usize) -> Option<u32> {
        let newest = self.newest?;
        let cursor = self.cursor?;
        let end = self.start + (newest.half + 1) * self.half_len;
        (len <= (end - cursor) as usize).then_some(cursor)
    }

    fn erase<F: NorFlash>(&self, flash: &mut F, offset: u32) -> Result<(), LogError<F::Error>> {
        flash
            .erase(offset, offset + self.half_len)
            .map_err(LogError::Flash)?;
        if io::is_blank(flash, offset, self.half_len).map_err(LogError::Flash)? {
            Ok(())
        } else {
            Err(LogError::NotBlank { offset })
        }
    }

    fn encode<F: NorFlash>(&self, sequence: u64, len: u32, payload: &[u8]) -> Vec<u8> {
        let used = HEADER as usize + payload.len();
        let mut record = Vec::with_capacity(used.next_multiple_of(F::WRITE_SIZE));
        record.extend(MAGIC);
        record.extend([self.kind as u8, FORMAT]);
        record.extend(len.to_le_bytes());
        record.extend(sequence.to_le_bytes());
        let crc = checksum(&record, payload);
        record.extend(crc.to_le_bytes());
        record.extend(payload);
        record.resize(used.next_multiple_of(F::WRITE_SIZE), 0xFF);
        record
    }

    fn scan<F: NorFlash>(&mut self, flash: &mut F) -> Result<(), LogError<F::Error>> {
        self.newest = None;
        self.cursor = None;
        for half in 0..2 {
            let end = self.start + (half + 1) * self.half_len;
            let mut at = self.start + half * self.half_len;
            // The first bad record ends the half: a run whose write failed did not write behind it.
            while let Some(found) = self
                .record_at(flash, half, at, end)
                .map_err(LogError::Flash)?
            {
                if self
                    .newest
                    .is_none_or(|newest| found.sequence > newest.sequence)
                {
                    self.newest = Some(found);
                }
                let used = HEADER as usize + found.len as usize;
                at += io::to_u32(used.next_multiple_of(F::WRITE_SIZE));
            }
        }
        self.stale = false;
        Ok(())
    }

    fn record_at<F: NorFlash>(
        &self,
        flash: &mut F,
        half: u32,
        offset: u32,
        end: u32,
    ) -> Result<Option<Found>, F::Error> {
        let Some(room) = end
            .checked_sub(offset)
            .and_then(|room| room.checked_sub(HEADER))
        else {
            return Ok(None);
        };
        let mut header = [0; HEADER as usize];
        io::read(flash, offset, &mut header)?;
        let [
            m0,
            m1,
            kind,
            format,
            l0,
            l1,
            l2,
            l3,
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            s6,
            s7,
            crc @ ..,
        ] = header;
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        if [m0, m1] != MAGIC || kind != self.kind as u8 || format != FORMAT || len > room {
            return Ok(None);
        }
        let mut payload = vec![0; len as usize];
        io::read(flash, offset + HEADER, &mut payload)?;
        if checksum(&header[..16], &payload) != u32::from_le_bytes(crc) {
            return Ok(None);
        }
        let sequence = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        Ok(Some(Found {
            half,
            offset,
            len,
            sequence,
        }))
    }
}

fn program<F: NorFlash>(
    flash: &mut F,
    offset: u32,
    record: &[u8],
) -> Result<(), LogError<F::Error>> {
    flash.write(offset, record).map_err(LogError::Flash)?;
    if io::holds(flash, offset, record).map_err(LogError::Flash)? {
        Ok(())
    } else {
        Err(LogError::ReadBack { offset })
    }
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header);
    crc.update(payload);
    crc.finalize()
}
