//! The engine from the outside, as an application embeds it: every port is a real one, or one that
//! misbehaves on purpose.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what helps a test fails it by a panic"
)]

mod ask;
mod campaign;
mod catalog;
mod commands;
mod ends;
mod explain;
mod hub;
mod log;
mod operation;
mod own_store;
mod ports;
mod starts;
mod traits;
mod warnings;

use std::time::Duration;

use sortie::{Artifact, CampaignId, Catalog, Device, NewCampaign, Push, Sha256};

/// Fails rather than hangs. On a paused clock it is virtual time.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_mins(2);
    tokio::time::timeout(limit, future).await.expect("it hangs")
}

/// The devices `gw-0000` … of the pilot.
pub(crate) fn devices(count: usize) -> Vec<Device> {
    let device = |n| {
        Device::new(&format!("gw-{n:04}"), "gateway-g2")
            .unwrap()
            .tag("pilot")
    };
    (0..count).map(device).collect()
}

pub(crate) fn catalog() -> Catalog {
    let artifact = Artifact::new("http://127.0.0.1/gw.bin", 65_536, Sha256([7; 32]));
    Catalog::new()
        .collection("gateway-os", "gateway-g2")
        .base_image("gateway-os@1.4.0", artifact)
        .group("pilot", r#""pilot" in tags"#)
        .channel("pilot", &["pilot"])
}

pub(crate) fn pilot() -> NewCampaign {
    let [image, channel] = ["gateway-os@1.4.0", "pilot"];
    NewCampaign::new(
        "Pilot 1.4.0",
        image.parse().unwrap(),
        channel.parse().unwrap(),
    )
    .id(CampaignId::from_name("pilot-1.4.0"))
    .mechanism(
        Push::new()
            .max_in_progress_operations(5)
            .max_failure_percentage(10.0),
    )
}
