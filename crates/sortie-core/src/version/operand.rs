//! The version after a comparison.
//!
//! Its grammar is SemVer's, read here and not by `semver`, so that an error has a place.

use semver::{Prerelease, Version};

use super::parser::Wrong;

/// Elixir's bound for a number, which keeps it far below 2⁶⁴.
const DIGITS_MAX: usize = 14;

const NUMBER: &str = "a number of at most 14 digits without a leading zero";
const IDENTIFIER: &str = "an identifier of letters, digits and hyphens";

/// A version with all three numbers.
pub(super) fn full(word: &str) -> Result<Version, Wrong> {
    let operand = read(word)?;
    match operand.patch {
        Some(patch) => Ok(version(operand.major, operand.minor, patch, operand.pre)),
        None => Err((operand.numbers_end, "\".\" and a patch number")),
    }
}

/// What `~>` means: from a version, whose patch number may be missing, below the next minor
/// version, or the next major one if it is missing. Below: pre-releases of it are out as well.
pub(super) fn range(word: &str) -> Result<(Version, Version), Wrong> {
    let Operand {
        major,
        minor,
        patch,
        pre,
        ..
    } = read(word)?;
    // No pre-release is less than the number 0.
    let least = Prerelease::new("0").unwrap_or_default();
    Ok(match patch {
        Some(patch) => (
            version(major, minor, patch, pre),
            version(major, minor + 1, 0, least),
        ),
        None => (
            version(major, minor, 0, pre),
            version(major + 1, 0, 0, least),
        ),
    })
}

fn version(major: u64, minor: u64, patch: u64, pre: Prerelease) -> Version {
    Version {
        pre,
        ..Version::new(major, minor, patch)
    }
}

struct Operand {
    major: u64,
    minor: u64,
    patch: Option<u64>,
    pre: Prerelease,
    /// The byte after the last of the numbers.
    numbers_end: usize,
}

fn read(word: &str) -> Result<Operand, Wrong> {
    let (rest, build) = cut(word, '+');
    let (core, pre) = cut(rest, '-');
    let (major, minor, patch) = numbers(core)?;
    if let Some(pre) = pre {
        each(pre, core.len() + 1, |part| {
            let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
            identifier(part)?;
            if is_number {
                number(part).map(drop)
            } else {
                Ok(())
            }
        })?;
    }
    if let Some(build) = build {
        each(build, rest.len() + 1, identifier)?;
    }
    Ok(Operand {
        major,
        minor,
        patch,
        // Its parts were looked at one by one.
        pre: Prerelease::new(pre.unwrap_or("")).map_err(|_| (core.len(), IDENTIFIER))?,
        numbers_end: core.len(),
    })
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// `major.minor` or `major.minor.patch`.
fn numbers(core: &str) -> Result<(u64, u64, Option<u64>), Wrong> {
    let mut numbers = vec![];
    each(core, 0, |part| {
        if numbers.len() == 3 {
            return Err("nothing after the third number");
        }
        numbers.push(number(part)?);
        Ok(())
    })?;
    match numbers[..] {
        [major, minor] => Ok((major, minor, None)),
        [major, minor, patch] => Ok((major, minor, Some(patch))),
        _ => Err((core.len(), "\".\" and a minor number")),
    }
}

/// Checks what stands between dots, in a text that begins at byte `at`.
fn each(
    text: &str,
    at: usize,
    mut check: impl FnMut(&str) -> Result<(), &'static str>,
) -> Result<(), Wrong> {
    let mut at = at;
    for part in text.split('.') {
        check(part).map_err(|expected| (at, expected))?;
        at += part.len() + 1;
    }
    Ok(())
}

fn number(text: &str) -> Result<u64, &'static str> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let leads_with_zero = text.len() > 1 && text.starts_with('0');
    if !is_digits || leads_with_zero || text.len() > DIGITS_MAX {
        return Err(NUMBER);
    }
    text.parse().map_err(|_| NUMBER)
}

fn identifier(text: &str) -> Result<(), &'static str> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if text.is_empty() || !text.bytes().all(legal) {
        return Err(IDENTIFIER);
    }
    Ok(())
}
