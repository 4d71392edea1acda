//! A story as people read it.

use std::fmt::{self, Write};

use sortie_protocol::Status as DeviceStatus;

use super::{By, Explanation, Happened, Step, why::threshold};
use crate::{
    OperationId,
    campaign::{DeviceWord, End},
    phrase::{percent, span},
};

impl fmt::Display for Explanation {
    /// What it is and why, then the steps of the log, then what it waits for now.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, name, .. } = self;
        match (self.status, self.reason) {
            (None, _) => {
                let status = self.campaign_status;
                write!(
                    f,
                    "{device} in {name:?}: no target yet, the campaign is {status}"
                )?;
            }
            (Some(status), Some(reason)) => write!(f, "{device} in {name:?}: {status}, {reason}")?,
            (Some(status), None) => write!(f, "{device} in {name:?}: {status}")?,
        }
        if let Some(end) = &self.end {
            write!(f, "\n  {} ({})", end.why, end.rule)?;
        }
        let mut steps = self.steps.iter().peekable();
        while let Some(step) = steps.next() {
            write!(f, "\n  {}  {step}", step.at)?;
            // What a device says while all goes well is one line.
            if is_plain(step) {
                let mut last = step;
                while let Some(next) = steps.next_if(|next| is_plain(next)) {
                    if let Happened::Reported { word } = &next.what {
                        write!(f, ", {}", status(word.status))?;
                    }
                    last = next;
                }
                if last.at != step.at {
                    write!(f, " (until {})", last.at)?;
                }
            }
        }
        if let Some(waiting) = &self.waiting {
            write!(f, "\n{waiting}")?;
        }
        Ok(())
    }
}

fn is_plain(step: &Step) -> bool {
    matches!(&step.what, Happened::Reported { word }
        if word.code.is_none() && word.reason.is_none() && word.message.is_empty())
}

impl fmt::Display for Step {
    /// `P4  no word yet: request written again, 3 of 3 (until …)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<3} {}", self.rule, self.what)?;
        let by = names(&self.by);
        if !by.is_empty() {
            write!(f, " (by {by})")?;
        }
        if self.times > 1 && !matches!(self.what, Happened::RequestRetried { .. }) {
            write!(f, ", {} times", self.times)?;
        }
        if let Some(until) = self.until {
            write!(f, " (until {until})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OperationStarted {
                operation,
                decided_on,
                version,
                replaces,
            } => {
                let from = decided_on.as_deref().unwrap_or("no known version");
                let to = version.as_deref().unwrap_or("an image that names none");
                write!(f, "operation {operation} started: {from} to {to}")?;
                if let Some(replaces) = replaces {
                    write!(f, ", taking over from the abandoned {replaces}")?;
                }
                Ok(())
            }
            Self::RequestRetried { nth, most } => {
                write!(f, "no word yet: request written again, {nth} of {most}")
            }
            Self::Reported { word: said } => write!(f, "device: {}", word(said)),
            Self::CancelRequested => f.write_str("cancel of the operation asked for"),
            Self::Succeeded { reason } => write!(f, "successful: {reason}"),
            Self::Failed {
                reason,
                end,
                word: said,
                refusal,
                held_up_by,
            } => {
                f.write_str(&first(said.as_ref()))?;
                write!(f, "failed: {reason}")?;
                if let Some(why) = refusal {
                    write!(f, " {why:?}")?;
                }
                f.write_str(match end {
                    End::NotSent => ", nothing was sent",
                    End::Answered => "",
                    End::Abandoned => ", operation abandoned",
                    End::Removed => ", without a word of the device",
                })?;
                held_up(f, *held_up_by)
            }
            Self::Deferred {
                reason,
                word: said,
                nth,
                most,
                backoff_ms,
                held_up_by,
            } => {
                f.write_str(&first(said.as_ref()))?;
                let backoff = span(*backoff_ms);
                write!(f, "{reason}: tried again after {backoff}, {nth} of {most}")?;
                held_up(f, *held_up_by)
            }
            Self::LateReport { word: said } => {
                write!(f, "device, late: {}; the outcome stays", word(said))
            }
            Self::Contradiction { word: said } => {
                write!(
                    f,
                    "device, contradicting itself: {}; the outcome stays",
                    word(said)
                )
            }
            Self::ClaimRaised => {
                f.write_str("the device had seen a later request than this; its number was raised")
            }
            Self::DeviceRemoved => f.write_str("device removed from the inventory"),
            _ => self.of_campaign(f),
        }
    }
}

