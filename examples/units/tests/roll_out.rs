//! Tests of the roll-out: this service's table, connection and policy, the real engine, scripted
//! units, and time that jumps.
#![expect(clippy::unwrap_used, reason = "what helps a test fails it by a panic")]

mod far_end;

use std::time::Duration;

use sortie::{
    Artifact, CampaignHandle, CampaignOutcome, DevicePage, Inventory, Sha256, TargetReason,
    testing::{Bed, Play},
};
use sortie_units::{Hub, Mac, Release, Unit, Units, roll_out};

fn release() -> Release {
    Release {
        version: "2.1.0".into(),
        artifact: Artifact::new("http://127.0.0.1/unit.bin", 65_536, Sha256([7; 32])),
    }
}

fn unit(n: u8, site: &str) -> Unit {
    Unit {
        mac: Mac([0x02, 0, 0, 0, 0, n]),
        model: "unit-r1".into(),
        site: site.into(),
    }
}

/// A bed with this service's own table and connection, and `count` units in the field.
async fn bed(seed: u64, count: u8) -> (Bed, Units) {
    let units = Units::default();
    let hub = Hub::new(units.clone());
    let bed = Bed::builder(seed)
        .inventory(units.clone())
        .transport(hub.clone());
    let mut bed = bed.start().await.unwrap();
    let far_end = far_end::connect(bed.fleet().clone(), hub);
    bed.spawn(far_end);
    for n in 1..=count {
        add(&bed, &units, unit(n, "field"));
    }
    (bed, units)
}

fn add(bed: &Bed, units: &Units, unit: Unit) {
    bed.fleet().add(unit.device().unwrap(), "2.0.7");
    units.put(unit);
}

async fn start(bed: &mut Bed) -> CampaignHandle {
    let engine = bed.engine();
    bed.run(roll_out(engine, &release())).await.unwrap()
}

#[tokio::test]
async fn every_unit_in_the_field_is_updated_ten_at_once_and_none_in_the_lab() {
    let (mut bed, units) = bed(1, 60).await;
    add(&bed, &units, unit(200, "lab"));
    let campaign = start(&mut bed).await;
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!(end.outcome, Some(CampaignOutcome::Success));
    assert_eq!((end.targets, end.successful), (60, 60));
    assert_eq!(bed.fleet().most_at_once(), 10);
    assert_eq!(bed.fleet().version_of("02:00:00:00:00:07"), "2.1.0");
    assert_eq!(bed.fleet().version_of("02:00:00:00:00:c8"), "2.0.7");
}

#[tokio::test]
async fn a_bad_image_harms_few_units() {
    let (mut bed, _) = bed(2, 100).await;
    bed.fleet()
        .on_update(|_| Play::RollsBack(Duration::from_mins(4)));
    let campaign = start(&mut bed).await;
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!(end.outcome, Some(CampaignOutcome::Failure));
    assert!(
        end.failed <= 5 + 10,
        "threshold + limit bound the harm: {end}"
    );
    assert_eq!(bed.fleet().operations_seen(), end.failed);
}

#[tokio::test]
async fn a_night_in_which_the_service_crashes_over_and_over_updates_each_unit_once() {
    for seed in 0..8 {
        let (mut bed, _) = bed(seed, 30).await;
        bed.fleet()
            .on_update(|_| Play::Succeeds(Duration::from_mins(3)));
        start(&mut bed).await;
        for crash in 0..8 {
            bed.run_for(Duration::from_secs(11 + 7 * crash)).await;
            bed.crash_and_restart().await.unwrap();
        }
        // The service does at each start what it did at the first.
        let campaign = start(&mut bed).await;
        let end = bed.run(campaign.finished()).await.unwrap();
        assert_eq!((end.successful, end.failed), (30, 0), "seed {seed}");
        assert!(bed.fleet().most_at_once() <= 10, "seed {seed}");
        assert_eq!(bed.fleet().operations_seen(), 30, "seed {seed}");
        for unit in bed.fleet().devices() {
            assert_eq!(bed.fleet().operations_of(&unit)[0].begun, 1, "seed {seed}");
        }
    }
}

#[tokio::test]
async fn a_unit_that_is_switched_off_is_updated_when_it_comes_back() {
    let (mut bed, _) = bed(3, 20).await;
    let away = "02:00:00:00:00:05";
    bed.fleet().offline(away);
    let campaign = start(&mut bed).await;
    bed.run_for(Duration::from_hours(24 * 20)).await;
    assert_eq!(campaign.progress().successful, 19);
    bed.fleet().online(away);
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!(end.outcome, Some(CampaignOutcome::Success));
}

#[tokio::test]
async fn a_unit_that_goes_silent_under_way_fails_alone() {
    let (mut bed, _) = bed(4, 40).await;
    let lost = "02:00:00:00:00:09";
    let after = Duration::from_secs(20);
    bed.fleet().plays(lost, [Play::GoesDark { after }]);
    let campaign = start(&mut bed).await;
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!(end.outcome, Some(CampaignOutcome::Success));
    assert_eq!((end.successful, end.failed, end.abandoned), (39, 1, 1));
    let row = campaign.target(&lost.parse().unwrap()).await.unwrap();
    assert_eq!(row.reason, Some(TargetReason::Stalled));
    assert_eq!(row.online, Some(false), "its connection is gone");
}

#[tokio::test]
async fn each_row_is_on_one_page() {
    let units = Units::default();
    for n in 1..=40 {
        units.put(unit(n, "field"));
    }
    let mut page = DevicePage::first("unit-r1".parse().unwrap(), 7);
    let mut seen = vec![];
    loop {
        let devices = units.page(&page).await.unwrap();
        seen.extend(devices.iter().map(|device| device.id().clone()));
        if devices.len() < page.limit {
            break;
        }
        // The last of a page may be gone before the next is asked for.
        units.delete(&seen[seen.len() - 1]);
        page = page.following(seen[seen.len() - 1].clone());
    }
    assert!(seen.len() == 40 && seen.is_sorted(), "{seen:?}");
    let stranger = "02:00:00:00:00:ff".parse().unwrap();
    let exist = units.exist(&[seen[7].clone(), stranger]).await.unwrap();
    assert_eq!(exist, [true, false]);
}

#[tokio::test]
async fn a_stranger_is_not_let_in_and_is_no_target() {
    let (mut bed, _) = bed(5, 3).await;
    let stranger = unit(77, "field").device().unwrap();
    bed.fleet().add(stranger, "2.0.7"); // not in the table
    let campaign = start(&mut bed).await;
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!((end.targets, end.successful), (3, 3));
    assert_eq!(bed.fleet().version_of("02:00:00:00:00:4d"), "2.0.7");
    assert_eq!(bed.engine().health().await.node.devices, 3);
}
