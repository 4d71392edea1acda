//! Regular expressions over tags.

use regex_lite::RegexBuilder;

/// A compiled regular expression. A search takes time in the length of the tag times its compiled
/// size, and memory in its size; so the size is bounded.
#[derive(Debug, Clone)]
pub(super) struct Regex(regex_lite::Regex);

/// Some 2,000 states.
const COMPILED_BYTES_MAX: usize = 64 * 1024;
/// Bounds the recursion of the compiler.
const DEPTH_MAX: u32 = 32;

impl Regex {
    /// Compiles it, or says why it can't.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let compiled = RegexBuilder::new(pattern)
            // As in PostgreSQL, which searches for Edgehog.
            .dot_matches_new_line(true)
            .size_limit(COMPILED_BYTES_MAX)
            .nest_limit(DEPTH_MAX)
            .build();
        compiled.map(Self).map_err(|error| error.to_string())
    }

    /// Whether it fits somewhere in `tag`.
    pub(super) fn fits(&self, tag: &str) -> bool {
        self.0.is_match(tag)
    }
}
