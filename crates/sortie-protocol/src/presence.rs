//! Presence: whether a device listens, and what it runs.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    error::{DecodeError, from_json, to_json},
    generation::Generation,
    text,
};

/// The image that runs on a device (Edgehog's BaseImage interface). Any text may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BaseImage {
    /// A digest or the like that identifies the bytes.
    #[serde(deserialize_with = "text::short")]
    pub fingerprint: String,
    /// The image's name.
    #[serde(deserialize_with = "text::short")]
    pub name: String,
    /// Its version; SemVer is expected (rule E1).
    #[serde(deserialize_with = "text::short")]
    pub version: String,
    /// The build's own id.
    #[serde(deserialize_with = "text::short")]
    pub build_id: String,
}

/// What a device says of itself after each connect (rule A11).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Birth {
    /// Random at each connect, so that a late will of an earlier connection is told apart (B2).
    pub session: String,
    /// The highest generation seen. A device that does not keep it leaves it out.
    pub generation: Option<Generation>,
    /// The last request seen was lower than one seen before (A2), or for another session (A10).
    pub behind: bool,
    /// What runs. `None`: not known.
    pub base_image: Option<BaseImage>,
    /// The System Model that the device believes it is.
    pub system_model: Option<String>,
}

/// The presence register of a device: its birth, its clean end, or its last will.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the protocol has these three states"
)]
pub enum Presence {
    /// The device listens.
    Online(Birth),
    /// It went away on purpose, or its connection was lost.
    Offline {
        /// The session that ended. Another than the current one is ignored (B2).
        session: String,
        /// The connection was lost (the will), rather than closed.
        lost: bool,
    },
}

impl Presence {
    /// Decodes a payload.
    ///
    /// # Errors
    /// [`DecodeError`]: count and drop it (rule B3).
    pub fn from_json(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wire: PresenceWire = from_json(bytes)?;
        Ok(match wire.state {
            State::Online => Self::Online(Birth {
                session: wire.session,
                generation: wire.generation.filter(|g| g.is_legal()),
                behind: wire.behind,
                base_image: wire.base_image,
                system_model: wire.system_model,
            }),
            State::Offline => Self::Offline {
                session: wire.session,
                lost: false,
            },
            State::Lost => Self::Offline {
                session: wire.session,
                lost: true,
            },
        })
    }

    /// Encodes the payload.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(&match self {
            Self::Online(birth) => PresenceWire {
                state: State::Online,
                session: birth.session.clone(),
                generation: birth.generation,
                behind: birth.behind,
                base_image: birth.base_image.clone(),
                system_model: birth.system_model.clone(),
                protocol: Some(1),
            },
            Self::Offline { session, lost } => PresenceWire {
                state: if *lost { State::Lost } else { State::Offline },
                session: session.clone(),
                generation: None,
                behind: false,
                base_image: None,
                system_model: None,
                protocol: None,
            },
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Online,
    Offline,
    Lost,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PresenceWire {
    state: State,
    #[serde(default, deserialize_with = "text::short")]
    session: String,
    #[serde(default, rename = "gen", skip_serializing_if = "Option::is_none")]
    generation: Option<Generation>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    behind: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base_image: Option<BaseImage>,
    #[serde(
        default,
        deserialize_with = "text::short_option",
        skip_serializing_if = "Option::is_none"
    )]
    system_model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protocol: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_birth_a_clean_end_and_a_will_survive_their_json() {
        let birth = Birth {
            session: "s1".into(),
            generation: Some(Generation(13)),
            behind: true,
            base_image: Some(BaseImage {
                version: "1.3.0".into(),
                ..BaseImage::default()
            }),
            system_model: Some("gateway-g2".into()),
        };
        let all = [
            Presence::Online(birth),
            Presence::Online(Birth {
                session: "s2".into(),
                ..Birth::default()
            }),
            Presence::Offline {
                session: "s1".into(),
                lost: false,
            },
            Presence::Offline {
                session: "s1".into(),
                lost: true,
            },
        ];
        for presence in all {
            assert_eq!(Presence::from_json(&presence.to_json()).unwrap(), presence);
        }
    }

    #[test]
    fn a_minimal_birth_has_no_generation() {
        let Presence::Online(birth) = Presence::from_json(
            br#"{"state":"online","session":"1","baseImage":{"version":"1.0.0"}}"#,
        )
        .unwrap() else {
            panic!("online");
        };
        assert_eq!(birth.generation, None);
        assert_eq!(birth.base_image.unwrap().version, "1.0.0");
    }
}
