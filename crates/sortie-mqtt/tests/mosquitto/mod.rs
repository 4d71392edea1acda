//! A real mosquitto on a free port, and a client to look at it from outside.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, Outgoing, QoS};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

/// Whatever is waited for comes within this, or the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A broker; killed when dropped.
pub(crate) struct Mosquitto {
    pub(crate) port: u16,
    directory: tempfile::TempDir,
    child: Child,
}

/// A free port below those that systems give to outgoing connections: a client that tries again and
/// again while nobody listens may else be given the very port that it tries, and connect to itself.
fn free_port() -> u16 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = now.subsec_micros() + std::process::id() * 7;
    let ports = (0..1_000).map(|n| 20_000 + (first + n * 37) % 12_000);
    let mut ports = ports.map(|port| u16::try_from(port).unwrap());
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(free).unwrap()
}

impl Mosquitto {
    /// Starts one with these lines added to its configuration; `DIR` in them is its directory.
    pub(crate) fn start(config: &str) -> Self {
        Self::with_files(config, &[])
    }

    pub(crate) fn with_files(config: &str, files: &[(&str, &str)]) -> Self {
        let port = free_port();
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(directory.path().join(name), content).unwrap();
        }
        let config = config.replace("DIR", directory.path().to_str().unwrap());
        // A broker started by root gives its rights away, and then can't read our directory.
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n\
             log_type all\n{config}\n"
        );
        std::fs::write(directory.path().join("mosquitto.conf"), config).unwrap();
        let child = spawn(directory.path());
        Self {
            port,
            directory,
            child,
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// As a power cut of the broker's machine.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on its port, with an empty store.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.directory.path());
    }

    /// It stays connected and does nothing, until `SIGCONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let done = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may be dead already.
        let _dead = self.child.kill();
        let _dead = self.child.wait();
    }
}

fn spawn(directory: &std::path::Path) -> Child {
    let mut child = Command::new("mosquitto")
        .arg("-c")
        .arg(directory.join("mosquitto.conf"))
        .stderr(Stdio::piped())
        .spawn()
        .expect("mosquitto is installed");
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let running = log.any(|line| line.unwrap().contains("running"));
    assert!(running, "mosquitto did not start");
    // Read on, or it stops when the pipe is full.
    std::thread::spawn(move || log.for_each(drop));
    child
}

/// A message as an onlooker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) retained: bool,
}

/// An onlooker of some topics.
pub(crate) struct Onlooker {
    messages: mpsc::UnboundedReceiver<Message>,
    task: JoinHandle<()>,
}

impl Onlooker {
    /// Subscribes; what is retained comes first.
    pub(crate) async fn of(port: u16, filter: &str) -> Self {
        Self::as_user(port, "", filter).await
    }

    pub(crate) async fn as_user(port: u16, user: &str, filter: &str) -> Self {
        let (client, mut events) = AsyncClient::new(options(port, user), 10);
        client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        let (tell, messages) = mpsc::unbounded_channel();
        let (ready, subscribed) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let _client = client;
            let mut ready = Some(ready);
            while let Ok(event) = events.poll().await {
                match event {
                    Event::Incoming(Incoming::SubAck(_)) => {
                        if let Some(ready) = ready.take() {
                            ready.send(()).unwrap();
                        }
                    }
                    Event::Incoming(Incoming::Publish(publish)) => {
                        let message = Message {
                            topic: publish.topic,
                            payload: String::from_utf8_lossy(&publish.payload).into_owned(),
                            retained: publish.retain,
                        };
                        if tell.send(message).is_err() {
                            return;
                        }
                    }
                    _ => {}
                }
            }
        });
        timeout(PATIENCE, subscribed).await.unwrap().unwrap();
        Self { messages, task }
    }

    pub(crate) async fn next(&mut self) -> Message {
        timeout(PATIENCE, self.messages.recv())
            .await
            .expect("a message comes")
            .unwrap()
    }

    pub(crate) async fn until(&mut self, wanted: impl Fn(&Message) -> bool) -> Message {
        loop {
            let message = self.next().await;
            if wanted(&message) {
                return message;
            }
        }
    }
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The retained message of a topic.
pub(crate) async fn retained(port: u16, topic: &str) -> String {
    let mut onlooker = Onlooker::of(port, topic).await;
    onlooker.until(|message| message.retained).await.payload
}

/// Publishes messages, QoS 1, and waits until the broker has acknowledged all.
pub(crate) async fn publish<T: Into<String>, P: Into<Vec<u8>>>(
    port: u16,
    retain: bool,
    messages: impl IntoIterator<Item = (T, P)>,
) {
    publish_as(port, "", retain, messages).await;
}

/// The same, as this user.
pub(crate) async fn publish_as<T: Into<String>, P: Into<Vec<u8>>>(
    port: u16,
    user: &str,
    retain: bool,
    messages: impl IntoIterator<Item = (T, P)>,
) {
    let messages: Vec<(String, Vec<u8>)> = messages
        .into_iter()
        .map(|(topic, payload)| (topic.into(), payload.into()))
        .collect();
    let expected = messages.len();
    let (client, mut events) = AsyncClient::new(options(port, user), expected + 1);
    for (topic, payload) in messages {
        client
            .try_publish(topic, QoS::AtLeastOnce, retain, payload)
            .unwrap();
    }
    let mut acknowledged = 0;
    timeout(PATIENCE, async {
        while acknowledged < expected {
            if let Event::Incoming(Incoming::PubAck(_)) = events.poll().await.unwrap() {
                acknowledged += 1;
            }
        }
        client.try_disconnect().unwrap();
        while events.poll().await.unwrap() != Event::Outgoing(Outgoing::Disconnect) {}
    })
    .await
    .expect("the broker acknowledges");
}

fn options(port: u16, user: &str) -> MqttOptions {
    let id = format!("onlooker-{}", uuid_like());
    let mut options = MqttOptions::new(id, "127.0.0.1", port);
    options.set_max_packet_size(1 << 20, 1 << 20);
    if !user.is_empty() {
        options.set_credentials(user, "");
    }
    options
}

/// A name that no other client of this test has.
fn uuid_like() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
