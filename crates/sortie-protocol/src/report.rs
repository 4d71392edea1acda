//! The report register and progress: what the device says.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    error::{DecodeError, from_json, to_json},
    generation::Generation,
    status::{Reason, Status, StatusCode},
    text,
};

/// Where a device is with one OTA Operation: OTAEvent, with `reason` and `gen` added.
///
/// A level, not a message: it may come again, unchanged, any number of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The operation (OTAEvent `requestUUID`).
    pub operation: Uuid,
    /// Its status.
    pub status: Status,
    /// Percent of the present stage, 0–100 (OTAEvent `statusProgress`).
    pub percent: u8,
    /// Why, if something is wrong.
    pub code: Option<StatusCode>,
    /// Free text for people, at most [`crate::limits::MESSAGE_BYTES_MAX`] bytes.
    pub message: String,
    /// A machine-readable refinement of `code`.
    pub reason: Option<Reason>,
    /// The highest generation that the device has seen, if it keeps it.
    pub generation: Option<Generation>,
}

impl Report {
    /// A report without code, message and reason.
    pub fn new(operation: Uuid, status: Status) -> Self {
        Self {
            operation,
            status,
            percent: 0,
            code: None,
            message: String::new(),
            reason: None,
            generation: None,
        }
    }

    /// A final failure.
    pub fn failure(operation: Uuid, code: StatusCode) -> Self {
        Self {
            code: Some(code),
            ..Self::new(operation, Status::Failure)
        }
    }

    /// Decodes a payload.
    ///
    /// # Errors
    /// [`DecodeError`]: count and drop it (rule B3).
    pub fn from_json(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wire: ReportWire = from_json(bytes)?;
        let generation = wire.generation.filter(|g| g.is_legal());
        Ok(Self {
            operation: wire.request_uuid,
            status: wire.status,
            percent: percent(wire.status_progress)?,
            code: StatusCode::from_wire(&wire.status_code),
            message: wire.message,
            reason: wire.reason.map(|r| Reason::from_name(&r)),
            generation,
        })
    }

    /// Encodes the payload.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(&ReportWire {
            request_uuid: self.operation,
            status: self.status,
            status_progress: i64::from(self.percent),
            status_code: self
                .code
                .as_ref()
                .map_or_else(String::new, |c| c.as_str().into()),
            message: self.message.clone(),
            reason: self.reason.as_ref().map(|r| r.as_str().into()),
            generation: self.generation,
        })
    }
}

/// A sign of life within a stage, at most one a second; never an event (rule C3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The operation.
    pub operation: Uuid,
    /// Its status.
    pub status: Status,
    /// Percent of the present stage, 0–100.
    pub percent: u8,
}

impl Progress {
    /// Decodes a payload.
    ///
    /// # Errors
    /// [`DecodeError`]: count and drop it (rule B3).
    pub fn from_json(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wire: ProgressWire = from_json(bytes)?;
        Ok(Self {
            operation: wire.request_uuid,
            status: wire.status,
            percent: percent(wire.status_progress)?,
        })
    }

    /// Encodes the payload.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(&ProgressWire {
            request_uuid: self.operation,
            status: self.status,
            status_progress: i64::from(self.percent),
        })
    }
}

fn percent(value: i64) -> Result<u8, DecodeError> {
    u8::try_from(value)
        .ok()
        .filter(|p| *p <= 100)
        .ok_or(DecodeError::OutOfRange {
            field: "statusProgress",
        })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReportWire {
    #[serde(rename = "requestUUID")]
    request_uuid: Uuid,
    status: Status,
    #[serde(default)]
    status_progress: i64,
    #[serde(default, deserialize_with = "text::short")]
    status_code: String,
    #[serde(default, deserialize_with = "text::message")]
    message: String,
    #[serde(
        default,
        deserialize_with = "text::short_option",
        skip_serializing_if = "Option::is_none"
    )]
    reason: Option<String>,
    #[serde(default, rename = "gen", skip_serializing_if = "Option::is_none")]
    generation: Option<Generation>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProgressWire {
    #[serde(rename = "requestUUID")]
    request_uuid: Uuid,
    status: Status,
    #[serde(default)]
    status_progress: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_its_json_with_the_names_of_ota_event() {
        let report = Report {
            percent: 40,
            message: "no route".into(),
            reason: Some(Reason::DigestMismatch),
            generation: Some(Generation(9)),
            ..Report::failure(Uuid::from_u128(7), StatusCode::NetworkError)
        };
        let json = report.to_json();
        let text = core::str::from_utf8(&json).unwrap();
        for name in [
            "requestUUID",
            "statusProgress",
            "statusCode\":\"NetworkError",
            "\"gen\":9",
        ] {
            assert!(text.contains(name), "{text}");
        }
        assert_eq!(Report::from_json(&json).unwrap(), report);
    }

    #[test]
    fn what_a_minimal_device_says_is_enough_and_unknown_codes_are_kept() {
        let json = br#"{"requestUUID":"00000000-0000-0000-0000-000000000007","status":"Failure",
            "statusCode":"Weird","new":[1]}"#;
        let report = Report::from_json(json).unwrap();
        assert_eq!(report.code, Some(StatusCode::Other("Weird".into())));
        let legacy = br#"{"requestUUID":"00000000-0000-0000-0000-000000000007","status":"Failure",
            "statusCode":"RequestError"}"#;
        assert_eq!(
            Report::from_json(legacy).unwrap().code,
            Some(StatusCode::InvalidRequest)
        );
    }

    #[test]
    fn malformed_and_oversized_reports_are_errors_not_panics() {
        for bad in [
            &b""[..],
            b"{}",
            b"[]",
            b"\xff\xfe",
            br#"{"requestUUID":1,"status":"Success"}"#,
        ] {
            assert!(matches!(Report::from_json(bad), Err(DecodeError::Json(_))));
        }
        let over = br#"{"requestUUID":"00000000-0000-0000-0000-000000000007","status":"Error","statusProgress":101}"#;
        assert!(matches!(
            Report::from_json(over),
            Err(DecodeError::OutOfRange { .. })
        ));
        assert!(matches!(
            Report::from_json(&[b' '; 9000]),
            Err(DecodeError::TooLarge(9000))
        ));
    }
}
