//! The engine's side: a [`Transport`] over MQTT 5.

mod run;
mod session;
mod why;

use std::{
    slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rumqttc::v5::AsyncClient;
use sortie_ports::{
    Delivery, Forget, Inbox, Registers, Request, Transport, TransportError, async_trait,
};
use sortie_protocol::{Uuid, limits::PAYLOAD_BYTES_MAX};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    address::{Address, Credentials},
    error::MqttError,
    outbox::{Answer, Outbox, told},
    topic::{Node, Prefix, Topic},
};

/// A write that is not acknowledged by then counts as [`Delivery::NotNow`].
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// [`Transport::close`] takes no longer than this.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A client id is at most this many bytes long.
const CLIENT_ID_BYTES_MAX: usize = 128;

/// An MQTT publish is at most this much longer than its payload, here: fixed header, packet id,
/// properties and a topic.
const OVERHEAD_BYTES_MAX: usize = 512;

/// sortie's native profile over an MQTT broker.
///
/// ```
/// # fn main() -> Result<(), sortie_mqtt::MqttError> {
/// let mqtt = sortie_mqtt::Mqtt::new("mqtt://localhost:1883")?.node("engine-a")?;
/// # Ok(()) }
/// ```
///
/// The broker must speak MQTT 5 (devices need not) and keep retained messages. The engine's user
/// must be allowed to write `P/d/+/request` and `P/engine/{node}`, and to read `P/d/+/report/+/+`,
/// `P/d/+/progress/+`, `P/d/+/presence` and `P/engine/+`, where `P` is the prefix.
///
/// Nothing is spawned: all happens inside [`Transport::run`], and dropping its future closes the
/// connection without a goodbye, as a crash would. Clones share the one connection.
#[derive(Debug, Clone)]
pub struct Mqtt {
    address: Address,
    credentials: Option<Credentials>,
    prefix: Prefix,
    node: Node,
    client_id: Option<String>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The connection, while requests may be written.
    link: Mutex<Option<Arc<Link>>>,
    /// [`Transport::close`] was called.
    closed: watch::Sender<bool>,
    /// A run is under way.
    running: watch::Sender<bool>,
}

/// What writers need of a connection.
#[derive(Debug)]
struct Link {
    outbox: Arc<Outbox<AsyncClient>>,
    /// A larger packet would be answered by the end of the connection.
    packet_bytes_max: Option<u32>,
}

impl Mqtt {
    /// A broker, by its address `mqtt://[user[:password]@]host[:port][/prefix]`; the port is 1883
    /// and the prefix `sortie/1` if they are left out, and user and password may be
    /// percent-encoded.
    ///
    /// # Errors
    /// [`MqttError`], which names the address and what is wrong with it. TLS (`mqtts://`)
    /// is not in this version yet.
    pub fn new(address: &str) -> Result<Self, MqttError> {
        let address = Address::parse(address)?;
        Ok(Self {
            credentials: address.credentials.clone(),
            prefix: address.prefix.clone().unwrap_or_default(),
            address,
            node: Node::new("engine")?,
            client_id: None,
            shared: Arc::new(Shared {
                link: Mutex::default(),
                closed: watch::Sender::new(false),
                running: watch::Sender::new(false),
            }),
        })
    }

    /// What stands before all topics; `sortie/1` by default. Two engines with different logs on
    /// one prefix are refused.
    ///
    /// # Errors
    /// [`MqttError::Prefix`].
    pub fn prefix(self, prefix: &str) -> Result<Self, MqttError> {
        Ok(Self {
            prefix: Prefix::new(prefix)?,
            ..self
        })
    }

    /// The node's name, one per process; `engine` by default.
    ///
    /// # Errors
    /// [`MqttError::Node`].
    pub fn node(self, node: &str) -> Result<Self, MqttError> {
        Ok(Self {
            node: Node::new(node)?,
            ..self
        })
    }

