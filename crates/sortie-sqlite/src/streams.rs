//! The table of streams.

use rusqlite::{Connection, OptionalExtension, params};
use sortie_core::StreamId;
use sortie_ports::Version;

use crate::{
    chain::{Hash, START},
    fault::{Fault, loaded, stored},
};

/// A stream as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its version.
    pub(crate) version: Version,
    /// The highest epoch that it has seen.
    pub(crate) epoch: u64,
    /// How many targets its events have added.
    pub(crate) targets: u64,
    /// The hash of its last commit.
    pub(crate) hash: Hash,
}

impl Head {
    /// A stream without an event.
    pub(crate) const EMPTY: Self = Self {
        version: 0,
        epoch: 0,
        targets: 0,
        hash: START,
    };
}

/// Which row a stream has, if it has one, and what is in it.
pub(crate) fn find(connection: &Connection, id: &str) -> Result<(Option<i64>, Head), Fault> {
    const SQL: &str = "SELECT key, version, epoch, targets, head FROM streams WHERE id = ?1";
    let row = connection
        .prepare_cached(SQL)?
        .query_row([id], |row| {
            let numbers: [i64; 4] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
            Ok((numbers, row.get(4)?))
        })
        .optional()?;
    let Some(([key, version, epoch, targets], hash)) = row else {
        return Ok((None, Head::EMPTY));
    };
    Ok((Some(key), head(version, epoch, targets, hash)?))
}

/// A row's columns as a head.
pub(crate) fn head(version: i64, epoch: i64, targets: i64, hash: Hash) -> Result<Head, Fault> {
    Ok(Head {
        version: loaded("version", version)?,
        epoch: loaded("epoch", epoch)?,
        targets: loaded("number of targets", targets)?,
        hash,
    })
}

/// Writes what a stream is now, into its row or a new one; answers which.
pub(crate) fn set(
    connection: &Connection,
    key: Option<i64>,
    id: &str,
    head: &Head,
) -> Result<i64, Fault> {
    const NEW: &str =
        "INSERT INTO streams(id, version, epoch, targets, head) VALUES (?1, ?2, ?3, ?4, ?5)";
    const OLD: &str =
        "UPDATE streams SET version = ?2, epoch = ?3, targets = ?4, head = ?5 WHERE key = ?1";
    let version = stored("version", head.version)?;
    let epoch = stored("epoch", head.epoch)?;
    let targets = stored("number of targets", head.targets)?;
    if let Some(key) = key {
        let mut update = connection.prepare_cached(OLD)?;
        update.execute(params![key, version, epoch, targets, head.hash])?;
        return Ok(key);
    }
    let mut insert = connection.prepare_cached(NEW)?;
    insert.execute(params![id, version, epoch, targets, head.hash])?;
    Ok(connection.last_insert_rowid())
}

/// All streams that have an event, in order.
pub(crate) fn all(connection: &Connection) -> Result<Vec<StreamId>, Fault> {
    let mut select = connection.prepare_cached("SELECT id FROM streams WHERE version > 0")?;
    let mut rows = select.query([])?;
    let mut streams = vec![];
    while let Some(row) = rows.next()? {
        streams.push(parse(&row.get::<_, String>(0)?)?);
    }
    streams.sort_unstable();
    Ok(streams)
}

/// A stream's id as it is stored.
pub(crate) fn parse(id: &str) -> Result<StreamId, Fault> {
    id.parse()
        .map_err(|e: sortie_core::ParseError| Fault::Corrupt(e.to_string()))
}
