//! A device's slots, journal and link with the troubles of its fate built in.
//!
//! Each wraps the real one and only decides *when* something goes wrong: what then becomes of the
//! flash is the simulator's to say, and what the device does about it the agent's.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sortie_device::{
    Answer, Body, Download, DownloadError, Fetch, FlashError, Journal, Pending, Slots,
};
use sortie_flash::Fault;
use sortie_protocol::{Reason, Uuid};
use tokio::time::{Instant, sleep_until};

use crate::{
    chip::Chip,
    diary::Diary,
    fate::{Cut, Fate, Moment},
    problem::Problem,
};

/// What is still to befall a device. Shared by the parts that it may strike.
#[derive(Debug, Clone)]
pub struct Troubles(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    chip: Chip,
    diary: Diary,
    /// With its number in the fate.
    cuts: Vec<(usize, Cut)>,
    drops: Vec<(usize, u64)>,
    bad_page: Option<u64>,
    /// Length of the image that is rolled out, in bytes.
    image: u64,
    /// The cut that has struck and whose time of darkness has not begun.
    struck: Option<Cut>,
}

impl Troubles {
    /// What is left of `fate`, by the diary.
    pub fn new(fate: &Fate, chip: &Chip, diary: &Diary, image: u64) -> Result<Self, Problem> {
        let entries = diary.read();
        let struck = entries
            .map_err(|error| Problem::because("a device's diary can't be read", &error))?
            .struck;
        let to_come = |kind: &str, number: usize| !struck.contains(&name(kind, number));
        let cuts = fate.cuts.iter().copied().enumerate();
        let drops = fate.drops.iter().copied().enumerate();
        Ok(Self(Arc::new(Mutex::new(State {
            chip: chip.clone(),
            diary: diary.clone(),
            // One that never ends does not end with the process, either.
            cuts: cuts
                .filter(|(n, cut)| cut.away.is_none() || to_come("cut", *n))
                .collect(),
            drops: drops.filter(|(n, _)| to_come("drop", *n)).collect(),
            bad_page: fate.bad_page,
            image,
            struck: None,
        }))))
    }

    /// What befalls the loader when it boots a new image.
    pub fn at_load(&self) -> Option<(u64, Fault)> {
        let state = self.state();
        let cut = state.due(|moment| moment == Moment::Loading)?;
        Some((cut.1.ahead, cut.1.fault))
    }

    /// The power went while the device did `moment`: notes it, if its fate says so.
    pub fn lost_at(&self, moment: Moment) {
        self.state().strike(|due| due == moment);
    }

    /// Whether the power is cut now that the new image runs on trial.
    pub fn cut_on_trial(&self) {
        let mut state = self.state();
        if state.due(|moment| moment == Moment::Trying).is_some() {
            state.chip.power_off();
            state.strike(|moment| moment == Moment::Trying);
        }
    }

    /// The cut that has struck, if the power was cut by the fate; told once.
    pub fn darkness(&self) -> Option<Cut> {
        self.state().struck.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is half-done in it at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the flash, with the cut that is due when `is_due` says so of its moment.
    fn with<T>(
        &self,
        is_due: impl Fn(Moment) -> bool,
        call: impl FnOnce() -> Result<T, FlashError>,
    ) -> Result<T, FlashError> {
        {
            let state = self.state();
            if let Some((_, cut)) = state.due(&is_due) {
                state.chip.inject(cut.ahead, cut.fault);
            }
        }
        let result = call();
        let mut state = self.state();
        state.chip.clear_faults();
        if let Err(FlashError::PowerLost) = result {
            state.strike(&is_due);
        }
        result
    }
}

impl State {
    fn due(&self, is_due: impl Fn(Moment) -> bool) -> Option<(usize, Cut)> {
        self.cuts.iter().copied().find(|(_, cut)| is_due(cut.when))
    }

    fn strike(&mut self, is_due: impl Fn(Moment) -> bool) {
        let Some((number, cut)) = self.due(is_due) else {
            return;
        };
        self.cuts.retain(|(other, _)| *other != number);
        self.note("cut", number, &format!("loses power {}", cut.when));
        self.struck = Some(cut);
    }

    fn note(&self, kind: &str, number: usize, what: &str) {
        // If the file can't be written, the trouble may strike again after a kill of the process,
        // which no device must mind.
        let _unwritten = self.diary.struck(&name(kind, number), what);
    }

    /// Whether the image's byte at `permille` thousandths lies from `offset`, in `len` bytes.
    fn lies_in(&self, permille: u64, offset: u64, len: usize) -> bool {
        let byte = self.image.saturating_sub(1) * permille / 1000;
        (offset..offset + len as u64).contains(&byte)
    }
}

fn name(kind: &str, number: usize) -> String {
    format!("{kind} {number}")
}

/// Slots that lose power when the fate says so, and whose flash may be bad.
#[derive(Debug)]
pub struct TroubledSlots<S> {
    slots: S,
    troubles: Troubles,
}

impl<S> TroubledSlots<S> {
    /// Wraps `slots`.
    pub fn new(slots: S, troubles: Troubles) -> Self {
        Self { slots, troubles }
    }

