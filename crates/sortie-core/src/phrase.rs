//! Numbers as people read them.

/// So many of something: `1 device`, `0 devices`.
pub fn count(number: impl Into<u64>, one: &str, more: &str) -> String {
    match number.into() {
        1 => format!("1 {one}"),
        number => format!("{number} {more}"),
    }
}

/// Milliseconds in two units at most: `45 s`, `1 h 30 min`, `2 d`. Rounded up to whole seconds.
pub fn span(ms: u64) -> String {
    let s = ms.div_ceil(1_000);
    let parts = [
        (s / 86_400, "d"),
        (s / 3_600 % 24, "h"),
        (s / 60 % 60, "min"),
        (s % 60, "s"),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let (count, unit) = parts[first];
    match parts.get(first + 1) {
        Some((more, smaller)) if *more > 0 => format!("{count} {unit} {more} {smaller}"),
        _ => format!("{count} {unit}"),
    }
}

/// Hundredths of a percent as a percentage: `5`, `0.07`.
pub(crate) fn percent(hundredths: u32) -> String {
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    match rest {
        0 => whole.to_string(),
        _ => format!("{whole}.{rest:02}").trim_end_matches('0').into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let devices = |number: u32| count(number, "device", "devices");
        assert_eq!(
            [0, 1, 2].map(devices),
            ["0 devices", "1 device", "2 devices"]
        );
    }

    #[test]
    fn a_span_reads_in_two_units_at_most() {
        for (ms, text) in [
            (0, "0 s"),
            (1, "1 s"),
            (45_000, "45 s"),
            (60_000, "1 min"),
            (5_400_000, "1 h 30 min"),
            (3_601_000, "1 h"),
            (2 * 86_400_000 + 1, "2 d"),
            (93_600_000, "1 d 2 h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn a_percentage_is_as_short_as_it_was_written() {
        for (hundredths, text) in [
            (0, "0"),
            (500, "5"),
            (7, "0.07"),
            (3_350, "33.5"),
            (10_000, "100"),
        ] {
            assert_eq!(percent(hundredths), text);
        }
    }
}
