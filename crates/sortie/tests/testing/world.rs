//! What a bed has to do with the rest of the process: runtimes, tasks, threads, ports of one's own.

use std::{thread, time::Duration};

use sortie::{
    Artifact, CampaignOutcome, Clock, Delivery, Device, DeviceId, DevicePage, Inbox, Inventory,
    InventoryError, MemoryInventory, Request, RequestBody, Start, StartError, Timestamp, Transport,
    TransportError, async_trait,
    testing::{Bed, Fleet, Heard, ManualClock},
};
use tokio::sync::oneshot;

use crate::{add, my_app};

#[tokio::test(flavor = "multi_thread")]
async fn on_several_threads_the_order_would_be_chance_so_it_is_refused() {
    let error = Bed::start(1).await.unwrap_err();
    let sortie::Error::Start(StartError::NoRuntime(why)) = error else {
        panic!("{error}");
    };
    assert!(why.contains("current-thread"), "{why}");
}

#[tokio::test]
async fn tasks_that_the_code_under_test_spawns_run_before_time_passes() {
    let mut bed = Bed::start(1).await.unwrap();
    add(&bed, 1);
    bed.run_for(Duration::from_secs(1)).await;
    let (begin, clock) = (bed.now(), bed.clock().clone());
    bed.spawn(async move {
        let next = clock.monotonic() + Duration::from_millis(1);
        clock.sleep_until(next).await;
    });
    let engine = bed.engine();
    let work = async move {
        // 2,000 tasks, each woken by the one before.
        let (first, mut before) = oneshot::channel::<()>();
        for _ in 0..2_000 {
            let (next, after) = oneshot::channel::<()>();
            tokio::spawn(async move {
                before.await.unwrap();
                next.send(()).unwrap();
            });
            before = after;
        }
        first.send(()).unwrap();
        before.await.unwrap();
        my_app::roll_out(engine).await.unwrap()
    };
    let campaign = bed.run(async { tokio::spawn(work).await.unwrap() }).await;
    assert_eq!(bed.now(), begin);
    let watched = campaign.watch();
    let last = tokio::spawn(async move {
        let mut watched = watched;
        let mut last = None;
        while let Some(progress) = watched.next().await {
            last = Some(progress);
        }
        last.unwrap()
    });
    let last = bed.run(last).await.unwrap();
    assert_eq!(last.outcome, Some(CampaignOutcome::Success));
}

#[tokio::test]
async fn a_file_that_is_hashed_on_a_thread_is_waited_for() {
    let mut bed = Bed::start(2).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![7; 1 << 20]).unwrap();
    let hashing = Artifact::of_file("http://127.0.0.1/gw.bin", file.path());
    let artifact = bed.run(hashing).await.unwrap();
    assert_eq!(artifact.size(), 1 << 20);
}

#[tokio::test]
async fn an_engine_shuts_down_in_order_and_another_goes_on() {
    let mut bed = Bed::start(2).await.unwrap();
    add(&bed, 20);
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    bed.run_for(Duration::from_secs(30)).await;
    let engine = bed.engine();
    bed.run(engine.shutdown()).await.unwrap();
    bed.run_for(Duration::from_mins(5)).await;
    bed.restart().await.unwrap();
    let campaign = bed.engine().campaign(campaign.id()).await.unwrap();
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!((end.successful, bed.fleet().operations_seen()), (20, 20));
}

/// A table that answers from another thread.
#[derive(Debug, Default)]
struct Threaded(MemoryInventory);

#[async_trait]
impl Inventory for Threaded {
    async fn page(&self, want: &DevicePage) -> Result<Vec<Device>, InventoryError> {
        let (answer, answered) = oneshot::channel();
        thread::spawn(move || answer.send(()));
        answered.await.map_err(InventoryError::unavailable)?;
        self.0.page(want).await
    }

    async fn exist(&self, ids: &[DeviceId]) -> Result<Vec<bool>, InventoryError> {
        self.0.exist(ids).await
    }
}

#[tokio::test]
async fn no_time_passes_while_a_table_of_ones_own_is_at_work() {
    let table = Threaded::default();
    table.0.put((0..2_500).map(|n| {
        let device = Device::new(&format!("gw-{n:04}"), "gateway-g2").unwrap();
        device.tag("pilot")
    }));
    let mut bed = Bed::builder(3).inventory(table).start().await.unwrap();
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    bed.run_for(Duration::from_secs(1)).await;
    // In three pages, each by a thread; with the clock running on it would have been given up.
    assert_eq!(campaign.progress().targets, 2_500);
}

#[tokio::test]
async fn a_start_at_a_time_comes_when_the_wall_clock_says_so() {
    let begin = Timestamp(1_800_000_000_000);
    let mut bed = Bed::builder(4).at(begin).start().await.unwrap();
    add(&bed, 1);
    let engine = bed.engine();
    let at = Timestamp(begin.0 + 8 * 3_600_000);
    let scheduled = async {
        engine.declare(my_app::catalog()).await.unwrap();
        engine
            .create_campaign(my_app::pilot().start(Start::At(at)))
            .await
    };
    let campaign = bed.run(scheduled).await.unwrap();
    let end = bed.run(campaign.finished()).await.unwrap();
    assert!(end.started_at >= Some(at) && bed.now() < Duration::from_hours(9));
    assert!(bed.clock().now() > at);
}

/// A connection of one's own, whose far end is the fleet.
#[derive(Debug)]
struct Wire(Fleet);

#[async_trait]
impl Transport for Wire {
    async fn run(&self, inbox: Inbox) -> Result<(), TransportError> {
        inbox.link_up();
        let mut far_end = self.0.listen();
        while let Some(said) = far_end.next().await {
            match said {
                Heard::Presence(device, said) => inbox.presence_json(&device, &said.to_json()),
                Heard::Report(device, _, said) => inbox.report_json(&device, &said.to_json()),
                _ => {}
            }
        }
        Err(TransportError::disconnected("closed"))
    }

    async fn write(&self, request: &Request) -> Delivery {
        let body = RequestBody::from_json(&request.to_json()).unwrap();
        self.0.ask(&request.device, body);
        Delivery::Sent
    }
}

#[tokio::test]
async fn a_connection_of_ones_own_takes_the_place_of_the_fleets() {
    let bed = Bed::builder(5);
    let wire = Wire(bed.fleet().clone());
    let mut bed = bed.transport(wire).start().await.unwrap();
    add(&bed, 20);
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    bed.run_for(Duration::from_secs(30)).await;
    bed.crash_and_restart().await.unwrap();
    let campaign = bed.engine().campaign(campaign.id()).await.unwrap();
    let end = bed.run(campaign.finished()).await.unwrap();
    assert_eq!((end.successful, bed.fleet().most_at_once()), (20, 10));
}

#[tokio::test]
async fn fleet_and_clock_do_without_a_bed() {
    let clock = ManualClock::new();
    let fleet = Fleet::new(clock.clone(), 6);
    let device = Device::new("gw-0001", "gateway-g2").unwrap();
    fleet.add(device, "1.3.0");
    let mut listener = fleet.listen();
    clock.advance(Duration::from_secs(1));
    let Some(Heard::Presence(id, _)) = listener.next().await else {
        panic!("its birth");
    };
    assert_eq!(id.as_str(), "gw-0001");
}
