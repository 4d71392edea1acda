//! The far end of the hub in a test: each scripted unit has a connection within the process.

use std::{collections::BTreeMap, sync::Arc};

use sortie::{
    DeviceId, Presence, RequestBody,
    testing::{Fleet, Heard},
};
use sortie_units::{Hub, frame};
use tokio::{
    io::{AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::Mutex,
};

type Writer = Arc<Mutex<WriteHalf<DuplexStream>>>;

/// Connects each unit that is born, and passes on what it says, until the test ends.
pub(crate) async fn connect(fleet: Fleet, hub: Hub) {
    let mut connections: BTreeMap<DeviceId, Writer> = BTreeMap::new();
    let mut listener = fleet.listen();
    while let Some(said) = listener.next().await {
        match said {
            Heard::Presence(unit, presence @ Presence::Online(_)) => {
                let (near, far) = duplex(64 * 1024);
                let serving = hub.clone();
                tokio::spawn(async move { serving.serve(near).await });
                let (reader, writer) = split(far);
                let writer = Arc::new(Mutex::new(writer));
                let asked = asked(reader, writer.clone(), unit.clone(), fleet.clone());
                tokio::spawn(asked);
                say(&writer, frame::HELLO, unit.as_str().as_bytes()).await;
                say(&writer, frame::PRESENCE, &presence.to_json()).await;
                connections.insert(unit, writer);
            }
            Heard::Presence(unit, Presence::Offline { .. }) => {
                if let Some(writer) = connections.remove(&unit) {
                    writer.lock().await.shutdown().await.unwrap();
                }
            }
            Heard::Report(unit, _, report) => {
                if let Some(writer) = connections.get(&unit) {
                    say(writer, frame::REPORT, &report.to_json()).await;
                }
            }
            _ => {}
        }
    }
}

/// Hands a unit what the hub asks of it.
async fn asked(mut reader: ReadHalf<DuplexStream>, writer: Writer, unit: DeviceId, fleet: Fleet) {
    while let Ok(Some((frame::REQUEST, request))) = frame::read(&mut reader).await {
        let request = RequestBody::from_json(&request).unwrap();
        if fleet.ask(&unit, request) {
            say(&writer, frame::GOT_IT, &[]).await;
        }
    }
}

async fn say(writer: &Writer, kind: u8, bytes: &[u8]) {
    // The hub may have closed the connection.
    let _ = frame::write(&mut *writer.lock().await, kind, bytes).await;
}
