//! The agent's journal record: what must survive a power cut.
//!
//! JSON with defaults, since after an update the new image's agent reads what the old one wrote,
//! and after a rollback the old one reads what the new one wrote. Every part is bounded, so that
//! the whole is never larger than [`RECORD_BYTES_MAX`].

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};
use sortie_protocol::{Generation, Reason, Report, Route, Sha256, Status, StatusCode, Uuid};

/// A record is at most this long, in bytes.
pub const RECORD_BYTES_MAX: usize = 4096;

/// Results kept of each kind, so that an engine restored from a backup is answered too (A3).
pub(super) const RESULTS_MAX: usize = 4;
/// Report registers of ended operations, shown or to be emptied. A request that needs more waits
/// until the broker has acknowledged some.
pub(super) const REGISTERS_MAX: usize = 8;
/// A longer URL is refused as an invalid request.
pub(super) const URL_BYTES_MAX: usize = 1024;
/// A longer entity tag is not kept; the rest is then asked for without `If-Range`.
pub(super) const ETAG_BYTES_MAX: usize = 64;
/// A result's message is cut here, so that it can be kept and is repeated unchanged.
const MESSAGE_BYTES_MAX: usize = 48;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// The highest generation seen (A2), 0 for none.
    #[serde(rename = "gen")]
    pub(super) generation: Generation,
    /// The journal is new: the own `report/#` may hold what it does not know (A8).
    pub(super) fresh: bool,
    /// The operation under way.
    pub(super) current: Option<Current>,
    /// Results of operations that ended, oldest first.
    pub(super) finished: Vec<Outcome>,
    /// Results of operations refused because another was past its point of no return.
    pub(super) refused: Vec<Outcome>,
    /// Report registers of ended operations (A8). Apart from the results, which they may outlive.
    pub(super) registers: Vec<Register>,
}

/// The operation under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Current {
    #[serde(rename = "id")]
    pub(super) operation: Uuid,
    /// Where its report goes; unknown for a trial of which the journal knows nothing.
    #[serde(default)]
    pub(super) route: Option<Route>,
    #[serde(default)]
    pub(super) url: String,
    pub(super) size: u64,
    pub(super) sha256: Sha256,
    /// Bytes of the image that the slot certainly holds; whole pages, or all.
    #[serde(default)]
    pub(super) durable: u64,
    /// The entity tag of the answer they came from.
    #[serde(default)]
    pub(super) etag: Option<String>,
    /// The bytes come from more than one answer, which may have been of different artifacts.
    #[serde(default)]
    pub(super) resumed: bool,
    /// The slot's digest was right: its pages are not erased again for this operation.
    #[serde(default)]
    pub(super) verified: bool,
    /// How often marking the slot pending was begun.
    #[serde(default)]
    pub(super) marks: u8,
}

/// How an operation ended. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outcome {
    #[serde(rename = "id")]
    pub(super) operation: Uuid,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(super) success: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    code: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    message: String,
}

impl Outcome {
    pub(super) fn success(operation: Uuid) -> Self {
        Self {
            operation,
            success: true,
            code: String::new(),
            reason: String::new(),
            message: String::new(),
        }
    }

    pub(super) fn failure(operation: Uuid, failure: &Failure) -> Self {
        let text = |name: Option<&str>| String::from(name.unwrap_or_default());
        Self {
            operation,
            success: false,
            code: text(Some(failure.code.as_str())),
            reason: text(failure.reason.as_ref().map(Reason::as_str)),
            message: plain(&failure.message),
        }
    }

    /// The report of this outcome.
    pub(super) fn report(&self, generation: Generation) -> Report {
        Report {
            percent: if self.success { 100 } else { 0 },
            code: StatusCode::from_wire(&self.code),
            message: self.message.clone(),
            reason: Some(&self.reason)
                .filter(|reason| !reason.is_empty())
                .map(|reason| Reason::from_name(reason)),
            generation: Some(generation),
            ..Report::new(
                self.operation,
                if self.success {
                    Status::Success
                } else {
                    Status::Failure
                },
            )
        }
    }
}

