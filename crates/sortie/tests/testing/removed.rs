//! Devices that are removed from the table (D1).

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use sortie::{
    CampaignId, CampaignOutcome, Clock, CommandId, Delivery, Device, DeviceId, DevicePage, Forget,
    Inbox, Inventory, InventoryError, ManualUpdateId, MemoryInventory, NewManualUpdate, Registers,
    Request, Start, StatusCode, StreamId, TargetReason, TargetStatus, Timestamp, Transport,
    TransportError, async_trait,
    testing::{Bed, Fleet, Play},
};
use tokio::sync::Semaphore;

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

/// The fleet's connection, and whom it was told to forget.
#[derive(Debug, Clone)]
struct Spy {
    fleet: Fleet,
    forgotten: Arc<Mutex<Vec<DeviceId>>>,
}

#[async_trait]
impl Transport for Spy {
    async fn run(&self, inbox: Inbox) -> Result<(), TransportError> {
        self.fleet.run(inbox).await
    }

    async fn write(&self, request: &Request) -> Delivery {
        self.fleet.write(request).await
    }

    fn registers(&self) -> Registers {
        Registers::Retained
    }

    async fn forget(&self, device: &Forget) -> Delivery {
        self.forgotten.lock().unwrap().push(device.device.clone());
        self.fleet.forget(device).await
    }
}

#[tokio::test]
async fn d1_what_is_retained_of_a_device_that_is_there_again_stays() {
    let builder = Bed::builder(5);
    let spy = Spy {
        fleet: builder.fleet().clone(),
        forgotten: Arc::default(),
    };
    let mut bed = builder.transport(spy.clone()).start().await.unwrap();
    add(&bed, 3);
    bed.engine().declare(my_app::catalog()).await.unwrap();
    bed.run_for(Duration::from_secs(1)).await;
    bed.fleet().break_link("cut");
    bed.run_for(Duration::from_secs(1)).await;
    for device in [gateway(1), gateway(2)] {
        bed.run(bed.engine().device_removed(&device)).await.unwrap();
    }
    let until = Timestamp(bed.clock().now().0 + 3_600_000);
    let update = NewManualUpdate::base_image(gateway(2), "gateway-os@1.4.0".parse().unwrap());
    // The table has it, so it is there again.
    bed.run(bed.engine().manual_update(update.wait_until(until)))
        .await
        .unwrap();
    bed.fleet().mend_link();
    bed.run_for(Duration::from_mins(30)).await;
    assert_eq!(*spy.forgotten.lock().unwrap(), [gateway(1)]);
}

#[tokio::test]
async fn d1_a_manual_update_that_is_asked_for_again_is_no_word_that_its_device_is_there() {
    let mut bed = Bed::start(6).await.unwrap();
    add(&bed, 2);
    bed.fleet().offline("gw-0001");
    bed.fleet()
        .on_update(|_| Play::Succeeds(Duration::from_mins(2)));
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    bed.run_for(Duration::from_mins(3)).await;
    bed.run(campaign.pause()).await.unwrap();
    bed.fleet().online("gw-0001");
    bed.run_for(Duration::from_secs(1)).await;
    let ask = |bed: &Bed| {
        let update = NewManualUpdate::base_image(gateway(1), "gateway-os@1.4.0".parse().unwrap());
        let update = update.id(ManualUpdateId::from_name("m"));
        bed.engine()
            .manual_update(update)
            .id(CommandId::from_name("click"))
    };
    let manual = bed.run(ask(&bed)).await.unwrap();
    bed.run(manual.finished()).await.unwrap();
    bed.fleet().runs("gw-0001", "1.3.0");
    bed.run_for(Duration::from_mins(30)).await;
    bed.fleet().inventory().remove(&gateway(1));
    bed.run(ask(&bed)).await.unwrap();
    bed.run(campaign.resume()).await.unwrap();
    bed.run(campaign.finished()).await.unwrap();
    let row = bed.run(campaign.target(&gateway(1))).await.unwrap();
    assert_eq!(row.reason, Some(TargetReason::DeviceRemoved));
}

#[tokio::test]
async fn d1_a_removal_says_nothing_to_campaigns_that_were_deleted() {
    let mut bed = Bed::start(7).await.unwrap();
    add(&bed, 2);
    bed.engine().declare(my_app::catalog()).await.unwrap();
    let by_hand = my_app::pilot().start(Start::ByHand);
    let campaign = bed
        .run(bed.engine().create_campaign(by_hand))
        .await
        .unwrap();
    bed.run(campaign.delete()).await.unwrap();
    bed.crash_and_restart().await.unwrap();
    bed.run_for(Duration::from_secs(1)).await;
    let commits = |bed: &Bed| {
        let stream = StreamId::Campaign(campaign.id());
        bed.log().read_now(stream, 0, 100).commits.len()
    };
    let before = commits(&bed);
    bed.run(bed.engine().device_removed(&gateway(1)))
        .await
        .unwrap();
    assert_eq!(commits(&bed), before);
}

