//! Who waits for what, when nothing can happen any more.

use std::collections::BTreeMap;

use sortie_core::{Status, TargetStatus};

use super::Bed;
use crate::{CampaignHandle, Progress, QueryError, TargetFilter, TargetRow};

/// So many of one kind are enough to see what is wrong.
const LINES: usize = 12;

impl Bed {
    /// The list.
    pub(super) async fn waits(&self) -> String {
        let (seed, now) = (self.seed, self.now());
        let held = match self.clock.holds() {
            0 => String::new(),
            holds => format!(", held by {holds}"),
        };
        let timer = self.clock.next_timer();
        let timer = timer.map_or_else(String::new, |at| format!(", the next timer at {at:?}"));
        let mut text = format!("seed {seed}, after {now:?} of virtual time{held}{timer}");
        match self.ask(self.engine.health()).await {
            Some(health) => push(&mut text, &health.to_string()),
            None => push(&mut text, "the engine does not answer"),
        }
        match self.ask(self.engine.campaigns()).await {
            Some(Ok(campaigns)) if campaigns.is_empty() => push(&mut text, "no campaigns"),
            Some(Ok(campaigns)) => {
                for progress in campaigns {
                    self.campaign(&mut text, &progress).await;
                }
            }
            Some(Err(error)) => push(&mut text, &format!("campaigns: {error}")),
            None => push(&mut text, "campaigns: no answer"),
        }
        let (lines, devices) = self.fleet.lines();
        push(&mut text, &format!("the fleet has {devices} devices"));
        for line in lines.iter().take(LINES) {
            push(&mut text, &format!("  {line}"));
        }
        if lines.len() > LINES {
            let more = lines.len() - LINES;
            push(
                &mut text,
                &format!("  and {more} more that are offline or at work"),
            );
        }
        text
    }

    async fn campaign(&self, text: &mut String, progress: &Progress) {
        let name = &progress.name;
        push(text, &format!("campaign \"{name}\": {progress}"));
        if progress.is_over() {
            return;
        }
        if matches!(progress.status, Status::Idle) {
            push(
                text,
                "  has not started: waits to be started by hand, or for the inventory",
            );
        }
        let targets = async {
            let campaign: CampaignHandle = self.engine.campaign(progress.campaign).await?;
            let page = campaign
                .targets(&TargetFilter::new(), None, usize::MAX)
                .await?;
            Ok::<_, QueryError>(page.rows)
        };
        match self.ask(targets).await {
            Some(Ok(targets)) => {
                let paused = matches!(progress.status, Status::Paused | Status::Pausing);
                let mut by_cause: BTreeMap<String, Vec<&str>> = BTreeMap::new();
                for row in &targets {
                    if let Some(why) = why(row, paused) {
                        by_cause.entry(why).or_default().push(row.device.as_str());
                    }
                }
                for (why, devices) in by_cause {
                    let named = devices[..devices.len().min(LINES)].join(", ");
                    let more = match devices.len().saturating_sub(LINES) {
                        0 => String::new(),
                        more => format!(" and {more} more"),
                    };
                    push(text, &format!("  {why}: {named}{more}"));
                }
            }
            Some(Err(error)) => push(text, &format!("  targets: {error}")),
            None => push(text, "  targets: no answer"),
        }
    }
}

/// For what a target waits; `None`: it is terminal.
fn why(row: &TargetRow, paused: bool) -> Option<String> {
    Some(match row.status {
        TargetStatus::InProgress => match row.heard {
            Some(status) => format!("in progress, its last word was {status:?}"),
            None => "in progress, and it has said nothing on it".into(),
        },
        TargetStatus::Idle => match (row.online, &row.waits_for, row.reason) {
            (None, ..) => "idle: nothing was heard of it".into(),
            (Some(false), ..) => "idle: offline".into(),
            (_, Some(holder), _) => format!("idle: held by {holder}"),
            _ if paused => "idle: the campaign is paused".into(),
            (_, _, Some(reason)) => format!("idle: tried before ({reason}), in its backoff"),
            _ => "idle: waits for a slot".into(),
        },
        _ => return None,
    })
}

fn push(text: &mut String, line: &str) {
    text.push('\n');
    text.push_str(line);
}
