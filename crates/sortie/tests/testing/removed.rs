//! Devices that are removed from the table (D1).

use std::time::Duration;

use sortie::{
    CampaignOutcome, DeviceId, TargetReason, TargetStatus,
    testing::{Bed, Play},
};

use crate::{add, my_app};

fn gateway(n: u32) -> DeviceId {
    DeviceId::new(&format!("gw-{n:04}")).unwrap()
}

#[tokio::test]
async fn d1_told_of_a_removal_the_engine_ends_what_concerns_the_device_and_counts_no_failure() {
    let mut bed = Bed::start(3).await.unwrap();
    add(&bed, 12);
    bed.fleet().on_update(|_| Play::Stalls);
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    bed.run_for(Duration::from_mins(1)).await;
    // 10 at once, so that two are idle.
    let (mut idle, mut under_way) = (None, None);
    for device in (1..=12).map(gateway) {
        match bed.run(campaign.target(&device)).await.unwrap().status {
            TargetStatus::Idle => idle = Some(device),
            _ => under_way = Some(device),
        }
    }
    let (idle, under_way) = (idle.unwrap(), under_way.unwrap());
    for device in [&idle, &under_way] {
        bed.fleet().inventory().remove(device);
        bed.run(bed.engine().device_removed(device)).await.unwrap();
    }
    let row = bed.run(campaign.target(&idle)).await.unwrap();
    assert_eq!(row.reason, Some(TargetReason::DeviceRemoved));
    let row = bed.run(campaign.target(&under_way)).await.unwrap();
    assert!(row.cancelling || row.status.is_terminal(), "{row:?}");
    bed.run_for(Duration::from_mins(10)).await;
    let row = bed.run(campaign.target(&under_way)).await.unwrap();
    assert_eq!(row.reason, Some(TargetReason::DeviceRemoved));
    let progress = campaign.progress();
    assert_eq!((progress.failed, progress.failed_counted), (2, 0));
    assert_eq!(progress.targets, 12);
}

#[tokio::test]
async fn d1_untold_the_engine_finds_out_before_the_push_also_over_a_restart() {
    let mut bed = Bed::start(4).await.unwrap();
    add(&bed, 12);
    bed.fleet()
        .on_update(|_| Play::Succeeds(Duration::from_mins(2)));
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    bed.run_for(Duration::from_secs(30)).await;
    bed.fleet().inventory().remove(&gateway(12));
    bed.crash_and_restart().await.unwrap();
    let campaign = bed.run(bed.engine().campaign(campaign.id())).await.unwrap();
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!(end.outcome, Some(CampaignOutcome::Success));
    let gone = bed.run(campaign.target(&gateway(12))).await.unwrap();
    assert_eq!(gone.status, TargetStatus::Failed);
    assert_eq!(gone.reason, Some(TargetReason::DeviceRemoved));
    assert_eq!((end.successful, bed.fleet().operations_seen()), (11, 11));
}
