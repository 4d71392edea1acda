//! Whole campaigns through an application's own connection.

use sortie::{
    CampaignId, CampaignOutcome, CampaignStatus, Engine, MemoryInventory, MemoryStore, Progress,
    Store, TargetFilter, TargetReason, TargetStatus, Uuid,
};

use crate::{
    catalog, devices,
    hub::{Hub, Play, Trouble},
    pilot, within,
};

/// An engine on a log in memory, with 20 devices; all that have a tag are targets.
pub(crate) async fn engine_in_memory(hub: &Hub) -> Engine {
    let inventory = MemoryInventory::new();
    inventory.put(devices(20));
    let store = Store::new(MemoryStore::new(Uuid::new_v4())).with_devices(inventory);
    let engine = Engine::builder().store(store).transport(hub.clone());
    engine.start().await.unwrap()
}

pub(crate) async fn run_pilot(engine: &Engine) -> Progress {
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    within(campaign.finished()).await.unwrap()
}

fn updating_hub() -> Hub {
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Updates);
    hub
}

#[tokio::test]
async fn a_campaign_updates_every_device_and_ends_with_success() {
    let hub = updating_hub();
    hub.add(&devices(2), "1.4.0", Play::Updates);
    hub.trouble("gw-0007", Trouble::NotNow);
    let engine = engine_in_memory(&hub).await;
    let end = run_pilot(&engine).await;
    assert_eq!(end.status, CampaignStatus::Finished);
    assert_eq!(end.outcome, Some(CampaignOutcome::Success));
    assert_eq!((end.counts.targets, end.counts.successful), (20, 20));
    // Two had it already; asked of the devices, not of the engine.
    assert_eq!(hub.operations_seen(), 18);
    assert!(
        devices(20)
            .iter()
            .all(|d| hub.version_of(d.id().as_str()) == "1.4.0")
    );

    let campaign = engine.campaign(end.campaign).await.unwrap();
    let summary = campaign.summary().await.unwrap();
    let rows: Vec<_> = summary.iter().map(|row| (row.reason, row.count)).collect();
    let expected = [
        (TargetReason::Updated, 18),
        (TargetReason::AlreadyAtVersion, 2),
    ];
    assert_eq!(rows, expected.map(|(reason, count)| (Some(reason), count)));
    engine.shutdown().await.unwrap();
    assert!(hub.was_closed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_ends_the_same_on_a_runtime_of_many_threads() {
    let hub = updating_hub();
    let engine = engine_in_memory(&hub).await;
    let end = run_pilot(&engine).await;
    assert_eq!(
        (end.outcome, end.counts.successful),
        (Some(CampaignOutcome::Success), 20)
    );
    assert_eq!(hub.operations_seen(), 20);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_bad_image_harms_no_more_devices_than_threshold_and_limit_allow() {
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::RollsBack);
    let engine = engine_in_memory(&hub).await;
    let end = run_pilot(&engine).await;
    assert_eq!(end.outcome, Some(CampaignOutcome::Failure));
    // 10 % of 20 are two that may fail; the third ends it, and five may be under way by then.
    let failed = end.counts.failed as usize;
    assert!((3..=2 + 5).contains(&failed), "{end}");
    assert_eq!(hub.operations_seen(), failed);
    let campaign = engine.campaign(end.campaign).await.unwrap();
    let page = campaign
        .targets(&TargetFilter::new(), None, 20)
        .await
        .unwrap()
        .rows;
    let first = &page[0];
    assert_eq!(first.status, TargetStatus::Failed);
    assert_eq!(first.reason, Some(TargetReason::SystemRollback));
    assert!(first.operation.is_some());
    assert_eq!(
        (first.decided_on.as_deref(), first.version.as_deref()),
        (Some("1.3.0"), Some("1.3.0"))
    );
}

#[tokio::test]
async fn a_watch_shows_the_present_first_and_ends_with_the_campaign_not_with_the_engine() {
    let hub = updating_hub();
    let engine = engine_in_memory(&hub).await;
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let mut watch = campaign.watch();
    let mut all = vec![];
    while let Some(now) = within(watch.next()).await {
        all.push(now);
    }
    let over: Vec<_> = all.iter().map(Progress::is_over).collect();
    assert_eq!(over.iter().filter(|over| **over).count(), 1, "{over:?}");
    assert_eq!(all.last(), Some(&watch.latest()));
    assert_eq!(within(watch.next()).await, None, "it stays ended");
    // Later than the end there is the present, and then the end.
    let mut late = campaign.watch();
    assert_eq!(within(late.next()).await, Some(watch.latest()));
    assert_eq!(within(late.next()).await, None);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn pages_of_targets_hold_each_target_once() {
    let hub = updating_hub();
    let engine = engine_in_memory(&hub).await;
    let end = run_pilot(&engine).await;
    let campaign = engine.campaign(end.campaign).await.unwrap();
    let (mut all, mut after) = (vec![], None);
    let filter = TargetFilter::new();
    loop {
        let page = campaign.targets(&filter, after, 7).await.unwrap();
        assert!(page.rows.len() <= 7);
        all.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let ids: Vec<_> = all.iter().map(|row| row.device.clone()).collect();
    let expected: Vec<_> = devices(20)
        .iter()
        .map(|device| device.id().clone())
        .collect();
    assert_eq!(ids, expected);
    let one = campaign.target(&expected[3]).await.unwrap();
    assert_eq!(one, all[3]);
    let stranger = "gw-9999".parse().unwrap();
    let error = campaign.target(&stranger).await.unwrap_err();
    assert!(error.to_string().contains("gw-9999"), "{error}");
}

#[cfg(feature = "sqlite")]
mod on_sqlite {
    use sortie::Sqlite;

    use super::*;

    async fn open(path: &std::path::Path) -> Sqlite {
        Sqlite::open(path).await.unwrap()
    }

    #[tokio::test]
    async fn the_device_table_of_a_sqlite_store_is_the_inventory_unless_another_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder.path().join("sortie.db")).await;
        store.devices().put(devices(20)).await.unwrap();
        let hub = updating_hub();
        let engine = Engine::builder().store(store).transport(hub.clone());
        let engine = engine.start().await.unwrap();
        let end = run_pilot(&engine).await;
        assert_eq!(
            (end.outcome, end.counts.successful),
            (Some(CampaignOutcome::Success), 20)
        );
        engine.shutdown().await.unwrap();

        let store = open(&folder.path().join("sortie.db")).await;
        let inventory = MemoryInventory::new();
        inventory.put(devices(3));
        let engine = Engine::builder()
            .store(store)
            .transport(hub)
            .inventory(inventory);
        let engine = engine.start().await.unwrap();
        let preview = engine.preview(&pilot()).await.unwrap();
        assert_eq!(preview.targets, 3);
        engine.shutdown().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_campaign_that_was_interrupted_goes_on_after_a_restart_on_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sortie.db");
        let store = open(&path).await;
        store.devices().put(devices(20)).await.unwrap();
        drop(store);
        goes_on_after_a_restart(async || open(&path).await.into()).await;
    }
}

#[tokio::test]
async fn a_campaign_that_was_interrupted_goes_on_after_a_restart_and_no_device_begins_twice() {
    let inventory = MemoryInventory::new();
    inventory.put(devices(20));
    let store = Store::new(MemoryStore::new(Uuid::new_v4())).with_devices(inventory);
    goes_on_after_a_restart(async || store.clone()).await;
}

/// The same program twice, on the same log and the same devices.
async fn goes_on_after_a_restart(open: impl AsyncFn() -> Store) {
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Holds);
    let engine = Engine::builder().store(open().await).transport(hub.clone());
    let engine = engine.start().await.unwrap();
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let mut progress = campaign.watch();
    while within(progress.next()).await.unwrap().counts.in_progress < 5 {}
    engine.shutdown().await.unwrap();
    assert_eq!(
        within(progress.next()).await,
        None,
        "a watch ends with its engine"
    );
    assert_eq!(progress.latest().outcome, None);

    let hub_again = Hub::new();
    hub_again.add(&devices(20), "1.3.0", Play::Updates);
    hub_again.adopt(&hub);
    let engine = Engine::builder()
        .store(open().await)
        .transport(hub_again.clone());
    let engine = engine.start().await.unwrap();
    assert_eq!(
        engine.declare(catalog()).await.unwrap(),
        0,
        "it says so already"
    );
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    assert_eq!(campaign.id(), CampaignId::from_name("pilot-1.4.0"));
    let end = within(campaign.finished()).await.unwrap();
    assert_eq!(end.outcome, Some(CampaignOutcome::Success));
    assert_eq!(end.counts.successful, 20);
    assert_eq!(
        hub_again.operations_seen(),
        20,
        "five of them began before the restart"
    );
    assert_eq!(engine.campaigns().await.unwrap().len(), 1);
    engine.shutdown().await.unwrap();
}
