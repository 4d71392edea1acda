//! Rules K and L as a caller meets them.

use sortie::{
    CampaignId, CampaignStatus, Catalog, CommandError, CommandId, NewCampaign, Push, QueryError,
    Rejection, Start, StreamId, TargetFilter,
};

use crate::{
    campaign::engine_in_memory,
    catalog, devices,
    hub::{Hub, Play},
    pilot, within,
};

fn holding_hub() -> Hub {
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Holds);
    hub
}

#[tokio::test]
async fn k1_the_same_command_again_gets_the_first_answer_and_acts_once() {
    let engine = engine_in_memory(&holding_hub()).await;
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let mut progress = campaign.watch();
    while within(progress.next()).await.unwrap().status != CampaignStatus::InProgress {}
    let click = CommandId::from_name("click 1");
    campaign.pause().by("ada").id(click).await.unwrap();
    campaign.resume().by("ada").await.unwrap();
    campaign.pause().by("ada").id(click).await.unwrap();
    assert_eq!(
        campaign.progress().status,
        CampaignStatus::InProgress,
        "it was resumed since"
    );
    let again = campaign.pause().id(CommandId::from_name("click 2")).await;
    again.unwrap();
    let third = campaign.pause().await;
    let refused = Rejection::WrongStatus {
        command: third_kind(),
        status: CampaignStatus::Pausing,
    };
    assert_eq!(third, Err(CommandError::Refused(refused)));
}

fn third_kind() -> sortie::CommandKind {
    sortie::CommandKind::Pause
}

#[tokio::test]
async fn k2_creating_twice_makes_one_campaign_and_other_content_is_refused() {
    let engine = engine_in_memory(&holding_hub()).await;
    engine.declare(catalog()).await.unwrap();
    let first = engine.create_campaign(pilot()).await.unwrap();
    let second = engine.create_campaign(pilot()).await.unwrap();
    assert_eq!(first.id(), second.id());
    let other = engine
        .create_campaign(pilot().start(Start::ByHand))
        .await
        .unwrap_err();
    let exists = Rejection::Exists {
        stream: StreamId::Campaign(first.id()),
    };
    assert_eq!(other, CommandError::Refused(exists));
    assert!(!other.is_retryable());
    assert_eq!(engine.campaigns().await.unwrap().len(), 1);
}

#[tokio::test]
async fn t4_declaring_the_same_again_writes_nothing() {
    let engine = engine_in_memory(&holding_hub()).await;
    assert_eq!(engine.declare(catalog()).await.unwrap(), 4);
    assert_eq!(engine.declare(catalog()).await.unwrap(), 0);
    let more = catalog().channel("all", &["pilot"]);
    assert_eq!(engine.declare(more).await.unwrap(), 1);
}

#[tokio::test]
async fn s3_all_that_is_wrong_is_said_at_once_by_field() {
    let engine = engine_in_memory(&holding_hub()).await;
    let bad = NewCampaign::new(" ", "none@1.0.0".parse().unwrap(), "none".parse().unwrap())
        .mechanism(Push::new().max_in_progress_operations(0));
    let fields = |error: CommandError| {
        let CommandError::Invalid(invalid) = error else {
            panic!("{error}");
        };
        let fields = invalid.0.into_iter().map(|error| error.field);
        fields.collect::<Vec<_>>()
    };
    let expected = [
        "name",
        "max_in_progress_operations",
        "max_failure_percentage",
        "base_image",
        "channel",
    ];
    assert_eq!(fields(engine.preview(&bad).await.unwrap_err()), expected);
    assert_eq!(
        fields(engine.create_campaign(bad).await.unwrap_err()),
        expected
    );
    let catalog = Catalog::new()
        .collection("a b", "m")
        .channel("c", &["none"]);
    let errors = fields(engine.declare(catalog).await.unwrap_err());
    assert_eq!(errors, ["collections.a b", "channels.c.groups"]);
}

#[tokio::test]
async fn s1_a_campaign_that_starts_by_hand_waits_and_can_be_deleted_until_then() {
    let engine = engine_in_memory(&holding_hub()).await;
    engine.declare(catalog()).await.unwrap();
    let waits = engine
        .create_campaign(pilot().start(Start::ByHand))
        .await
        .unwrap();
    assert_eq!(waits.progress().status, CampaignStatus::Idle);
    let mut progress = waits.watch();
    waits.start().await.unwrap();
    while within(progress.next()).await.unwrap().status != CampaignStatus::InProgress {}
    assert!(matches!(
        waits.delete().await,
        Err(CommandError::Refused(_))
    ));

    let id = CampaignId::from_name("another");
    let another = pilot().id(id).start(Start::ByHand);
    let another = engine.create_campaign(another).await.unwrap();
    let mut progress = another.watch();
    another.delete().await.unwrap();
    within(async { while progress.next().await.is_some() {} }).await;
    let gone = QueryError::NotFound(format!("campaign {id}"));
    assert_eq!(engine.campaign(id).await.unwrap_err(), gone);
    assert_eq!(
        another
            .targets(&TargetFilter::new(), None, 1)
            .await
            .unwrap_err(),
        gone
    );
    assert_eq!(within(another.finished()).await.unwrap_err(), gone);
    let gone = CommandError::NotFound(format!("campaign {id}"));
    assert_eq!(another.pause().await.unwrap_err(), gone);
}

