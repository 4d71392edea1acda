//! The device: flash, boot, and the agent's effects performed by hand, one at a time.

use sha2::{Digest, Sha256 as Hasher};
use sortie_device::{
    Agent, Effect, FlashError, FlashJournal, FlashSlots, Geometry, Identity, Input, Journal,
    Millis, Publish, RECORD_BYTES_MAX, Settings, Slots,
};
use sortie_flash::{Layout, Region, RegionError, Shared, SimError, SimFlash, State};
use sortie_protocol::{BaseImage, Report, Sha256, Uuid};

use crate::engine::Artifact;

pub(crate) const PAGE: usize = 256;
pub(crate) type Chip = SimFlash<4, PAGE>;
type Part = Region<Shared<Chip>>;

/// The flash, which outlives the power.
pub(crate) struct Flash {
    pub(crate) chip: Shared<Chip>,
    layout: Layout,
}

fn power_lost(error: &RegionError<SimError>) -> bool {
    matches!(error.driver(), Some(SimError::PowerOff))
}

impl Flash {
    pub(crate) fn new(seed: u64) -> Self {
        let record = u32::try_from(RECORD_BYTES_MAX).unwrap();
        let layout = Layout::fitting::<Chip>(2_048, record).unwrap();
        let chip = Shared::new(Chip::memory(layout.capacity(), seed));
        let (mut slots, _) = layout.open(chip.clone()).unwrap();
        slots
            .provision(&Artifact(Uuid::nil()).bytes(), [0; 16])
            .unwrap();
        Self { chip, layout }
    }

    pub(crate) fn state(&self) -> State {
        let (mut slots, _) = self.layout.open(self.chip.clone()).unwrap();
        slots.state().unwrap()
    }

    /// How often the pages of the slot that is not active were erased.
    pub(crate) fn spare_wear(&self) -> Vec<u32> {
        let (mut slots, _) = self.layout.open(self.chip.clone()).unwrap();
        let spare = slots.state().unwrap().active.other();
        let first = slots.slot_offset(spare) as usize / PAGE;
        let pages = slots.slot_len() as usize / PAGE;
        self.chip.lock().wear()[first..first + pages].to_vec()
    }

    /// Erases the journal, as a factory does that writes a new image of everything but the slots.
    pub(crate) fn re_image(&self) {
        use embedded_storage::nor_flash::NorFlash;
        let range = self.layout.journal();
        let mut chip = self.chip.lock();
        chip.clear_faults();
        chip.power_on();
        chip.erase(range.start, range.end).unwrap();
    }

    /// One start of the device. `None`: the power went again.
    pub(crate) fn boot(&self, now: Millis) -> Option<Device> {
        self.chip.lock().power_on();
        let (mut slots, journal) = self.layout.open(self.chip.clone()).ok()?;
        let booted = slots.boot().ok()?;
        let mut head = [0; 16];
        slots.read(booted.slot, 0, &mut head).ok()?;
        let running = Artifact(Uuid::from_bytes(head));
        let mut slots = FlashSlots::new(slots).with_power_lost(power_lost);
        let mut journal = FlashJournal::new(journal).with_power_lost(power_lost);
        let boot = slots.boot().ok()?;
        let record = journal.load().ok()?;
        let geometry = Geometry {
            capacity: slots.capacity(),
            page: slots.page_size() as u64,
        };
        let identity = Identity {
            base_image: Some(BaseImage {
                version: running.version(),
                ..BaseImage::default()
            }),
            system_model: None,
        };
        let trial = boot.trial;
        let settings = Settings::default();
        let agent = Agent::start(&boot, record.as_deref(), geometry, identity, settings, now);
        Some(Device {
            agent,
            slots,
            journal,
            running,
            trial,
            job: Job::None,
            publishing: None,
            left: Vec::new(),
            performed: Vec::new(),
        })
    }
}

pub(crate) enum Job {
    None,
    /// Asked, not answered.
    Fetch {
        operation: Uuid,
        offset: u64,
        size: u64,
        held: u64,
    },
    /// The next page is at `at`.
    Read {
        operation: Uuid,
        at: u64,
        size: u64,
        held: u64,
    },
    Verify {
        size: u64,
    },
    Health,
}

/// A device that is powered.
pub(crate) struct Device {
    pub(crate) agent: Agent,
    slots: FlashSlots<Part>,
    journal: FlashJournal<Part>,
    pub(crate) running: Artifact,
    pub(crate) trial: Option<Uuid>,
    pub(crate) job: Job,
    pub(crate) publishing: Option<Publish>,
    /// Reports that left since it was last asked.
    pub(crate) left: Vec<Report>,
    /// What was performed since it was last asked.
    pub(crate) performed: Vec<Effect>,
}

