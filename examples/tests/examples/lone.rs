//! What the example `device` is made of: one device that learns its versions from requests.

use std::{path::Path, sync::Arc};

use sortie::{CampaignOutcome, DeviceId, TargetReason};
use sortie_examples::{
    broker::EmbeddedBroker,
    chip::Chip,
    diary::Diary,
    fate::Fate,
    firmware::{Image, NEW},
    fleet::SYSTEM_MODEL,
    http::ImageServer,
    machine::Machine,
    notes::Notes,
    troubles::Troubles,
    version_book::VersionBook,
};
use sortie_mqtt::DeviceMqtt;

use crate::bed::{Bed, PREFIX, end};

fn machine(dir: &Path, id: &DeviceId, bed: &Bed, notes: &Notes) -> Machine {
    let factory = Image::new("1.3.0", vec![7; 5_000]);
    let versions = VersionBook::open(dir.join("versions")).unwrap();
    versions.note(factory.sha256, &factory.version);
    let diary = Diary::new(dir.join("diary"));
    let path = dir.join("flash");
    let chip = Chip::open(
        &path,
        1 << 20,
        &factory,
        1,
        diary.clone(),
        bytes::Bytes::new(),
    )
    .unwrap();
    let fate = Fate::easy(&factory.version);
    let mqtt = DeviceMqtt::new(&bed.broker.url(), id.clone()).unwrap();
    Machine {
        id: id.clone(),
        system_model: SYSTEM_MODEL.into(),
        mqtt: mqtt.prefix(PREFIX).unwrap(),
        troubles: Troubles::new(&fate, &chip, &diary, 1 << 20).unwrap(),
        chip,
        diary,
        fate,
        notes: notes.clone(),
        chatty: true,
        versions: Arc::new(versions),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_device_is_updated_tells_so_and_knows_its_version_when_it_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let id = DeviceId::new("lone:1").unwrap();
    let bed = Bed::start([&id]).await;
    let server = ImageServer::start(&bed.firmware.new, None).await.unwrap();
    let (notes, mut heard) = Notes::new();
    let living = tokio::spawn(machine(dir.path(), &id, &bed, &notes).live());
    let campaign = bed.roll_out(&server.url(), bed.firmware.new.sha256).await;
    let (outcome, reasons) = end(&campaign).await;
    assert_eq!(
        (outcome, &reasons[..]),
        (CampaignOutcome::Success, &[(TargetReason::Updated, 1)][..])
    );
    living.abort();
    assert!(living.await.unwrap_err().is_cancelled());

    let mut told = Vec::new();
    while let Ok(note) = heard.try_recv() {
        told.push(note.what);
    }
    for expected in ["boots 1.3.0", "is connected", "boots 1.4.0, on trial"] {
        assert!(
            told.iter().any(|what| what == expected),
            "{expected}: {told:?}"
        );
    }
    assert!(
        told.iter()
            .any(|what| what.starts_with("is asked to update to 1.4.0"))
    );

    let again = machine(dir.path(), &id, &bed, &notes);
    let running = again.chip.running().unwrap();
    assert_eq!(
        again
            .versions
            .version_of(running.sha256.unwrap())
            .as_deref(),
        Some(NEW)
    );
}
