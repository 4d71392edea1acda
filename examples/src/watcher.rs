//! Somebody at the broker who is not the engine, and counts what is under way there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, QoS, SubscribeFilter};
use serde::Deserialize;
use tokio::{task::JoinHandle, time::sleep};

use crate::problem::Problem;

/// Far above what a message of the profile may have.
const PACKET_BYTES_MAX: usize = 64 * 1024;

/// Reads all request and report registers, and knows how many Updates have not been answered.
#[derive(Debug)]
pub struct Watcher {
    registers: Arc<Mutex<Registers>>,
    watching: JoinHandle<()>,
}

/// The registers, as they were heard.
#[derive(Debug, Default)]
pub struct Registers {
    /// The operation that a device's request register asks for, while it says Update.
    updates: BTreeMap<String, String>,
    /// Operations with a terminal report.
    ended: BTreeSet<String>,
    /// What was retained before has been heard, so that counting makes sense.
    counting: bool,
    most: Option<usize>,
}

#[derive(Deserialize)]
struct Request {
    operation: String,
    uuid: Option<String>,
}

#[derive(Deserialize)]
struct Report {
    #[serde(rename = "requestUUID")]
    uuid: String,
    status: String,
}

impl Watcher {
    /// Begins to watch what is below `prefix` at a broker, `mqtt://[user[:password]@]host[:port]`.
    pub fn start(url: &str, prefix: &str) -> Result<Self, Problem> {
        let options = options(url, prefix)
            .ok_or_else(|| Problem::new(format!("{url} is not mqtt://host:port")))?;
        let (client, event_loop) = AsyncClient::new(options, 16);
        let registers = Arc::new(Mutex::new(Registers::default()));
        let watching = tokio::spawn(watch(
            client,
            event_loop,
            prefix.to_owned(),
            registers.clone(),
        ));
        Ok(Self {
            registers,
            watching,
        })
    }

    /// The most Updates that were ever unanswered at once, at the broker; none if it could not be
    /// watched.
    pub fn most(&self) -> Option<usize> {
        lock(&self.registers).most
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn lock(registers: &Mutex<Registers>) -> MutexGuard<'_, Registers> {
    registers.lock().unwrap_or_else(PoisonError::into_inner)
}

fn options(url: &str, prefix: &str) -> Option<MqttOptions> {
    let rest = url.strip_prefix("mqtt://")?;
    let authority = rest.split('/').next()?;
    let (user, address) = match authority.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, authority),
    };
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (address, 1883),
    };
    let mut options = MqttOptions::new(format!("watcher-{}", prefix.replace('/', "-")), host, port);
    options
        .set_clean_session(true)
        .set_inflight(10)
        .set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    if let Some(user) = user {
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        options.set_credentials(name, password);
    }
    Some(options)
}

