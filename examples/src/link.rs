//! A link that is overheard.

use std::sync::Arc;

use sortie_device::{LinkEvent, LinkEvents};
use sortie_protocol::{DeviceId, Request};

use crate::{machine::Versions, notes::Notes};

/// Passes on what a link hears, and lets the simulation know what its device was told.
#[derive(Debug)]
pub struct Overheard<E> {
    events: E,
    device: DeviceId,
    versions: Arc<dyn Versions>,
    notes: Option<Notes>,
    /// Told last, so that each failed attempt to connect is not told again.
    connected: Option<bool>,
}

impl<E> Overheard<E> {
    /// Overhears `events`; requests are told to `notes`, if there are any.
    pub fn new(
        events: E,
        device: DeviceId,
        versions: Arc<dyn Versions>,
        notes: Option<Notes>,
    ) -> Self {
        Self {
            events,
            device,
            versions,
            notes,
            connected: None,
        }
    }

    fn overhear(&mut self, event: &LinkEvent) {
        let connected = match event {
            LinkEvent::Connected { .. } => Some(true),
            LinkEvent::Disconnected => Some(false),
            _ => None,
        };
        if connected.is_some() && std::mem::replace(&mut self.connected, connected) == connected {
            return;
        }
        let what = match event {
            LinkEvent::Connected { .. } => "is connected".into(),
            LinkEvent::Disconnected => "has no connection".into(),
            LinkEvent::Request(payload) => match Request::from_json(payload) {
                Ok(Request::Update(_, update)) => {
                    if let Some(version) = &update.version {
                        self.versions.learn(update.artifact.sha256, version);
                    }
                    let version = update.version.as_deref().unwrap_or("an image");
                    format!("is asked to update to {version} ({})", update.operation)
                }
                Ok(Request::Cancel { operation, .. }) => format!("is asked to cancel {operation}"),
                _ => return,
            },
            _ => return,
        };
        if let Some(notes) = &self.notes {
            notes.tell(&self.device, what);
        }
    }
}

impl<E: LinkEvents> LinkEvents for Overheard<E> {
    async fn next(&mut self) -> LinkEvent {
        let event = self.events.next().await;
        self.overhear(&event);
        event
    }
}
