//! Downloads from servers that misbehave (A12), each resumed or given up as it should be.

use std::time::Duration;

use sortie_protocol::{Reason, Report, Status, StatusCode, Uuid};

use crate::{
    rig::{PAGE, Rig, image, update},
    server::{How, Server},
};

const OPERATION: Uuid = Uuid::from_u128(7);

/// An impatient device with version 1.0.0, and a server of version 2.0.0.
struct Case {
    rig: Rig,
    server: Server,
    new: Vec<u8>,
}

impl Case {
    async fn new(plan: &[How]) -> Self {
        let new = image("2.0.0", 20_500);
        let server = Server::start(&new).await;
        server.plan(plan);
        let mut rig = Rig::new(&image("1.0.0", 9_000));
        rig.settings.backoff_min = Duration::from_millis(5);
        rig.settings.backoff_max = Duration::from_millis(20);
        rig.download = rig
            .download
            .head_timeout(Duration::from_millis(100))
            .idle_timeout(Duration::from_millis(100));
        Self { rig, server, new }
    }

    async fn run(&self) -> Report {
        let request = update(1, 7, &self.server.url(), &self.new, "2.0.0");
        self.rig.broker.ask(request);
        let broker = &self.rig.broker;
        self.rig.live_until(broker.ended(OPERATION)).await
    }

    async fn succeeds(&self) {
        let report = self.run().await;
        assert_eq!(report.status, Status::Success, "{report:?}");
        assert_eq!(self.rig.installed(), "2.0.0");
    }

    async fn fails(&self, code: StatusCode, reason: Option<Reason>) -> Report {
        let report = self.run().await;
        assert_eq!(
            (report.status, &report.code),
            (Status::Failure, &Some(code))
        );
        assert_eq!(report.reason, reason);
        assert_eq!(self.rig.installed(), "1.0.0");
        report
    }

    /// The recoverable errors that were reported.
    fn errors(&self) -> Vec<Report> {
        let registers = self.rig.broker.registers();
        let told = registers.told.iter();
        told.filter(|report| report.status == Status::Error)
            .cloned()
            .collect()
    }

    /// Where the nth request began, and what it was conditional on.
    fn asked(&self, nth: usize) -> (usize, Option<String>) {
        let (range, if_range) = self.server.asked()[nth].clone();
        let from = range.map_or(0, |range| {
            let from = range.strip_prefix("bytes=").unwrap();
            from.strip_suffix('-').unwrap().parse().unwrap()
        });
        (from, if_range)
    }

    fn slot_erases(&self) -> u32 {
        self.rig.spare_wear().iter().sum()
    }
}

/// The pages of the image.
const PAGES: u32 = 21;

#[tokio::test]
async fn a_body_cut_off_is_told_as_an_error_and_resumed_at_the_last_whole_page() {
    let case = Case::new(&[How::Cut(7_000), How::Cut(5_500)]).await;
    case.succeeds().await;
    let errors = case.errors();
    assert!(!errors.is_empty());
    assert!(
        errors
            .iter()
            .all(|e| e.code == Some(StatusCode::NetworkError))
    );
    let tag = Some("\"v1\"".to_owned());
    assert_eq!(case.asked(1), (7_000 / PAGE * PAGE, tag.clone()));
    assert_eq!(case.asked(2), ((7_000 / PAGE + 5_500 / PAGE) * PAGE, tag));
    assert_eq!(case.slot_erases(), PAGES);
}

#[tokio::test]
async fn a_server_without_ranges_sends_all_and_no_page_is_written_twice() {
    let case = Case::new(&[How::Cut(7_000), How::NoRange]).await;
    case.succeeds().await;
    assert_eq!(case.asked(1).0, 6 * PAGE);
    assert_eq!(case.slot_erases(), PAGES);
}

#[tokio::test]
async fn a_range_not_satisfiable_leads_to_a_request_for_all() {
    let case = Case::new(&[How::Cut(7_000), How::Unsatisfiable]).await;
    case.succeeds().await;
    assert_eq!(case.asked(2), (0, None));
    assert_eq!(case.slot_erases(), PAGES);
}

#[tokio::test]
async fn a_range_that_was_not_asked_for_is_not_taken() {
    let case = Case::new(&[How::Cut(7_000), How::OtherRange]).await;
    case.succeeds().await;
    assert_eq!(case.asked(2).0, 0);
}

