//! Two slots, and which of them boots.

mod boot;
mod error;
mod state;

use alloc::vec;

use embedded_storage::nor_flash::NorFlash;
use sha2::{Digest, Sha256};

pub use boot::Boot;
pub use error::SlotsError;
pub use state::{Candidate, Cause, Image, Outcome, SlotId, Stage, State, Tag, Verdict};

use crate::io;
use crate::log::{Kind, LogError, RecordLog};

/// Two slots for images and the durable state that says which one boots (A6, invariant 12).
///
/// The flash that it is given is used as: two state pages, slot A, slot B. The state pages hold a record log
/// (see the [crate's documentation](crate)) whose payload is described at [`State`].
///
/// The bootloader calls [`boot`](Self::boot) and runs the slot that it names. The application writes a
/// new image into the slot that is not active ([`write_page`](Self::write_page)), marks it
/// ([`mark_pending`](Self::mark_pending)) and reboots. On trial, it confirms itself
/// ([`confirm`](Self::confirm)) or goes back ([`reject`](Self::reject)). Each of these is one record, so
/// a power cut leaves what was before it or what is after it.
///
/// What holds, whatever happens:
/// - the active slot is never erased or written, and neither is the other from `mark_pending` until its
///   outcome is known;
/// - an image boots on trial only after its trial was counted, and at most
///   [`max_trials`](Self::with_max_trials) times, by default once;
/// - an image is active only after it was confirmed on trial;
/// - an outcome is kept until the application says that it was [`told`](Self::told).
#[derive(Debug)]
pub struct Slots<F> {
    flash: F,
    slot_len: u32,
    max_trials: u8,
    log: RecordLog,
    /// The newest state, unless a store has failed since it was read.
    state: Option<State>,
}

/// What [`Slots::write_page`] had to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageWrite {
    /// The page held these bytes already and was left alone.
    AlreadyThere,
    /// The page was erased, programmed and read back.
    Programmed,
}

impl<F: NorFlash> Slots<F> {
    /// Opens the slots on `flash`. A flash without a state opens too, and waits to be
    /// [provisioned](Self::provision).
    pub fn open(mut flash: F) -> Result<Self, SlotsError<F::Error>> {
        let capacity = flash.capacity();
        let geometry = SlotsError::State(LogError::Geometry { capacity });
        if !io::geometry_is_sound::<F>() {
            return Err(geometry);
        }
        let page = io::to_u32(F::ERASE_SIZE);
        let pages = io::to_u32(capacity / F::ERASE_SIZE);
        if pages < 4 {
            return Err(geometry);
        }
        let log = RecordLog::open(&mut flash, Kind::SlotState, 0, page)?;
        if (log.max_payload() as usize) < state::ENCODED_LEN {
            return Err(geometry);
        }
        let slot_len = (pages - 2) / 2 * page;
        Ok(Self {
            flash,
            slot_len,
            max_trials: 1,
            log,
            state: None,
        })
    }

    /// Lets an image boot on trial up to `max` times before it is rolled back, instead of once. The rest of
    /// sortie promises once; 0 counts as 1.
    pub fn with_max_trials(mut self, max: u8) -> Self {
        self.max_trials = max.max(1);
        self
    }

    /// Size of a slot, in bytes: the largest image.
    pub fn slot_len(&self) -> u32 {
        self.slot_len
    }

    /// Size of an erase page, in bytes: the unit of [`write_page`](Self::write_page).
    pub fn page_len(&self) -> u32 {
        io::to_u32(F::ERASE_SIZE)
    }

    /// Where `slot` begins in the flash, in bytes: what a bootloader jumps to.
    pub fn slot_offset(&self, slot: SlotId) -> u32 {
        2 * self.page_len() + if slot == SlotId::A { 0 } else { self.slot_len }
    }

    /// Writes the factory image into slot A and makes it active and confirmed.
    ///
    /// Refused with [`AlreadyProvisioned`](SlotsError::AlreadyProvisioned) once a state exists. After
    /// a power cut it is simply called again.
    pub fn provision(&mut self, image: &[u8], tag: Tag) -> Result<(), SlotsError<F::Error>> {
        match self.state() {
            Ok(_) => return Err(SlotsError::AlreadyProvisioned),
            Err(SlotsError::NoState) => {}
            Err(error) => return Err(error),
        }
        let size = io::to_u32(image.len());
        self.check_size(size)?;
        for (page, bytes) in (0..).zip(image.chunks(F::ERASE_SIZE)) {
            self.program_page(SlotId::A, page, bytes)?;
        }
        let image = Image {
            size,
            sha256: Sha256::digest(image).into(),
            tag,
        };
        self.store(State {
            active: SlotId::A,
            image,
            candidate: None,
            outcome: None,
        })
    }

    /// What is durable about the slots.
    pub fn state(&mut self) -> Result<State, SlotsError<F::Error>> {
        if let Some(state) = self.state {
            return Ok(state);
        }
        let payload = self.log.load(&mut self.flash)?.ok_or(SlotsError::NoState)?;
        let state = State::decode(&payload).ok_or(SlotsError::UnknownState)?;
        self.state = Some(state);
        Ok(state)
    }

    /// Makes page `page` of the slot that is not active hold `bytes`, from the page's start, and reads it
    /// back. `bytes` is a page, or less for the last one.
    ///
    /// A page that reads so already is left alone, so an operation that starts over erases no page that
    /// it has written whole.
    pub fn write_page(
        &mut self,
        page: u32,
        bytes: &[u8],
    ) -> Result<PageWrite, SlotsError<F::Error>> {
        let slot = self.writable()?;
        self.program_page(slot, page, bytes)
    }

