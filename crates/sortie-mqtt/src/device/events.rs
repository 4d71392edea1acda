//! The half that listens, and does the work of the connection.

use std::{collections::VecDeque, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, Incoming, Outgoing, Publish, QoS, StateError,
    SubAck, SubscribeFilter, SubscribeReasonCode, mqttbytes::Error,
};
use sortie_protocol::{Presence, Route, Uuid, limits::PAYLOAD_BYTES_MAX};
use tokio::time::{Instant, sleep_until};

use super::{
    link::{Connection, Shared},
    options::{self, CHANNEL, WINDOW},
};
use crate::{
    outbox::{Answer, Outbox},
    topic::Topic,
    why,
};

/// Messages that come before the broker's answer to the subscriptions wait for it; more than the
/// two registers that are subscribed to are not expected.
const EARLY_MAX: usize = 16;

/// What a device hears.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceEvent {
    /// The broker has accepted the connection and the subscriptions. The retained messages follow.
    Connected {
        /// Random at each connect, and named in this connection's will (rule A11).
        session: String,
    },
    /// The connection was lost, or an attempt at one failed; a next attempt follows by itself.
    Disconnected {
        /// Why, in one line, with the broker's address.
        why: String,
    },
    /// The own request register, as it came: decode it with
    /// [`sortie_protocol::Request::from_json`]. Empty: an empty register, that is, no information
    /// (rule A1).
    Request(Vec<u8>),
    /// The own presence register, one's own messages included. An emptied one is `lost` with an empty
    /// session, which is nobody's: the birth is to be published again (rule A11).
    OwnPresence(Presence),
    /// A report register of one's own, once [`super::DeviceLink::watch_own_reports`] asked for
    /// them.
    OwnReport {
        /// The topic's route.
        route: Route,
        /// The topic's operation.
        operation: Uuid,
        /// The message, as it came; empty when the register is.
        payload: Vec<u8>,
    },
}

/// Listens for a device.
pub struct DeviceEvents {
    shared: Arc<Shared>,
    step: Step,
    /// Heard and not yet given out.
    heard: VecDeque<Heard>,
    /// The connection's, from its attempt to its end.
    connection: Option<Arc<Connection>>,
    /// Heard before the subscriptions were answered; none once they were.
    early: Option<Vec<DeviceEvent>>,
    /// Attempts since the last connection that stood.
    attempts: u32,
    dropped: u64,
}

enum Heard {
    Connected(Arc<Connection>),
    Event(DeviceEvent),
}

/// What is to be awaited next. Kept here, and not in [`DeviceEvents::next`], since a poll of the
/// event loop that is dropped loses packets.
enum Step {
    Wait(Instant),
    Poll(Pin<Box<dyn Future<Output = Polled> + Send>>),
}

impl Step {
    /// Awaits it: what the event loop says, or nothing when a wait is over. Drops nothing when it
    /// is dropped.
    async fn take(&mut self) -> Option<Polled> {
        match self {
            Self::Wait(until) => {
                sleep_until(*until).await;
                None
            }
            Self::Poll(poll) => Some(poll.as_mut().await),
        }
    }
}

type Polled = (Box<EventLoop>, Result<Event, ConnectionError>);

impl fmt::Debug for DeviceEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceEvents")
            .field("device", &self.shared.settings.device)
            .field("attempts", &self.attempts)
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

