//! Each play leads to the end that the rules say.

use std::time::Duration;

use sortie::{
    CampaignOutcome, Progress, StatusCode, TargetReason, Wait,
    testing::{Bed, Play},
};

use crate::{add, my_app};

const MINUTE: Duration = Duration::from_mins(1);

/// One device that plays this; the end of its campaign, why its target ended, and the bed.
async fn one(play: Play) -> (Progress, Option<TargetReason>, Bed) {
    let mut bed = Bed::start(1).await.unwrap();
    add(&bed, 1);
    bed.fleet().on_update(move |_| play.clone());
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    let end = bed.run(campaign.finished()).await.unwrap();
    let device = "gw-0001".parse().unwrap();
    let row = bed.run(campaign.target(&device)).await.unwrap();
    (end, row.reason, bed)
}

#[tokio::test]
async fn r3_one_that_succeeds_runs_the_new_version_when_it_says_so() {
    let (end, why, bed) = one(Play::Succeeds(4 * MINUTE)).await;
    assert_eq!((end.successful, why), (1, Some(TargetReason::Updated)));
    assert_eq!(bed.fleet().version_of("gw-0001"), "1.4.0");
    let late = bed.now().checked_sub(4 * MINUTE).unwrap();
    assert!(late < Duration::from_secs(1), "{late:?}");
}

#[tokio::test]
async fn r3_one_that_rolls_back_fails_by_its_own_word_and_runs_what_it_ran() {
    let (end, why, bed) = one(Play::RollsBack(4 * MINUTE)).await;
    assert_eq!(end.outcome, Some(CampaignOutcome::Failure));
    assert_eq!((end.failed, why), (1, Some(TargetReason::SystemRollback)));
    assert_eq!(bed.fleet().version_of("gw-0001"), "1.3.0");
}

#[tokio::test]
async fn r3_one_that_fails_says_why_and_changes_nothing() {
    let play = Play::Fails {
        code: StatusCode::NetworkError,
        after: MINUTE,
    };
    let (end, why, bed) = one(play).await;
    assert_eq!((end.failed, why), (1, Some(TargetReason::NetworkError)));
    assert_eq!(bed.fleet().version_of("gw-0001"), "1.3.0");
}

#[tokio::test]
async fn r4_one_that_is_busy_is_asked_again_ten_times_with_backoff() {
    let (end, why, bed) = one(Play::Busy).await;
    assert_eq!((end.failed, why), (1, Some(TargetReason::DeviceBusy)));
    assert_eq!(bed.fleet().operations_seen(), 11);
    // 1, 2, 4, 8, 16 and five times 30 minutes, each at most a tenth longer.
    let minutes = bed.now().as_secs() / 60;
    assert!((180..=205).contains(&minutes), "{minutes}");
}

#[tokio::test]
async fn p4_one_that_is_silent_is_asked_again_three_times_and_then_given_up() {
    let (end, why, bed) = one(Play::Silent).await;
    assert_eq!((end.failed, why), (1, Some(TargetReason::RequestTimeout)));
    assert_eq!((end.abandoned, bed.fleet().operations_seen()), (1, 1));
    // The link's settling, and four times `request_timeout`.
    let seconds = bed.now().as_secs();
    assert!((1_255..=1_265).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn o4_after_the_campaign_an_abandoned_target_still_waits_for_its_device_s_word() {
    let (end, _, mut bed) = one(Play::GoesDark { after: MINUTE }).await;
    assert!(end.is_over());
    let device = "gw-0001".parse().unwrap();
    let engine = bed.engine();
    let explain = || engine.explain(end.campaign, &device);
    let story = bed.run(explain()).await.unwrap();
    let waits = story.waiting.unwrap().waits;
    assert!(matches!(waits[..], [Wait::LateWord { .. }]), "{waits:?}");
    bed.fleet().go_on("gw-0001", Play::Succeeds(MINUTE));
    bed.fleet().online("gw-0001");
    bed.run_for(2 * MINUTE).await;
    let story = bed.run(explain()).await.unwrap();
    assert_eq!(story.waiting, None, "R5");
}

#[tokio::test]
async fn c3_one_that_stalls_is_given_up_after_the_stage_timeout_and_does_stop() {
    let (end, why, mut bed) = one(Play::Stalls).await;
    assert_eq!((end.failed, why), (1, Some(TargetReason::Stalled)));
    bed.run_for(MINUTE).await;
    let seen = bed.fleet().operations_of("gw-0001");
    let result = seen[0].result.as_ref().unwrap();
    assert_eq!(result.code, Some(StatusCode::Canceled), "A5");
}

#[tokio::test]
async fn c3_one_that_says_more_now_and_then_is_not_given_up() {
    let play = |every| Play::Slow {
        download: Duration::from_hours(8),
        every,
    };
    let (end, why, _) = one(play(Duration::from_mins(20))).await;
    assert_eq!((end.successful, why), (1, Some(TargetReason::Updated)));
    // Without a word within the stage timeout it is.
    let (end, why, _) = one(play(Duration::from_hours(2))).await;
    assert_eq!((end.failed, why), (1, Some(TargetReason::Stalled)));
}

#[tokio::test]
async fn c3_one_that_goes_dark_is_given_up_and_its_late_success_changes_nothing() {
    let play = Play::GoesDark { after: MINUTE };
    let (end, why, mut bed) = one(play).await;
    assert_eq!((end.failed, why), (1, Some(TargetReason::Stalled)));
    assert!(!bed.fleet().is_online("gw-0001"));
    // R5, O4: past the point of no return when it is back, so the Cancel comes too late.
    bed.fleet().go_on("gw-0001", Play::Succeeds(MINUTE));
    bed.run_for(Duration::from_secs(50)).await;
    bed.fleet().online("gw-0001");
    bed.run_for(MINUTE).await;
    assert_eq!(bed.fleet().version_of("gw-0001"), "1.4.0");
    let end = bed.run(bed.engine().campaigns()).await.unwrap().remove(0);
    assert_eq!((end.failed, end.abandoned), (1, 0));
}

#[tokio::test]
async fn x3_a_cancel_is_honoured_before_the_point_of_no_return_and_not_after_it() {
    // Deployed comes after three quarters of the time.
    for (seconds, updated) in [(20, false), (50, true)] {
        let mut bed = Bed::start(1).await.unwrap();
        add(&bed, 1);
        bed.fleet().on_update(|_| Play::Succeeds(MINUTE));
        let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
        bed.run_for(Duration::from_secs(seconds)).await;
        bed.run(async { campaign.cancel().await }).await.unwrap();
        let end = bed.run(campaign.finished()).await.unwrap();
        assert_eq!(end.outcome, Some(CampaignOutcome::Cancelled));
        assert_eq!(end.successful == 1, updated, "{seconds} s: {end}");
        let runs = if updated { "1.4.0" } else { "1.3.0" };
        assert_eq!(bed.fleet().version_of("gw-0001"), runs);
    }
}

#[tokio::test]
async fn plays_of_one_device_come_before_the_script() {
    let mut bed = Bed::start(3).await.unwrap();
    add(&bed, 2);
    let plays = [Play::Busy, Play::Busy, Play::Succeeds(MINUTE)];
    bed.fleet().plays("gw-0002", plays);
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!(end.outcome, Some(CampaignOutcome::Success));
    assert_eq!(bed.fleet().operations_of("gw-0001").len(), 1);
    assert_eq!(bed.fleet().operations_of("gw-0002").len(), 3);
}
