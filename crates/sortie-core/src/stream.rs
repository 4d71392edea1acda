//! Streams of the log and what is recorded in them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sortie_protocol::Route;
use uuid::Uuid;

use crate::{
    CampaignEvent, CampaignId, CatalogEvent, ManualUpdateId,
    ids::ParseError,
    text::{cut, serde_as_text},
};

/// A stream of the event log: one writer at a time, versions count its events from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StreamId {
    /// System Models, Collections, Base Images, Groups and Channels.
    Catalog,
    /// One Update Campaign.
    Campaign(CampaignId),
    /// One Manual OTA Update (rule M).
    Manual(ManualUpdateId),
}

impl StreamId {
    /// The UUID that stands for the stream in derived ids (rule W1); nil for the catalog.
    pub fn uuid(self) -> Uuid {
        match self {
            Self::Catalog => Uuid::nil(),
            Self::Campaign(id) => id.0,
            Self::Manual(id) => id.0,
        }
    }

    /// Where devices send their reports on this stream's operations.
    pub fn route(self) -> Route {
        self.uuid().into()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catalog => f.write_str("catalog"),
            Self::Campaign(id) => write!(f, "campaign/{id}"),
            Self::Manual(id) => write!(f, "manual/{id}"),
        }
    }
}

impl FromStr for StreamId {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text == "catalog" {
            return Ok(Self::Catalog);
        }
        if let Some(id) = text.strip_prefix("campaign/") {
            return Ok(Self::Campaign(id.parse()?));
        }
        if let Some(id) = text.strip_prefix("manual/") {
            return Ok(Self::Manual(id.parse()?));
        }
        Err(ParseError::new(
            "stream",
            text,
            "\"catalog\", \"campaign/UUID\" or \"manual/UUID\" is expected",
        ))
    }
}

serde_as_text!(StreamId);

/// One recorded event, of whichever stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Event {
    /// Of the catalog stream.
    Catalog(CatalogEvent),
    /// Of the stream of a campaign or a manual update.
    Campaign(CampaignEvent),
}

impl Event {
    /// The event, if it is of a campaign or a manual update.
    pub fn of_campaign(&self) -> Option<&CampaignEvent> {
        match self {
            Self::Campaign(event) => Some(event),
            Self::Catalog(_) => None,
        }
    }
}

/// Who gave a command; kept in its commit (rule K1). Empty: not said. At most 256 bytes are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(String);

impl Actor {
    /// A name, cut to 256 bytes.
    pub fn new(name: &str) -> Self {
        Self(cut(name, 256).into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
