//! Rules T as a caller meets them: the catalog, deletions, and what an edit reaches.

use sortie::{
    Artifact, BaseImageId, CampaignId, Catalog, CatalogUser, ChannelId, CollectionId, CommandError,
    CommandId, Engine, GroupId, MemoryInventory, MemoryStore, NewBaseImage, NewChannel,
    NewSystemModel, Rejection, Sha256, Start, Store, StreamId, SystemModelId, Uuid,
};

use crate::{
    campaign::engine_in_memory,
    catalog, devices,
    hub::{Hub, Play},
    pilot, within,
};

fn hub(play: Play) -> Hub {
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", play);
    hub
}

fn image() -> BaseImageId {
    "gateway-os@1.4.0".parse().unwrap()
}

fn channel() -> ChannelId {
    "pilot".parse().unwrap()
}

/// An engine on a log that outlives it.
async fn engine_on(log: &MemoryStore, hub: &Hub) -> Engine {
    let inventory = MemoryInventory::new();
    inventory.put(devices(20));
    let store = Store::new(log.clone()).with_devices(inventory);
    let engine = Engine::builder().store(store).transport(hub.clone());
    engine.start().await.unwrap()
}

#[track_caller]
fn refused(answer: Result<(), CommandError>, campaign: CampaignId) {
    let error = answer.unwrap_err();
    assert!(!error.is_retryable());
    let text = error.to_string();
    assert!(text.contains(&campaign.to_string()), "{text}");
    let CommandError::Refused(Rejection::InUse { users, .. }) = error else {
        panic!("{text}");
    };
    assert_eq!(users, [CatalogUser::Campaign(campaign)]);
}

#[tokio::test]
async fn t4_what_a_campaign_uses_is_not_deleted_and_is_afterwards_over_a_restart() {
    let log = MemoryStore::new(Uuid::new_v4());
    let holding = hub(Play::Holds);
    let engine = engine_on(&log, &holding).await;
    engine.declare(catalog()).await.unwrap();
    let new = pilot().start(Start::ByHand);
    let campaign = engine.create_campaign(new.clone()).await.unwrap();
    let id = campaign.id();
    refused(engine.delete(image()).await, id);
    refused(engine.delete(channel()).await, id);
    engine.shutdown().await.unwrap();

    let engine = engine_on(&log, &holding).await;
    // At once: it waits until the log has been read.
    refused(engine.delete(image()).await, id);
    refused(engine.delete(channel()).await, id);
    let campaign = engine.campaign(id).await.unwrap();
    campaign.start().await.unwrap();
    let mut progress = campaign.watch();
    while within(progress.next()).await.unwrap().counts.in_progress < 5 {}
    // It has started: the Channel may go, the image not.
    refused(engine.delete(image()).await, id);
    engine.delete(channel()).by("ada").await.unwrap();
    engine
        .delete("pilot".parse::<GroupId>().unwrap())
        .await
        .unwrap();
    engine.shutdown().await.unwrap();

    let updating = hub(Play::Updates);
    updating.adopt(&holding);
    let engine = engine_on(&log, &updating).await;
    refused(engine.delete(image()).await, id);
    let campaign = engine.campaign(id).await.unwrap();
    let end = within(campaign.finished()).await.unwrap();
    assert_eq!(
        end.counts.successful, 20,
        "it has its own copy of all: {end}"
    );
    engine.delete(image()).await.unwrap();
    engine
        .delete("gateway-os".parse::<CollectionId>().unwrap())
        .await
        .unwrap();
    engine
        .delete("gateway-g2".parse::<SystemModelId>().unwrap())
        .await
        .unwrap();
    engine.shutdown().await.unwrap();

    let engine = engine_on(&log, &updating).await;
    let left = engine.catalog().await.unwrap();
    let left = serde_json::to_value(&left).unwrap();
    let none = serde_json::json!({
        "systemModels": {}, "collections": {}, "baseImages": {}, "groups": {}, "channels": {},
    });
    assert_eq!(left, none);
    // K2: what exists is answered with, though what it was made of is gone; anything new is not made.
    let again = engine.create_campaign(new.clone()).await.unwrap();
    assert_eq!(again.id(), id);
    let other = engine.create_campaign(new.clone().start(Start::Now)).await;
    assert_eq!(
        other.unwrap_err(),
        CommandError::Refused(Rejection::Exists {
            stream: StreamId::Campaign(id)
        })
    );
    let other = engine
        .create_campaign(new.id(CampaignId::from_name("other")))
        .await;
    assert!(matches!(other, Err(CommandError::Invalid(_))));
}

