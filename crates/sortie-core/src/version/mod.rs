//! Version Requirements (rule V2).

mod operand;
mod parser;

use std::{cmp::Ordering, fmt, str::FromStr};

use semver::Version;

use crate::text::serde_as_text;

/// Which versions an image may be installed over, in the syntax and with the meaning of Elixir's
/// `Version` (rule V2).
///
/// | form | holds for a version that is |
/// |---|---|
/// | `1.2.3`, `== 1.2.3` | of the same precedence |
/// | `!= 1.2.3`, `! 1.2.3` | of another precedence |
/// | `> 1.2.3`, `>= 1.2.3`, `< 1.2.3`, `<= 1.2.3` | greater, less, … |
/// | `~> 1.2.3` | at least 1.2.3, and less than any version or pre-release of 1.3.0 |
/// | `~> 1.2` | at least 1.2.0, and less than any version or pre-release of 2.0.0 |
///
/// These join with `and` (which binds tighter) and `or`; there are no parentheses. Precedence
/// ignores build metadata (rule V1). Pre-releases take part in every comparison.
///
/// Only `~>` takes a version without its patch number. The only white space is the space: one
/// stands on both sides of `and` and of `or`, more may stand there, around a comparison and at
/// either end.
///
/// ```
/// # use sortie_core::VersionRequirement;
/// let starting: VersionRequirement = "~> 1.2 or >= 2.1.0 and < 2.4.0".parse()?;
/// assert!(starting.matches(&"1.9.0".parse()?));
/// assert!(!starting.matches(&"2.0.0-rc.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Where the two grammars of versions differ: Elixir takes at most 14 digits for a number, also
/// for one in a pre-release, so a requirement does, too. A device's version and a Base Image's is
/// [`semver::Version`], whose numbers reach 2⁶⁴ − 1. Such a version is compared like any other,
/// where Elixir would refuse it; a requirement can't name it, but can bound it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRequirement {
    text: String,
    /// Any of these, each being all of its conditions.
    any: Vec<Vec<Condition>>,
}

/// A Version Requirement is malformed: the column, from 1, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("version requirement {text:?}: column {column}: {expected} is expected")]
pub struct RequirementError {
    /// The requirement, cut to a printable length.
    pub text: String,
    /// Where, in characters from 1.
    pub column: usize,
    /// What would have been right there.
    pub expected: &'static str,
}

/// A comparison with the version that it was written with, whose build metadata is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Equal(Version),
    NotEqual(Version),
    Greater(Version),
    GreaterOrEqual(Version),
    Less(Version),
    LessOrEqual(Version),
    /// `~>`: from the one, below the other.
    Within(Version, Version),
}

impl VersionRequirement {
    /// Whether `version` meets the requirement.
    pub fn matches(&self, version: &Version) -> bool {
        let holds = |condition: &Condition| condition.holds(version);
        self.any.iter().any(|all| all.iter().all(holds))
    }

    /// The requirement as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Condition {
    fn holds(&self, version: &Version) -> bool {
        let order = |bound: &Version| version.cmp_precedence(bound);
        match self {
            Self::Equal(bound) => order(bound) == Ordering::Equal,
            Self::NotEqual(bound) => order(bound) != Ordering::Equal,
            Self::Greater(bound) => order(bound) == Ordering::Greater,
            Self::GreaterOrEqual(bound) => order(bound) != Ordering::Less,
            Self::Less(bound) => order(bound) == Ordering::Less,
            Self::LessOrEqual(bound) => order(bound) != Ordering::Greater,
            Self::Within(from, below) => {
                order(from) != Ordering::Less && order(below) == Ordering::Less
            }
        }
    }
}

impl FromStr for VersionRequirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let any = parser::parse(text).map_err(|(at, expected)| RequirementError {
            text: text.chars().take(120).collect(),
            column: text[..at].chars().count() + 1,
            expected,
        })?;
        Ok(Self {
            text: text.into(),
            any,
        })
    }
}

impl fmt::Display for VersionRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

serde_as_text!(VersionRequirement);
