//! Texts from outside, cut to a bounded length on a character boundary.

use alloc::string::String;
use serde::{Deserialize, Deserializer};

/// Cuts `text` after at most `bytes_max` bytes, never inside a character.
pub(crate) fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let mut end = bytes_max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}

pub(crate) fn short<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let mut text = Option::<String>::deserialize(d)?.unwrap_or_default();
    cut(&mut text, crate::limits::TEXT_BYTES_MAX);
    Ok(text)
}

pub(crate) fn short_option<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    let mut text = Option::<String>::deserialize(d)?;
    if let Some(text) = &mut text {
        cut(text, crate::limits::TEXT_BYTES_MAX);
    }
    Ok(text.filter(|t| !t.is_empty()))
}

pub(crate) fn message<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let mut text = Option::<String>::deserialize(d)?.unwrap_or_default();
    cut(&mut text, crate::limits::MESSAGE_BYTES_MAX);
    Ok(text)
}
