//! What is printed at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write},
    path::Path,
};

use crate::{
    fleet::Experience,
    log::{Body, Entry, Ledger, Standing, Word, query_of_device},
    verdict::{Agreement, Truth, faults_of, judge},
};

/// So many devices are named where something is wrong.
const NAMED: usize = 5;

/// A finished campaign, compared with what the devices run.
#[derive(Debug, Clone)]
pub struct Report {
    ledger: Ledger,
    rows: BTreeMap<Row, Tally>,
    faults: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    outcome: &'static str,
    reason: String,
}

#[derive(Debug, Clone, Default)]
struct Tally {
    devices: usize,
    agree: usize,
    apart: Vec<String>,
    contradict: Vec<String>,
    runs: BTreeMap<String, usize>,
}

impl Report {
    /// Compares. The threshold is in hundredths of a percent.
    pub fn new(
        ledger: Ledger,
        truths: &BTreeMap<String, Truth>,
        new: &str,
        threshold_hundredths: u32,
        limit: u32,
    ) -> Self {
        let mut faults = faults_of(&ledger, threshold_hundredths, limit);
        let mut rows = BTreeMap::<Row, Tally>::new();
        for (device, standing) in &ledger.targets {
            let (outcome, reason) = match standing {
                Standing::Idle => ("idle", "not_attempted".into()),
                Standing::InProgress => ("in progress", String::new()),
                Standing::Successful { reason } => ("successful", reason.clone()),
                Standing::Failed { reason, .. } => ("failed", reason.clone()),
            };
            let tally = rows.entry(Row { outcome, reason }).or_default();
            tally.devices += 1;
            let Some(truth) = truths.get(device) else {
                faults.push(format!(
                    "{device} is in the log, and is no device of the fleet"
                ));
                continue;
            };
            let runs = truth.runs.as_deref().unwrap_or("nothing");
            *tally.runs.entry(runs.into()).or_default() += 1;
            match judge(standing, truth, new) {
                Agreement::Agrees => tally.agree += 1,
                Agreement::Apart(why) => tally.apart.push(format!("{device}: {why}")),
                Agreement::Contradicts(why) => {
                    faults.push(format!("{device} is {outcome} by the log, and {why}"));
                    tally.contradict.push(device.clone());
                }
            }
        }
        let known: BTreeSet<_> = ledger.targets.keys().collect();
        let forgotten = truths
            .keys()
            .filter(|device| !known.contains(device))
            .count();
        if forgotten > 0 {
            faults.push(format!(
                "{forgotten} devices of the fleet are not in the log"
            ));
        }
        Self {
            ledger,
            rows,
            faults,
        }
    }

    /// Adds what was seen elsewhere: at the broker, and by the devices' diaries.
    pub fn witness(&mut self, experience: &Experience, at_broker: Option<usize>, limit: u32) {
        if let Some(at_broker) = at_broker.filter(|&most| most > limit as usize) {
            self.faults.push(format!(
                "{at_broker} Updates were unanswered at the broker, and {limit} is the limit"
            ));
        }
        if experience.tried_twice > 0 {
            let count = experience.tried_twice;
            self.faults.push(format!(
                "{count} operations booted their image on trial twice"
            ));
        }
        if experience.whole_pages_erased > 0 {
            let count = experience.whole_pages_erased;
            self.faults
                .push(format!("{count} pages were erased that were written whole"));
        }
    }

    /// Whether the log and the fleet agree, and the campaign ended as it had to.
    pub fn is_right(&self) -> bool {
        self.faults.is_empty()
    }

    /// What the log says in all.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.ledger.outcome.unwrap_or("no outcome");
        let all = self.ledger.targets.len();
        writeln!(f, "The campaign ended with {outcome}; {all} targets:\n")?;
        writeln!(
            f,
            "  {:<12} {:<32} {:>8}  what their flash holds",
            "outcome", "reason", "devices"
        )?;
        for (row, tally) in &self.rows {
            let mut runs = String::new();
            for (version, count) in &tally.runs {
                let comma = if runs.is_empty() { "" } else { ", " };
                write!(runs, "{comma}{count} × {version}")?;
            }
            let mark = if !tally.contradict.is_empty() {
                "  CONTRADICTS"
            } else if tally.apart.is_empty() {
                ""
            } else {
                "  (without the device's word in time)"
            };
            let Row { outcome, reason } = row;
            writeln!(
                f,
                "  {outcome:<12} {reason:<32} {:>8}  {runs}{mark}",
                tally.devices
            )?;
        }
        for apart in self
            .rows
            .values()
            .flat_map(|tally| &tally.apart)
            .take(NAMED)
        {
            writeln!(f, "  apart: {apart}")?;
        }
        writeln!(f)?;
        if self.faults.is_empty() {
            write!(f, "Log and fleet agree, device by device.")?;
        } else {
            write!(f, "Log and fleet DISAGREE:")?;
            for fault in self.faults.iter().take(4 * NAMED) {
                write!(f, "\n  {fault}")?;
            }
        }
        Ok(())
    }
}

/// The device whose story is worth telling: much befell it, and best if it came through.
pub fn protagonist(
    entries: &[Entry],
    ledger: &Ledger,
    losses: &BTreeMap<String, usize>,
) -> Option<String> {
    let mut told = BTreeMap::<&str, usize>::new();
    for device in entries.iter().filter_map(|entry| entry.device.as_deref()) {
        *told.entry(device).or_default() += 1;
    }
    let best = told.into_iter().max_by_key(|(device, told)| {
        let through = matches!(ledger.targets.get(*device), Some(Standing::Successful { reason }) if reason == "updated");
        let befell = losses.get(*device).copied().unwrap_or_default();
        (befell.min(3), through, *told)
    });
    best.map(|(device, _)| device.to_owned())
}

