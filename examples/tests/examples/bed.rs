//! An engine in memory, a broker and a web server, for tests that take one of them away.

use std::time::Duration;

use sortie::{
    Artifact, CampaignHandle, CampaignOutcome, Catalog, Device, DeviceId, Engine, MemoryInventory,
    MemoryStore, Mqtt, NewCampaign, Push, Sha256, TargetReason, Uuid,
};
use sortie_examples::{
    broker::{EmbeddedBroker, Mqtt5},
    firmware::{Firmware, NEW},
    fleet::SYSTEM_MODEL,
};
use tokio::time::timeout;

pub(crate) const PREFIX: &str = "test/examples";
/// A campaign that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(100);

pub(crate) struct Bed {
    pub(crate) engine: Engine,
    pub(crate) broker: Mqtt5,
    pub(crate) firmware: Firmware,
}

impl Bed {
    pub(crate) async fn start(devices: impl IntoIterator<Item = &DeviceId>) -> Self {
        let broker = Mqtt5::start(None, 20).await.unwrap();
        let inventory = MemoryInventory::new();
        inventory.put(devices.into_iter().map(|id| {
            let device = Device::new(id.as_str(), SYSTEM_MODEL).unwrap();
            device.tag("pilot")
        }));
        let engine = Engine::builder()
            .store(MemoryStore::new(Uuid::new_v4()))
            .inventory(inventory)
            .transport(Mqtt::new(&broker.url()).unwrap().prefix(PREFIX).unwrap())
            .settle(Duration::from_secs(1))
            .start()
            .await
            .unwrap();
        Self {
            engine,
            broker,
            firmware: Firmware::load(1, None).unwrap(),
        }
    }

    /// Rolls out what should be found at `url`.
    pub(crate) async fn roll_out(&self, url: &str, sha256: Sha256) -> CampaignHandle {
        let size = self.firmware.new.bytes.len() as u64;
        let image = format!("gateway-os@{NEW}");
        let catalog = Catalog::new()
            .collection("gateway-os", SYSTEM_MODEL)
            .base_image(&image, Artifact::new(url, size, sha256))
            .group("pilot", r#""pilot" in tags"#)
            .channel("pilot", &["pilot"]);
        self.engine.declare(catalog).await.unwrap();
        let new = NewCampaign::new("test", image.parse().unwrap(), "pilot".parse().unwrap());
        let mechanism = Push::new()
            .max_in_progress_operations(3)
            .max_failure_percentage(100.0);
        let created = self.engine.create_campaign(new.mechanism(mechanism)).await;
        created.unwrap()
    }
}

/// Waits for the end, and counts targets by reason.
pub(crate) async fn end(
    campaign: &CampaignHandle,
) -> (CampaignOutcome, Vec<(TargetReason, usize)>) {
    let mut progress = campaign.watch();
    let all = async { while progress.next().await.is_some() {} };
    timeout(LIMIT, all).await.expect("the campaign hangs");
    let rows = campaign.summary().await.unwrap();
    let rows = rows.into_iter().map(|row| (row.reason.unwrap(), row.count));
    (progress.latest().outcome.unwrap(), rows.collect())
}
