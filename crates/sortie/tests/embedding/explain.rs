//! What an operator asks when something did not go as expected.

use std::time::Duration;

use sortie::{
    CampaignHandle, CampaignId, DeviceId, Engine, MemoryInventory, MemoryStore, NewCampaign, Push,
    QueryError, Start, Store, StreamId, TargetFilter, TargetReason, TargetStatus, Uuid, Wait,
};

use crate::{
    ask::engine_on,
    campaign::{engine_in_memory, run_pilot},
    catalog, devices,
    hub::{Hub, Play},
    log::Gated,
    pilot, within,
};

fn device(n: usize) -> DeviceId {
    DeviceId::new(&format!("gw-{n:04}")).unwrap()
}

fn of_device(hub: &Hub, n: usize, version: &str, play: Play) {
    hub.add(&devices(n + 1)[n..], version, play);
}

/// The pilot with a name of its own, once `wanted` says so of what it does.
async fn campaign(
    engine: &Engine,
    name: &str,
    wanted: impl Fn(&CampaignHandle) -> bool,
) -> CampaignHandle {
    let [image, channel] = ["gateway-os@1.4.0", "pilot"];
    let new = NewCampaign::new(name, image.parse().unwrap(), channel.parse().unwrap())
        .id(CampaignId::from_name(name))
        .mechanism(
            Push::new()
                .max_in_progress_operations(20)
                .max_failure_percentage(100.0),
        );
    let campaign = engine.create_campaign(new).by("anna").await.unwrap();
    let mut watch = campaign.watch();
    within(async { while !wanted(&campaign) && watch.next().await.is_some() {} }).await;
    campaign
}

#[tokio::test]
async fn a_story_says_who_what_when_and_by_which_rule_it_ended() {
    let hub = Hub::new();
    hub.add(&devices(20), "1.4.0", Play::Updates);
    of_device(&hub, 0, "1.3.0", Play::RollsBack);
    of_device(&hub, 1, "1.5.0", Play::Updates);
    of_device(&hub, 2, "1.3.0", Play::Updates);
    let engine = engine_in_memory(&hub).await;
    engine.declare(catalog()).await.unwrap();
    let all = campaign(&engine, "all", |c| c.progress().is_over()).await;
    for (n, end, rule) in [
        (
            0,
            "failed, system_rollback",
            "the device reported failure SystemRollback (R3)",
        ),
        (
            1,
            "failed, downgrade_not_allowed",
            "and Force Downgrade is off (E4)",
        ),
        (
            2,
            "successful, updated",
            "the device says that it runs 1.4.0 (R3)",
        ),
        (
            3,
            "successful, already_at_version",
            "the device ran 1.4.0 already; nothing was sent (E2)",
        ),
    ] {
        let story = engine.explain(all.id(), &device(n)).await.unwrap();
        let text = story.to_string();
        assert!(
            text.starts_with(&format!("gw-000{n} in \"all\": {end}\n")),
            "{text}"
        );
        assert!(text.contains(rule), "{text}");
        assert!(
            text.contains(
                "S3  campaign created, to start at once: 20 at once, fails above 100 % (by anna)"
            ),
            "{text}"
        );
        assert!(
            text.contains("S2  campaign started: one of its 20 targets"),
            "{text}"
        );
        assert_eq!(story.waiting, None);
        let row = all.target(&device(n)).await.unwrap();
        assert_eq!((Some(row.status), row.reason), (story.status, story.reason));
        assert_eq!(row.ended_at, story.steps.last().map(|step| step.at));
        assert_eq!(row.word.is_some(), n == 0);
    }
    let error = all.explain(&device(99)).await.unwrap_err();
    assert!(matches!(error, QueryError::NotFound(what) if what.contains("gw-0099")));
    let error = engine
        .explain(CampaignId::from_name("none"), &device(0))
        .await;
    assert!(matches!(error, Err(QueryError::NotFound(_))));
}

