//! A requirement's text: comparisons, `and` and `or`.
//!
//! White space means what it means to Elixir's lexer: a comparison begins wherever its symbol
//! stands, `and` and `or` only with a space on both sides, and a version ends at either or at a
//! space.

use std::mem;

use super::{Condition, operand};

/// What is wrong: the byte where it stands, and what was expected there.
pub(super) type Wrong = (usize, &'static str);

/// Bounds what is stored with a Base Image.
const TEXT_BYTES_MAX: usize = 1024;

#[derive(Debug, Clone, Copy)]
enum Symbol {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Within,
}

#[derive(Debug, Clone, Copy)]
enum Token<'a> {
    Symbol(Symbol),
    And,
    Or,
    /// Anything else; to be a version, if it is one.
    Word(&'a str),
    End,
}

/// What ends a word, and is a token unless it is a space. The first that fits counts.
const SEPARATORS: [(&str, Option<Token<'static>>); 11] = [
    (">=", Some(Token::Symbol(Symbol::GreaterOrEqual))),
    ("<=", Some(Token::Symbol(Symbol::LessOrEqual))),
    ("~>", Some(Token::Symbol(Symbol::Within))),
    ("==", Some(Token::Symbol(Symbol::Equal))),
    ("!=", Some(Token::Symbol(Symbol::NotEqual))),
    (">", Some(Token::Symbol(Symbol::Greater))),
    ("<", Some(Token::Symbol(Symbol::Less))),
    ("!", Some(Token::Symbol(Symbol::NotEqual))),
    (" and ", Some(Token::And)),
    (" or ", Some(Token::Or)),
    (" ", None),
];

/// The alternatives, each being all of its conditions.
pub(super) fn parse(text: &str) -> Result<Vec<Vec<Condition>>, Wrong> {
    if text.len() > TEXT_BYTES_MAX {
        return Err((0, "a requirement of at most 1024 bytes"));
    }
    let mut tokens = tokens(text).into_iter();
    let mut next = || tokens.next().unwrap_or((text.len(), Token::End));
    let mut any = vec![];
    let mut all = vec![];
    loop {
        all.push(condition(&mut next)?);
        match next() {
            (_, Token::And) => {}
            (_, Token::Or) => any.push(mem::take(&mut all)),
            (_, Token::End) => break,
            (at, _) => return Err((at, "\" and \", \" or \" or the end")),
        }
    }
    any.push(all);
    Ok(any)
}

fn condition<'a>(next: &mut impl FnMut() -> (usize, Token<'a>)) -> Result<Condition, Wrong> {
    let (symbol, (at, token), expected) = match next() {
        (_, Token::Symbol(symbol)) => (symbol, next(), "a version"),
        bare => (Symbol::Equal, bare, "a comparison or a version"),
    };
    match token {
        Token::Word(word) if word.starts_with(|first: char| first.is_ascii_digit()) => {
            of(symbol, word).map_err(|(offset, expected)| (at + offset, expected))
        }
        _ => Err((at, expected)),
    }
}

fn of(symbol: Symbol, word: &str) -> Result<Condition, Wrong> {
    Ok(match symbol {
        Symbol::Equal => Condition::Equal(operand::full(word)?),
        Symbol::NotEqual => Condition::NotEqual(operand::full(word)?),
        Symbol::Greater => Condition::Greater(operand::full(word)?),
        Symbol::GreaterOrEqual => Condition::GreaterOrEqual(operand::full(word)?),
        Symbol::Less => Condition::Less(operand::full(word)?),
        Symbol::LessOrEqual => Condition::LessOrEqual(operand::full(word)?),
        Symbol::Within => {
            let (from, below) = operand::range(word)?;
            Condition::Within(from, below)
        }
    })
}

/// The tokens, each with the byte where it stands.
fn tokens(text: &str) -> Vec<(usize, Token<'_>)> {
    let mut tokens = vec![];
    let mut word_from = 0;
    for (at, _) in text.char_indices() {
        // Inside of a separator that was taken whole.
        if at < word_from {
            continue;
        }
        let rest = &text[at..];
        let Some((separator, token)) = SEPARATORS.iter().find(|it| rest.starts_with(it.0)) else {
            continue;
        };
        if word_from < at {
            tokens.push((word_from, Token::Word(&text[word_from..at])));
        }
        let spaces = separator.len() - separator.trim_start().len();
        tokens.extend(token.map(|token| (at + spaces, token)));
        word_from = at + separator.len();
    }
    if word_from < text.len() {
        tokens.push((word_from, Token::Word(&text[word_from..])));
    }
    tokens
}