    /// Erases page `page` of the slot that is not active. Not needed before [`write_page`](Self::write_page).
    pub fn erase_page(&mut self, page: u32) -> Result<(), SlotsError<F::Error>> {
        let slot = self.writable()?;
        let page_len = self.page_len();
        let start = self.locate(slot, page.saturating_mul(page_len), page_len)?;
        self.erase_checked(start)
    }

    /// Programs `bytes` at `offset` of the slot that is not active, into pages erased before, and reads them
    /// back. For callers that can't hold a page in memory.
    ///
    /// `offset` is a multiple of `WRITE_SIZE`. A last word that is not full is padded with `0xFF` and
    /// can't be programmed again, so only an image's last piece may have one.
    pub fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SlotsError<F::Error>> {
        let slot = self.writable()?;
        let start = self.locate(slot, offset, io::to_u32(bytes.len()))?;
        self.program(start, bytes)
    }

    /// Reads from `slot` at `offset`, any alignment.
    pub fn read(
        &mut self,
        slot: SlotId,
        offset: u32,
        bytes: &mut [u8],
    ) -> Result<(), SlotsError<F::Error>> {
        let start = self.locate(slot, offset, io::to_u32(bytes.len()))?;
        io::read(&mut self.flash, start, bytes).map_err(SlotsError::Flash)
    }

    /// SHA-256 of the first `size` bytes of `slot`, as flash holds them now.
    pub fn digest(&mut self, slot: SlotId, size: u32) -> Result<[u8; 32], SlotsError<F::Error>> {
        let start = self.locate(slot, 0, size)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; io::CHUNK.min(size as usize)];
        let mut done = 0;
        while done < size {
            let len = (size - done).min(io::to_u32(io::CHUNK));
            let part = &mut buffer[..len as usize];
            io::read(&mut self.flash, start + done, part).map_err(SlotsError::Flash)?;
            hasher.update(&*part);
            done += len;
        }
        Ok(hasher.finalize().into())
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    fn writable(&mut self) -> Result<SlotId, SlotsError<F::Error>> {
        let state = self.state()?;
        match state.candidate {
            Some(candidate) => Err(SlotsError::SlotInUse {
                tag: candidate.image.tag,
            }),
            None => Ok(state.active.other()),
        }
    }

    fn check_size(&self, size: u32) -> Result<(), SlotsError<F::Error>> {
        if size == 0 || size > self.slot_len {
            return Err(SlotsError::Size {
                size,
                slot_len: self.slot_len,
            });
        }
        Ok(())
    }

    /// Where `len` bytes at `offset` of `slot` are in the flash.
    fn locate(&self, slot: SlotId, offset: u32, len: u32) -> Result<u32, SlotsError<F::Error>> {
        match offset.checked_add(len) {
            Some(end) if end <= self.slot_len => Ok(self.slot_offset(slot) + offset),
            _ => Err(SlotsError::OutOfSlot {
                offset,
                len,
                slot_len: self.slot_len,
            }),
        }
    }

    fn program_page(
        &mut self,
        slot: SlotId,
        page: u32,
        bytes: &[u8],
    ) -> Result<PageWrite, SlotsError<F::Error>> {
        let page_len = self.page_len();
        let offset = page.saturating_mul(page_len);
        let start = self.locate(slot, offset, page_len)?;
        if bytes.len() > F::ERASE_SIZE {
            let len = io::to_u32(bytes.len());
            return Err(SlotsError::OutOfSlot {
                offset,
                len,
                slot_len: self.slot_len,
            });
        }
        if io::holds(&mut self.flash, start, bytes).map_err(SlotsError::Flash)? {
            return Ok(PageWrite::AlreadyThere);
        }
        // Always erased, even if it reads blank: a torn erasure may read so and not be programmable.
        self.erase_checked(start)?;
        self.program(start, bytes)?;
        Ok(PageWrite::Programmed)
    }

    fn erase_checked(&mut self, start: u32) -> Result<(), SlotsError<F::Error>> {
        let page_len = self.page_len();
        self.flash
            .erase(start, start + page_len)
            .map_err(SlotsError::Flash)?;
        if io::is_blank(&mut self.flash, start, page_len).map_err(SlotsError::Flash)? {
            Ok(())
        } else {
            Err(SlotsError::Worn { offset: start })
        }
    }

    fn program(&mut self, start: u32, bytes: &[u8]) -> Result<(), SlotsError<F::Error>> {
        let (whole, rest) = bytes.split_at(bytes.len() / F::WRITE_SIZE * F::WRITE_SIZE);
        if !whole.is_empty() {
            self.flash.write(start, whole).map_err(SlotsError::Flash)?;
        }
        if !rest.is_empty() {
            let mut word = vec![0xFF; F::WRITE_SIZE];
            word[..rest.len()].copy_from_slice(rest);
            let offset = start + io::to_u32(whole.len());
            self.flash.write(offset, &word).map_err(SlotsError::Flash)?;
        }
        if io::holds(&mut self.flash, start, bytes).map_err(SlotsError::Flash)? {
            Ok(())
        } else {
            Err(SlotsError::Worn { offset: start })
        }
    }

    fn store(&mut self, state: State) -> Result<(), SlotsError<F::Error>> {
        // Forgotten first: if the store fails, flash decides what the state is.
        self.state = None;
        self.log.append(&mut self.flash, &state.encode())?;
        self.state = Some(state);
        Ok(())
    }
}