#[tokio::test]
async fn what_a_target_waits_for_is_live_and_names_who_holds_the_device() {
    let hub = Hub::new();
    hub.add(&devices(19), "1.3.0", Play::Holds);
    let engine = engine_in_memory(&hub).await;
    engine.declare(catalog()).await.unwrap();
    let first = campaign(&engine, "first", |c| c.progress().counts.in_progress == 19).await;
    let second = campaign(&engine, "second", |c| c.progress().counts.targets == 20).await;
    let holder = first.target(&device(0)).await.unwrap().operation.unwrap();
    let story = second.explain(&device(0)).await.unwrap();
    let held = Wait::Held {
        stream: StreamId::Campaign(first.id()),
        name: Some("first".into()),
        operation: holder,
    };
    assert_eq!(story.waiting.unwrap().waits, [held]);
    // The last device never said a word.
    let waits = second
        .explain(&device(19))
        .await
        .unwrap()
        .waiting
        .unwrap()
        .waits;
    assert!(
        matches!(
            waits[..],
            [Wait::Presence {
                link_since: Some(_)
            }]
        ),
        "{waits:?}"
    );
    // The holder itself waits for its device to go on.
    let story = first.explain(&device(0)).await.unwrap();
    let waits = &story.waiting.as_ref().unwrap().waits;
    assert!(
        matches!(waits[..], [Wait::Advance { operation: Some(op), due_in_ms: Some(_), .. }] if op == holder),
        "{waits:?}"
    );
    let text = story.to_string();
    assert!(
        text.contains(
            "live, not recorded) for\n  the device to go on after acknowledged: given up in"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn a_campaign_that_has_not_started_says_what_it_waits_for() {
    let hub = Hub::new();
    let engine = engine_in_memory(&hub).await;
    engine.declare(catalog()).await.unwrap();
    let campaign = engine
        .create_campaign(pilot().start(Start::ByHand))
        .await
        .unwrap();
    let story = campaign.explain(&device(0)).await.unwrap();
    assert_eq!((story.status, story.target), (None, None));
    assert_eq!(story.waiting.unwrap().waits, [Wait::StartByHand]);
    campaign.delete().await.unwrap();
    let gone = campaign.explain(&device(0)).await;
    assert!(matches!(gone, Err(QueryError::NotFound(_))), "{gone:?}");
}

#[tokio::test]
async fn targets_are_counted_as_they_change_and_listed_by_status_and_reason() {
    let hub = Hub::new();
    hub.add(&devices(20), "1.4.0", Play::Updates);
    for n in [3, 7, 8] {
        of_device(&hub, n, "1.3.0", Play::RollsBack);
    }
    let engine = engine_in_memory(&hub).await;
    engine.declare(catalog()).await.unwrap();
    let all = campaign(&engine, "all", |c| c.progress().is_over()).await;
    let summary = all.summary().await.unwrap();
    let counts: Vec<_> = summary
        .iter()
        .map(|r| (r.status, r.reason, r.count))
        .collect();
    let failed = (TargetStatus::Failed, Some(TargetReason::SystemRollback), 3);
    let there = (
        TargetStatus::Successful,
        Some(TargetReason::AlreadyAtVersion),
        17,
    );
    assert_eq!(counts, [failed, there]);
    let filter = TargetFilter::new()
        .status(TargetStatus::Failed)
        .reason(TargetReason::SystemRollback);
    let first = all.targets(&filter, None, 2).await.unwrap();
    let second = all.targets(&filter, first.next, 2).await.unwrap();
    let ids: Vec<_> = first
        .rows
        .iter()
        .chain(&second.rows)
        .map(|row| row.index.0)
        .collect();
    assert_eq!((ids, second.next), (vec![3, 7, 8], None));
    let none = TargetFilter::new().reason(TargetReason::Stalled);
    assert_eq!(
        all.targets(&none, None, 2).await.unwrap(),
        sortie::TargetPage::default()
    );
    assert!(
        all.targets(&TargetFilter::new().abandoned(), None, 2)
            .await
            .unwrap()
            .rows
            .is_empty()
    );
}

#[tokio::test]
async fn a_devices_history_goes_back_over_restarts_latest_first_page_by_page() {
    let log = MemoryStore::new(Uuid::from_u128(1));
    let inventory = MemoryInventory::new();
    inventory.put(devices(20));
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Updates);
    let start = |hub: &Hub| {
        let store = Store::new(log.clone()).with_devices(inventory.clone());
        Engine::builder()
            .store(store)
            .transport(hub.clone())
            .start()
    };
    let engine = start(&hub).await.unwrap();
    let end = run_pilot(&engine).await;
    engine.shutdown().await.unwrap();
    let again = Hub::new();
    again.add(&devices(20), "1.4.0", Play::Updates);
    let engine = start(&again).await.unwrap();
    let later = campaign(&engine, "later", |c| c.progress().is_over()).await;
    // The two may have started within a millisecond, and are told apart by their ids then.
    let history = async |after, limit| engine.device_history(&device(4), after, limit).await;
    let all = history(None, 10).await.unwrap();
    assert_eq!(all.next, None);
    let all = all.rows;
    // A page has at least one row.
    let first = history(None, 0).await.unwrap();
    assert_eq!(
        (&first.rows[..], first.next),
        (&all[..1], Some(all[0].stream))
    );
    let second = history(first.next, 1).await.unwrap();
    assert_eq!((&second.rows[..], second.next), (&all[1..], None));
    let nowhere = StreamId::Campaign(CampaignId::from_name("never"));
    let error = history(Some(nowhere), 1).await.unwrap_err();
    assert!(matches!(error, QueryError::NotFound(_)), "{error}");
    let mut ids: Vec<_> = all.iter().map(|row| row.stream).collect();
    ids.sort_unstable();
    let mut expected = [end.campaign, later.id()].map(StreamId::Campaign);
    expected.sort_unstable();
    assert_eq!(ids, expected);
    let row = |id| {
        all.iter()
            .find(|row| row.stream == StreamId::Campaign(id))
            .unwrap()
    };
    let (updated, there) = (row(end.campaign), row(later.id()));
    assert_eq!(updated.reason, Some(TargetReason::Updated));
    let [operation] = &updated.operations[..] else {
        panic!("{updated:?}");
    };
    let first = engine.campaign(end.campaign).await.unwrap();
    let target = first.target(&device(4)).await.unwrap();
    assert_eq!(Some(operation.operation), target.operation);
    assert_eq!(
        (Some(operation.started_at), operation.ended_at),
        (target.started_at, target.ended_at)
    );
    assert_eq!(operation.decided_on.as_deref(), Some("1.3.0"));
    assert_eq!(
        (there.reason, there.operations.len()),
        (Some(TargetReason::AlreadyAtVersion), 0)
    );
    assert!(
        engine
            .device_history(&device(99), None, 10)
            .await
            .unwrap()
            .rows
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn with_the_log_away_the_story_is_told_if_it_can_be_read_and_says_that_it_is_away() {
    let log = Gated::open();
    let engine = engine_on(&log, Play::Holds).await;
    let campaign = campaign(&engine, "all", |c| c.progress().counts.in_progress == 20).await;
    log.shut();
    // A command that can't be made durable: what is live can't be told apart from what is committed.
    let pausing = tokio::spawn(campaign.pause().into_future());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let told = within(campaign.explain(&device(0))).await.unwrap();
    let waits = told.waiting.clone().unwrap().waits;
    assert!(
        matches!(&waits[..], [Wait::Log { why }] if why.contains("has not answered")),
        "{waits:?}"
    );
    assert!(
        !told.to_string().contains("pausing"),
        "only what is committed is told"
    );
    log.reopen();
    within(pausing).await.unwrap().unwrap_err();
}
