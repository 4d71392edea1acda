//! How an engine ends: asked, left, or broken.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sortie::{
    Clock, CommandError, Delivery, Engine, Fatal, Inbox, MemoryInventory, MemoryStore, QueryError,
    Request, Stopped, Store, SystemClock, Timestamp, Transport, TransportError, Uuid,
};
use tokio::sync::oneshot;

use crate::{
    campaign::engine_in_memory,
    catalog, devices,
    hub::{Hub, Play},
    log::Gated,
    pilot, within,
};

fn memory() -> Store {
    let inventory = MemoryInventory::new();
    inventory.put(devices(20));
    Store::new(MemoryStore::new(Uuid::new_v4())).with_devices(inventory)
}

fn holding_hub() -> Hub {
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Holds);
    hub
}

#[tokio::test]
async fn an_engine_ends_with_the_future_that_it_was_given() {
    let (press, pressed) = oneshot::channel::<()>();
    let hub = holding_hub();
    let engine = Engine::builder()
        .store(memory())
        .transport(hub.clone())
        .shutdown_on(async { drop(pressed.await) })
        .start()
        .await
        .unwrap();
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    press.send(()).unwrap();
    assert_eq!(within(engine.stopped()).await, Stopped::Asked);
    assert!(hub.was_closed());
    // Everything answers, and asking again to stop is fine.
    let stopped = CommandError::Stopped(Stopped::Asked);
    assert_eq!(campaign.pause().await, Err(stopped.clone()));
    assert_eq!(engine.declare(catalog()).await, Err(stopped.clone()));
    assert_eq!(engine.preview(&pilot()).await.unwrap_err(), stopped);
    let stopped = QueryError::Stopped(Stopped::Asked);
    assert_eq!(campaign.summary().await.unwrap_err(), stopped);
    assert_eq!(campaign.finished().await.unwrap_err(), stopped);
    assert_eq!(engine.campaigns().await.unwrap_err(), stopped);
    assert_eq!(
        engine.health().await.to_string(),
        "stopped: the engine was shut down"
    );
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_panic_of_the_future_that_ends_an_engine_ends_it() {
    let engine = Engine::builder().store(memory()).transport(Hub::new());
    let engine = engine
        .shutdown_on(async { panic!("no signals here") })
        .start()
        .await
        .unwrap();
    assert_eq!(within(engine.stopped()).await, Stopped::Asked);
}

#[tokio::test]
async fn shutdown_ends_the_append_under_way_and_answers_what_it_carried_out() {
    let log = Gated::open();
    let engine = Engine::builder()
        .store(Store::new(log.clone()).with_devices(MemoryInventory::new()))
        .transport(Hub::new())
        .start()
        .await
        .unwrap();
    engine.declare(catalog()).await.unwrap();
    log.shut();
    let before = log.appends();
    let declaring = engine
        .declare(catalog().channel("all", &["pilot"]))
        .into_future();
    let declaring = tokio::spawn(declaring);
    within(log.appends_after(before)).await;
    let (first, second) = (engine.clone(), engine.clone());
    let [first, second] =
        [first, second].map(|engine| tokio::spawn(async move { engine.shutdown().await }));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!first.is_finished() && !declaring.is_finished());
    log.reopen();
    assert_eq!(within(declaring).await.unwrap(), Ok(1));
    within(first).await.unwrap().unwrap();
    within(second).await.unwrap().unwrap();
}

/// Its run never ends, and neither does closing it.
#[derive(Debug)]
struct Stuck;

#[sortie::async_trait]
impl Transport for Stuck {
    async fn run(&self, inbox: Inbox) -> Result<(), TransportError> {
        inbox.link_up();
        std::future::pending().await
    }
    async fn write(&self, _: &Request) -> Delivery {
        std::future::pending().await
    }
    async fn close(&self) {
        std::future::pending::<()>().await;
    }
}

// Paused: the clock jumps to the next timer whenever nothing else happens on the runtime, so also
// while a thread of ours is waited for, and a limit around that would be over at once.
#[tokio::test(start_paused = true)]
async fn a_shutdown_that_a_port_holds_up_is_given_up_after_ten_seconds() {
    let engine = Engine::builder()
        .store(memory())
        .transport(Stuck)
        .start()
        .await
        .unwrap();
    engine.declare(catalog()).await.unwrap();
    let before = tokio::time::Instant::now();
    let ended = engine.shutdown().await;
    assert_eq!(ended, Err(Fatal::ShutdownTimedOut("the link")));
    assert_eq!(before.elapsed().as_secs(), 10);

    let log = Gated::open();
    let store = Store::new(log.clone()).with_devices(MemoryInventory::new());
    let engine = Engine::builder()
        .store(store)
        .transport(Hub::new())
        .start()
        .await
        .unwrap();
    engine.declare(catalog()).await.unwrap();
    log.shut();
    let before = log.appends();
    let more = engine
        .declare(catalog().channel("all", &["pilot"]))
        .into_future();
    let more = tokio::spawn(more);
    within(log.appends_after(before)).await;
    let why = Fatal::ShutdownTimedOut("the append under way");
    assert_eq!(engine.shutdown().await, Err(why.clone()));
    assert_eq!(
        more.await.unwrap(),
        Err(CommandError::Stopped(Stopped::Fatal(why)))
    );
}