fn held_up(f: &mut fmt::Formatter<'_>, by: Option<OperationId>) -> fmt::Result {
    match by {
        Some(operation) => write!(f, "; held up by the abandoned operation {operation}"),
        None => Ok(()),
    }
}

impl Happened {
    /// What happened to the campaign as a whole.
    fn of_campaign(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made {
                edited,
                start,
                max_in_progress_operations,
                max_failure_hundredths,
                force_downgrade,
            } => {
                let made = if *edited { "edited" } else { "created" };
                let percent = percent(*max_failure_hundredths);
                write!(
                    f,
                    "campaign {made}, to start {start}: {max_in_progress_operations} at once, fails above {percent} %"
                )?;
                f.write_str(if *force_downgrade {
                    ", downgrades forced"
                } else {
                    ""
                })
            }
            Self::ManualRequested {
                source,
                wait_until,
                risk_acknowledged,
            } => {
                write!(f, "manual update asked for: {source}")?;
                if let Some(until) = wait_until {
                    write!(f, ", to wait for the device until {until}")?;
                }
                f.write_str(if *risk_acknowledged {
                    ", whatever its System Model"
                } else {
                    ""
                })
            }
            Self::UploadDeleted => f.write_str("uploaded file deleted"),
            Self::Scheduled => f.write_str("campaign scheduled"),
            Self::StartRequested => f.write_str("start asked for"),
            Self::Snapshotted { targets: 1 } => f.write_str("campaign started: its only target"),
            Self::Snapshotted { targets } => {
                write!(f, "campaign started: one of its {targets} targets")
            }
            Self::OwnerChanged => f.write_str("engine took over: timers start again in full"),
            Self::Pausing => f.write_str("campaign pausing: nothing new starts"),
            Self::Paused => f.write_str("campaign paused"),
            Self::Resumed => f.write_str("campaign resumed"),
            Self::Cancelled => f.write_str("campaign cancelled"),
            Self::ThresholdCrossed {
                failed,
                targets,
                max_failure_hundredths,
            } => {
                let why = threshold(*failed, *targets, *max_failure_hundredths);
                write!(f, "campaign failed: {why}")
            }
            // What happened to the target: see above.
            _ => Ok(()),
        }
    }
}

/// `anna`; of several that were recorded together it is one.
pub(super) fn names(by: &[By]) -> String {
    let mut names: Vec<&str> = by.iter().map(|by| by.actor.as_str()).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    match names[..] {
        [] => String::new(),
        [name] => name.into(),
        _ => format!("one of {}", names.join(", ")),
    }
}

/// What the device said before what follows from it.
fn first(said: Option<&DeviceWord>) -> String {
    said.map(|said| format!("device: {}; ", word(said)))
        .unwrap_or_default()
}

/// `failure SystemRollback (no_boot) "the watchdog barked"`
pub(super) fn word(word: &DeviceWord) -> String {
    let mut text = status(word.status).to_owned();
    // Writing to a string can't fail.
    if let Some(code) = &word.code {
        let _ = write!(text, " {code}");
    }
    if let Some(reason) = &word.reason {
        let _ = write!(text, " ({reason})");
    }
    if !word.message.is_empty() {
        let _ = write!(text, " {:?}", word.message);
    }
    text
}

pub(super) fn status(status: DeviceStatus) -> &'static str {
    match status {
        DeviceStatus::Acknowledged => "acknowledged",
        DeviceStatus::Downloading => "downloading",
        DeviceStatus::Deploying => "deploying",
        DeviceStatus::Deployed => "deployed",
        DeviceStatus::Rebooting => "rebooting",
        DeviceStatus::Error => "error",
        DeviceStatus::Success => "success",
        DeviceStatus::Failure => "failure",
    }
}
