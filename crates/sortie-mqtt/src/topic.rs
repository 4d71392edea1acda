//! The topics of the profile: what each is called, and what a name from the broker means.
//!
//! ```
//! use sortie_mqtt::topic::{Prefix, Topic};
//! use sortie_protocol::DeviceId;
//!
//! let prefix = Prefix::default();
//! let topic = Topic::Request(DeviceId::new("gw-0001")?);
//! assert_eq!(prefix.name(&topic), "sortie/1/d/gw-0001/request");
//! assert_eq!(prefix.parse("sortie/1/d/gw-0001/request"), Some(topic));
//! assert_eq!(prefix.parse("sortie/1/d/gw-0001"), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{fmt, str::FromStr};

use sortie_protocol::{DeviceId, Route, Uuid, limits::ID_BYTES_MAX};

use crate::error::MqttError;

/// The prefix that is used when none is set; its number is the protocol's major version.
pub const PREFIX: &str = "sortie/1";

/// A prefix is at most this many bytes long.
const PREFIX_BYTES_MAX: usize = 128;

/// What stands before all topics of one engine's fleet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Prefix(String);

/// The name of an engine's node: 1 to 64 of `A-Z a-z 0-9 . _ ~ -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node(String);

/// A topic of the profile, without its prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Topic {
    /// `d/{device}/request`: what is in force; only the engine writes it.
    Request(DeviceId),
    /// `d/{device}/report/{route}/{operation}`: where the device is with an operation.
    Report {
        /// The device, the only writer.
        device: DeviceId,
        /// Copied from the request.
        route: Route,
        /// The operation.
        operation: Uuid,
    },
    /// `d/{device}/progress/{route}`: a sign of life.
    Progress {
        /// The device, the only writer.
        device: DeviceId,
        /// Copied from the request.
        route: Route,
    },
    /// `d/{device}/presence`: the device's birth, clean end or will.
    Presence(DeviceId),
    /// `engine/{node}`: an engine's presence.
    Engine(Node),
}