    /// The slots themselves.
    pub fn inner(&mut self) -> &mut S {
        &mut self.slots
    }
}

impl<S: Slots> Slots for TroubledSlots<S> {
    fn capacity(&self) -> u64 {
        self.slots.capacity()
    }

    fn page_size(&self) -> usize {
        self.slots.page_size()
    }

    fn write_page(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FlashError> {
        let state = self.troubles.state();
        let here = |permille| state.lies_in(permille, offset, bytes.len());
        let bad = state.bad_page.is_some_and(here);
        let cut = state.due(|m| matches!(m, Moment::Writing(permille) if here(permille)));
        if bad {
            // The program that follows the erasure.
            state.chip.inject(1, Fault::Fail);
        }
        drop(state);
        let moment = cut.map(|(_, cut)| cut.when);
        self.troubles.with(
            |m| Some(m) == moment,
            || self.slots.write_page(offset, bytes),
        )
    }

    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<(), FlashError> {
        self.slots.read(offset, into)
    }

    fn mark_pending(&mut self, pending: Pending) -> Result<(), FlashError> {
        self.troubles.with(
            |m| m == Moment::Marking,
            || self.slots.mark_pending(pending),
        )
    }

    fn confirm(&mut self) -> Result<(), FlashError> {
        self.troubles
            .with(|m| m == Moment::Confirming, || self.slots.confirm())
    }

    fn reject(&mut self, reason: Reason) -> Result<(), FlashError> {
        self.slots.reject(reason)
    }

    fn told(&mut self, operation: Uuid) -> Result<(), FlashError> {
        self.slots.told(operation)
    }
}

/// A journal that loses power when the fate says so.
#[derive(Debug)]
pub struct TroubledJournal<J> {
    journal: J,
    troubles: Troubles,
    stored: u64,
}

impl<J> TroubledJournal<J> {
    /// Wraps `journal`, which counts its stores from here.
    pub fn new(journal: J, troubles: Troubles) -> Self {
        Self {
            journal,
            troubles,
            stored: 0,
        }
    }
}

impl<J: Journal> Journal for TroubledJournal<J> {
    fn load(&mut self) -> Result<Option<Vec<u8>>, FlashError> {
        self.journal.load()
    }

    fn store(&mut self, record: &[u8]) -> Result<(), FlashError> {
        let now = Moment::Journaling(self.stored);
        self.stored += 1;
        self.troubles
            .with(|m| m == now, || self.journal.store(record))
    }
}

/// A link that takes its time for an image, and breaks off when the fate says so.
#[derive(Debug)]
pub struct TroubledDownload<D> {
    download: D,
    troubles: Troubles,
    /// For the whole image.
    takes: Duration,
}

/// The body that comes over such a link.
#[derive(Debug)]
pub struct TroubledBody<B> {
    body: B,
    troubles: Troubles,
    takes: Duration,
    at: u64,
    ready: Instant,
}

impl<D> TroubledDownload<D> {
    /// Wraps `download`, for a link that `takes` so long for an image.
    pub fn new(download: D, troubles: Troubles, takes: Duration) -> Self {
        Self {
            download,
            troubles,
            takes,
        }
    }
}

impl<D: Download> Download for TroubledDownload<D> {
    type Body = TroubledBody<D::Body>;

    async fn fetch(&self, fetch: Fetch) -> Result<Answer<Self::Body>, DownloadError> {
        let answer = self.download.fetch(fetch).await?;
        Ok(Answer {
            offset: answer.offset,
            total: answer.total,
            etag: answer.etag,
            body: TroubledBody {
                body: answer.body,
                troubles: self.troubles.clone(),
                takes: self.takes,
                at: answer.offset,
                ready: Instant::now(),
            },
        })
    }
}

impl<B: Body> Body for TroubledBody<B> {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, DownloadError> {
        sleep_until(self.ready).await;
        let len = self.body.read(into).await?;
        let mut state = self.troubles.state();
        let drops = state.drops.iter().copied();
        let drop = drops
            .into_iter()
            .find(|(_, permille)| state.lies_in(*permille, self.at, len));
        if let Some((number, _)) = drop {
            state.drops.retain(|(other, _)| *other != number);
            state.note("drop", number, "loses its download's connection");
            return Err(DownloadError::Network("the connection broke off".into()));
        }
        self.at += len as u64;
        // Both are at most 64 MiB.
        let number = |bytes: u64| f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        let share = number(len as u64) / number(state.image.max(1));
        self.ready += self.takes.mul_f64(share);
        Ok(len)
    }
}