/// Answers with a page once it may; and perhaps can't say whether devices exist.
#[derive(Debug)]
struct Slow {
    table: MemoryInventory,
    pages: Arc<Semaphore>,
    knows: bool,
}

#[async_trait]
impl Inventory for Slow {
    async fn page(&self, want: &DevicePage) -> Result<Vec<Device>, InventoryError> {
        let page = self.table.page(want).await;
        self.pages.acquire().await.unwrap().forget();
        page
    }

    async fn exist(&self, ids: &[DeviceId]) -> Result<Vec<bool>, InventoryError> {
        if self.knows {
            return self.table.exist(ids).await;
        }
        Err(InventoryError::unavailable("locked"))
    }
}

async fn slow_bed(knows: bool) -> (Bed, Arc<Semaphore>) {
    let builder = Bed::builder(8);
    let pages = Arc::new(Semaphore::new(1));
    let slow = Slow {
        table: builder.fleet().inventory(),
        pages: pages.clone(),
        knows,
    };
    let bed = builder.inventory(slow).start().await.unwrap();
    add(&bed, 3);
    (bed, pages)
}

#[tokio::test]
async fn d1_an_inventory_that_can_t_say_who_exists_holds_up_no_push_and_health_says_why() {
    let (mut bed, _pages) = slow_bed(false).await;
    bed.fleet()
        .on_update(|_| Play::Succeeds(Duration::from_mins(2)));
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!(end.successful, 3);
    let health = bed.run(bed.engine().health()).await;
    let why = health.node.inventory_trouble.clone().unwrap();
    assert!(why.contains("locked") && !health.is_good(), "{health}");
    assert!(health.to_string().contains("locked"), "{health}");
}

#[tokio::test]
async fn d1_a_device_removed_while_a_campaign_s_snapshot_is_read_is_not_pushed_to() {
    let (mut bed, pages) = slow_bed(true).await;
    bed.fleet().on_update(|_| Play::Fails {
        code: StatusCode::IOError,
        after: Duration::from_secs(20),
    });
    let policy = my_app::push().max_failure_percentage(100.0);
    let first = my_app::pilot().mechanism(policy);
    bed.run(bed.engine().declare(my_app::catalog()))
        .await
        .unwrap();
    let first = bed.run(bed.engine().create_campaign(first)).await.unwrap();
    bed.run(first.finished()).await.unwrap();
    let second = my_app::pilot().id(CampaignId::from_name("second"));
    let second = bed.run(bed.engine().create_campaign(second)).await.unwrap();
    let gone = gateway(2);
    bed.fleet().inventory().remove(&gone);
    bed.run(bed.engine().device_removed(&gone)).await.unwrap();
    pages.add_permits(1);
    bed.run_for(Duration::from_secs(1)).await;
    let row = bed.run(second.target(&gone)).await.unwrap();
    assert_eq!(row.reason, Some(TargetReason::DeviceRemoved));
}

#[tokio::test]
async fn d1_what_a_finished_campaign_abandoned_is_closed_and_only_then_forgotten() {
    let builder = Bed::builder(9);
    let spy = Spy {
        fleet: builder.fleet().clone(),
        forgotten: Arc::default(),
    };
    let mut bed = builder.transport(spy.clone()).start().await.unwrap();
    add(&bed, 1);
    bed.fleet().on_update(|_| Play::Silent);
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    bed.run(campaign.finished()).await.unwrap();
    bed.run_for(Duration::from_mins(10)).await;
    let row = bed.run(campaign.target(&gateway(1))).await.unwrap();
    assert!(row.abandoned, "{row:?}");
    bed.fleet().inventory().remove(&gateway(1));
    bed.run(bed.engine().device_removed(&gateway(1)))
        .await
        .unwrap();
    bed.run_for(Duration::from_secs(1)).await;
    let row = bed.run(campaign.target(&gateway(1))).await.unwrap();
    assert!(!row.abandoned, "{row:?}");
    assert_eq!(row.reason, Some(TargetReason::RequestTimeout));
    assert_eq!(*spy.forgotten.lock().unwrap(), [gateway(1)]);
    let health = bed.run(bed.engine().health()).await;
    assert_eq!(health.node.claims_open, 0);
}
