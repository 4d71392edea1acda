//! What the tests of whole roll-outs share: images, a web server that fails as told, a fleet with real
//! agents, a clock that leaps, and the engine as an application has it.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod clock;
pub(crate) mod fleet;
pub(crate) mod server;

// The broker of the adapter's own tests: one description of it is enough.
#[path = "../../../crates/sortie-mqtt/tests/mosquitto/mod.rs"]
pub(crate) mod mosquitto;

use std::{collections::BTreeMap, path::Path, time::Duration};

use sortie::{
    Artifact, CampaignHandle, CampaignId, Catalog, Device, Engine, EngineBuilder, Mqtt,
    NewCampaign, OpenError, Push, Sha256, Sqlite,
};
use sortie_examples::{
    firmware::Image,
    log::{self, Entry, Ledger},
    random::Random,
};
use tokio::time::{sleep, timeout};

pub(crate) const OLD: &str = "1.3.0";
pub(crate) const NEW: &str = "1.4.0";
pub(crate) const SYSTEM_MODEL: &str = "gateway-g2";
const CAMPAIGN: &str = "Outages";

/// No test may take longer: what hangs, fails.
const PATIENCE: Duration = Duration::from_secs(55);

/// A test's own limit.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    timeout(PATIENCE, test).await.expect("nothing hangs")
}

/// Waits until a condition holds that nobody announces. [`within`] bounds it.
pub(crate) async fn until(condition: impl AsyncFn() -> bool) {
    while !condition().await {
        sleep(Duration::from_millis(10)).await;
    }
}

/// What a device comes with.
pub(crate) fn old_image() -> Image {
    Image::new(OLD, Random::new(1).bytes(24 * 1024))
}

/// What is rolled out.
pub(crate) fn new_image() -> Image {
    Image::new(NEW, Random::new(2).bytes(64 * 1024))
}

/// The image's size with other bytes.
pub(crate) fn other_bytes(image: &Image) -> Vec<u8> {
    image.bytes.iter().map(|byte| !byte).collect()
}

/// The engine's parts, on the log in file `db`. If an engine that was just killed still has the
/// file, it is waited for.
pub(crate) async fn builder(db: &Path, broker: &str) -> EngineBuilder {
    let store = loop {
        match Sqlite::open(db).await {
            Err(OpenError::InUse { .. }) => sleep(Duration::from_millis(10)).await,
            opened => break opened.unwrap(),
        }
    };
    Engine::builder()
        .store(store)
        .transport(Mqtt::new(broker).unwrap())
        .settle(Duration::from_millis(500))
}

/// Fills the device table of the log in file `db`.
pub(crate) async fn register(db: &Path, devices: impl IntoIterator<Item = &str>) {
    let store = Sqlite::open(db).await.unwrap();
    let device = |id| Device::new(id, SYSTEM_MODEL).unwrap().tag("pilot");
    let devices = devices.into_iter().map(device);
    store.devices().put(devices).await.unwrap();
    store.close().await;
}

/// Declares all, and starts the campaign: an application does the same at every start. The artifact
/// is the new image's, but for its digest.
pub(crate) async fn roll_out(
    engine: &Engine,
    url: &str,
    declared: Sha256,
    mechanism: Push,
) -> CampaignHandle {
    let size = new_image().bytes.len() as u64;
    let catalog = Catalog::new()
        .collection("gateway-os", SYSTEM_MODEL)
        .base_image("gateway-os@1.4.0", Artifact::new(url, size, declared))
        .group("pilot", r#""pilot" in tags"#)
        .channel("pilot", &["pilot"]);
    engine.declare(catalog).await.unwrap();
    let image = "gateway-os@1.4.0".parse().unwrap();
    let new = NewCampaign::new(CAMPAIGN, image, "pilot".parse().unwrap());
    let new = new.id(campaign_id()).mechanism(mechanism);
    engine.create_campaign(new).await.unwrap()
}

pub(crate) fn campaign_id() -> CampaignId {
    CampaignId::from_name(CAMPAIGN)
}

/// The campaign's table: how many targets of each status have which reason.
pub(crate) async fn table(campaign: &CampaignHandle) -> BTreeMap<String, usize> {
    let rows = campaign.summary().await.unwrap();
    let name = |status, reason: Option<sortie::TargetReason>| {
        let status = serde_json::to_value::<sortie::TargetStatus>(status).unwrap();
        let status = status.as_str().unwrap().to_owned();
        reason.map_or(status.clone(), |reason| format!("{status}: {reason}"))
    };
    rows.into_iter()
        .map(|row| (name(row.status, row.reason), row.count))
        .collect()
}

/// The same as a literal.
pub(crate) fn rows<const N: usize>(rows: [(&str, usize); N]) -> BTreeMap<String, usize> {
    rows.map(|(name, count)| (name.to_owned(), count)).into()
}

/// The campaign's events, read from the file as an auditor does, without the engine; with what
/// must be true of every campaign.
pub(crate) fn audit(db: &Path, limit: usize) -> (Vec<Entry>, Ledger) {
    let entries = log::of_campaign(db, &campaign_id().to_string()).unwrap();
    let ledger = Ledger::of(&entries);
    assert_eq!(ledger.contradictions, [""; 0]);
    assert!(ledger.most_in_progress <= limit, "{ledger:?}");
    (entries, ledger)
}
