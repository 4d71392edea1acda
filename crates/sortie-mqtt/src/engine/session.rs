//! What is said and heard on a connection: first that no other log's engine is there, then the
//! fleet.

use std::{sync::Arc, time::Duration};

use rumqttc::{
    Outgoing,
    v5::{
        AsyncClient, Event, Incoming,
        mqttbytes::{
            QoS,
            v5::{
                ConnAck, Filter, PubAck, PubAckReason, Publish, RetainForwardRule, SubAck,
                SubscribeReasonCode,
            },
        },
    },
};
use sortie_ports::{Inbox, TransportError};
use sortie_protocol::{EnginePresence, EngineState, Presence, Progress, Report};
use tokio::{sync::oneshot, time::Instant};

use super::{Link, Mqtt};
use crate::{
    outbox::{Answer, Client, Guarantee, Outbox},
    topic::{Node, Topic},
    why::words,
};

/// All until the subscriptions stand must be done within this; else a broker withholds something.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Our presence is corrected at most so often.
const CORRECTION_EVERY: Duration = Duration::from_secs(1);

/// How far the beginning has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No CONNACK yet.
    Connecting,
    /// Subscribed to the engines' presence.
    Looking,
    /// Subscribed to our own, so that all retained presence came before the answer.
    LookingAgain,
    /// Our own presence is written; whoever else is beginning sees it, or we see theirs.
    Claiming,
    /// Subscribed to the fleet.
    Subscribing,
    /// The fleet is heard.
    Up,
    /// We have said goodbye.
    Leaving,
}

pub(super) struct Session<'a> {
    mqtt: &'a Mqtt,
    inbox: &'a Inbox,
    log: String,
    own_topic: String,
    client: AsyncClient,
    window: usize,
    outbox: Option<Arc<Outbox<AsyncClient>>>,
    phase: Phase,
    packet_bytes_max: Option<u32>,
    /// The fleet was announced to the inbox.
    announced: bool,
    /// Our own presence was written.
    claimed: bool,
    /// What the broker says of our own presence.
    claim: Option<oneshot::Receiver<Answer>>,
    /// Until when the beginning must be over.
    begun_by: Option<Instant>,
    /// When our own presence, altered by someone, is written again.
    correct_at: Option<Instant>,
    corrected_at: Option<Instant>,
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

impl<'a> Session<'a> {
    pub(super) fn new(
        mqtt: &'a Mqtt,
        inbox: &'a Inbox,
        client: AsyncClient,
        window: usize,
    ) -> Self {
        Self {
            mqtt,
            inbox,
            log: inbox.log_id().to_string(),
            own_topic: mqtt.topic_of_own_presence(),
            client,
            window,
            outbox: None,
            phase: Phase::Connecting,
            packet_bytes_max: None,
            announced: false,
            claimed: false,
            claim: None,
            begun_by: None,
            correct_at: None,
            corrected_at: None,
        }
    }

    /// When [`Self::tick`] is wanted.
    pub(super) fn due(&self) -> Option<Instant> {
        [self.begun_by, self.correct_at].into_iter().flatten().min()
    }

    /// A time has come.
    pub(super) fn tick(&mut self) -> Result<(), TransportError> {
        let now = Instant::now();
        if self.begun_by.is_some_and(|by| by <= now) {
            return Err(failed(match self.phase {
                Phase::Claiming => format!(
                    "our own presence does not come back from the broker: may we write {} and read {}?",
                    self.own_topic,
                    self.mqtt.prefix.all_engines()
                ),
                _ => "the broker does not answer a subscription".into(),
            }));
        }
        if self.correct_at.is_some_and(|at| at <= now) {
            self.correct_at = None;
            self.corrected_at = Some(now);
            self.claim()?;
        }
        Ok(())
    }

    /// A packet came.
    pub(super) fn incoming(&mut self, packet: &Incoming) -> Result<(), TransportError> {
        match packet {
            Incoming::ConnAck(connack) => self.connected(connack),
            Incoming::SubAck(suback) => self.subscribed(suback),
            Incoming::Publish(publish) => self.heard(publish),
            Incoming::PubAck(puback) => self.acknowledged(puback),
            _ => Ok(()),
        }
    }

    /// A packet has left.
    pub(super) fn outgoing(&self, packet: &Outgoing) {
        if let (Outgoing::Publish(id), Some(outbox)) = (packet, &self.outbox) {
            outbox.left(*id);
        }
    }