/// Why a device is off.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Off {
    PowerLost,
    Reboot,
}

impl From<FlashError> for Off {
    fn from(error: FlashError) -> Self {
        assert_eq!(
            error,
            FlashError::PowerLost,
            "no flash fails otherwise here"
        );
        Self::PowerLost
    }
}

impl Device {
    pub(crate) fn handle(&mut self, input: Input<'_>, now: Millis) -> Result<(), Off> {
        self.agent.handle(input, now);
        self.publish(now);
        self.perform(now)
    }

    /// Lets the next publish leave, if the agent gives one. It is asked too early on purpose.
    pub(crate) fn publish(&mut self, now: Millis) {
        if self.publishing.is_none() {
            self.publishing = self.agent.publish(now);
            self.left.extend(match &self.publishing {
                Some(Publish::Report { report, .. }) => report.clone(),
                _ => None,
            });
        }
    }

    /// Performs what waits.
    pub(crate) fn perform(&mut self, now: Millis) -> Result<(), Off> {
        while let Some(effect) = self.agent.poll() {
            self.performed.push(effect.clone());
            match effect {
                Effect::Store(record) => self.journal.store(&record)?,
                Effect::Fetch { fetch, size, held } => {
                    let operation = fetch.url.rsplit_once('/').unwrap().1.parse().unwrap();
                    let offset = fetch.offset;
                    self.job = Job::Fetch {
                        operation,
                        offset,
                        size,
                        held,
                    };
                }
                Effect::StopFetch => self.job = Job::None,
                Effect::Verify { size } => self.job = Job::Verify { size },
                Effect::MarkPending(pending) => {
                    self.slots.mark_pending(pending)?;
                    self.agent.handle(Input::Marked(Ok(())), now);
                }
                Effect::CheckHealth => self.job = Job::Health,
                Effect::Confirm => {
                    self.slots.confirm()?;
                    self.agent.handle(Input::Confirmed(Ok(())), now);
                }
                Effect::Reject(reason) => {
                    self.slots.reject(reason)?;
                    self.agent.handle(Input::Rejected, now);
                }
                Effect::Told(operation) => self.slots.told(operation)?,
                Effect::Reboot => return Err(Off::Reboot),
            }
        }
        Ok(())
    }

    /// Does a piece of the job; `lucky` says whether the network does its part.
    pub(crate) fn work(&mut self, lucky: bool, whole: bool, now: Millis) -> Result<(), Off> {
        let job = std::mem::replace(&mut self.job, Job::None);
        match job {
            Job::None => Ok(()),
            Job::Fetch { .. } | Job::Read { .. } if !lucky => {
                self.handle(Input::FetchEnded(Ok(())), now)
            }
            Job::Fetch {
                operation,
                offset,
                size,
                held,
            } => {
                let at = if whole { 0 } else { offset };
                self.job = Job::Read {
                    operation,
                    at,
                    size,
                    held,
                };
                let (total, etag) = (Some(size), None);
                self.handle(
                    Input::Answered {
                        offset: at,
                        total,
                        etag,
                    },
                    now,
                )
            }
            Job::Read {
                operation,
                at,
                size,
                held,
            } => {
                self.job = Job::Read {
                    operation,
                    at,
                    size,
                    held,
                };
                self.handle(Input::Received, now)?;
                self.page(operation, at, size, held, now)
            }
            Job::Verify { size } => {
                let mut bytes = vec![0; usize::try_from(size).unwrap()];
                self.slots.read(0, &mut bytes)?;
                let digest = Sha256(Hasher::digest(&bytes).into());
                self.handle(Input::Digest(Ok(digest)), now)
            }
            Job::Health => {
                let healthy = self.running.is_healthy();
                let answer = if healthy { Ok(()) } else { Err("ill".into()) };
                self.handle(Input::Health(answer), now)
            }
        }
    }

    fn page(
        &mut self,
        operation: Uuid,
        at: u64,
        size: u64,
        held: u64,
        now: Millis,
    ) -> Result<(), Off> {
        let image = Artifact(operation).bytes();
        let from = usize::try_from(at).unwrap();
        let page = &image[from..image.len().min(from + PAGE)];
        let end = at + page.len() as u64;
        let mut held = held;
        if end <= held {
            let mut found = vec![0; page.len()];
            self.slots.read(at, &mut found)?;
            if found != page {
                held = at;
                self.handle(Input::Differs { offset: at }, now)?;
            }
        }
        if end > held {
            self.slots.write_page(at, page)?;
        }
        self.job = Job::Read {
            operation,
            at: end,
            size,
            held,
        };
        self.handle(Input::Written { end }, now)
    }
}
