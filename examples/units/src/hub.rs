//! The connection to the units: each has one, and says what sortie's protocol says.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sortie::{
    Delivery, DeviceId, Inbox, Presence, Request, Transport, TransportError, async_trait,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, split},
    sync::{Notify, mpsc, oneshot},
};

use crate::{Units, frame};

/// Where the units are connected. Clones share it.
#[derive(Debug, Clone)]
pub struct Hub {
    units: Units,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    closed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Of the engine that runs the hub.
    inbox: Option<Inbox>,
    connected: BTreeMap<DeviceId, Connection>,
    connections: u64,
}

#[derive(Debug)]
struct Connection {
    /// Tells it from an older one of the same unit.
    number: u64,
    /// What the unit last said of itself; `None`: nothing yet.
    presence: Option<Presence>,
    requests: mpsc::UnboundedSender<Vec<u8>>,
    /// Who waits for the unit to say that it has the request.
    got_it: Option<oneshot::Sender<()>>,
}

impl Hub {
    /// A hub that lets these units in.
    pub fn new(units: Units) -> Self {
        Self {
            units,
            shared: Arc::default(),
        }
    }

    /// Serves one connection to its end. A service would take the MAC address from the client's
    /// certificate: what a unit says must be its own word.
    ///
    /// # Errors
    /// The connection's; or who connects is no unit.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite) -> io::Result<()> {
        let (mut reader, mut writer) = split(stream);
        let Some((frame::HELLO, mac)) = frame::read(&mut reader).await? else {
            return Err(io::Error::other("it does not say who it is"));
        };
        let unit = String::from_utf8_lossy(&mac);
        let unit: DeviceId = unit.parse().map_err(io::Error::other)?;
        if !self.units.knows(&unit) {
            return Err(io::Error::other(format!("there is no unit {unit}")));
        }
        let (requests, mut to_send) = mpsc::unbounded_channel();
        let number = self.connected(&unit, requests);
        let hear = async {
            while let Some((kind, bytes)) = frame::read(&mut reader).await? {
                self.heard(&unit, number, kind, &bytes);
            }
            Ok(())
        };
        let tell = async {
            while let Some(request) = to_send.recv().await {
                frame::write(&mut writer, frame::REQUEST, &request).await?;
            }
            Ok(())
        };
        let ended = tokio::select! {
            ended = hear => ended,
            ended = tell => ended, // another connection of this unit took its place
        };
        self.disconnected(&unit, number);
        ended
    }

    fn connected(&self, unit: &DeviceId, requests: mpsc::UnboundedSender<Vec<u8>>) -> u64 {
        let mut state = self.state();
        state.connections += 1;
        let connection = Connection {
            number: state.connections,
            presence: None,
            requests,
            got_it: None,
        };
        state.connected.insert(unit.clone(), connection);
        state.connections
    }

    fn heard(&self, unit: &DeviceId, number: u64, kind: u8, bytes: &[u8]) {
        let mut state = self.state();
        let State {
            inbox, connected, ..
        } = &mut *state;
        let Some(connection) = connected.get_mut(unit) else {
            return;
        };
        if connection.number != number {
            return;
        }
        match (kind, &inbox) {
            (frame::PRESENCE, _) => {
                connection.presence = Presence::from_json(bytes).ok();
                if let Some(inbox) = inbox {
                    inbox.presence_json(unit, bytes);
                }
            }
            (frame::REPORT, Some(inbox)) => inbox.report_json(unit, bytes),
            (frame::GOT_IT, _) => {
                if let Some(waiting) = connection.got_it.take() {
                    let _ = waiting.send(());
                }
            }
            _ => {}
        }
    }

    fn disconnected(&self, unit: &DeviceId, number: u64) {
        let mut state = self.state();
        if state
            .connected
            .get(unit)
            .is_none_or(|now| now.number != number)
        {
            return;
        }
        let connection = state.connected.remove(unit);
        let presence = connection.and_then(|connection| connection.presence);
        if let (Some(inbox), Some(Presence::Online(birth))) = (&state.inbox, presence) {
            let (session, lost) = (birth.session, true);
            inbox.presence(unit, Presence::Offline { session, lost });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = &self.shared.state;
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Hub {
    async fn run(&self, inbox: Inbox) -> Result<(), TransportError> {
        {
            let mut state = self.state();
            inbox.link_up();
            // Who is connected already. Reports need not be kept: sortie writes what is in force
            // again, and the unit answers it.
            for (unit, connection) in &state.connected {
                if let Some(presence) = &connection.presence {
                    inbox.presence(unit, presence.clone());
                }
            }
            state.inbox = Some(inbox);
        }
        self.shared.closed.notified().await;
        Ok(())
    }

    async fn write(&self, request: &Request) -> Delivery {
        let got_it = {
            let mut state = self.state();
            let Some(connection) = state.connected.get_mut(&request.device) else {
                return Delivery::NotNow;
            };
            let (waiting, got_it) = oneshot::channel();
            connection.got_it = Some(waiting);
            if connection.requests.send(request.to_json()).is_err() {
                return Delivery::NotNow;
            }
            got_it
        };
        // Only the unit's own word is certain; an error is the end of the connection.
        match got_it.await {
            Ok(()) => Delivery::Sent,
            Err(_) => Delivery::NotNow,
        }
    }

    async fn close(&self) {
        self.shared.closed.notify_one();
    }
}
