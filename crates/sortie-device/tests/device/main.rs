//! The device agent as a whole: real downloads, simulated flash, power cuts.

#![expect(clippy::unwrap_used, reason = "what helps a test fails it by a panic")]

mod broker;
mod download;
mod power;
mod rig;
mod server;

use rig::{Rig, image, update};
use server::Server;
use sortie_protocol::{Reason, Status, StatusCode, Uuid};

#[tokio::test]
async fn an_update_goes_through_all_stages_and_the_flash_runs_it() {
    let new = image("2.0.0", 20_500);
    let server = Server::start(&new).await;
    let rig = Rig::new(&image("1.0.0", 9_000));
    rig.broker.ask(update(1, 7, &server.url(), &new, "2.0.0"));
    let report = rig.live_until(rig.broker.ended(Uuid::from_u128(7))).await;
    assert_eq!((report.status, report.code), (Status::Success, None));
    assert_eq!(rig.installed(), "2.0.0");
    let mut stages: Vec<_> = rig
        .broker
        .registers()
        .told
        .iter()
        .map(|r| r.status)
        .collect();
    stages.dedup();
    assert_eq!(
        stages,
        [
            Status::Acknowledged,
            Status::Downloading,
            Status::Deploying,
            Status::Deployed,
            Status::Rebooting,
            Status::Success,
        ]
    );
}

#[tokio::test]
async fn a_device_at_rest_takes_little_memory() {
    let rig = Rig::new(&image("1.0.0", 9_000));
    let running = rig.boot();
    let bytes = size_of_val(&running);
    assert!(bytes < 8 * 1024, "{bytes} bytes");
}

#[tokio::test]
async fn an_unhealthy_image_is_rolled_back_and_said_so() {
    let new = image("2.0.0", 20_500);
    let server = Server::start(&new).await;
    let mut rig = Rig::new(&image("1.0.0", 9_000));
    rig.healthy = false;
    rig.broker.ask(update(1, 7, &server.url(), &new, "2.0.0"));
    let report = rig.live_until(rig.broker.ended(Uuid::from_u128(7))).await;
    assert_eq!(report.code, Some(StatusCode::SystemRollback));
    assert_eq!(report.reason, Some(Reason::HealthCheckFailed));
    assert_eq!(rig.installed(), "1.0.0");
}
