//! The engine's side against a real broker.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

mod mosquitto;

use std::{sync::Arc, time::Duration};

use mosquitto::{Mosquitto, Onlooker, PATIENCE, publish, retained};
use sortie_mqtt::Mqtt;
use sortie_ports::{
    Delivery, Forget, Heard, InboxReader, Registers, Request, Transport, TransportError, inbox,
};
use sortie_protocol::{
    Allow, ArtifactRef, DeviceId, Generation, Presence, Report, Route, Sha256, Status, Update, Uuid,
};
use tokio::{task::JoinHandle, time::timeout};

type Run = JoinHandle<Result<(), TransportError>>;

/// An engine's end of the link: a transport that runs, and what it hears.
struct Engine {
    mqtt: Mqtt,
    reader: Arc<InboxReader>,
    run: Run,
}

impl Engine {
    /// Runs the transport for the engine of the log `log`.
    fn run(mqtt: Mqtt, log: u128) -> Self {
        let reader = Arc::new(inbox(Uuid::from_u128(log)));
        let run = spawn(&mqtt, &reader);
        Self { mqtt, reader, run }
    }

    /// The same, and waits until it hears the fleet.
    async fn up(mqtt: Mqtt, log: u128) -> Self {
        let engine = Self::run(mqtt, log);
        assert_eq!(engine.next().await, Heard::LinkUp, "first of all");
        engine
    }

    async fn next(&self) -> Heard {
        let heard = timeout(PATIENCE, self.reader.take(1)).await;
        heard.expect("something is heard").remove(0)
    }

    async fn ended(&mut self) -> Result<(), TransportError> {
        let ended = timeout(PATIENCE, &mut self.run).await;
        ended.expect("the run ends").unwrap()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.run.abort();
    }
}

fn spawn(mqtt: &Mqtt, reader: &InboxReader) -> Run {
    let mqtt = mqtt.clone();
    let inbox = reader.connect();
    tokio::spawn(async move { mqtt.run(inbox).await })
}

fn device(n: usize) -> DeviceId {
    DeviceId::new(&format!("gw-{n:04}")).unwrap()
}

fn none(n: usize, claim: u64) -> Request {
    Request {
        device: device(n),
        body: sortie_protocol::Request::None {
            generation: Generation::none(claim),
        },
    }
}

fn update(url: &str) -> Request {
    let update = Update {
        operation: Uuid::from_u128(5),
        route: Route::new("r").unwrap(),
        url: url.into(),
        artifact: ArtifactRef {
            size: 1,
            sha256: Sha256([7; 32]),
            format: "raw".into(),
        },
        allow: Allow::default(),
        version: None,
        system_model: None,
        decided_on: None,
        session: None,
    };
    Request {
        device: device(1),
        body: sortie_protocol::Request::Update(Generation::update(1), update.into()),
    }
}

