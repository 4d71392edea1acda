//! The device's side against a real broker.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

mod mosquitto;

use std::time::Duration;

use mosquitto::{Mosquitto, Onlooker, PATIENCE, publish, retained};
use sortie_mqtt::{DeviceEvent, DeviceEvents, DeviceLink, DeviceMqtt, NotConnected};
use sortie_protocol::{Birth, DeviceId, Presence, Progress, Report, Route, Status, Uuid};
use tokio::time::timeout;

const PRESENCE: &str = "sortie/1/d/gw-1/presence";

fn settings(broker: &Mosquitto, id: &str) -> DeviceMqtt {
    let wait = Duration::from_millis(20);
    DeviceMqtt::new(&broker.address(), DeviceId::new(id).unwrap())
        .unwrap()
        .backoff(wait, wait)
}

async fn next(events: &mut DeviceEvents) -> DeviceEvent {
    let event = timeout(PATIENCE, events.next()).await;
    event.expect("an event comes").expect("before goodbye")
}

async fn connected(events: &mut DeviceEvents) -> String {
    loop {
        if let DeviceEvent::Connected { session } = next(events).await {
            return session;
        }
    }
}

/// Publishes while the connection is worked on; what is heard meanwhile is given back.
async fn with<T>(
    events: &mut DeviceEvents,
    work: impl Future<Output = T>,
) -> (T, Vec<DeviceEvent>) {
    let mut heard = vec![];
    let mut work = std::pin::pin!(work);
    let done = timeout(PATIENCE, async {
        loop {
            tokio::select! {
                done = &mut work => break done,
                event = events.next() => heard.extend(event),
            }
        }
    });
    (done.await.expect("it is acknowledged"), heard)
}

