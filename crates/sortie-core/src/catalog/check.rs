//! Checking what comes from outside: every size has a limit, every error its field (S3).

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    str::FromStr,
};

use super::Language;
use crate::Invalid;

/// A name or display name; a line for people.
pub(super) const NAME_BYTES_MAX: usize = 256;
pub(super) const PART_NUMBER_BYTES_MAX: usize = 128;
pub(super) const PART_NUMBERS_MAX: usize = 1_000;
/// Of one kind of text of an image.
pub(super) const LANGUAGES_MAX: usize = 100;
pub(super) const DESCRIPTION_BYTES_MAX: usize = 16 << 10;
pub(super) const RELEASE_NOTES_BYTES_MAX: usize = 64 << 10;
/// A request has room for this much of a version.
pub(super) const VERSION_BYTES_MAX: usize = sortie_protocol::limits::TEXT_BYTES_MAX;
/// Of one Group.
pub(super) const DEVICES_MAX: usize = 100_000;
/// Of one Channel.
pub(super) const GROUPS_MAX: usize = 1_000;
pub(super) const BASE_IMAGES_MAX: usize = 100_000;
/// Of each other kind: System Models, Collections, Groups and Channels.
pub(super) const OF_A_KIND_MAX: usize = 10_000;
/// What one declaration writes is one commit, and a store takes 64 MiB of JSON at once.
pub(super) const DECLARATION_BYTES_MAX: usize = 32 << 20;

/// The errors of one thing that is declared.
pub(super) struct Check {
    /// Where it is in the draft, such as `groups.pilot`.
    pub(super) field: String,
    pub(super) invalid: Invalid,
}

impl Check {
    pub(super) fn new(kind: &str, handle: &str) -> Self {
        Self {
            field: format!("{kind}.{}", shown(handle)),
            invalid: Invalid::default(),
        }
    }

    /// Something is wrong with a part of it; `""` is the whole.
    pub(super) fn wrong(&mut self, part: &str, why: impl fmt::Display) {
        let field = &self.field;
        let field = if part.is_empty() {
            field.clone()
        } else {
            format!("{field}.{part}")
        };
        self.invalid.add(field, why);
    }

    pub(super) fn parse<T: FromStr<Err: fmt::Display>>(
        &mut self,
        part: &str,
        text: &str,
    ) -> Option<T> {
        text.parse().map_err(|error| self.wrong(part, error)).ok()
    }

    /// What is left out is right.
    pub(super) fn parse_any<T: FromStr<Err: fmt::Display>>(
        &mut self,
        part: &str,
        text: Option<&str>,
    ) -> Option<T> {
        text.and_then(|text| self.parse(part, text))
    }

    /// A name for people.
    pub(super) fn name(&mut self, name: Option<&str>) {
        if let Some(name) = name {
            self.line("name", name, NAME_BYTES_MAX);
        }
    }

    /// One line of text that is not blank.
    pub(super) fn line(&mut self, part: &str, text: &str, max: usize) {
        if text.contains(char::is_control) {
            let why = format!("{:?} has a control character", shown(text));
            self.wrong(part, why);
        }
        self.text(part, text, max);
    }

    /// Text that is not blank.
    pub(super) fn text(&mut self, part: &str, text: &str, max: usize) {
        if text.trim().is_empty() {
            self.wrong(part, "it is empty");
        }
        if text.len() > max {
            let why = format!("{} bytes are too long, {max} is the limit", text.len());
            self.wrong(part, why);
        }
    }

    pub(super) fn at_most(&mut self, part: &str, count: usize, max: usize) {
        if count > max {
            self.wrong(part, format!("{count} are too many, {max} is the limit"));
        }
    }

    /// Texts of one kind, by language.
    pub(super) fn texts(
        &mut self,
        part: &str,
        texts: &BTreeMap<String, String>,
        check: impl Fn(&mut Self, &str, &str),
    ) -> BTreeMap<Language, String> {
        self.at_most(part, texts.len(), LANGUAGES_MAX);
        let mut all = BTreeMap::new();
        for (tag, text) in texts {
            let part = format!("{part}.{}", shown(tag));
            let Some(language) = self.parse::<Language>(&part, tag) else {
                continue;
            };
            check(self, &part, text);
            match all.entry(language) {
                Entry::Vacant(entry) => drop(entry.insert(text.clone())),
                Entry::Occupied(entry) => {
                    let why = format!("there is a text in {} already", entry.key());
                    self.wrong(&part, why);
                }
            }
        }
        all
    }
}

/// A text as an error shows it, cut to a printable length.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
