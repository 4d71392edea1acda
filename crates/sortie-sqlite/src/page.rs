//! Reads a part of a stream.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sortie_core::{StreamId, Timestamp};
use sortie_ports::{Commit, Page, Version, codec};

use crate::{
    chain::{Columns, Hash, START},
    fault::{Fault, loaded},
    streams,
};

/// The most events of a page; one commit may have more.
const EVENTS_MAX: usize = 65_536;

/// A commit's columns as they are stored.
pub(crate) struct Stored {
    pub(crate) position: i64,
    pub(crate) first: i64,
    pub(crate) count: i64,
    pub(crate) recorded_at: i64,
    pub(crate) epoch: i64,
    pub(crate) schema: i64,
    pub(crate) hash: Hash,
    pub(crate) commands: String,
    pub(crate) events: String,
}

impl Stored {
    /// The columns, as [`Stored::of`] wants them.
    pub(crate) const COLUMNS: &str = "c.position, c.first, c.count, c.recorded_at, c.epoch, \
                                      c.schema, c.hash, c.commands, c.events";

    pub(crate) fn of(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            position: row.get(0)?,
            first: row.get(1)?,
            count: row.get(2)?,
            recorded_at: row.get(3)?,
            epoch: row.get(4)?,
            schema: row.get(5)?,
            hash: row.get(6)?,
            commands: row.get(7)?,
            events: row.get(8)?,
        })
    }

    /// The hash that these columns should have, after a commit with the hash `before`.
    fn hash_after(&self, stream: &str, before: &Hash) -> Hash {
        let columns = Columns {
            position: self.position,
            stream,
            first: self.first,
            count: self.count,
            recorded_at: self.recorded_at,
            epoch: self.epoch,
            schema: self.schema,
            commands: &self.commands,
            events: &self.events,
        };
        columns.hash(before)
    }

    /// The commit, checked to be what was written as the one after a commit that ended at version
    /// `after` and had the hash `before`.
    pub(crate) fn checked(
        self,
        (stream, id): (StreamId, &str),
        after: Version,
        before: &Hash,
    ) -> Result<Commit, Fault> {
        let wrong = |why: String| {
            let position = self.position;
            Fault::Corrupt(format!("{id}, at position {position}: {why}"))
        };
        if self.first != after.cast_signed() + 1 {
            let (first, expected) = (self.first, after + 1);
            return Err(wrong(format!(
                "version {first} follows, and {expected} should"
            )));
        }
        if self.hash_after(id, before) != self.hash {
            return Err(wrong(
                "it was changed, or the one before it: its hash differs".into(),
            ));
        }
        let schema = u32::try_from(self.schema)
            .map_err(|_| wrong(format!("its schema is {}", self.schema)))?;
        let events =
            codec::decode(stream, schema, &self.events).map_err(|e| wrong(e.to_string()))?;
        if i64::try_from(events.len()) != Ok(self.count) || events.is_empty() {
            let (count, held) = (self.count, events.len());
            return Err(wrong(format!("it has {held} events, and says {count}")));
        }
        Ok(Commit {
            first: after + 1,
            at: Timestamp(self.recorded_at),
            epoch: loaded("epoch", self.epoch)?,
            commands: serde_json::from_str(&self.commands)
                .map_err(|e| wrong(format!("its commands: {e}")))?,
            events,
        })
    }
}

/// The commits after version `after`: about `max` events, at least one commit if there is one.
pub(crate) fn page(
    connection: &Connection,
    stream: StreamId,
    after: Version,
    max: usize,
) -> Result<Page, Fault> {
    let id = stream.to_string();
    let (Some(key), head) = streams::find(connection, &id)? else {
        return Ok(Page::default());
    };
    if after >= head.version {
        return Ok(Page::default());
    }
    let max = max.min(EVENTS_MAX);
    let (mut after, mut before) = boundary(connection, key, after)?;
    let sql = format!(
        "SELECT {} FROM commits c WHERE c.stream = ?1 AND c.first > ?2 ORDER BY c.first",
        Stored::COLUMNS
    );
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query(params![key, after.cast_signed()])?;
    let (mut commits, mut events) = (vec![], 0);
    while let Some(row) = rows.next()? {
        let stored = Stored::of(row)?;
        events += usize::try_from(stored.count).unwrap_or_default();
        if !commits.is_empty() && events > max {
            return Ok(Page { commits });
        }
        let hash = stored.hash;
        let commit = stored.checked((stream, &id), after, &before)?;
        after += commit.events.len() as Version;
        before = hash;
        commits.push(commit);
    }
    // Here the stream has been read to its end, which must be the one that was recorded.
    if (after, before) == (head.version, head.hash) {
        Ok(Page { commits })
    } else {
        let version = head.version;
        let why = format!("{id} ends at version {after}, and {version} were recorded");
        Err(Fault::Corrupt(why))
    }
}

/// The version and the hash of the last commit that begins at or before version `after`.
fn boundary(connection: &Connection, key: i64, after: Version) -> Result<(Version, Hash), Fault> {
    const SQL: &str = "SELECT first + count - 1, hash FROM commits
        WHERE stream = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1";
    let mut select = connection.prepare_cached(SQL)?;
    let row = select
        .query_row(params![key, after.cast_signed()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get(1)?))
        })
        .optional()?;
    match row {
        Some((version, hash)) => Ok((loaded("version", version)?, hash)),
        None => Ok((0, START)),
    }
}
