//! The claims beside the log.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sortie_core::{ClaimChange, ClaimPhase, ClaimRow, DeviceId, OperationId, StreamId};
use uuid::Uuid;

use crate::{
    fault::{Fault, loaded, stored},
    streams::{self, Head},
};

/// The rows that don't fit `changes`, as they are.
pub(crate) fn unfit(
    connection: &Connection,
    changes: &[ClaimChange],
) -> Result<Vec<ClaimRow>, Fault> {
    let mut unfit = vec![];
    for change in changes {
        let present = find(connection, &change.row.device)?;
        if !change.fits(present.as_ref()) {
            // A claim that should be there and is not shows as the free row of number 0.
            unfit.push(present.unwrap_or_else(|| ClaimRow {
                number: 0,
                phase: ClaimPhase::Free,
                ..change.row.clone()
            }));
        }
    }
    Ok(unfit)
}

/// Makes changes that fit, in the append of a stream that is `own` and has the row `own_key`.
pub(crate) fn set(
    connection: &Connection,
    (own, own_key): (StreamId, i64),
    changes: &[ClaimChange],
) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO claim_rows(device, number, holder, operation, phase)
        VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT(device) DO UPDATE SET number = excluded.number, holder = excluded.holder,
            operation = excluded.operation, phase = excluded.phase";
    let mut upsert = connection.prepare_cached(SQL)?;
    for ClaimChange { row, .. } in changes {
        let holder = if row.holder == own {
            own_key
        } else {
            key_of(connection, row.holder)?
        };
        upsert.execute(params![
            row.device.as_str(),
            stored("claim number", row.number)?,
            holder,
            row.operation.0.as_bytes(),
            phase_name(row.phase),
        ])?;
    }
    Ok(())
}

/// At most `max` claims of devices after `after`, by device id as bytes.
pub(crate) fn page(
    connection: &Connection,
    after: Option<&DeviceId>,
    max: usize,
) -> Result<Vec<ClaimRow>, Fault> {
    const SQL: &str = "SELECT r.device, r.number, s.id, r.operation, r.phase
        FROM claim_rows r LEFT JOIN streams s ON s.key = r.holder
        WHERE r.device > ?1 ORDER BY r.device LIMIT ?2";
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let mut select = connection.prepare_cached(SQL)?;
    // No id is empty, so that all are after the empty one.
    let mut rows = select.query(params![after.map_or("", DeviceId::as_str), max])?;
    let mut page = vec![];
    while let Some(row) = rows.next()? {
        page.push(Stored::of(row)?.claim()?);
    }
    Ok(page)
}

fn find(connection: &Connection, device: &DeviceId) -> Result<Option<ClaimRow>, Fault> {
    const SQL: &str = "SELECT r.device, r.number, s.id, r.operation, r.phase
        FROM claim_rows r LEFT JOIN streams s ON s.key = r.holder WHERE r.device = ?1";
    let mut select = connection.prepare_cached(SQL)?;
    let row = select.query_row([device.as_str()], Stored::of).optional()?;
    row.map(Stored::claim).transpose()
}

/// The row of a stream that holds a claim and may not have an event yet.
fn key_of(connection: &Connection, stream: StreamId) -> Result<i64, Fault> {
    let id = stream.to_string();
    match streams::find(connection, &id)? {
        (Some(key), _) => Ok(key),
        (None, _) => streams::set(connection, None, &id, &Head::EMPTY),
    }
}

/// A row's columns.
struct Stored {
    device: String,
    number: i64,
    holder: Option<String>,
    operation: [u8; 16],
    phase: String,
}

impl Stored {
    fn of(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            device: row.get(0)?,
            number: row.get(1)?,
            holder: row.get(2)?,
            operation: row.get(3)?,
            phase: row.get(4)?,
        })
    }

    fn claim(self) -> Result<ClaimRow, Fault> {
        let wrong = |why: String| Fault::Corrupt(format!("claim of {}: {why}", self.device));
        let holder = self
            .holder
            .as_deref()
            .ok_or_else(|| wrong("its holder is no stream".into()))?;
        Ok(ClaimRow {
            device: DeviceId::new(&self.device).map_err(|e| wrong(e.to_string()))?,
            number: loaded("claim number", self.number)?,
            holder: streams::parse(holder)?,
            operation: OperationId(Uuid::from_bytes(self.operation)),
            phase: phase_of(&self.phase).ok_or_else(|| wrong(format!("it is {:?}", self.phase)))?,
        })
    }
}

fn phase_name(phase: ClaimPhase) -> &'static str {
    match phase {
        ClaimPhase::Held => "held",
        ClaimPhase::Open => "open",
        ClaimPhase::Free => "free",
    }
}

fn phase_of(name: &str) -> Option<ClaimPhase> {
    [ClaimPhase::Held, ClaimPhase::Open, ClaimPhase::Free]
        .into_iter()
        .find(|phase| phase_name(*phase) == name)
}
