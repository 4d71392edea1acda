//! What keeps an example from running, for the person who started it.

use std::fmt;

/// One sentence for people: what is wrong and, where that is not plain, what to do.
///
/// The examples have no other errors: nobody catches one, they are shown and the program ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(String);

impl Problem {
    /// A problem, as a sentence without its full stop.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// `what`, and the error that it comes from with its causes, as one sentence.
    pub fn because(what: impl fmt::Display, error: &dyn std::error::Error) -> Self {
        let mut sentence = format!("{what}: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors tell their cause themselves.
            if !sentence.contains(&text) {
                sentence = format!("{sentence}: {text}");
            }
            cause = error.source();
        }
        Self(sentence)
    }
}
