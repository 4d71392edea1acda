//! Without a broker: a link that can't be made says why, and nothing hangs.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use sortie_mqtt::{DeviceEvent, DeviceMqtt, Mqtt, NotConnected};
use sortie_ports::{Delivery, Request, Transport, inbox};
use sortie_protocol::{Birth, DeviceId, Generation, Presence, Progress, Route, Status, Uuid};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn request() -> Request {
    Request {
        device: DeviceId::new("gw-0001").unwrap(),
        body: sortie_protocol::Request::None {
            generation: Generation::none(1),
        },
    }
}

/// A port that nobody listens on.
async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn without_a_broker_the_run_ends_saying_that_the_connection_is_refused() {
    let port = closed_port().await;
    let mqtt = Mqtt::new(&format!("mqtt://127.0.0.1:{port}")).unwrap();
    let reader = inbox(Uuid::from_u128(1));
    let error = mqtt.run(reader.connect()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("connection refused (127.0.0.1:{port})")
    );
    assert_eq!(mqtt.write(&request()).await, Delivery::NotNow);
    let answers = mqtt.write_batch(&[request(), request()]).await;
    assert_eq!(answers, [Delivery::NotNow, Delivery::NotNow]);
    mqtt.close().await;
    mqtt.run(reader.connect()).await.unwrap();
}

#[tokio::test]
async fn what_is_no_broker_is_an_error_and_no_panic() {
    let answers: [&[u8]; 6] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x20\x02\x00\x01",
        b"\x20\x03\x00\x87\x00",
        b"\x20\xff\xff\xff\xff\xff",
        b"\x30\x04\x00\x01a\x00",
        b"",
    ];
    for answer in answers {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            for _ in 0..2 {
                let (mut socket, _) = listener.accept().await.unwrap();
                let _connect = socket.read(&mut [0; 1024]).await.unwrap();
                socket.write_all(answer).await.unwrap();
            }
        });
        let address = format!("mqtt://127.0.0.1:{port}");
        let mqtt = Mqtt::new(&address).unwrap();
        let reader = inbox(Uuid::from_u128(1));
        let error = mqtt.run(reader.connect()).await.unwrap_err().to_string();
        assert!(error.ends_with(&format!("(127.0.0.1:{port})")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");

        let id = DeviceId::new("gw-0001").unwrap();
        let (_link, mut events) = DeviceMqtt::new(&address, id).unwrap().connect();
        let event = events.next().await.unwrap();
        assert!(
            matches!(event, DeviceEvent::Disconnected { .. }),
            "{event:?}"
        );
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_device_without_a_broker_is_told_so_and_tries_again() {
    let port = closed_port().await;
    let id = DeviceId::new("gw-0001").unwrap();
    let settings = DeviceMqtt::new(&format!("mqtt://127.0.0.1:{port}"), id).unwrap();
    let wait = Duration::from_millis(1);
    let (link, mut events) = settings.backoff(wait, wait).connect();
    for _ in 0..3 {
        let why = format!("connection refused (127.0.0.1:{port})");
        assert_eq!(events.next().await, Some(DeviceEvent::Disconnected { why }));
    }
    let route = Route::new("r").unwrap();
    let operation = Uuid::from_u128(1);
    let progress = Progress {
        operation,
        status: Status::Downloading,
        percent: 1,
    };
    assert_eq!(
        link.report(&route, operation, None).await,
        Err(NotConnected)
    );
    assert_eq!(link.progress(&route, &progress), Err(NotConnected));
    let birth = Presence::Online(Birth::default());
    assert_eq!(link.presence(&birth).await, Err(NotConnected));
    assert_eq!(link.watch_own_reports().await, Err(NotConnected));
    assert_eq!(link.goodbye().await, Err(NotConnected));
    assert_eq!(events.next().await, None, "after goodbye there is nothing");
}

#[test]
fn settings_that_are_not_usable_are_errors_that_name_them() {
    let mqtt = || Mqtt::new("mqtt://localhost").unwrap();
    let errors = [
        Mqtt::new("localhost").unwrap_err(),
        mqtt().prefix("a/#").unwrap_err(),
        mqtt().node("a b").unwrap_err(),
        mqtt().client_id("").unwrap_err(),
    ];
    for (error, named) in errors
        .iter()
        .zip(["\"localhost\"", "\"a/#\"", "\"a b\"", "\"\""])
    {
        assert!(error.to_string().contains(named), "{error}");
    }
    let shown = format!("{:?}", mqtt().credentials("me", "secret"));
    assert!(!shown.contains("secret"), "{shown}");
}
