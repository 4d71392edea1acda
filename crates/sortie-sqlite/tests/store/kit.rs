//! What the tests share.

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::pin,
    process::{Child, Command, Stdio},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use sortie_core::{
    CampaignEvent, CampaignId, ClaimChange, ClaimPhase, ClaimRow, DeviceId, Event, OperationId,
    StreamId, TargetIndex, Timestamp,
};
use sortie_ports::{Append, AppendError, EventStore, Version};
use sortie_sqlite::Sqlite;
use tempfile::TempDir;
use uuid::Uuid;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Awaits without any runtime, which is all that the store may ask for.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// A folder for one test, and the name of a log in it.
pub(crate) fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    (folder, path)
}

/// An open log in a folder of its own.
pub(crate) fn fresh() -> (TempDir, Sqlite) {
    let (folder, path) = folder();
    (folder, wait(Sqlite::open(path)).unwrap())
}

/// A small event that is told apart by its number.
pub(crate) fn event(n: u32) -> Event {
    let target = TargetIndex(n);
    Event::Campaign(CampaignEvent::RequestRetried { target })
}

pub(crate) fn campaign(n: u128) -> StreamId {
    StreamId::Campaign(CampaignId(Uuid::from_u128(n)))
}

/// An append without claims and commands.
pub(crate) fn append(stream: StreamId, expected: Version, events: Vec<Event>) -> Append {
    Append {
        stream,
        expected,
        epoch: 0,
        at: Timestamp(1_764_000_226_123),
        commands: vec![],
        events,
        claims: vec![],
    }
}

/// Takes the claim of a device that none holds.
pub(crate) fn take(stream: StreamId, device: &str, number: u64) -> ClaimChange {
    let device = DeviceId::new(device).unwrap();
    let operation = OperationId(Uuid::from_u64_pair(7, number));
    let row = ClaimRow {
        device,
        number,
        holder: stream,
        operation,
        phase: ClaimPhase::Held,
    };
    ClaimChange {
        row,
        expected: None,
    }
}

pub(crate) fn append_one(store: &Sqlite, append: Append) -> Result<Version, AppendError> {
    wait(store.append(vec![append])).remove(0)
}

/// What a second connection, an auditor's, finds.
pub(crate) fn auditor(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

/// Numbers that are the same again for a seed (`SplitMix64`).
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The file that a child process of this test binary is told to work on.
pub(crate) const FILE: &str = "SORTIE_SQLITE_TEST_FILE";

/// Runs one ignored test of this binary in a process of its own, on `path`, through a shell that
/// first does `shell` (`""`: nothing). Its standard output is piped.
pub(crate) fn child(test: &str, path: &Path, shell: &str) -> Child {
    let this = std::env::current_exe().unwrap();
    Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{shell}\nexec \"$0\" \"$@\""))
        .arg(this)
        .args([
            test,
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The file that this process was told to work on.
pub(crate) fn given_file() -> PathBuf {
    std::env::var_os(FILE).expect("only run as a child").into()
}
