//! What is wrong, for people and programs.

use std::fmt;

use serde::Serialize;
use sortie_core::Timestamp;

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
    /// Messages of devices that were dropped: malformed, or too many.
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
        let ago = |since: Option<Timestamp>| {
            let since = since.unwrap_or(self.at);
            self.at.0.saturating_sub(since.0).max(0) / 1_000
        };
        write!(f, "{}", if self.link.up { "link up" } else { "link down" })?;
        write!(f, " for {} s", ago(self.link.since))?;
        if let Some(why) = &self.link.why {
            write!(f, ": {why}")?;
        }
        if let Some(next) = self.link.next_try {
            let ms = next.0.saturating_sub(self.at.0).max(0);
            write!(f, ", next try in {} s", (ms + 999) / 1_000)?;
        }
        match &self.store.why {
            None => f.write_str("\nstore up")?,
            Some(why) => write!(f, "\nstore away for {} s: {why}", ago(self.store.since))?,
        }
        if let Some(since) = self
            .store
            .appending_since
            .filter(|since| ago(Some(*since)) > 0)
        {
            write!(
                f,
                ", an append without an answer for {} s",
                ago(Some(since))
            )?;
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
        write!(f, "\n{} devices known", self.node.devices)?;
        for (count, what) in [
            (self.node.writes_waiting as u64, "requests to be written"),
            (self.commands_waiting as u64, "commands without an answer"),
            (
                self.node.claims_open as u64,
                "abandoned operations without a word, may still be installing",
            ),
            (self.node.reports_dropped, "reports of no operation dropped"),
            (self.messages_dropped, "messages dropped"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if let Some(step) = self.node.last_clock_step {
            let (steps, at) = (self.node.clock_steps, step.at);
            let way = if step.by_ms < 0 { "back" } else { "ahead" };
            let by = step.by_ms.unsigned_abs() / 1_000;
            write!(
                f,
                "\nwall clock stepped {steps} times, last at {at}, {by} s {way}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::ClockStep;

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
            ", 2 abandoned operations without a word, may still be installing",
            "\nwall clock stepped 1 times, last at 1970-01-01T00:00:05.000Z, 5 s back",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn an_engine_that_stopped_says_only_that() {
        let health = Health::of_stopped(Timestamp(1), "the engine was shut down".into());
        assert_eq!(health.to_string(), "stopped: the engine was shut down");
    }
}
