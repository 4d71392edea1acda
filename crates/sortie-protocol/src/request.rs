//! The request register: what the engine asks of a device.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::{
    device_id,
    digest::Sha256,
    error::{DecodeError, IdError, from_json, to_json},
    generation::Generation,
    text,
};

/// Where a device sends its reports on an operation: 1 to 64 of `A-Z a-z 0-9 . _ ~ -`, copied from
/// the request, so that a broker can deliver a campaign's reports to the node that runs it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route(String);

impl Route {
    /// Checks `route`.
    ///
    /// # Errors
    /// [`IdError`] when it is empty, too long or has an illegal character.
    pub fn new(route: &str) -> Result<Self, IdError> {
        device_id::check("route", route, b"")?;
        Ok(Self(route.into()))
    }

    /// The route as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for Route {
    fn from(id: Uuid) -> Self {
        Self(id.to_string())
    }
}

impl FromStr for Route {
    type Err = IdError;
    fn from_str(route: &str) -> Result<Self, IdError> {
        Self::new(route)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Route {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let route = String::deserialize(d)?;
        Self::new(&route).map_err(serde::de::Error::custom)
    }
}

/// What is in force for a device. A level: it may be read again at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the protocol has these three operations"
)]
pub enum Request {
    /// Run this update (rules A3, A4, A9). Boxed, since the two others are small.
    Update(Generation, alloc::boxed::Box<Update>),
    /// Stop this operation if it still can be stopped, and answer for it (rule A5).
    Cancel {
        /// Orders it among the device's requests.
        generation: Generation,
        /// The operation.
        operation: Uuid,
        /// Where its report goes.
        route: Route,
    },
    /// Nothing is in force (rule A7).
    None {
        /// Orders it among the device's requests.
        generation: Generation,
    },
}

/// An update that is in force: OTARequest, with what a device needs to verify it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The operation's UUID: its identity (rule A3).
    pub operation: Uuid,
    /// Where reports on it go.
    pub route: Route,
    /// Where the artifact is fetched, over HTTP with Range.
    pub url: String,
    /// What must be found there.
    pub artifact: ArtifactRef,
    /// Which of its own checks the device may leave out.
    pub allow: Allow,
    /// The image's version.
    pub version: Option<String>,
    /// The System Model that the image is for.
    pub system_model: Option<String>,
    /// The version of the device that the update was decided on (rule A9).
    pub decided_on: Option<String>,
    /// With several nodes: the session that it was decided on (rule W6).
    pub session: Option<String>,
}

/// Size and digest of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// Length in bytes.
    pub size: u64,
    /// Digest of all bytes.
    pub sha256: Sha256,
    /// How the bytes are packed; `raw` is the image itself.
    #[serde(default = "raw", deserialize_with = "text::short")]
    pub format: String,
}

fn raw() -> String {
    "raw".into()
}

/// Which of its own checks a device may leave out (rule A9). Nothing by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Allow {
    /// Install an image that is older than what runs.
    pub downgrade: bool,
    /// Install an image of another System Model.
    pub system_model: bool,
    /// Install the version that runs already.
    pub same_version: bool,
}

impl Request {
    /// Its place in the order of all requests to the device.
    pub fn generation(&self) -> Generation {
        match self {
            Self::Update(generation, _)
            | Self::Cancel { generation, .. }
            | Self::None { generation } => *generation,
        }
    }

    /// The operation that it names; none for [`Request::None`].
    pub fn operation(&self) -> Option<Uuid> {
        match self {
            Self::Update(_, update) => Some(update.operation),
            Self::Cancel { operation, .. } => Some(*operation),
            Self::None { .. } => None,
        }
    }

    /// Decodes a payload.
    ///
    /// # Errors
    /// [`DecodeError`]: count and drop it (rule B3).
    pub fn from_json(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wire: RequestWire = from_json(bytes)?;
        if !wire.generation.is_legal() {
            return Err(DecodeError::OutOfRange { field: "gen" });
        }
        let generation = wire.generation;
        if wire.operation == Operation::None {
            return Ok(Self::None { generation });
        }
        let operation = wire.uuid.ok_or(DecodeError::Missing("uuid"))?;
        let route = wire.route.ok_or(DecodeError::Missing("route"))?;
        if wire.operation == Operation::Cancel {
            return Ok(Self::Cancel {
                generation,
                operation,
                route,
            });
        }
        let update = Update {
            operation,
            route,
            url: wire.url.ok_or(DecodeError::Missing("url"))?,
            artifact: wire.artifact.ok_or(DecodeError::Missing("artifact"))?,
            allow: wire.allow.unwrap_or_default(),
            version: wire.version,
            system_model: wire.system_model,
            decided_on: wire.decided_on,
            session: wire.session,
        };
        Ok(Self::Update(generation, update.into()))
    }

