//! What a simulated device is like, and what befalls it: all of it follows from the seed.

use std::{fmt, time::Duration};

use sortie_flash::{Fault, Tear};

use crate::{
    firmware::{NEW, NEWER, OLD, TOO_OLD},
    options::{Faults, Settings},
    random::Random,
};

/// One device's fate. The same seed, device and faults give the same one, so that it goes on
/// after the process was killed.
#[derive(Debug, Clone, PartialEq)]
pub struct Fate {
    /// The version that it comes with.
    pub factory: String,
    /// When it is switched on, after the fleet's start.
    pub online_after: Duration,
    /// How long its link takes for an image.
    pub download: Duration,
    /// How long a reboot takes.
    pub reboot: Duration,
    /// How long the new image takes to judge itself.
    pub self_test: Duration,
    /// Whether the new image finds itself healthy.
    pub healthy: bool,
    /// Where in an image (in thousandths) its download breaks off, once each.
    pub drops: Vec<u64>,
    /// Where in an image (in thousandths) its flash is bad.
    pub bad_page: Option<u64>,
    /// When it loses power, once each.
    pub cuts: Vec<Cut>,
}

/// One loss of power.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// When.
    pub when: Moment,
    /// How many flash operations later.
    pub ahead: u64,
    /// What becomes of the flash operation.
    pub fault: Fault,
    /// How long the power is away; `None`: the device never comes back.
    pub away: Option<Duration>,
}

/// What a device is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Writing the page at so many thousandths of the image.
    Writing(u64),
    /// Marking the new image as the next to boot: the point of no return.
    Marking,
    /// Its loader notes that the new image has its trial.
    Loading,
    /// The new image runs on trial and has not given its word.
    Trying,
    /// The new image confirms itself.
    Confirming,
    /// Storing its journal for the n-th time in a boot.
    Journaling(u64),
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Writing(_) => "while it writes the new image",
            Self::Marking => "while it marks the new image",
            Self::Loading => "while its loader boots the new image",
            Self::Trying => "while the new image is on trial",
            Self::Confirming => "while it confirms the new image",
            Self::Journaling(_) => "while it writes its journal",
        })
    }
}

/// How often something happens, in thousandths of the devices: without, with some, with harsh faults.
struct Often([u64; 3]);

const WRITING: Often = Often([0, 80, 300]);
const MARKING: Often = Often([0, 20, 60]);
const LOADING: Often = Often([0, 15, 40]);
const TRYING: Often = Often([0, 10, 20]);
const CONFIRMING: Often = Often([0, 15, 40]);
const JOURNALING: Often = Often([0, 20, 120]);
const UNHEALTHY: Often = Often([0, 30, 50]);
const DROPPED: Often = Often([0, 80, 200]);
const BAD_FLASH: Often = Often([0, 0, 15]);
const LOST: Often = Often([0, 0, 10]);

impl Often {
    fn strikes(&self, faults: Faults, random: &mut Random) -> bool {
        let Self([none, some, harsh]) = *self;
        let share = match faults {
            Faults::None => none,
            Faults::Some => some,
            Faults::Harsh => harsh,
        };
        random.below(1000) < share
    }
}

impl Fate {
    /// The fate of device number `index` of a run.
    pub fn of(settings: &Settings, index: u32) -> Self {
        let mut random = Random::of(settings.seed, 0x0003_0000_0000 + u64::from(index));
        let random = &mut random;
        let hurry = if settings.hurry { 4 } else { 1 };
        let factory = match random.below(1000) {
            0..40 => NEW,
            40..70 => TOO_OLD,
            70..90 => NEWER,
            90..600 => OLD[0],
            _ => OLD[1],
        };
        let online_after = if random.below(10) == 0 {
            random.between(12_000, 22_000)
        } else {
            random.below(8_000)
        };
        let mut ms = |from: u64, to: u64| Duration::from_millis(random.between(from, to) / hurry);
        let (download, reboot, self_test) = (ms(500, 1_600), ms(200, 900), ms(100, 600));
        let faults = settings.faults;
        let healthy = !UNHEALTHY.strikes(faults, random);
        let drops = several(random, &DROPPED, faults, |random| random.below(1000));
        let bad_page = BAD_FLASH
            .strikes(faults, random)
            .then(|| random.below(1000));
        let mut cuts = several(random, &WRITING, faults, |random| {
            cut(Moment::Writing(random.below(1000)), random, hurry)
        });
        for (often, moment) in [
            (&MARKING, Moment::Marking),
            (&LOADING, Moment::Loading),
            (&TRYING, Moment::Trying),
            (&CONFIRMING, Moment::Confirming),
            (&JOURNALING, Moment::Journaling(random.below(6))),
        ] {
            if often.strikes(faults, random) {
                cuts.push(cut(moment, random, hurry));
            }
        }
        if LOST.strikes(faults, random) {
            cuts.push(Cut {
                away: None,
                ..cut(Moment::Writing(random.below(1000)), random, hurry)
            });
        }
        Self {
            factory: factory.into(),
            online_after: Duration::from_millis(online_after / hurry),
            download,
            reboot,
            self_test,
            healthy,
            drops,
            bad_page,
            cuts,
        }
    }

