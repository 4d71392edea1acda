//! The node's one table of devices.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use semver::Version;
use sortie_protocol::{Birth, DeviceId, Generation};

use crate::{ClaimPhase, ClaimRow, Timestamp};

/// A device's place in the [`Fleet`]; ids are resolved once, at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceSlot(pub u32);

impl DeviceSlot {
    /// As an index into tables kept beside the fleet.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A version as a device names it; many devices share one.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct RunningVersion {
    /// As it came.
    pub text: Arc<str>,
    /// What it says, if it is SemVer.
    pub parsed: Option<Version>,
}

/// What is known of one device: presence and version as heard, and its claim.
#[derive(Debug, Clone)]
pub struct FleetDevice {
    id: DeviceId,
    /// The connection of the engine's link in which presence was heard; another one is no word.
    heard_in: u32,
    online: bool,
    /// Since when it is online or offline, as heard; nothing was heard of it before.
    since: Timestamp,
    session: Arc<str>,
    version: Option<Arc<RunningVersion>>,
    system_model: Option<Arc<str>>,
    generation: Generation,
    /// The round in which the inventory last said that it exists (D1).
    confirmed_in: u32,
    claim: Option<ClaimRow>,
}

impl FleetDevice {
    /// Its id.
    pub fn id(&self) -> &DeviceId {
        &self.id
    }

    /// When it was heard to go online or offline: as long as neither has changed since, nor the
    /// session. `None`: its presence was never heard.
    pub fn presence_since(&self) -> Option<Timestamp> {
        (self.heard_in != 0).then_some(self.since)
    }

    /// The session of its latest birth; empty before the first.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The version of its latest birth.
    pub fn version(&self) -> Option<&RunningVersion> {
        self.version.as_deref()
    }

    /// The System Model that its latest birth named.
    pub fn system_model(&self) -> Option<&str> {
        self.system_model.as_deref()
    }

    /// The highest generation it has been heard to know.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Its claim; `None`: it never had one.
    pub fn claim(&self) -> Option<&ClaimRow> {
        self.claim.as_ref()
    }

    /// Whether an operation is in force on it (O1).
    pub fn is_held(&self) -> bool {
        self.claim.as_ref().is_some_and(ClaimRow::is_held)
    }

    /// The number of the next claim on it: above its own, and above all it has been heard to know.
    pub fn next_claim_number(&self) -> u64 {
        let own = self.claim.as_ref().map_or(0, |claim| claim.number);
        own.max(self.generation.claim_number()) + 1
    }
}

/// A generation above this is no word of a sane device, and is not believed: else one message could
/// use up all the numbers that its register will ever have.
const CLAIM_NUMBER_BELIEVED_MAX: u64 = 1 << 50;

/// Presence, version, highest generation heard and claim of every device.
///
/// Campaigns get it by reference and keep no copy. While the link is down nothing is known of
/// anyone's presence, and after its return only what is heard then counts.
#[derive(Debug, Default)]
pub struct Fleet {
    devices: Vec<FleetDevice>,
    by_id: HashMap<DeviceId, DeviceSlot>,
    /// Counts the link's connections; 0 while down.
    link: u32,
    links: u32,
    /// Counts the rounds of asking the inventory; 0: it is not asked.
    round: u32,
    link_since: Option<Timestamp>,
    /// When what is heard now is heard.
    now: Timestamp,
    texts: HashSet<Arc<str>>,
    versions: HashMap<Arc<str>, Arc<RunningVersion>>,
    claims_open: usize,
}

impl Fleet {
    /// The slot of a device, made if it has none.
    ///
    /// Panics never: a fleet of 2^32 devices does not fit into memory.
    pub fn slot(&mut self, id: &DeviceId) -> DeviceSlot {
        if let Some(slot) = self.by_id.get(id) {
            return *slot;
        }
        let slot = DeviceSlot(u32::try_from(self.devices.len()).unwrap_or(u32::MAX));
        self.devices.push(FleetDevice {
            id: id.clone(),
            heard_in: 0,
            online: false,
            since: self.now,
            session: "".into(),
            version: None,
            system_model: None,
            generation: Generation::default(),
            confirmed_in: 0,
            claim: None,
        });
        self.by_id.insert(id.clone(), slot);
        slot
    }

