//! A parsed selector, and whether it holds.

use std::cmp::Ordering;

use super::{glob, regex::Regex};
use crate::{AttributeValue, Device, Timestamp};

#[derive(Debug, Clone)]
pub(super) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    /// A tag that fits: there is one, or there is none.
    Tag {
        pattern: Pattern,
        present: bool,
    },
    Attribute {
        name: String,
        comparison: Comparison,
        value: Value,
    },
}

#[derive(Debug, Clone)]
pub(super) enum Pattern {
    Exact(String),
    Glob(String),
    Regex(Regex),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Now,
    Is(AttributeValue),
}

impl Node {
    pub(super) fn holds(&self, device: &Device, now: Timestamp) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(device, now)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(device, now)),
            Self::Tag { pattern, present } => pattern.is_in(device) == *present,
            Self::Attribute {
                name,
                comparison,
                value,
            } => device
                .attributes()
                .get(name)
                .and_then(|attribute| value.order_of(attribute, now))
                .is_some_and(|order| comparison.holds(order)),
        }
    }
}

impl Pattern {
    fn is_in(&self, device: &Device) -> bool {
        let mut tags = device.tags().iter();
        match self {
            Self::Exact(tag) => device.tags().contains(tag),
            Self::Glob(glob) => tags.any(|tag| glob::fits(glob, tag)),
            Self::Regex(regex) => tags.any(|tag| regex.fits(tag)),
        }
    }
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order == Ordering::Equal,
            Self::NotEqual => order != Ordering::Equal,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
        }
    }
}

impl Value {
    /// How `attribute` compares with it; nothing, if it is of another type.
    fn order_of(&self, attribute: &AttributeValue, now: Timestamp) -> Option<Ordering> {
        use AttributeValue::{BinaryBlob, Boolean, Datetime, Number, Text};
        match (attribute, self) {
            (Datetime(a), Self::Now) => Some(a.cmp(&now)),
            (Datetime(a), Self::Is(Datetime(b))) => Some(a.cmp(b)),
            (Boolean(a), Self::Is(Boolean(b))) => Some(a.cmp(b)),
            (Number(a), Self::Is(Number(b))) => a.partial_cmp(b),
            (Text(a), Self::Is(Text(b))) => Some(a.cmp(b)),
            (BinaryBlob(a), Self::Is(BinaryBlob(b))) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// Whether `>`, `>=`, `<` and `<=` mean something.
    pub(super) fn has_order(&self) -> bool {
        use AttributeValue::{Datetime, Number};
        matches!(self, Self::Now | Self::Is(Datetime(_) | Number(_)))
    }
}
