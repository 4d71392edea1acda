//! How an engine starts, and what it needs for that.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use sortie::{
    Engine, EngineBuilder, EventStore, Inventory, MemoryInventory, MemoryStore, StartError, Store,
    Transport, Uuid,
};

use crate::{hub::Hub, log::Gated};

/// Runs a future on this thread and nothing else.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        std::thread::park();
    }
}

fn builder() -> EngineBuilder {
    let store = Store::new(MemoryStore::new(Uuid::new_v4()));
    Engine::builder()
        .store(store.with_devices(MemoryInventory::new()))
        .transport(Hub::new())
}

#[test]
fn without_a_runtime_starting_is_an_error_not_a_panic() {
    let error = block_on(builder().start()).unwrap_err();
    assert!(matches!(error, StartError::NoRuntime(_)), "{error}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let error = runtime.block_on(builder().start()).unwrap_err();
    assert!(
        matches!(error, StartError::NoRuntime(why) if why.contains("enable_time")),
        "{error}"
    );
}

#[tokio::test]
async fn what_the_builder_was_not_given_is_named() {
    let missing = |builder: EngineBuilder| match builder.build() {
        Err(StartError::Missing(what)) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(Engine::builder()), "store");
    let store = MemoryStore::new(Uuid::new_v4());
    assert_eq!(missing(Engine::builder().store(store.clone())), "transport");
    assert_eq!(
        missing(Engine::builder().store(store).transport(Hub::new())),
        "inventory"
    );
}

#[tokio::test]
async fn every_port_may_be_shared() {
    let log: Arc<dyn EventStore> = Arc::new(MemoryStore::new(Uuid::new_v4()));
    let devices: Arc<dyn Inventory> = Arc::new(MemoryInventory::new());
    let transport: Arc<dyn Transport> = Arc::new(Hub::new());
    let clock: Arc<dyn sortie::Clock> = Arc::new(sortie::SystemClock::new());
    let engine = Engine::builder()
        .store(log)
        .inventory(devices)
        .transport(transport)
        .clock(clock);
    engine.start().await.unwrap().shutdown().await.unwrap();
    let log = Arc::new(MemoryStore::new(Uuid::new_v4()));
    let devices = Arc::new(MemoryInventory::new());
    let engine = Engine::builder()
        .store(log)
        .inventory(devices)
        .transport(Arc::new(Hub::new()));
    engine.start().await.unwrap().shutdown().await.unwrap();
}

#[tokio::test]
async fn a_log_that_is_away_at_the_start_is_an_error() {
    let log = Gated::open();
    log.away(true);
    let build = || {
        let store = Store::new(log.clone()).with_devices(MemoryInventory::new());
        Engine::builder().store(store).transport(Hub::new())
    };
    let error = build().start().await.unwrap_err();
    assert!(
        matches!(&error, StartError::Store(why) if why.contains("pulled")),
        "{error}"
    );
    // With a driver of one's own the driver says so, and so does the engine.
    let (engine, driver) = build().build().unwrap();
    let stopped = driver.run().await;
    assert!(
        matches!(&stopped, sortie::Stopped::Fatal(sortie::Fatal::Store(_))),
        "{stopped}"
    );
    assert_eq!(engine.stopped().await, stopped);
    assert!(engine.shutdown().await.is_err());
}

#[cfg(feature = "mqtt")]
#[tokio::test]
async fn without_a_broker_the_engine_runs_and_its_health_says_since_when_and_why() {
    use crate::{catalog, devices, pilot, within};

    // A port that nobody listens on.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let inventory = MemoryInventory::new();
    inventory.put(devices(3));
    let store = Store::new(MemoryStore::new(Uuid::new_v4())).with_devices(inventory);
    let mqtt = sortie::Mqtt::new(&format!("mqtt://127.0.0.1:{port}")).unwrap();
    let engine = Engine::builder()
        .store(store)
        .transport(mqtt)
        .start()
        .await
        .unwrap();
    let health = within(async {
        loop {
            let health = engine.health().await;
            if health.link.why.is_some() {
                break health;
            }
            tokio::task::yield_now().await;
        }
    });
    let health = health.await;
    assert!(!health.link.up && health.link.since.is_some() && health.link.next_try.is_some());
    let text = health.to_string();
    let refused = "link down for 0 s: connection refused";
    assert!(
        text.starts_with(refused) && text.contains("next try in 1 s"),
        "{text}"
    );

    // It tries again, and all else goes on meanwhile.
    let first = health.link.next_try;
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let mut progress = campaign.watch();
    while within(progress.next()).await.unwrap().started_at.is_none() {}
    assert_eq!(progress.latest().counts.idle, 3);
    within(async {
        while engine.health().await.link.next_try == first {
            tokio::task::yield_now().await;
        }
    })
    .await;
    engine.shutdown().await.unwrap();
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_second_engine_on_one_file_is_refused_and_the_holder_named_until_the_first_has_shut_down()
{
    use sortie::{OpenError, Sqlite};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sortie.db");
    let store = Sqlite::open(&path).await.unwrap();
    let engine = Engine::builder()
        .store(store)
        .transport(Hub::new())
        .start()
        .await
        .unwrap();
    let refused = Sqlite::open(&path).await.unwrap_err();
    assert!(
        matches!(&refused, OpenError::InUse { holder, .. } if holder.pid() == Some(std::process::id()))
    );
    let text = sortie::Error::from(refused).to_string();
    assert!(
        text.contains(&format!("in use by process {}", std::process::id())),
        "{text}"
    );
    engine.shutdown().await.unwrap();
    // At once: `shutdown` returns only when the file is free.
    Sqlite::open(&path).await.unwrap();
}

#[tokio::test]
async fn an_artifact_of_a_file_has_its_size_and_digest_and_a_missing_file_is_named() {
    use sortie::Artifact;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gw.bin");
    std::fs::write(&path, b"abc").unwrap();
    let artifact = Artifact::of_file("http://127.0.0.1/gw.bin", &path)
        .await
        .unwrap();
    assert_eq!(artifact.size(), 3);
    // FIPS 180-4's example.
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(artifact.sha256().to_string(), digest);
    let missing = folder.path().join("none.bin");
    let error = Artifact::of_file("http://127.0.0.1/gw.bin", &missing)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("none.bin"), "{error}");
}