    /// The slot of a device that is known.
    pub fn find(&self, id: &DeviceId) -> Option<DeviceSlot> {
        self.by_id.get(id).copied()
    }

    /// The device of a slot that this fleet gave out.
    pub fn device(&self, slot: DeviceSlot) -> &FleetDevice {
        &self.devices[slot.index()]
    }

    /// How many devices are known.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// What is heard from now on is heard at `now`.
    pub fn time(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Whether the link to the devices is up.
    pub fn is_linked(&self) -> bool {
        self.link != 0
    }

    /// Since when the link to the devices is up, or down; `None`: nothing was said of it yet.
    pub fn link_since(&self) -> Option<Timestamp> {
        self.link_since
    }

    /// The link to the devices came up, or went down.
    pub fn link(&mut self, up: bool) {
        if up || self.link != 0 || self.link_since.is_none() {
            self.link_since = Some(self.now);
        }
        if up {
            self.links += 1;
            self.link = self.links;
        } else {
            self.link = 0;
        }
    }

    /// Whether a device is known to be online now.
    pub fn is_online(&self, slot: DeviceSlot) -> bool {
        let device = self.device(slot);
        self.link != 0 && device.heard_in == self.link && device.online
    }

    /// Whether anything of a device's presence was heard since the link came up.
    pub fn is_heard(&self, slot: DeviceSlot) -> bool {
        self.link != 0 && self.device(slot).heard_in == self.link
    }

    /// A device said that it is online.
    pub fn online(&mut self, slot: DeviceSlot, birth: &Birth) {
        let session: Arc<str> = birth.session.as_str().into();
        let version = birth
            .base_image
            .as_ref()
            .filter(|image| !image.version.is_empty());
        let version = version.map(|image| self.version(&image.version));
        let system_model = birth
            .system_model
            .as_deref()
            .map(|model| self.intern(model));
        let (link, now) = (self.link, self.now);
        let device = &mut self.devices[slot.index()];
        if device.heard_in == 0 || !device.online || device.session != session {
            device.since = now;
        }
        device.heard_in = link;
        device.online = true;
        device.session = session;
        device.version = version;
        device.system_model = system_model;
        if let Some(generation) = birth.generation {
            self.heard_generation(slot, generation);
        }
    }

    /// A device's session ended. Returns whether it was the current one, and so counts (B2).
    pub fn offline(&mut self, slot: DeviceSlot, session: &str) -> bool {
        let (link, now) = (self.link, self.now);
        let device = &mut self.devices[slot.index()];
        let current = device.heard_in != link || &*device.session == session || !device.online;
        if current {
            if device.heard_in == 0 || device.online {
                device.since = now;
            }
            device.heard_in = link;
            device.online = false;
        }
        current
    }

    /// A device was heard to know this generation.
    pub fn heard_generation(&mut self, slot: DeviceSlot, generation: Generation) {
        let device = &mut self.devices[slot.index()];
        if generation.claim_number() <= CLAIM_NUMBER_BELIEVED_MAX {
            device.generation = device.generation.max(generation);
        }
    }

    /// A new round of asking the inventory whether devices still exist: what it said two rounds ago counts
    /// no longer (D1). Before the first, no device needs to be confirmed.
    pub fn confirm_anew(&mut self) {
        // What was never confirmed must not count as confirmed a round ago.
        self.round = self.round.saturating_add(1).max(2);
    }

    /// The inventory says that a device exists, or can't say: it holds up no push then.
    pub fn confirm(&mut self, slot: DeviceSlot) {
        self.devices[slot.index()].confirmed_in = self.round;
    }

    /// A device was removed: what the inventory said of it before counts no longer (D1).
    pub fn unconfirm(&mut self, slot: DeviceSlot) {
        self.devices[slot.index()].confirmed_in = 0;
    }

    /// Whether a device need not be asked for before a push.
    pub fn is_confirmed(&self, slot: DeviceSlot) -> bool {
        self.device(slot).confirmed_in + 1 >= self.round
    }

    /// Sets the claim on a device, as a commit has made it or the store has it.
    pub fn set_claim(&mut self, slot: DeviceSlot, claim: Option<ClaimRow>) {
        let is_open =
            |claim: &Option<ClaimRow>| claim.as_ref().is_some_and(|c| c.phase == ClaimPhase::Open);
        let present = &mut self.devices[slot.index()].claim;
        self.claims_open += usize::from(is_open(&claim));
        self.claims_open -= usize::from(is_open(present));
        *present = claim;
    }

    /// How many claims are open: abandoned, and the device has not given its word yet (W7).
    pub fn claims_open(&self) -> usize {
        self.claims_open
    }

    /// One copy of a text that many devices share.
    fn intern(&mut self, text: &str) -> Arc<str> {
        if text.len() > 32 || self.texts.len() > TEXTS_MAX {
            return text.into();
        }
        if let Some(present) = self.texts.get(text) {
            return present.clone();
        }
        let text: Arc<str> = text.into();
        self.texts.insert(text.clone());
        text
    }

    fn version(&mut self, text: &str) -> Arc<RunningVersion> {
        if let Some(present) = self.versions.get(text) {
            return present.clone();
        }
        let version = Arc::new(RunningVersion {
            text: text.into(),
            parsed: Version::parse(text).ok(),
        });
        if self.versions.len() <= TEXTS_MAX {
            self.versions.insert(text.into(), version.clone());
        }
        version
    }
}

/// Bounds the tables of shared texts against devices that say something new each time.
const TEXTS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn birth(session: &str, generation: u64) -> Birth {
        let generation = Some(Generation(generation));
        Birth {
            session: session.into(),
            generation,
            ..Birth::default()
        }
    }

