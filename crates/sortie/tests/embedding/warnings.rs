//! What is said to `tracing`.

use std::{
    fmt::{self, Debug},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use sortie::{
    Delivery, Device, DeviceId, DevicePage, Engine, Inbox, Inventory, InventoryError,
    MemoryInventory, MemoryStore, Request, Store, Transport, TransportError, Uuid,
};
use tokio::sync::watch;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::{
    ask::campaign_on,
    campaign::engine_in_memory,
    catalog, devices,
    hub::{Hub, Play},
    log::Gated,
    pilot, within,
};

/// Keeps the levels and texts of what is said on this thread.
#[derive(Debug, Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn with(&self, part: &str) -> usize {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|text| text.contains(part))
            .count()
    }
}

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let _ = fmt::Write::write_fmt(self.0, format_args!("{value:?}"));
        }
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut text = format!("{} ", event.metadata().level());
        event.record(&mut Text(&mut text));
        self.0.lock().unwrap().push(text);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Fails five times, then is up for an instant, and then fails again, and so on.
#[derive(Debug)]
struct Flapping(watch::Sender<usize>);

#[sortie::async_trait]
impl Transport for Flapping {
    async fn run(&self, inbox: Inbox) -> Result<(), TransportError> {
        let mut runs = 0;
        self.0.send_modify(|all| {
            *all += 1;
            runs = *all;
        });
        if runs % 6 == 0 {
            inbox.link_up();
            // Long enough to be seen.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        }
        Err(TransportError::disconnected("connection refused"))
    }
    async fn write(&self, _: &Request) -> Delivery {
        Delivery::NotNow
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_one_warning_an_outage_not_one_a_try() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let transport = Arc::new(Flapping(watch::Sender::new(0)));
    let mut runs = transport.0.subscribe();
    let store = Store::new(MemoryStore::new(Uuid::new_v4())).with_devices(MemoryInventory::new());
    let engine = Engine::builder()
        .store(store)
        .transport(transport)
        .start()
        .await
        .unwrap();
    within(runs.wait_for(|runs| *runs == 5)).await.unwrap();
    assert_eq!(
        warnings.with("link down: connection refused, next try in"),
        1
    );
    tokio::time::timeout(
        std::time::Duration::from_hours(1),
        runs.wait_for(|runs| *runs == 11),
    )
    .await
    .unwrap()
    .unwrap();
    assert_eq!(
        warnings.with("link down: connection refused, next try in"),
        2
    );
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn dropping_the_last_handle_is_warned_about_while_a_campaign_runs() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Holds);
    let engine = engine_in_memory(&hub).await;
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let mut progress = campaign.watch();
    while within(progress.next()).await.unwrap().counts.in_progress < 5 {}
    drop((engine, campaign));
    within(async { while progress.next().await.is_some() {} }).await;
    assert_eq!(
        warnings.with("the last handle was dropped while 1 campaign is running"),
        1
    );
}

#[tokio::test]
async fn a_stream_that_halts_is_an_error_said_once() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let log = Gated::open();
    let (_engine, campaign) = campaign_on(&log).await;
    log.breaks();
    for _ in 0..3 {
        let pause = within(campaign.pause().into_future()).await;
        assert!(pause.is_err());
    }
    let text = format!(
        "ERROR halted: \"Pilot 1.4.0\" (campaign/{}): too long a word; a restart is needed",
        campaign.id()
    );
    assert_eq!(warnings.with(&text), 1, "{warnings:?}");
    assert_eq!(warnings.with("halted"), 1);
}

/// Away until it has been asked three times.
#[derive(Debug)]
struct Waking(AtomicUsize, MemoryInventory);

#[sortie::async_trait]
impl Inventory for Waking {
    async fn page(&self, want: &DevicePage) -> Result<Vec<Device>, InventoryError> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0..3 => Err(InventoryError::unavailable("connection lost")),
            _ => self.1.page(want).await,
        }
    }

    async fn exist(&self, ids: &[DeviceId]) -> Result<Vec<bool>, InventoryError> {
        self.1.exist(ids).await
    }
}

#[tokio::test(start_paused = true)]
async fn s2_a_start_that_waits_is_warned_about_once_and_its_end_is_said() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let table = MemoryInventory::new();
    table.put(devices(20));
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Updates);
    let engine = Engine::builder()
        .store(MemoryStore::new(Uuid::new_v4()))
        .transport(hub)
        .inventory(Waking(AtomicUsize::new(0), table));
    let engine = engine.start().await.unwrap();
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    within(campaign.finished()).await.unwrap();
    let stream = format!("campaign/{}", campaign.id());
    let begin = format!("WARN start waits: \"Pilot 1.4.0\" ({stream}): ");
    assert_eq!(warnings.with(&begin), 1, "{warnings:?}");
    assert_eq!(warnings.with("connection lost"), 1, "{warnings:?}");
    let end = format!("INFO start waits no longer: {stream}");
    assert_eq!(warnings.with(&end), 1, "{warnings:?}");
}

#[tokio::test]
async fn p5_a_request_that_is_refused_for_good_is_warned_about_with_its_device_and_why() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Updates);
    hub.add(&devices(1), "1.3.0", Play::Forbidden);
    let engine = engine_in_memory(&hub).await;
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    within(campaign.finished()).await.unwrap();
    let text = "WARN the transport refuses the request for gw-0000 for good: not authorised";
    assert!(warnings.with(text) >= 1, "{warnings:?}");
}
