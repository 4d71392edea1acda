//! Selectors: which devices a Group holds (rule T3).

mod error;
mod filter;
mod glob;
mod lexer;
mod parser;
mod regex;

use std::{fmt, str::FromStr};

pub use error::SelectorError;

use crate::{Device, Timestamp, text::serde_as_text};
use filter::Node;

/// A filter over a device's tags and attributes, in Edgehog's syntax (rule T3).
///
/// | form | holds for a device |
/// |---|---|
/// | `"x" in tags`, `"x" not in tags` | with, without the tag |
/// | `"gw-*" ~= tags`, `"gw-*" !~= tags` | with a tag, without any tag that the glob fits |
/// | `/^gw-\d+$/ ~= tags`, `… !~= tags` | the same with a regular expression |
/// | `attributes["custom:floor"] >= 3` | whose attribute compares so: `==`, `!=`, `>`, `>=`, `<`, `<=` |
///
/// These join with `and` (which binds tighter) and `or`, and parentheses. `and`, `or`, `in` and
/// `not` may be in upper case. In a text, `\"` is a double quote.
///
/// A **glob** fits a whole tag: `*` is any run of characters, `?` is one character. A **regular
/// expression** fits anywhere in a tag unless it is anchored by `^` and `$`; between slashes, `\/`
/// is a slash; `"/…/"` is one, too. Its syntax is that of the crate `regex-lite`: no look-around,
/// no references back, classes such as `\d` are ASCII. So it runs in time linear in the tag.
///
/// A **value** is a text `"x"`, a number `-12` or `0.5`, `true`, `false`, a time `now()` or
/// `datetime("2026-01-02T03:04:05Z")`, or bytes `binaryblob("Zm9vYmFy")` in base64. Numbers and
/// times have an order; the others only `==` and `!=`. Integers and floats compare as one type,
/// exactly (see [`Number`](crate::Number)).
///
/// A filter on an attribute holds only for devices that have the attribute, with a value of the
/// filter's type: `!=` holds neither without the attribute nor for another type.
///
/// ```
/// # use sortie_core::{Device, Selector, Timestamp};
/// let due: Selector = r#""pilot" in tags and attributes["custom:serviced"] < now()"#.parse()?;
/// let serviced: Timestamp = "2026-01-02T03:04:05Z".parse()?;
/// let device = Device::new("gw-1", "gateway-g2")?.tag("pilot").attribute("custom:serviced", serviced);
/// assert!(due.matches(&device, "2026-02-01T00:00:00Z".parse()?));
/// assert!(!due.matches(&device, serviced));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A selector has at most 4,096 bytes, 64 nested parentheses and 16 regular expressions, each at
/// most 64 KiB when compiled.
///
/// Where it differs from Edgehog: a namespace and a key may have any characters (Edgehog's
/// documentation has keys that its parser refuses); spaces may be left out where nothing runs
/// together; `%`, `_` and `\` in a glob are themselves (Edgehog hands them to `LIKE`); an integer has
/// at most 64 bits; a time ends in `Z`; base64 has its padding and no stray bits; and the dialect of
/// regular expressions is another than the database's.
#[derive(Debug, Clone)]
pub struct Selector {
    text: String,
    node: Node,
}

impl Selector {
    /// Whether the selector holds for `device`, at `now`.
    pub fn matches(&self, device: &Device, now: Timestamp) -> bool {
        self.node.holds(device, now)
    }

    /// The selector as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let node = parser::parse(text).map_err(|wrong| wrong.in_text(text))?;
        Ok(Self {
            text: text.into(),
            node,
        })
    }
}

impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        // What it means follows from its text.
        self.text == other.text
    }
}

impl Eq for Selector {}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

serde_as_text!(Selector);