    #[test]
    fn b2_a_late_will_of_an_earlier_session_takes_nobody_offline() {
        let mut fleet = Fleet::default();
        let slot = fleet.slot(&DeviceId::new("d").unwrap());
        fleet.link(true);
        fleet.online(slot, &birth("new", 0));
        assert!(!fleet.offline(slot, "old") && fleet.is_online(slot));
        assert!(fleet.offline(slot, "new") && !fleet.is_online(slot));
    }

    #[test]
    fn after_the_links_return_only_what_is_heard_then_counts() {
        let mut fleet = Fleet::default();
        let slot = fleet.slot(&DeviceId::new("d").unwrap());
        fleet.link(true);
        fleet.online(slot, &birth("s", 0));
        fleet.link(false);
        assert!(!fleet.is_online(slot));
        fleet.link(true);
        assert!(!fleet.is_online(slot));
        fleet.online(slot, &birth("s", 0));
        assert!(fleet.is_online(slot));
    }

    #[test]
    fn a_presence_counts_from_when_it_changed_not_from_when_it_was_said_again() {
        let mut fleet = Fleet::default();
        let slot = fleet.slot(&DeviceId::new("d").unwrap());
        let since = |fleet: &Fleet| fleet.device(slot).presence_since().map(|at| at.0);
        assert_eq!(since(&fleet), None);
        let mut heard = vec![];
        for (at, event) in [
            (10, "link"),
            (20, "online s1"),
            (30, "online s1"),
            (40, "offline s1"),
            (50, "cut"),
            (60, "link"),
            (70, "offline s1"),
            (80, "online s2"),
            (90, "online s3"),
        ] {
            fleet.time(Timestamp(at));
            match event.split_once(' ') {
                Some(("online", session)) => fleet.online(slot, &birth(session, 0)),
                Some((_, session)) => assert!(fleet.offline(slot, session)),
                None => fleet.link(event == "link"),
            }
            heard.push(since(&fleet));
        }
        let expected = [0, 20, 20, 40, 40, 40, 40, 80, 90].map(|at| (at != 0).then_some(at));
        assert_eq!(heard, expected);
        assert_eq!(fleet.link_since(), Some(Timestamp(60)));
    }

    #[test]
    fn w1_one_absurd_generation_does_not_use_up_a_devices_numbers() {
        let mut fleet = Fleet::default();
        let slot = fleet.slot(&DeviceId::new("d").unwrap());
        fleet.link(true);
        fleet.online(slot, &birth("s", 41));
        fleet.heard_generation(slot, Generation((1 << 53) - 1));
        assert_eq!(fleet.device(slot).next_claim_number(), 11);
    }
}
