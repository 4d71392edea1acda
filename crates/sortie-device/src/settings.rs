//! What a device is, and how patient it is.

use alloc::string::String;
use core::time::Duration;

use sortie_protocol::BaseImage;

/// What runs; told again at each boot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The running image. `None`: the device can't tell.
    pub base_image: Option<BaseImage>,
    /// What the device is.
    pub system_model: Option<String>,
}

impl Identity {
    pub(crate) fn version(&self) -> Option<&str> {
        self.base_image
            .as_ref()
            .map(|image| image.version.as_str())
            .filter(|version| !version.is_empty())
    }
}

/// The device's own patience. All times are of its monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// How long a download is tried without a byte before it fails (A12). Default 30 min.
    pub give_up: Duration,
    /// The wait after the first failed fetch; doubled at each further one. Default 1 s.
    pub backoff_min: Duration,
    /// The longest such wait. Default 1 min.
    pub backoff_max: Duration,
    /// How long the health check may take. Default 5 min.
    pub health_timeout: Duration,
    /// How long a stage waits for its report to be acknowledged before the next begins, so that
    /// each is told; with the link down it doesn't wait at all. Default 5 s.
    pub report_grace: Duration,
}

#[expect(
    clippy::duration_suboptimal_units,
    reason = "`Duration::from_mins` is newer than our `rust-version`"
)]
impl Default for Settings {
    fn default() -> Self {
        Self {
            give_up: Duration::from_secs(30 * 60),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            health_timeout: Duration::from_secs(5 * 60),
            report_grace: Duration::from_secs(5),
        }
    }
}