#[tokio::test]
async fn an_engine_lives_as_long_as_its_last_handle_and_a_watch_is_none() {
    let hub = holding_hub();
    let (engine, driver) = Engine::builder()
        .store(memory())
        .transport(hub.clone())
        .build()
        .unwrap();
    let running = tokio::spawn(driver.run());
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let mut watch = campaign.watch();
    drop(engine);
    while within(watch.next()).await.unwrap().counts.in_progress < 5 {}
    // Alive: the campaign's handle still gets answers.
    campaign.pause().await.unwrap();
    drop(campaign);
    within(async { while watch.next().await.is_some() {} }).await;
    assert_eq!(within(running).await.unwrap(), Stopped::Asked);
    assert!(hub.was_closed());
}

#[tokio::test]
async fn a_driver_that_is_dropped_leaves_nobody_waiting() {
    let (engine, driver) = Engine::builder()
        .store(memory())
        .transport(Hub::new())
        .build()
        .unwrap();
    let declaring = tokio::spawn(engine.declare(catalog()).into_future());
    tokio::task::yield_now().await;
    drop(driver);
    let dropped = Stopped::Fatal(Fatal::Dropped);
    assert_eq!(
        within(declaring).await.unwrap(),
        Err(CommandError::Stopped(dropped.clone()))
    );
    assert_eq!(within(engine.stopped()).await, dropped);
}

#[test]
fn an_engine_whose_runtime_ends_leaves_nobody_waiting() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    let engine = runtime.block_on(engine_in_memory(&holding_hub()));
    runtime.shutdown_timeout(Duration::from_secs(30));
    let dropped = Stopped::Fatal(Fatal::Dropped);
    assert_eq!(crate::starts::block_on(engine.stopped()), dropped);
    let error = crate::starts::block_on(engine.declare(catalog()).into_future());
    assert_eq!(error, Err(CommandError::Stopped(dropped)));
}

/// A clock that breaks when it is told to: the loop itself panics.
#[derive(Debug)]
struct Breaking {
    clock: SystemClock,
    broken: Arc<AtomicBool>,
}

#[sortie::async_trait]
impl Clock for Breaking {
    fn now(&self) -> Timestamp {
        assert!(!self.broken.load(Ordering::SeqCst), "the clock stopped");
        self.clock.now()
    }
    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
    async fn sleep_until(&self, deadline: Duration) {
        self.clock.sleep_until(deadline).await;
    }
}

#[tokio::test]
async fn after_a_panic_of_the_loop_every_waiting_call_answers_and_the_next_engine_goes_on() {
    let log = Gated::open();
    let inventory = MemoryInventory::new();
    inventory.put(devices(20));
    let hub = holding_hub();
    let broken = Arc::new(AtomicBool::new(false));
    let clock = Breaking {
        clock: SystemClock::new(),
        broken: broken.clone(),
    };
    let store = Store::new(log.clone()).with_devices(inventory.clone());
    let builder = Engine::builder()
        .store(store)
        .transport(hub.clone())
        .clock(clock);
    let engine = builder.start().await.unwrap();
    engine.declare(catalog()).await.unwrap();
    log.shut();
    let before = log.appends();
    let creating = tokio::spawn(engine.create_campaign(pilot()).into_future());
    within(log.appends_after(before)).await;
    let waiting = ["a", "b", "c"].map(|channel| {
        let catalog = catalog().channel(channel, &["pilot"]);
        tokio::spawn(engine.declare(catalog).into_future())
    });
    tokio::task::yield_now().await;
    broken.store(true, Ordering::SeqCst);
    let asked = tokio::spawn({
        let engine = engine.clone();
        async move { engine.campaigns().await }
    });
    let why = Stopped::Fatal(Fatal::Panicked("the clock stopped".into()));
    assert_eq!(within(engine.stopped()).await, why);
    assert_eq!(
        within(creating).await.unwrap().unwrap_err(),
        CommandError::Stopped(why.clone())
    );
    for waiting in waiting {
        let answer = within(waiting).await.unwrap();
        assert_eq!(answer, Err(CommandError::Stopped(why.clone())));
    }
    assert_eq!(within(asked).await.unwrap(), Err(QueryError::Stopped(why)));

    log.reopen();
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Updates);
    let store = Store::new(log).with_devices(inventory);
    let engine = Engine::builder()
        .store(store)
        .transport(hub)
        .start()
        .await
        .unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let end = within(campaign.finished()).await.unwrap();
    assert_eq!(end.counts.successful, 20);
}
