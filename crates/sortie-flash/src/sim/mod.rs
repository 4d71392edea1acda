//! A NOR flash that keeps to the contract of `embedded-storage` at its worst.

mod backing;
mod error;
mod rng;
mod tear;

use std::collections::{BTreeMap, VecDeque};
use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use backing::Backing;
pub use error::SimError;
use rng::Rng;
pub use tear::Tear;

/// A NOR flash with words of `WRITE` bytes, pages of `ERASE` bytes and reads of `READ` bytes.
///
/// **Contract.** Erasing makes a page all ones; programming clears bits; a word is programmed once between two
/// erasures. What breaks these rules, alignment or bounds is refused and counted in
/// [`Stats::breaches`]. In memory, a word counts as programmed from a program or a torn operation on it until
/// a whole erasure of its page, whatever it reads. In a file, a word that reads as all ones counts as
/// erased: nothing else of it is kept.
///
/// **Faults.** Programs and page erasures are *operations*, numbered from 0: a call of `write` is one, a call
/// of `erase` one for each page. [`inject`](Self::inject) says what befalls which. A power cut fails
/// the call and every one after it until [`power_on`](Self::power_on).
///
/// **Backing.** [`memory`](Self::memory), or [`file`](Self::file): then what a call that returned has
/// done survives the death of the process (not of the machine: it is not synced), and a call that the death
/// interrupted is torn in a way that the contract permits. The file stays open, one descriptor for
/// each flash, its bytes are not held in memory, and only pages that were touched take room on disk.
#[derive(Debug)]
pub struct SimFlash<const WRITE: usize = 4, const ERASE: usize = 4096, const READ: usize = 1> {
    backing: Backing,
    capacity: usize,
    seed: u64,
    powered: bool,
    faults: BTreeMap<u64, Fault>,
    stats: Stats,
    wear: Vec<u32>,
    trace: VecDeque<Trace>,
    trace_limit: usize,
}

/// What befalls an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The power is cut before it: nothing was done.
    CutBefore,
    /// The power is cut in the middle of it.
    CutTorn(Tear),
    /// The power is cut after it: all was done, but the call did not return.
    CutAfter,
    /// It does nothing and returns an error; the power stays on.
    Fail,
    /// It does nothing and returns as if it had: what a worn cell does. Its words count as not programmed.
    Ignore,
}

/// What a flash has done since it was made or opened; bytes and calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Programs and page erasures begun: the number that the next one will have.
    pub operations: u64,
    /// Calls of `read`.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Calls of `write` that were begun.
    pub programs: u64,
    /// Bytes in those.
    pub programmed_bytes: u64,
    /// Page erasures begun.
    pub erases: u64,
    /// Faults that have struck.
    pub faults: u64,
    /// Calls refused because they break the contract: bugs of the caller.
    pub breaches: u64,
}

/// One operation, as the trace keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// Its number.
    pub operation: u64,
    /// What it was.
    pub kind: TraceKind,
    /// What befell it.
    pub fault: Option<Fault>,
}

/// What an operation was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceKind {
    /// A program of `len` bytes at `offset`.
    Program {
        /// Where, in bytes.
        offset: u32,
        /// How much, in bytes.
        len: u32,
    },
    /// An erasure of page `page`.
    Erase {
        /// Number of the page from the start of the flash.
        page: u32,
    },
}

impl<const WRITE: usize, const ERASE: usize, const READ: usize> SimFlash<WRITE, ERASE, READ> {
    const GEOMETRY: () = assert!(
        READ > 0
            && WRITE > 0
            && WRITE.is_multiple_of(READ)
            && ERASE.is_multiple_of(WRITE)
            && ERASE > 0,
        "READ divides WRITE, which divides ERASE"
    );

    /// An erased flash in memory of `capacity` bytes, rounded up to whole pages. `seed` decides how operations tear.
    pub fn memory(capacity: u32, seed: u64) -> Self {
        let capacity = (capacity as usize).next_multiple_of(ERASE);
        let backing = Backing::Memory {
            bytes: vec![0xFF; capacity],
            used: vec![false; capacity / WRITE],
        };
        Self::new(backing, capacity, seed)
    }

