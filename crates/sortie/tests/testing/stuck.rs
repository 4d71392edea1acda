//! When nothing can happen any more, the bed says who waits for what.

use std::{
    future::{pending, poll_fn},
    panic::AssertUnwindSafe,
    task::Poll,
    time::Duration,
};

use futures_util::FutureExt;
use sortie::{
    CampaignId, Clock, NewCampaign, Start,
    testing::{Bed, Play},
};

use crate::{add, my_app};

async fn bed() -> Bed {
    let bed = Bed::builder(7).patience(Duration::ZERO);
    bed.start().await.unwrap()
}

/// The text of the panic that a run ends with.
async fn stuck<T>(run: impl Future<Output = T>) -> String {
    let ended = AssertUnwindSafe(run).catch_unwind().await;
    let panic = ended.err().unwrap();
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().unwrap()).into(),
    }
}

/// It has always something to do, so that no time ever passes.
fn spins() -> impl Future<Output = ()> {
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

#[track_caller]
fn says(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "{line:?} is not in:\n{text}");
    }
}

#[tokio::test]
async fn a_target_that_is_offline_is_named() {
    let mut bed = bed().await;
    add(&bed, 3);
    bed.fleet().offline("gw-0002");
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    let text = stuck(bed.run(campaign.finished())).await;
    says(
        &text,
        &[
            "nothing can happen any more: no timer is left\nseed 7, after ",
            "link up for ",
            "store up",
            "campaign \"Pilot 1.4.0\": in_progress: 1 idle, 0 of 10 in progress, 2 successful, 0 failed",
            "  idle: offline: gw-0002",
            "the fleet has 3 devices\n  gw-0002: offline, runs 1.3.0",
        ],
    );
}

#[tokio::test]
async fn a_campaign_that_waits_for_a_hand_or_is_paused_says_so() {
    let mut bed = bed().await;
    add(&bed, 20);
    let engine = bed.engine();
    let by_hand = async {
        engine.declare(my_app::catalog()).await.unwrap();
        engine
            .create_campaign(my_app::pilot().start(Start::ByHand))
            .await
    };
    let campaign = bed.run(by_hand).await.unwrap();
    let text = stuck(bed.run(campaign.finished())).await;
    says(
        &text,
        &["  has not started: waits to be started by hand, or for the inventory"],
    );

    bed.run(async { campaign.start().await }).await.unwrap();
    bed.run_for(Duration::from_secs(1)).await;
    bed.run(async { campaign.pause().await }).await.unwrap();
    let text = stuck(bed.run(campaign.finished())).await;
    says(
        &text,
        &[
            "paused: 10 idle, 0 of 10 in progress, 10 successful",
            "  idle: the campaign is paused: gw-0011, gw-0012, gw-0013,",
        ],
    );
}

#[tokio::test]
async fn a_target_that_another_campaign_holds_says_which() {
    let mut bed = bed().await;
    add(&bed, 1);
    bed.fleet().on_update(|_| Play::Stalls);
    let roll_out = async |engine: sortie::Engine, name| {
        engine.declare(my_app::catalog()).await.unwrap();
        let [image, channel] = ["gateway-os@1.4.0", "pilot"];
        let new = NewCampaign::new(name, image.parse().unwrap(), channel.parse().unwrap())
            .id(CampaignId::from_name(name))
            .mechanism(my_app::push());
        engine.create_campaign(new).await.unwrap()
    };
    bed.run(roll_out(bed.engine(), "first")).await;
    bed.run_for(Duration::from_secs(1)).await;
    bed.run(roll_out(bed.engine(), "second")).await;
    bed.run_for(Duration::from_secs(1)).await;
    let text = stuck(bed.run(spins())).await;
    let first = CampaignId::from_name("first");
    says(
        &text,
        &[
            &format!("  idle: held by campaign/{first}: gw-0001"),
            "  in progress, its last word was Downloading: gw-0001",
            "  gw-0001: online, runs 1.3.0, Downloading of operation ",
            ", and nothing comes after that in its play",
        ],
    );
}

#[tokio::test]
async fn a_target_in_its_backoff_and_those_that_wait_for_a_slot_say_so() {
    let mut bed = bed().await;
    add(&bed, 40);
    bed.fleet().on_update(|_| Play::Stalls);
    for device in ["gw-0001", "gw-0002"] {
        bed.fleet().plays(device, [Play::Busy]);
    }
    // All are heard before they are pushed, so that the order is the snapshot's (P1).
    bed.run_for(Duration::from_secs(1)).await;
    bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    bed.run_for(Duration::from_secs(1)).await;
    let text = stuck(bed.run(spins())).await;
    says(
        &text,
        &[
            "  idle: tried before (device_busy), in its backoff: gw-0001, gw-0002\n",
            "  idle: waits for a slot: gw-0013, gw-0014, gw-0015, gw-0016, gw-0017, gw-0018, \
             gw-0019, gw-0020, gw-0021, gw-0022, gw-0023, gw-0024 and 16 more\n",
        ],
    );
}

#[tokio::test]
async fn a_link_that_is_down_and_an_engine_that_is_gone_are_named() {
    let mut bed = bed().await;
    add(&bed, 1);
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    bed.fleet().break_link("the broker is away");
    // The engine tries again for ever.
    let text = stuck(bed.run(campaign.finished())).await;
    says(
        &text,
        &[
            "nothing can happen any more: timers run out, and nothing comes of it",
            "link down for ",
            ": the broker is away, next try in ",
        ],
    );
    bed.crash();
    let text = stuck(bed.run(pending::<()>())).await;
    says(&text, &["stopped: the engine's task was dropped"]);
}

#[tokio::test]
async fn a_future_that_waits_for_ever_is_given_up_after_ten_years() {
    let mut bed = bed().await;
    let clock = bed.clock().clone();
    let waits = async {
        loop {
            let month = Duration::from_hours(30 * 24);
            clock.sleep_until(clock.monotonic() + month).await;
        }
    };
    let text = stuck(bed.run::<()>(waits)).await;
    says(&text, &["it does not end"]);
    assert!(bed.now() > Duration::from_hours(9 * 365 * 24));
}

#[tokio::test]
async fn a_future_that_wakes_itself_for_ever_is_given_up() {
    let mut bed = bed().await;
    let text = stuck(bed.run(spins())).await;
    says(&text, &["this moment does not end", "no campaigns"]);
}

#[tokio::test]
async fn a_panic_of_what_was_spawned_fails_the_test() {
    let mut bed = bed().await;
    bed.spawn(async { panic!("{} is unknown", "gw-0009") });
    let text = stuck(bed.run(pending::<()>())).await;
    assert_eq!(text, "gw-0009 is unknown");
}
