//! Crashes at many points: what is promised holds, as the devices see it.

use std::time::Duration;

use sortie::{
    CampaignOutcome, CommandError, Fatal, QueryError, Stopped,
    testing::{Bed, Play},
};

use crate::{add, my_app};

/// The limit as the fleet saw it, and what each device did.
#[track_caller]
fn holds(bed: &Bed, what: &str) {
    let most = bed.fleet().most_at_once();
    assert!(most <= 10, "{what}: {most} at once");
    for device in bed.fleet().devices() {
        for seen in bed.fleet().operations_of(&device) {
            assert_eq!(seen.begun, 1, "{what}: {device} began {seen:?} again");
        }
    }
}

#[tokio::test]
async fn wherever_the_engine_crashes_every_device_is_updated_once_and_the_limit_holds() {
    for seed in 0..4 {
        for cut in (0..600).step_by(40) {
            let what = format!("seed {seed}, cut at {cut} s");
            let mut bed = Bed::start(seed).await.unwrap();
            add(&bed, 25);
            bed.fleet()
                .on_update(|_| Play::Succeeds(Duration::from_mins(3)));
            let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
            // A moment that is not the same in all.
            let moment = Duration::from_millis(cut * 1_000 + seed * 7 + cut % 11);
            bed.run_for(moment).await;
            bed.crash_and_restart().await.unwrap();
            let campaign = bed.engine().campaign(campaign.id()).await.unwrap();
            let end = bed.run(campaign.finished()).await.unwrap();
            assert_eq!(end.outcome, Some(CampaignOutcome::Success), "{what}");
            assert_eq!((end.successful, end.failed), (25, 0), "{what}: {end}");
            assert_eq!(bed.fleet().operations_seen(), 25, "{what}");
            holds(&bed, &what);
        }
    }
}

#[tokio::test]
async fn an_append_that_is_in_doubt_is_neither_lost_nor_done_twice() {
    let [mut happened, mut lost] = [0; 2];
    for seed in 0..10 {
        let what = format!("seed {seed}");
        let mut bed = Bed::start(seed).await.unwrap();
        add(&bed, 25);
        bed.fleet()
            .on_update(|_| Play::Succeeds(Duration::from_mins(3)));
        let id = bed.run(my_app::roll_out(bed.engine())).await.unwrap().id();
        for crash in 0..6 {
            bed.run_for(Duration::from_secs(crash * 7)).await;
            let before = recorded(&bed);
            bed.crash_in_append().await;
            let is_there = recorded(&bed) > before;
            *(if is_there { &mut happened } else { &mut lost }) += 1;
            bed.run_for(Duration::from_secs(crash * 3)).await;
            bed.restart().await.unwrap();
        }
        let campaign = bed.engine().campaign(id).await.unwrap();
        let end = bed.run(campaign.finished()).await.unwrap();
        assert_eq!(end.successful, 25, "{what}: {end}");
        holds(&bed, &what);
    }
    assert!(
        happened > 10 && lost > 10,
        "{happened} happened, {lost} lost"
    );
}

/// How many commits the log has.
fn recorded(bed: &Bed) -> usize {
    let streams = bed.log().streams_now().into_iter();
    let commits = streams.map(|stream| bed.log().read_now(stream, 0, usize::MAX).commits.len());
    commits.sum()
}

#[tokio::test]
async fn a_bad_image_harms_no_more_devices_when_the_engine_crashes_over_and_over() {
    for seed in 0..10 {
        let what = format!("seed {seed}");
        let mut bed = Bed::start(seed).await.unwrap();
        add(&bed, 100);
        bed.fleet()
            .on_update(|_| Play::RollsBack(Duration::from_mins(4)));
        let id = bed.run(my_app::roll_out(bed.engine())).await.unwrap().id();
        for _ in 0..8 {
            bed.run_for(Duration::from_secs(37)).await;
            bed.crash_and_restart().await.unwrap();
        }
        let campaign = bed.engine().campaign(id).await.unwrap();
        let end = bed.run(campaign.finished()).await.unwrap();
        assert_eq!(end.outcome, Some(CampaignOutcome::Failure), "{what}");
        assert!((6..=15).contains(&end.failed), "{what}: {end}");
        assert_eq!(bed.fleet().operations_seen(), end.failed, "{what}");
        holds(&bed, &what);
    }
}

#[tokio::test]
async fn handles_from_before_the_crash_answer_stopped_and_none_hangs() {
    let mut bed = Bed::start(5).await.unwrap();
    add(&bed, 5);
    let before = bed.engine();
    let campaign = bed.run(my_app::roll_out(before.clone())).await.unwrap();
    let mut watch = campaign.watch();
    assert!(watch.next().await.is_some());
    bed.crash_and_restart().await.unwrap();
    let gone = Stopped::Fatal(Fatal::Dropped);
    assert_eq!(before.stopped().await, gone);
    let error = campaign.finished().await.unwrap_err();
    assert_eq!(error, QueryError::Stopped(gone.clone()));
    let error = campaign.pause().await.unwrap_err();
    assert_eq!(error, CommandError::Stopped(gone));
    while watch.next().await.is_some() {}
    // The new one answers without time having to pass.
    let again = bed.engine().campaign(campaign.id()).await.unwrap();
    again.pause().await.unwrap();
    again.resume().await.unwrap();
    bed.run(again.finished()).await.unwrap();
}
