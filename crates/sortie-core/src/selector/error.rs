//! What is wrong with a selector, and where.

/// A selector is malformed: the column, from 1, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("selector {text:?}: column {column}: {expected} is expected")]
pub struct SelectorError {
    /// The selector, cut to a printable length.
    pub text: String,
    /// Where, in characters from 1.
    pub column: usize,
    /// What would have been right there.
    pub expected: String,
}

/// What is expected at a byte of the text.
#[derive(Debug)]
pub(super) struct Wrong {
    at: usize,
    expected: String,
}

impl Wrong {
    pub(super) fn at(at: usize, expected: impl Into<String>) -> Self {
        Self {
            at,
            expected: expected.into(),
        }
    }

    pub(super) fn in_text(self, text: &str) -> SelectorError {
        SelectorError {
            text: text.chars().take(120).collect(),
            column: text[..self.at].chars().count() + 1,
            expected: self.expected,
        }
    }
}
