//! What a campaign is made of, and the drafts that callers write.

use std::{fmt, time::Duration};

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::{
    BaseImageId, CampaignId, ChannelId, Invalid, SystemModelId, Timestamp, VersionRequirement,
    catalog::Artifact,
};

/// When a campaign starts (S1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Start {
    /// At once.
    #[default]
    Now,
    /// At a time; one in the past is now.
    At(Timestamp),
    /// When a person says so.
    ByHand,
}

/// The Push Rollout Mechanism: the engine decides when each device is updated.
///
/// The two limits have no default: a campaign must name both. All else has one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Push {
    max_in_progress_operations: Option<u32>,
    max_failure_percentage: Option<f64>,
    force_downgrade: bool,
    enforce_requirement_when_forced: bool,
    request_timeout: Duration,
    request_retries: u32,
    stage_timeout: Option<Duration>,
    operation_timeout: Duration,
    cancel_timeout: Duration,
    busy_retries: u32,
}

impl Default for Push {
    fn default() -> Self {
        Self {
            max_in_progress_operations: None,
            max_failure_percentage: None,
            force_downgrade: false,
            enforce_requirement_when_forced: false,
            request_timeout: Duration::from_mins(5),
            request_retries: 3,
            stage_timeout: Some(Duration::from_hours(1)),
            operation_timeout: Duration::from_hours(24),
            cancel_timeout: Duration::from_mins(5),
            busy_retries: 10,
        }
    }
}

impl Push {
    /// A mechanism with neither of its two limits set yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most this many operations in progress at once, at least 1 (P2). Edgehog's guide calls it Max
    /// Pending Operations. Required.
    pub fn max_in_progress_operations(mut self, limit: u32) -> Self {
        self.max_in_progress_operations = Some(limit);
        self
    }

    /// The campaign fails when more than this share of *all* targets has failed (F1): 0–100, at
    /// most two decimals. Required.
    pub fn max_failure_percentage(mut self, percent: f64) -> Self {
        self.max_failure_percentage = Some(percent);
        self
    }

    /// Installs an image that is older than, or differs only in build metadata from, what runs, and
    /// overrides the starting Version Requirement (E3–E5). Default: no.
    pub fn force_downgrade(mut self, force: bool) -> Self {
        self.force_downgrade = force;
        self
    }

    /// Checks the starting Version Requirement even when forced, as Edgehog's code does (E5).
    /// Default: no.
    pub fn enforce_requirement_when_forced(mut self, enforce: bool) -> Self {
        self.enforce_requirement_when_forced = enforce;
        self
    }

    /// How long a request may stay unacknowledged before it is written again, at least 30 s (P4).
    /// Default: 300 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How often it is written again before the operation ends with `request_timeout` (P4).
    /// Default: 3.
    pub fn request_retries(mut self, retries: u32) -> Self {
        self.request_retries = retries;
        self
    }

