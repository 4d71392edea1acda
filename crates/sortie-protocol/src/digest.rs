//! The digest that names an artifact's bytes.

use alloc::string::String;
use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::IdError;

/// A SHA-256 digest; 64 hexadecimal digits as text and in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl FromStr for Sha256 {
    type Err = IdError;
    fn from_str(hex: &str) -> Result<Self, IdError> {
        let wrong = || IdError::new("SHA-256 digest", hex, "64 hexadecimal digits are expected");
        let digits = hex.as_bytes();
        if digits.len() != 64 {
            return Err(wrong());
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).ok_or_else(wrong);
            // Two digits below 16 make a value below 256.
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).map_err(|_| wrong())?;
        }
        Ok(Self(digest))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let hex = String::deserialize(d)?;
        hex.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_digest_survives_text_and_a_malformed_one_is_named() {
        let digest = Sha256(core::array::from_fn(|i| u8::try_from(i * 7).unwrap()));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for bad in ["", "00", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(bad.parse::<Sha256>().unwrap_err().value, bad);
        }
    }
}
