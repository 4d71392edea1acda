//! Devices that come, go and change, and the link to them.

use std::time::Duration;

use sortie::{
    CampaignOutcome, Device, TargetReason,
    testing::{Bed, Play},
};

use crate::{add, my_app};

#[tokio::test]
async fn s2_only_devices_of_the_start_are_targets_whatever_joins_or_leaves_later() {
    let mut bed = Bed::start(1).await.unwrap();
    add(&bed, 3);
    let other = Device::new("gw-9000", "gateway-g2").unwrap();
    bed.fleet().add(other, "1.3.0"); // without the tag
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    bed.run_for(Duration::from_secs(1)).await;
    let late = Device::new("gw-8000", "gateway-g2").unwrap().tag("pilot");
    bed.fleet().add(late, "1.3.0");
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!((end.targets, end.successful), (3, 3));
    assert_eq!(bed.fleet().operations_seen(), 3);
}

#[tokio::test]
async fn p1_a_device_that_comes_later_is_updated_then() {
    let mut bed = Bed::start(2).await.unwrap();
    add(&bed, 2);
    bed.fleet().offline("gw-0001");
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    bed.run_for(Duration::from_hours(5)).await;
    assert_eq!(campaign.progress().successful, 1);
    bed.fleet().online("gw-0001");
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!(end.outcome, Some(CampaignOutcome::Success));
    assert!(bed.now() < Duration::from_hours(5) + Duration::from_mins(2));
}

#[tokio::test]
async fn e_a_device_is_judged_by_the_version_that_it_says() {
    let mut bed = Bed::start(3).await.unwrap();
    add(&bed, 5);
    bed.fleet().runs("gw-0001", "1.4.0");
    bed.fleet().runs("gw-0002", "2.0.0");
    bed.fleet().runs("gw-0003", "");
    bed.fleet().runs("gw-0004", "latest");
    let engine = bed.engine();
    let roll_out = async {
        engine.declare(my_app::catalog()).await.unwrap();
        let push = my_app::push().max_failure_percentage(60.0);
        engine
            .create_campaign(my_app::pilot().mechanism(push))
            .await
    };
    let campaign = bed.run(roll_out).await.unwrap();
    let end = bed.run(campaign.finished()).await.unwrap();
    let why = async |device: &str| {
        let row = campaign.target(&device.parse().unwrap()).await.unwrap();
        row.reason.unwrap()
    };
    let reasons = [
        ("gw-0001", TargetReason::AlreadyAtVersion),
        ("gw-0002", TargetReason::DowngradeNotAllowed),
        ("gw-0003", TargetReason::MissingVersion),
        ("gw-0004", TargetReason::InvalidVersion),
    ];
    for (device, reason) in reasons {
        assert_eq!(why(device).await, reason, "{device}");
    }
    assert_eq!((end.successful, end.failed), (2, 3));
    assert_eq!(bed.fleet().operations_seen(), 1);
}

#[tokio::test]
async fn r4_a_version_that_changes_under_way_is_decided_anew() {
    let mut bed = Bed::start(4).await.unwrap();
    add(&bed, 1);
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    // The request is on its way, or not even that.
    bed.fleet().runs("gw-0001", "1.3.5");
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!(end.successful, 1);
    assert_eq!(bed.fleet().version_of("gw-0001"), "1.4.0");
}

#[tokio::test]
async fn c1_an_outage_of_the_link_fails_nobody() {
    let mut bed = Bed::start(5).await.unwrap();
    add(&bed, 30);
    bed.fleet()
        .on_update(|_| Play::Succeeds(Duration::from_mins(10)));
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    bed.run_for(Duration::from_mins(5)).await;
    bed.fleet().break_link("the broker is away");
    bed.run_for(Duration::from_hours(24 * 3)).await;
    let health = bed.engine().health().await;
    assert_eq!(health.link.why.as_deref(), Some("the broker is away"));
    assert_eq!(
        campaign.progress().in_progress,
        10,
        "what ended meanwhile was not heard"
    );
    bed.fleet().mend_link();
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!((end.successful, end.failed), (30, 0));
    assert_eq!(bed.fleet().most_at_once(), 10);
}

#[tokio::test]
async fn c5_steps_of_the_wall_clock_change_nothing() {
    let mut bed = Bed::start(7).await.unwrap();
    add(&bed, 30);
    bed.fleet()
        .on_update(|_| Play::Succeeds(Duration::from_mins(10)));
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    for hours in [11, -23, 14] {
        bed.run_for(Duration::from_mins(3)).await;
        bed.clock().step_wall(hours * 3_600_000);
    }
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!((end.successful, end.failed), (30, 0));
    assert!(bed.now() < Duration::from_mins(31), "{:?}", bed.now());
}

#[tokio::test]
#[should_panic(expected = "the script of a fleet uses the fleet itself")]
async fn a_script_that_uses_its_fleet_is_told_so() {
    let mut bed = Bed::start(8).await.unwrap();
    add(&bed, 1);
    let fleet = bed.fleet().clone();
    bed.fleet().on_update(move |_| {
        fleet.offline("gw-0001");
        Play::Stalls
    });
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    let _ = bed.run(campaign.finished()).await;
}

#[tokio::test]
#[should_panic(expected = "gw-0002 is never asked")]
async fn what_a_script_asserts_fails_the_test() {
    let mut bed = Bed::start(9).await.unwrap();
    add(&bed, 2);
    bed.fleet().on_update(|device| {
        assert_ne!(device.id().as_str(), "gw-0002", "gw-0002 is never asked");
        Play::Stalls
    });
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    let _ = bed.run(campaign.finished()).await;
}

#[tokio::test]
#[should_panic(expected = "the fleet has no device gw-0002")]
async fn a_device_that_is_not_there_is_named() {
    let bed = Bed::start(6).await.unwrap();
    add(&bed, 2);
    bed.fleet().remove("gw-0002");
    bed.fleet().offline("gw-0002");
}