/// Polls for ever. Reports are heard first, then requests: a request whose report is not known yet
/// would count as unanswered. An own message that comes back says that what a subscription found
/// has come.
async fn watch(
    client: AsyncClient,
    mut event_loop: EventLoop,
    prefix: String,
    registers: Arc<Mutex<Registers>>,
) {
    let own = format!("{prefix}/watcher");
    let subscribe = |topics: &[String], mark: &str| {
        let filters = topics
            .iter()
            .map(|topic| SubscribeFilter::new(topic.clone(), QoS::AtLeastOnce));
        // The channel has room: nothing else is ever sent. If it had not, nothing would be counted,
        // which the caller sees.
        let _full = client.try_subscribe_many(filters);
        let _full = client.try_publish(&own, QoS::AtLeastOnce, false, mark);
    };
    loop {
        match event_loop.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                lock(&registers).forget();
                subscribe(
                    &[own.clone(), format!("{prefix}/d/+/report/+/+")],
                    "reports",
                );
            }
            Ok(Event::Incoming(Incoming::Publish(publish))) if publish.topic == own => {
                match &publish.payload[..] {
                    b"reports" => subscribe(&[format!("{prefix}/d/+/request")], "requests"),
                    b"requests" => lock(&registers).begin(),
                    _ => {}
                }
            }
            Ok(Event::Incoming(Incoming::Publish(publish))) => {
                lock(&registers).hear(&publish.topic, &publish.payload);
            }
            Ok(_) => {}
            Err(_) => {
                lock(&registers).counting = false;
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

impl Registers {
    fn hear(&mut self, topic: &str, payload: &[u8]) {
        let levels: Vec<&str> = topic.rsplit('/').collect();
        match levels[..] {
            ["request", device, "d", ..] => {
                let request: Option<Request> = serde_json::from_slice(payload).ok();
                let update = request.filter(|request| request.operation == "Update");
                match update.and_then(|update| update.uuid) {
                    Some(uuid) => self.updates.insert(device.into(), uuid),
                    None => self.updates.remove(device),
                };
            }
            [_, _, "report", ..] => {
                if let Ok(report) = serde_json::from_slice::<Report>(payload)
                    && matches!(report.status.as_str(), "Success" | "Failure")
                {
                    self.ended.insert(report.uuid);
                }
            }
            _ => {}
        }
        self.count();
    }

    /// A connection is new, and perhaps the broker: what was heard before may be no more.
    fn forget(&mut self) {
        *self = Self {
            most: self.most,
            ..Self::default()
        };
    }

    fn begin(&mut self) {
        self.counting = true;
        self.count();
    }

    fn count(&mut self) {
        if self.counting {
            let unanswered = self
                .updates
                .values()
                .filter(|uuid| !self.ended.contains(*uuid));
            self.most = self.most.max(Some(unanswered.count()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(registers: &mut Registers, device: &str, uuid: &str) {
        let payload = format!(r#"{{"operation":"Update","uuid":"{uuid}","gen":5}}"#);
        registers.hear(&format!("p/q/d/{device}/request"), payload.as_bytes());
    }

    fn report(registers: &mut Registers, device: &str, uuid: &str, status: &str) {
        let payload = format!(r#"{{"requestUUID":"{uuid}","status":"{status}"}}"#);
        registers.hear(
            &format!("p/q/d/{device}/report/c/{uuid}"),
            payload.as_bytes(),
        );
    }

    #[test]
    fn an_update_counts_until_its_terminal_report_or_another_request() {
        let mut registers = Registers::default();
        registers.begin();
        update(&mut registers, "a", "1");
        update(&mut registers, "a", "1");
        report(&mut registers, "a", "1", "Downloading");
        update(&mut registers, "b", "2");
        assert_eq!(registers.most, Some(2));
        report(&mut registers, "a", "1", "Success");
        update(&mut registers, "c", "3");
        registers.hear(
            "p/q/d/b/request",
            br#"{"operation":"Cancel","uuid":"2","gen":6}"#,
        );
        update(&mut registers, "d", "4");
        assert_eq!(registers.most, Some(2));
        registers.hear("p/q/d/c/request", b"not JSON");
        update(&mut registers, "e", "5");
        update(&mut registers, "f", "6");
        assert_eq!(registers.most, Some(3));
    }

    #[test]
    fn what_was_retained_before_is_not_counted_until_all_of_it_is_known() {
        let mut registers = Registers::default();
        update(&mut registers, "a", "1");
        update(&mut registers, "b", "2");
        report(&mut registers, "a", "1", "Failure");
        assert_eq!(registers.most, None);
        registers.begin();
        assert_eq!(registers.most, Some(1));
    }

    #[test]
    fn a_broker_is_found_by_its_address() {
        for (url, host, port) in [
            ("mqtt://localhost", "localhost", 1883),
            ("mqtt://me:secret@10.0.0.1:1999/a/b", "10.0.0.1", 1999),
            ("mqtt://[::1]:2000", "[::1]", 2000),
            ("mqtt://[::1]", "[::1]", 1883),
        ] {
            let options = options(url, "a/b").unwrap();
            assert_eq!(options.broker_address(), (host.into(), port), "{url}");
        }
        assert!(options("http://localhost", "a/b").is_none());
    }
}
