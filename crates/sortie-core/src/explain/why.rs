//! What ended a target: one sentence, and the rule that it comes from.

use std::fmt::Write;

use super::{
    By, Ending,
    text::{names, word},
};
use crate::{
    BaseImageId, TargetReason, Timestamp,
    campaign::{DeviceWord, End, ImageCopy, Outcome, PushSpec},
    phrase::{count, percent, span},
};

/// What the log knows of a target at its end.
pub(super) struct Known<'a> {
    /// It is a manual update, which has rules of its own (M3).
    pub(super) manual: bool,
    pub(super) mechanism: &'a PushSpec,
    pub(super) base_image: Option<&'a BaseImageId>,
    pub(super) wait_until: Option<Timestamp>,
    pub(super) image: Option<&'a ImageCopy>,
    pub(super) decided_on: Option<&'a str>,
    pub(super) system_model: Option<&'a str>,
    pub(super) refusal: Option<&'a str>,
    pub(super) word: Option<&'a DeviceWord>,
    pub(super) end: Option<End>,
    pub(super) late: bool,
    pub(super) cancelled: Option<&'a [By]>,
    pub(super) deferrals: u32,
    pub(super) retries: u32,
}

/// The rule by which a target ends with a reason, of a manual update or not.
pub(super) fn rule(reason: TargetReason, cancelled: bool, manual: bool) -> &'static str {
    match reason {
        TargetReason::DeviceBusy | TargetReason::VersionChanged if manual => "M3",
        TargetReason::Updated if cancelled => "X3",
        TargetReason::AlreadyAtVersion => "E2",
        TargetReason::SystemModelMismatch => "E0",
        TargetReason::MissingVersion | TargetReason::InvalidVersion => "E1",
        TargetReason::AmbiguousVersionOrdering => "E3",
        TargetReason::DowngradeNotAllowed => "E4",
        TargetReason::VersionRequirementNotMatched => "E5",
        TargetReason::DeviceBusy | TargetReason::VersionChanged => "R4",
        TargetReason::RequestTimeout => "P4",
        TargetReason::Stalled => "C3, C4",
        TargetReason::SendRefused => "P5",
        TargetReason::Canceled | TargetReason::DeviceCanceled => "X4",
        TargetReason::DeviceRemoved => "D1",
        TargetReason::Expired => "M3",
        _ => "R3",
    }
}

/// Why a target is successful or failed.
pub(super) fn ended(reason: TargetReason, known: &Known<'_>) -> Ending {
    let mut why = sentence(reason, known);
    if known.end == Some(End::Abandoned) {
        why.push_str(if known.late {
            "; the device's late word changes nothing"
        } else {
            "; the device may still be installing"
        });
    }
    Ending {
        rule: rule(reason, known.cancelled.is_some(), known.manual),
        why,
    }
}

/// L5: why a target of a finished campaign is still idle.
pub(super) fn not_attempted(outcome: Option<Outcome>, reason: Option<TargetReason>) -> Ending {
    let campaign = match outcome {
        Some(Outcome::Failure) => "failed",
        Some(Outcome::Cancelled) => "was cancelled",
        _ => "ended",
    };
    let why = match reason {
        None => format!("not attempted: the campaign {campaign} before its turn came"),
        Some(reason) => {
            format!("not tried again after {reason}: the campaign {campaign} before that")
        }
    };
    Ending { rule: "L5", why }
}

