//! What waits for an answer, how long, and how many may.

use sortie::{
    CampaignHandle, CampaignId, CommandError, CommandId, Engine, MemoryInventory, QueryError,
    Start, Store, StreamId, TargetFilter,
};

use crate::{
    catalog, devices,
    hub::{Hub, Play},
    log::Gated,
    pilot, within,
};

/// An engine on the log, with a catalog and 20 devices that all do the same.
pub(crate) async fn engine_on(log: &Gated, play: Play) -> Engine {
    let inventory = MemoryInventory::new();
    inventory.put(devices(20));
    let hub = Hub::new();
    hub.add(&devices(20), "1.3.0", play);
    let store = Store::new(log.clone()).with_devices(inventory);
    let builder = Engine::builder().store(store).transport(hub);
    let engine = builder.start().await.unwrap();
    engine.declare(catalog()).await.unwrap();
    engine
}

/// A campaign with five operations under way, of devices that say nothing until they are cancelled.
pub(crate) async fn campaign_on(log: &Gated) -> (Engine, CampaignHandle) {
    let engine = engine_on(log, Play::Holds).await;
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    let mut progress = campaign.watch();
    while within(progress.next()).await.unwrap().counts.in_progress < 5 {}
    (engine, campaign)
}

#[tokio::test(start_paused = true)]
async fn a_command_without_an_answer_for_30_s_is_unknown_and_its_repeat_gets_the_answer() {
    let log = Gated::open();
    let (engine, campaign) = campaign_on(&log).await;
    log.shut();
    let click = CommandId::from_name("click");
    let before = tokio::time::Instant::now();
    let error = within(campaign.pause().id(click).into_future())
        .await
        .unwrap_err();
    assert!(
        matches!(error, CommandError::Unknown(_)) && error.is_retryable(),
        "{error}"
    );
    assert_eq!(before.elapsed().as_secs(), 30);
    // A question waits for the append, and no longer than that.
    let error = within(campaign.summary()).await.unwrap_err();
    assert!(matches!(error, QueryError::Unavailable(_)), "{error}");
    let health = engine.health().await;
    assert!(health.store.appending_since.is_some(), "{health}");
    assert_eq!(health.commands_waiting, 1);

    log.reopen();
    within(campaign.pause().id(click).into_future())
        .await
        .unwrap();
    assert_eq!(campaign.progress().status, sortie::CampaignStatus::Pausing);
    assert!(engine.health().await.is_good());
}

