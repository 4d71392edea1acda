//! One connection from its beginning to its end.

use std::{future::pending, pin::pin, time::Duration};

use rumqttc::{
    NetworkOptions,
    v5::{
        AsyncClient, ConnectionError, Event, EventLoop, MqttOptions,
        mqttbytes::{QoS, v5::LastWill},
    },
};
use sortie_ports::{Inbox, TransportError};
use sortie_protocol::{EnginePresence, EngineState};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Mqtt, session::Session, why};

/// How often we tell the broker that we live; it publishes our will after 1.5 times that.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A connection on which nothing happens for so long, not even a ping of ours, is stuck.
const SILENCE: Duration = Duration::from_secs(45);

/// How long the broker may take to close the connection after our goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// So many requests are under way at most; a broker may set less.
const WINDOW: u16 = 100;

/// The client's channel: the window, subscriptions, our own presence and the goodbye.
const CHANNEL: usize = WINDOW as usize + 16;

/// A broker sends us no packet larger than this; what is larger than a message of the profile
/// comes nevertheless, to be counted.
const PACKET_BYTES_MAX: u32 = 64 * 1024;

/// Why the event loop is not polled on.
enum Stop {
    Lost(ConnectionError),
    Silent,
    Closed,
    Failed(TransportError),
}

pub(super) async fn run(mqtt: &Mqtt, inbox: &Inbox) -> Result<(), TransportError> {
    if *mqtt.shared.closed.borrow() {
        return Ok(());
    }
    let running = Running::new(mqtt);
    let (client, mut event_loop) = AsyncClient::new(options(mqtt, inbox), CHANNEL);
    let mut session = Session::new(mqtt, inbox, client, usize::from(WINDOW));
    let stop = poll_on(mqtt, &mut event_loop, &mut session).await;
    // Nothing is written any more, and who waits is answered once the connection has ended.
    mqtt.shared.link().take();
    let at = mqtt.address.at();
    let ended = match stop {
        Stop::Lost(error) => Err(TransportError::disconnected(why::connection(&error, &at))),
        Stop::Silent => Err(TransportError::disconnected(format!(
            "nothing was heard of the broker for {} s ({at})",
            SILENCE.as_secs()
        ))),
        Stop::Closed => {
            goodbye(&mut event_loop, &mut session).await;
            Ok(())
        }
        Stop::Failed(error) => {
            goodbye(&mut event_loop, &mut session).await;
            Err(error)
        }
    };
    drop(session);
    drop(running);
    ended
}

async fn poll_on(mqtt: &Mqtt, event_loop: &mut EventLoop, session: &mut Session<'_>) -> Stop {
    let mut closed = mqtt.shared.closed.subscribe();
    loop {
        let polled = {
            // Polled to its end: the event loop loses packets when a poll of it is dropped.
            let mut poll = pin!(event_loop.poll());
            let mut silence = pin!(sleep(SILENCE));
            loop {
                tokio::select! {
                    polled = &mut poll => break polled,
                    () = &mut silence => return Stop::Silent,
                    _closed = closed.wait_for(|closed| *closed) => return Stop::Closed,
                    () = until(session.due()) => if let Err(error) = session.tick() {
                        return Stop::Failed(error);
                    },
                }
            }
        };
        match polled {
            Err(error) => return Stop::Lost(error),
            Ok(Event::Outgoing(packet)) => session.outgoing(&packet),
            Ok(Event::Incoming(packet)) => {
                if let Err(error) = session.incoming(&packet) {
                    return Stop::Failed(error);
                }
            }
        }
    }
}

/// Takes leave, so that the broker forgets our will, and waits until it has heard it.
async fn goodbye(event_loop: &mut EventLoop, session: &mut Session<'_>) {
    if !session.take_leave() {
        return;
    }
    // Reading on until the broker closes: closing with something unread would be a reset, and the
    // broker might not read our goodbye.
    let closing = async {
        while let Ok(event) = event_loop.poll().await {
            session.while_leaving(&event);
        }
    };
    let _taken_too_long = timeout(GOODBYE_TIMEOUT, closing).await;
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

fn options(mqtt: &Mqtt, inbox: &Inbox) -> MqttOptions {
    let log = inbox.log_id();
    let lost = EnginePresence {
        state: EngineState::Lost,
        log: log.to_string(),
    };
    let will = LastWill::new(
        mqtt.topic_of_own_presence(),
        lost.to_json(),
        QoS::AtLeastOnce,
        true,
        None,
    );
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    let mut options = MqttOptions::new(
        mqtt.client_id_for(log),
        mqtt.address.host.clone(),
        mqtt.address.port,
    );
    options
        .set_clean_start(true)
        .set_keep_alive(KEEP_ALIVE)
        .set_last_will(will)
        .set_outgoing_inflight_upper_limit(WINDOW)
        .set_max_packet_size(Some(PACKET_BYTES_MAX))
        .set_network_options(network);
    if let Some(credentials) = &mqtt.credentials {
        options.set_credentials(credentials.user.clone(), credentials.password.clone());
    }
    options
}

/// Says, however the run ends, that it has: also when its future is dropped.
struct Running<'a> {
    mqtt: &'a Mqtt,
}

impl<'a> Running<'a> {
    fn new(mqtt: &'a Mqtt) -> Self {
        mqtt.shared.running.send_replace(true);
        Self { mqtt }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.mqtt.shared.link().take();
        self.mqtt.shared.running.send_replace(false);
    }
}