    /// Encodes the payload.
    pub fn to_json(&self) -> Vec<u8> {
        let bare = |operation, generation| RequestWire {
            operation,
            generation,
            uuid: None,
            route: None,
            url: None,
            artifact: None,
            allow: None,
            version: None,
            system_model: None,
            decided_on: None,
            session: None,
        };
        to_json(&match self {
            Self::None { generation } => bare(Operation::None, *generation),
            Self::Cancel {
                generation,
                operation,
                route,
            } => RequestWire {
                uuid: Some(*operation),
                route: Some(route.clone()),
                ..bare(Operation::Cancel, *generation)
            },
            Self::Update(generation, update) => RequestWire {
                uuid: Some(update.operation),
                route: Some(update.route.clone()),
                url: Some(update.url.clone()),
                artifact: Some(update.artifact.clone()),
                allow: Some(update.allow),
                version: update.version.clone(),
                system_model: update.system_model.clone(),
                decided_on: update.decided_on.clone(),
                session: update.session.clone(),
                ..bare(Operation::Update, *generation)
            },
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Operation {
    Update,
    Cancel,
    None,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestWire {
    operation: Operation,
    #[serde(rename = "gen")]
    generation: Generation,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uuid: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    route: Option<Route>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact: Option<ArtifactRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow: Option<Allow>,
    #[serde(
        default,
        deserialize_with = "text::short_option",
        skip_serializing_if = "Option::is_none"
    )]
    version: Option<String>,
    #[serde(
        default,
        deserialize_with = "text::short_option",
        skip_serializing_if = "Option::is_none"
    )]
    system_model: Option<String>,
    #[serde(
        default,
        deserialize_with = "text::short_option",
        skip_serializing_if = "Option::is_none"
    )]
    decided_on: Option<String>,
    #[serde(
        default,
        deserialize_with = "text::short_option",
        skip_serializing_if = "Option::is_none"
    )]
    session: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update() -> Request {
        Request::Update(
            Generation::update(3),
            Update {
                operation: Uuid::from_u128(5),
                route: Uuid::from_u128(6).into(),
                url: "http://127.0.0.1/a.bin".into(),
                artifact: ArtifactRef {
                    size: 65536,
                    sha256: Sha256([7; 32]),
                    format: raw(),
                },
                allow: Allow {
                    downgrade: true,
                    ..Allow::default()
                },
                version: Some("1.4.0".into()),
                system_model: Some("gateway-g2".into()),
                decided_on: Some("1.3.0".into()),
                session: None,
            }
            .into(),
        )
    }

    #[test]
    fn every_request_survives_its_json() {
        let cancel = Request::Cancel {
            generation: Generation::cancel(3),
            operation: Uuid::from_u128(5),
            route: Route::new("r-1").unwrap(),
        };
        let none = Request::None {
            generation: Generation::none(3),
        };
        for request in [update(), cancel, none] {
            assert_eq!(Request::from_json(&request.to_json()).unwrap(), request);
        }
        let text = String::from_utf8(update().to_json()).unwrap();
        for name in [
            "\"operation\":\"Update\"",
            "\"gen\":13",
            "\"decidedOn\"",
            "\"systemModel\"",
        ] {
            assert!(text.contains(name), "{text}");
        }
    }

    #[test]
    fn generations_of_one_claim_grow_from_update_over_cancel_to_none() {
        let [u, c, n] = [
            Generation::update(3),
            Generation::cancel(3),
            Generation::none(3),
        ];
        assert!(u < c && c < n && n < Generation::update(4));
        assert_eq!([u, c, n].map(Generation::claim_number), [3; 3]);
    }

    #[test]
    fn a_request_that_lacks_what_its_operation_needs_names_the_field() {
        let lacks = |json: &str| Request::from_json(json.as_bytes()).unwrap_err().to_string();
        assert!(lacks(r#"{"operation":"Cancel","gen":6}"#).contains("uuid"));
        let uuid = r#""uuid":"00000000-0000-0000-0000-000000000007","route":"r""#;
        assert!(
            lacks(&alloc::format!(
                r#"{{"operation":"Update","gen":5,{uuid}}}"#
            ))
            .contains("url")
        );
        assert!(lacks(r#"{"operation":"None","gen":9007199254740992}"#).contains("gen"));
    }
}
