//! Values of attributes: numbers as one type (rule T3), and their form in JSON.

use std::cmp::Ordering;

use proptest::prelude::*;
use sortie_core::{AttributeValue, Device, Number, Timestamp};

#[test]
fn t3_integers_and_floats_are_one_numeric_type_and_compare_exactly() {
    use Ordering::{Equal, Greater, Less};
    let exact = 9_007_199_254_740_992_i64;
    for (integer, float, order) in [
        (42, 42.0, Equal),
        (0, -0.0, Equal),
        (42, 42.5, Less),
        (43, 42.5, Greater),
        (-1, -1.5, Greater),
        (-2, -1.5, Less),
        (0, f64::MIN_POSITIVE, Less),
        (0, -f64::MIN_POSITIVE, Greater),
        (exact, 9_007_199_254_740_992.0, Equal),
        (exact + 1, 9_007_199_254_740_992.0, Greater),
        (exact - 1, 9_007_199_254_740_992.0, Less),
        (-exact - 1, -9_007_199_254_740_992.0, Less),
        (i64::MAX, 9_223_372_036_854_775_808.0, Less),
        (i64::MAX, 9_223_372_036_854_774_784.0, Greater),
        (i64::MIN, -9_223_372_036_854_775_808.0, Equal),
        (i64::MIN, -9_223_372_036_854_777_856.0, Greater),
        (i64::MAX, f64::INFINITY, Less),
        (i64::MIN, f64::NEG_INFINITY, Greater),
    ] {
        let (integer, float) = (Number::from(integer), Number::from(float));
        assert_eq!(
            integer.partial_cmp(&float),
            Some(order),
            "{integer} {float}"
        );
        assert_eq!(float.partial_cmp(&integer), Some(order.reverse()));
        assert_eq!(integer == float, order == Equal);
    }
    assert_eq!(Number::from(-42).to_string(), "-42");
    assert_eq!(Number::from(0.25).to_string(), "0.25");
    let nan = Number::from(f64::NAN);
    for other in [Number::from(0), Number::from(0.0), nan] {
        assert_eq!(nan.partial_cmp(&other), None);
        assert_eq!(other.partial_cmp(&nan), None);
        assert!(nan != other);
    }
}

