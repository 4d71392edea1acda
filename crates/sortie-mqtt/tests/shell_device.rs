//! The shell device of docs/device-protocol.md, against a real broker and played by hand: it does
//! what the document says of it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

mod mosquitto;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use mosquitto::{Message, Mosquitto, Onlooker, publish, retained};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

const IMAGE_BYTES: usize = 64 * 1024;
const X: &str = "00000000-0000-4000-8000-00000000000a";
const Y: &str = "00000000-0000-4000-8000-00000000000b";

/// The document's script, as a process.
struct ShellDevice {
    child: Child,
    state: tempfile::TempDir,
    port: u16,
}

impl ShellDevice {
    fn start(port: u16) -> Self {
        let state = tempfile::tempdir().unwrap();
        let child = spawn(port, state.path());
        Self { child, state, port }
    }

    /// As a power cut of the shell; what it had started is left behind.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.child = spawn(self.port, self.state.path());
    }

    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.state.path().join(name)).unwrap_or_default()
    }
}

impl Drop for ShellDevice {
    fn drop(&mut self) {
        // An orderly end, so that its clients end, too.
        let id = self.child.id().to_string();
        let _dead = Command::new("kill").args(["-TERM", &id]).status();
        let _dead = self.child.wait();
    }
}

fn spawn(port: u16, state: &Path) -> Child {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/shell-device.sh");
    Command::new("sh")
        .arg(script)
        .env("BROKER_HOST", "127.0.0.1")
        .env("BROKER_PORT", port.to_string())
        .env("DEVICE_ID", "shell-1")
        .env("STATE_DIR", state)
        .env("GIVE_UP", "3")
        .stdin(Stdio::null())
        .spawn()
        .expect("there is a shell")
}

