//! Selectors (rule T3): the cases of Edgehog's documentation and tests, and a second evaluator over
//! generated selectors that shares no code with the first.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic on purpose")]

use proptest::prelude::*;
use sortie_core::{AttributeValue, Device, Selector, Timestamp};

fn now() -> Timestamp {
    "2026-06-29T16:00:00Z".parse().unwrap()
}

fn tagged(tags: &[&str]) -> Device {
    let device = Device::new("d", "m").unwrap();
    tags.iter().fold(device, |device, tag| device.tag(tag))
}

fn with(value: impl Into<AttributeValue>) -> Device {
    tagged(&[]).attribute("custom:foo", value)
}

#[track_caller]
fn check(text: &str, device: &Device, expected: bool) {
    let selector: Selector = text.parse().unwrap();
    assert_eq!(selector.to_string(), text);
    assert_eq!(
        selector.matches(device, now()),
        expected,
        "{text} on {device:?}"
    );
}

#[track_caller]
fn refused(text: &str, column: usize, expected: &str) {
    let error = text.parse::<Selector>().unwrap_err();
    assert_eq!(error.column, column, "{error}");
    assert!(error.expected.contains(expected), "{error}");
    assert!(
        error.to_string().contains(&format!("column {column}: ")),
        "{error}"
    );
}

