//! Version Requirements (rule V2): the cases of Elixir's own tests of `Version`, and a second
//! evaluator, written from Elixir's source and sharing no code with the first.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic on purpose")]

use proptest::prelude::*;
use semver::Version;
use sortie_core::VersionRequirement;

#[track_caller]
fn check(requirement: &str, holds: &[&str], fails: &[&str]) {
    let parsed: VersionRequirement = requirement.parse().unwrap();
    assert_eq!(parsed.to_string(), requirement);
    assert_eq!(parsed.as_str(), requirement);
    for (versions, expected) in [(holds, true), (fails, false)] {
        for version in versions {
            let version: Version = version.parse().unwrap();
            assert_eq!(
                parsed.matches(&version),
                expected,
                "{version} {requirement:?}"
            );
        }
    }
}

#[track_caller]
fn refused(requirement: &str, column: usize, expected: &str) {
    let error = requirement.parse::<VersionRequirement>().unwrap_err();
    assert_eq!(error.column, column, "{error}");
    assert!(error.expected.contains(expected), "{error}");
    assert!(
        error.to_string().contains(&format!("column {column}")),
        "{error}"
    );
}

#[test]
fn v2_a_bare_version_is_equality_and_build_metadata_does_not_count() {
    check("2.3.0", &["2.3.0", "2.3.0+b"], &["2.4.0", "2.3.0-dev"]);
    check("== 2.3.0", &["2.3.0"], &["2.4.0"]);
    check("1.0.0", &["1.0.0"], &[]);
    check("1.2.3-alpha", &["1.2.3-alpha"], &["1.2.3"]);
    check("== 0.9.3+dev", &["0.9.3", "0.9.3+other"], &[]);
}

#[test]
fn v2_not_equal_is_written_with_one_sign_or_two() {
    check("!2.3.0", &["2.4.0"], &["2.3.0"]);
    check("! 2.3.0", &["2.4.0"], &["2.3.0"]);
    check("!= 2.3.0", &["2.4.0"], &["2.3.0", "2.3.0+b"]);
}

#[test]
fn v2_order_is_the_precedence_of_semver_pre_releases_included() {
    check("> 2.3.0", &["2.4.0"], &["2.2.0", "2.3.0"]);
    check("> 1.2.3-alpha", &["1.2.3", "1.2.3-alpha.1"], &[]);
    check("> 1.2.3-alpha.beta", &["1.2.3-alpha.beta.sigma"], &[]);
    check("< 1.2.3-alpha.1", &[], &["1.2.3-alpha.10"]);
    check("> 0.10.2", &[], &["0.10.2-dev"]);
    check("> 1.5.0-rc0", &[], &["1.5.0-rc.0"]);
    check("> 1.5.0-rc.0", &["1.5.0-rc0"], &[]);
    check(">= 2.3.0", &["2.4.0", "2.3.0"], &["2.2.0"]);
    check(">= 1.0.0", &["2.0.0", "1.0.0"], &[]);
    check(">= 1.5.0-rc0", &[], &["1.5.0-rc.0"]);
    check(">= 1.5.0-rc.0", &["1.5.0-rc0"], &[]);
    check("< 2.3.0", &["2.2.0"], &["2.4.0", "2.3.0"]);
    check("< 0.10.2", &["0.10.2-dev"], &[]);
    check("< 1.0.0-dev", &[], &["1.0.0"]);
    check("< 0.1.2", &[], &["1.2.3-dev"]);
    check("<= 2.3.0", &["2.2.0", "2.3.0"], &["2.4.0"]);
    for (less, greater) in [
        ("1.0.0", "1.0.1"),
        ("1.0.1", "1.1.0"),
        ("1.2.2", "2.1.1"),
        ("1.0.0-dev", "1.0.0"),
        ("0.1.2", "1.2.3-dev"),
        ("1.0.0-a", "1.0.0-a.b"),
        ("1.0.0-a.b", "1.0.0-b"),
        ("1.0.0-0", "1.0.0-a"),
        ("1.0.0-a.a", "1.0.0-a.b"),
        ("1.5.0-rc.0", "1.5.0-rc0"),
        ("1.0.0-2", "1.0.0-10"),
    ] {
        check(&format!("> {less}"), &[greater], &[less]);
        check(&format!("< {greater}"), &[less], &[greater]);
    }
}