#[tokio::test]
async fn t4_a_cancelled_campaign_holds_its_image_until_it_is_drained() {
    let hub = hub(Play::Holds);
    let engine = engine_in_memory(&hub).await;
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let mut progress = campaign.watch();
    while within(progress.next()).await.unwrap().counts.in_progress < 5 {}
    refused(engine.delete(image()).await, campaign.id());
    campaign.cancel().await.unwrap();
    within(campaign.finished()).await.unwrap();
    engine.delete(image()).await.unwrap();
}

#[tokio::test]
async fn t4_a_campaign_that_was_edited_or_deleted_lets_go() {
    let engine = engine_in_memory(&hub(Play::Holds)).await;
    let artifact = Artifact::new("http://127.0.0.1/gw.bin", 65_536, Sha256([8; 32]));
    let more = catalog()
        .base_image("gateway-os@1.5.0", artifact)
        .channel("all", &["pilot"]);
    engine.declare(more).await.unwrap();
    let by_hand = |image: &str, channel: &str| {
        let [image, channel] = [image, channel];
        sortie::NewCampaign::new("Pilot", image.parse().unwrap(), channel.parse().unwrap())
            .mechanism(
                sortie::Push::new()
                    .max_in_progress_operations(1)
                    .max_failure_percentage(0.0),
            )
            .start(Start::ByHand)
    };
    let campaign = engine
        .create_campaign(by_hand("gateway-os@1.4.0", "pilot"))
        .await
        .unwrap();
    campaign
        .edit(by_hand("gateway-os@1.5.0", "all"))
        .await
        .unwrap();
    engine.delete(image()).await.unwrap();
    engine.delete(channel()).await.unwrap();
    let image: BaseImageId = "gateway-os@1.5.0".parse().unwrap();
    refused(engine.delete(image.clone()).await, campaign.id());
    campaign.delete().await.unwrap();
    engine.delete(image).await.unwrap();
}

#[tokio::test]
async fn t4_whoever_comes_first_wins_between_a_creation_and_a_deletion() {
    let engine = engine_in_memory(&hub(Play::Holds)).await;
    engine.declare(catalog()).await.unwrap();
    let by_hand = |name: &str| pilot().start(Start::ByHand).id(CampaignId::from_name(name));
    // Given without waiting for the answers, in this order; the first is not durable yet.
    let (created, deleted) = within(async {
        tokio::join!(
            engine.create_campaign(by_hand("a")).into_future(),
            engine.delete(image()).into_future(),
        )
    })
    .await;
    let campaign = created.unwrap();
    refused(deleted, campaign.id());
    campaign.delete().await.unwrap();
    let (deleted, created) = within(async {
        tokio::join!(
            engine.delete(image()).into_future(),
            engine.create_campaign(by_hand("b")).into_future(),
        )
    })
    .await;
    deleted.unwrap();
    let CommandError::Invalid(invalid) = created.unwrap_err() else {
        panic!("it was made of what is gone");
    };
    assert_eq!(invalid.0[0].field, "base_image");
}

