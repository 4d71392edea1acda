//! The languages that texts for people are in.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{ids::ParseError, text::serde_as_text};

/// A language as a BCP 47 tag, such as `en` or `pt-BR`.
///
/// Its form is checked, not whether the registry has its parts: a first part of 2 to 8 letters, then
/// parts of 1 to 8 letters or digits, 35 bytes at most. Case says nothing in a tag, so it is brought
/// to the form that RFC 5646 recommends, in which equal tags are equal texts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(Arc<str>);

/// Every registered tag is shorter (RFC 5646, 4.4.1).
const TAG_BYTES_MAX: usize = 35;

impl Language {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Language {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = |why: &str| Err(ParseError::new("language", text, why));
        if text.len() > TAG_BYTES_MAX {
            return wrong("it is longer than 35 bytes");
        }
        let mut tag = String::with_capacity(text.len());
        let mut after_singleton = false;
        for (n, part) in text.split('-').enumerate() {
            let letters = part.chars().all(|c| c.is_ascii_alphabetic());
            if n == 0 && !(letters && (2..=8).contains(&part.len())) {
                return wrong("it begins with 2 to 8 letters, such as en or pt-BR");
            }
            if !(1..=8).contains(&part.len()) || !part.chars().all(|c| c.is_ascii_alphanumeric()) {
                return wrong("between its hyphens are 1 to 8 letters or digits");
            }
            let mut part = part.to_ascii_lowercase();
            if n > 0 {
                tag.push('-');
                // RFC 5646, 2.1.1: a region is written `BR`, a script `Latn`.
                match part.len() {
                    _ if after_singleton => {}
                    2 => part.make_ascii_uppercase(),
                    4 => part[..1].make_ascii_uppercase(),
                    _ => {}
                }
            }
            after_singleton |= part.len() == 1;
            tag.push_str(&part);
        }
        Ok(Self(tag.into()))
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

serde_as_text!(Language);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_tags_are_equal_texts() {
        for (written, kept) in [
            ("en", "en"),
            ("EN", "en"),
            ("pt-br", "pt-BR"),
            ("zh-hANS-cn", "zh-Hans-CN"),
            ("sl-ROZAJ-biske-1994", "sl-rozaj-biske-1994"),
            ("es-419", "es-419"),
            ("en-ca-x-CA", "en-CA-x-ca"),
        ] {
            assert_eq!(written.parse::<Language>().unwrap().as_str(), kept);
            assert_eq!(kept.parse::<Language>().unwrap().as_str(), kept);
        }
    }

    #[test]
    fn what_is_no_tag_is_refused_and_named() {
        let long = ["en", &"-abcdefgh".repeat(4)].concat();
        for bad in [
            "", "e", "-en", "en-", "en--US", "en_US", "english!", "12", "én", &long,
        ] {
            let error = bad.parse::<Language>().unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }
}
