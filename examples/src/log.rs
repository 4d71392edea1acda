//! The event log, read as any program may read it: the view `events` of the SQLite file.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OpenFlags, Row};
use serde::Deserialize;

use crate::problem::Problem;

/// One event of a campaign.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When it was recorded, UTC, as text.
    pub at: String,
    /// What it is.
    pub kind: String,
    /// The device that it is about, if it is about one.
    pub device: Option<String>,
    /// The rest of it.
    pub body: Body,
}

/// What the examples read of an event's JSON.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Body {
    /// Of `TargetsAdded`.
    pub devices: Vec<String>,
    /// Why a target is where it is.
    pub reason: Option<String>,
    /// What became of a failed target's operation: `not_sent`, `answered` or `abandoned`.
    pub end: Option<String>,
    /// The version that an operation was decided on.
    pub decided_on: Option<String>,
    /// The device's word, in `OperationReported` and late reports.
    #[serde(flatten)]
    pub word: Word,
    /// The device's word, in `TargetFailed`.
    #[serde(rename = "word")]
    pub last_word: Option<Word>,
}

/// A device's word, as recorded.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Word {
    /// OTAEvent's status.
    pub status: Option<String>,
    /// OTAEvent's status code.
    pub code: Option<String>,
    /// The device's own reason.
    pub detail: Option<String>,
    /// OTAEvent's message.
    pub message: String,
}

/// All events of a campaign.
const OF_CAMPAIGN: &str = "SELECT recorded_at, kind, device, body FROM events
                           WHERE campaign = ?1 ORDER BY position";

/// Reads a campaign's events, all of them, in order.
pub fn of_campaign(db: &Path, campaign: &str) -> Result<Vec<Entry>, Problem> {
    read(db, OF_CAMPAIGN, campaign)
}

/// The query, to be typed as it is, for all that was recorded about a device.
pub fn query_of_device(device: &str) -> String {
    format!(
        "SELECT recorded_at, kind, body FROM events WHERE device = '{device}' ORDER BY position"
    )
}

/// What that query answers.
pub fn of_device(db: &Path, device: &str) -> Result<Vec<Entry>, Problem> {
    let failed = |error: rusqlite::Error| Problem::because(db.display(), &error);
    let database = open(db).map_err(failed)?;
    let mut query = database.prepare(&query_of_device(device)).map_err(failed)?;
    let rows = query.query_map([], |row| {
        Ok(Entry {
            at: row.get(0)?,
            kind: row.get(1)?,
            device: Some(device.into()),
            body: body(row, 2)?,
        })
    });
    rows.map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)
}

/// Milliseconds since 1970 as the log shows a time.
pub fn utc(times: impl IntoIterator<Item = i64>) -> Result<Vec<String>, Problem> {
    let failed = |error: rusqlite::Error| Problem::because("a time", &error);
    let database = Connection::open_in_memory().map_err(failed)?;
    let format = "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ?1 / 1000.0, 'unixepoch')";
    let mut format = database.prepare(format).map_err(failed)?;
    let mut shown = |time: i64| format.query_row([time], |row| row.get(0));
    times
        .into_iter()
        .map(|time| shown(time).map_err(failed))
        .collect()
}

fn read(db: &Path, query: &str, argument: &str) -> Result<Vec<Entry>, Problem> {
    let failed = |error: rusqlite::Error| Problem::because(db.display(), &error);
    let database = open(db).map_err(failed)?;
    let mut query = database.prepare(query).map_err(failed)?;
    let rows = query.query_map([argument], |row| {
        Ok(Entry {
            at: row.get(0)?,
            kind: row.get(1)?,
            device: row.get(2)?,
            body: body(row, 3)?,
        })
    });
    rows.map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)
}

fn open(db: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(db, flags)
}

fn body(row: &Row<'_>, column: usize) -> rusqlite::Result<Body> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
    })
}

/// Where a target is, by the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Standing {
    /// Not pushed, or to be tried again.
    #[default]
    Idle,
    /// With an operation under way.
    InProgress,
    /// Ended well.
    Successful {
        /// Why.
        reason: String,
    },
    /// Ended badly.
    Failed {
        /// Why.
        reason: String,
        /// Without the device's word.
        abandoned: bool,
        /// The device's word came afterwards.
        late: bool,
    },
}

/// A campaign's events, counted up by somebody who is not the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Each target, by device.
    pub targets: BTreeMap<String, Standing>,
    /// `success`, `failure` or `cancelled`, once the campaign is finished.
    pub outcome: Option<&'static str>,
    /// The most operations that were ever in progress at once.
    pub most_in_progress: usize,
    /// How many events there are.
    pub events: usize,
    /// How many operations were started.
    pub operations: usize,
    /// What contradicts itself.
    pub contradictions: Vec<String>,
}

