//! Devices whose flash is simulated and whose agent is real, boot after boot.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use sortie_device::{
    Device, FlashJournal, FlashSlots, HttpDownload, Identity, RECORD_BYTES_MAX, Settings, run,
};
use sortie_flash::{Layout, Shared, SimFlash};
use sortie_mqtt::DeviceMqtt;
use sortie_protocol::{BaseImage, DeviceId, Sha256, Uuid};
use tokio::task::JoinSet;

use super::{NEW, OLD, SYSTEM_MODEL, new_image, old_image};

type Flash = SimFlash<4, 4096>;

/// Some devices that come with the old image.
pub(crate) struct Fleet {
    devices: Vec<Member>,
    running: JoinSet<Infallible>,
}

#[derive(Clone)]
struct Member {
    id: DeviceId,
    chip: Shared<Flash>,
    layout: Layout,
    /// For which operations it has booted on trial.
    trials: Arc<Mutex<Vec<Uuid>>>,
}

impl Fleet {
    pub(crate) fn of(count: u64) -> Self {
        let devices = (0..count).map(Member::new).collect();
        Self {
            devices,
            running: JoinSet::new(),
        }
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.devices.iter().map(|device| device.id.as_str())
    }

    /// Switches all devices on. Their downloads are given up after `give_up` without a byte.
    pub(crate) fn switch_on(&mut self, broker: &str, give_up: Duration) {
        let mut settings = Settings::default();
        settings.give_up = give_up;
        settings.backoff_min = Duration::from_millis(100);
        settings.backoff_max = Duration::from_millis(500);
        for device in self.devices.clone() {
            let mqtt = DeviceMqtt::new(broker, device.id.clone()).unwrap();
            let mqtt = mqtt.backoff(Duration::from_millis(100), Duration::from_millis(500));
            self.running.spawn(device.live(mqtt, settings.clone()));
        }
    }

    /// How often a device of the fleet has booted on trial, in all.
    pub(crate) fn trials(&self) -> usize {
        let trials = |device: &Member| device.trials.lock().unwrap().len();
        self.devices.iter().map(trials).sum()
    }

    /// Cuts the power of all devices, and looks into their flash: what is there to run, by device.
    /// No image may be undecided, and none may have been tried twice.
    pub(crate) async fn autopsy(&mut self) -> BTreeMap<String, &'static str> {
        self.running.abort_all();
        while let Some(ended) = self.running.join_next().await {
            assert!(ended.unwrap_err().is_cancelled(), "no device panics");
        }
        let runs = |device: &Member| (device.id.to_string(), device.runs());
        self.devices.iter().map(runs).collect()
    }
}

/// The version of the image with this digest.
fn version_of(sha256: [u8; 32]) -> &'static str {
    match Sha256(sha256) {
        sha256 if sha256 == old_image().sha256 => OLD,
        sha256 if sha256 == new_image().sha256 => NEW,
        sha256 => panic!("flash holds neither image, but {sha256}"),
    }
}

impl Member {
    fn new(index: u64) -> Self {
        let id = DeviceId::new(&format!("gw-{:04}", index + 1)).unwrap();
        let record = u32::try_from(RECORD_BYTES_MAX).unwrap();
        let layout = Layout::fitting::<Flash>(new_image().size(), record).unwrap();
        let chip = Shared::new(Flash::memory(layout.capacity(), index));
        let (mut slots, _journal) = layout.open(chip.clone()).unwrap();
        slots.provision(&old_image().bytes, [0; 16]).unwrap();
        Self {
            id,
            chip,
            layout,
            trials: Arc::default(),
        }
    }

    async fn live(self, mqtt: DeviceMqtt, settings: Settings) -> Infallible {
        loop {
            let (mut slots, journal) = self.layout.open(self.chip.clone()).unwrap();
            let booted = slots.boot().unwrap();
            if booted.trial {
                let operation = Uuid::from_bytes(booted.image.tag);
                self.trials.lock().unwrap().push(operation);
            }
            let mut slots = FlashSlots::new(slots);
            let boot = slots.boot().unwrap();
            let identity = Identity {
                base_image: Some(BaseImage {
                    version: version_of(booted.image.sha256).into(),
                    ..BaseImage::default()
                }),
                system_model: Some(SYSTEM_MODEL.into()),
            };
            let (link, events) = mqtt.clone().connect();
            let device = Device {
                link,
                events,
                download: &HttpDownload::default(),
                slots,
                journal: FlashJournal::new(journal),
                health: || async { Ok(()) },
            };
            run(device, boot, identity, settings.clone()).await.unwrap();
        }
    }

    fn runs(&self) -> &'static str {
        let (mut slots, _journal) = self.layout.open(self.chip.clone()).unwrap();
        let state = slots.state().unwrap();
        assert_eq!(state.candidate, None, "{}: undecided", self.id);
        let mut trials = self.trials.lock().unwrap().clone();
        let all = trials.len();
        trials.dedup();
        assert_eq!(trials.len(), all, "{}: tried twice", self.id);
        assert_eq!(self.chip.lock().stats().breaches, 0, "{}", self.id);
        let found = slots.digest(state.active, state.image.size).unwrap();
        assert_eq!(found, state.image.sha256, "{}: not whole", self.id);
        version_of(found)
    }
}
