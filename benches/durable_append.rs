//! What a durable append costs, beside what the disk and SQLite allow.
//!
//! All sides run in turns on the same disk (of the system's folder for temporary files; set
//! `TMPDIR` for another):
//! - *fdatasync*: 4 KiB of a preallocated file overwritten and synced, the least that a commit costs;
//! - *raw packed*: SQLite as we open it, one INSERT a commit of JSON that is there already, into a
//!   table with our columns and index, and nothing else;
//! - *raw rows*: the same, one INSERT an event;
//! - *ours*: `EventStore::append` as the engine calls it: to the write thread and back, events made
//!   into JSON, hashed and chained, the stream's row kept;
//! - *ours, claims*: every event also takes its device's claim, in the order of the snapshot, as a
//!   campaign pushes (rule P1);
//! - *ours, claims apart*: the worst case, devices of which no two are near each other in the table.

use std::{
    error::Error,
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, params};
use sortie_benches::{TURNS, median, rate, turn, wait};
use sortie_core::{
    CampaignEvent, CampaignId, ClaimChange, ClaimPhase, ClaimRow, DeviceId, Event, OperationId,
    StreamId, TargetIndex, Timestamp,
};
use sortie_ports::{Append, EventStore, Version, codec};
use sortie_sqlite::Sqlite;
use uuid::Uuid;

type Outcome<T> = Result<T, Box<dyn Error>>;

const BATCHES: [u32; 4] = [1, 64, 256, 1_000];
const STREAM: StreamId = StreamId::Campaign(CampaignId(Uuid::from_u128(1)));
const DEVICES: u32 = 100_000;

fn main() -> Outcome<()> {
    let turn = turn();
    println!("Events a second (median of {TURNS} turns of {turn:?}); ratios are of commits.\n");
    println!(
        "| batch | fdatasync /s | raw rows ev/s | raw packed ev/s | ours ev/s | ours ÷ raw packed \
         | ours ÷ fdatasync | ours, claims ev/s \
         | ours, claims apart ev/s | B/event |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for batch in BATCHES {
        line(batch, turn)?;
    }
    Ok(())
}

fn line(batch: u32, turn: Duration) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    let mut disk = Disk::new(&file("disk"))?;
    let mut packed = Raw::new(&file("packed.db"))?;
    let mut rows = Raw::new(&file("rows.db"))?;
    let mut plain = Ours::new(&file("plain.db"))?;
    let mut claiming = Ours::new(&file("claiming.db"))?;
    let mut apart = Ours::new(&file("apart.db"))?;
    let events = started(0, batch);
    let json = codec::encode(&events)?;
    let each = events
        .iter()
        .map(|event| codec::encode(std::slice::from_ref(event)))
        .collect::<Result<Vec<_>, _>>()?;

    let mut rates: [Vec<f64>; 6] = Default::default();
    let mut failed: Option<Box<dyn Error>> = None;
    for _ in 0..TURNS {
        let mut side = |n: usize, work: &mut dyn FnMut() -> Outcome<()>| {
            rates[n].push(rate(turn, || {
                failed = failed.take().or(work().err());
                1
            }));
        };
        side(0, &mut || disk.overwrite());
        side(1, &mut || {
            rows.commit(each.iter().map(|json| (json.as_str(), 1)))
        });
        side(2, &mut || packed.commit([(json.as_str(), batch)]));
        side(3, &mut || plain.append(batch, None));
        side(4, &mut || claiming.append(batch, Some(1)));
        side(5, &mut || apart.append(batch, Some(7_919)));
    }
    if let Some(e) = failed {
        return Err(e);
    }
    let [disk, rows, packed, ours, claims, apart] = rates.map(median);
    let events = f64::from(batch);
    println!(
        "| {batch} | {disk:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} |",
        rows * events,
        packed * events,
        ours * events,
        ours / packed,
        ours / disk,
        claims * events,
        apart * events,
        plain.bytes_per_event()?,
    );
    Ok(())
}

/// A batch of events, as a campaign that pushes makes them.
fn started(first: u32, count: u32) -> Vec<Event> {
    let event = |n: u32| CampaignEvent::OperationStarted {
        target: TargetIndex(n % DEVICES),
        claim: u64::from(n / DEVICES) + 1,
        decided_on: Some("1.3.0".into()),
        replaces: None,
    };
    (first..first + count)
        .map(|n| Event::Campaign(event(n)))
        .collect()
}

