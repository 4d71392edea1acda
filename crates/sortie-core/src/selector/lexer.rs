//! A selector's text as tokens.

use super::error::Wrong;
use crate::Number;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    /// Letters, digits and `_`, beginning with none of the digits.
    Word(&'a str),
    /// What was between double quotes.
    Text(String),
    /// What was between slashes.
    Regex(String),
    Number(Number),
    /// One of [`SYMBOLS`].
    Symbol(&'static str),
    /// A character that begins no other token.
    Unknown,
    End,
}

/// The longer of two with the same beginning comes first.
const SYMBOLS: [&str; 12] = [
    "!~=", "~=", "==", "!=", ">=", "<=", ">", "<", "(", ")", "[", "]",
];

#[derive(Debug, Clone, Copy)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token, and the byte where it begins.
    pub(super) fn next(&mut self) -> Result<(usize, Token<'a>), Wrong> {
        self.skip(char::is_whitespace);
        let at = self.at;
        let rest = &self.text[at..];
        let token = match rest.chars().next() {
            None => Token::End,
            Some('"') => Token::Text(self.delimited('"', "a closing double quote")?),
            Some('/') => Token::Regex(self.delimited('/', "a closing \"/\"")?),
            Some(first) if is_number(rest) => Token::Number(self.number(first)?),
            Some(first) if is_word(first) => {
                self.skip(is_word);
                Token::Word(&self.text[at..self.at])
            }
            Some(_) => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => {
                    self.at += symbol.len();
                    Token::Symbol(symbol)
                }
                None => Token::Unknown,
            },
        };
        Ok((at, token))
    }

    /// What is between `end` and the next `end` that has no backslash before it. Only there is a
    /// backslash dropped; elsewhere it is itself, as in Edgehog.
    fn delimited(&mut self, end: char, expected: &'static str) -> Result<String, Wrong> {
        let mut inside = String::new();
        let mut rest = self.text[self.at..].char_indices().skip(1).peekable();
        while let Some((offset, found)) = rest.next() {
            if found == end {
                self.at += offset + 1;
                return Ok(inside);
            }
            let escaped = rest.next_if(|(_, next)| found == '\\' && *next == end);
            inside.push(escaped.map_or(found, |(_, end)| end));
        }
        Err(Wrong::at(self.text.len(), expected))
    }

    fn number(&mut self, first: char) -> Result<Number, Wrong> {
        const BEYOND: &str = "a number of at most 64 bits";
        let from = self.at;
        self.at += usize::from(first == '-');
        self.skip(|c| c.is_ascii_digit());
        let is_integer = !self.text[self.at..].starts_with('.');
        if !is_integer {
            self.at += 1;
            let point = self.at;
            self.skip(|c| c.is_ascii_digit());
            if self.at == point {
                return Err(Wrong::at(point, "a digit"));
            }
        }
        if self.text[self.at..].starts_with(|c| is_word(c) || c == '.') {
            return Err(Wrong::at(self.at, "the end of the number"));
        }
        let digits = &self.text[from..self.at];
        let number = if is_integer {
            digits.parse().ok().map(Number::Integer)
        } else {
            digits.parse().ok().map(Number::Float)
        };
        let finite = number.filter(|number| number.is_finite());
        finite.ok_or_else(|| Wrong::at(from, BEYOND))
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        let rest = &self.text[self.at..];
        self.at += rest.find(|c| !skipped(c)).unwrap_or(rest.len());
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_number(rest: &str) -> bool {
    let digits = rest.strip_prefix('-').unwrap_or(rest);
    digits.starts_with(|first: char| first.is_ascii_digit())
}
