//! Selectors: which devices a Group holds.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{Device, text::serde_as_text};

/// A filter over a device's tags, in Edgehog's syntax (rule T3): `"x" in tags`,
/// `"x" not in tags`, joined with `and` (which binds tighter) and `or`, and parentheses.
///
/// ```
/// # use sortie_core::{Device, Selector};
/// let pilot: Selector = r#""pilot" in tags and "frozen" not in tags"#.parse()?;
/// assert!(pilot.matches(&Device::new("gw-1", "gateway-g2")?.tag("pilot")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    text: String,
    node: Node,
}

/// A selector is malformed: the column, from 1, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("selector {text:?}: column {column}: {expected} is expected")]
pub struct SelectorError {
    /// The selector, cut to a printable length.
    pub text: String,
    /// Where, in characters from 1.
    pub column: usize,
    /// What would have been right there.
    pub expected: &'static str,
}

/// Bounds the recursion of parser and evaluation.
const DEPTH_MAX: usize = 64;
/// Bounds what is stored with a Group.
const TEXT_BYTES_MAX: usize = 4096;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Tag { tag: String, present: bool },
    All(Vec<Node>),
    Any(Vec<Node>),
}

impl Selector {
    /// Whether the selector holds for `device`.
    pub fn matches(&self, device: &Device) -> bool {
        self.node.matches(device.tags())
    }

    /// The selector as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Node {
    fn matches(&self, tags: &BTreeSet<String>) -> bool {
        match self {
            Self::Tag { tag, present } => tags.contains(tag) == *present,
            Self::All(nodes) => nodes.iter().all(|node| node.matches(tags)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(tags)),
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser { text, at: 0 };
        if text.len() > TEXT_BYTES_MAX {
            return Err(parser.expected("a selector of at most 4096 bytes"));
        }
        let node = parser.any(0)?;
        parser.space();
        if parser.at < text.len() {
            return Err(parser.expected("\"and\", \"or\" or the end"));
        }
        Ok(Self {
            text: text.into(),
            node,
        })
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> Result<Node, SelectorError> {
        let mut nodes = vec![self.all(depth)?];
        while self.word("or") {
            nodes.push(self.all(depth)?);
        }
        Ok(single(nodes, Node::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Node, SelectorError> {
        let mut nodes = vec![self.one(depth)?];
        while self.word("and") {
            nodes.push(self.one(depth)?);
        }
        Ok(single(nodes, Node::All))
    }

    fn one(&mut self, depth: usize) -> Result<Node, SelectorError> {
        if depth == DEPTH_MAX {
            return Err(self.expected("fewer nested parentheses"));
        }
        self.space();
        if self.symbol('(') {
            let node = self.any(depth + 1)?;
            self.space();
            return if self.symbol(')') {
                Ok(node)
            } else {
                Err(self.expected("\")\""))
            };
        }
        let tag = self.quoted()?;
        let present = !self.word("not");
        if !self.word("in") {
            return Err(self.expected(if present {
                "\"in\" or \"not in\""
            } else {
                "\"in\""
            }));
        }
        if !self.word("tags") {
            return Err(self.expected("\"tags\""));
        }
        Ok(Node::Tag { tag, present })
    }

    fn quoted(&mut self) -> Result<String, SelectorError> {
        if !self.symbol('"') {
            return Err(self.expected("a tag in double quotes or \"(\""));
        }
        let rest = &self.text[self.at..];
        let Some(length) = rest.find('"') else {
            self.at = self.text.len();
            return Err(self.expected("a closing double quote"));
        };
        self.at += length + 1;
        Ok(rest[..length].into())
    }

    fn space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn symbol(&mut self, symbol: char) -> bool {
        let found = self.text[self.at..].starts_with(symbol);
        self.at += if found { symbol.len_utf8() } else { 0 };
        found
    }

    fn word(&mut self, word: &str) -> bool {
        self.space();
        let rest = &self.text[self.at..];
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let found = rest.strip_prefix(word).is_some_and(ends);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn expected(&self, expected: &'static str) -> SelectorError {
        SelectorError {
            text: self.text.chars().take(120).collect(),
            column: self.text[..self.at].chars().count() + 1,
            expected,
        }
    }
}

fn single(mut nodes: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(node) if nodes.is_empty() => node,
        Some(last) => {
            nodes.push(last);
            many(nodes)
        }
        None => many(nodes),
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

serde_as_text!(Selector);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t3_and_binds_tighter_than_or_and_parentheses_group() {
        let device = |tags: &[&str]| {
            tags.iter()
                .fold(Device::new("d", "m").unwrap(), |device, tag| {
                    device.tag(tag)
                })
        };
        for (text, tags, matches) in [
            (r#""a" in tags"#, &["a"][..], true),
            (r#""a" not in tags"#, &["a"], false),
            (
                r#""a" in tags or "b" in tags and "c" in tags"#,
                &["a"],
                true,
            ),
            (
                r#"("a" in tags or "b" in tags) and "c" in tags"#,
                &["a"],
                false,
            ),
            (r#" "a b" in tags and("c"in tags)"#, &["a b", "c"], true),
        ] {
            let selector: Selector = text.parse().unwrap();
            assert_eq!(
                selector.matches(&device(tags)),
                matches,
                "{text} on {tags:?}"
            );
            assert_eq!(selector.to_string(), text);
        }
    }

    #[test]
    fn t3_a_malformed_selector_is_refused_with_the_column_and_what_was_expected() {
        for (text, column, expected) in [
            ("", 1, "double quotes"),
            (r#""a"#, 3, "closing"),
            (r#""a" on tags"#, 5, "in"),
            (r#""a" in tag"#, 8, "tags"),
            (r#""a" in tags "b""#, 13, "and"),
            (r#"("a" in tags"#, 13, ")"),
            (r#""ä" in tags andy"#, 13, "and"),
        ] {
            let error = text.parse::<Selector>().unwrap_err();
            assert_eq!(error.column, column, "{error}");
            assert!(error.expected.contains(expected), "{error}");
        }
        let deep = "(".repeat(100_000);
        assert!(deep.parse::<Selector>().is_err());
    }
}