impl DeviceEvents {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            step: Step::Wait(Instant::now()),
            heard: VecDeque::new(),
            connection: None,
            early: None,
            attempts: 0,
            dropped: 0,
        }
    }

    /// Waits for the next event, connecting when there is no connection; `None` once goodbye was
    /// said. May be dropped at any await and called again: nothing is lost.
    pub async fn next(&mut self) -> Option<DeviceEvent> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Some(match heard {
                    Heard::Event(event) => event,
                    Heard::Connected(connection) => {
                        let session = connection.session.clone();
                        // It may have been lost since; then what is published fails at once.
                        self.shared.open(connection);
                        DeviceEvent::Connected { session }
                    }
                });
            }
            let mut gone = self.shared.gone.subscribe();
            let polled = tokio::select! {
                biased;
                _gone = gone.wait_for(|gone| *gone) => return None,
                polled = self.step.take() => polled,
            };
            match polled {
                Some((event_loop, polled)) => self.polled(event_loop, polled),
                None => self.dial(),
            }
        }
    }

    /// How many messages were dropped so far, being oversized, foreign or malformed (rule B3).
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn dial(&mut self) {
        let Ok(session) = getrandom::u64() else {
            return self.lost("the system gives no random numbers");
        };
        let session = format!("{session:016x}");
        let options = options::options(&self.shared.settings, &session);
        let (client, event_loop) = AsyncClient::new(options, CHANNEL);
        let outbox = Outbox::new(client, usize::from(WINDOW));
        self.connection = Some(Arc::new(Connection::new(session, outbox)));
        self.early = None;
        self.step = poll(Box::new(event_loop));
    }

    fn polled(&mut self, event_loop: Box<EventLoop>, polled: Result<Event, ConnectionError>) {
        let heard = match polled {
            Ok(Event::Incoming(packet)) => self.incoming(packet),
            Ok(Event::Outgoing(packet)) => {
                if let (Outgoing::Publish(id), Some(connection)) = (packet, &self.connection) {
                    connection.outbox.left(id);
                }
                Ok(())
            }
            Err(error) => Err(connection(&error)),
        };
        match heard {
            Ok(()) => self.step = poll(event_loop),
            Err(why) => self.lost(&why),
        }
    }

    fn incoming(&mut self, packet: Incoming) -> Result<(), String> {
        match packet {
            Incoming::ConnAck(_) => self.subscribe()?,
            Incoming::SubAck(suback) => self.subscribed(&suback)?,
            Incoming::Publish(publish) => self.publish(&publish),
            Incoming::PubAck(puback) => {
                if let Some(connection) = &self.connection {
                    connection.outbox.acknowledged(puback.pkid, Answer::Taken);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn subscribe(&mut self) -> Result<(), String> {
        let settings = &self.shared.settings;
        let filters = [
            Topic::Request(settings.device.clone()),
            Topic::Presence(settings.device.clone()),
        ];
        let filters =
            filters.map(|t| SubscribeFilter::new(settings.prefix.name(&t), QoS::AtLeastOnce));
        self.early = Some(Vec::new());
        let client = self.connection.as_ref().map(|c| c.outbox.client());
        match client.map(|client| client.try_subscribe_many(filters)) {
            Some(Ok(())) => Ok(()),
            _ => Err("the connection takes no subscription".into()),
        }
    }

    fn subscribed(&mut self, suback: &SubAck) -> Result<(), String> {
        let accepted = !suback.return_codes.contains(&SubscribeReasonCode::Failure);
        let Some(connection) = &self.connection else {
            return Ok(());
        };
        let Some(early) = self.early.take() else {
            connection.subscribed(accepted);
            return Ok(());
        };
        if !accepted {
            return Err(
                "the broker refuses the subscription to the own request or presence".into(),
            );
        }
        self.attempts = 0;
        self.heard.push_back(Heard::Connected(connection.clone()));
        self.heard.extend(early.into_iter().map(Heard::Event));
        Ok(())
    }

    fn publish(&mut self, publish: &Publish) {
        let Some(event) = self.event(publish) else {
            self.dropped += 1;
            return;
        };
        match &mut self.early {
            Some(early) if early.len() < EARLY_MAX => early.push(event),
            Some(_) => self.dropped += 1,
            None => self.heard.push_back(Heard::Event(event)),
        }
    }

    fn event(&self, publish: &Publish) -> Option<DeviceEvent> {
        let settings = &self.shared.settings;
        let payload = &publish.payload;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return None;
        }
        match settings.prefix.parse(&publish.topic)? {
            Topic::Request(device) if device == settings.device => {
                Some(DeviceEvent::Request(payload.to_vec()))
            }
            Topic::Presence(device) if device == settings.device => {
                let presence = if payload.is_empty() {
                    let session = String::new();
                    let lost = true;
                    Presence::Offline { session, lost }
                } else {
                    Presence::from_json(payload).ok()?
                };
                Some(DeviceEvent::OwnPresence(presence))
            }
            Topic::Report {
                device,
                route,
                operation,
            } if device == settings.device => Some(DeviceEvent::OwnReport {
                route,
                operation,
                payload: payload.to_vec(),
            }),
            _ => None,
        }
    }

    /// A connection or an attempt has ended.
    fn lost(&mut self, why: &str) {
        if let Some(connection) = self.connection.take() {
            self.shared.close(&connection);
        }
        self.early = None;
        let wait = self.backoff();
        self.step = Step::Wait(Instant::now() + wait);
        if self.shared.is_leaving() {
            self.shared.gone.send_replace(true);
            return;
        }
        let why = format!("{why} ({})", self.shared.settings.address.at());
        self.heard
            .push_back(Heard::Event(DeviceEvent::Disconnected { why }));
    }

    /// Doubling, and between half of it and all, so that a fleet does not come at once.
    fn backoff(&mut self) -> Duration {
        let (shortest, longest) = self.shared.settings.backoff;
        let wait = shortest
            .saturating_mul(1 << self.attempts.min(16))
            .min(longest);
        self.attempts = self.attempts.saturating_add(1);
        let spread = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        wait.mul_f64(0.5 + spread / 2.0)
    }
}

impl Drop for DeviceEvents {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.shared.close(&connection);
        }
    }
}

fn poll(mut event_loop: Box<EventLoop>) -> Step {
    Step::Poll(Box::pin(async move {
        let polled = event_loop.poll().await;
        (event_loop, polled)
    }))
}

/// Why a connection failed or was lost.
fn connection(error: &ConnectionError) -> String {
    match error {
        ConnectionError::Io(error)
        | ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(Error::Io(error)),
        ) => why::io(error),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => "no answer".into(),
        ConnectionError::ConnectionRefused(code) => {
            format!("the broker refuses the connection: {}", why::words(code))
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            "the broker closed the connection".into()
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            "the broker answers no more".into()
        }
        ConnectionError::NotConnAck(_) => "the answer is not that of an MQTT broker".into(),
        other => why::one_line(other),
    }
}