struct Disk {
    file: File,
    page: Vec<u8>,
}

impl Disk {
    fn new(path: &Path) -> Outcome<Self> {
        let mut file = File::create(path)?;
        let page = vec![7; 4_096];
        file.write_all(&page)?;
        file.sync_all()?;
        Ok(Self { file, page })
    }

    fn overwrite(&mut self) -> Outcome<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&self.page)?;
        Ok(self.file.sync_data()?)
    }
}

/// SQLite, with our table of commits and nothing around it.
struct Raw {
    connection: Connection,
    position: i64,
}

impl Raw {
    fn new(path: &Path) -> Outcome<Self> {
        let connection = Connection::open(path)?;
        let mode = "PRAGMA journal_mode = WAL";
        let mode: String = connection.query_row(mode, [], |row| row.get(0))?;
        assert_eq!(mode, "wal");
        connection.execute_batch(
            "PRAGMA synchronous = FULL;
             CREATE TABLE commits(position INTEGER PRIMARY KEY, stream INTEGER, first INTEGER,
                 count INTEGER, recorded_at INTEGER, epoch INTEGER, schema INTEGER, hash BLOB,
                 commands TEXT, events TEXT) STRICT;
             CREATE UNIQUE INDEX commits_of_stream ON commits(stream, first);",
        )?;
        Ok(Self {
            connection,
            position: 1,
        })
    }

    fn commit<'a>(&mut self, rows: impl IntoIterator<Item = (&'a str, u32)>) -> Outcome<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO commits VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        for (json, count) in rows {
            let (at, hash) = (1_764_000_226_123_i64, [7_u8; 32]);
            insert.execute(params![
                self.position,
                1,
                self.position,
                count,
                at,
                1,
                1,
                hash,
                "[]",
                json
            ])?;
            self.position += i64::from(count);
        }
        drop(insert);
        Ok(self.connection.execute_batch("COMMIT")?)
    }
}

/// Our store, through its port.
struct Ours {
    store: Sqlite,
    version: Version,
    next: u32,
    devices: Vec<DeviceId>,
}

impl Ours {
    fn new(path: &Path) -> Outcome<Self> {
        let devices = (0..DEVICES).map(|n| DeviceId::new(&format!("gw-{n:06}")));
        Ok(Self {
            store: wait(Sqlite::open(path))?,
            version: 0,
            next: 0,
            devices: devices.collect::<Result<_, _>>()?,
        })
    }

    /// Appends a batch; with claims, taken on devices that are `stride` apart in the table.
    fn append(&mut self, batch: u32, stride: Option<u32>) -> Outcome<()> {
        let numbers = self.next..self.next + batch;
        let claim = |n| stride.map(|stride| self.claim(n, stride));
        let claims = numbers.filter_map(claim).collect();
        let append = Append {
            stream: STREAM,
            expected: self.version,
            epoch: 1,
            at: Timestamp(1_764_000_226_123),
            commands: vec![],
            events: started(self.next, batch),
            claims,
        };
        let mut answers = wait(self.store.append(vec![append]));
        self.version = answers.pop().ok_or("no answer")??;
        self.next += batch;
        Ok(())
    }

    /// Takes the claim that is due at event `n`: round after round through all devices.
    fn claim(&self, n: u32, stride: u32) -> ClaimChange {
        let (round, index) = (u64::from(n / DEVICES), (n % DEVICES) * stride % DEVICES);
        let row = ClaimRow {
            device: self.devices[index as usize].clone(),
            number: round + 1,
            holder: STREAM,
            operation: OperationId(Uuid::from_u64_pair(round, n.into())),
            phase: ClaimPhase::Open,
        };
        ClaimChange {
            row,
            expected: (round > 0).then_some((STREAM, round)),
        }
    }

    /// Once all is in the file and the log beside it is empty.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn bytes_per_event(self) -> Outcome<f64> {
        let path = self.store.path().to_owned();
        drop(self.store);
        Ok(std::fs::metadata(path)?.len() as f64 / self.version as f64)
    }
}
