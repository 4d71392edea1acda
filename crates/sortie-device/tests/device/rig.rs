//! One simulated device: flash, two slots, a firmware that tells its version, and its boots.

use sha2::{Digest, Sha256 as Hasher};
use sortie_device::{
    Device, FlashJournal, FlashSlots, HttpDownload, Identity, RECORD_BYTES_MAX, RunError, Settings,
    run,
};
use sortie_flash::{Layout, Region, RegionError, Shared, SimError, SimFlash, SlotId, Slots};
use sortie_protocol::{
    Allow, ArtifactRef, BaseImage, Generation, Request, Route, Sha256, Update, Uuid,
};

use crate::broker::Broker;

pub(crate) const PAGE: usize = 1024;
type Chip = SimFlash<4, PAGE>;

/// An image whose first line is its version.
pub(crate) fn image(version: &str, len: usize) -> Vec<u8> {
    let mut image = format!("{version}\n").into_bytes();
    let salt = image.len();
    image
        .extend((image.len()..len).map(|i| u8::try_from((i * 31 + i / 251 + salt) % 253).unwrap()));
    image
}

/// An Update to `image`.
pub(crate) fn update(number: u64, id: u128, url: &str, image: &[u8], version: &str) -> Request {
    let update = Update {
        operation: Uuid::from_u128(id),
        route: Route::new("c").unwrap(),
        url: url.into(),
        artifact: ArtifactRef {
            size: image.len() as u64,
            sha256: Sha256(Hasher::digest(image).into()),
            format: "raw".into(),
        },
        allow: Allow::default(),
        version: Some(version.into()),
        system_model: Some("model".into()),
        decided_on: None,
        session: None,
    };
    Request::Update(Generation::update(number), update.into())
}

pub(crate) struct Rig {
    pub(crate) chip: Shared<Chip>,
    layout: Layout,
    pub(crate) broker: Broker,
    pub(crate) download: HttpDownload,
    pub(crate) settings: Settings,
    /// What the firmware's own check says.
    pub(crate) healthy: bool,
}

fn power_lost(error: &RegionError<SimError>) -> bool {
    matches!(error.driver(), Some(SimError::PowerOff))
}

impl Rig {
    pub(crate) fn new(factory: &[u8]) -> Self {
        let record = u32::try_from(RECORD_BYTES_MAX).unwrap();
        let layout = Layout::fitting::<Chip>(64 * 1024, record).unwrap();
        let chip = Shared::new(Chip::memory(layout.capacity(), 1));
        let (mut slots, _) = layout.open(chip.clone()).unwrap();
        slots.provision(factory, [0; 16]).unwrap();
        Self {
            chip,
            layout,
            broker: Broker::default(),
            download: HttpDownload::default(),
            settings: Settings::default(),
            healthy: true,
        }
    }

    fn slots(&self) -> Slots<Region<Shared<Chip>>> {
        self.layout.open(self.chip.clone()).unwrap().0
    }

    fn version_in(&self, slot: SlotId) -> String {
        let mut head = [0; 32];
        self.slots().read(slot, 0, &mut head).unwrap();
        let line = head.split(|b| *b == b'\n').next().unwrap();
        String::from_utf8(line.into()).unwrap()
    }

    /// What the flash boots without a trial.
    pub(crate) fn installed(&self) -> String {
        let active = self.slots().state().unwrap().active;
        self.version_in(active)
    }

    /// How often each page of slot B, which the factory image is not in, was erased.
    pub(crate) fn spare_wear(&self) -> Vec<u32> {
        let slots = self.slots();
        let first = slots.slot_offset(SlotId::B) as usize / PAGE;
        let pages = slots.slot_len() as usize / PAGE;
        self.chip.lock().wear()[first..first + pages].to_vec()
    }

    /// One boot: the loader, the firmware, its agent.
    pub(crate) async fn boot(&self) -> Result<(), RunError> {
        self.chip.lock().power_on();
        let (mut slots, journal) = self.layout.open(self.chip.clone()).unwrap();
        let boot = slots.boot().map_err(|_| RunError::PowerLost)?;
        let identity = Identity {
            base_image: Some(BaseImage {
                version: self.version_in(boot.slot),
                ..BaseImage::default()
            }),
            system_model: Some("model".into()),
        };
        let mut slots = FlashSlots::new(slots).with_power_lost(power_lost);
        let boot = slots.boot()?;
        let (link, events) = self.broker.connect();
        let healthy = self.healthy;
        let device = Device {
            link,
            events,
            download: &self.download,
            slots,
            journal: FlashJournal::new(journal).with_power_lost(power_lost),
            health: move || async move {
                if healthy {
                    Ok(())
                } else {
                    Err("it smokes".into())
                }
            },
        };
        run(device, boot, identity, self.settings.clone()).await
    }

    /// Boots again and again.
    pub(crate) async fn live(&self) {
        loop {
            // After a power cut the next boot follows just as after a reboot.
            let _ = self.boot().await;
        }
    }

    /// Lives until `wanted` is done.
    pub(crate) async fn live_until<T>(&self, wanted: impl Future<Output = T>) -> T {
        tokio::select! {
            done = wanted => done,
            () = self.live() => unreachable!("it lives for ever"),
        }
    }
}