/// What the log tells of a device, in sentences, and how to ask it oneself. What the device's own
/// diary adds stands between.
pub fn story(device: &str, entries: &[Entry], diary: &[(String, String)], db: &Path) -> String {
    let log = entries
        .iter()
        .map(|entry| (entry.at.as_str(), ' ', sentence(entry)));
    let diary = diary
        .iter()
        .map(|(at, what)| (at.as_str(), '·', what.clone()));
    let mut told: Vec<_> = diary.chain(log).collect();
    told.sort_by_key(|(at, ..)| *at);
    let mut lines = vec![format!(
        "The story of {device}, from the log; · from its own diary, which the engine never sees:\n"
    )];
    lines.extend(told.into_iter().map(|(at, mark, what)| {
        let time = at.get(11..23).unwrap_or(at);
        format!("  {time} {mark} {what}")
    }));
    let (db, query) = (db.display(), query_of_device(device));
    lines.push(format!(
        "\nThe log is {db}. The same story:\n\n  sqlite3 '{db}' \"{query}\""
    ));
    lines.join("\n")
}

fn sentence(entry: &Entry) -> String {
    let Body {
        reason,
        end,
        decided_on,
        word,
        last_word,
        ..
    } = &entry.body;
    let reason = reason.as_deref().unwrap_or_default();
    match entry.kind.as_str() {
        "OperationStarted" => match decided_on {
            Some(version) => format!("operation started: the device runs {version}"),
            None => "operation started".into(),
        },
        "RequestRetried" => "no answer: the request is written again".into(),
        "OperationReported" => format!("the device: {}", said(word)),
        "TargetSucceeded" => format!("successful: {reason}"),
        "TargetFailed" => {
            let how = match (end.as_deref(), last_word) {
                (Some("not_sent"), _) => "; nothing was sent".into(),
                (Some("abandoned"), _) => "; without the device's word".into(),
                (_, Some(word)) => format!("; the device: {}", said(word)),
                _ => String::new(),
            };
            format!("failed: {reason}{how}")
        }
        "TargetDeferred" => format!("to be tried again: {reason}"),
        "LateReport" => format!("late, the outcome stays; the device: {}", said(word)),
        "ClaimRaised" => "the device had seen a later request: this one is numbered anew".into(),
        other => other.into(),
    }
}

fn said(word: &Word) -> String {
    let mut said = word.status.clone().unwrap_or_default();
    for (what, between) in [(&word.code, "/"), (&word.detail, ", ")] {
        if let Some(what) = what {
            said = said + between + what;
        }
    }
    if !word.message.is_empty() {
        said = said + ": " + &word.message;
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let failed = Standing::Failed {
            reason: "stalled".into(),
            abandoned: true,
            late: false,
        };
        let successful = Standing::Successful {
            reason: "updated".into(),
        };
        Ledger {
            targets: BTreeMap::from([("a".into(), successful), ("b".into(), failed)]),
            outcome: Some("failure"),
            most_in_progress: 2,
            ..Ledger::default()
        }
    }

    fn truths(a: &str, b: &str) -> BTreeMap<String, Truth> {
        let truth = |runs: &str| Truth {
            runs: Some(runs.into()),
            factory: "1.3.0".into(),
        };
        BTreeMap::from([("a".into(), truth(a)), ("b".into(), truth(b))])
    }

    #[test]
    fn a_report_is_right_when_every_device_runs_what_the_log_says() {
        let right = Report::new(ledger(), &truths("1.4.0", "1.3.0"), "1.4.0", 1_000, 2);
        assert!(right.is_right(), "{right}");
        assert!(right.to_string().contains("agree"), "{right}");
        assert!(
            right
                .to_string()
                .contains("b: without its word; it runs 1.3.0"),
            "{right}"
        );
    }

    #[test]
    fn a_device_that_runs_something_else_is_named_and_the_report_is_wrong() {
        let wrong = Report::new(ledger(), &truths("1.3.0", "1.3.0"), "1.4.0", 1_000, 2);
        assert!(!wrong.is_right());
        assert!(
            wrong
                .to_string()
                .contains("a is successful by the log, and it runs 1.3.0"),
            "{wrong}"
        );
    }

    #[test]
    fn a_device_that_is_only_in_one_of_the_two_is_wrong() {
        let mut more = truths("1.4.0", "1.3.0");
        more.insert("c".into(), more["a"].clone());
        assert!(!Report::new(ledger(), &more, "1.4.0", 1_000, 2).is_right());
        more.remove("c");
        more.remove("a");
        assert!(!Report::new(ledger(), &more, "1.4.0", 1_000, 2).is_right());
    }

    #[test]
    fn what_others_have_seen_counts() {
        let right = || Report::new(ledger(), &truths("1.4.0", "1.3.0"), "1.4.0", 1_000, 2);
        for (experience, at_broker) in [
            (Experience::default(), Some(3)),
            (
                Experience {
                    tried_twice: 1,
                    ..Experience::default()
                },
                None,
            ),
            (
                Experience {
                    whole_pages_erased: 1,
                    ..Experience::default()
                },
                None,
            ),
        ] {
            let mut report = right();
            report.witness(&experience, at_broker, 2);
            assert!(!report.is_right(), "{report}");
        }
    }
}