impl Prefix {
    /// Checks `prefix`: topic levels separated by `/`.
    ///
    /// # Errors
    /// [`MqttError::Prefix`] when a level is empty, there is a wildcard or a control character, it
    /// begins with `$`, or is longer than 128 bytes.
    pub fn new(prefix: &str) -> Result<Self, MqttError> {
        let why = if prefix.is_empty() {
            "it is empty"
        } else if prefix.len() > PREFIX_BYTES_MAX {
            "it is longer than 128 bytes"
        } else if prefix.starts_with('$') {
            "topics that begin with $ are the broker's"
        } else if prefix.contains(['+', '#']) {
            "+ and # are wildcards"
        } else if prefix.contains(char::is_control) {
            "it has a control character"
        } else if prefix.split('/').any(str::is_empty) {
            "it has an empty level"
        } else {
            return Ok(Self(prefix.into()));
        };
        Err(MqttError::Prefix {
            prefix: prefix.chars().take(PREFIX_BYTES_MAX).collect(),
            why,
        })
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The whole name of a topic.
    pub fn name(&self, topic: &Topic) -> String {
        let prefix = &self.0;
        match topic {
            Topic::Request(device) => format!("{prefix}/d/{device}/request"),
            Topic::Report {
                device,
                route,
                operation,
            } => format!("{prefix}/d/{device}/report/{route}/{operation}"),
            Topic::Progress { device, route } => format!("{prefix}/d/{device}/progress/{route}"),
            Topic::Presence(device) => format!("{prefix}/d/{device}/presence"),
            Topic::Engine(node) => format!("{prefix}/engine/{node}"),
        }
    }

    /// What a name from the broker means; none if it is no topic of the profile under this prefix
    /// (rule B3).
    pub fn parse(&self, name: &str) -> Option<Topic> {
        let rest = name.strip_prefix(self.as_str())?.strip_prefix('/')?;
        let mut levels = rest.split('/');
        let mut level = || levels.next();
        let topic = match level()? {
            "engine" => Topic::Engine(Node::new(level()?).ok()?),
            "d" => {
                let device = DeviceId::new(level()?).ok()?;
                match level()? {
                    "request" => Topic::Request(device),
                    "presence" => Topic::Presence(device),
                    "progress" => Topic::Progress {
                        device,
                        route: Route::new(level()?).ok()?,
                    },
                    "report" => Topic::Report {
                        device,
                        route: Route::new(level()?).ok()?,
                        operation: uuid(level()?)?,
                    },
                    _ => return None,
                }
            }
            _ => return None,
        };
        level().is_none().then_some(topic)
    }

    /// The filter of all devices' reports.
    pub fn all_reports(&self) -> String {
        format!("{self}/d/+/report/+/+")
    }

    /// The filter of all devices' progress.
    pub fn all_progress(&self) -> String {
        format!("{self}/d/+/progress/+")
    }

    /// The filter of all devices' presence.
    pub fn all_presence(&self) -> String {
        format!("{self}/d/+/presence")
    }

    /// The filter of all engines' presence.
    pub fn all_engines(&self) -> String {
        format!("{self}/engine/+")
    }

    /// The filter of one device's reports.
    pub fn reports_of(&self, device: &DeviceId) -> String {
        format!("{self}/d/{device}/report/#")
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self(PREFIX.into())
    }
}

impl FromStr for Prefix {
    type Err = MqttError;
    fn from_str(prefix: &str) -> Result<Self, MqttError> {
        Self::new(prefix)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Node {
    /// Checks `name`.
    ///
    /// # Errors
    /// [`MqttError::Node`] when it is empty, too long or has an illegal character.
    pub fn new(name: &str) -> Result<Self, MqttError> {
        let legal = |b: &u8| b.is_ascii_alphanumeric() || b"._~-".contains(b);
        if name.is_empty() || name.len() > ID_BYTES_MAX || !name.as_bytes().iter().all(legal) {
            return Err(MqttError::Node(name.chars().take(80).collect()));
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Node {
    type Err = MqttError;
    fn from_str(name: &str) -> Result<Self, MqttError> {
        Self::new(name)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a UUID in the one form that requests have it in (lower case, with hyphens). Written in
/// another way it is another topic, and so would be another register of the same operation.
fn uuid(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    (id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPERATION: &str = "a3f1c2d4-0000-4000-8000-00000000002a";

    fn topics() -> impl Strategy<Value = Topic> {
        let device = || "[A-Za-z0-9._~:-]{1,64}".prop_map(|d| DeviceId::new(&d).unwrap());
        let route = || "[A-Za-z0-9._~-]{1,64}".prop_map(|r| Route::new(&r).unwrap());
        prop_oneof![
            device().prop_map(Topic::Request),
            device().prop_map(Topic::Presence),
            "[A-Za-z0-9._~-]{1,64}".prop_map(|n| Topic::Engine(Node::new(&n).unwrap())),
            (device(), route()).prop_map(|(device, route)| Topic::Progress { device, route }),
            (device(), route(), any::<u128>()).prop_map(|(device, route, id)| Topic::Report {
                device,
                route,
                operation: Uuid::from_u128(id),
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_name_that_was_built_is_read_again_as_the_same_topic(
            topic in topics(), prefix in "[a-zé0-9]{1,8}(/[a-z0-9]{1,8}){0,3}",
        ) {
            let prefix = Prefix::new(&prefix).unwrap();
            prop_assert_eq!(prefix.parse(&prefix.name(&topic)), Some(topic.clone()));
            let longer = format!("{}/x", prefix.name(&topic));
            prop_assert_eq!(prefix.parse(&longer), None);
        }

        #[test]
        fn no_name_makes_the_parser_panic_and_what_it_accepts_is_one_topic_s_only_name(
            name in prop_oneof![
                ".{0,60}",
                "sortie/1/(d|engine|x)/[A-Za-z0-9+#é:]{0,6}(/(request|report|progress|presence|[a-f0-9-]{0,40})){0,4}",
            ],
        ) {
            let prefix = Prefix::default();
            if let Some(topic) = prefix.parse(&name) {
                prop_assert_eq!(prefix.name(&topic), name.clone());
            }
            let _checked = Prefix::new(&name);
            let _checked = Node::new(&name);
        }
    }

    #[test]
    fn illegal_ids_and_foreign_topics_are_none() {
        let prefix = Prefix::default();
        for foreign in [
            "",
            "sortie/1",
            "sortie/1/",
            "sortie/1/d",
            "sortie/1/d//presence",
            "sortie/1/d/a b/presence",
            "sortie/1/d/a/presence/",
            "sortie/1/d/a/report",
            "sortie/1/d/a/report/r",
            "sortie/1/d/a/report/r/not-a-uuid",
            "sortie/1/d/a/report/r/a3f1c2d40000400080000000000002ab",
            "sortie/1/d/a/report/r/A3F1C2D4-0000-4000-8000-00000000002A",
            "sortie/1/d/a/report/r:/a3f1c2d4-0000-4000-8000-00000000002a",
            "sortie/1/d/a/progress",
            "sortie/1/engine",
            "sortie/1/engine/a:b",
            "sortie/10/d/a/presence",
            "sortie/2/d/a/presence",
            "/sortie/1/d/a/presence",
        ] {
            assert_eq!(prefix.parse(foreign), None, "{foreign}");
        }
        let long = format!("sortie/1/d/{}/presence", "x".repeat(65));
        assert_eq!(prefix.parse(&long), None);
        let report = format!("sortie/1/d/00:1a/report/r-1/{OPERATION}");
        assert!(matches!(prefix.parse(&report), Some(Topic::Report { .. })));
    }

    #[test]
    fn a_prefix_that_is_no_topic_is_refused_and_named() {
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "a/+",
            "#",
            "$SYS/x",
            "a\0",
            &"x".repeat(129),
        ] {
            let error = Prefix::new(bad).unwrap_err();
            assert!(matches!(error, MqttError::Prefix { .. }), "{error}");
        }
        assert!(
            Prefix::new("a/+")
                .unwrap_err()
                .to_string()
                .contains("\"a/+\"")
        );
    }
}