#[tokio::test]
async fn l1_an_edit_before_the_start_is_validated_like_a_creation() {
    let engine = engine_in_memory(&holding_hub()).await;
    engine.declare(catalog()).await.unwrap();
    let by_hand = pilot().start(Start::ByHand);
    let campaign = engine.create_campaign(by_hand.clone()).await.unwrap();
    let push = |limit| {
        Push::new()
            .max_in_progress_operations(limit)
            .max_failure_percentage(5.0)
    };
    let refused = campaign.edit(by_hand.clone().mechanism(push(0))).await;
    assert!(matches!(refused, Err(CommandError::Invalid(_))));
    campaign
        .edit(by_hand.clone().mechanism(push(7)))
        .await
        .unwrap();
    let mut progress = campaign.watch();
    campaign.start().await.unwrap();
    let running = loop {
        let now = within(progress.next()).await.unwrap();
        if now.counts.in_progress > 0 {
            break now;
        }
    };
    assert_eq!((running.limit, running.counts.in_progress), (7, 7));
    let late = campaign.edit(by_hand).await;
    assert!(matches!(late, Err(CommandError::Refused(_))));
}

#[tokio::test]
async fn x2_a_cancelled_operation_ends_by_its_devices_word() {
    let hub = holding_hub();
    let engine = engine_in_memory(&hub).await;
    engine.declare(catalog()).await.unwrap();
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let mut progress = campaign.watch();
    while within(progress.next()).await.unwrap().counts.in_progress < 5 {}
    let rows = campaign
        .targets(&TargetFilter::new(), None, 20)
        .await
        .unwrap()
        .rows;
    let under_way = rows.iter().find(|row| row.operation.is_some()).unwrap();
    campaign
        .cancel_operation(&under_way.device)
        .by("ada")
        .await
        .unwrap();
    while within(progress.next()).await.unwrap().counts.failed < 1 {}
    let row = campaign.target(&under_way.device).await.unwrap();
    assert_eq!(row.reason, Some(sortie::TargetReason::Canceled));
    let ended = campaign.cancel_operation(&under_way.device).await;
    assert!(matches!(
        ended,
        Err(CommandError::Refused(Rejection::NothingUnderWay { .. }))
    ));
    let stranger = "gw-9999".parse().unwrap();
    let unknown = campaign.cancel_operation(&stranger).await;
    assert!(matches!(unknown, Err(CommandError::NotFound(what)) if what.contains("gw-9999")));

    campaign.cancel().await.unwrap();
    let end = within(campaign.finished()).await.unwrap();
    assert_eq!(end.outcome, Some(sortie::CampaignOutcome::Cancelled));
    assert_eq!((end.counts.in_progress, end.draining), (0, 0));
}

#[tokio::test]
async fn a_campaign_that_was_never_created_is_not_found() {
    let engine = engine_in_memory(&holding_hub()).await;
    let id = CampaignId::from_name("never");
    let gone = QueryError::NotFound(format!("campaign {id}"));
    assert_eq!(engine.campaign(id).await.unwrap_err(), gone);
    // Whoever was refused a creation has made nothing that could be found.
    engine.create_campaign(pilot().id(id)).await.unwrap_err();
    assert_eq!(engine.campaign(id).await.unwrap_err(), gone);
    assert!(engine.campaigns().await.unwrap().is_empty());
}

#[test]
fn handles_may_be_awaited_on_any_executor() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", Play::Updates);
    let engine = runtime.block_on(engine_in_memory(&hub));
    // This thread belongs to no runtime.
    let end = crate::starts::block_on(async {
        engine.declare(catalog()).await.unwrap();
        let campaign = engine.create_campaign(pilot()).await.unwrap();
        let mut watch = campaign.watch();
        while watch.next().await.is_some() {}
        engine.health().await;
        let end = campaign.finished().await.unwrap();
        engine.shutdown().await.unwrap();
        end
    });
    assert_eq!(end.counts.successful, 20);
}
