//! What is wrong, for people and programs.

use std::fmt;

use serde::Serialize;
use sortie_core::{
    Timestamp,
    phrase::{count, span},
};

use crate::node::NodeHealth;

/// How an engine is, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Health {
    /// When this was said.
    pub at: Timestamp,
    /// Why the engine is no longer there, if it is not; the rest is then not known.
    pub stopped: Option<String>,
    /// The link to the devices.
    pub link: LinkHealth,
    /// The event log.
    pub store: StoreHealth,
    /// Campaigns that stand still, starts that wait, and counters.
    #[serde(flatten)]
    pub node: NodeHealth,
    /// Messages of devices that were dropped: malformed, oversized, or too many (B3).
    pub messages_dropped: u64,
    /// Commands that have no answer yet.
    pub commands_waiting: usize,
}

/// The link to the devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LinkHealth {
    /// The fleet is heard.
    pub up: bool,
    /// Since when it is up or down.
    pub since: Option<Timestamp>,
    /// Why it is down, if it was tried.
    pub why: Option<String>,
    /// When it is tried again.
    pub next_try: Option<Timestamp>,
}

/// The event log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StoreHealth {
    /// Its last answer was one.
    pub up: bool,
    /// Since when it is up or away.
    pub since: Option<Timestamp>,
    /// Why it is away.
    pub why: Option<String>,
    /// Since when the append under way has had no answer.
    pub appending_since: Option<Timestamp>,
}

impl Health {
    /// Of an engine that is not there any more.
    pub(super) fn of_stopped(at: Timestamp, why: String) -> Self {
        Self {
            at,
            stopped: Some(why),
            link: LinkHealth::default(),
            store: StoreHealth::default(),
            node: NodeHealth::default(),
            messages_dropped: 0,
            commands_waiting: 0,
        }
    }

    /// Nothing is wrong: link, store and inventory are there, and nothing stands still.
    pub fn is_good(&self) -> bool {
        let NodeHealth {
            recovered,
            halted,
            starts_waiting,
            uploads_waiting,
            inventory_trouble,
            ..
        } = &self.node;
        let still = halted.is_empty()
            && starts_waiting.is_empty()
            && uploads_waiting.is_empty()
            && inventory_trouble.is_none();
        self.stopped.is_none() && self.link.up && self.store.up && *recovered && still
    }
}

impl fmt::Display for Health {
    /// One line a subject: `link down for 12 s: connection refused, next try in 2 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.stopped {
            return write!(f, "stopped: {why}");
        }
        // Whole seconds that have passed.
        let ago = |since: Option<Timestamp>| {
            let ms = between(since.unwrap_or(self.at), self.at);
            ms - ms % 1_000
        };
        write!(f, "{}", if self.link.up { "link up" } else { "link down" })?;
        write!(f, " for {}", span(ago(self.link.since)))?;
        if let Some(why) = &self.link.why {
            write!(f, ": {why}")?;
        }
        if let Some(next) = self.link.next_try {
            write!(f, ", next try in {}", span(between(self.at, next)))?;
        }
        match &self.store.why {
            None => f.write_str("\nstore up")?,
            Some(why) => {
                let away = span(ago(self.store.since));
                write!(f, "\nstore away for {away}: {why}")?;
            }
        }
        let appending = self.store.appending_since.map(|since| ago(Some(since)));
        if let Some(ms) = appending.filter(|ms| *ms >= 1_000) {
            write!(f, ", an append without an answer for {}", span(ms))?;
        }
        if !self.node.recovered {
            f.write_str("\nstill reading the log")?;
        }
        for halt in &self.node.halted {
            let end = if halt.retried {
                ""
            } else {
                "; a restart is needed"
            };
            write!(f, "\nhalted: {halt}{end}")?;
        }
        for wait in &self.node.starts_waiting {
            write!(f, "\nstart waits: {wait}")?;
        }
        for wait in &self.node.uploads_waiting {
            write!(f, "\nupload stays: {wait}")?;
        }
        if let Some(why) = &self.node.inventory_trouble {
            write!(
                f,
                "\ninventory: it can't say which devices still exist: {why}"
            )?;
        }
        let devices = count(self.node.devices as u64, "device", "devices");
        write!(f, "\n{devices} known")?;
        for (number, one, more, what) in [
            (
                self.node.writes_waiting as u64,
                "request",
                "requests",
                "to be written",
            ),
            (
                self.commands_waiting as u64,
                "command",
                "commands",
                "without an answer",
            ),
            (
                self.node.claims_open as u64,
                "abandoned operation",
                "abandoned operations",
                "without a word (may still be installing)",
            ),
            (
                self.node.reports_dropped,
                "report",
                "reports",
                "dropped (R1)",
            ),
            (self.messages_dropped, "message", "messages", "dropped"),
        ] {
            if number > 0 {
                write!(f, ", {} {what}", count(number, one, more))?;
            }
        }
        if let Some(step) = self.node.last_clock_step {
            let steps = count(self.node.clock_steps, "time", "times");
            let way = if step.by_ms < 0 { "back" } else { "ahead" };
            let (at, by) = (step.at, span(step.by_ms.unsigned_abs()));
            write!(f, "\nwall clock stepped {steps}, last at {at}: {by} {way}")?;
        }
        Ok(())
    }
}

