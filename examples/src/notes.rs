//! What the simulation tells the person who watches.

use std::sync::Arc;

use sortie_protocol::DeviceId;
use tokio::sync::mpsc;

/// What waits to be shown; what comes beyond that is left out.
const WAITING_MAX: usize = 1000;

/// Something notable that befell a device.
#[derive(Debug, Clone)]
pub struct Note {
    /// The device.
    pub device: DeviceId,
    /// What, as a phrase.
    pub what: String,
}

/// Where devices say what befalls them. Clones go to the same ear, and telling never waits.
#[derive(Debug, Clone)]
pub struct Notes(Arc<mpsc::Sender<Note>>);

impl Notes {
    /// A mouth and an ear.
    pub fn new() -> (Self, mpsc::Receiver<Note>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self(Arc::new(sender)), receiver)
    }

    /// Tells it, unless nobody listens or too much waits already.
    pub fn tell(&self, device: &DeviceId, what: impl Into<String>) {
        let _left_out = self.0.try_send(Note {
            device: device.clone(),
            what: what.into(),
        });
    }
}
