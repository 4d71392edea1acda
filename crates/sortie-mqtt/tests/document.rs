//! docs/device-protocol.md says what is true: its examples are messages, its script is the one that
//! is run, its access rules do what they promise.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

mod mosquitto;

use std::path::PathBuf;

use mosquitto::{Mosquitto, Onlooker, publish_as};
use sortie_protocol::{
    DecodeError, Presence, Progress, Reason, Report, Request, Status, StatusCode,
};

fn file(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// The fenced blocks with this word after the fence.
fn blocks(document: &str, word: &str) -> Vec<String> {
    let fence = format!("```{word}\n");
    let after = document.split(&fence).skip(1);
    after
        .map(|block| block.split_inclusive("```\n").next().unwrap())
        .map(|block| block.trim_end_matches("```\n").to_owned())
        .collect()
}

#[test]
fn the_document_s_script_is_the_example_that_is_run() {
    let document = file("docs/device-protocol.md");
    let script = file("examples/shell-device.sh");
    assert_eq!(blocks(&document, "sh"), [script]);
}

/// Each example of a kind of message is decoded, and is what would be encoded: so nothing in it is
/// unknown to the decoder, or has another name.
fn all<T>(
    document: &str,
    kind: &str,
    at_least: usize,
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    let examples = blocks(document, &format!("json {kind}"));
    assert!(examples.len() >= at_least, "{kind}");
    for example in examples {
        let message = decode(example.trim().as_bytes()).unwrap();
        let again = String::from_utf8(encode(&message)).unwrap();
        assert_eq!(again, example.trim(), "{kind}");
    }
}

#[test]
fn the_document_s_examples_are_messages_of_the_protocol() {
    let document = file("docs/device-protocol.md");
    all(
        &document,
        "request",
        3,
        Request::from_json,
        Request::to_json,
    );
    all(&document, "report", 2, Report::from_json, Report::to_json);
    all(
        &document,
        "presence",
        3,
        Presence::from_json,
        Presence::to_json,
    );
    all(
        &document,
        "progress",
        1,
        Progress::from_json,
        Progress::to_json,
    );
}

#[test]
fn the_document_names_every_status_code_and_reason() {
    let document = file("docs/device-protocol.md");
    let statuses = [
        Status::Acknowledged,
        Status::Downloading,
        Status::Deploying,
        Status::Deployed,
        Status::Rebooting,
        Status::Error,
        Status::Success,
        Status::Failure,
    ];
    for status in statuses {
        assert!(
            document.contains(&format!("| `{status:?}` |")),
            "{status:?}"
        );
    }
    let codes = [
        StatusCode::InvalidRequest,
        StatusCode::UpdateAlreadyInProgress,
        StatusCode::NetworkError,
        StatusCode::IOError,
        StatusCode::InternalError,
        StatusCode::InvalidBaseImage,
        StatusCode::SystemRollback,
        StatusCode::Canceled,
    ];
    for code in codes {
        assert!(document.contains(&format!("| `{code}` |")), "{code}");
    }
    let reasons = [
        Reason::VersionChanged,
        Reason::DowngradeNotAllowed,
        Reason::DigestMismatch,
        Reason::SystemModelMismatch,
        Reason::SizeMismatch,
        Reason::HealthCheckFailed,
        Reason::TrialFailed,
    ];
    for reason in reasons {
        assert!(document.contains(&format!("`{reason}`")), "{reason}");
    }
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn the_document_s_access_rules_let_a_device_speak_for_itself_only() {
    let document = file("docs/device-protocol.md");
    let rules = blocks(&document, "acl").concat() + "\nuser onlooker\ntopic read #\n";
    // A password file that nobody is in: mosquitto takes any user with `allow_anonymous`.
    let broker = Mosquitto::with_files("acl_file DIR/rules", &[("rules", &rules)]);
    let mut onlooker = Onlooker::as_user(broker.port, "onlooker", "sortie/1/#").await;
    let topics = |device: &str| {
        ["presence", "report/r/x", "progress/r", "request"]
            .map(|topic| format!("sortie/1/d/{device}/{topic}"))
    };
    let of = |device: &str| topics(device).map(|topic| (topic, "from gw-1"));
    publish_as(broker.port, "gw-1", false, of("gw-2")).await;
    publish_as(broker.port, "gw-1", false, of("gw-1")).await;
    let engine = [
        ("sortie/1/d/gw-1/request", "from the engine"),
        ("sortie/1/engine/engine", "from the engine"),
    ];
    publish_as(broker.port, "sortie-engine", false, engine).await;
    let mut seen = vec![];
    for _ in 0..5 {
        seen.push(onlooker.next().await.topic);
    }
    let expected = [
        "sortie/1/d/gw-1/presence",
        "sortie/1/d/gw-1/report/r/x",
        "sortie/1/d/gw-1/progress/r",
        "sortie/1/d/gw-1/request",
        "sortie/1/engine/engine",
    ];
    assert_eq!(seen, expected);

    let mut device = Onlooker::as_user(broker.port, "gw-1", "sortie/1/d/#").await;
    let all = ["gw-2", "gw-1"].map(|device| (format!("sortie/1/d/{device}/request"), "an update"));
    publish_as(broker.port, "sortie-engine", false, all).await;
    assert_eq!(device.next().await.topic, "sortie/1/d/gw-1/request");
}