/// Cuts a text to what fits the record, and keeps it from growing there by escapes.
fn plain(text: &str) -> String {
    let kept = text.chars().take(MESSAGE_BYTES_MAX);
    let escaped = |c: char| !(' '..='~').contains(&c) || c == '"' || c == '\\';
    kept.map(|c| if escaped(c) { '\'' } else { c }).collect()
}

/// Whether a text takes one byte a character in the record.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|b| (b'!'..=b'~').contains(&b) && b != b'"' && b != b'\\')
}

/// What a failure is reported with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: StatusCode,
    pub(super) reason: Option<Reason>,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: StatusCode, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: None,
            message: message.into(),
        }
    }

    pub(super) fn because(code: StatusCode, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason: Some(reason),
            ..Self::new(code, message)
        }
    }
}

/// The report register of an operation that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Register {
    #[serde(rename = "id")]
    pub(super) operation: Uuid,
    pub(super) route: Route,
    /// It is to be emptied, then forgotten; else it shows the result.
    #[serde(default)]
    pub(super) empty: bool,
    /// Its result must leave before anything else is done with it. Kept too: what ended just
    /// before another request came is told also if the power goes between.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(super) show: bool,
}

impl Record {
    pub(super) fn fresh() -> Self {
        Self {
            fresh: true,
            ..Self::default()
        }
    }

    /// Reads a record; `None` when it is none of ours, which is as good as no journal.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // Structs of strings, numbers and lists have no failing case.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The result of an operation that ended, if it is remembered (A3).
    pub(super) fn outcome(&self, operation: Uuid) -> Option<&Outcome> {
        let mut all = self.finished.iter().chain(&self.refused);
        all.find(|outcome| outcome.operation == operation)
    }

    pub(super) fn finish(&mut self, outcome: Outcome) {
        remember(&mut self.finished, outcome);
    }

    pub(super) fn refuse(&mut self, outcome: Outcome) {
        remember(&mut self.refused, outcome);
    }
}

fn remember(results: &mut Vec<Outcome>, outcome: Outcome) {
    if results.len() >= RESULTS_MAX {
        results.drain(..=results.len() - RESULTS_MAX);
    }
    results.push(outcome);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_record_fits_and_survives_its_encoding() {
        let id = Uuid::from_u128(u128::MAX);
        let route = Route::new(&"r".repeat(64)).unwrap();
        let worst = Failure::because(
            StatusCode::UpdateAlreadyInProgress,
            Reason::DowngradeNotAllowed,
            "\u{1}\"".repeat(100),
        );
        let mut record = Record {
            generation: Generation(u64::MAX),
            fresh: true,
            current: Some(Current {
                operation: id,
                route: Some(route.clone()),
                url: "u".repeat(URL_BYTES_MAX),
                size: u64::MAX,
                sha256: Sha256([255; 32]),
                durable: u64::MAX,
                etag: Some("e".repeat(ETAG_BYTES_MAX)),
                resumed: false,
                verified: false,
                marks: 255,
            }),
            ..Record::default()
        };
        for _ in 0..2 * RESULTS_MAX {
            record.finish(Outcome::failure(id, &worst));
            record.refuse(Outcome::failure(id, &worst));
        }
        record.registers = alloc::vec![Register {
            operation: id, route, empty: true, show: true }; REGISTERS_MAX];
        let bytes = record.encode();
        assert!(bytes.len() <= RECORD_BYTES_MAX, "{} bytes", bytes.len());
        assert_eq!(Record::decode(&bytes), Some(record));
    }

    #[test]
    fn a_record_with_fields_of_another_version_is_read() {
        let record = Record::decode(br#"{"gen":5,"later":[1]}"#).unwrap();
        assert_eq!(record.generation, Generation(5));
        assert_eq!(Record::decode(b"\xff"), None);
    }
}