    fn connected(&mut self, connack: &ConnAck) -> Result<(), TransportError> {
        let mut window = self.window;
        if let Some(properties) = &connack.properties {
            if properties.retain_available == Some(0) {
                return Err(failed("the broker keeps no retained messages".into()));
            }
            if properties.max_qos == Some(0) {
                return Err(failed("the broker takes no QoS 1 messages".into()));
            }
            if properties.wildcard_subscription_available == Some(0) {
                return Err(failed("the broker takes no wildcard subscriptions".into()));
            }
            window = window.min(properties.receive_max.map_or(window, usize::from));
            self.packet_bytes_max = properties.max_packet_size;
        }
        self.outbox = Some(Arc::new(Outbox::new(self.client.clone(), window.max(1))));
        self.begun_by = Some(Instant::now() + BEGIN_TIMEOUT);
        self.phase = Phase::Looking;
        self.subscribe([Filter::new(
            self.mqtt.prefix.all_engines(),
            QoS::AtLeastOnce,
        )])
    }

    fn subscribed(&mut self, suback: &SubAck) -> Result<(), TransportError> {
        if let Some(refusal) = suback
            .return_codes
            .iter()
            .find(|code| !matches!(code, SubscribeReasonCode::Success(_)))
        {
            let filters = match self.phase {
                Phase::Looking | Phase::LookingAgain => self.mqtt.prefix.all_engines(),
                _ => format!("{}/d/+/…", self.mqtt.prefix),
            };
            return Err(failed(format!(
                "the broker refuses the subscription to {filters}: {}",
                words(refusal)
            )));
        }
        match self.phase {
            Phase::Looking => {
                self.phase = Phase::LookingAgain;
                self.subscribe([Filter::new(self.own_topic.clone(), QoS::AtLeastOnce)])
            }
            Phase::LookingAgain => {
                self.phase = Phase::Claiming;
                self.claim()
            }
            Phase::Subscribing => self.fleet_subscribed(),
            _ => Ok(()),
        }
    }

    /// Subscribes to the fleet. What is retained is fetched at QoS 0, since a broker may queue few
    /// QoS 1 messages for us and drop the rest: mosquitto's default is 1,000, and of 5,000 retained
    /// presences 1,020 came. At QoS 0 the connection itself makes it wait. See
    /// [`Self::fleet_subscribed`].
    fn subscribe_to_fleet(&mut self) -> Result<(), TransportError> {
        self.phase = Phase::Subscribing;
        self.subscribe(self.fleet(QoS::AtMostOnce, &RetainForwardRule::OnEverySubscribe))
    }

    /// The broker has accepted the fleet's subscriptions. They are made again, at QoS 1 and without
    /// the retained messages, so that what is new comes with an acknowledgement.
    fn fleet_subscribed(&mut self) -> Result<(), TransportError> {
        self.phase = Phase::Up;
        self.begun_by = None;
        self.subscribe(self.fleet(QoS::AtLeastOnce, &RetainForwardRule::Never))?;
        self.announce();
        Ok(())
    }

    fn fleet(&self, qos: QoS, retained: &RetainForwardRule) -> [Filter; 3] {
        let prefix = &self.mqtt.prefix;
        let mut filters = [
            Filter::new(prefix.all_presence(), qos),
            Filter::new(prefix.all_reports(), qos),
            // A sign of life is published at QoS 0 and comes so in any case.
            Filter::new(prefix.all_progress(), QoS::AtMostOnce),
        ];
        for filter in &mut filters {
            filter.retain_forward_rule = retained.clone();
        }
        filters
    }

    fn subscribe<const N: usize>(&self, filters: [Filter; N]) -> Result<(), TransportError> {
        // The channel has places beside the window for these few.
        let put = self.client.try_subscribe_many(filters);
        put.map_err(|_full| failed("the connection takes no subscription".into()))
    }

    /// The fleet is heard: opens the link for writers, then tells the inbox; who reads that may
    /// write at once.
    fn announce(&mut self) {
        if self.announced {
            return;
        }
        self.announced = true;
        if let Some(outbox) = &self.outbox {
            *self.mqtt.shared.link() = Some(Arc::new(Link {
                outbox: outbox.clone(),
                packet_bytes_max: self.packet_bytes_max,
            }));
        }
        self.inbox.link_up();
    }

    fn claim(&mut self) -> Result<(), TransportError> {
        let outbox = self.outbox.as_ref();
        let claim = outbox.and_then(|outbox| {
            outbox.send_at_once(self.own_topic.clone(), self.presence(EngineState::Online))
        });
        self.claimed = true;
        self.claim = claim;
        match &self.claim {
            Some(_) => Ok(()),
            None => Err(failed("the connection takes no message".into())),
        }
    }

    fn presence(&self, state: EngineState) -> Vec<u8> {
        let log = self.log.clone();
        EnginePresence { state, log }.to_json()
    }