#[test]
fn v2_approximately_bounds_the_minor_version_or_without_a_patch_number_the_major() {
    check("~> 3.0", &["3.0.0", "3.2.0"], &["4.0.0", "4.4.0"]);
    check("~> 3.0.0", &["3.0.2", "3.0.0"], &["3.1.0", "3.4.0"]);
    check("~> 3.5", &["3.6.0", "3.5.0"], &["4.0.0", "5.0.0", "3.4.9"]);
    check("~> 3.5.0", &["3.5.2", "3.5.4"], &["3.6.0", "3.6.3"]);
    check("~> 0.9.3-dev", &["0.9.3"], &["0.10.0"]);
    check("~> 0.2.0", &[], &["0.3.0-dev"]);
    check(
        "~> 1.11-dev",
        &["1.11.0-dev", "1.11.0", "1.12.0"],
        &["1.10.0", "2.0.0"],
    );
    check("~> 1.5.0-rc0", &[], &["1.5.0-rc.0"]);
    check("~> 1.5.0-rc.0", &["1.5.0-rc0"], &[]);
    check("~> 1.2+b", &["1.2.0", "1.3.0+c"], &["2.0.0+b"]);
}

#[test]
fn v2_approximately_never_includes_a_pre_release_of_its_upper_bound() {
    check("~> 2.1.0", &[], &["2.2.0-dev", "2.2.0-0"]);
    check("~> 2.1.0-dev", &["2.1.9-dev"], &["2.2.0-dev"]);
    check("~> 2.1", &["2.9.0-dev"], &["3.0.0-0"]);
}

#[test]
fn v2_pre_releases_take_part() {
    check("~> 1.0", &["1.1.0", "1.1.0-beta"], &[]);
    check("~> 1.0.0-beta", &["1.0.1-beta"], &[]);
    check(">= 1.0.0", &["1.1.0", "1.1.0-beta"], &[]);
    check(">= 1.0.0-beta", &["1.1.0-beta"], &[]);
}

#[test]
fn v2_and_binds_tighter_than_or() {
    check("> 0.9.0 and < 0.10.0", &["0.9.3"], &["0.10.2"]);
    check(
        "0.9.1 or 0.9.3 or 0.9.5",
        &["0.9.1", "0.9.3", "0.9.5"],
        &["0.9.6"],
    );
    let (holds, fails) = (&["0.1.0", "0.1.5", "0.7.0", "0.7.5"], &["0.3.0", "0.6.0"]);
    check("< 0.2.0 and >= 0.1.0 or >= 0.7.0", holds, fails);
    check(">= 0.7.0 or < 0.2.0 and >= 0.1.0", holds, fails);
    check("< 0.2.0 and >= 0.1.0 or < 0.8.0 and >= 0.7.0", holds, fails);
    check(
        "== 0.2.0 or >= 0.3.0 and < 0.4.0 or == 0.7.0",
        &["0.2.0", "0.3.0", "0.3.5", "0.7.0"],
        &["0.2.5", "0.4.0"],
    );
}

#[test]
fn v2_spaces_are_free_around_a_comparison_and_needed_around_and_and_or() {
    check(">2.4.0", &["2.5.0"], &["2.4.0"]);
    check("    >     2.4.0", &["2.5.0"], &["2.4.0"]);
    check(" 1.0.0  or   ~>2.0 ", &["1.0.0", "2.9.0"], &["1.0.1"]);
    refused("1.0.0 and>2.0.0", 7, "and");
    refused("1.0.0or 2.0.0", 5, "leading zero");
    refused("1.0.0\tor 2.0.0", 5, "number");
    refused("1.0.0 or\t2.0.0", 7, "and");
    refused("> = 1.0.0", 3, "a version");
    refused("1 . 2 . 3", 2, "minor");
    refused("1.0.0\u{a0}", 5, "number");
}

