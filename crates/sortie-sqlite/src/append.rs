//! One append inside a transaction: checks first, then writes.

use rusqlite::{Connection, params};
use sortie_core::{CampaignEvent, Event};
use sortie_ports::{Append, AppendError, Version, codec};

use crate::{
    chain::Columns,
    claims,
    fault::{Fault, stored},
    streams::{self, Head},
    writer::Tx,
};

/// The most events, claims and commands of one append, each.
const PARTS_MAX: usize = 65_536;

/// The most bytes that an append's events may take as JSON.
const JSON_BYTES_MAX: usize = 64 << 20;

/// Appends, or says why not. After an `Err` of the outer kind the transaction may hold a part of
/// it, and has to be rolled back.
pub(crate) fn append(
    tx: &mut Tx<'_>,
    append: &Append,
) -> Result<Result<Version, AppendError>, Fault> {
    limits(append)?;
    let id = append.stream.to_string();
    let (key, head) = streams::find(tx.connection, &id)?;
    if append.epoch < head.epoch {
        return Ok(Err(AppendError::Fenced { epoch: head.epoch }));
    }
    if append.expected != head.version {
        let actual = head.version;
        return Ok(Err(AppendError::Conflict { actual }));
    }
    let unfit = claims::unfit(tx.connection, &append.claims)?;
    if !unfit.is_empty() {
        return Ok(Err(AppendError::Claimed(unfit)));
    }

    let count = append.events.len() as u64;
    let events = encoded(append)?;
    let commands = serde_json::to_string(&append.commands).map_err(refused)?;
    let columns = Columns {
        position: tx.take_positions(count)?,
        stream: &id,
        first: stored("version", head.version + 1)?,
        count: stored("number of events", count)?,
        recorded_at: append.at.0,
        epoch: stored("epoch", append.epoch)?,
        schema: codec::SCHEMA.into(),
        commands: &commands,
        events: &events,
    };
    let hash = columns.hash(&head.hash);
    let added = devices_added(&append.events);
    let next = Head {
        version: head.version + count,
        epoch: append.epoch,
        targets: head.targets + added.clone().count() as u64,
        hash,
    };
    let key = streams::set(tx.connection, key, &id, &next)?;
    insert(tx.connection, key, &columns, &hash)?;
    for (index, device) in (head.targets..).zip(added) {
        const SQL: &str = "INSERT INTO targets(stream, idx, device) VALUES (?1, ?2, ?3)";
        let index = stored("target index", index)?;
        let mut insert = tx.connection.prepare_cached(SQL)?;
        insert.execute(params![key, index, device.as_str()])?;
    }
    claims::set(tx.connection, (append.stream, key), &append.claims)?;
    Ok(Ok(next.version))
}

/// The devices that `events` add to the snapshot, in the order of their indices.
pub(crate) fn devices_added(
    events: &[Event],
) -> impl Iterator<Item = &sortie_core::DeviceId> + Clone {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Campaign(CampaignEvent::TargetsAdded { devices }) => Some(devices.as_slice()),
            Event::Campaign(CampaignEvent::ManualUpdateRequested { update }) => {
                Some(std::slice::from_ref(&update.device))
            }
            _ => None,
        })
        .flatten()
}

fn insert(
    connection: &Connection,
    key: i64,
    columns: &Columns<'_>,
    hash: &[u8],
) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO commits(position, stream, first, count, recorded_at, epoch,
        schema, hash, commands, events) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    connection.prepare_cached(SQL)?.execute(params![
        columns.position,
        key,
        columns.first,
        columns.count,
        columns.recorded_at,
        columns.epoch,
        columns.schema,
        hash,
        columns.commands,
        columns.events,
    ])?;
    Ok(())
}

fn limits(append: &Append) -> Result<(), Fault> {
    if append.events.is_empty() {
        return Err(Fault::Refused("an append without an event".into()));
    }
    for (what, count) in [
        ("events", append.events.len()),
        ("claims", append.claims.len()),
        ("commands", append.commands.len()),
    ] {
        if count > PARTS_MAX {
            let why = format!("an append of {count} {what}, and the limit is {PARTS_MAX}");
            return Err(Fault::Refused(why));
        }
    }
    Ok(())
}

fn encoded(append: &Append) -> Result<String, Fault> {
    let events = codec::encode(&append.events).map_err(refused)?;
    if events.len() > JSON_BYTES_MAX {
        let why = format!(
            "an append of {} bytes of events, and the limit is {JSON_BYTES_MAX}",
            events.len()
        );
        return Err(Fault::Refused(why));
    }
    Ok(events)
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn refused(e: serde_json::Error) -> Fault {
    Fault::Refused(format!("it can't be put as JSON: {e}"))
}
