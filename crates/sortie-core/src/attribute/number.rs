//! Integers and floats as one numeric type (rule T3).

use std::{cmp::Ordering, fmt};

/// A number. Its two forms compare by what they stand for, exactly: 42 is 42.0, and no integer is
/// rounded to be compared. Not-a-number is neither less than, equal to nor greater than anything.
///
/// ```
/// # use sortie_core::Number;
/// assert_eq!(Number::from(42_i64), Number::from(42.0));
/// // As floats these were equal.
/// assert!(Number::from((1_i64 << 53) + 1) > Number::from(9_007_199_254_740_992.0));
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// A whole number.
    Integer(i64),
    /// Any other.
    Float(f64),
}

impl Number {
    /// Whether it is neither infinite nor not-a-number, so that it can be written in JSON.
    pub fn is_finite(self) -> bool {
        match self {
            Self::Integer(_) => true,
            Self::Float(float) => float.is_finite(),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Integer(a), Self::Float(b)) => compare(*a, *b),
            (Self::Float(a), Self::Integer(b)) => compare(*b, *a).map(Ordering::reverse),
        }
    }
}

fn compare(integer: i64, float: f64) -> Option<Ordering> {
    /// The least float above all `i64`; its negative is their minimum.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        return None;
    }
    if float >= BEYOND {
        return Some(Ordering::Less);
    }
    if float < -BEYOND {
        return Some(Ordering::Greater);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "in range, and meant to be cut"
    )]
    let whole = float as i64;
    let rest = 0.0_f64.partial_cmp(&float.fract())?;
    Some(integer.cmp(&whole).then(rest))
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}
impl From<i32> for Number {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}
impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}
impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(integer) => integer.fmt(f),
            Self::Float(float) => float.fmt(f),
        }
    }
}
