//! Steps of the wall clock (C5).

use std::time::Duration;

use serde::Serialize;
use sortie_core::Timestamp;

use super::Clocks;

/// A difference below this is no step: clocks are slewed, and a busy machine reads the two apart.
const STEP_MIN_MS: i64 = 1_000;

/// The wall clock was set, or the machine slept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ClockStep {
    /// What the wall clock showed after it.
    pub at: Timestamp,
    /// How far it went, in milliseconds; below 0: back.
    pub by_ms: i64,
}

/// Compares the two clocks from one input to the next.
#[derive(Debug)]
pub(super) struct Steps {
    before: Clocks,
    count: u64,
    last: Option<ClockStep>,
}

impl Steps {
    pub(super) fn new(now: Clocks) -> Self {
        Self {
            before: now,
            count: 0,
            last: None,
        }
    }

    pub(super) fn look(&mut self, now: Clocks) {
        let passed = now.monotonic.saturating_sub(self.before.monotonic);
        let by_ms = now
            .wall
            .0
            .saturating_sub(self.before.wall.0)
            .saturating_sub(ms(passed));
        if by_ms.saturating_abs() >= STEP_MIN_MS {
            self.count += 1;
            self.last = Some(ClockStep {
                at: now.wall,
                by_ms,
            });
        }
        self.before = now;
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn last(&self) -> Option<ClockStep> {
        self.last
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c5_steps_are_noticed_in_both_directions_and_slewing_is_none() {
        let clocks = |wall, monotonic| Clocks {
            wall: Timestamp(wall),
            monotonic: Duration::from_millis(monotonic),
        };
        let mut steps = Steps::new(clocks(1_000_000, 0));
        for (wall, monotonic, count, by_ms) in [
            (1_060_000, 60_000, 0, None),
            (1_060_900, 60_100, 0, None),
            (4_660_900, 60_100, 1, Some(3_600_000)),
            (4_661_000, 60_200, 1, Some(3_600_000)),
            (1_061_100, 60_300, 2, Some(-3_600_000)),
        ] {
            steps.look(clocks(wall, monotonic));
            let last = steps.last().map(|step| step.by_ms);
            assert_eq!((steps.count(), last), (count, by_ms), "at {monotonic}");
        }
        assert_eq!(steps.last().map(|step| step.at), Some(Timestamp(1_061_100)));
    }
}
