//! The grammar of selectors, by recursive descent.
//!
//! ```text
//! any    := all ("or" all)*
//! all    := one ("and" one)*
//! one    := "(" any ")"
//!         | text ("in" | "not" "in" | "~=" | "!~=") "tags"
//!         | regex ("~=" | "!~=") "tags"
//!         | "attributes" "[" text "]" comparison value
//! value  := text | number | "true" | "false" | "now" "(" ")"
//!         | ("datetime" | "binaryblob") "(" text ")"
//! ```

use super::{
    error::Wrong,
    filter::{Comparison, Node, Pattern, Value},
    lexer::{Lexer, Token},
    regex::Regex,
};
use crate::{AttributeValue, Timestamp, TimestampError, base64, device::attribute_name};

/// Bounds what is stored with a Group.
const TEXT_BYTES_MAX: usize = 4096;
/// Bounds the recursion of parser and evaluation.
const DEPTH_MAX: usize = 64;
/// Bounds the memory of a selector, together with the size of each.
const REGEXES_MAX: usize = 16;

pub(super) fn parse(text: &str) -> Result<Node, Wrong> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Wrong::at(0, "a selector of at most 4096 bytes"));
    }
    let mut parser = Parser {
        lexer: Lexer::new(text),
        regexes: 0,
    };
    let node = parser.any(0)?;
    match parser.lexer.next()? {
        (_, Token::End) => Ok(node),
        (at, _) => Err(Wrong::at(at, "\"and\", \"or\" or the end")),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    regexes: usize,
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> Result<Node, Wrong> {
        let mut nodes = vec![self.all(depth)?];
        while self.takes_keyword("or") {
            nodes.push(self.all(depth)?);
        }
        Ok(Node::Any(nodes))
    }

    fn all(&mut self, depth: usize) -> Result<Node, Wrong> {
        let mut nodes = vec![self.one(depth)?];
        while self.takes_keyword("and") {
            nodes.push(self.one(depth)?);
        }
        Ok(Node::All(nodes))
    }

    fn one(&mut self, depth: usize) -> Result<Node, Wrong> {
        match self.lexer.next()? {
            (at, Token::Symbol("(")) if depth == DEPTH_MAX => {
                Err(Wrong::at(at, "at most 64 nested parentheses"))
            }
            (_, Token::Symbol("(")) => {
                let node = self.any(depth + 1)?;
                self.take(&Token::Symbol(")"), "\"and\", \"or\" or \")\"")?;
                Ok(node)
            }
            (_, Token::Word("attributes")) => self.attribute(),
            (at, Token::Text(text)) => self.tag(at, text),
            (at, Token::Regex(regex)) => self.regex(at, &regex),
            (at, _) => Err(Wrong::at(
                at,
                "a text in double quotes, a regular expression, \"attributes\" or \"(\"",
            )),
        }
    }

    fn tag(&mut self, at: usize, text: String) -> Result<Node, Wrong> {
        let (pattern, present) = match self.lexer.next()? {
            (_, Token::Word(word)) if word.eq_ignore_ascii_case("in") => {
                (Pattern::Exact(text), true)
            }
            (_, Token::Word(word)) if word.eq_ignore_ascii_case("not") => {
                self.keyword("in", "\"in\"")?;
                (Pattern::Exact(text), false)
            }
            (_, Token::Symbol("~=")) => (self.pattern(at, text)?, true),
            (_, Token::Symbol("!~=")) => (self.pattern(at, text)?, false),
            (at, _) => {
                let expected = "\"in\", \"not in\", \"~=\" or \"!~=\"";
                return Err(Wrong::at(at, expected));
            }
        };
        self.take(&Token::Word("tags"), "\"tags\"")?;
        Ok(Node::Tag { pattern, present })
    }

    fn regex(&mut self, at: usize, regex: &str) -> Result<Node, Wrong> {
        let present = match self.lexer.next()? {
            (_, Token::Symbol("~=")) => true,
            (_, Token::Symbol("!~=")) => false,
            (at, _) => return Err(Wrong::at(at, "\"~=\" or \"!~=\"")),
        };
        let pattern = self.compile(at, regex)?;
        self.take(&Token::Word("tags"), "\"tags\"")?;
        Ok(Node::Tag { pattern, present })
    }

    /// A glob, or a regular expression if slashes are around it.
    fn pattern(&mut self, at: usize, text: String) -> Result<Pattern, Wrong> {
        match text.strip_prefix('/').and_then(|it| it.strip_suffix('/')) {
            Some(regex) => self.compile(at, regex),
            None => Ok(Pattern::Glob(text)),
        }
    }

    fn compile(&mut self, at: usize, regex: &str) -> Result<Pattern, Wrong> {
        self.regexes += 1;
        if self.regexes > REGEXES_MAX {
            return Err(Wrong::at(at, "at most 16 regular expressions"));
        }
        let refused = |why| Wrong::at(at, format!("a regular expression without error ({why})"));
        Regex::new(regex).map(Pattern::Regex).map_err(refused)
    }

    fn attribute(&mut self) -> Result<Node, Wrong> {
        self.take(&Token::Symbol("["), "\"[\"")?;
        let (at, name) = self.text()?;
        match name.split_once(':') {
            Some((namespace, key)) if !namespace.is_empty() && !key.is_empty() => {}
            _ => return Err(Wrong::at(at, "a namespace, \":\" and a key")),
        }
        self.take(&Token::Symbol("]"), "\"]\"")?;
        let (at, comparison) = self.comparison()?;
        let value = self.value()?;
        let is_equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if !is_equality && !value.has_order() {
            let expected = "\"==\" or \"!=\", since only numbers and times have an order,";
            return Err(Wrong::at(at, expected));
        }
        Ok(Node::Attribute {
            name: attribute_name(&name),
            comparison,
            value,
        })
    }

    fn comparison(&mut self) -> Result<(usize, Comparison), Wrong> {
        let (at, token) = self.lexer.next()?;
        let comparison = match token {
            Token::Symbol("==") => Comparison::Equal,
            Token::Symbol("!=") => Comparison::NotEqual,
            Token::Symbol(">") => Comparison::Greater,
            Token::Symbol(">=") => Comparison::GreaterOrEqual,
            Token::Symbol("<") => Comparison::Less,
            Token::Symbol("<=") => Comparison::LessOrEqual,
            _ => return Err(Wrong::at(at, r#""==", "!=", ">", ">=", "<" or "<=""#)),
        };
        Ok((at, comparison))
    }

    fn value(&mut self) -> Result<Value, Wrong> {
        let value: AttributeValue = match self.lexer.next()? {
            (_, Token::Text(text)) => text.into(),
            (_, Token::Number(number)) => number.into(),
            (_, Token::Word("true")) => true.into(),
            (_, Token::Word("false")) => false.into(),
            (_, Token::Word("now")) => {
                self.take(&Token::Symbol("("), "\"(\"")?;
                self.take(&Token::Symbol(")"), "\")\"")?;
                return Ok(Value::Now);
            }
            (_, Token::Word("datetime")) => self.datetime()?.into(),
            (_, Token::Word("binaryblob")) => self.binary_blob()?.into(),
            (at, _) => {
                let expected = "a text, a number, true, false, now(), datetime(\"…\") \
                    or binaryblob(\"…\")";
                return Err(Wrong::at(at, expected));
            }
        };
        Ok(Value::Is(value))
    }

    fn datetime(&mut self) -> Result<Timestamp, Wrong> {
        let (at, text) = self.argument()?;
        // What stands before the error are characters of a time, of one byte each; and one quote.
        text.parse()
            .map_err(|error: TimestampError| Wrong::at(at + error.column, error.expected))
    }

    fn binary_blob(&mut self) -> Result<Vec<u8>, Wrong> {
        let (at, text) = self.argument()?;
        base64::decode(&text).ok_or_else(|| Wrong::at(at + 1, "base64 with padding"))
    }

    fn argument(&mut self) -> Result<(usize, String), Wrong> {
        self.take(&Token::Symbol("("), "\"(\"")?;
        let argument = self.text()?;
        self.take(&Token::Symbol(")"), "\")\"")?;
        Ok(argument)
    }

    fn text(&mut self) -> Result<(usize, String), Wrong> {
        match self.lexer.next()? {
            (at, Token::Text(text)) => Ok((at, text)),
            (at, _) => Err(Wrong::at(at, "a text in double quotes")),
        }
    }

    fn take(&mut self, token: &Token<'_>, expected: &'static str) -> Result<(), Wrong> {
        match self.lexer.next()? {
            (_, found) if found == *token => Ok(()),
            (at, _) => Err(Wrong::at(at, expected)),
        }
    }

    fn keyword(&mut self, keyword: &str, expected: &'static str) -> Result<(), Wrong> {
        match self.lexer.next()? {
            (_, Token::Word(word)) if word.eq_ignore_ascii_case(keyword) => Ok(()),
            (at, _) => Err(Wrong::at(at, expected)),
        }
    }

    /// Takes a word if it is next, in upper or lower case.
    fn takes_keyword(&mut self, keyword: &str) -> bool {
        let mut ahead = self.lexer;
        let found = matches!(
            ahead.next(),
            Ok((_, Token::Word(word))) if word.eq_ignore_ascii_case(keyword)
        );
        if found {
            self.lexer = ahead;
        }
        found
    }
}
