//! Checks that the whole log is as it was written.

use std::collections::HashMap;

use rusqlite::{Connection, params};
use sortie_ports::BoxError;

use crate::{
    append::devices_added,
    fault::{Fault, stored},
    page::Stored,
    streams::{self, Head},
};

/// How many commits are checked in one go; other reads come between.
const STEP: i64 = 64;

/// What was checked, and found as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The commits of all streams.
    pub commits: u64,
    /// Their events.
    pub events: u64,
}

/// Why a log was not found as it was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Something in it was changed, moved or removed: stop, and call a person.
    #[error("the log is broken at position {position}: {why}")]
    Broken {
        /// The position of the first event of the first commit that is not as it was written.
        position: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The store is away: back off and try again.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
}

/// How far a check has come.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The position that comes next.
    next: u64,
    commits: u64,
    /// Each stream by its row, as its commits up to here have made it.
    heads: HashMap<i64, Head>,
}

impl Walk {
    pub(crate) fn new() -> Self {
        Self {
            next: 1,
            commits: 0,
            heads: HashMap::new(),
        }
    }

    /// Goes a step; says whether that was the last.
    pub(crate) fn step(&mut self, connection: &Connection) -> Result<bool, VerifyError> {
        self.advance(connection).map_err(|fault| {
            if fault.is_corruption() {
                let (position, why) = (self.next, fault.to_string());
                VerifyError::Broken { position, why }
            } else {
                VerifyError::Unavailable(fault.into())
            }
        })
    }

    pub(crate) fn verified(&self) -> Verified {
        Verified {
            commits: self.commits,
            events: self.next - 1,
        }
    }

    fn advance(&mut self, connection: &Connection) -> Result<bool, Fault> {
        let sql = format!(
            "SELECT {}, c.stream, s.id FROM commits c LEFT JOIN streams s ON s.key = c.stream
             WHERE c.position >= ?1 ORDER BY c.position LIMIT ?2",
            Stored::COLUMNS
        );
        let mut select = connection.prepare_cached(&sql)?;
        let mut rows = select.query(params![stored("position", self.next)?, STEP])?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            let (key, id): (i64, Option<String>) = (row.get(9)?, row.get(10)?);
            self.commit(connection, Stored::of(row)?, key, id.as_deref())?;
            found += 1;
        }
        if found == STEP {
            return Ok(false);
        }
        self.ends(connection)?;
        Ok(true)
    }

    fn commit(
        &mut self,
        connection: &Connection,
        stored: Stored,
        key: i64,
        id: Option<&str>,
    ) -> Result<(), Fault> {
        if stored.position != self.next.cast_signed() {
            let why = format!("position {} follows", stored.position);
            return Err(Fault::Corrupt(why));
        }
        let id = id.ok_or_else(|| Fault::Corrupt(format!("there is no stream {key}")))?;
        let stream = streams::parse(id)?;
        let head = self.heads.get(&key).copied().unwrap_or(Head::EMPTY);
        let hash = stored.hash;
        let commit = stored.checked((stream, id), head.version, &head.hash)?;
        if commit.epoch < head.epoch {
            let (old, new) = (head.epoch, commit.epoch);
            return Err(Fault::Corrupt(format!("{id}: epoch {new} follows {old}")));
        }
        let mut targets = head.targets;
        for device in devices_added(&commit.events) {
            if target(connection, key, targets)?.as_deref() != Some(device.as_str()) {
                let why = format!("{id}: target {targets} is {device}, and the index says not so");
                return Err(Fault::Corrupt(why));
            }
            targets += 1;
        }
        let count = commit.events.len() as u64;
        let head = Head {
            version: head.version + count,
            epoch: commit.epoch,
            targets,
            hash,
        };
        self.heads.insert(key, head);
        self.next += count;
        self.commits += 1;
        Ok(())
    }

    /// Each stream must end where it was recorded to end.
    fn ends(&self, connection: &Connection) -> Result<(), Fault> {
        let mut select = connection
            .prepare_cached("SELECT key, id, version, epoch, targets, head FROM streams")?;
        let mut rows = select.query([])?;
        let mut streams = 0;
        while let Some(row) = rows.next()? {
            let (key, id): (i64, String) = (row.get(0)?, row.get(1)?);
            let recorded = streams::head(row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)?;
            let found = self.heads.get(&key).copied().unwrap_or(Head::EMPTY);
            if found != recorded {
                let (found, recorded) = (found.version, recorded.version);
                let why = format!("{id} ends at version {found}, and {recorded} were recorded");
                return Err(Fault::Corrupt(why));
            }
            streams += usize::from(self.heads.contains_key(&key));
        }
        if streams == self.heads.len() {
            Ok(())
        } else {
            Err(Fault::Corrupt("streams were removed".into()))
        }
    }
}

/// The device that a target's index means, as the index says.
fn target(connection: &Connection, key: i64, index: u64) -> Result<Option<String>, Fault> {
    const SQL: &str = "SELECT device FROM targets WHERE stream = ?1 AND idx = ?2";
    let mut select = connection.prepare_cached(SQL)?;
    let mut rows = select.query(params![key, stored("target index", index)?])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}
