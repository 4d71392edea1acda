//! Both sides on one broker: an engine with MQTT 5, a device with 3.1.1.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

mod mosquitto;

use mosquitto::{Mosquitto, PATIENCE};
use sortie_mqtt::{DeviceEvent, DeviceMqtt, Mqtt};
use sortie_ports::{Delivery, Heard, Request, Transport, inbox};
use sortie_protocol::{
    Birth, DeviceId, Generation, Presence, Progress, Report, Route, Status, Uuid,
};
use tokio::time::timeout;

#[tokio::test]
#[ignore = "needs mosquitto"]
async fn a_request_reaches_the_device_and_its_words_reach_the_engine() {
    let broker = Mosquitto::start("");
    let device = DeviceId::new("00:1a:2b:3c:4d:5e").unwrap();
    let (link, mut events) = DeviceMqtt::new(&broker.address(), device.clone())
        .unwrap()
        .connect();
    let mqtt = Mqtt::new(&broker.address()).unwrap();
    let reader = inbox(Uuid::from_u128(1));
    let run = mqtt.run(reader.connect());
    let operation = Uuid::from_u128(5);
    let route = Route::new("r-1").unwrap();
    let request = Request {
        device: device.clone(),
        body: sortie_protocol::Request::Cancel {
            generation: Generation::cancel(1),
            operation,
            route: route.clone(),
        },
    };
    let report = Report::new(operation, Status::Acknowledged);
    let progress = Progress {
        operation,
        status: Status::Downloading,
        percent: 7,
    };
    let playing = async {
        let mut speaking = None;
        while let Some(event) = events.next().await {
            match event {
                DeviceEvent::Connected { session } => {
                    let birth = Presence::Online(Birth {
                        session,
                        ..Birth::default()
                    });
                    let link = link.clone();
                    speaking = Some(tokio::spawn(async move { link.presence(&birth).await }));
                }
                DeviceEvent::Request(payload) => {
                    let request = sortie_protocol::Request::from_json(&payload).unwrap();
                    assert_eq!(request.operation(), Some(operation));
                    speaking.take().unwrap().await.unwrap().unwrap();
                    let (link, route, report) = (link.clone(), route.clone(), report.clone());
                    drop(tokio::spawn(async move {
                        link.report(&route, operation, Some(&report)).await.unwrap();
                        link.progress(&route, &progress).unwrap();
                    }));
                }
                _ => {}
            }
        }
    };
    let engine = async {
        assert_eq!(reader.take(1).await, [Heard::LinkUp]);
        let heard = reader.take(1).await.remove(0);
        assert!(matches!(&heard, Heard::Presence(of, Presence::Online(_)) if *of == device));
        assert_eq!(mqtt.write(&request).await, Delivery::Sent);
        let heard = reader.take(1).await.remove(0);
        assert_eq!(
            heard,
            Heard::Report(device.clone(), Some(route.clone()), report.clone())
        );
        let heard = reader.take(1).await.remove(0);
        assert_eq!(heard, Heard::Progress(device.clone(), progress));
        mqtt.close().await;
    };
    let all = async {
        tokio::select! {
            (ended, ()) = async { tokio::join!(run, engine) } => ended.unwrap(),
            () = playing => panic!("the device has gone"),
        }
    };
    timeout(PATIENCE, all).await.expect("all is heard");
}
