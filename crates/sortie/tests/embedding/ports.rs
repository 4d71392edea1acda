//! Ports that panic, say no, or are away.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use sortie::{
    CampaignOutcome, Device, DeviceId, DevicePage, Engine, Inventory, InventoryError,
    MemoryInventory, MemoryStore, Store, TargetFilter, TargetReason, Uuid,
};

use crate::{
    campaign::engine_in_memory,
    catalog, devices,
    hub::{Hub, Play, Trouble},
    pilot, within,
};

#[tokio::test]
async fn a_panic_in_a_write_counts_as_not_now_and_it_is_written_again() {
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Updates);
    hub.trouble("gw-0003", Trouble::Panics);
    let engine = engine_in_memory(&hub).await;
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let end = within(campaign.finished()).await.unwrap();
    assert_eq!(
        (end.outcome, end.counts.successful),
        (Some(CampaignOutcome::Success), 20)
    );
}

#[tokio::test]
async fn a_panic_of_the_link_is_a_link_that_is_down_and_it_is_run_again() {
    let hub = Hub::whose_run_panics(1);
    hub.add(&devices(20), "1.3.0", Play::Updates);
    let mut runs = hub.runs();
    let engine = engine_in_memory(&hub).await;
    within(runs.wait_for(|runs| *runs == 1)).await.unwrap();
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
    let why = health.link.why.as_deref();
    assert_eq!(why, Some("the transport panicked: the hub is not ready"));
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let end = within(campaign.finished()).await.unwrap();
    assert_eq!(end.counts.successful, 20);
    assert_eq!(*runs.borrow(), 2);
    assert!(engine.health().await.is_good());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_is_given_up_after_30_s_and_written_again() {
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Updates);
    hub.trouble("gw-0003", Trouble::Hangs);
    let engine = engine_in_memory(&hub).await;
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let before = tokio::time::Instant::now();
    let end = within(campaign.finished()).await.unwrap();
    assert_eq!(end.counts.successful, 20);
    // One more second is the node's own backoff.
    assert_eq!(before.elapsed().as_secs(), 31);
}

#[tokio::test]
async fn with_the_link_cut_nobodys_presence_is_known_and_all_is_heard_anew_when_it_is_back() {
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Holds);
    let mut runs = hub.runs();
    let engine = engine_in_memory(&hub).await;
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let mut progress = campaign.watch();
    while within(progress.next()).await.unwrap().counts.in_progress < 5 {}
    let online = async || {
        let rows = campaign
            .targets(&TargetFilter::new(), None, 20)
            .await
            .unwrap()
            .rows;
        rows.into_iter().map(|row| row.online).collect::<Vec<_>>()
    };
    assert_eq!(online().await, vec![Some(true); 20]);
    hub.cut();
    within(async { while engine.health().await.link.up {} }).await;
    assert_eq!(online().await, vec![None; 20]);
    assert_eq!(
        *runs.borrow(),
        1,
        "it is run again after a backoff, not at once"
    );
    within(runs.wait_for(|runs| *runs == 2)).await.unwrap();
    within(async { while !engine.health().await.link.up {} }).await;
    assert_eq!(online().await, vec![Some(true); 20]);
    assert_eq!(
        hub.operations_seen(),
        5,
        "what was asked before is asked again as the same"
    );
}

#[tokio::test]
async fn p5_a_device_whose_connection_refuses_it_for_good_fails_with_send_refused() {
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Updates);
    hub.add(&devices(1), "1.3.0", Play::Forbidden);
    let engine = engine_in_memory(&hub).await;
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let end = within(campaign.finished()).await.unwrap();
    assert_eq!((end.counts.successful, end.counts.failed), (19, 1));
    let row = campaign.target(&"gw-0000".parse().unwrap()).await.unwrap();
    assert_eq!(
        (row.reason, row.abandoned),
        (Some(TargetReason::SendRefused), true)
    );
    assert_eq!(row.refusal.as_deref(), Some("not authorised"));
    let story = campaign.explain(&row.device).await.unwrap().to_string();
    let why = "the transport refuses the request for good: \"not authorised\"";
    assert!(story.contains(why), "{story}");
}

/// Panics, then has a bad row, then answers.
#[derive(Debug)]
struct Mending {
    asked: Arc<AtomicUsize>,
    table: MemoryInventory,
}

#[sortie::async_trait]
impl Inventory for Mending {
    async fn page(&self, want: &DevicePage) -> Result<Vec<Device>, InventoryError> {
        match self.asked.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("no table"),
            1 => Ok(vec![Device::new("gw 1", "gateway-g2")?]),
            2 => Err(InventoryError::unavailable("connection lost")),
            _ => self.table.page(want).await,
        }
    }

    async fn exist(&self, ids: &[DeviceId]) -> Result<Vec<bool>, InventoryError> {
        self.table.exist(ids).await
    }
}

#[tokio::test]
async fn s2_a_start_waits_for_an_inventory_that_panics_or_has_a_bad_row_and_says_why() {
    let table = MemoryInventory::new();
    table.put(devices(20));
    let asked = Arc::default();
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Updates);
    let engine = Engine::builder()
        .store(MemoryStore::new(Uuid::new_v4()))
        .transport(hub)
        .inventory(Mending { asked, table })
        .start()
        .await
        .unwrap();
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let mut progress = campaign.watch();
    for expected in ["panicked: no table", "gw 1", "connection lost"] {
        loop {
            let now = within(progress.next()).await.unwrap();
            if now.start_waits.is_some_and(|why| why.contains(expected)) {
                break;
            }
        }
        let health = engine.health().await;
        let [wait] = &health.node.starts_waiting[..] else {
            panic!("{health}");
        };
        assert!(wait.why.contains(expected) && wait.retried, "{health}");
        assert!(!health.is_good());
    }
    let end = within(campaign.finished()).await.unwrap();
    assert_eq!(end.counts.successful, 20);
}

#[tokio::test]
async fn a_preview_counts_targets_and_judges_those_that_were_heard() {
    let hub = Hub::new();
    hub.add(&devices(20)[..12], "1.3.0", Play::Holds);
    hub.add(&devices(2), "1.4.0", Play::Holds);
    hub.add(&devices(5)[4..], "2.0.0", Play::Holds);
    let inventory = MemoryInventory::new();
    inventory.put(devices(20));
    inventory.put([Device::new("other", "gateway-g2").unwrap()]);
    let store = Store::new(MemoryStore::new(Uuid::new_v4())).with_devices(inventory);
    let engine = Engine::builder()
        .store(store)
        .transport(hub)
        .start()
        .await
        .unwrap();
    engine.declare(catalog()).await.unwrap();
    let preview = within(async {
        loop {
            let preview = engine.preview(&pilot()).await.unwrap();
            if preview.unheard < 20 {
                break preview;
            }
            tokio::task::yield_now().await;
        }
    });
    let preview = preview.await;
    assert_eq!(
        (preview.targets, preview.pushed, preview.unheard),
        (20, 9, 8)
    );
    assert_eq!(
        preview.skipped.into_iter().collect::<Vec<_>>(),
        [(TargetReason::AlreadyAtVersion, 2)]
    );
    assert_eq!(
        preview.failed.into_iter().collect::<Vec<_>>(),
        [(TargetReason::DowngradeNotAllowed, 1)]
    );
    assert!(
        engine.campaigns().await.unwrap().is_empty(),
        "a preview records nothing"
    );
}