#[tokio::test]
async fn an_artifact_replaced_by_the_right_one_during_the_download_overwrites_what_is_held() {
    for (how, etag) in [
        // If-Range does its work: all is sent.
        (How::Well, Some("\"v2\"")),
        // It does not, and the tag tells.
        (How::IgnoresIfRange, Some("\"v2\"")),
        // Nothing tells but the digest.
        (How::Well, None),
    ] {
        let case = Case::new(&[How::Cut(7_000), How::Cut(0), how]).await;
        let stale = image("1.9.9", case.new.len());
        let tag = etag.map(|_| "\"v1\"");
        case.server.replace(&stale, tag);
        let replaced = async {
            let registers = |r: &crate::broker::Registers| {
                r.told.iter().any(|report| report.status == Status::Error)
            };
            case.rig.broker.until(registers).await;
            case.server.replace(&case.new, etag);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = case.succeeds() => {}
            () = replaced => {}
        }
        assert_eq!(case.asked(1).0, 6 * PAGE, "{how:?}");
    }
}

#[tokio::test]
async fn an_artifact_replaced_by_a_wrong_one_fails_by_its_digest() {
    for plan in [&[][..], &[How::Cut(7_000)]] {
        let case = Case::new(plan).await;
        let mut wrong = case.new.clone();
        wrong[15_000] ^= 1;
        case.server.replace(&wrong, Some("\"v1\""));
        let report = case
            .fails(StatusCode::InvalidBaseImage, Some(Reason::DigestMismatch))
            .await;
        assert!(report.message.contains("flash holds"), "{}", report.message);
    }
}

#[tokio::test]
async fn an_artifact_declared_shorter_or_longer_fails_by_its_size() {
    for len in [20_499, 20_501, 0] {
        let case = Case::new(&[]).await;
        case.server.replace(&image("2.0.0", 20_600)[..len], None);
        case.fails(StatusCode::InvalidBaseImage, Some(Reason::SizeMismatch))
            .await;
    }
}

#[tokio::test]
async fn a_body_of_undeclared_length_is_taken_up_to_the_size_and_resumed_when_short() {
    let long = Case::new(&[How::Undeclared(-3_000)]).await;
    long.succeeds().await;
    let short = Case::new(&[How::Undeclared(3_000)]).await;
    short.succeeds().await;
    assert_eq!(short.asked(1).0, 17_500 / PAGE * PAGE);
}

#[tokio::test]
async fn a_silent_server_a_stalled_body_and_a_bad_status_are_tried_again() {
    let plan = [
        How::Silent,
        How::Stall(3_000),
        How::Status(503),
        How::Status(302),
    ];
    let case = Case::new(&plan).await;
    case.succeeds().await;
    let messages: Vec<_> = case.errors().into_iter().map(|e| e.message).collect();
    for part in ["timed out", "503", "302"] {
        assert!(messages.iter().any(|m| m.contains(part)), "{messages:?}");
    }
}

#[tokio::test]
async fn a_server_that_never_has_it_fails_after_give_up() {
    let mut case = Case::new(&[How::Status(404); 1_000]).await;
    case.rig.settings.give_up = Duration::from_millis(60);
    let report = case.fails(StatusCode::NetworkError, None).await;
    assert!(report.message.contains("404"), "{}", report.message);
    assert!(case.server.asked().len() > 2);
}

#[tokio::test]
async fn a_url_that_can_t_be_fetched_is_an_invalid_request_at_once() {
    for (url, part) in [
        ("https://127.0.0.1/a", "https is not supported"),
        ("ftp://127.0.0.1/a", "no http URL"),
        ("http://[", "malformed URL"),
        ("http://127.0.0.1/a b", "malformed"),
    ] {
        let case = Case::new(&[]).await;
        case.rig.broker.ask(update(1, 7, url, &case.new, "2.0.0"));
        let broker = &case.rig.broker;
        let report = case.rig.live_until(broker.ended(OPERATION)).await;
        assert_eq!(report.code, Some(StatusCode::InvalidRequest), "{url}");
        assert!(report.message.contains(part), "{url}: {}", report.message);
    }
}
