//! What a device does with an update.

use std::{collections::VecDeque, time::Duration};

use sortie_protocol::{Reason, Status, StatusCode};

use super::rng::Rng;

/// What a scripted device does with an update. All durations are virtual, and run from the moment at
/// which it gets the request.
///
/// A device that updates says `Acknowledged`, `Downloading`, `Deploying`, `Deployed`, `Rebooting`,
/// goes away, comes back with what it runs then, and says how it ended. What it is asked again it
/// answers and does not do again (A3); before `Deployed` it can be cancelled (A5, A6).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Play {
    /// It runs the new version, and says so after so long.
    Succeeds(Duration),
    /// It boots the new version, which does not hold, and says after so long that it runs the old
    /// one again (`SystemRollback`).
    RollsBack(Duration),
    /// It fails before it has changed anything.
    Fails {
        /// Why.
        code: StatusCode,
        /// After so long.
        after: Duration,
    },
    /// It downloads for long, says now and then how much it has, and succeeds a minute later.
    Slow {
        /// How long it downloads.
        download: Duration,
        /// How often it says more; not more than a thousand times.
        every: Duration,
    },
    /// It says that it can't now (`UpdateAlreadyInProgress`); it is asked again later (R4).
    Busy,
    /// It is online and never says a word on this operation, nor on its cancellation.
    Silent,
    /// It acknowledges, says that it downloads, and nothing more; it can be cancelled.
    Stalls,
    /// It acknowledges, and is lost after so long, until
    /// [`Fleet::online`](super::Fleet::online). Then it stands where it was; see
    /// [`Fleet::go_on`](super::Fleet::go_on).
    GoesDark {
        /// After so long.
        after: Duration,
    },
}

/// One step of a play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Say(Status, u8),
    /// It reboots: the connection is lost.
    Down,
    /// It is back, with the new version or the old one.
    Back {
        updated: bool,
    },
    /// The connection is lost for good.
    Dark,
    Succeed,
    Fail(StatusCode, Option<Reason>),
}

/// Steps, and when each is taken.
pub(super) type Plan = VecDeque<(Duration, Step)>;

impl Play {
    /// Its steps after the acknowledgement, for a device that gets the request `now`.
    pub(super) fn plan(&self, now: Duration, rng: &mut Rng) -> Plan {
        let at = |whole: Duration, permille: u64| {
            let permille = u32::try_from(permille).unwrap_or(1_000);
            now.saturating_add(whole / 1_000 * permille)
        };
        let say = |status| Step::Say(status, 0);
        match self {
            Self::Succeeds(after) => install(*after, &at, rng, true),
            Self::RollsBack(after) => install(*after, &at, rng, false),
            Self::Slow { download, every } => {
                let every = (*every)
                    .max(*download / 1_000)
                    .max(Duration::from_millis(1));
                let end = now.saturating_add(*download);
                let words = (0..=1_000).map(|word| every.saturating_mul(word));
                let words = words.take_while(|had| had < download).map(|had| {
                    let percent = had.as_millis() * 100 / download.as_millis().max(1);
                    let percent = u8::try_from(percent).unwrap_or(100);
                    let say = Step::Say(Status::Downloading, percent);
                    (now.saturating_add(had), say)
                });
                let rest = Self::Succeeds(Duration::from_mins(1)).plan(end, rng);
                words.chain(rest.into_iter().skip(1)).collect()
            }
            Self::Fails { code, after } => {
                let begin = at(*after, rng.between(20, 60));
                let fail = Step::Fail(code.clone(), None);
                VecDeque::from([(begin, say(Status::Downloading)), (at(*after, 1_000), fail)])
            }
            Self::Stalls => VecDeque::from([(now, say(Status::Downloading))]),
            Self::GoesDark { after } => VecDeque::from([(at(*after, 1_000), Step::Dark)]),
            Self::Busy | Self::Silent => VecDeque::new(),
        }
    }
}

/// An installation that is booted on trial, and holds or does not.
fn install(
    whole: Duration,
    at: &impl Fn(Duration, u64) -> Duration,
    rng: &mut Rng,
    holds: bool,
) -> Plan {
    let say = |status| Step::Say(status, 0);
    let end = if holds {
        Step::Succeed
    } else {
        Step::Fail(StatusCode::SystemRollback, Some(Reason::TrialFailed))
    };
    let reboot = at(whole, rng.between(810, 850));
    VecDeque::from([
        (at(whole, rng.between(20, 60)), say(Status::Downloading)),
        (at(whole, rng.between(500, 700)), say(Status::Deploying)),
        (at(whole, rng.between(750, 800)), say(Status::Deployed)),
        (reboot, say(Status::Rebooting)),
        (reboot, Step::Down),
        (
            at(whole, rng.between(900, 960)),
            Step::Back { updated: holds },
        ),
        (at(whole, 1_000), end),
    ])
}
