//! Version Requirements (rule V2).

use std::{cmp::Ordering, fmt, str::FromStr};

use crate::text::serde_as_text;
use semver::Version;

/// Which versions an image may be installed over: comparisons `== != > >= < <=` of a full SemVer
/// version, joined with `and` (which binds tighter) and `or`; a bare version is `==`.
///
/// Precedence ignores build metadata (rule V1), and pre-releases take part.
///
/// ```
/// # use sortie_core::VersionRequirement;
/// let starting: VersionRequirement = ">= 1.2.0 and < 2.0.0".parse()?;
/// assert!(starting.matches(&"1.3.0".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRequirement {
    text: String,
    /// Any of these, each being all of its comparisons.
    any: Vec<Vec<(Comparison, Version)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A Version Requirement is malformed: the column, from 1, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("version requirement {text:?}: column {column}: {why}")]
pub struct RequirementError {
    /// The requirement, cut to a printable length.
    pub text: String,
    /// Where, in characters from 1.
    pub column: usize,
    /// What is wrong there.
    pub why: String,
}

/// Bounds what is stored with a Base Image.
const TEXT_BYTES_MAX: usize = 1024;

impl VersionRequirement {
    /// Whether `version` meets the requirement.
    pub fn matches(&self, version: &Version) -> bool {
        let holds = |(comparison, bound): &(Comparison, Version)| {
            let order = version.cmp_precedence(bound);
            match comparison {
                Comparison::Equal => order == Ordering::Equal,
                Comparison::NotEqual => order != Ordering::Equal,
                Comparison::Greater => order == Ordering::Greater,
                Comparison::GreaterOrEqual => order != Ordering::Less,
                Comparison::Less => order == Ordering::Less,
                Comparison::LessOrEqual => order != Ordering::Greater,
            }
        };
        self.any.iter().any(|all| all.iter().all(holds))
    }
}

impl FromStr for VersionRequirement {
    type Err = RequirementError;
    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let error = |at: usize, why: String| RequirementError {
            text: text.chars().take(120).collect(),
            column: text[..at].chars().count() + 1,
            why,
        };
        if text.len() > TEXT_BYTES_MAX {
            return Err(error(0, "it is longer than 1024 bytes".into()));
        }
        let mut any = vec![];
        let mut all = vec![];
        let mut words = words(text).peekable();
        loop {
            let Some((mut at, mut word)) = words.next() else {
                return Err(error(text.len(), "a version is expected".into()));
            };
            let comparison = comparison(&mut word, &mut at);
            if word.is_empty() {
                (at, word) = words
                    .next()
                    .ok_or_else(|| error(text.len(), "a version is expected".into()))?;
            }
            let version = Version::parse(word)
                .map_err(|e| error(at, format!("{word:?} is not a SemVer version: {e}")))?;
            all.push((comparison, version));
            match words.next() {
                None => break,
                Some((_, "and")) => {}
                Some((_, "or")) => any.push(std::mem::take(&mut all)),
                Some((at, _)) => return Err(error(at, "\"and\" or \"or\" is expected".into())),
            }
        }
        any.push(all);
        Ok(Self {
            text: text.into(),
            any,
        })
    }
}

fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split(char::is_whitespace)
        .filter(|word| !word.is_empty())
        .map(move |word| {
            // `word` is a slice of `text`, so its address tells where it stands.
            (word.as_ptr() as usize - text.as_ptr() as usize, word)
        })
}

fn comparison(word: &mut &str, at: &mut usize) -> Comparison {
    for (symbol, comparison) in [
        ("==", Comparison::Equal),
        ("!=", Comparison::NotEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<=", Comparison::LessOrEqual),
        (">", Comparison::Greater),
        ("<", Comparison::Less),
    ] {
        if let Some(rest) = word.strip_prefix(symbol) {
            *word = rest;
            *at += symbol.len();
            return comparison;
        }
    }
    Comparison::Equal
}

impl fmt::Display for VersionRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

serde_as_text!(VersionRequirement);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v2_comparisons_join_with_and_before_or() {
        for (requirement, version, matches) in [
            ("1.2.3", "1.2.3+build", true),
            ("==1.2.3", "1.2.4", false),
            ("!= 1.2.3", "1.2.4", true),
            (">= 1.2.0 and < 2.0.0", "1.9.9", true),
            (">= 1.2.0 and < 2.0.0", "2.0.0", false),
            ("> 2.0.0 or >= 1.0.0 and <= 1.5.0", "1.5.0", true),
            ("> 2.0.0 or >= 1.0.0 and <= 1.5.0", "1.6.0", false),
            (">= 1.2.0", "1.2.0-rc.1", false),
            ("< 1.2.0", "1.2.0-rc.1", true),
        ] {
            let parsed: VersionRequirement = requirement.parse().unwrap();
            assert_eq!(
                parsed.matches(&version.parse().unwrap()),
                matches,
                "{version} {requirement}"
            );
            assert_eq!(parsed.to_string(), requirement);
        }
    }

    #[test]
    fn v2_a_malformed_requirement_names_the_place() {
        for (bad, column) in [
            ("", 1),
            (">=", 3),
            (">= 1.2", 4),
            ("1.2.3 but 2.0.0", 7),
            ("1.2.3 and", 10),
            ("=> 1.0.0", 1),
        ] {
            let error = bad.parse::<VersionRequirement>().unwrap_err();
            assert_eq!(error.column, column, "{error}");
        }
    }
}
