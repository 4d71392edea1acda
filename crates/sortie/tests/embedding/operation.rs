//! One operation as a caller follows it, also while the log is away.

use futures_util::FutureExt;
use sortie::{
    CampaignHandle, DeviceId, Engine, OperationHandle, QueryError, Stopped, TargetReason,
    TargetStatus,
};

use crate::{ask::campaign_on, log::Gated, within};

/// The first of five operations under way.
async fn under_way(log: &Gated) -> (Engine, CampaignHandle, OperationHandle) {
    let (engine, campaign) = campaign_on(log).await;
    let operation = campaign.operation(&gateway(0)).await.unwrap();
    (engine, campaign, operation)
}

fn gateway(n: usize) -> DeviceId {
    DeviceId::new(&format!("gw-{n:04}")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_ends_no_wait_for_an_operation() {
    let log = Gated::open();
    let (_engine, campaign, operation) = under_way(&log).await;
    let waiting = tokio::spawn(async move { operation.finished().await });
    let mut progress = campaign.watch();
    log.away(true);
    within(campaign.pause().into_future()).await.unwrap_err();
    while within(progress.next()).await.unwrap().halted.is_none() {}
    // Asked while it is away.
    let early = within(campaign.operation(&gateway(0))).await.unwrap_err();
    assert!(matches!(early, QueryError::Unavailable(_)), "{early}");
    tokio::time::sleep(std::time::Duration::from_mins(2)).await;
    assert!(!waiting.is_finished());

    log.away(false);
    while within(progress.next()).await.unwrap().halted.is_some() {}
    campaign.cancel_operation(&gateway(0)).await.unwrap();
    let row = within(waiting).await.unwrap().unwrap();
    assert_eq!(row.reason, Some(TargetReason::Canceled));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_begins_while_an_append_hangs_ends_with_the_operation() {
    let log = Gated::open();
    let (_engine, campaign, operation) = under_way(&log).await;
    log.shut();
    let before = log.appends();
    let cancel = campaign.cancel_operation(&gateway(0)).into_future();
    let cancel = tokio::spawn(cancel);
    within(log.appends_after(before)).await;
    let waiting = tokio::spawn(async move { operation.finished().await });
    tokio::time::sleep(std::time::Duration::from_mins(2)).await;
    assert!(!waiting.is_finished());
    log.reopen();
    // Its answer had become late.
    within(cancel).await.unwrap().unwrap_err();
    let row = within(waiting).await.unwrap().unwrap();
    assert_eq!(row.reason, Some(TargetReason::Canceled));
}

#[tokio::test]
async fn a_watch_shows_each_change_of_its_operation_and_ends_with_it() {
    let (_engine, campaign, operation) = under_way(&Gated::open()).await;
    assert_eq!(operation.manual_id(), None);
    let mut watch = operation.watch();
    let first = within(watch.next()).await.unwrap();
    assert_eq!(first.status, TargetStatus::InProgress);
    assert_eq!(first, operation.target().await.unwrap());
    // What becomes of the others is none of it, though it is a commit of the same campaign.
    campaign.cancel_operation(&gateway(1)).await.unwrap();
    let other = campaign.operation(&gateway(1)).await.unwrap();
    within(other.finished()).await.unwrap();
    campaign.cancel_operation(&gateway(0)).await.unwrap();
    // A future that is dropped while it asks loses nothing.
    assert!(watch.next().now_or_never().is_none());
    let mut rows = vec![];
    while let Some(row) = within(watch.next()).await {
        rows.push((row.status, row.cancelling));
    }
    rows.retain(|row| *row != (TargetStatus::InProgress, true));
    assert_eq!(rows, [(TargetStatus::Failed, false)]);
    assert!(within(watch.next()).await.is_none());
}

#[tokio::test]
async fn the_wait_for_a_target_that_was_never_tried_ends_with_its_campaign() {
    let (_engine, campaign, _) = under_way(&Gated::open()).await;
    let idle = campaign.operation(&gateway(19)).await.unwrap();
    let waiting = tokio::spawn(async move { idle.finished().await });
    campaign.cancel().await.unwrap();
    let row = within(waiting).await.unwrap().unwrap();
    assert_eq!((row.status, row.operation), (TargetStatus::Idle, None));
    let mut watch = campaign.operation(&gateway(19)).await.unwrap().watch();
    assert!(within(watch.next()).await.is_some());
    assert!(within(watch.next()).await.is_none());
}

#[tokio::test]
async fn a_watch_ends_with_the_engine_and_a_wait_says_why() {
    let (engine, _, operation) = under_way(&Gated::open()).await;
    let mut watch = operation.watch();
    within(watch.next()).await.unwrap();
    let waiting = tokio::spawn(async move { operation.finished().await });
    engine.shutdown().await.unwrap();
    assert!(within(watch.next()).await.is_none());
    let why = QueryError::Stopped(Stopped::Asked);
    assert_eq!(within(waiting).await.unwrap(), Err(why));
}

#[tokio::test]
async fn more_may_wait_for_their_operations_than_may_ask_at_once() {
    let (_engine, campaign, operation) = under_way(&Gated::open()).await;
    let waits = (0..3_000).map(|_| {
        let operation = operation.clone();
        tokio::spawn(async move { operation.finished().await })
    });
    let waits: Vec<_> = waits.collect();
    tokio::task::yield_now().await;
    campaign.cancel_operation(&gateway(0)).await.unwrap();
    for wait in waits {
        let row = within(wait).await.unwrap().unwrap();
        assert_eq!(row.reason, Some(TargetReason::Canceled));
    }
}

#[tokio::test]
async fn a_campaigns_watch_shows_no_progress_twice() {
    let (_engine, campaign, operation) = under_way(&Gated::open()).await;
    let mut watch = campaign.watch();
    let shown = tokio::spawn(async move {
        let mut shown = vec![];
        while let Some(progress) = watch.next().await {
            shown.push(progress);
        }
        shown
    });
    tokio::task::yield_now().await;
    // Each is committed, and no counter changes by it.
    for device in 0..5 {
        campaign.cancel_operation(&gateway(device)).await.unwrap();
    }
    within(operation.finished()).await.unwrap();
    campaign.cancel().await.unwrap();
    let shown = within(shown).await.unwrap();
    let twice = shown.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None);
}