    /// The client id. By default it is made of the node's name, and of a digest of log, prefix and
    /// node: fixed for a node, as rule B1 wants it, and another one for an engine with another
    /// log, so that the second can find the first alive instead of throwing it out.
    ///
    /// # Errors
    /// [`MqttError::ClientId`].
    pub fn client_id(self, client_id: &str) -> Result<Self, MqttError> {
        let legal = !client_id.is_empty()
            && client_id.len() <= CLIENT_ID_BYTES_MAX
            && !client_id.contains(char::is_control);
        if !legal {
            let shown = client_id.chars().take(CLIENT_ID_BYTES_MAX).collect();
            return Err(MqttError::ClientId(shown));
        }
        Ok(Self {
            client_id: Some(client_id.into()),
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

    fn topic_of_own_presence(&self) -> String {
        self.prefix.name(&Topic::Engine(self.node.clone()))
    }

    fn client_id_for(&self, log: Uuid) -> String {
        self.client_id.clone().unwrap_or_else(|| {
            let name = format!("{}/engine/{}", self.prefix, self.node);
            let digest = Uuid::new_v5(&log, name.as_bytes()).simple().to_string();
            format!("sortie-{}-{}", self.node, &digest[..12])
        })
    }
}

impl Mqtt {
    /// Publishes retained messages in order, by topic and payload; one answer each, in order.
    async fn publish(&self, messages: Vec<(String, Vec<u8>)>) -> Vec<Delivery> {
        let Some(link) = self.shared.link().clone() else {
            return vec![Delivery::NotNow; messages.len()];
        };
        let deadline = Instant::now() + WRITE_TIMEOUT;
        let mut handed_over = Vec::with_capacity(messages.len());
        for (topic, payload) in messages {
            handed_over.push(match link.too_large(&topic, &payload) {
                Some(why) => Err(Delivery::Refused(why)),
                None => match timeout_at(deadline, link.outbox.send(topic, payload)).await {
                    Ok(Some(answer)) => Ok(answer),
                    Ok(None) | Err(_) => Err(Delivery::NotNow),
                },
            });
        }
        let mut answers = Vec::with_capacity(handed_over.len());
        for handed_over in handed_over {
            answers.push(match handed_over {
                Err(delivery) => delivery,
                Ok(answer) => match timeout_at(deadline, told(answer)).await {
                    Ok(Answer::Taken) => Delivery::Sent,
                    Ok(Answer::Refused(why)) => Delivery::Refused(why),
                    Ok(Answer::Unknown) | Err(_) => Delivery::NotNow,
                },
            });
        }
        answers
    }
}

impl Shared {
    fn link(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    /// Whether a request is larger than the broker or a device takes it, and why.
    fn too_large(&self, topic: &str, payload: &[u8]) -> Option<String> {
        let bytes = payload.len();
        if bytes >= PAYLOAD_BYTES_MAX {
            return Some(format!(
                "the request has {bytes} bytes, and a device takes less than {PAYLOAD_BYTES_MAX}"
            ));
        }
        let packet = bytes + topic.len() + OVERHEAD_BYTES_MAX;
        let max = usize::try_from(self.packet_bytes_max?).unwrap_or(usize::MAX);
        (packet > max).then(|| {
            format!(
                "the request makes a packet of up to {packet} bytes, and the broker takes {max}"
            )
        })
    }
}

#[async_trait]
impl Transport for Mqtt {
    /// Runs one connection until it is lost, closed, or another log's engine is found.
    ///
    /// The inbox hears [`Inbox::link_up`] once the broker has accepted the subscriptions, and then
    /// the retained registers of the fleet. There is no reconnect inside: whoever runs it decides
    /// when to run it again. After [`Transport::close`] it returns at once.
    async fn run(&self, inbox: Inbox) -> Result<(), TransportError> {
        run::run(self, &inbox).await
    }

    /// Writes the request as the device's retained message, and answers once the broker has
    /// acknowledged exactly this one. Writes leave in the order in which `write` was first polled;
    /// one dropped before it left is not sent.
    async fn write(&self, request: &Request) -> Delivery {
        let mut answers = self.write_batch(slice::from_ref(request)).await;
        // One request makes one answer.
        answers.pop().unwrap_or(Delivery::NotNow)
    }

    /// Writes the requests in order, without waiting for one's acknowledgement before the next.
    async fn write_batch(&self, requests: &[Request]) -> Vec<Delivery> {
        let registers = requests.iter().map(|request| {
            let topic = Topic::Request(request.device.clone());
            (self.prefix.name(&topic), request.to_json())
        });
        self.publish(registers.collect()).await
    }

    /// Empties the device's request, presence and report topics: an empty retained message deletes what
    /// a broker keeps (MQTT 5, 3.3.1.3). The broker's access rules must let the engine do so.
    async fn forget(&self, device: &Forget) -> Delivery {
        let id = &device.device;
        let reports = device
            .reports
            .iter()
            .map(|(route, operation)| Topic::Report {
                device: id.clone(),
                route: route.clone(),
                operation: *operation,
            });
        let topics = [Topic::Request(id.clone()), Topic::Presence(id.clone())];
        let topics = topics.into_iter().chain(reports);
        let empty = topics.map(|topic| (self.prefix.name(&topic), vec![]));
        let mut answers = self.publish(empty.collect()).await.into_iter();
        answers
            .find(|answer| *answer != Delivery::Sent)
            .unwrap_or(Delivery::Sent)
    }

    /// The broker keeps the requests (retained messages).
    fn registers(&self) -> Registers {
        Registers::Retained
    }

    /// Says goodbye at the broker; `run` then returns `Ok`, now and whenever it is run again.
    /// Waits until it has, if it is being polled, at most 5 s.
    async fn close(&self) {
        self.shared.closed.send_replace(true);
        let mut running = self.shared.running.subscribe();
        // Given up on: the driver drops `run`, and the will tells the rest.
        let _given_up = timeout(CLOSE_TIMEOUT, running.wait_for(|running| !running)).await;
    }
}