#[test]
fn v2_a_malformed_requirement_is_refused_with_the_column_and_what_was_expected() {
    refused("", 1, "a comparison or a version");
    refused("   ", 4, "a comparison or a version");
    refused("foo", 1, "a comparison or a version");
    refused(">=", 3, "a version");
    refused("== >= 1.2.3", 4, "a version");
    refused(">>=", 2, "a version");
    refused("== != > >= < <= ~>", 4, "a version");
    refused("1.2.3 >=", 7, "and");
    refused("1.2.3>=1.0.0", 6, "and");
    refused("1.2.3 1.2.4", 7, "or");
    refused("1.2.3 but 2.0.0", 7, "or");
    refused("1.2.3 and", 7, "and");
    refused("1.2.3 and ", 11, "a comparison or a version");
    refused("1.2.3 and or 4.5.6", 11, "a comparison or a version");
    refused(" and 2.1.0", 2, "a comparison or a version");
    refused("=> 1.0.0", 1, "a comparison or a version");
    refused("~ > 1.0.0", 1, "a comparison or a version");
    refused("1.2.3 and (1.2.4)", 11, "a comparison or a version");
    refused("ä", 1, "a comparison or a version");
    refused("1.0.0-ä and x", 7, "identifier");
    refused("== 1.0.0 and ~> ä", 17, "a version");
}

#[test]
fn v2_a_version_is_read_as_elixir_reads_it() {
    for (bad, column, expected) in [
        ("2", 2, "minor"),
        ("2.", 3, "number"),
        ("2.3", 4, "patch"),
        ("2.3.", 5, "number"),
        ("2.3.0-", 7, "identifier"),
        ("2.3.0+", 7, "identifier"),
        ("2.3.0.", 7, "third"),
        ("2.3.0.4", 7, "third"),
        ("2.3.-rc.1", 5, "number"),
        ("2.3.+rc.1", 5, "number"),
        ("2.3.0-01", 7, "leading zero"),
        ("2.3.0-a.01", 9, "leading zero"),
        ("2.3.0-a..b", 9, "identifier"),
        ("2.3.0+a+b", 7, "identifier"),
        ("2.3.0-a+b.", 11, "identifier"),
        ("2.3.00-1", 5, "leading zero"),
        ("2.3.00", 5, "leading zero"),
        ("2.03.0", 3, "leading zero"),
        ("02.3.0", 1, "leading zero"),
        ("0.1.0-&&pre", 7, "identifier"),
        ("100000000000000.0.0", 1, "14 digits"),
        ("1.100000000000000.0", 3, "14 digits"),
        ("1.0.100000000000000", 5, "14 digits"),
        ("1.0.0-100000000000000", 7, "14 digits"),
        ("1.0.99999999999999999999", 5, "14 digits"),
    ] {
        refused(bad, column, expected);
        refused(&format!("1.0.0 or >={bad}"), column + 11, expected);
    }
    for good in [
        "99999999999999.99999999999999.99999999999999",
        "1.0.0-99999999999999",
        "1.0.0-100000000000000-alpha",
        "1.0.0+100000000000000",
        "1.0.0+01",
        "1.0.0--",
        "1.4.5-6-g3318bd5+ignore",
        "1.4.5-6.7.eight",
        "1.0.0-0",
        "0.0.1+sha.0702245",
    ] {
        check(good, &[good], &["7.7.7"]);
    }
    refused("~> 3", 5, "minor");
    refused("~> 3.", 6, "number");
    refused("~> 3-dev", 5, "minor");
    refused(">= 1", 5, "minor");
    refused(">= 1.2", 7, "patch");
    refused("1.2-dev", 4, "patch");
}

#[test]
fn v2_a_version_beyond_what_a_requirement_can_name_is_still_compared() {
    let beyond = "18446744073709551615.0.0";
    check("> 99999999999999.0.0", &[beyond], &["99999999999999.0.0"]);
    check("~> 99999999999999.0", &["99999999999999.7.0"], &[beyond]);
}

#[test]
fn v2_a_requirement_is_bounded_in_length() {
    let long = format!("{:1019}1.0.0", "");
    check(&long, &["1.0.0"], &["1.0.1"]);
    refused(&format!("{long} "), 1, "1024 bytes");
}

