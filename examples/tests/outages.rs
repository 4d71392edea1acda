//! Campaigns whose image, web server, broker or engine fails in the middle: clear reasons, nothing
//! hangs, nothing is lost, and no device fails because the broker or the engine was away.
//!
//! All is real but the devices' flash, which is asked afterwards what it holds.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use common::{
    NEW, OLD, audit, builder,
    clock::LeapingClock,
    fleet::Fleet,
    mosquitto::{Mosquitto, Onlooker},
    new_image, old_image, other_bytes, register, roll_out, rows,
    server::{GoneServer, ImageServer},
    table, until, within,
};
use sortie::{CampaignHandle, CampaignOutcome, DeviceStatus, Engine, Push, Sha256, TargetFilter};
use sortie_examples::log::{Ledger, Standing};

const DEVICES: usize = 8;
const LIMIT: usize = 3;

/// Longer than all timers of an operation together.
const DAYS: Duration = Duration::from_hours(3 * 24);
/// A device's patience with a server that is away, as it is by default.
const PATIENT: Duration = Duration::from_mins(30);

/// All that a campaign needs but web server and engine.
struct World {
    broker: Mosquitto,
    fleet: Fleet,
    db: PathBuf,
    _directory: tempfile::TempDir,
}

impl World {
    async fn make() -> (Self, ImageServer) {
        let directory = tempfile::tempdir().unwrap();
        let db = directory.path().join("sortie.db");
        let fleet = Fleet::of(DEVICES as u64);
        register(&db, fleet.ids()).await;
        let world = Self {
            broker: Mosquitto::start(""),
            fleet,
            db,
            _directory: directory,
        };
        (world, ImageServer::of(&new_image().bytes).await)
    }

    fn switch_on(&mut self, give_up: Duration) {
        self.fleet.switch_on(&self.broker.address(), give_up);
    }

    async fn engine(&self) -> Engine {
        let builder = builder(&self.db, &self.broker.address()).await;
        builder.start().await.unwrap()
    }

    /// An engine for which time passes in leaps.
    async fn engine_by(&self, clock: &Arc<LeapingClock>) -> Engine {
        let builder = builder(&self.db, &self.broker.address()).await;
        builder.clock(clock.clone()).start().await.unwrap()
    }

    /// The devices with an operation under way, by the log: as many as may be.
    fn in_the_middle(&self) -> BTreeSet<String> {
        let (_, ledger) = audit(&self.db, LIMIT);
        let targets = ledger.targets.into_iter();
        let devices: BTreeSet<String> = targets
            .filter(|(_, standing)| *standing == Standing::InProgress)
            .map(|(device, _)| device)
            .collect();
        assert_eq!(devices.len(), LIMIT);
        devices
    }

    /// Waits until all these devices have had that in their report registers.
    async fn reported(&self, mut devices: BTreeSet<String>, words: &[&str]) {
        let mut onlooker = Onlooker::of(self.broker.port, "sortie/1/d/+/report/+/+").await;
        while !devices.is_empty() {
            let has_words = |payload: &str| words.iter().all(|word| payload.contains(word));
            let report = onlooker.until(|m| has_words(&m.payload)).await;
            let device = report.topic.split('/').nth(3).unwrap();
            devices.remove(device);
        }
    }

    /// The end of all: nothing is in progress by the log, and what each target is there is true of
    /// its flash.
    async fn ends(&mut self, engine: Engine) -> Ledger {
        engine.shutdown().await.unwrap();
        let runs = self.fleet.autopsy().await;
        let (_, ledger) = audit(&self.db, LIMIT);
        let told: BTreeMap<String, &str> = ledger
            .targets
            .iter()
            .map(|(device, standing)| {
                let version = match standing {
                    Standing::Successful { .. } => NEW,
                    Standing::Failed { .. } | Standing::Idle => OLD,
                    Standing::InProgress => panic!("{device} is in progress"),
                };
                (device.clone(), version)
            })
            .collect();
        assert_eq!(told, runs);
        ledger
    }

    /// The end of a campaign that has updated every device, with one operation each.
    async fn ends_well(&mut self, engine: Engine, campaign: CampaignHandle) {
        let end = campaign.finished().await.unwrap();
        let updated = rows([("successful: updated", DEVICES)]);
        assert_eq!(table(&campaign).await, updated);
        assert_eq!(end.outcome, Some(CampaignOutcome::Success));
        let ledger = self.ends(engine).await;
        assert_eq!(ledger.operations, DEVICES);
        assert_eq!(self.fleet.trials(), DEVICES);
    }
}

/// Starts the campaign, at most [`LIMIT`] at once.
async fn start(engine: &Engine, server: &ImageServer, mechanism: Push) -> CampaignHandle {
    start_with(engine, server, mechanism, new_image().sha256).await
}