    /// How long an operation may go without an advance (C3). Default: 1 h; `None` is off.
    pub fn stage_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.stage_timeout = timeout;
        self
    }

    /// How long an operation may take altogether, from its first report (C4). Default: 24 h.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// How long a cancelled operation waits for the device's word (X2). Default: 300 s.
    pub fn cancel_timeout(mut self, timeout: Duration) -> Self {
        self.cancel_timeout = timeout;
        self
    }

    /// How often a target whose device was busy is tried again (R4). Default: 10.
    pub fn busy_retries(mut self, retries: u32) -> Self {
        self.busy_retries = retries;
        self
    }

    pub(crate) fn validate(&self, invalid: &mut Invalid) -> PushSpec {
        let max_in_progress_operations = match self.max_in_progress_operations {
            None => {
                invalid.add("max_in_progress_operations", "it is required");
                0
            }
            Some(0) => {
                invalid.add(
                    "max_in_progress_operations",
                    "0 is not allowed, at least 1 is",
                );
                0
            }
            Some(limit) => limit,
        };
        let max_failure_hundredths = match self.max_failure_percentage {
            None => {
                invalid.add("max_failure_percentage", "it is required");
                0
            }
            Some(percent) => hundredths(percent).unwrap_or_else(|| {
                let why = format!("{percent} is not a number from 0 to 100 with two decimals");
                invalid.add("max_failure_percentage", why);
                0
            }),
        };
        if self.request_timeout < Duration::from_secs(30) {
            let why = format!(
                "{:?} is too short, at least 30 s are needed",
                self.request_timeout
            );
            invalid.add("request_timeout", why);
        }
        for (field, timeout) in [
            ("stage_timeout", self.stage_timeout),
            ("operation_timeout", Some(self.operation_timeout)),
            ("cancel_timeout", Some(self.cancel_timeout)),
        ] {
            if let Some(timeout) = timeout.filter(|timeout| *timeout < Duration::from_millis(1)) {
                let why = format!("{timeout:?} is too short, at least 1 ms is needed");
                invalid.add(field, why);
            }
        }
        PushSpec {
            max_in_progress_operations,
            max_failure_hundredths,
            force_downgrade: self.force_downgrade,
            enforce_requirement_when_forced: self.enforce_requirement_when_forced,
            request_timeout_ms: ms(self.request_timeout),
            request_retries: self.request_retries,
            stage_timeout_ms: self.stage_timeout.map(ms),
            operation_timeout_ms: ms(self.operation_timeout),
            cancel_timeout_ms: ms(self.cancel_timeout),
            busy_retries: self.busy_retries,
        }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A percentage in hundredths, if it is 0–100 with at most two decimals (S3).
fn hundredths(percent: f64) -> Option<u32> {
    let scaled = percent * 100.0;
    let whole = scaled.round();
    let exact = (scaled - whole).abs() < 1e-6;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 10,000"
    )]
    (exact && (0.0..=10_000.0).contains(&whole)).then_some(whole as u32)
}

/// The Push mechanism as it is recorded: checked, durations in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PushSpec {
    /// At most this many operations in progress at once, at least 1 (P2).
    pub max_in_progress_operations: u32,
    /// The campaign fails when more than this share of all targets has failed, in hundredths of a
    /// percent: 0 to 10,000 (F1).
    pub max_failure_hundredths: u32,
    /// An older image, or one that differs in build metadata only, is installed, and the starting Version
    /// Requirement is overridden (E3–E5).
    #[serde(default)]
    pub force_downgrade: bool,
    /// The starting Version Requirement is checked even then (E5).
    #[serde(default)]
    pub enforce_requirement_when_forced: bool,
    /// How long a request waits for the device's first report before it is written again, in
    /// milliseconds (P4).
    pub request_timeout_ms: u64,
    /// How often it is written again before the operation is abandoned (P4).
    pub request_retries: u32,
    /// How long an operation may go without an advance, in milliseconds; `None`: for ever (C3).
    pub stage_timeout_ms: Option<u64>,
    /// How long an operation may take from its first report, in milliseconds (C4).
    pub operation_timeout_ms: u64,
    /// How long a cancelled operation waits for the device's word, in milliseconds (X2).
    pub cancel_timeout_ms: u64,
    /// How often a target whose device was busy, or whose version had changed, is tried again (R4).
    pub busy_retries: u32,
}

/// A draft of a campaign, as a caller writes it; `create_campaign` validates it (S3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewCampaign {
    id: Option<CampaignId>,
    name: String,
    base_image: BaseImageId,
    channel: ChannelId,
    mechanism: Push,
    #[serde(default)]
    start: Start,
}

impl NewCampaign {
    /// A campaign that rolls `base_image` out to `channel`, at once.
    pub fn new(name: &str, base_image: BaseImageId, channel: ChannelId) -> Self {
        Self {
            id: None,
            name: name.into(),
            base_image,
            channel,
            mechanism: Push::new(),
            start: Start::Now,
        }
    }

    /// Names the campaign, so that creating it twice makes one (K2). Default: derived from its
    /// command's id.
    pub fn id(mut self, id: CampaignId) -> Self {
        self.id = Some(id);
        self
    }

    /// Sets the Rollout Mechanism. Its two limits are required.
    pub fn mechanism(mut self, mechanism: Push) -> Self {
        self.mechanism = mechanism;
        self
    }

    /// Sets when it starts. Default: at once.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// The id, if one was given.
    pub fn given_id(&self) -> Option<CampaignId> {
        self.id
    }

    /// The image that it ships.
    pub fn base_image(&self) -> &BaseImageId {
        &self.base_image
    }

    /// The Channel that it targets.
    pub fn channel(&self) -> &ChannelId {
        &self.channel
    }