#[test]
fn v2_in_json_a_requirement_is_its_text() {
    let requirement: VersionRequirement = "~> 1.2".parse().unwrap();
    let json = serde_json::to_string(&requirement).unwrap();
    assert_eq!(json, "\"~> 1.2\"");
    let read: VersionRequirement = serde_json::from_str(&json).unwrap();
    assert_eq!(read, requirement);
    let error = serde_json::from_str::<VersionRequirement>("\"~> 1\"").unwrap_err();
    assert!(error.to_string().contains("minor number"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn v2_what_elixir_accepts_is_accepted_and_means_the_same(text in requirement(), versions in versions()) {
        let parsed = text.parse::<VersionRequirement>();
        for version in versions {
            let expected = elixir::holds(&text, &version);
            let found = parsed.as_ref().ok().map(|it| it.matches(&version.parse().unwrap()));
            prop_assert_eq!(found, expected, "{:?} of {}", text, version);
        }
    }

    #[test]
    fn v2_any_pieces_are_accepted_or_refused_as_by_elixir(text in pieces(), versions in versions()) {
        let parsed = text.parse::<VersionRequirement>();
        for version in versions {
            let expected = elixir::holds(&text, &version);
            let found = parsed.as_ref().ok().map(|it| it.matches(&version.parse().unwrap()));
            prop_assert_eq!(found, expected, "{:?} of {}: {:?}", text, version, parsed);
        }
    }
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![6 => (0_u8..3).prop_map(|n| n.to_string()), 1 => Just("10".to_owned())]
}

fn pre() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "", "", "", "-dev", "-rc.1", "-rc.2", "-rc.10", "-rc1", "-0", "-1.a",
    ])
}

fn build() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", "+a", "+01.b-2"])
}

fn version() -> impl Strategy<Value = String> {
    (number(), number(), number(), pre(), build())
        .prop_map(|(a, b, c, pre, build)| format!("{a}.{b}.{c}{pre}{build}"))
}

fn versions() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(version(), 8)
}

fn spaces(least: usize) -> impl Strategy<Value = String> {
    (least..least + 2).prop_map(|n| " ".repeat(n))
}

/// Well-formed, with spaces where they may be.
fn requirement() -> impl Strategy<Value = String> {
    let symbol = prop::sample::select(vec!["", "==", "!=", "!", ">", ">=", "<", "<=", "~>"]);
    let full = (symbol, spaces(0), version()).prop_map(|it| format!("{}{}{}", it.0, it.1, it.2));
    let short = (spaces(0), number(), number(), pre(), build())
        .prop_map(|(space, a, b, pre, build)| format!("~>{space}{a}.{b}{pre}{build}"));
    let condition = prop_oneof![4 => full, 1 => short];
    let word = prop::sample::select(vec!["and", "or"]);
    let joined = (spaces(1), word, spaces(1)).prop_map(|it| format!("{}{}{}", it.0, it.1, it.2));
    let rest = prop::collection::vec((joined, condition.clone()), 0..5);
    (spaces(0), condition, rest, spaces(0)).prop_map(|(before, first, rest, after)| {
        let rest: String = rest.into_iter().flat_map(|(word, it)| [word, it]).collect();
        format!("{before}{first}{rest}{after}")
    })
}

/// Anything like a requirement.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        " ",
        " ",
        " ",
        " and ",
        " or ",
        "and",
        "or",
        "==",
        "!=",
        "!",
        ">",
        ">=",
        "<",
        "<=",
        "=",
        "~>",
        "~",
        "1.2.3",
        "1.2.3",
        "1.2.3",
        "1.2",
        "1.2-dev",
        "1",
        "1.02.3",
        "1.0.0-rc.1",
        "1.0.0-01",
        "1.0.0+01",
        "1.0.0-",
        ".",
        "-",
        "+",
        "\t",
        "é",
        "99999999999999.0.0",
        "100000000000000.0.0",
        "1.0.0-100000000000000",
        "1.0.0-100000000000000a",
    ]);
    prop::collection::vec(piece, 1..7).prop_map(|pieces| pieces.concat())
}

/// What Elixir does, step by step, over texts.
mod elixir {
    use std::cmp::Ordering;

    /// Numbers come before texts, as terms of Erlang.
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Part {
        Number(u64),
        Text(String),
    }
    type Pre = Vec<Part>;
    type Parsed = (u64, u64, Option<u64>, Pre);

    pub(super) fn holds(requirement: &str, version: &str) -> Option<bool> {
        let (a, b, c, pre) = parse(version)?;
        let version = (a, b, c?, pre);
        let lexed = lex(requirement);
        if lexed.is_empty() {
            return None;
        }
        // A join, an operator and a version, again and again; the first has no join.
        let padded: Vec<_> = std::iter::once("or".to_owned()).chain(lexed).collect();
        let mut any = false;
        let mut all = false;
        for three in padded.chunks(3) {
            let [join, operator, operand] = three else {
                return None;
            };
            if !OPERATORS.contains(&operator.as_str()) || !matches!(join.as_str(), "and" | "or") {
                return None;
            }
            let holds = one(operator, operand, &version)?;
            if join == "or" {
                any |= all;
                all = holds;
            } else {
                all &= holds;
            }
        }
        Some(any | all)
    }

