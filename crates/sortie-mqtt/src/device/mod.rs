//! The device's side: a client for one device over MQTT 3.1.1.

#[cfg(feature = "agent")]
mod agent;
mod events;
mod link;
mod options;

use std::{sync::Arc, time::Duration};

pub use events::{DeviceEvent, DeviceEvents};
pub use link::{DeviceLink, NotConnected};
use sortie_protocol::DeviceId;

use crate::{
    address::{Address, Credentials},
    error::MqttError,
    topic::Prefix,
};

/// The shortest and the longest wait before a next attempt to connect.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_mins(1);

/// How often a device tells that it lives, if nothing else is set.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The shortest that `rumqttc` takes.
const KEEP_ALIVE_MIN: Duration = Duration::from_secs(5);

/// The longest that MQTT can say.
const KEEP_ALIVE_MAX: Duration = Duration::from_secs(65_535);

/// How one device connects.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sortie_mqtt::{DeviceEvent, DeviceMqtt};
/// use sortie_protocol::{Birth, DeviceId, Presence};
///
/// let (link, mut events) =
///     DeviceMqtt::new("mqtt://localhost", DeviceId::new("gw-0001")?)?.connect();
/// while let Some(event) = events.next().await {
///     if let DeviceEvent::Connected { session } = event {
///         let birth = Presence::Online(Birth { session, ..Birth::default() });
///         let link = link.clone();
///         tokio::spawn(async move { link.presence(&birth).await });
///     }
/// }
/// # Ok(()) }
/// ```
///
/// There are two halves, and neither a thread nor a task behind them: [`DeviceEvents::next`] does
/// all the work of the connection while it is polled, so poll it always, and let what it does not
/// poll for take less than 1.5 times the keep-alive. What [`DeviceLink`] publishes needs it, too.
/// A connected client costs about 40 KB.
#[derive(Debug, Clone)]
pub struct DeviceMqtt {
    address: Address,
    credentials: Option<Credentials>,
    prefix: Prefix,
    device: DeviceId,
    keep_alive: Duration,
    backoff: (Duration, Duration),
}

impl DeviceMqtt {
    /// The client of `device` at a broker, by its address
    /// `mqtt://[user[:password]@]host[:port][/prefix]`. The device's id is its client id.
    ///
    /// # Errors
    /// [`MqttError`], which names the address and what is wrong with it.
    pub fn new(address: &str, device: DeviceId) -> Result<Self, MqttError> {
        let address = Address::parse(address)?;
        Ok(Self {
            credentials: address.credentials.clone(),
            prefix: address.prefix.clone().unwrap_or_default(),
            address,
            device,
            keep_alive: KEEP_ALIVE,
            backoff: (BACKOFF_MIN, BACKOFF_MAX),
        })
    }

    /// What stands before all topics; `sortie/1` by default.
    ///
    /// # Errors
    /// [`MqttError::Prefix`].
    pub fn prefix(self, prefix: &str) -> Result<Self, MqttError> {
        Ok(Self {
            prefix: Prefix::new(prefix)?,
            ..self
        })
    }

    /// User and password, instead of those in the address.
    pub fn credentials(self, user: &str, password: &str) -> Self {
        Self {
            credentials: Some(Credentials {
                user: user.into(),
                password: password.into(),
            }),
            ..self
        }
    }

    /// How often the device tells that it lives; from 5 s to 65,535 s, 30 s by default. The broker
    /// publishes its will after 1.5 times that.
    pub fn keep_alive(self, every: Duration) -> Self {
        Self {
            keep_alive: every.clamp(KEEP_ALIVE_MIN, KEEP_ALIVE_MAX),
            ..self
        }
    }

    /// The wait before a next attempt to connect: doubling from `shortest` to `longest`, with
    /// jitter; from 1 s to 60 s by default.
    pub fn backoff(self, shortest: Duration, longest: Duration) -> Self {
        Self {
            backoff: (shortest, longest.max(shortest)),
            ..self
        }
    }

    /// The two halves. Nothing happens before [`DeviceEvents::next`] is polled.
    pub fn connect(self) -> (DeviceLink, DeviceEvents) {
        let shared = Arc::new(link::Shared::new(self));
        (DeviceLink::new(shared.clone()), DeviceEvents::new(shared))
    }
}