impl Ledger {
    /// Counts up.
    pub fn of(entries: &[Entry]) -> Self {
        let mut ledger = Self::default();
        let mut in_progress = 0;
        for entry in entries {
            ledger.events += 1;
            match entry.kind.as_str() {
                "TargetsAdded" => {
                    let devices = entry.body.devices.iter();
                    ledger
                        .targets
                        .extend(devices.map(|d| (d.clone(), Standing::Idle)));
                }
                "CampaignSucceeded" => ledger.ends("success"),
                "CampaignFailed" => ledger.ends("failure"),
                "CampaignCancelled" => {
                    // One that comes while a campaign drains changes no outcome (L3).
                    ledger.outcome.get_or_insert("cancelled");
                }
                _ => {}
            }
            let Some(target) = entry
                .device
                .as_ref()
                .and_then(|d| ledger.targets.get_mut(d))
            else {
                continue;
            };
            let was = target.clone();
            let reason = entry.body.reason.clone().unwrap_or_default();
            *target = match (entry.kind.as_str(), &was) {
                ("OperationStarted", _) => Standing::InProgress,
                ("TargetDeferred", _) => Standing::Idle,
                ("TargetSucceeded", _) => Standing::Successful { reason },
                ("TargetFailed", _) => Standing::Failed {
                    reason,
                    abandoned: entry.body.end.as_deref() == Some("abandoned"),
                    late: false,
                },
                (
                    "LateReport",
                    Standing::Failed {
                        reason, abandoned, ..
                    },
                ) => Standing::Failed {
                    reason: reason.clone(),
                    abandoned: *abandoned,
                    late: true,
                },
                _ => continue,
            };
            let final_before = matches!(was, Standing::Successful { .. } | Standing::Failed { .. });
            if final_before && entry.kind != "LateReport" {
                let device = entry.device.as_deref().unwrap_or_default();
                let what = format!("{device} had its outcome before this {}", entry.kind);
                ledger.contradictions.push(what);
            }
            match entry.kind.as_str() {
                "OperationStarted" => {
                    in_progress += 1;
                    ledger.operations += 1;
                }
                _ if was == Standing::InProgress => in_progress -= 1,
                _ => {}
            }
            ledger.most_in_progress = ledger.most_in_progress.max(in_progress);
        }
        ledger
    }

    fn ends(&mut self, outcome: &'static str) {
        if let Some(before) = self.outcome.replace(outcome) {
            let what = format!("the campaign ended as {before}, and then as {outcome}");
            self.contradictions.push(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, device: Option<&str>, body: &str) -> Entry {
        Entry {
            at: String::new(),
            kind: kind.into(),
            device: device.map(Into::into),
            body: serde_json::from_str(body).unwrap(),
        }
    }

    fn ledger(events: &[(&str, &str, &str)]) -> Ledger {
        let mut entries = vec![entry("TargetsAdded", None, r#"{"devices":["a","b","c"]}"#)];
        let device = |device: &str| (!device.is_empty()).then(|| device.to_owned());
        entries.extend(
            events
                .iter()
                .map(|(kind, d, body)| entry(kind, device(d).as_deref(), body)),
        );
        Ledger::of(&entries)
    }

    #[test]
    fn the_most_in_progress_is_what_was_under_way_at_once() {
        let ledger = ledger(&[
            ("OperationStarted", "a", "{}"),
            ("OperationStarted", "b", "{}"),
            ("OperationReported", "a", r#"{"status":"Acknowledged"}"#),
            ("TargetSucceeded", "a", r#"{"reason":"updated"}"#),
            ("OperationStarted", "c", "{}"),
            ("TargetDeferred", "b", r#"{"reason":"device_busy"}"#),
            (
                "TargetFailed",
                "c",
                r#"{"reason":"stalled","end":"abandoned"}"#,
            ),
            ("OperationStarted", "b", "{}"),
            ("LateReport", "c", r#"{"status":"Success"}"#),
            ("TargetSucceeded", "b", r#"{"reason":"updated"}"#),
            ("CampaignSucceeded", "", "{}"),
        ]);
        assert_eq!((ledger.most_in_progress, ledger.operations), (2, 4));
        assert_eq!(ledger.outcome, Some("success"));
        let late = Standing::Failed {
            reason: "stalled".into(),
            abandoned: true,
            late: true,
        };
        assert_eq!(ledger.targets["c"], late);
        assert_eq!(ledger.contradictions, [""; 0]);
    }

    #[test]
    fn a_target_refused_before_the_push_was_never_in_progress() {
        let ledger = ledger(&[(
            "TargetFailed",
            "a",
            r#"{"reason":"missing_version","end":"not_sent"}"#,
        )]);
        assert_eq!((ledger.most_in_progress, ledger.outcome), (0, None));
    }

    #[test]
    fn a_second_outcome_is_a_contradiction() {
        let ledger = ledger(&[
            ("TargetSucceeded", "a", r#"{"reason":"updated"}"#),
            ("TargetFailed", "a", r#"{"reason":"stalled"}"#),
            ("CampaignFailed", "", "{}"),
            ("CampaignSucceeded", "", "{}"),
        ]);
        assert_eq!(ledger.contradictions.len(), 2);
    }
}