    const OPERATORS: [&str; 8] = [">=", "<=", "~>", ">", "<", "==", "!=", "!"];

    fn lex(mut text: &str) -> Vec<String> {
        let mut lexed: Vec<String> = vec![];
        let mut buffer = String::new();
        let flush = |buffer: &mut String, lexed: &mut Vec<String>| {
            if buffer.is_empty() {
                return;
            }
            let after_operator = lexed
                .last()
                .is_some_and(|it| OPERATORS.contains(&it.as_str()));
            if !after_operator {
                lexed.push("==".to_owned());
            }
            lexed.push(std::mem::take(buffer));
        };
        while !text.is_empty() {
            let operator = OPERATORS
                .iter()
                .find(|operator| text.starts_with(**operator));
            if let Some(operator) = operator {
                flush(&mut buffer, &mut lexed);
                lexed.push((*operator).to_owned());
                text = &text[operator.len()..];
            } else if let Some(rest) = text.strip_prefix(" or ") {
                flush(&mut buffer, &mut lexed);
                lexed.push("or".to_owned());
                text = rest;
            } else if let Some(rest) = text.strip_prefix(" and ") {
                flush(&mut buffer, &mut lexed);
                lexed.push("and".to_owned());
                text = rest;
            } else if let Some(rest) = text.strip_prefix(' ') {
                flush(&mut buffer, &mut lexed);
                text = rest;
            } else {
                let first = text.chars().next().unwrap();
                buffer.push(first);
                text = &text[first.len_utf8()..];
            }
        }
        flush(&mut buffer, &mut lexed);
        lexed
    }

    fn one(operator: &str, operand: &str, version: &(u64, u64, u64, Pre)) -> Option<bool> {
        let (major, minor, patch, pre) = parse(operand)?;
        if patch.is_none() && operator != "~>" {
            return None;
        }
        let order = compare(version, &(major, minor, patch.unwrap_or(0), pre));
        Some(match operator {
            "==" => order.is_eq(),
            "!=" | "!" => order.is_ne(),
            ">" => order.is_gt(),
            ">=" => order.is_ge(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            _ => {
                let next = match patch {
                    Some(_) => (version.0, version.1) < (major, minor + 1),
                    None => version.0 < major + 1,
                };
                order.is_ge() && next
            }
        })
    }

    fn compare(a: &(u64, u64, u64, Pre), b: &(u64, u64, u64, Pre)) -> Ordering {
        let (one, other) = ((a.0, a.1, a.2), (b.0, b.1, b.2));
        one.cmp(&other)
            .then_with(|| match (a.3.is_empty(), b.3.is_empty()) {
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                _ => a.3.cmp(&b.3),
            })
    }

    fn parse(text: &str) -> Option<Parsed> {
        let (text, build) = text
            .split_once('+')
            .map_or((text, None), |it| (it.0, Some(it.1)));
        let (text, pre) = text
            .split_once('-')
            .map_or((text, None), |it| (it.0, Some(it.1)));
        let numbers: Vec<u64> = text.split('.').map(digits).collect::<Option<_>>()?;
        let (major, minor, patch) = match numbers[..] {
            [major, minor] => (major, minor, None),
            [major, minor, patch] => (major, minor, Some(patch)),
            _ => return None,
        };
        let dotted = |text: Option<&str>| -> Option<Vec<String>> {
            let Some(text) = text else {
                return Some(vec![]);
            };
            let legal = |it: &str| it.chars().all(|c| c == '-' || c.is_ascii_alphanumeric());
            let parts = text
                .split('.')
                .map(|it| (!it.is_empty() && legal(it)).then(|| it.to_owned()));
            parts.collect()
        };
        dotted(build)?;
        let part = |part: String| {
            if part.chars().all(|c| c.is_ascii_digit()) {
                Some(Part::Number(digits(&part)?))
            } else {
                Some(Part::Text(part))
            }
        };
        let pre = dotted(pre)?.into_iter().map(part).collect::<Option<_>>()?;
        Some((major, minor, patch, pre))
    }

    fn digits(text: &str) -> Option<u64> {
        let plain =
            !text.is_empty() && text.len() <= 14 && text.chars().all(|c| c.is_ascii_digit());
        (plain && (text == "0" || !text.starts_with('0'))).then(|| text.parse().unwrap())
    }
}