#[tokio::test]
async fn k1_the_same_deletion_again_gets_the_first_answer_over_a_restart() {
    let log = MemoryStore::new(Uuid::new_v4());
    let hub = hub(Play::Updates);
    let engine = engine_on(&log, &hub).await;
    engine.declare(catalog()).await.unwrap();
    let click = CommandId::from_name("click");
    engine.delete(channel()).id(click).await.unwrap();
    engine.delete(channel()).id(click).await.unwrap();
    let gone = CommandError::NotFound("channel pilot".into());
    assert_eq!(engine.delete(channel()).await.unwrap_err(), gone);
    // Declared again meanwhile: the repeat deletes nothing.
    assert_eq!(engine.declare(catalog()).await.unwrap(), 1);
    engine.delete(channel()).id(click).await.unwrap();
    assert!(
        engine
            .catalog()
            .await
            .unwrap()
            .channels()
            .contains_key(&channel())
    );
    engine.shutdown().await.unwrap();
    let engine = engine_on(&log, &hub).await;
    engine.delete(channel()).id(click).await.unwrap();
    assert!(
        engine
            .catalog()
            .await
            .unwrap()
            .channels()
            .contains_key(&channel())
    );
}

#[tokio::test]
async fn t4_an_edit_reaches_only_campaigns_that_have_not_started() {
    let hub = hub(Play::Holds);
    let engine = engine_in_memory(&hub).await;
    engine.declare(catalog()).await.unwrap();
    let [running, waiting] = ["running", "waiting"].map(CampaignId::from_name);
    let running = engine.create_campaign(pilot().id(running)).await.unwrap();
    let mut progress = running.watch();
    while within(progress.next()).await.unwrap().counts.in_progress < 5 {}
    let waiting = pilot().id(waiting).start(Start::ByHand);
    let waiting = engine.create_campaign(waiting).await.unwrap();

    // Another URL, a requirement that no device meets, and a Group of one device.
    let artifact = Artifact::new("http://127.0.0.1/moved.bin", 65_536, Sha256([7; 32]));
    let image = NewBaseImage::new("gateway-os@1.4.0", artifact)
        .starting_version_requirement(">= 9.0.0")
        .display_name("en", "Gateway 1.4");
    let edited = Catalog::new()
        .collection("gateway-os", "gateway-g2")
        .with(image)
        .group("pilot", r#""pilot" in tags"#)
        .group_of("one", &["gw-0003"])
        .channel("pilot", &["one"]);
    assert_eq!(engine.declare(edited).await.unwrap(), 3);
    assert_eq!(running.progress().counts.targets, 20);

    running.cancel().await.unwrap();
    let end = within(running.finished()).await.unwrap();
    assert_eq!(
        (end.counts.targets, end.counts.failed),
        (20, 5),
        "five were pushed, by the old rule"
    );
    waiting.start().await.unwrap();
    let end = within(waiting.finished()).await.unwrap();
    assert_eq!((end.counts.targets, end.counts.failed), (1, 1), "{end}");
    let all = sortie::TargetFilter::new();
    let rows = waiting.targets(&all, None, 2).await.unwrap().rows;
    assert_eq!(rows[0].device.as_str(), "gw-0003");
    let unmet = sortie::TargetReason::VersionRequirementNotMatched;
    assert_eq!(rows[0].reason, Some(unmet));
}

#[tokio::test]
async fn the_catalog_is_shown_as_it_is_committed_and_a_preview_sees_the_same() {
    let engine = engine_in_memory(&hub(Play::Updates)).await;
    assert!(engine.catalog().await.unwrap().channels().is_empty());
    let more = catalog()
        .with(
            NewSystemModel::new("gateway-g2")
                .name("Gateway")
                .part_number("GW-2"),
        )
        .with(NewChannel::new("named", &["pilot"]).name("For all to see"));
    engine.declare(more).await.unwrap();
    let catalog = engine.catalog().await.unwrap();
    let json = serde_json::to_value(&catalog).unwrap();
    assert_eq!(
        json["systemModels"]["gateway-g2"]["partNumbers"][0], "GW-2",
        "{json}"
    );
    assert_eq!(
        json["baseImages"]["gateway-os@1.4.0"]["artifact"]["size"],
        65_536
    );
    assert_eq!(json["channels"]["named"]["name"], "For all to see");
    assert_eq!(engine.preview(&pilot()).await.unwrap().targets, 20);
    engine.delete(channel()).await.unwrap();
    let error = engine.preview(&pilot()).await.unwrap_err();
    assert_eq!(error.to_string(), "channel: there is no channel pilot");
}