#[test]
fn a_value_is_readable_json_of_its_own_type() {
    for (value, json) in [
        (AttributeValue::from(true), "true"),
        (42.into(), "42"),
        (42.0.into(), "42.0"),
        (u32::MAX.into(), "4294967295"),
        (i64::MIN.into(), "-9223372036854775808"),
        (i64::MAX.into(), "9223372036854775807"),
        (AttributeValue::Number(Number::Float(0.5)), "0.5"),
        ("Zürich".into(), "\"Zürich\""),
        ((&String::from("a")).into(), "\"a\""),
        (
            String::from("2026-01-02T03:04:05Z").into(),
            "\"2026-01-02T03:04:05Z\"",
        ),
        (
            Timestamp(1_767_323_045_678).into(),
            r#"{"datetime":"2026-01-02T03:04:05.678Z"}"#,
        ),
        (b"foobar".to_vec().into(), r#"{"binaryblob":"Zm9vYmFy"}"#),
        ((&b"fo"[..]).into(), r#"{"binaryblob":"Zm8="}"#),
        (AttributeValue::BinaryBlob(vec![]), r#"{"binaryblob":""}"#),
    ] {
        assert_eq!(serde_json::to_string(&value).unwrap(), json);
        let read: AttributeValue = serde_json::from_str(json).unwrap();
        assert_eq!(read, value);
        assert_eq!(
            format!("{read:?}"),
            format!("{value:?}"),
            "the same variant"
        );
    }
}

#[test]
fn what_was_stored_before_times_and_bytes_were_known_still_reads() {
    let json = r#"{"id":"d","systemModel":"m","attributes":{"a":true,"b":5.0,"c":"x","d":1e19}}"#;
    let device: Device = serde_json::from_str(json).unwrap();
    let values: Vec<_> = device.attributes().values().cloned().collect();
    assert_eq!(values, [true.into(), 5.into(), "x".into(), 1e19.into()]);
}

#[test]
fn what_is_no_value_is_refused_and_says_why() {
    for (json, why) in [
        ("null", "a boolean, a number"),
        ("[]", "a boolean, a number"),
        ("{}", "a boolean, a number"),
        ("9223372036854775808", "below 2^63"),
        (r#"{"date":"x"}"#, "unknown field `date`"),
        (r#"{"datetime":"2026-02-30T00:00:00Z"}"#, "column 9"),
        (r#"{"datetime":5}"#, "expected a string"),
        (r#"{"binaryblob":"Zg"}"#, "base64"),
        (
            r#"{"binaryblob":"Zg==","datetime":"2026-02-28T00:00:00Z"}"#,
            "one field",
        ),
    ] {
        let error = serde_json::from_str::<AttributeValue>(json).unwrap_err();
        assert!(error.to_string().contains(why), "{json}: {error}");
    }
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = serde_json::to_string(&AttributeValue::from(float)).unwrap_err();
        assert!(error.to_string().contains(&float.to_string()), "{error}");
    }
}

#[test]
fn t3_an_attributes_namespace_is_in_lower_case_however_it_came() {
    let device = Device::new("d", "m")
        .unwrap()
        .attribute("CUSTOM:Site:B", 1)
        .attribute("custom:Site:B", 2)
        .attribute("Plain", 3);
    let json = r#"{"id":"d","systemModel":"m","attributes":{"Custom:Site:B":2,"Plain":3}}"#;
    assert_eq!(serde_json::from_str::<Device>(json).unwrap(), device);
    let names: Vec<_> = device.attributes().keys().collect();
    assert_eq!(names, ["Plain", "custom:Site:B"]);
}

proptest! {
    #[test]
    fn t3_numbers_compare_as_decimals_do(integer in integer(), float in float()) {
        let expected = decimal(&integer.to_string()).cmp(&decimal(&format!("{float:.1100}")));
        let (integer, float) = (Number::from(integer), Number::from(float));
        prop_assert_eq!(integer.partial_cmp(&float), Some(expected), "{} {}", integer, float);
    }

    #[test]
    fn any_value_reads_back(value in value()) {
        let json = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<AttributeValue>(&json).unwrap(), value, "{}", json);
    }

    #[test]
    fn any_time_reads_back(ms in any::<i64>()) {
        prop_assert_eq!(Timestamp(ms).to_string().parse(), Ok(Timestamp(ms)));
    }

    #[test]
    fn no_text_makes_a_time_panic_and_what_is_accepted_is_its_own_time(text in "[-+0-9TZ:.é]{0,30}") {
        if let Ok(at) = text.parse::<Timestamp>() {
            prop_assert_eq!(at.to_string().parse(), Ok(at));
        }
    }
}

/// Near where integers and floats part.
fn integer() -> impl Strategy<Value = i64> {
    let edge = prop::sample::select(vec![0, 1 << 53, -(1 << 53), i64::MAX, i64::MIN]);
    prop_oneof![
        (edge, -3_i64..=3).prop_map(|(edge, off)| edge.saturating_add(off)),
        any::<i64>(),
    ]
}

fn float() -> impl Strategy<Value = f64> {
    #[expect(clippy::cast_precision_loss, reason = "a float near it is wanted")]
    let near = integer().prop_map(|integer| integer as f64);
    prop_oneof![
        near,
        (-4_i8..4).prop_map(|n| f64::from(n) / 2.0),
        any::<i32>().prop_map(|n| f64::from(n) / 1024.0)
    ]
}

fn value() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        any::<bool>().prop_map(AttributeValue::from),
        any::<i64>().prop_map(AttributeValue::from),
        (-1_000_i32..1_000).prop_map(|n| (f64::from(n) / 8.0).into()),
        ".{0,8}".prop_map(AttributeValue::from),
        any::<i64>().prop_map(|ms| Timestamp(ms).into()),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(AttributeValue::from),
    ]
}

/// A decimal's digits, padded so that they compare as the numbers do; no float takes part. Those of
/// a negative one are negative.
fn decimal(text: &str) -> Vec<i8> {
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let padded = format!("{whole:0>40}{fraction:0<1100}");
    padded
        .bytes()
        .map(|digit| sign * (digit - b'0').cast_signed())
        .collect()
}
