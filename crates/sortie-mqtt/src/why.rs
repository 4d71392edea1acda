//! What went wrong with a connection, in one line for people.

use std::{fmt::Debug, io};

/// Turns a variant's name into words: `NotAuthorized` into "not authorized".
pub(crate) fn words(variant: &impl Debug) -> String {
    let mut words = String::new();
    for c in format!("{variant:?}").chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// An I/O error without its number.
pub(crate) fn io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        io::ErrorKind::TimedOut => "no answer".into(),
        _ => one_line(error),
    }
}

/// Any error as a lower-case fragment of one line.
pub(crate) fn one_line(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_one_lower_case_line() {
        #[derive(Debug)]
        struct NotAuthorized;
        assert_eq!(words(&NotAuthorized), "not authorized");
        assert_eq!(io(&io::Error::from_raw_os_error(111)), "connection refused");
        assert_eq!(one_line(&"Two\n lines"), "two lines");
        assert_eq!(one_line(&"État"), "État");
    }
}