fn birth(session: &str) -> String {
    format!(r#"{{"state":"online","session":"{session}","baseImage":{{"version":"1.0.0"}}}}"#)
}

fn heard_presence(heard: &Heard) -> Option<(&DeviceId, &Presence)> {
    match heard {
        Heard::Presence(device, presence) => Some((device, presence)),
        _ => None,
    }
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn a_write_is_sent_once_acknowledged_and_the_broker_keeps_it() {
    let broker = Mosquitto::start("");
    let engine = Engine::up(Mqtt::new(&broker.address()).unwrap(), 1).await;
    assert_eq!(engine.mqtt.registers(), Registers::Retained);
    let request = update("http://127.0.0.1/a.bin");
    assert_eq!(engine.mqtt.write(&request).await, Delivery::Sent);
    let kept = retained(broker.port, "sortie/1/d/gw-0001/request").await;
    assert_eq!(kept.as_bytes(), request.to_json());
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn d1_nothing_is_retained_of_a_device_that_is_forgotten() {
    let broker = Mosquitto::start("");
    let engine = Engine::up(Mqtt::new(&broker.address()).unwrap(), 1).await;
    let (route, operation) = (Route::new("r-1").unwrap(), Uuid::from_u128(5));
    let report = Report::new(operation, Status::Success);
    let own = "sortie/1/d/gw-0001";
    let other = "sortie/1/d/gw-0002/presence".to_owned();
    let said = [
        (format!("{own}/presence"), birth("s").into_bytes()),
        (format!("{own}/report/r-1/{operation}"), report.to_json()),
        (other.clone(), birth("t").into_bytes()),
    ];
    publish(broker.port, true, said).await;
    let request = update("http://127.0.0.1/a.bin");
    assert_eq!(engine.mqtt.write(&request).await, Delivery::Sent);

    let gone = Forget::new(device(1), vec![(route, operation)]);
    assert_eq!(engine.mqtt.forget(&gone).await, Delivery::Sent);
    let mut onlooker = Onlooker::of(broker.port, "sortie/1/d/#").await;
    publish(broker.port, false, [(format!("{own}/end"), "")]).await;
    // What is retained comes before what is published after it was subscribed to.
    let mut left = vec![];
    loop {
        let message = onlooker.next().await;
        if message.topic.ends_with("/end") {
            break;
        }
        left.push(message.topic);
    }
    assert_eq!(left, [other]);
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn the_link_is_up_before_anything_retained_is_heard_and_then_all_of_it_is() {
    // More than mosquitto queues of QoS 1 for one client (1,000 by default).
    const FLEET: usize = 3_000;
    let broker = Mosquitto::start("");
    let births = (0..FLEET).map(|n| (format!("sortie/1/d/{}/presence", device(n)), birth("s")));
    publish(broker.port, true, births).await;
    let report = Report::new(Uuid::from_u128(9), Status::Downloading);
    let topic = format!("sortie/1/d/gw-0007/report/r-1/{}", report.operation);
    publish(broker.port, true, [(topic, report.to_json())]).await;

    let engine = Engine::up(Mqtt::new(&broker.address()).unwrap(), 1).await;
    let mut present = std::collections::BTreeSet::new();
    let mut reports = vec![];
    while present.len() < FLEET || reports.is_empty() {
        match engine.next().await {
            Heard::Presence(device, Presence::Online(_)) => {
                present.insert(device);
            }
            heard => reports.push(heard),
        }
    }
    let route = Some(Route::new("r-1").unwrap());
    assert_eq!(reports, [Heard::Report(device(7), route, report)]);
    assert_eq!(engine.reader.dropped(), 0);
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn a_lost_link_ends_the_run_and_the_next_run_hears_again_from_a_broker_with_an_empty_store() {
    let mut broker = Mosquitto::start("");
    let mut engine = Engine::up(Mqtt::new(&broker.address()).unwrap(), 1).await;
    assert_eq!(engine.mqtt.write(&none(1, 1)).await, Delivery::Sent);
    broker.kill();
    let error = engine.ended().await.unwrap_err();
    assert!(matches!(&error, TransportError::Disconnected(_)), "{error}");
    assert!(
        error.to_string().contains(&broker.port.to_string()),
        "{error}"
    );
    assert_eq!(engine.mqtt.write(&none(1, 2)).await, Delivery::NotNow);

    let error = engine.mqtt.run(engine.reader.connect()).await.unwrap_err();
    let refused = format!("connection refused (127.0.0.1:{})", broker.port);
    assert_eq!(error.to_string(), refused);

    broker.restart();
    engine.run = spawn(&engine.mqtt, &engine.reader);
    assert_eq!(engine.next().await, Heard::LinkUp);
    publish(
        broker.port,
        true,
        [("sortie/1/d/gw-0001/presence", birth("s"))],
    )
    .await;
    assert!(heard_presence(&engine.next().await).is_some());
    assert_eq!(engine.mqtt.write(&none(1, 3)).await, Delivery::Sent);
    let kept = retained(broker.port, "sortie/1/d/gw-0001/request").await;
    assert_eq!(kept.as_bytes(), none(1, 3).to_json());
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn a_write_that_is_not_acknowledged_before_the_link_is_lost_is_not_now() {
    let mut broker = Mosquitto::start("");
    let mut engine = Engine::up(Mqtt::new(&broker.address()).unwrap(), 1).await;
    broker.signal("-STOP");
    let mqtt = engine.mqtt.clone();
    let requests: Vec<_> = (0..300).map(|n| none(n, 1)).collect();
    let write = tokio::spawn(async move { mqtt.write_batch(&requests).await });
    // Let it hand over what it can: the test's runtime has one thread.
    tokio::task::yield_now().await;
    broker.kill();
    let answers = timeout(PATIENCE, write).await.unwrap().unwrap();
    assert_eq!(answers, vec![Delivery::NotNow; 300]);
    engine.ended().await.unwrap_err();
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn writes_leave_in_order_without_waiting_for_each_other() {
    let broker = Mosquitto::start("");
    let engine = Engine::up(Mqtt::new(&broker.address()).unwrap(), 1).await;
    let mut onlooker = Onlooker::of(broker.port, "sortie/1/d/+/request").await;
    // More than fit into the window at once, several for each device.
    let requests: Vec<_> = (0..900).map(|n| none(n % 300, 1 + n as u64)).collect();
    let answers = timeout(PATIENCE, engine.mqtt.write_batch(&requests)).await;
    assert_eq!(answers.unwrap(), vec![Delivery::Sent; 900]);
    for request in &requests {
        let message = onlooker.next().await;
        assert_eq!(message.payload.as_bytes(), request.to_json());
        assert!(message.topic.contains(request.device.as_str()));
    }
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn a_write_that_is_dropped_before_it_has_left_is_never_sent() {
    let broker = Mosquitto::start("");
    let engine = Engine::up(Mqtt::new(&broker.address()).unwrap(), 1).await;
    let mut onlooker = Onlooker::of(broker.port, "sortie/1/d/+/request").await;
    broker.signal("-STOP");
    let requests: Vec<_> = (0..900).map(|n| none(n, 1)).collect();
    let write = engine.mqtt.write_batch(&requests);
    // The broker acknowledges nothing, so it stops at the window.
    timeout(Duration::from_millis(300), write)
        .await
        .unwrap_err();
    broker.signal("-CONT");
    assert_eq!(engine.mqtt.write(&none(9999, 7)).await, Delivery::Sent);
    let mut before = 0;
    while !onlooker.next().await.topic.contains("gw-9999") {
        before += 1;
    }
    assert!((1..=100).contains(&before), "{before} had left");
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn another_log_on_the_prefix_is_refused_and_the_first_engine_stays() {
    let broker = Mosquitto::start("");
    let first = Engine::up(Mqtt::new(&broker.address()).unwrap(), 1).await;
    let mut onlooker = Onlooker::of(broker.port, "sortie/1/engine/+").await;
    // Under another name, and under the same one, which is what all defaults give.
    for node in ["second", "engine"] {
        let mqtt = Mqtt::new(&broker.address()).unwrap().node(node).unwrap();
        let mut second = Engine::run(mqtt, 2);
        let error = second.ended().await.unwrap_err();
        let TransportError::OtherLog { other } = &error else {
            panic!("{error}");
        };
        assert_eq!(*other, Uuid::from_u128(1).to_string());
        assert_eq!(second.mqtt.write(&none(1, 9)).await, Delivery::NotNow);
    }
    assert_eq!(first.mqtt.write(&none(1, 1)).await, Delivery::Sent);
    // A mark after all that was said until now.
    publish(broker.port, false, [("sortie/1/engine/mark", "")]).await;
    let seen = onlooker.until(|m| m.topic.ends_with("first") || m.topic.ends_with("mark"));
    assert_eq!(
        seen.await.topic,
        "sortie/1/engine/mark",
        "nobody else said a word"
    );
    let kept = retained(broker.port, "sortie/1/engine/engine").await;
    assert!(
        kept.contains("online") && kept.contains(&Uuid::from_u128(1).to_string()),
        "{kept}"
    );

    // Another prefix is another fleet; another node of the same log belongs to it.
    let mqtt = Mqtt::new(&format!("{}/other/1", broker.address())).unwrap();
    let _other_prefix = Engine::up(mqtt, 2).await;
    let mqtt = Mqtt::new(&broker.address()).unwrap().node("b").unwrap();
    let _same_log = Engine::up(mqtt, 1).await;
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn of_two_logs_that_begin_at_once_at_most_one_comes_up() {
    let broker = Mosquitto::start("");
    for round in 0..20 {
        let address = format!("{}/fleet/{round}", broker.address());
        let name = |n| {
            if round % 2 == 0 {
                format!("node-{n}")
            } else {
                "engine".into()
            }
        };
        let engines = [1_u128, 2].map(|n| {
            let mqtt = Mqtt::new(&address).unwrap().node(&name(n)).unwrap();
            Engine::run(mqtt, n)
        });
        let [mut a, mut b] = engines;
        let up = |engine: &Engine| {
            let reader = engine.reader.clone();
            async move { reader.take(1).await == [Heard::LinkUp] }
        };
        let (up_a, up_b) = (up(&a), up(&b));
        let (a_is_up, b_is_up) = timeout(PATIENCE, async {
            tokio::join!(
                async {
                    tokio::select! { ended = &mut a.run => ended.unwrap().is_ok(), up = up_a => up }
                },
                async {
                    tokio::select! { ended = &mut b.run => ended.unwrap().is_ok(), up = up_b => up }
                },
            )
        })
        .await
        .unwrap();
        assert!(!(a_is_up && b_is_up), "both came up in round {round}");
    }
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn a_write_that_the_access_rules_forbid_is_refused_and_the_link_stays() {
    let rules = "user engine\ntopic readwrite sortie/1/engine/#\ntopic read sortie/1/d/#\n\
                 topic write sortie/1/d/gw-0002/request\n";
    let config = "allow_anonymous false\npassword_file DIR/users\nacl_file DIR/rules\n";
    let broker = Mosquitto::with_files(config, &[("rules", rules), ("users", &user("engine"))]);
    let mqtt = Mqtt::new(&broker.address()).unwrap();

    let mut nobody = Engine::run(mqtt.clone(), 1);
    let error = nobody.ended().await.unwrap_err().to_string();
    assert!(
        error.contains("refuses the connection: not authorized"),
        "{error}"
    );

    let engine = Engine::up(mqtt.credentials("engine", "secret"), 1).await;
    let answers = engine
        .mqtt
        .write_batch(&[none(1, 1), none(2, 1), none(3, 1)])
        .await;
    let [Delivery::Refused(why), Delivery::Sent, Delivery::Refused(_)] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert!(why.contains("not authorized"), "{why}");
}

/// mosquitto's line for a user with the password `secret`.
fn user(name: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("users");
    let made = std::process::Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&file)
        .args([name, "secret"])
        .status()
        .unwrap();
    assert!(made.success());
    std::fs::read_to_string(file).unwrap()
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn an_engine_that_may_not_speak_or_read_its_own_presence_is_told_so() {
    let config = "acl_file DIR/rules";
    let rules = [("rules", "topic read sortie/1/#\n")];
    let broker = Mosquitto::with_files(config, &rules);
    let mut engine = Engine::run(Mqtt::new(&broker.address()).unwrap(), 1);
    let error = engine.ended().await.unwrap_err().to_string();
    let expected = "refuses our own presence at sortie/1/engine/engine";
    assert!(error.contains(expected), "{error}");

    let rules = [("rules", "topic write sortie/1/#\n")];
    let broker = Mosquitto::with_files(config, &rules);
    let mut engine = Engine::run(Mqtt::new(&broker.address()).unwrap(), 1);
    let error = engine.ended().await.unwrap_err().to_string();
    assert!(error.contains("read sortie/1/engine/+"), "{error}");
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn what_is_too_large_is_refused_and_the_link_stays() {
    let broker = Mosquitto::start("max_packet_size 4000");
    let engine = Engine::up(Mqtt::new(&broker.address()).unwrap(), 1).await;
    for bytes in [5_000, 20_000] {
        let request = update(&format!("http://h/{}", "x".repeat(bytes)));
        let Delivery::Refused(why) = engine.mqtt.write(&request).await else {
            panic!("refused");
        };
        assert!(why.contains("bytes"), "{why}");
    }
    assert_eq!(engine.mqtt.write(&none(1, 1)).await, Delivery::Sent);
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn a_run_that_is_dropped_leaves_its_will_and_one_that_is_closed_says_goodbye() {
    let broker = Mosquitto::start("");
    let mqtt = Mqtt::new(&broker.address()).unwrap();
    let mut onlooker = Onlooker::of(broker.port, "sortie/1/engine/+").await;
    let log = Uuid::from_u128(1).to_string();

    let engine = Engine::up(mqtt.clone(), 1).await;
    assert!(onlooker.next().await.payload.contains("online"));
    drop(engine);
    let will = onlooker.next().await.payload;
    assert!(will.contains("lost") && will.contains(&log), "{will}");
    assert_eq!(mqtt.write(&none(1, 1)).await, Delivery::NotNow);

    let mut engine = Engine::up(mqtt.clone(), 1).await;
    assert!(onlooker.next().await.payload.contains("online"));
    timeout(PATIENCE, mqtt.close()).await.unwrap();
    engine.ended().await.unwrap();
    let goodbye = onlooker.next().await.payload;
    assert!(
        goodbye.contains("offline") && goodbye.contains(&log),
        "{goodbye}"
    );
    publish(broker.port, false, [("sortie/1/engine/mark", "")]).await;
    assert_eq!(
        onlooker.next().await.topic,
        "sortie/1/engine/mark",
        "no will follows"
    );
    assert_eq!(mqtt.write(&none(1, 1)).await, Delivery::NotNow);
    let again = mqtt.run(engine.reader.connect()).await;
    assert!(again.is_ok(), "closed for good: {again:?}");
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn a_late_will_of_a_former_connection_can_t_hide_that_the_engine_is_there() {
    let broker = Mosquitto::start("");
    let _engine = Engine::up(Mqtt::new(&broker.address()).unwrap(), 1).await;
    let mut onlooker = Onlooker::of(broker.port, "sortie/1/engine/+").await;
    assert!(onlooker.next().await.payload.contains("online"));
    let will = format!(r#"{{"state":"lost","log":"{}"}}"#, Uuid::from_u128(1));
    for late in [will.as_str(), ""] {
        publish(broker.port, true, [("sortie/1/engine/engine", late)]).await;
        assert_eq!(onlooker.next().await.payload, late);
        assert!(onlooker.next().await.payload.contains("online"));
    }
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn what_is_oversized_foreign_or_malformed_is_counted_and_dropped() {
    let broker = Mosquitto::start("");
    let report = Report::new(Uuid::from_u128(9), Status::Downloading);
    let topic = |device: &str, operation: u128| {
        format!(
            "sortie/1/d/{device}/report/r/{}",
            Uuid::from_u128(operation)
        )
    };
    let good = report.to_json();
    let counted: Vec<(String, Vec<u8>)> = vec![
        (topic("a", 1), b"no JSON".to_vec()),
        (topic("a", 2), vec![b' '; 9_000]),
        (topic("a", 3), vec![0xff; 10]),
        (topic("a", 4), good.clone()),
        (topic("illegal id", 9), good.clone()),
        ("sortie/1/d/a/presence".into(), b"[]".to_vec()),
        ("sortie/1/d/a/report/r/no-uuid".into(), good.clone()),
        ("sortie/1/d/a b/presence".into(), birth("s").into()),
    ];
    let dropped = counted.len() as u64;
    publish(broker.port, true, counted).await;
    // The broker itself keeps from us what is too large for any message.
    publish(broker.port, true, [(topic("a", 6), vec![b' '; 200_000])]).await;

    let engine = Engine::up(Mqtt::new(&broker.address()).unwrap(), 1).await;
    publish(broker.port, true, [(topic("a", 7), vec![b' '; 200_000])]).await;
    // What an emptied register says is nothing, and is not malformed.
    publish(
        broker.port,
        true,
        [(topic("a", 5), ""), ("sortie/1/d/a/presence".into(), "")],
    )
    .await;
    publish(broker.port, true, [(topic("a", 9), good)]).await;
    let route = Some(Route::new("r").unwrap());
    let heard = engine.next().await;
    assert_eq!(
        heard,
        Heard::Report(DeviceId::new("a").unwrap(), route, report)
    );
    assert_eq!(engine.reader.dropped(), dropped);
    assert_eq!(engine.mqtt.write(&none(1, 1)).await, Delivery::Sent);
}
