//! The database as a file: how it is recognised, made and opened.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};
use sortie_ports::BoxError;
use uuid::Uuid;

use crate::{OpenError, lock};

/// Marks our files, in the place that SQLite keeps for it: "srti".
const APPLICATION: i64 = 0x7372_7469;

/// The version of the tables. A file of a newer one is refused.
const SCHEMA: u32 = 1;

/// How long a statement waits for others, such as an auditor's `sqlite3`, to let go of the file.
const BUSY: Duration = Duration::from_secs(5);

/// The write-ahead log goes back to this size after it had to grow, in bytes.
const WAL_BYTES_KEPT: u32 = 64 << 20;

/// A database, recognised or made.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) log: Uuid,
}

/// Opens the database at `path` to write, making it if there is none. The caller holds the lock.
pub(crate) fn open(path: &Path) -> Result<Opened, OpenError> {
    open_writer(path).map_err(|refusal| refusal.at(path))
}

/// Opens a second connection, to read.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = connect(path, OpenFlags::empty())?;
    // Opened read-only it could not make the WAL's index; this refuses writes as well.
    run(&connection, "PRAGMA query_only = ON")?;
    Ok(connection)
}

enum Refusal {
    Newer(u32),
    Foreign(String),
    Store(BoxError),
}

impl Refusal {
    fn at(self, path: &Path) -> OpenError {
        let path = path.into();
        match self {
            Self::Newer(found) => OpenError::Newer {
                path,
                found,
                known: SCHEMA,
            },
            Self::Foreign(why) => OpenError::Foreign { path, why },
            Self::Store(source) => OpenError::Store { path, source },
        }
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(e: rusqlite::Error) -> Self {
        if e.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
            Self::Foreign("it is no SQLite database".into())
        } else {
            Self::Store(e.into())
        }
    }
}

fn open_writer(path: &Path) -> Result<Opened, Refusal> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_CREATE)?;
    // Nothing is written before the file is known to be ours or empty.
    let fresh = recognise(&connection)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        let why = format!("its file system can't do write-ahead logging, only {mode:?}");
        return Err(Refusal::Store(why.into()));
    }
    // An append is answered after the sync of the WAL, and a sync on macOS means the platter.
    run(&connection, "PRAGMA synchronous = FULL")?;
    run(&connection, "PRAGMA fullfsync = ON")?;
    run(&connection, "PRAGMA checkpoint_fullfsync = ON")?;
    run(
        &connection,
        &format!("PRAGMA journal_size_limit = {WAL_BYTES_KEPT}"),
    )?;
    if fresh {
        make(&connection)?;
    }
    let id: String = connection.query_row("SELECT id FROM log", [], |row| row.get(0))?;
    let log = id
        .parse()
        .map_err(|_| Refusal::Foreign(format!("its log id is {id:?}, which is no UUID")))?;
    Ok(Opened { connection, log })
}

fn connect(path: &Path, also: OpenFlags) -> Result<Connection, rusqlite::Error> {
    // One thread has it, so that SQLite need not lock; and a path is a path, never a `file:` URI.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | also;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    // Else plans may depend on the values that are bound, and are made again for each: a claim took
    // four times as long (docs/performance.md).
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Whether the database is empty; an error if it is not ours or too new.
fn recognise(connection: &Connection) -> Result<bool, Refusal> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_master")?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(true),
        (APPLICATION, version) if version == i64::from(SCHEMA) => Ok(false),
        (APPLICATION, version) => match u32::try_from(version) {
            Ok(version) if version > SCHEMA => Err(Refusal::Newer(version)),
            _ => Err(Refusal::Foreign(format!("its schema is {version}"))),
        },
        _ => Err(Refusal::Foreign(
            "it is a database of another application".into(),
        )),
    }
}

/// Makes the tables and draws the log's id, in one transaction: a crash leaves an empty database.
fn make(connection: &Connection) -> Result<(), Refusal> {
    // SQLite's generator is seeded by the system.
    let random: [u8; 16] = connection.query_row("SELECT randomblob(16)", [], |row| row.get(0))?;
    let id = uuid::Builder::from_random_bytes(random).into_uuid();
    let sql = format!(
        "BEGIN IMMEDIATE;
         {tables}
         INSERT INTO log VALUES (1, '{id}', 0);
         PRAGMA application_id = {APPLICATION};
         PRAGMA user_version = {SCHEMA};
         COMMIT;",
        tables = include_str!("schema.sql"),
    );
    Ok(connection.execute_batch(&sql)?)
}

/// Runs a statement, whether it answers with rows or not.
fn run(connection: &Connection, sql: &str) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// The one name of the database at `path`.
pub(crate) fn resolve(path: &Path) -> Result<std::path::PathBuf, OpenError> {
    lock::resolve(path).map_err(|e| OpenError::Store {
        path: path.into(),
        source: e.into(),
    })
}