    /// The flash that the file `path` holds, of `capacity` bytes, rounded up to whole pages; a
    /// new one is erased. Refuses a file of another size with [`io::ErrorKind::InvalidData`].
    ///
    /// Nothing keeps two processes from opening the same file.
    pub fn file(path: &Path, capacity: u32, seed: u64) -> io::Result<Self> {
        let capacity = (capacity as usize).next_multiple_of(ERASE);
        let pages = capacity / ERASE;
        let expected = (capacity + 4 * pages) as u64;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let found = file.metadata()?.len();
        if found == 0 {
            file.set_len(expected)?;
        } else if found != expected {
            let why = format!("{found} bytes, a flash of {capacity} takes {expected}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let mut flash = Self::new(Backing::File { file }, capacity, seed);
        flash.wear = flash.backing.wear(capacity, pages)?;
        Ok(flash)
    }

    fn new(backing: Backing, capacity: usize, seed: u64) -> Self {
        let () = Self::GEOMETRY;
        Self {
            backing,
            capacity,
            seed,
            powered: true,
            faults: BTreeMap::new(),
            stats: Stats::default(),
            wear: vec![0; capacity / ERASE],
            trace: VecDeque::new(),
            trace_limit: 0,
        }
    }

    /// Lets operations tear by another seed from now on.
    pub fn reseed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// Keeps the last `limit` operations for [`trace`](Self::trace); by default none.
    pub fn with_trace(mut self, limit: usize) -> Self {
        self.trace_limit = limit;
        self
    }

    /// Lets `fault` befall operation number `operation`, counted as in [`Stats::operations`]. One that is past never comes.
    pub fn inject(&mut self, operation: u64, fault: Fault) {
        self.faults.insert(operation, fault);
    }

    /// Takes back all faults that have not struck.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Whether the power is on.
    pub fn is_powered(&self) -> bool {
        self.powered
    }

    /// Cuts the power between two operations.
    pub fn power_off(&mut self) {
        self.powered = false;
    }

    /// Gives the power back. Memory of the caller is the caller's to forget.
    pub fn power_on(&mut self) {
        self.powered = true;
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// For each page how often it was erased, torn erasures included; over all runs if it is a file.
    pub fn wear(&self) -> &[u32] {
        &self.wear
    }

    /// The last operations, oldest first.
    pub fn trace(&self) -> impl ExactSizeIterator<Item = &Trace> {
        self.trace.iter()
    }

    /// A copy in memory with the same contents, power, faults, counters and trace.
    pub fn snapshot(&mut self) -> Result<Self, SimError> {
        let mut bytes = vec![0; self.capacity];
        self.backing.read(0, &mut bytes)?;
        let used = match &self.backing {
            Backing::Memory { used, .. } => used.clone(),
            Backing::File { .. } => bytes
                .chunks(WRITE)
                .map(|word| word.iter().any(|&byte| byte != 0xFF))
                .collect(),
        };
        Ok(Self {
            backing: Backing::Memory { bytes, used },
            capacity: self.capacity,
            seed: self.seed,
            powered: self.powered,
            faults: self.faults.clone(),
            stats: self.stats,
            wear: self.wear.clone(),
            trace: self.trace.clone(),
            trace_limit: self.trace_limit,
        })
    }

    fn check(&mut self, from: u32, len: usize, unit: usize) -> Result<usize, SimError> {
        if !self.powered {
            return Err(SimError::PowerOff);
        }
        let from = from as usize;
        let error = if from.checked_add(len).is_none_or(|end| end > self.capacity) {
            SimError::OutOfBounds
        } else if !from.is_multiple_of(unit) || !len.is_multiple_of(unit) {
            SimError::NotAligned
        } else {
            return Ok(from);
        };
        self.stats.breaches += 1;
        Err(error)
    }

    /// Counts and traces the operation that begins, and says what befalls it.
    fn begin(&mut self, kind: TraceKind) -> (u64, Option<Fault>) {
        let operation = self.stats.operations;
        self.stats.operations += 1;
        let fault = self.faults.remove(&operation);
        self.stats.faults += u64::from(fault.is_some());
        if self.trace_limit > 0 {
            if self.trace.len() == self.trace_limit {
                self.trace.pop_front();
            }
            self.trace.push_back(Trace {
                operation,
                kind,
                fault,
            });
        }
        (operation, fault)
    }

    fn cut(&mut self) -> SimError {
        self.powered = false;
        SimError::PowerOff
    }

    fn erase_page(&mut self, page: usize) -> Result<(), SimError> {
        let start = page * ERASE;
        let words = start / WRITE..(start + ERASE) / WRITE;
        // A page number is below a `u32` offset.
        let number = u32::try_from(page).map_err(|_| SimError::OutOfBounds)?;
        let (operation, fault) = self.begin(TraceKind::Erase { page: number });
        self.stats.erases += 1;
        match fault {
            Some(Fault::CutBefore) => return Err(self.cut()),
            Some(Fault::Fail) => return Err(SimError::Failed { operation }),
            Some(Fault::Ignore) => return Ok(()),
            Some(Fault::CutTorn(_) | Fault::CutAfter) | None => {}
        }
        self.wear[page] = self.wear[page].saturating_add(1);
        self.backing
            .put_wear(self.capacity, page, self.wear[page])?;
        if let Some(Fault::CutTorn(tear)) = fault {
            let mut bytes = vec![0; ERASE];
            self.backing.read(start, &mut bytes)?;
            tear.erase(&mut Rng::of_operation(self.seed, operation), &mut bytes);
            self.backing.put(start, bytes)?;
            self.backing.mark(words, true);
            return Err(self.cut());
        }
        self.backing.put(start, vec![0xFF; ERASE])?;
        self.backing.mark(words, false);
        if fault.is_some() {
            Err(self.cut())
        } else {
            Ok(())
        }
    }
}

impl<const WRITE: usize, const ERASE: usize, const READ: usize> ErrorType
    for SimFlash<WRITE, ERASE, READ>
{
    type Error = SimError;
}

impl<const WRITE: usize, const ERASE: usize, const READ: usize> ReadNorFlash
    for SimFlash<WRITE, ERASE, READ>
{
    const READ_SIZE: usize = READ;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimError> {
        let start = self.check(offset, bytes.len(), READ)?;
        self.stats.reads += 1;
        self.stats.read_bytes += bytes.len() as u64;
        Ok(self.backing.read(start, bytes)?)
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}

impl<const WRITE: usize, const ERASE: usize, const READ: usize> NorFlash
    for SimFlash<WRITE, ERASE, READ>
{
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        let Some(len) = to.checked_sub(from) else {
            self.stats.breaches += 1;
            return Err(SimError::OutOfBounds);
        };
        let start = self.check(from, len as usize, ERASE)?;
        for page in start / ERASE..(start + len as usize) / ERASE {
            self.erase_page(page)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        let start = self.check(offset, bytes.len(), WRITE)?;
        let words = start / WRITE..(start + bytes.len()) / WRITE;
        let mut flash = vec![0; bytes.len()];
        self.backing.read(start, &mut flash)?;
        if let Some(word) = self.backing.first_used(words.clone(), &flash, WRITE) {
            self.stats.breaches += 1;
            // The word lies within `bytes`, which begin at the u32 `offset` and end within flash.
            let ahead = u32::try_from(word * WRITE - start).unwrap_or(0);
            return Err(SimError::NotErased {
                offset: offset + ahead,
            });
        }
        let len = u32::try_from(bytes.len()).map_err(|_| SimError::OutOfBounds)?;
        let (operation, fault) = self.begin(TraceKind::Program { offset, len });
        self.stats.programs += 1;
        self.stats.programmed_bytes += u64::from(len);
        match fault {
            Some(Fault::CutBefore) => return Err(self.cut()),
            Some(Fault::Fail) => return Err(SimError::Failed { operation }),
            Some(Fault::Ignore) => return Ok(()),
            Some(Fault::CutTorn(tear)) => {
                let mut rng = Rng::of_operation(self.seed, operation);
                tear.program(&mut rng, WRITE, &mut flash, bytes);
            }
            Some(Fault::CutAfter) | None => flash.copy_from_slice(bytes),
        }
        self.backing.put(start, flash)?;
        self.backing.mark(words, true);
        if fault.is_some() {
            Err(self.cut())
        } else {
            Ok(())
        }
    }
}