    /// The fate of a device that nothing befalls, is there at once, and comes with version `factory`.
    pub fn easy(factory: &str) -> Self {
        Self {
            factory: factory.into(),
            online_after: Duration::ZERO,
            download: Duration::from_secs(1),
            reboot: Duration::from_secs(1),
            self_test: Duration::from_millis(500),
            healthy: true,
            drops: vec![],
            bad_page: None,
            cuts: vec![],
        }
    }

    /// Whether anything befalls the device.
    pub fn is_hard(&self) -> bool {
        let Self {
            cuts,
            drops,
            bad_page,
            healthy,
            ..
        } = self;
        !(cuts.is_empty() && drops.is_empty() && bad_page.is_none() && *healthy)
    }
}

/// None, one or, if it strikes, now and then up to three.
fn several<T>(
    random: &mut Random,
    often: &Often,
    faults: Faults,
    mut one: impl FnMut(&mut Random) -> T,
) -> Vec<T> {
    let count = if !often.strikes(faults, random) {
        0
    } else if faults == Faults::Harsh {
        random.between(1, 3)
    } else {
        1
    };
    (0..count).map(|_| one(random)).collect()
}

fn cut(when: Moment, random: &mut Random, hurry: u64) -> Cut {
    // A page is erased, then programmed; a record is programmed, sometimes into a page erased before.
    let ahead = random.below(2);
    let fault = match random.below(6) {
        0 => Fault::CutBefore,
        1 => Fault::CutAfter,
        _ => Fault::CutTorn(random.one_of(&Tear::ALL)),
    };
    let away = Some(Duration::from_millis(random.between(300, 3_000) / hurry));
    Cut {
        when,
        ahead,
        fault,
        away,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn fates(faults: Faults, seed: u64) -> Vec<Fate> {
        let options = Options {
            faults: Some(faults),
            seed: Some(seed),
            ..Options::default()
        };
        let settings = options.settings(None).unwrap();
        (0..2000).map(|index| Fate::of(&settings, index)).collect()
    }

    #[test]
    fn a_fate_follows_from_seed_and_device_alone() {
        assert_eq!(fates(Faults::Harsh, 5), fates(Faults::Harsh, 5));
        assert_ne!(fates(Faults::Harsh, 5), fates(Faults::Harsh, 6));
    }

    #[test]
    fn without_faults_nothing_befalls_a_device_but_its_version_may_be_wrong() {
        let fates = fates(Faults::None, 5);
        assert!(!fates.iter().any(Fate::is_hard));
        for version in [NEW, TOO_OLD, NEWER, OLD[0], OLD[1]] {
            assert!(
                fates.iter().any(|fate| fate.factory == version),
                "{version}"
            );
        }
    }

    #[test]
    fn harsh_faults_bring_every_trouble_and_some_bring_fewer() {
        let (some, harsh) = (fates(Faults::Some, 5), fates(Faults::Harsh, 5));
        let moments = |fates: &[Fate], wanted: fn(&Moment) -> bool| {
            let cuts = fates.iter().flat_map(|fate| &fate.cuts);
            cuts.filter(|cut| wanted(&cut.when)).count()
        };
        for wanted in [
            (|m| matches!(m, Moment::Writing(_))) as fn(&Moment) -> bool,
            |m| matches!(m, Moment::Marking),
            |m| matches!(m, Moment::Loading),
            |m| matches!(m, Moment::Trying),
            |m| matches!(m, Moment::Confirming),
            |m| matches!(m, Moment::Journaling(_)),
        ] {
            let (some, harsh) = (moments(&some, wanted), moments(&harsh, wanted));
            assert!(0 < some && some < harsh, "{some} and {harsh}");
        }
        assert!(harsh.iter().any(|fate| fate.bad_page.is_some()));
        assert!(
            harsh
                .iter()
                .any(|fate| fate.cuts.iter().any(|cut| cut.away.is_none()))
        );
        assert!(harsh.iter().any(|fate| !fate.healthy));
        assert!(harsh.iter().any(|fate| fate.drops.len() > 1));
    }
}
