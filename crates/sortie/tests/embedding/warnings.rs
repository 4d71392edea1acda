//! What is said to `tracing`.

use std::{
    fmt::{self, Debug},
    sync::{Arc, Mutex},
};

use sortie::{
    Delivery, Engine, Inbox, MemoryInventory, MemoryStore, Request, Store, Transport,
    TransportError, Uuid,
};
use tokio::sync::watch;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::{
    campaign::engine_in_memory,
    catalog, devices,
    hub::{Hub, Play},
    pilot, within,
};

/// Keeps the texts of warnings and errors of this thread.
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
        *metadata.level() <= Level::WARN
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
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
        warnings.with("the last handle was dropped while 1 campaigns run"),
        1
    );
}