#[tokio::test]
async fn with_too_many_commands_waiting_the_next_is_told_busy_and_nothing_is_lost() {
    let log = Gated::open();
    let (engine, campaign) = campaign_on(&log).await;
    log.shut();
    let waiting: Vec<_> = (0..1_024)
        .map(|_| tokio::spawn(campaign.pause().into_future()))
        .collect();
    within(async { while engine.health().await.commands_waiting < 1_024 {} }).await;
    let busy = within(campaign.resume().into_future()).await;
    assert_eq!(busy, Err(CommandError::Busy));
    assert!(CommandError::Busy.is_retryable());
    // One who stops waiting makes no room: what he asked for is under way still.
    let mut waiting = waiting.into_iter();
    waiting.next().unwrap().abort();
    tokio::task::yield_now().await;
    assert_eq!(
        within(campaign.resume().into_future()).await,
        Err(CommandError::Busy)
    );
    log.reopen();
    let mut answers = vec![];
    for waiting in waiting {
        answers.push(within(waiting).await.unwrap());
    }
    let refused = answers
        .iter()
        .filter(|answer| matches!(answer, Err(CommandError::Refused(_))));
    assert_eq!(refused.count(), 1_023, "the aborted one was first");
    within(campaign.resume().into_future()).await.unwrap();
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn with_the_log_away_commands_are_unavailable_at_once_and_it_goes_on_when_it_is_back() {
    let log = Gated::open();
    let (engine, campaign) = campaign_on(&log).await;
    log.away(true);
    let mut progress = campaign.watch();
    let first = tokio::spawn(campaign.pause().into_future());
    let halted = loop {
        let now = within(progress.next()).await.unwrap();
        if let Some(why) = now.halted {
            break why;
        }
    };
    assert!(halted.contains("pulled"), "{halted}");
    let error = within(campaign.resume().into_future()).await.unwrap_err();
    assert!(
        matches!(&error, CommandError::Unavailable(why) if why.contains("pulled")),
        "{error}"
    );
    assert!(error.is_retryable());
    let error = within(campaign.summary()).await.unwrap_err();
    assert!(
        matches!(&error, QueryError::Unavailable(why) if why.contains("pulled")),
        "{error}"
    );
    assert_eq!(
        campaign.progress().counts.in_progress,
        5,
        "as it was committed last"
    );
    let health = engine.health().await;
    assert!(
        !health.store.up && health.to_string().contains("store away for 0 s"),
        "{health}"
    );

    log.away(false);
    // The command that was under way is carried out after all.
    within(first).await.unwrap().unwrap();
    while within(progress.next()).await.unwrap().halted.is_some() {}
    within(campaign.resume().into_future()).await.unwrap();
    assert!(engine.health().await.store.up);
}

#[tokio::test]
async fn a_finished_campaigns_summary_is_at_hand_when_its_log_is_not() {
    let log = Gated::open();
    let engine = engine_on(&log, Play::Updates).await;
    let campaign = engine.create_campaign(pilot()).await.unwrap();
    within(campaign.finished()).await.unwrap();
    log.away(true);
    let summary = within(campaign.summary()).await.unwrap();
    assert_eq!(summary.iter().map(|row| row.count).sum::<usize>(), 20);
    let all = TargetFilter::new();
    let error = within(campaign.targets(&all, None, 1)).await.unwrap_err();
    assert!(matches!(error, QueryError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn what_is_halted_says_which_and_why_and_is_not_to_be_repeated() {
    let log = Gated::open();
    let (engine, campaign) = campaign_on(&log).await;
    log.breaks();
    let error = within(campaign.pause().into_future()).await.unwrap_err();
    let text = format!(
        "campaign {} is halted until a restart: too long a word",
        campaign.id()
    );
    assert_eq!(error.to_string(), text);
    assert!(!error.is_retryable(), "only a restart helps");
    let again = within(campaign.resume().into_future()).await.unwrap_err();
    assert_eq!(again, error);
    let question = within(campaign.summary()).await.unwrap_err();
    assert!(matches!(question, QueryError::Halted { .. }), "{question}");
    assert_eq!(question.to_string(), text);
    let health = engine.health().await;
    let stream = StreamId::Campaign(campaign.id());
    let line = format!("\nhalted: \"Pilot 1.4.0\" ({stream}): too long a word; a restart");
    assert!(health.to_string().contains(&line), "{health}");
    // The catalog is another stream, and is said to be one.
    let other = catalog().group("other", r#""other" in tags"#);
    let error = within(engine.declare(other).into_future()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("the catalog is halted until"), "{error}");
}

#[tokio::test]
async fn what_is_decided_during_an_append_goes_together_in_the_next() {
    let log = Gated::open();
    let (engine, _campaign) = campaign_on(&log).await;
    log.shut();
    let before = log.appends();
    let creating = |n: usize| {
        let id = CampaignId::from_name(&format!("campaign {n}"));
        let new = pilot().id(id).start(Start::ByHand);
        tokio::spawn(engine.create_campaign(new).into_future())
    };
    let first = creating(0);
    within(log.appends_after(before)).await;
    let others: Vec<_> = (1..=50).map(creating).collect();
    within(async { while engine.health().await.commands_waiting < 51 {} }).await;
    assert_eq!(
        log.appends(),
        before + 1,
        "the others wait for the one under way"
    );
    log.reopen();
    for created in others.into_iter().chain([first]) {
        within(created).await.unwrap().unwrap();
    }
    let calls = &log.batches()[before + 1..];
    assert!(calls.iter().any(|appends| *appends >= 50), "{calls:?}");
    assert!(
        calls.len() < 10,
        "a call for each of them would be 50 and more: {calls:?}"
    );
}
