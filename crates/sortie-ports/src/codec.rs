//! How events are stored: one JSON array a commit, readable by a person.

use sortie_core::{CampaignEvent, CatalogEvent, Event, StreamId};

use crate::ReadError;

/// The version of the stored form; stamped on each commit.
pub const SCHEMA: u32 = 1;

/// Encodes a commit's events as a JSON array.
///
/// # Errors
/// An event can't be put as JSON; none of ours is such.
pub fn encode(events: &[Event]) -> Result<String, serde_json::Error> {
    serde_json::to_string(events)
}

/// Decodes a commit's events. An event of an older schema is brought up to the present one here.
///
/// # Errors
/// [`ReadError::Corrupt`] naming the stream, when it is no event of this or an older version.
pub fn decode(stream: StreamId, schema: u32, json: &str) -> Result<Vec<Event>, ReadError> {
    if schema != SCHEMA {
        let why = format!("{stream}: events of schema {schema}, and {SCHEMA} is the newest known");
        return Err(ReadError::Corrupt(why));
    }
    let events = match stream {
        StreamId::Catalog => serde_json::from_str::<Vec<CatalogEvent>>(json)
            .map(|events| events.into_iter().map(Event::Catalog).collect()),
        _ => serde_json::from_str::<Vec<CampaignEvent>>(json)
            .map(|events| events.into_iter().map(Event::Campaign).collect()),
    };
    events.map_err(|e| ReadError::Corrupt(format!("{stream}: {e}")))
}