fn birth(session: &str) -> Presence {
    Presence::Online(Birth {
        session: session.into(),
        ..Birth::default()
    })
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn a_device_is_told_of_its_connection_before_its_registers_and_hears_its_own_birth() {
    let broker = Mosquitto::start("");
    let request = r#"{"operation":"None","gen":3}"#;
    publish(broker.port, true, [("sortie/1/d/gw-1/request", request)]).await;
    publish(
        broker.port,
        true,
        [("sortie/1/d/gw-2/request", "another's")],
    )
    .await;

    let (link, mut events) = settings(&broker, "gw-1").connect();
    let DeviceEvent::Connected { session } = next(&mut events).await else {
        panic!("first of all it is connected");
    };
    let heard = next(&mut events).await;
    assert_eq!(heard, DeviceEvent::Request(request.into()));
    let of_another = birth("of another session");
    let late = timeout(PATIENCE, link.presence(&of_another)).await;
    assert_eq!(late.unwrap(), Err(NotConnected));
    let (published, mut heard) = with(&mut events, link.presence(&birth(&session))).await;
    published.unwrap();
    if heard.is_empty() {
        heard.push(next(&mut events).await);
    }
    assert_eq!(heard, [DeviceEvent::OwnPresence(birth(&session))]);
    let kept = retained(broker.port, PRESENCE).await;
    assert_eq!(kept.as_bytes(), birth(&session).to_json());

    publish(broker.port, true, [("sortie/1/d/gw-1/request", "")]).await;
    assert_eq!(next(&mut events).await, DeviceEvent::Request(vec![]));
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn a11_a_device_whose_presence_was_emptied_is_told_and_can_say_again_that_it_is_there() {
    let broker = Mosquitto::start("");
    let (link, mut events) = settings(&broker, "gw-1").connect();
    let session = connected(&mut events).await;
    let (published, heard) = with(&mut events, link.presence(&birth(&session))).await;
    published.unwrap();
    if heard.is_empty() {
        next(&mut events).await;
    }
    // An engine forgets a device that was removed (D1).
    publish(broker.port, true, [(PRESENCE, "")]).await;
    let DeviceEvent::OwnPresence(emptied) = next(&mut events).await else {
        panic!("the presence was emptied");
    };
    assert_ne!(emptied, birth(&session));
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn a_device_that_is_dropped_leaves_a_will_with_its_session() {
    let broker = Mosquitto::start("");
    let (link, mut events) = settings(&broker, "gw-1").connect();
    let session = connected(&mut events).await;
    with(&mut events, link.presence(&birth(&session)))
        .await
        .0
        .unwrap();
    let mut onlooker = Onlooker::of(broker.port, PRESENCE).await;
    assert!(onlooker.next().await.payload.contains("online"));
    drop(events);
    assert_eq!(link.presence(&birth(&session)).await, Err(NotConnected));
    let will = onlooker.next().await.payload;
    let lost = Presence::Offline {
        session,
        lost: true,
    };
    assert_eq!(will.as_bytes(), lost.to_json());
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn a_device_that_has_said_goodbye_leaves_no_will() {
    let broker = Mosquitto::start("");
    let mut onlooker = Onlooker::of(broker.port, PRESENCE).await;
    let (link, mut events) = settings(&broker, "gw-1").connect();
    let session = connected(&mut events).await;
    let (goodbye, _heard) = with(&mut events, link.goodbye()).await;
    goodbye.unwrap();
    // The broker has closed already: nothing is left to do for who listens.
    drop(events);
    let offline = Presence::Offline {
        session,
        lost: false,
    };
    assert_eq!(onlooker.next().await.payload.as_bytes(), offline.to_json());
    publish(broker.port, false, [(PRESENCE, "mark")]).await;
    assert_eq!(onlooker.next().await.payload, "mark", "no will follows");
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn a_lost_connection_is_told_and_followed_by_another_with_a_new_session() {
    let mut broker = Mosquitto::start("");
    let (link, mut events) = settings(&broker, "gw-1").connect();
    let first = connected(&mut events).await;
    broker.signal("-STOP");
    let birth_of_first = birth(&first);
    let mut pending = std::pin::pin!(link.presence(&birth_of_first));
    // It is handed over, and the broker does not answer.
    tokio::select! {
        biased;
        _answered = &mut pending => panic!("a broker that is stopped answers nothing"),
        _event = events.next() => {}
        () = tokio::task::yield_now() => {}
    }
    broker.kill();
    let why = loop {
        if let DeviceEvent::Disconnected { why } = next(&mut events).await {
            break why;
        }
    };
    assert!(why.contains(&broker.port.to_string()), "{why}");
    let lost = timeout(PATIENCE, pending).await.unwrap();
    assert_eq!(lost, Err(NotConnected), "never sent on another connection");

    broker.restart();
    let second = connected(&mut events).await;
    assert_ne!(first, second);
    let published = with(&mut events, link.presence(&birth(&second))).await.0;
    published.unwrap();
    let kept = retained(broker.port, PRESENCE).await;
    assert!(kept.contains(&second), "{kept}");
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn own_reports_are_found_when_asked_for_and_are_emptied() {
    let broker = Mosquitto::start("");
    let route = Route::new("r-1").unwrap();
    let report = Report::new(Uuid::from_u128(9), Status::Success);
    let topic = format!("sortie/1/d/gw-1/report/r-1/{}", report.operation);
    publish(broker.port, true, [(topic.clone(), report.to_json())]).await;

    let (link, mut events) = settings(&broker, "gw-1").connect();
    connected(&mut events).await;
    let (watched, mut heard) = with(&mut events, link.watch_own_reports()).await;
    watched.unwrap();
    if heard.is_empty() {
        heard.push(next(&mut events).await);
    }
    let own = |payload: Vec<u8>| DeviceEvent::OwnReport {
        route: route.clone(),
        operation: report.operation,
        payload,
    };
    assert_eq!(heard, [own(report.to_json())]);

    let mut onlooker = Onlooker::of(broker.port, "sortie/1/d/gw-1/#").await;
    assert!(onlooker.next().await.retained);
    let emptied = link.report(&route, report.operation, None);
    let (emptied, mut heard) = with(&mut events, emptied).await;
    emptied.unwrap();
    if heard.is_empty() {
        heard.push(next(&mut events).await);
    }
    assert_eq!(heard, [own(vec![])]);
    assert_eq!(onlooker.next().await.payload, "");
    let progress = Progress {
        operation: report.operation,
        status: Status::Downloading,
        percent: 40,
    };
    link.progress(&route, &progress).unwrap();
    let told = tokio::select! {
        message = onlooker.next() => message,
        event = events.next() => panic!("{event:?}"),
    };
    assert_eq!(told.topic, "sortie/1/d/gw-1/progress/r-1");
    assert_eq!(told.payload.as_bytes(), progress.to_json());
    // A newcomer finds neither the register nor the sign of life.
    publish(broker.port, true, [("sortie/1/d/gw-1/mark", "mark")]).await;
    let mut newcomer = Onlooker::of(broker.port, "sortie/1/d/gw-1/#").await;
    assert_eq!(newcomer.next().await.payload, "mark");
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn what_is_oversized_or_malformed_is_counted_and_dropped() {
    let broker = Mosquitto::start("");
    let (link, mut events) = settings(&broker, "gw-1").connect();
    connected(&mut events).await;
    let request = "sortie/1/d/gw-1/request";
    let messages = [
        (request, vec![b' '; 9_000]),
        (PRESENCE, b"no JSON".to_vec()),
        (request, b"malformed, and for the agent to answer".to_vec()),
    ];
    publish(broker.port, true, messages).await;
    let DeviceEvent::Request(payload) = next(&mut events).await else {
        panic!("a request");
    };
    assert!(payload.starts_with(b"malformed"));
    assert_eq!(events.dropped(), 2);
    drop(link);
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn a_wait_for_events_may_be_dropped_at_any_time_and_loses_none() {
    const COUNT: usize = 500;
    let broker = Mosquitto::start("");
    let (link, mut events) = settings(&broker, "gw-1").connect();
    let session = connected(&mut events).await;
    let port = broker.port;
    let requests = tokio::spawn(async move {
        let topic = "sortie/1/d/gw-1/request";
        publish(port, true, (0..COUNT).map(|n| (topic, n.to_string()))).await;
    });
    let mut heard = vec![];
    let mut births = 0;
    let patience = tokio::time::Instant::now() + PATIENCE;
    while heard.len() < COUNT || births < 50 {
        let presence = birth(&session);
        let published = link.presence(&presence);
        let mut published = std::pin::pin!(published);
        // Dropped after each turn of the runtime.
        loop {
            assert!(
                tokio::time::Instant::now() < patience,
                "{births}, {heard:?}"
            );
            tokio::select! {
                biased;
                published = &mut published => {
                    published.unwrap();
                    births += 1;
                    break;
                }
                event = events.next() => {
                    if let Some(DeviceEvent::Request(payload)) = event {
                        heard.push(String::from_utf8(payload).unwrap());
                    }
                }
                () = tokio::task::yield_now() => {}
            }
        }
    }
    requests.await.unwrap();
    let expected: Vec<_> = (0..COUNT).map(|n| n.to_string()).collect();
    assert_eq!(heard, expected);
}

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn two_hundred_devices_in_one_process_cost_less_than_20_mb() {
    const DEVICES: usize = 200;
    let broker = Mosquitto::start("");
    // What the first client brings with it is not counted.
    let mut fleet: Vec<(DeviceLink, DeviceEvents)> = vec![];
    let mut before = 0;
    for n in 0..=DEVICES {
        let (link, mut events) = settings(&broker, &format!("gw-{n}")).connect();
        let session = connected(&mut events).await;
        with(&mut events, link.presence(&birth(&session)))
            .await
            .0
            .unwrap();
        fleet.push((link, events));
        if n == 0 {
            before = resident();
        }
    }
    let grown = resident() - before;
    let of_each = grown / DEVICES;
    println!("{DEVICES} devices: {grown} KB, {of_each} KB each");
    assert!(grown < 20_000, "{grown} KB, {of_each} KB each");
    drop(fleet);
}

/// The memory of this process, in KB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
