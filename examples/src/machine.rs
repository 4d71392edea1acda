//! One simulated device: a chip, a loader, and the real agent, boot after boot.

use std::{convert::Infallible, sync::Arc, time::Duration};

use sortie_device::{
    Device, FlashJournal, FlashSlots, HttpDownload, Identity, Link, LinkEvents, RunError, Settings,
    run,
};
use sortie_flash::{Boot, SlotsError};
use sortie_mqtt::DeviceMqtt;
use sortie_protocol::{BaseImage, DeviceId, Sha256};
use tokio::time::sleep;

use crate::{
    chip::{Chip, ChipError, Part, trial_of},
    diary::Diary,
    fate::{Fate, Moment},
    link::Overheard,
    notes::Notes,
    troubles::{TroubledDownload, TroubledJournal, TroubledSlots, Troubles},
};

/// A device that can be switched on.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its id, which is its name at the broker, too.
    pub id: DeviceId,
    /// The System Model that it says it is.
    pub system_model: String,
    /// How it connects.
    pub mqtt: DeviceMqtt,
    /// Its flash.
    pub chip: Chip,
    /// What it has gone through.
    pub diary: Diary,
    /// What it is like.
    pub fate: Fate,
    /// What is still to befall it.
    pub troubles: Troubles,
    /// Where that is told.
    pub notes: Notes,
    /// Tells what it does, too, and not only what befalls it.
    pub chatty: bool,
    /// Which version an image is: the bytes of a simulated image don't say it.
    pub versions: Arc<dyn Versions>,
}

/// Knows which version an image is, by its digest.
pub trait Versions: std::fmt::Debug + Send + Sync {
    /// The version, if the image is known.
    fn version_of(&self, sha256: Sha256) -> Option<String>;

    /// A request says what version an image is. By default that is not needed.
    fn learn(&self, _sha256: Sha256, _version: &str) {}
}

impl Versions for crate::firmware::Firmware {
    fn version_of(&self, sha256: Sha256) -> Option<String> {
        Self::version_of(self, sha256).map(Into::into)
    }
}

impl Machine {
    /// Switches the device on, when its time has come, and lets it live. Dropping this is a power
    /// cut.
    pub async fn live(self) -> Infallible {
        sleep(self.fate.online_after).await;
        loop {
            let off = match self.boot() {
                Ok((slots, journal, boot)) => self.run(slots, journal, boot).await,
                Err(error) => self.not_booted(&error),
            };
            match off {
                Some(off) => sleep(off).await,
                None => std::future::pending().await,
            }
        }
    }

    fn boot(&self) -> Result<(FlashSlots<Part>, FlashJournal<Part>, Boot), ChipError> {
        self.chip.boot(self.troubles.at_load())
    }

    /// Runs what was booted until the next boot. Answers for how long it is off, `None` for ever.
    async fn run(
        &self,
        slots: FlashSlots<Part>,
        journal: FlashJournal<Part>,
        boot: Boot,
    ) -> Option<Duration> {
        let trial = trial_of(&boot);
        if self.diary.booted(trial).is_err() {
            self.notes.tell(&self.id, "its diary can't be written");
        }
        let mut slots = TroubledSlots::new(slots, self.troubles.clone());
        let booted = match slots.inner().boot() {
            Ok(booted) => booted,
            Err(error) => {
                self.notes.tell(&self.id, error.to_string());
                return Some(self.fate.reboot);
            }
        };
        let (link, events) = self.mqtt.clone().connect();
        let notes = self.chatty.then(|| self.notes.clone());
        let events = Overheard::new(events, self.id.clone(), self.versions.clone(), notes);
        let on_trial = trial.is_some();
        let ended = self
            .agent(link, events, slots, journal, booted, boot, on_trial)
            .await;
        match ended {
            Ok(()) => Some(self.fate.reboot),
            Err(RunError::PowerLost) => self.dark(),
            Err(RunError::Journal(error)) => {
                self.notes.tell(&self.id, format!("stops: {error}"));
                Some(self.fate.reboot)
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a device has that many parts")]
    async fn agent<L: Link, E: LinkEvents>(
        &self,
        link: L,
        events: E,
        slots: TroubledSlots<FlashSlots<Part>>,
        journal: FlashJournal<Part>,
        booted: sortie_device::Boot,
        boot: Boot,
        on_trial: bool,
    ) -> Result<(), RunError> {
        let fate = &self.fate;
        let sha256 = Sha256(boot.image.sha256);
        let identity = Identity {
            base_image: self.versions.version_of(sha256).map(|version| BaseImage {
                fingerprint: sha256.to_string(),
                version,
                ..BaseImage::default()
            }),
            system_model: Some(self.system_model.clone()),
        };
        if self.chatty {
            let version = identity
                .base_image
                .as_ref()
                .map(|image| image.version.as_str());
            let trial = if on_trial { ", on trial" } else { "" };
            let what = format!("boots {}{trial}", version.unwrap_or("an unknown image"));
            self.notes.tell(&self.id, what);
        }
        let device = Device {
            link,
            events,
            download: TroubledDownload::new(
                HttpDownload::default(),
                self.troubles.clone(),
                fate.download,
            ),
            slots,
            journal: TroubledJournal::new(journal, self.troubles.clone()),
            health: || async {
                sleep(fate.self_test).await;
                if on_trial {
                    self.troubles.cut_on_trial();
                }
                if fate.healthy {
                    Ok(())
                } else {
                    self.notes
                        .tell(&self.id, "finds its new image unhealthy, and goes back");
                    Err("the self-test failed".into())
                }
            },
        };
        run(device, booted, identity, Settings::default()).await
    }

    fn not_booted(&self, error: &ChipError) -> Option<Duration> {
        if self.chip.is_powered() {
            self.notes.tell(&self.id, format!("does not boot: {error}"));
            return match error {
                SlotsError::NoBootableImage => None,
                _ => Some(self.fate.reboot),
            };
        }
        self.troubles.lost_at(Moment::Loading);
        self.dark()
    }

    /// The power is lost.
    fn dark(&self) -> Option<Duration> {
        let Some(cut) = self.troubles.darkness() else {
            return Some(self.fate.reboot);
        };
        let back = if cut.away.is_some() { "" } else { ", for ever" };
        self.notes
            .tell(&self.id, format!("loses power {}{back}", cut.when));
        cut.away
    }
}
