//! What happens to a fleet when what it needs goes away: each outcome has a clear reason, and nobody
//! fails because server or broker were away.

use std::net::Ipv4Addr;

use sortie::{CampaignOutcome, Sha256, TargetReason};
use sortie_examples::{
    broker::EmbeddedBroker,
    fate::Fate,
    firmware::{Firmware, Image, NEW, OLD},
    fleet::Fleet,
    http::ImageServer,
    notes::Notes,
    options::{Faults, Options, Settings},
    port,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::bed::{Bed, PREFIX, end};

const DEVICES: usize = 6;

/// Devices that can all be updated, and know no trouble of their own.
fn fleet(dir: &tempfile::TempDir) -> Fleet {
    let of_seed = |seed| {
        let options = Options {
            devices: Some(DEVICES as u64),
            faults: Some(Faults::None),
            seed: Some(seed),
            hurry: true,
            ..Options::default()
        };
        options.settings(None).unwrap()
    };
    let all_old = |settings: &Settings| {
        let fates = (0..settings.devices).map(|index| Fate::of(settings, index));
        fates
            .into_iter()
            .all(|fate| OLD.contains(&fate.factory.as_str()))
    };
    let settings = (1..1000).map(of_seed).find(all_old).unwrap();
    let firmware = Firmware::load(1, None).unwrap();
    Fleet::open(&settings, &firmware, dir.path()).unwrap()
}

fn switch_on(fleet: &mut Fleet, bed: &Bed) {
    let (notes, _) = Notes::new();
    fleet.switch_on(&bed.broker.url(), PREFIX, &notes).unwrap();
}

/// How many devices run the new version, by their flash.
async fn updated(mut fleet: Fleet) -> usize {
    fleet.switch_off().await;
    let truths = fleet.truths().unwrap();
    let new = truths
        .values()
        .filter(|truth| truth.runs.as_deref() == Some(NEW));
    new.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_what_was_declared_is_installed_nowhere_and_the_reason_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet(&dir);
    let bed = Bed::start(fleet.ids()).await;
    let mut corrupted = bed.firmware.new.bytes.to_vec();
    corrupted[40_000] ^= 1;
    let server = ImageServer::start(&Image::new(NEW, corrupted), None)
        .await
        .unwrap();
    switch_on(&mut fleet, &bed);
    let campaign = bed.roll_out(&server.url(), bed.firmware.new.sha256).await;
    let (outcome, reasons) = end(&campaign).await;
    assert_eq!(outcome, CampaignOutcome::Success, "100 % may fail");
    assert_eq!(reasons, [(TargetReason::InvalidBaseImage, DEVICES)]);
    assert_eq!(updated(fleet).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_the_middle_of_downloads_and_comes_back_fails_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet(&dir);
    let bed = Bed::start(fleet.ids()).await;
    let image = bed.firmware.new.clone();
    let dying = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = dying.local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/images/{}", image.sha256);
    switch_on(&mut fleet, &bed);
    let campaign = bed.roll_out(&url, image.sha256).await;
    // Three are under way at once: each gets the first part of the image, and no more.
    for _ in 0..3 {
        let (mut stream, _) = dying.accept().await.unwrap();
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            image.bytes.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&image.bytes[..20_000]).await.unwrap();
    }
    drop(dying);
    let server = ImageServer::start(&image, Some(port)).await.unwrap();
    assert_eq!(server.url(), url);
    let (outcome, reasons) = end(&campaign).await;
    assert_eq!(outcome, CampaignOutcome::Success);
    assert_eq!(reasons, [(TargetReason::Updated, DEVICES)]);
    assert_eq!(updated(fleet).await, DEVICES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_was_declared_wrong_is_installed_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet(&dir);
    let bed = Bed::start(fleet.ids()).await;
    let server = ImageServer::start(&bed.firmware.new, Some(port::free().await.unwrap()))
        .await
        .unwrap();
    switch_on(&mut fleet, &bed);
    let campaign = bed.roll_out(&server.url(), Sha256([7; 32])).await;
    let (_, reasons) = end(&campaign).await;
    assert_eq!(reasons, [(TargetReason::InvalidBaseImage, DEVICES)]);
    assert_eq!(updated(fleet).await, 0);
}