    /// Checks everything that needs no catalog.
    ///
    /// # Errors
    /// All that is wrong, by field (S3).
    pub fn validate(&self) -> Result<CampaignSpec, Invalid> {
        let mut invalid = Invalid::default();
        if self.name.trim().is_empty() {
            invalid.add("name", "it is empty");
        }
        if self.name.len() > NAME_BYTES_MAX {
            invalid.add(
                "name",
                format!("{} bytes are too long, 256 is the limit", self.name.len()),
            );
        }
        let mechanism = self.mechanism.validate(&mut invalid);
        invalid.or(CampaignSpec {
            name: self.name.clone(),
            base_image: self.base_image.clone(),
            channel: self.channel.clone(),
            mechanism,
            start: self.start,
        })
    }
}

const NAME_BYTES_MAX: usize = 256;

/// What a campaign is made of, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CampaignSpec {
    /// For people.
    pub name: String,
    /// The image that it ships.
    pub base_image: BaseImageId,
    /// The Channel that it targets.
    pub channel: ChannelId,
    /// How it is paced, gated and retried.
    pub mechanism: PushSpec,
    /// When it starts.
    #[serde(default)]
    pub start: Start,
}

/// The image, copied into the campaign's stream when it starts (T4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImageCopy {
    /// Its version.
    pub version: Version,
    /// The System Model that it is for.
    pub system_model: SystemModelId,
    /// Where it is and what must be found there.
    pub artifact: Artifact,
    /// What a device must run for the image to be installed over it (E5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_version_requirement: Option<VersionRequirement>,
}

impl ImageCopy {
    /// An image as the catalog has it.
    pub fn new(
        version: Version,
        system_model: SystemModelId,
        artifact: Artifact,
        starting_version_requirement: Option<VersionRequirement>,
    ) -> Self {
        Self {
            version,
            system_model,
            artifact,
            starting_version_requirement,
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("at once"),
            Self::At(at) => write!(f, "at {at}"),
            Self::ByHand => f.write_str("by hand"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_all_errors_are_reported_at_once_by_field() {
        let draft = NewCampaign::new(" ", "c@1.0.0".parse().unwrap(), "ch".parse().unwrap())
            .mechanism(
                Push::new()
                    .max_in_progress_operations(0)
                    .max_failure_percentage(101.0)
                    .request_timeout(Duration::from_secs(29)),
            );
        let text = draft.validate().unwrap_err().to_string();
        for field in [
            "name: ",
            "max_in_progress_operations: 0",
            "max_failure_percentage: 101",
            "29s",
        ] {
            assert!(text.contains(field), "{text}");
        }
        let unset = draft.mechanism(Push::new()).validate().unwrap_err();
        let fields: Vec<_> = unset.0.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "name",
                "max_in_progress_operations",
                "max_failure_percentage"
            ]
        );
    }

    #[test]
    fn s3_a_timeout_is_kept_in_milliseconds_and_at_least_one() {
        let push = || {
            Push::new()
                .max_in_progress_operations(1)
                .max_failure_percentage(1.0)
        };
        let validated = |push: Push| {
            let (image, channel) = ("c@1.0.0".parse().unwrap(), "ch".parse().unwrap());
            NewCampaign::new("n", image, channel)
                .mechanism(push)
                .validate()
        };
        let setters: [fn(Push, Duration) -> Push; 3] = [
            |push, timeout| push.stage_timeout(Some(timeout)),
            Push::operation_timeout,
            Push::cancel_timeout,
        ];
        let ms = Duration::from_millis(1);
        for set in setters {
            assert!(validated(set(push(), ms)).is_ok());
            for short in [Duration::ZERO, Duration::from_nanos(999_999)] {
                let text = validated(set(push(), short)).unwrap_err().to_string();
                assert!(text.contains(&format!("{short:?} is too short")), "{text}");
            }
        }
    }

    #[test]
    fn s3_a_percentage_has_at_most_two_decimals() {
        for (percent, kept) in [
            (0.0, Some(0)),
            (0.07, Some(7)),
            (33.33, Some(3333)),
            (100.0, Some(10_000)),
            (0.001, None),
            (-0.01, None),
            (100.01, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(hundredths(percent), kept, "{percent}");
        }
    }
}
