//! The two times that the core knows.

mod rfc3339;

use std::time::Duration;

pub use rfc3339::TimestampError;
use serde::{Deserialize, Serialize};

/// Wall time: milliseconds since 1970-01-01T00:00:00 UTC.
///
/// It decides scheduled starts, stamps commits and is a selector's `now()`, nothing else (rules C5
/// and T3). As text it is RFC 3339 in UTC.
///
/// ```
/// # use sortie_core::Timestamp;
/// let at: Timestamp = "2026-01-02T03:04:05.678Z".parse()?;
/// assert_eq!(at, Timestamp(1_767_323_045_678));
/// # Ok::<(), sortie_core::TimestampError>(())
/// ```
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// The listening clock, in milliseconds: it stands while the link to the devices is down and for
/// `settle` after its return (rule C1). All timers of operations run on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listened(pub u64);

impl Listened {
    /// This much later.
    pub fn after(self, duration: Duration) -> Self {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(ms))
    }
}

/// The time of an input, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Wall time, never below the stream's last recorded time (rule C5).
    pub at: Timestamp,
    /// The listening clock.
    pub listened: Listened,
}