/// The same with any digest.
async fn start_with(
    engine: &Engine,
    server: &ImageServer,
    mechanism: Push,
    declared: Sha256,
) -> CampaignHandle {
    let mechanism = mechanism.max_in_progress_operations(u32::try_from(LIMIT).unwrap());
    roll_out(engine, &server.url(), declared, mechanism).await
}

/// Allows every device to fail.
fn lenient() -> Push {
    Push::new().max_failure_percentage(100.0)
}

/// Allows none to.
fn strict() -> Push {
    Push::new().max_failure_percentage(0.0)
}

async fn link(engine: &Engine, up: bool) {
    until(async || engine.health().await.link.up == up).await;
}

/// How many requests asked for the rest of an image.
fn resumed(asked: &[usize]) -> usize {
    asked.iter().filter(|&&from| from > 0).count()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn an_image_corrupted_on_the_server_is_refused_by_every_device_that_is_pushed() {
    within(async {
        let (mut world, server) = World::make().await;
        let server = server.stop().await;
        let server = server.start_again(&other_bytes(&new_image())).await;
        let engine = world.engine().await;
        let campaign = start(&engine, &server, lenient()).await;
        world.switch_on(PATIENT);
        campaign.finished().await.unwrap();
        let refused = rows([("failed: invalid_base_image", DEVICES)]);
        assert_eq!(table(&campaign).await, refused);
        let ledger = world.ends(engine).await;
        assert_eq!(ledger.operations, DEVICES);
        assert_eq!(world.fleet.trials(), 0, "it was never booted");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn an_image_corrupted_while_devices_have_half_of_it_is_refused() {
    within(async {
        let (mut world, server) = World::make().await;
        server.hold_after(0);
        let engine = world.engine().await;
        let campaign = start(&engine, &server, lenient()).await;
        world.switch_on(PATIENT);
        server.held(LIMIT).await;
        // It breaks off, and what is resumed is of another image under the same entity tag.
        let server = server.stop().await;
        let server = server.start_again(&other_bytes(&new_image())).await;
        campaign.finished().await.unwrap();
        let refused = rows([("failed: invalid_base_image", DEVICES)]);
        assert_eq!(table(&campaign).await, refused);
        world.ends(engine).await;
        assert_eq!(world.fleet.trials(), 0, "it was never booted");
        let asked = server.asked();
        assert_eq!(resumed(&asked), LIMIT, "{asked:?}");
        // Those that resumed have fetched it anew once before they gave up.
        assert_eq!(asked.len(), DEVICES + 2 * LIMIT, "{asked:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn a_wrong_digest_fails_the_campaign_before_it_reaches_more_devices() {
    within(async {
        let (mut world, server) = World::make().await;
        let engine = world.engine().await;
        // Two of eight are 25 %: the second failure is the one too many.
        let mechanism = Push::new().max_failure_percentage(20.0);
        let campaign = start_with(&engine, &server, mechanism, old_image().sha256).await;
        world.switch_on(PATIENT);
        let end = campaign.finished().await.unwrap();
        assert_eq!(end.outcome, Some(CampaignOutcome::Failure));
        let reasons = table(&campaign).await;
        let ledger = world.ends(engine).await;
        let is_idle = |standing: &&Standing| **standing == Standing::Idle;
        let idle = ledger.targets.values().filter(is_idle).count();
        let failed = DEVICES - idle;
        // The first failure made room for one more, the second for none.
        assert!((2..=LIMIT + 1).contains(&failed), "{failed} failed");
        let expected = rows([("failed: invalid_base_image", failed), ("idle", idle)]);
        assert_eq!(reasons, expected);
        assert_eq!(ledger.operations, failed);
        assert_eq!(world.fleet.trials(), 0, "it was never booted");
    })
    .await;
}

/// One is updated, and the server goes away under the next.
async fn until_the_server_goes(
    world: &mut World,
    server: ImageServer,
    engine: &Engine,
    mechanism: Push,
    give_up: Duration,
) -> (CampaignHandle, GoneServer) {
    server.hold_after(1);
    let campaign = start(engine, &server, mechanism).await;
    world.switch_on(give_up);
    server.held(LIMIT).await;
    (campaign, server.stop().await)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn a_server_that_goes_away_in_the_middle_and_comes_back_fails_nobody() {
    within(async {
        let (mut world, server) = World::make().await;
        let engine = world.engine().await;
        let (campaign, server) =
            until_the_server_goes(&mut world, server, &engine, strict(), PATIENT).await;
        let trouble = [r#""status":"Error""#, r#""statusCode":"NetworkError""#];
        world.reported(world.in_the_middle(), &trouble).await;
        let server = server.start_again(&new_image().bytes).await;
        world.ends_well(engine, campaign).await;
        let asked = server.asked();
        let why = "what they had was not fetched again";
        assert_eq!(resumed(&asked), LIMIT, "{why}: {asked:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn a_server_that_stays_away_is_given_up_with_a_network_error() {
    within(async {
        let (mut world, server) = World::make().await;
        let engine = world.engine().await;
        let give_up = Duration::from_secs(2);
        let (campaign, _server) =
            until_the_server_goes(&mut world, server, &engine, lenient(), give_up).await;
        campaign.finished().await.unwrap();
        let expected = rows([
            ("failed: network_error", DEVICES - 1),
            ("successful: updated", 1),
        ]);
        assert_eq!(table(&campaign).await, expected);
        let ledger = world.ends(engine).await;
        assert_eq!(ledger.operations, DEVICES);
        assert_eq!(world.fleet.trials(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn a_broker_killed_twice_for_days_which_forgets_all_fails_nobody() {
    within(async {
        let (mut world, server) = World::make().await;
        // Some are updated, as many as may be are in the middle, some have not begun.
        server.hold_after(LIMIT);
        let clock = Arc::new(LeapingClock::new());
        let engine = world.engine_by(&clock).await;
        let campaign = start(&engine, &server, strict()).await;
        world.switch_on(PATIENT);
        server.held(LIMIT).await;

        world.broker.kill();
        link(&engine, false).await;
        clock.leap(DAYS);
        world.broker.restart();
        link(&engine, true).await;
        // Nothing has advanced, but the empty registers hold again where the devices are.
        let downloading = [r#""status":"Downloading""#];
        world.reported(world.in_the_middle(), &downloading).await;

        // This time the devices go on meanwhile, up to their trial boot.
        world.broker.kill();
        link(&engine, false).await;
        server.open();
        until(async || world.fleet.trials() == 2 * LIMIT).await;
        clock.leap(DAYS);
        let before = campaign.progress().counts;
        assert_eq!((before.successful as usize, before.failed), (LIMIT, 0));
        world.broker.restart();
        world.ends_well(engine, campaign).await;
    })
    .await;
}

/// The counter-test of the one before: what an outage forgives is not forgiven without one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn devices_that_stand_still_for_days_with_a_broker_are_abandoned_as_stalled() {
    within(async {
        let (mut world, server) = World::make().await;
        server.hold_after(0);
        let clock = Arc::new(LeapingClock::new());
        let engine = world.engine_by(&clock).await;
        let campaign = start(&engine, &server, lenient()).await;
        world.switch_on(PATIENT);
        server.held(LIMIT).await;
        // The engine has heard of it, too: none of its operations waits for a first report.
        let downloading = async || {
            let targets = campaign
                .targets(&TargetFilter::new(), None, DEVICES)
                .await
                .unwrap()
                .rows;
            let heard = targets.iter().filter_map(|target| target.heard);
            heard.filter(|s| *s == DeviceStatus::Downloading).count()
        };
        until(async || downloading().await == LIMIT).await;
        clock.leap(DAYS);
        until(async || campaign.progress().counts.failed as usize == LIMIT).await;
        server.open();
        campaign.finished().await.unwrap();
        let expected = rows([
            ("failed: stalled", LIMIT),
            ("successful: updated", DEVICES - LIMIT),
        ]);
        assert_eq!(table(&campaign).await, expected);
        engine.shutdown().await.unwrap();
        let (_, ledger) = audit(&world.db, LIMIT);
        assert_eq!(ledger.operations, DEVICES);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto"]
async fn an_engine_killed_twice_while_devices_go_on_finishes_with_one_outcome_each() {
    within(async {
        let (mut world, server) = World::make().await;
        server.hold_after(LIMIT);
        let engine = world.engine().await;
        let campaign = start(&engine, &server, strict()).await;
        world.switch_on(PATIENT);
        server.held(LIMIT).await;

        // Killed. The devices go on, and their results wait at the broker, although it is killed, too.
        drop((engine, campaign));
        let unheard = world.in_the_middle();
        server.open();
        let success = [r#""status":"Success""#];
        world.reported(unheard.clone(), &success).await;
        world.broker.restart();
        world.reported(unheard.clone(), &success).await;
        assert_eq!(world.in_the_middle(), unheard);

        // The next one hears of them, goes on, and is killed with others in the middle.
        server.hold_after(0);
        let engine = world.engine().await;
        let campaign = start(&engine, &server, strict()).await;
        server.held(DEVICES - LIMIT).await;
        drop((engine, campaign));

        // The third one comes while they stand where they stood.
        let engine = world.engine().await;
        let campaign = start(&engine, &server, strict()).await;
        link(&engine, true).await;
        assert!(campaign.progress().outcome.is_none());
        server.open();
        world.ends_well(engine, campaign).await;
    })
    .await;
}