#[test]
fn t3_a_tag_is_in_or_not_in_in_any_case_of_the_words() {
    for (text, foo, bar) in [
        (r#""foo" in tags"#, true, false),
        (r#""foo" IN tags"#, true, false),
        (r#""bar" not in tags"#, true, false),
        (r#""bar" NOT iN tags"#, true, false),
        (r#""bar" not   in tags"#, true, false),
        ("\t\"foo\"\r\nin\ntags ", true, false),
        (r#""Foo" in tags"#, false, false),
    ] {
        check(text, &tagged(&["foo", "red"]), foo);
        check(text, &tagged(&["bar", "red"]), bar);
    }
    check(r#""foo" not in tags"#, &tagged(&[]), true);
    check(r#""say \"hi\"" in tags"#, &tagged(&["say \"hi\""]), true);
    check(r#""a\b" in tags"#, &tagged(&[r"a\b"]), true);
    check(r#""" in tags"#, &tagged(&[""]), true);
}

#[test]
fn t3_and_binds_tighter_than_or_and_parentheses_group() {
    for (text, tags, expected) in [
        (r#""a" in tags and "b" not in tags"#, &["a"][..], true),
        (r#""a" in tags AND "b" not in tags"#, &["a", "b"], false),
        (r#""a" in tags oR "b" in tags"#, &["b"], true),
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
        (
            r#"( "a" in tags or "b" in tags ) and "c" in tags"#,
            &["b", "c"],
            true,
        ),
        (
            r#""a" in tags or "b" not in tags and "c" in tags or "d" in tags"#,
            &["b", "d"],
            true,
        ),
        (
            r#""a" in tags or "b" not in tags and "c" in tags or "d" in tags"#,
            &["b", "c"],
            false,
        ),
        (
            r#"("a" in tags or "b" not in tags) and ("c" in tags or "d" in tags)"#,
            &["a"],
            false,
        ),
        (
            r#"("a" in tags or "b" not in tags) and ("c" in tags or "d" in tags)"#,
            &["d"],
            true,
        ),
    ] {
        check(text, &tagged(tags), expected);
    }
}

#[test]
fn t3_what_was_accepted_of_tags_before_patterns_and_attributes_still_is() {
    check(
        r#" "a b" in tags and("c"in tags)"#,
        &tagged(&["a b", "c"]),
        true,
    );
    check("\"a\"\u{a0}not\u{2003}in\u{a0}tags", &tagged(&["b"]), true);
    check(r#"((("ä"in tags)))or"b"in tags"#, &tagged(&["b"]), true);
}

#[test]
fn t3_a_glob_fits_a_whole_tag() {
    let (foo, bar, none) = (
        tagged(&["foo", "other", "foox"]),
        tagged(&["bar", "foox"]),
        tagged(&[]),
    );
    for (text, expected) in [
        (r#""foo*" ~= tags"#, [true, true, false]),
        (r#""foo*" !~= tags"#, [false, false, true]),
        (r#""oth?r" ~= tags"#, [true, false, false]),
        (r#""fo" ~= tags"#, [false, false, false]),
        (r#""bar"~=tags"#, [false, true, false]),
        (r#""*" !~= tags"#, [false, false, true]),
        (r#""/" ~= tags"#, [false, false, false]),
    ] {
        check(text, &foo, expected[0]);
        check(text, &bar, expected[1]);
        check(text, &none, expected[2]);
    }
    check(r#""sensor-*" ~= tags"#, &tagged(&["sensor-humidity"]), true);
    check(r#""dev?" ~= tags"#, &tagged(&["device"]), false);
    check(r#""*" in tags"#, &tagged(&["x"]), false);
    check(r#""/" ~= tags"#, &tagged(&["/"]), true);
    check(r#""/x" ~= tags"#, &tagged(&["/x"]), true);
    check(r#""x/" ~= tags"#, &tagged(&["x/"]), true);
}

#[test]
fn t3_a_regular_expression_fits_anywhere_in_a_tag_between_slashes_or_in_quotes() {
    for (text, tag, expected) in [
        ("/foo./ ~= tags", "a foox", true),
        ("/foo./ !~= tags", "a foox", false),
        ("/foo./ ~= tags", "foo", false),
        (r#""/foo./" ~= tags"#, "foox", true),
        (r#""/foo./" !~= tags"#, "foo", true),
        ("/^foo$/ ~= tags", "foo", true),
        ("/^foo$/ ~= tags", "foox", false),
        (r"/^sensor-\d+$/ ~= tags", "sensor-007", true),
        (r"/^sensor-\d+$/ ~= tags", "sensor-x", false),
        ("/temp(erature)?/ ~= tags", "temp", true),
        (r"/^a\/b$/ ~= tags", "a/b", true),
        (r#""/^a/b$/" ~= tags"#, "a/b", true),
        (r#""/^a\/b$/" ~= tags"#, "a/b", true),
        (r"/^a\\b$/ ~= tags", r"a\b", true),
        (r#"/^"$/ ~= tags"#, "\"", true),
        ("/^a.b$/ ~= tags", "a\nb", true),
        ("/^b$/ ~= tags", "a\nb", false),
        ("/(?i)^ZÜRI/ ~= tags", "zÜrich", true),
        ("/^[[:alpha:]]+$/ ~= tags", "abc", true),
        ("// ~= tags", "anything", true),
    ] {
        check(text, &tagged(&[tag]), expected);
    }
    check("/x/ ~= tags", &tagged(&["y", "x"]), true);
    check("/x/ !~= tags", &tagged(&["y", "x"]), false);
    check("// ~= tags", &tagged(&[]), false);
    check("// !~= tags", &tagged(&[]), true);
}

#[test]
fn t3_regular_expressions_are_linear_and_their_size_is_bounded() {
    let long = "x".repeat(60_000);
    // To one that tries back these take for ever.
    for text in [
        "/^(x+x+)+y$/ ~= tags",
        "/^(x*)*(x*)*(x|xx)*$/ !~= tags",
        r#""*x*x*x*x*y" ~= tags"#,
    ] {
        check(text, &tagged(&[&long]), false);
    }
    for large in [
        "/(((x{0,100}){0,100}){0,100}){0,100}/ ~= tags",
        "/((((){4000000000}){4000000000}){4000000000}){4000000000}/ ~= tags",
        r"/\w{4000000000}/ ~= tags",
        "/.{3000}/ ~= tags",
    ] {
        refused(large, 1, "size limit");
    }
    check("/^x{1000}$/ ~= tags", &tagged(&[&long[..1_000]]), true);
    let deep = format!("/{}x{}/ ~= tags", "(".repeat(100), ")".repeat(100));
    refused(&deep, 1, "regular expression");
    let sixteen = ["/x/ ~= tags"; 16].join(" or ");
    check(&sixteen, &tagged(&["x"]), true);
    let one_more = format!(r#"{sixteen} or "/x/" ~= tags"#);
    refused(&one_more, sixteen.len() + 5, "at most 16");
}

#[test]
fn t3_a_number_compares_with_numbers_whatever_their_form() {
    let devices = [with(41_i64), with(42), with(43.0)];
    for (text, expected) in [
        ("== 42", [false, true, false]),
        ("== 42.0", [false, true, false]),
        ("!= 42.0", [true, false, true]),
        ("> 42", [false, false, true]),
        (">= 42", [false, true, true]),
        ("< 42.0", [true, false, false]),
        ("<= 42.0", [true, true, false]),
        (">41", [false, true, true]),
        ("<= 43.0", [true, true, true]),
        ("> -1", [true, true, true]),
        ("> -0.5", [true, true, true]),
        ("== 042", [false, true, false]),
        ("> 42.25", [false, false, true]),
    ] {
        let text = format!(r#"attributes["custom:foo"] {text}"#);
        for (device, expected) in devices.iter().zip(expected) {
            check(&text, device, expected);
        }
    }
    let beyond = (1_i64 << 53) + 1;
    for (text, expected) in [
        ("== 9007199254740993", true),
        ("== 9007199254740992", false),
        ("> 9007199254740992.0", true),
        ("< 9223372036854775807", true),
        ("> -9223372036854775808", true),
    ] {
        check(
            &format!(r#"attributes["custom:foo"] {text}"#),
            &with(beyond),
            expected,
        );
    }
    for operator in ["==", "!=", "<", "<=", ">", ">="] {
        check(
            &format!(r#"attributes["custom:foo"] {operator} 1"#),
            &with(f64::NAN),
            false,
        );
    }
}

#[test]
fn t3_a_time_compares_with_times_and_with_now() {
    let devices = [
        "2020-06-28T16:00:00Z",
        "2026-06-29T16:00:00Z",
        "2122-06-30T16:00:00Z",
    ]
    .map(|at| with(at.parse::<Timestamp>().unwrap()));
    for (operator, expected) in [
        ("==", [false, true, false]),
        ("!=", [true, false, true]),
        (">", [false, false, true]),
        (">=", [false, true, true]),
        ("<", [true, false, false]),
        ("<=", [true, true, false]),
    ] {
        for value in ["now()", r#"datetime("2026-06-29T16:00:00Z")"#, "now ( )"] {
            let text = format!(r#"attributes["custom:foo"] {operator} {value}"#);
            for (device, expected) in devices.iter().zip(expected) {
                check(&text, device, expected);
            }
        }
    }
    let finer = r#"attributes["custom:foo"] == datetime("2022-06-27T16:27:40.254795Z")"#;
    check(
        finer,
        &with("2022-06-27T16:27:40.254Z".parse::<Timestamp>().unwrap()),
        true,
    );
}

#[test]
fn t3_texts_booleans_and_bytes_are_equal_or_not() {
    for (value, same, other) in [
        (r#""bar""#, with("bar"), with("baz")),
        ("true", with(true), with(false)),
        ("false", with(false), with(true)),
        (
            r#"binaryblob("YmFy")"#,
            with(b"bar".to_vec()),
            with(b"baz".to_vec()),
        ),
        (r#"binaryblob("")"#, with(vec![]), with(vec![0])),
    ] {
        check(
            &format!(r#"attributes["custom:foo"] == {value}"#),
            &same,
            true,
        );
        check(
            &format!(r#"attributes["custom:foo"] == {value}"#),
            &other,
            false,
        );
        check(
            &format!(r#"attributes["custom:foo"] != {value}"#),
            &same,
            false,
        );
        check(
            &format!(r#"attributes["custom:foo"] != {value}"#),
            &other,
            true,
        );
        for operator in [">", ">=", "<", "<="] {
            let text = format!(r#"attributes["custom:foo"] {operator} {value}"#);
            refused(&text, 26, "only numbers and times have an order");
        }
    }
}

#[test]
fn t3_without_the_attribute_or_with_another_type_no_filter_holds() {
    let time = || with(Timestamp(1));
    let values = [
        ("number", "42", with(1)),
        ("text", r#""1""#, with("1")),
        ("boolean", "true", with(true)),
        ("time", "now()", time()),
        ("time", r#"datetime("1970-01-01T00:00:00.002Z")"#, time()),
        ("bytes", r#"binaryblob("Mg==")"#, with(b"1".to_vec())),
    ];
    for (its_type, value, _) in &values {
        let equal = format!(r#"attributes["custom:foo"] == {value}"#);
        let other = format!(r#"attributes["custom:foo"] != {value}"#);
        check(&equal, &tagged(&[]), false);
        check(&other, &tagged(&[]), false);
        for (other_type, _, device) in &values {
            let literal_is_one = *value == r#""1""# || *value == "true";
            check(&equal, device, its_type == other_type && literal_is_one);
            check(&other, device, its_type == other_type && !literal_is_one);
        }
    }
}

#[test]
fn t3_an_attribute_is_named_by_namespace_and_key_and_the_namespaces_case_does_not_count() {
    let device = tagged(&[])
        .attribute("Edgehog-Synthetic:City", "Milan")
        .attribute("astarte-values:com.foo.Info/at:1", 7);
    for (text, expected) in [
        (r#"attributes["edgehog-synthetic:City"] == "Milan""#, true),
        (r#"attributes["EDGEHOG-SYNTHETIC:City"] == "Milan""#, true),
        (r#"attributes["edgehog-synthetic:city"] == "Milan""#, false),
        (r#"attributes["astarte-values:com.foo.Info/at:1"]==7"#, true),
        (
            r#"attributes [ "astarte-values:com.foo.Info/at:1" ] >= 7"#,
            true,
        ),
        (
            r#""out-of-order" in tags and attributes["edgehog-synthetic:City"] == "Milan""#,
            false,
        ),
    ] {
        check(text, &device, expected);
    }
    refused(r#"attributes["site"] == 1"#, 12, "namespace");
    refused(r#"attributes[":site"] == 1"#, 12, "namespace");
    refused(r#"attributes["custom:"] == 1"#, 12, "namespace");
}

#[test]
fn t3_a_malformed_selector_is_refused_with_the_column_and_what_was_expected() {
    for (text, column, expected) in [
        ("", 1, "double quotes"),
        (r#""a"#, 3, "closing double quote"),
        (r#""a\""#, 5, "closing double quote"),
        (r#""missingquote in tags"#, 22, "closing double quote"),
        ("/a", 3, "closing \"/\""),
        (r#""a""#, 4, "in"),
        (r#""a" on tags"#, 5, "not in"),
        (r#""a" not tags"#, 9, "\"in\""),
        (r#""a" notin tags"#, 5, "not in"),
        (r#""typo" in tagz"#, 11, "tags"),
        (r#""a" in TAGS"#, 8, "tags"),
        (r#""a" in tags "b""#, 13, "and"),
        (r#""a" in tags)"#, 12, "the end"),
        (r#"("a" in tags"#, 13, "\")\""),
        (r#"("a" in tags "b""#, 14, "\"and\", \"or\" or \")\""),
        ("()", 2, "double quotes"),
        (r#""ä" in tags andy"#, 13, "and"),
        (r#""foo" in tags and or "bar" in tags"#, 19, "double quotes"),
        (r#""foo" in tags and"#, 18, "double quotes"),
        (r#"not "foo" in tags"#, 1, "double quotes"),
        ("%", 1, "double quotes"),
        (r#""a" in tags % "b" in tags"#, 13, "the end"),
        (r#""a" !~ tags"#, 5, "not in"),
        (r#""a" == tags"#, 5, "!~="),
        ("/a/ in tags", 5, "\"~=\" or \"!~=\""),
        ("/a/ not in tags", 5, "\"~=\" or \"!~=\""),
        ("/a/ ~= tag", 8, "tags"),
        ("/a(/ ~= tags", 1, "regular expression"),
        (r#"("/a(/" ~= tags)"#, 2, "regular expression"),
        (r"/(?=a)/ ~= tags", 1, "regular expression"),
        (r"/(a)\1/ ~= tags", 1, "regular expression"),
        (r#"attribute["insteadof:attributes"] == 4"#, 1, "attributes"),
        (r#"attributes("a:b") == 4"#, 11, "\"[\""),
        (r"attributes[a:b] == 4", 12, "a text"),
        (r#"attributes["unmatched:parens" == "foo""#, 31, "\"]\""),
        (r#"attributes["a:b"] = 4"#, 19, "\">=\""),
        (r#"attributes["a:b"] ~= 4"#, 19, "\">=\""),
        (r#"attributes["a:b"] 4"#, 19, "\">=\""),
        (r#"attributes["a:b"] == "#, 22, "a number"),
        (r#"attributes["a:b"] == tags"#, 22, "a number"),
        (r#"attributes["a:b"] == True"#, 22, "a number"),
        (r#"attributes["a:b"] == +1"#, 22, "a number"),
        (
            r#"attributes["a:b"] == 3.42.1.3"#,
            26,
            "the end of the number",
        ),
        (r#"attributes["a:b"] == 3e5"#, 23, "the end of the number"),
        (r#"attributes["a:b"] == 3and"#, 23, "the end of the number"),
        (r#"attributes["a:b"] == 3."#, 24, "a digit"),
        (r#"attributes["a:b"] == -"#, 22, "a number"),
        (r#"attributes["a:b"] == 9223372036854775808"#, 22, "64 bits"),
        (r#"attributes["a:b"] == now"#, 25, "\"(\""),
        (r#"attributes["a:b"] == now(1)"#, 26, "\")\""),
        (r#"attributes["a:b"] == datetime(5)"#, 31, "a text"),
        (r#"attributes["a:b"] == datetime"2026""#, 30, "\"(\""),
        (r#"attributes["a:b"] == datetime("2026""#, 37, "\")\""),
        (
            r#"attributes["a:b"] == datetime("not ISO8601")"#,
            32,
            "a year",
        ),
        (
            r#"attributes["ä:b"] == datetime("2026-02-29T00:00:00Z")"#,
            40,
            "a day",
        ),
        (
            r#"attributes["a:b"] == datetime("2026-02-28T00:00:00+01:00")"#,
            51,
            "\"Z\"",
        ),
        (r#"attributes["a:b"] == datetime("2026\"")"#, 36, "\"-\""),
        (
            r#"attributes["a:b"] == binaryblob("not base64")"#,
            34,
            "base64",
        ),
        (r#""x" in attributes["a:b"]"#, 8, "tags"),
    ] {
        refused(text, column, expected);
    }
}

#[test]
fn t3_a_float_beyond_all_floats_is_refused() {
    let digits = "9".repeat(400);
    refused(
        &format!(r#"attributes["a:b"] == {digits}.0"#),
        22,
        "64 bits",
    );
    check(
        &format!(r#"attributes["custom:foo"] < {}.0"#, "9".repeat(300)),
        &with(1),
        true,
    );
}

#[test]
fn t3_a_selector_is_bounded_in_depth_and_length() {
    let nested = |n| format!(r#"{}"a" in tags{}"#, "(".repeat(n), ")".repeat(n));
    check(&nested(64), &tagged(&["a"]), true);
    refused(&nested(65), 65, "at most 64 nested");
    let side_by_side = format!("{} and {}", nested(64), nested(64));
    check(&side_by_side, &tagged(&["a"]), true);
    refused(&"(".repeat(4096), 65, "at most 64 nested");
    let long = format!(r#"{:4086}"a"in tags"#, "");
    check(&long, &tagged(&["a"]), true);
    refused(&format!("{long} "), 1, "4096 bytes");
    let error = "ä".repeat(3_000).parse::<Selector>().unwrap_err();
    assert_eq!(error.text.chars().count(), 120);
}

#[test]
fn t3_in_json_a_selector_is_its_text_and_two_are_equal_by_it() {
    let selector: Selector = r"/a/ ~= tags".parse().unwrap();
    let json = serde_json::to_string(&selector).unwrap();
    assert_eq!(json, r#""/a/ ~= tags""#);
    assert_eq!(serde_json::from_str::<Selector>(&json).unwrap(), selector);
    assert_ne!(selector, "/b/ ~= tags".parse().unwrap());
    assert_eq!(selector.as_str(), "/a/ ~= tags");
    let error = serde_json::from_str::<Selector>("\"/a/ in tags\"").unwrap_err();
    assert!(error.to_string().contains("column 5"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn t3_a_generated_selector_holds_where_a_second_evaluator_says_so(
        form in form(), style in any::<u64>(), device in device(),
    ) {
        let text = form.write(&mut Style(style));
        let selector: Selector = text.parse().unwrap();
        prop_assert_eq!(selector.matches(&device.build(), now()), form.holds(&device), "{}", text);
        prop_assert_eq!(selector.to_string(), text);
    }

    #[test]
    fn t3_no_text_makes_it_panic_and_an_error_names_a_place_in_the_text(text in pieces()) {
        match text.parse::<Selector>() {
            Ok(selector) => {
                let read: Selector = selector.to_string().parse().unwrap();
                prop_assert_eq!(&read, &selector);
                selector.matches(&tagged(&["a", "b"]), now());
            }
            Err(error) => {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{}", error);
                prop_assert!(!error.expected.is_empty());
            }
        }
    }

    #[test]
    fn t3_a_glob_agrees_with_one_that_tries_everything(glob in "[ab*?]{0,7}", tag in "[ab]{0,7}") {
        let selector: Selector = format!("{glob:?} ~= tags").parse().unwrap();
        let (one, two): (Vec<_>, Vec<_>) = (glob.chars().collect(), tag.chars().collect());
        let holds = selector.matches(&tagged(&[&tag]), now());
        prop_assert_eq!(holds, fits(&one, &two), "{} {}", glob, tag);
    }
}

fn fits(glob: &[char], text: &[char]) -> bool {
    match glob {
        [] => text.is_empty(),
        ['*', rest @ ..] => (0..=text.len()).any(|from| fits(rest, &text[from..])),
        [first, rest @ ..] => {
            text.first()
                .is_some_and(|found| *first == '?' || first == found)
                && fits(rest, &text[1..])
        }
    }
}

/// Anything like a selector.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        " ",
        "\"a\"",
        "\"a*\"",
        "\"\\\"",
        "\"",
        "/a/",
        "/",
        "\\",
        "/(/",
        "in",
        "not",
        "not in",
        "tags",
        " in tags",
        "~=",
        "!~=",
        "attributes",
        "[",
        "]",
        "\"custom:foo\"",
        "attributes[\"custom:foo\"]",
        "==",
        "!=",
        ">",
        ">=",
        "<",
        "<=",
        "=",
        "(",
        ")",
        "and",
        "or",
        " and ",
        " or ",
        "true",
        "now()",
        "now",
        "datetime(\"2026-01-02T03:04:05Z\")",
        "datetime(\"2026",
        "datetime",
        "binaryblob(\"Zg==\")",
        "binaryblob(\"Z\")",
        "5",
        "-5",
        "0.5",
        "5.",
        "-",
        ".",
        "é",
        "\u{a0}",
        "１",
    ]);
    prop_oneof![
        4 => prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()),
        1 => "\\PC{0,40}",
    ]
}

/// A device of few tags and one attribute of each type.
#[derive(Debug, Clone)]
struct Subject {
    tags: Vec<&'static str>,
    attributes: Vec<(&'static str, Value)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    /// In halves, so that integers and floats meet.
    Halves(i32),
    Float(i32),
    Text(&'static str),
    Truth(bool),
    /// Seconds after now.
    Time(i64),
    Now,
    Bytes(&'static [u8]),
}

#[derive(Debug, Clone)]
enum Form {
    Tag(&'static str, bool),
    Starts(&'static str, bool),
    Ends(&'static str, bool),
    Attribute(&'static str, &'static str, Value),
    And(Vec<Form>),
    Or(Vec<Form>),
}

const TAGS: [&str; 5] = ["a", "ab", "b.b", "c\"d", "ü/"];
const NAMES: [&str; 3] = ["custom:foo", "custom:Foo", "n:k"];

impl Subject {
    fn build(&self) -> Device {
        let now = now().0;
        let device = tagged(&self.tags);
        self.attributes
            .iter()
            .fold(device, |device, (name, value)| match value {
                Value::Halves(n) if n % 2 == 0 => device.attribute(name, n / 2),
                Value::Halves(n) | Value::Float(n) => device.attribute(name, f64::from(*n) / 2.0),
                Value::Text(text) => device.attribute(name, *text),
                Value::Truth(truth) => device.attribute(name, *truth),
                Value::Time(after) => device.attribute(name, Timestamp(now + after * 1_000)),
                Value::Now => device.attribute(name, Timestamp(now)),
                Value::Bytes(bytes) => device.attribute(name, *bytes),
            })
    }
}

impl Form {
    fn holds(&self, device: &Subject) -> bool {
        let any = |test: &dyn Fn(&str) -> bool| device.tags.iter().any(|tag| test(tag));
        match self {
            Self::Tag(tag, there) => any(&|it| it == *tag) == *there,
            Self::Starts(start, there) => any(&|it| it.starts_with(start)) == *there,
            Self::Ends(end, there) => any(&|it| it.ends_with(end)) == *there,
            Self::And(forms) => forms.iter().filter(|form| !form.holds(device)).count() == 0,
            Self::Or(forms) => forms.iter().filter(|form| form.holds(device)).count() > 0,
            Self::Attribute(name, operator, wanted) => {
                // The last of a name counts.
                let mut found = None;
                for (its, value) in &device.attributes {
                    if its == name {
                        found = Some(value);
                    }
                }
                let numbers = |value: &Value| match value {
                    Value::Halves(n) | Value::Float(n) => Some((0, i64::from(*n))),
                    Value::Time(after) => Some((1, *after)),
                    Value::Now => Some((1, 0)),
                    _ => None,
                };
                let Some(found) = found else { return false };
                if let (Some((kind, a)), Some((other, b))) = (numbers(found), numbers(wanted)) {
                    return kind == other
                        && match *operator {
                            "==" => a == b,
                            "!=" => a != b,
                            ">" => a > b,
                            ">=" => a >= b,
                            "<" => a < b,
                            _ => a <= b,
                        };
                }
                let same_type = matches!(
                    (found, wanted),
                    (Value::Text(_), Value::Text(_))
                        | (Value::Truth(_), Value::Truth(_))
                        | (Value::Bytes(_), Value::Bytes(_))
                );
                same_type && (found == wanted) == (*operator == "==")
            }
        }
    }

    fn write(&self, style: &mut Style) -> String {
        match self {
            Self::Tag(tag, there) => {
                let operator = if *there {
                    style.cased("in")
                } else {
                    style.cased("not in")
                };
                format!(
                    "{}{}{operator} {}tags",
                    quoted(tag),
                    style.space(),
                    style.space()
                )
            }
            Self::Starts(start, there) => {
                let operator = if *there { "~=" } else { "!~=" };
                let pattern = match style.one_of(3) {
                    0 => quoted(&format!("{start}*")),
                    1 => format!("/^{}/", escaped(start)),
                    _ => format!("\"/^{}/\"", escaped(start).replace('"', "\\\"")),
                };
                format!("{pattern}{}{operator}{}tags", style.space(), style.space())
            }
            Self::Ends(end, there) => {
                let operator = if *there { "~=" } else { "!~=" };
                let pattern = match style.one_of(2) {
                    0 => quoted(&format!("*{end}")),
                    _ => format!("/{}$/", escaped(end)),
                };
                format!("{pattern}{}{operator}{}tags", style.space(), style.space())
            }
            Self::Attribute(name, operator, value) => {
                let (namespace, key) = name.split_once(':').unwrap();
                let (namespace, value) = (style.cased(namespace), value.write());
                let (one, two) = (style.space(), style.space());
                format!("attributes[\"{namespace}:{key}\"]{one}{operator}{two}{value}")
            }
            Self::And(forms) => {
                let parts = forms.iter().map(|form| match form {
                    Self::Or(_) => style.group(form),
                    _ => style.maybe_group(form),
                });
                let parts: Vec<_> = parts.collect();
                parts.join(&format!(" {} ", style.cased("and")))
            }
            Self::Or(forms) => {
                let parts: Vec<_> = forms.iter().map(|form| style.maybe_group(form)).collect();
                parts.join(&format!("\n{} ", style.cased("or")))
            }
        }
    }
}

impl Value {
    fn write(&self) -> String {
        match self {
            Self::Halves(n) if n % 2 == 0 => (n / 2).to_string(),
            Self::Halves(n) | Self::Float(n) => format!("{:.2}", f64::from(*n) / 2.0),
            Self::Text(text) => quoted(text),
            Self::Truth(truth) => truth.to_string(),
            Self::Time(after) => format!("datetime(\"{}\")", Timestamp(now().0 + after * 1_000)),
            Self::Now => "now()".into(),
            Self::Bytes(bytes) => format!(
                "binaryblob(\"{}\")",
                if bytes.is_empty() { "" } else { "AP8=" }
            ),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\\\""))
}

/// As a regular expression between slashes.
fn escaped(text: &str) -> String {
    text.replace('.', r"\.").replace('/', r"\/")
}

/// Choices of spelling, from the bits of a number.
struct Style(u64);

impl Style {
    fn one_of(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .rotate_left(7)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(1);
        (self.0 >> 32) % n
    }

    fn space(&mut self) -> &'static str {
        ["", " ", "\t ", "\n"][usize::try_from(self.one_of(4)).unwrap()]
    }

    fn cased(&mut self, word: &str) -> String {
        match self.one_of(3) {
            0 => word.to_uppercase(),
            _ => word.into(),
        }
    }

    fn group(&mut self, form: &Form) -> String {
        format!("({}{}{})", self.space(), form.write(self), self.space())
    }

    fn maybe_group(&mut self, form: &Form) -> String {
        match self.one_of(3) {
            0 => self.group(form),
            _ => form.write(self),
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (-3_i32..4).prop_map(Value::Halves),
        1 => (-3_i32..4).prop_map(Value::Float),
        1 => prop::sample::select(TAGS.to_vec()).prop_map(Value::Text),
        1 => any::<bool>().prop_map(Value::Truth),
        2 => (-1_i64..2).prop_map(Value::Time),
        1 => Just(Value::Now),
        1 => prop::sample::select(vec![&b""[..], b"\x00\xff"]).prop_map(Value::Bytes),
    ]
}

fn device() -> impl Strategy<Value = Subject> {
    let tags = prop::sample::subsequence(TAGS.to_vec(), 0..=TAGS.len());
    let attributes = prop::collection::vec((prop::sample::select(NAMES.to_vec()), value()), 0..4);
    (tags, attributes).prop_map(|(tags, attributes)| Subject { tags, attributes })
}

fn form() -> impl Strategy<Value = Form> {
    let tag = || (prop::sample::select(TAGS.to_vec()), any::<bool>());
    let name = prop::sample::select(NAMES.to_vec());
    let operator = prop::sample::select(vec!["==", "!=", ">", ">=", "<", "<="]);
    let attribute = (name, operator, value()).prop_map(|(name, operator, value)| {
        let ordered = matches!(
            value,
            Value::Halves(_) | Value::Float(_) | Value::Time(_) | Value::Now
        );
        let operator = if ordered || operator == "!=" {
            operator
        } else {
            "=="
        };
        Form::Attribute(name, operator, value)
    });
    let leaf = prop_oneof![
        1 => tag().prop_map(|(tag, there)| Form::Tag(tag, there)),
        1 => tag().prop_map(|(tag, there)| Form::Starts(tag, there)),
        1 => tag().prop_map(|(tag, there)| Form::Ends(tag, there)),
        3 => attribute,
    ];
    leaf.prop_recursive(4, 16, 3, |form| {
        let some = || prop::collection::vec(form.clone(), 1..4);
        prop_oneof![some().prop_map(Form::And), some().prop_map(Form::Or)]
    })
}