fn sentence(reason: TargetReason, known: &Known<'_>) -> String {
    let runs = known.decided_on.unwrap_or("a version that is not recorded");
    let image = known.base_image.map(ToString::to_string);
    let image = image.unwrap_or_else(|| "the image".into());
    let mechanism = known.mechanism;
    let ships = known.image.map(|image| image.version.to_string());
    let ships = ships.unwrap_or_else(|| "the new image".into());
    let forced = "Force Downgrade is off";
    match reason {
        TargetReason::Updated if known.cancelled.is_some() => format!(
            "the device was past the point of no return when the cancel came, and runs {ships}"
        ),
        TargetReason::Updated => format!("the device says that it runs {ships}"),
        TargetReason::AlreadyAtVersion => {
            format!("the device ran {ships} already; nothing was sent")
        }
        TargetReason::SystemModelMismatch => {
            let is = known
                .system_model
                .map(|model| format!("says that it is a {model}"));
            let is = is.unwrap_or_else(|| "names another System Model".into());
            let wants = known.image.map(|image| image.system_model.as_str());
            format!(
                "the device {is}, and {image} is for {}",
                wants.unwrap_or("another")
            )
        }
        TargetReason::MissingVersion => "the device names no version that it runs".into(),
        TargetReason::InvalidVersion => match known.decided_on {
            Some(version) => format!("the device runs {version:?}, which is not SemVer"),
            None => "the device names a version that is not SemVer".into(),
        },
        TargetReason::AmbiguousVersionOrdering => format!(
            "the device runs {runs}, the image is {ships}: they differ in build metadata only, and {forced}"
        ),
        TargetReason::DowngradeNotAllowed => {
            format!("the device runs {runs}, which is newer than {ships}, and {forced}")
        }
        TargetReason::VersionRequirementNotMatched => {
            let wanted = known
                .image
                .and_then(|i| i.starting_version_requirement.as_ref());
            let wanted = wanted
                .map(|wanted| format!(" {wanted}"))
                .unwrap_or_default();
            format!("the device runs {runs}, and {image} may be installed over{wanted} only")
        }
        TargetReason::DeviceBusy => format!("the device was busy, and {}", no_more(known)),
        TargetReason::VersionChanged => format!(
            "the device's version was no longer the one decided on, and {}",
            no_more(known)
        ),
        TargetReason::RequestTimeout => {
            let timeout = span(mechanism.request_timeout_ms);
            match known.retries {
                0 => format!("no word on the request within {timeout}"),
                retries => format!(
                    "no word on the request, written {} times, {timeout} each",
                    retries + 1
                ),
            }
        }
        TargetReason::Stalled => stalled(known),
        TargetReason::SendRefused => {
            let why = known.refusal.map(|why| format!(": {why:?}"));
            format!(
                "the transport refuses the request for good{}",
                why.unwrap_or_default()
            )
        }
        TargetReason::Canceled => canceled(known),
        TargetReason::DeviceCanceled => "the device cancelled it, unasked".into(),
        TargetReason::DeviceRemoved => "the device was removed from the inventory".into(),
        TargetReason::Expired => {
            let until = known.wait_until.map(|at| format!(" until {at}"));
            let until = until.unwrap_or_default();
            format!("the device was not online and free{until}; nothing was sent")
        }
        _ => {
            let mut why = String::from("the device reported ");
            match known.word {
                Some(said) => why.push_str(&word(said)),
                None => {
                    let _ = write!(why, "{reason}");
                }
            }
            why
        }
    }
}

fn no_more(known: &Known<'_>) -> String {
    match known.deferrals {
        0 => "it is not tried again".into(),
        tries => {
            let tries = count(tries, "further try", "further tries");
            format!("after {tries} it is not tried again")
        }
    }
}

fn stalled(known: &Known<'_>) -> String {
    let mechanism = known.mechanism;
    let last = match known.word {
        Some(said) => format!("after {}", word(said)),
        None => "after its first word".into(),
    };
    let operation = span(mechanism.operation_timeout_ms);
    match mechanism.stage_timeout_ms {
        Some(stage) => format!(
            "no advance {last} for {}, or no end within {operation}",
            span(stage)
        ),
        None => format!("no end within {operation}, {last}"),
    }
}

fn canceled(known: &Known<'_>) -> String {
    let by = known.cancelled.map(names).filter(|by| !by.is_empty());
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    let timeout = span(known.mechanism.cancel_timeout_ms);
    match (known.end, known.word) {
        (Some(End::NotSent), _) => format!("cancelled{by} before anything was sent"),
        (Some(End::Abandoned), _) => {
            format!("cancelled{by}, and the device gave no answer within {timeout}")
        }
        (_, Some(said)) => format!("cancelled{by}; the device answered {}", word(said)),
        (_, None) => format!("cancelled{by}"),
    }
}

/// The F1 figures of a campaign.
pub(super) fn threshold(failed: u32, targets: u32, max_failure_hundredths: u32) -> String {
    format!(
        "{failed} of {} failed, more than {} %",
        count(targets, "target", "targets"),
        percent(max_failure_hundredths)
    )
}
