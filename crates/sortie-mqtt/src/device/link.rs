//! The half that speaks.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rumqttc::{AsyncClient, QoS};
use sortie_protocol::{Presence, Progress, Report, Route, Uuid};
use tokio::sync::{oneshot, watch};

use super::DeviceMqtt;
use crate::{
    outbox::{Answer, Client, Guarantee, Outbox, told},
    topic::Topic,
};

/// Speaks for a device. Cheap to clone.
///
/// A register's publish resolves with the broker's acknowledgement of exactly this message, or
/// with [`NotConnected`] as soon as the connection that it was handed to is gone; it is never sent
/// on another one. A broker that speaks MQTT 3.1.1 acknowledges also what its access rules then
/// drop.
#[derive(Debug, Clone)]
pub struct DeviceLink {
    shared: Arc<Shared>,
}

/// There is no connection, or it was lost before the acknowledgement: what became of the message
/// is not known. After the next connect it is to be published again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not connected")]
pub struct NotConnected;

/// What both halves know.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: DeviceMqtt,
    /// From the event that told of it until its loss or the goodbye.
    connection: Mutex<Option<Arc<Connection>>>,
    /// Goodbye is being said: no further connection is made.
    leaving: AtomicBool,
    /// Goodbye was said.
    pub(super) gone: watch::Sender<bool>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) session: String,
    pub(super) outbox: Outbox<AsyncClient>,
    /// Who waits for a subscription, in the order of the subscriptions.
    subscribers: Mutex<VecDeque<oneshot::Sender<bool>>>,
    ended: watch::Sender<bool>,
}

impl Client for AsyncClient {
    fn publish(&self, topic: String, guarantee: Guarantee, payload: Vec<u8>) -> bool {
        let (qos, retain) = match guarantee {
            Guarantee::Register => (QoS::AtLeastOnce, true),
            Guarantee::SignOfLife => (QoS::AtMostOnce, false),
        };
        self.try_publish(topic, qos, retain, payload).is_ok()
    }
}

impl DeviceLink {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Publishes the report register of an operation; `None` empties it (rule A8).
    ///
    /// # Errors
    /// [`NotConnected`].
    pub async fn report(
        &self,
        route: &Route,
        operation: Uuid,
        report: Option<&Report>,
    ) -> Result<(), NotConnected> {
        let topic = Topic::Report {
            device: self.shared.settings.device.clone(),
            route: route.clone(),
            operation,
        };
        let payload = report.map(Report::to_json).unwrap_or_default();
        let connection = self.shared.connection().ok_or(NotConnected)?;
        self.register(&connection, &topic, payload).await
    }

    /// Publishes the presence register. One that names another session than the connection's is
    /// late, and not published.
    ///
    /// # Errors
    /// [`NotConnected`].
    pub async fn presence(&self, presence: &Presence) -> Result<(), NotConnected> {
        let (Presence::Online(sortie_protocol::Birth { session, .. })
        | Presence::Offline { session, .. }) = presence;
        let connection = self.shared.connection().ok_or(NotConnected)?;
        if connection.session != *session {
            return Err(NotConnected);
        }
        let topic = Topic::Presence(self.shared.settings.device.clone());
        self.register(&connection, &topic, presence.to_json()).await
    }

    /// Hands over a sign of life (QoS 0), which may get lost.
    ///
    /// # Errors
    /// [`NotConnected`].
    pub fn progress(&self, route: &Route, progress: &Progress) -> Result<(), NotConnected> {
        let topic = Topic::Progress {
            device: self.shared.settings.device.clone(),
            route: route.clone(),
        };
        let connection = self.shared.connection().ok_or(NotConnected)?;
        let topic = self.shared.settings.prefix.name(&topic);
        connection.outbox.hint(topic, progress.to_json());
        Ok(())
    }

    /// Subscribes, for this connection, to the own `report/#`; what is found there comes as
    /// [`super::DeviceEvent::OwnReport`].
    ///
    /// # Errors
    /// [`NotConnected`]; also when the broker refuses.
    pub async fn watch_own_reports(&self) -> Result<(), NotConnected> {
        let connection = self.shared.connection().ok_or(NotConnected)?;
        let settings = &self.shared.settings;
        let filter = settings.prefix.reports_of(&settings.device);
        let (tell, told) = oneshot::channel();
        {
            // One lock over both, so that the answers find their subscribers.
            let mut subscribers = connection.subscribers();
            let client = connection.outbox.client();
            let put = client.try_subscribe(filter, QoS::AtLeastOnce);
            put.map_err(|_full| NotConnected)?;
            subscribers.push_back(tell);
        }
        match told.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(NotConnected),
        }
    }

    /// Publishes the clean end of presence and closes the connection; resolves when the broker has
    /// closed it, and [`super::DeviceEvents::next`] is `None` from then on.
    ///
    /// # Errors
    /// [`NotConnected`]: the connection, if there was one, ended without a goodbye.
    pub async fn goodbye(&self) -> Result<(), NotConnected> {
        self.shared.leaving.store(true, Ordering::Release);
        let Some(connection) = self.shared.current().take() else {
            self.shared.gone.send_replace(true);
            return Err(NotConnected);
        };
        let offline = Presence::Offline {
            session: connection.session.clone(),
            lost: false,
        };
        let topic = Topic::Presence(self.shared.settings.device.clone());
        self.register(&connection, &topic, offline.to_json())
            .await?;
        let client = connection.outbox.client();
        client.try_disconnect().map_err(|_full| NotConnected)?;
        let mut ended = connection.ended.subscribe();
        ended
            .wait_for(|ended| *ended)
            .await
            .map_err(|_dropped| NotConnected)?;
        Ok(())
    }

    async fn register(
        &self,
        connection: &Connection,
        topic: &Topic,
        payload: Vec<u8>,
    ) -> Result<(), NotConnected> {
        let topic = self.shared.settings.prefix.name(topic);
        let answer = connection.outbox.send(topic, payload).await;
        match told(answer.ok_or(NotConnected)?).await {
            Answer::Taken => Ok(()),
            Answer::Refused(_) | Answer::Unknown => Err(NotConnected),
        }
    }
}

impl Shared {
    pub(super) fn new(settings: DeviceMqtt) -> Self {
        Self {
            settings,
            connection: Mutex::default(),
            leaving: AtomicBool::new(false),
            gone: watch::Sender::new(false),
        }
    }

    /// A connection was told of: from now on it may be spoken on.
    pub(super) fn open(&self, connection: Arc<Connection>) {
        *self.current() = Some(connection);
    }

    /// A connection is gone; who waits on it is told.
    pub(super) fn close(&self, connection: &Arc<Connection>) {
        self.current()
            .take_if(|current| Arc::ptr_eq(current, connection));
        connection.end();
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    fn connection(&self) -> Option<Arc<Connection>> {
        self.current().clone()
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Connection>>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    pub(super) fn new(session: String, outbox: Outbox<AsyncClient>) -> Self {
        Self {
            session,
            outbox,
            subscribers: Mutex::default(),
            ended: watch::Sender::new(false),
        }
    }

    /// The broker has answered a subscription.
    pub(super) fn subscribed(&self, accepted: bool) {
        if let Some(tell) = self.subscribers().pop_front() {
            // Who does not wait any more does not want to know.
            let _unheard = tell.send(accepted);
        }
    }

    fn end(&self) {
        self.outbox.lost();
        self.subscribers().clear();
        self.ended.send_replace(true);
    }

    fn subscribers(&self) -> MutexGuard<'_, VecDeque<oneshot::Sender<bool>>> {
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