    fn acknowledged(&mut self, puback: &PubAck) -> Result<(), TransportError> {
        let Some(outbox) = &self.outbox else {
            return Ok(());
        };
        outbox.acknowledged(puback.pkid, answer(puback.reason));
        let claim = self.claim.as_mut().and_then(|claim| claim.try_recv().ok());
        match claim {
            Some(Answer::Refused(why)) => Err(failed(format!(
                "the broker refuses our own presence at {}: {why}",
                self.own_topic
            ))),
            Some(_) => {
                self.claim = None;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn heard(&mut self, publish: &Publish) -> Result<(), TransportError> {
        let topic = std::str::from_utf8(&publish.topic).ok();
        match topic.and_then(|topic| self.mqtt.prefix.parse(topic)) {
            Some(Topic::Engine(node)) => return self.heard_engine(&node, publish),
            // The broker sends what we have subscribed to, so the fleet is heard, also when the
            // broker's answer to the subscription comes later.
            Some(topic) if matches!(self.phase, Phase::Subscribing | Phase::Up) => {
                self.announce();
                self.heard_device(topic, &publish.payload);
            }
            _ => self.inbox.malformed(),
        }
        Ok(())
    }

    fn heard_device(&self, topic: Topic, payload: &[u8]) {
        match topic {
            // An emptied register says nothing.
            Topic::Presence(_) | Topic::Report { .. } if payload.is_empty() => {}
            Topic::Presence(device) => match Presence::from_json(payload) {
                Ok(presence) => self.inbox.presence(&device, presence),
                Err(_) => self.inbox.malformed(),
            },
            Topic::Report {
                device,
                route,
                operation,
            } => match Report::from_json(payload) {
                Ok(report) if report.operation == operation => {
                    self.inbox.report(&device, Some(route), report);
                }
                // A report in another operation's register is nobody's.
                Ok(_) | Err(_) => self.inbox.malformed(),
            },
            Topic::Progress { device, .. } => match Progress::from_json(payload) {
                Ok(progress) => self.inbox.progress(&device, progress),
                Err(_) => self.inbox.malformed(),
            },
            _ => self.inbox.malformed(),
        }
    }

    fn heard_engine(&mut self, node: &Node, publish: &Publish) -> Result<(), TransportError> {
        let own_node = *node == self.mqtt.node;
        let presence = EnginePresence::from_json(&publish.payload).ok();
        let own_word = own_node
            && presence
                .as_ref()
                .is_some_and(|p| p.state == EngineState::Online && p.log == self.log);
        if self.phase == Phase::Up || self.phase == Phase::Subscribing {
            // We were there first: who comes now finds us and goes. If it has our name, or if our
            // former connection's will comes late, our presence is to be written again.
            if own_word {
                self.correct_at = None;
            } else if own_node {
                let next = self.corrected_at.map(|at| at + CORRECTION_EVERY);
                let now = Instant::now();
                self.correct_at = Some(next.map_or(now, |next| next.max(now)));
            }
            return Ok(());
        }
        match presence {
            Some(other) if other.state == EngineState::Online && other.log != self.log => {
                // Under our own name it says itself that it is there, once it sees us.
                self.claimed &= !own_node;
                return Err(TransportError::OtherLog { other: other.log });
            }
            None if !publish.payload.is_empty() => self.inbox.malformed(),
            _ => {}
        }
        // Not a retained one: a word that we said earlier.
        if self.phase == Phase::Claiming && own_word && !publish.retain {
            return self.subscribe_to_fleet();
        }
        Ok(())
    }

    /// Says goodbye, if there is a connection; true when it ends with the broker closing it.
    pub(super) fn take_leave(&mut self) -> bool {
        let Some(outbox) = &self.outbox else {
            return false;
        };
        self.phase = Phase::Leaving;
        if self.claimed {
            let offline = self.presence(EngineState::Offline);
            let _heard_or_not = outbox.send_at_once(self.own_topic.clone(), offline);
        }
        self.client.try_disconnect().is_ok()
    }

    /// What is acknowledged while the broker closes the connection counts still.
    pub(super) fn while_leaving(&mut self, event: &Event) {
        match event {
            Event::Outgoing(packet) => self.outgoing(packet),
            Event::Incoming(Incoming::PubAck(puback)) => {
                if let Some(outbox) = &self.outbox {
                    outbox.acknowledged(puback.pkid, answer(puback.reason));
                }
            }
            Event::Incoming(_) => {}
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Some(outbox) = &self.outbox {
            outbox.lost();
        }
    }
}

/// What an acknowledgement says. Only what can't become better by itself is a refusal.
fn answer(reason: PubAckReason) -> Answer {
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Answer::Taken,
        PubAckReason::NotAuthorized
        | PubAckReason::TopicNameInvalid
        | PubAckReason::PayloadFormatInvalid => {
            Answer::Refused(format!("the broker refuses it: {}", words(&reason)))
        }
        _ => Answer::Unknown,
    }
}

fn failed(why: String) -> TransportError {
    TransportError::disconnected(why)
}