/// An HTTP server with one file and Range.
struct Server {
    port: u16,
    requests: Arc<AtomicUsize>,
    ranges: Arc<AtomicUsize>,
    /// Answers break off after a third of the file.
    breaks_off: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Server {
    async fn of(image: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, ranges) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let breaks_off = Arc::new(AtomicBool::new(false));
        let counts = (requests.clone(), ranges.clone(), breaks_off.clone());
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (requests, ranges, breaks_off) = &counts;
                requests.fetch_add(1, Ordering::SeqCst);
                let whole = !breaks_off.load(Ordering::SeqCst);
                if answer(socket, &image, whole)
                    .await
                    .is_some_and(|from| from > 0)
                {
                    ranges.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self {
            port,
            requests,
            ranges,
            breaks_off,
            task,
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/gw.bin", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request; says from which byte on.
async fn answer(mut socket: TcpStream, image: &[u8], whole: bool) -> Option<usize> {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_ascii_lowercase();
    let range = head.split("range: bytes=").nth(1);
    let from: usize = range.map_or(Some(0), |range| range.split('-').next()?.parse().ok())?;
    let (status, total) = (
        if from > 0 {
            "206 Partial Content"
        } else {
            "200 OK"
        },
        image.len(),
    );
    let length = total - from;
    let last = total - 1;
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Range: bytes {from}-{last}/{total}\r\n\
         Connection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.ok()?;
    let end = if whole {
        total
    } else {
        (from + total / 3).min(total)
    };
    socket.write_all(&image[from..end]).await.ok()?;
    socket.shutdown().await.ok()?;
    Some(from)
}

fn image() -> Vec<u8> {
    (0..=250).cycle().take(IMAGE_BYTES).collect()
}

fn sha256(bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("image");
    std::fs::write(&file, bytes).unwrap();
    let sum = Command::new("sha256sum").arg(&file).output().unwrap();
    String::from_utf8(sum.stdout).unwrap()[..64].to_owned()
}

fn update(generation: u64, uuid: &str, url: &str, digest: &str, rest: &str) -> String {
    format!(
        r#"{{"operation":"Update","gen":{generation},"uuid":"{uuid}","route":"r-1","url":"{url}","artifact":{{"size":{IMAGE_BYTES},"sha256":"{digest}","format":"raw"}},"allow":{{"downgrade":false,"systemModel":false,"sameVersion":false}}{rest}}}"#
    )
}

async fn ask(port: u16, request: &str) {
    publish(port, true, [("sortie/1/d/shell-1/request", request)]).await;
}

/// The status, and if there are any, code and reason, of the next report on an operation.
async fn reported(onlooker: &mut Onlooker, uuid: &str) -> String {
    let suffix = format!("report/r-1/{uuid}");
    let report = onlooker
        .until(|m: &Message| m.topic.ends_with(&suffix))
        .await;
    let field = |name: &str| {
        let start = format!("\"{name}\":\"");
        let value = report.payload.split(&start).nth(1).unwrap_or("\"");
        value.split('"').next().unwrap_or_default().to_owned()
    };
    if report.payload.is_empty() {
        return "(emptied)".into();
    }
    assert_eq!(field("requestUUID"), uuid);
    let words = [field("status"), field("statusCode"), field("reason")];
    words.join(" ").trim_end().to_owned()
}

async fn reports(onlooker: &mut Onlooker, uuid: &str, expected: &[&str]) {
    for expected in expected {
        assert_eq!(reported(onlooker, uuid).await, *expected);
    }
}

async fn born(onlooker: &mut Onlooker, version: &str) -> Message {
    let version = format!("\"version\":\"{version}\"");
    onlooker
        .until(|m| {
            m.topic.ends_with("presence")
                && m.payload.contains("online")
                && m.payload.contains(&version)
        })
        .await
}

const STEPS: [&str; 7] = [
    "Acknowledged",
    "Downloading",
    "Deploying",
    "Deployed",
    "Rebooting",
    "Success",
    "Success",
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn it_updates_reports_each_step_and_empties_its_register() {
    let broker = Mosquitto::start("");
    let server = Server::of(image()).await;
    let mut onlooker = Onlooker::of(broker.port, "sortie/1/d/shell-1/#").await;
    let device = ShellDevice::start(broker.port);
    born(&mut onlooker, "1.0.0").await;
    let digest = sha256(&image());
    let rest = r#","version":"1.4.0","systemModel":"gateway-g2","decidedOn":"1.0.0""#;
    let request = update(5, X, &server.url(), &digest, rest);
    ask(broker.port, &request).await;
    reports(&mut onlooker, X, &STEPS[..5]).await;
    let birth = born(&mut onlooker, "1.4.0").await;
    assert!(birth.payload.contains(&digest), "{birth:?}");
    reports(&mut onlooker, X, &["Success"]).await;
    assert_eq!(device.file("image"), image());

    // The same Update again is answered, and not done again.
    ask(broker.port, &request).await;
    reports(&mut onlooker, X, &["Success"]).await;
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);
    ask(broker.port, r#"{"operation":"None","gen":7}"#).await;
    loop {
        match reported(&mut onlooker, X).await.as_str() {
            "(emptied)" => break,
            again => assert_eq!(again, "Success"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn it_goes_on_with_a_download_after_a_kill_and_after_the_server_broke_off() {
    let broker = Mosquitto::start("");
    let server = Server::of(image()).await;
    server.breaks_off.store(true, Ordering::SeqCst);
    let mut onlooker = Onlooker::of(broker.port, "sortie/1/d/shell-1/#").await;
    let mut device = ShellDevice::start(broker.port);
    born(&mut onlooker, "1.0.0").await;
    let rest = r#","version":"1.4.0""#;
    ask(
        broker.port,
        &update(5, X, &server.url(), &sha256(&image()), rest),
    )
    .await;
    reports(
        &mut onlooker,
        X,
        &["Acknowledged", "Downloading", "Error NetworkError"],
    )
    .await;
    device.kill();
    device.start_again();
    let words = "a word on it after the restart";
    loop {
        match reported(&mut onlooker, X).await.as_str() {
            "Success" => break,
            "Error NetworkError" | "Downloading" | "Deploying" | "Deployed" | "Rebooting" => {}
            other => panic!("{words}: {other}"),
        }
    }
    assert_eq!(device.file("image"), image());
    assert!(
        server.ranges.load(Ordering::SeqCst) >= 2,
        "resumed, not begun anew"
    );
    let presence = retained(broker.port, "sortie/1/d/shell-1/presence").await;
    assert!(
        presence.contains("1.4.0") && presence.contains("online"),
        "{presence}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn it_refuses_what_it_must_and_remembers_a_cancelled_operation() {
    let broker = Mosquitto::start("");
    let server = Server::of(image()).await;
    let mut onlooker = Onlooker::of(broker.port, "sortie/1/d/shell-1/#").await;
    let mut device = ShellDevice::start(broker.port);
    born(&mut onlooker, "1.0.0").await;
    let port = broker.port;
    let good = sha256(&image());
    let url = server.url();

    // Never begun: and after a restart it is remembered.
    let cancel = format!(r#"{{"operation":"Cancel","gen":6,"uuid":"{X}","route":"r-1"}}"#);
    ask(port, &cancel).await;
    reports(&mut onlooker, X, &["Failure Canceled"]).await;
    device.kill();
    device.start_again();
    let late = update(5, X, &url, &good, r#","version":"1.4.0""#);
    ask(port, &late).await;
    reports(&mut onlooker, X, &["Failure Canceled", "Failure Canceled"]).await;
    assert_eq!(server.requests.load(Ordering::SeqCst), 0, "flash untouched");

    let n = |n: u8| format!("00000000-0000-4000-8000-0000000000{n:02x}");
    let wrong = "0".repeat(64);
    let cases = [
        (
            url.as_str(),
            good.as_str(),
            r#","version":"1.0.0""#,
            "Success",
        ),
        (
            &url,
            &good,
            r#","version":"1.4.0","decidedOn":"0.9.0""#,
            "Failure InvalidRequest version_changed",
        ),
        (
            &url,
            &good,
            r#","version":"1.4.0","systemModel":"toaster""#,
            "Failure InvalidBaseImage system_model_mismatch",
        ),
        ("ftp://h/x", &good, "", "Failure InvalidRequest"),
        (&url, "", "", "Failure InvalidRequest"),
    ];
    for (case, (url, digest, rest, expected)) in (1..).zip(cases) {
        ask(
            port,
            &update(10 + u64::from(case), &n(case), url, digest, rest),
        )
        .await;
        reports(&mut onlooker, &n(case), &[expected]).await;
    }
    let request = update(30, Y, &url, &wrong, r#","version":"1.4.0""#);
    ask(port, &request).await;
    let digest = "Failure InvalidBaseImage digest_mismatch";
    reports(&mut onlooker, Y, &["Acknowledged", "Downloading", digest]).await;

    drop(server);
    let request = update(40, &n(40), &url, &good, r#","version":"1.4.0""#);
    ask(port, &request).await;
    reports(&mut onlooker, &n(40), &["Acknowledged", "Downloading"]).await;
    loop {
        match reported(&mut onlooker, &n(40)).await.as_str() {
            "Failure NetworkError" => break,
            "Error NetworkError" | "Downloading" => {}
            other => panic!("{other}"),
        }
    }
    // Only the last report register holds something.
    let mut newcomer = Onlooker::of(port, "sortie/1/d/shell-1/report/#").await;
    assert!(newcomer.next().await.topic.ends_with(&n(40)));
    publish(port, true, [("sortie/1/d/shell-1/report/mark", "mark")]).await;
    assert!(
        newcomer.next().await.topic.ends_with("mark"),
        "nothing else is retained"
    );
    drop(device);
    let presence = retained(port, "sortie/1/d/shell-1/presence").await;
    assert!(presence.contains("offline"), "{presence}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn it_is_heard_again_after_the_broker_has_lost_its_store_and_after_a_late_will() {
    let mut broker = Mosquitto::start("");
    let mut onlooker = Onlooker::of(broker.port, "sortie/1/d/shell-1/#").await;
    let _device = ShellDevice::start(broker.port);
    born(&mut onlooker, "1.0.0").await;
    let cancel = format!(r#"{{"operation":"Cancel","gen":6,"uuid":"{X}","route":"r-1"}}"#);
    ask(broker.port, &cancel).await;
    reports(&mut onlooker, X, &["Failure Canceled"]).await;

    broker.restart();
    let mut onlooker = Onlooker::of(broker.port, "sortie/1/d/shell-1/#").await;
    born(&mut onlooker, "1.0.0").await;
    reports(&mut onlooker, X, &["Failure Canceled"]).await;

    let will = r#"{"state":"lost","session":"an earlier one"}"#;
    let presence = "sortie/1/d/shell-1/presence";
    publish(broker.port, true, [(presence, will)]).await;
    onlooker.until(|m| m.payload == will).await;
    born(&mut onlooker, "1.0.0").await;
    // And an Update of several nodes for another session is not begun, and said to be.
    let rest = r#","version":"1.4.0","session":"another""#;
    ask(
        broker.port,
        &update(9, Y, "http://127.0.0.1:1/x", &"0".repeat(64), rest),
    )
    .await;
    onlooker
        .until(|m| m.payload.contains(r#""behind":true"#))
        .await;
}
