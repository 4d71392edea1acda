//! The simulated fleet: made, switched on, and asked afterwards what it runs.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sortie_mqtt::DeviceMqtt;
use sortie_protocol::DeviceId;
use tokio::task::JoinSet;

use crate::{
    chip::Chip,
    diary::{Diary, Entries},
    fate::Fate,
    firmware::Firmware,
    log::utc,
    machine::Machine,
    notes::Notes,
    options::Settings,
    problem::Problem,
    troubles::Troubles,
    verdict::Truth,
};

/// The System Model of all simulated devices.
pub const SYSTEM_MODEL: &str = "gateway-g2";

/// A device looks for its broker again after this, and at the latest after [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// All simulated devices of a run.
#[derive(Debug)]
pub struct Fleet {
    devices: Vec<Member>,
    firmware: Arc<Firmware>,
    running: JoinSet<Infallible>,
}

#[derive(Debug)]
struct Member {
    id: DeviceId,
    fate: Fate,
    chip: Chip,
    diary: Diary,
}

/// What all devices have gone through together, by their diaries and the wear of their flash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Experience {
    /// Boots, reboots after a loss of power included.
    pub boots: usize,
    /// Of those, boots of the new image on trial.
    pub trials: usize,
    /// Operations whose image booted on trial more than once. There must be none.
    pub tried_twice: usize,
    /// Erasures of flash pages.
    pub erased: u64,
    /// Erasures of pages that held the new image's bytes already. There must be none.
    pub whole_pages_erased: usize,
    /// Losses of power and of connections that befell a device by its fate.
    pub troubles: usize,
}

impl fmt::Display for Experience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            boots,
            trials,
            tried_twice,
            erased,
            whole_pages_erased,
            troubles,
        } = self;
        write!(
            f,
            "On the devices: {troubles} losses of power and of downloads, {boots} boots, {trials} of them on \
             trial ({tried_twice} for a second time), {erased} erasures of flash pages \
             ({whole_pages_erased} of pages that were written whole)."
        )
    }
}

/// The name of device number `index`.
pub fn device_id(index: u32) -> Result<DeviceId, Problem> {
    let name = format!("gw-{:05}", u64::from(index) + 1);
    DeviceId::new(&name).map_err(|error| Problem::because("a device's name", &error))
}

impl Fleet {
    /// The devices of a run, with their flash in directory `dir`. Those that are not there yet are
    /// made, each with its factory image.
    pub fn open(settings: &Settings, firmware: &Firmware, dir: &Path) -> Result<Self, Problem> {
        let devices = (0..settings.devices).map(|index| {
            let id = device_id(index)?;
            let fate = Fate::of(settings, index);
            let file = |kind: &str| -> PathBuf { dir.join(format!("{id}.{kind}")) };
            let factory = firmware
                .image(&fate.factory)
                .ok_or_else(|| Problem::new(format!("no image has version {}", fate.factory)))?;
            let diary = Diary::new(file("diary"));
            let chip = Chip::open(
                &file("flash"),
                firmware.largest(),
                factory,
                settings.seed ^ u64::from(index) << 32,
                diary.clone(),
                firmware.new.bytes.clone(),
            )?;
            Ok(Member {
                id,
                fate,
                chip,
                diary,
            })
        });
        Ok(Self {
            devices: devices.collect::<Result<_, Problem>>()?,
            firmware: Arc::new(firmware.clone()),
            running: JoinSet::new(),
        })
    }

    /// The devices' names.
    pub fn ids(&self) -> impl Iterator<Item = &DeviceId> {
        self.devices.iter().map(|device| &device.id)
    }

    /// Switches the devices on, each when its time has come.
    pub fn switch_on(&mut self, broker: &str, prefix: &str, notes: &Notes) -> Result<(), Problem> {
        for device in &self.devices {
            let image = self.firmware.new.bytes.len() as u64;
            let mqtt =
                DeviceMqtt::new(broker, device.id.clone()).and_then(|mqtt| mqtt.prefix(prefix));
            let machine = Machine {
                id: device.id.clone(),
                system_model: SYSTEM_MODEL.into(),
                mqtt: mqtt
                    .map_err(|error| Problem::because("--broker", &error))?
                    .backoff(BACKOFF_MIN, BACKOFF_MAX),
                chip: device.chip.clone(),
                diary: device.diary.clone(),
                fate: device.fate.clone(),
                troubles: Troubles::new(&device.fate, &device.chip, &device.diary, image)?,
                notes: notes.clone(),
                chatty: false,
                versions: self.firmware.clone(),
            };
            self.running.spawn(machine.live());
        }
        Ok(())
    }

    /// Cuts the power of all devices.
    pub async fn switch_off(&mut self) {
        self.running.shutdown().await;
    }

    /// What each device runs, read from its flash, by name.
    pub fn truths(&self) -> Result<BTreeMap<String, Truth>, Problem> {
        let truth = |device: &Member| {
            let running = device.chip.running();
            let running = running.map_err(|error| Problem::because(&device.id, &error))?;
            let runs = running
                .sha256
                .and_then(|sha256| self.firmware.version_of(sha256));
            let truth = Truth {
                runs: runs.map(Into::into),
                factory: device.fate.factory.clone(),
            };
            Ok((device.id.to_string(), truth))
        };
        self.devices.iter().map(truth).collect()
    }

    /// What all devices have gone through.
    pub fn experience(&self) -> Result<Experience, Problem> {
        let mut all = Experience::default();
        for device in &self.devices {
            let Entries {
                boots,
                trials,
                whole_pages_erased,
                struck,
                ..
            } = diary(device)?;
            all.boots += boots;
            all.trials += trials.values().sum::<usize>();
            all.tried_twice += trials.values().filter(|&&count| count > 1).count();
            all.erased += device.chip.wear().0;
            all.whole_pages_erased += whole_pages_erased;
            all.troubles += struck.len();
        }
        Ok(all)
    }

    /// How often each device lost power, by name.
    pub fn losses_of_power(&self) -> Result<BTreeMap<String, usize>, Problem> {
        let losses = |device: &Member| {
            let struck = diary(device)?.struck;
            let cuts = struck.iter().filter(|name| name.starts_with("cut"));
            Ok((device.id.to_string(), cuts.count()))
        };
        self.devices.iter().map(losses).collect()
    }

    /// What a device noted down: the time, UTC, and what happened.
    pub fn diary(&self, device: &str) -> Result<Vec<(String, String)>, Problem> {
        let found = self
            .devices
            .iter()
            .find(|other| other.id.as_str() == device);
        let told = found.map(diary).transpose()?.unwrap_or_default().told;
        let times = utc(told.iter().map(|(at, _)| *at))?;
        let texts = told.into_iter().map(|(_, text)| text);
        Ok(times.into_iter().zip(texts).collect())
    }
}

fn diary(device: &Member) -> Result<Entries, Problem> {
    let entries = device.diary.read();
    entries.map_err(|error| Problem::because(&device.id, &error))
}
