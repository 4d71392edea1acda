//! The event log and a device table on SQLite: sortie's embedded default.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use sortie_core::Device;
//! use sortie_sqlite::Sqlite;
//!
//! let store = Sqlite::open("sortie.db").await?;
//! store.devices().put([Device::new("gw-0001", "gateway-g2")?.tag("pilot")]).await?;
//! # Ok(()) }
//! ```
//!
//! **One file, one owner.** [`Sqlite::open`] takes an OS lock on a side file, `sortie.db.lock`, never
//! on the database itself: a second engine on one log is refused, also inside one process, and the
//! lock dies with the process. Reading along is welcome: `sqlite3 sortie.db 'select * from events'`
//! works while the engine runs. (A reader that keeps a transaction open keeps the write-ahead log
//! from being reused meanwhile.)
//!
//! **Two threads.** `sortie-sqlite-write` and `sortie-sqlite-read` do all I/O, JSON and hashing; no
//! runtime is needed, and none of its threads is blocked. The write thread puts everything that
//! waits into one transaction, and answers after its sync (WAL, `synchronous=FULL`).
//!
//! # What is in the file
//!
//! | name | what it is |
//! |---|---|
//! | view `events` | one row an event, for people: `position, stream, version, recorded_at, kind, campaign, device, body` |
//! | view `claims` | one row a claim, for people: `device, number, holder, operation, phase` |
//! | `commits` | one row a commit: `position` (of its first event, over all streams, without gaps), `stream`, `first` version, `count` of events, `recorded_at` (ms), `epoch`, `schema`, `hash`, `commands`, `events` (JSON) |
//! | `streams` | the streams, each with its version, epoch, number of targets, and the hash of its last commit |
//! | `targets` | which device a target's index means; derived from the events |
//! | `claim_rows`, `devices`, `log` | the claims beside the log, the device table, the log's id |
//!
//! `hash` is SHA-256 over the hash of the stream's commit before it (32 zero bytes for the first),
//! then `position`, `first`, `count`, `recorded_at`, `epoch` and `schema`, each as 8 bytes, big
//! end first, then the stream's id, `commands` and `events`, each as its length in 8 bytes and its
//! UTF-8 text. Each read checks it; [`Sqlite::verify`] checks the whole log.
#![forbid(unsafe_code)]

mod append;
mod chain;
mod claims;
mod devices;
mod error;
mod fault;
mod lock;
mod page;
mod reader;
mod schema;
mod sqlite;
mod streams;
mod verify;
mod worker;
mod writer;

pub use devices::Devices;
pub use error::{Holder, OpenError};
pub use sqlite::Sqlite;
pub use verify::{Verified, VerifyError};