/// Milliseconds; 0 if `to` is before.
fn between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortie_core::StreamId;

    use crate::node::{ClockStep, Halt};

    fn health() -> Health {
        let up = StoreHealth {
            up: true,
            since: Some(Timestamp(0)),
            ..StoreHealth::default()
        };
        Health {
            at: Timestamp(20_000),
            stopped: None,
            link: LinkHealth {
                up: false,
                since: Some(Timestamp(8_000)),
                why: Some("connection refused".into()),
                next_try: Some(Timestamp(21_500)),
            },
            store: up,
            node: NodeHealth::default(),
            messages_dropped: 3,
            commands_waiting: 0,
        }
    }

    #[test]
    fn an_outage_reads_as_since_when_why_and_when_it_is_tried_again() {
        let text = health().to_string();
        let first = "link down for 12 s: connection refused, next try in 2 s\nstore up";
        assert!(text.starts_with(first), "{text}");
        assert!(
            text.ends_with("0 devices known, 3 messages dropped"),
            "{text}"
        );
        assert!(!health().is_good());
    }

    #[test]
    fn what_is_open_and_how_the_clock_stepped_is_said() {
        let mut health = health();
        health.node.claims_open = 2;
        health.node.clock_steps = 1;
        health.node.last_clock_step = Some(ClockStep {
            at: Timestamp(5_000),
            by_ms: -5_000,
        });
        let text = health.to_string();
        for line in [
            ", 2 abandoned operations without a word (may still be installing)",
            "\nwall clock stepped 1 time, last at 1970-01-01T00:00:05.000Z: 5 s back",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn one_of_something_is_no_plural_and_days_are_no_seconds() {
        let mut health = health();
        health.at = Timestamp(3 * 86_400_000);
        health.link.since = Some(Timestamp(0));
        health.node.devices = 1;
        health.messages_dropped = 1;
        let text = health.to_string();
        assert!(text.starts_with("link down for 3 d: "), "{text}");
        assert!(
            text.ends_with("\n1 device known, 1 message dropped"),
            "{text}"
        );
    }

    /// Everything is wrong at once.
    fn all_bad() -> Health {
        let halt = |retried| Halt {
            stream: StreamId::Catalog,
            name: Some("Pilot".into()),
            why: "why".into(),
            retried,
        };
        let mut health = health();
        health.store.why = Some("disk full".into());
        health.store.appending_since = Some(Timestamp(1_000));
        health.commands_waiting = 1;
        health.node = NodeHealth {
            recovered: false,
            halted: vec![halt(true), halt(false)],
            starts_waiting: vec![halt(true)],
            uploads_waiting: vec![halt(true)],
            inventory_trouble: Some("no route".into()),
            devices: 2,
            writes_waiting: 1,
            reports_dropped: 1,
            claims_open: 1,
            clock_steps: 1,
            last_clock_step: Some(ClockStep {
                at: Timestamp(5_000),
                by_ms: 5_000,
            }),
        };
        health
    }

    #[test]
    fn the_operators_document_has_a_row_for_each_thing_that_is_said() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let document = root.join("../../docs/operations.md");
        // A packaged crate has no documents beside it.
        let Ok(document) = std::fs::read_to_string(document) else {
            return;
        };
        // `… abandoned operations …`: what stands for the dots differs.
        let cells = document.lines().filter_map(|line| line.strip_prefix("| `"));
        let rows: Vec<&str> = cells
            .filter_map(|cell| Some(cell.split_once('`')?.0))
            .collect();
        let fits = |said: &str, row: &str| {
            let mut parts = row.split('…');
            let Some(mut rest) = parts.next().and_then(|first| said.strip_prefix(first)) else {
                return false;
            };
            let in_order = parts.all(|part| match rest.split_once(part) {
                Some((_, after)) => {
                    rest = after;
                    true
                }
                None => false,
            });
            in_order && (rest.is_empty() || row.ends_with('…'))
        };
        let stopped = Health::of_stopped(Timestamp(1), "the engine was shut down".into());
        let mut said = vec![stopped.to_string()];
        for line in all_bad().to_string().lines() {
            // The line of counters; of the others each is one thing.
            let counters = line.contains(" known, ");
            let parts = line
                .split(", ")
                .filter(|part| counters && !part.ends_with(" known"));
            said.extend(parts.map(Into::into));
            said.extend((!counters).then(|| line.to_owned()));
        }
        assert!(said.len() >= 14, "{said:?}");
        for said in said {
            assert!(
                rows.iter().any(|row| fits(&said, row)),
                "{said:?} has no row"
            );
        }
    }

    #[test]
    fn an_engine_that_stopped_says_only_that() {
        let health = Health::of_stopped(Timestamp(1), "the engine was shut down".into());
        assert_eq!(health.to_string(), "stopped: the engine was shut down");
    }
}
