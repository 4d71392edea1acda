//! Every event as it is stored, against files that are checked in: the log is permanent, so what was
//! written once must be read for ever, and a change of what is written is a deliberate act.
//!
//! `tests/golden/1/` is for schema 1, one event a line. With `SORTIE_WRITE_GOLDEN=1` the files are
//! written anew: look at the difference, and only add lines, unless nothing was ever stored with the
//! old ones.

use std::{collections::BTreeSet, fmt::Debug, fs, path::PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use sortie_protocol::{DeviceId, Reason, Status, StatusCode};
use uuid::Uuid;

use crate::{
    CampaignEvent, CatalogEvent, NewCampaign, NewManualUpdate, OperationId, Push, Sha256, Start,
    TargetIndex, TargetReason, Timestamp,
    campaign::{DeviceWord, End, ImageCopy},
    catalog::Artifact,
};

fn artifact() -> Artifact {
    Artifact::new("https://cdn.example.com/gw.bin", 65_536, Sha256([7; 32]))
}

fn image() -> ImageCopy {
    ImageCopy::new(
        "1.4.0".parse().unwrap(),
        "gateway-g2".parse().unwrap(),
        artifact(),
        Some(">= 1.2.0 and < 2.0.0".parse().unwrap()),
    )
}

fn word(status: Status) -> DeviceWord {
    DeviceWord {
        status,
        code: None,
        reason: None,
        message: String::new(),
    }
}

fn failure() -> DeviceWord {
    DeviceWord {
        status: Status::Failure,
        code: Some(StatusCode::SystemRollback),
        reason: Some(Reason::TrialFailed),
        message: "health check: no network".into(),
    }
}

fn campaign_created() -> Vec<CampaignEvent> {
    let [image, channel] = ["gateway-os@1.4.0", "pilot"];
    let push = Push::new()
        .max_in_progress_operations(50)
        .max_failure_percentage(5.25);
    let new = NewCampaign::new("Pilot", image.parse().unwrap(), channel.parse().unwrap());
    let new = new.mechanism(push.clone());
    let at = new.clone().start(Start::At(Timestamp(1_767_225_600_000)));
    let by_hand = new.clone().start(Start::ByHand).mechanism(
        push.force_downgrade(true)
            .enforce_requirement_when_forced(true)
            .stage_timeout(None),
    );
    let spec = |new: &NewCampaign| Box::new(new.validate().unwrap());
    vec![
        CampaignEvent::CampaignCreated { spec: spec(&new) },
        CampaignEvent::CampaignCreated { spec: spec(&at) },
        CampaignEvent::CampaignEdited {
            spec: spec(&by_hand),
        },
    ]
}

fn manual_update_requested() -> Vec<CampaignEvent> {
    let device = || DeviceId::new("gw-0001").unwrap();
    let of_image = NewManualUpdate::base_image(device(), "gateway-os@1.4.0".parse().unwrap());
    let of_file = NewManualUpdate::file(device(), "rescue.bin", artifact());
    let of_url = NewManualUpdate::url(device(), artifact())
        .acknowledge_risk()
        .wait_until(Timestamp(1_767_225_600_000));
    [of_image, of_file, of_url]
        .into_iter()
        .map(|new| CampaignEvent::ManualUpdateRequested {
            update: Box::new(new.validate(Some(image())).unwrap()),
        })
        .collect()
}

#[expect(clippy::too_many_lines, reason = "a list of all that there is")]
fn campaign_events() -> Vec<CampaignEvent> {
    use CampaignEvent as E;
    let target = TargetIndex(7);
    let version = || Some("1.3.0".into());
    let mut events = vec![E::OwnerChanged {
        epoch: 3,
        nonce: Uuid::from_u128(5),
    }];
    events.extend(campaign_created());
    events.extend([
        E::CampaignDeleted,
        E::CampaignScheduled,
        E::StartRequested,
        E::TargetsAdded {
            devices: ["gw-0001", "00:1a:2b"]
                .map(|d| DeviceId::new(d).unwrap())
                .into(),
        },
        E::CampaignStarted {
            image: Box::new(image()),
        },
        E::CampaignStarted {
            image: Box::new(ImageCopy::new(
                "2.0.0-rc.1+7".parse().unwrap(),
                "gateway-g2".parse().unwrap(),
                artifact(),
                None,
            )),
        },
    ]);
    events.extend(manual_update_requested());
    events.extend([
        E::UploadDeleted,
        E::CommandAccepted,
        E::OperationStarted {
            target,
            claim: 12,
            decided_on: version(),
            replaces: Some(OperationId(Uuid::from_u128(9))),
        },
        E::OperationStarted {
            target,
            claim: 1,
            decided_on: None,
            replaces: None,
        },
        E::RequestRetried { target },
        E::OperationReported {
            target,
            word: word(Status::Acknowledged),
        },
        E::OperationReported {
            target,
            word: DeviceWord {
                status: Status::Error,
                code: Some(StatusCode::NetworkError),
                reason: None,
                message: "no route".into(),
            },
        },
        E::OperationCancelRequested { target },
        E::TargetSucceeded {
            target,
            reason: TargetReason::Updated,
            decided_on: None,
        },
        E::TargetSucceeded {
            target,
            reason: TargetReason::AlreadyAtVersion,
            decided_on: Some("1.4.0".into()),
        },
        E::TargetFailed {
            target,
            reason: TargetReason::SystemRollback,
            end: End::Answered,
            word: Some(failure()),
            decided_on: None,
            system_model: None,
            refusal: None,
        },
        E::TargetFailed {
            target,
            reason: TargetReason::SystemModelMismatch,
            end: End::NotSent,
            word: None,
            decided_on: version(),
            system_model: Some("gateway-g3".into()),
            refusal: None,
        },
        E::TargetFailed {
            target,
            reason: TargetReason::RequestTimeout,
            end: End::Abandoned,
            word: None,
            decided_on: None,
            system_model: None,
            refusal: None,
        },
        E::TargetFailed {
            target,
            reason: TargetReason::DeviceRemoved,
            end: End::Removed,
            word: None,
            decided_on: None,
            system_model: None,
            refusal: None,
        },
        E::TargetFailed {
            target,
            reason: TargetReason::SendRefused,
            end: End::Abandoned,
            word: None,
            decided_on: None,
            system_model: None,
            refusal: Some("not authorised".into()),
        },
        E::TargetDeferred {
            target,
            reason: TargetReason::DeviceBusy,
            word: Some(DeviceWord {
                code: Some(StatusCode::UpdateAlreadyInProgress),
                ..word(Status::Failure)
            }),
        },
        E::TargetDeferred {
            target,
            reason: TargetReason::VersionChanged,
            word: None,
        },
        E::DeviceRemoved { target },
        E::LateReport {
            target,
            word: word(Status::Success),
        },
        E::ContradictoryReport {
            target,
            word: failure(),
        },
        E::ClaimRaised { target, claim: 40 },
        E::CampaignPausing,
        E::CampaignPaused,
        E::CampaignResumed,
        E::CampaignCancelled,
        E::CampaignFailed,
        E::CampaignSucceeded,
    ]);
    events
}

fn catalog_events() -> Vec<CatalogEvent> {
    use CatalogEvent as E;
    let model = || "gateway-g2".parse().unwrap();
    let collection = || "gateway-os".parse().unwrap();
    let texts = |text: &str| [("en-GB".parse().unwrap(), text.to_owned())].into();
    vec![
        E::CatalogOwnerChanged {
            epoch: 1,
            nonce: Uuid::from_u128(5),
        },
        E::SystemModelDeclared {
            system_model: model(),
            name: Some("Gateway 2".into()),
            part_numbers: ["GW2-A".into(), "GW2-B".into()].into(),
        },
        E::SystemModelDeclared {
            system_model: model(),
            name: None,
            part_numbers: BTreeSet::new(),
        },
        E::CollectionDeclared {
            collection: collection(),
            system_model: model(),
            name: Some("Gateway OS".into()),
        },
        E::CollectionDeclared {
            collection: collection(),
            system_model: model(),
            name: None,
        },
        E::BaseImageDeclared {
            collection: collection(),
            version: "1.4.0".parse().unwrap(),
            artifact: artifact(),
            starting_version_requirement: Some("~> 1.2".parse().unwrap()),
            display_names: texts("Spring"),
            descriptions: texts("The release of spring."),
            release_notes: texts("Faster, and smaller."),
        },
        E::BaseImageDeclared {
            collection: collection(),
            version: "1.4.0".parse().unwrap(),
            artifact: artifact(),
            starting_version_requirement: None,
            display_names: [].into(),
            descriptions: [].into(),
            release_notes: [].into(),
        },
        E::GroupDeclared {
            group: "pilot".parse().unwrap(),
            name: Some("The pilot".into()),
            selector: Some(
                r#""pilot" in tags and attributes["app:floor"] >= 2"#
                    .parse()
                    .unwrap(),
            ),
            devices: vec![DeviceId::new("gw-0001").unwrap()],
        },
        E::GroupDeclared {
            group: "pilot".parse().unwrap(),
            name: None,
            selector: None,
            devices: vec![],
        },
        E::ChannelDeclared {
            channel: "beta".parse().unwrap(),
            name: Some("Beta".into()),
            groups: vec!["pilot".parse().unwrap()],
        },
        E::ChannelDeclared {
            channel: "beta".parse().unwrap(),
            name: None,
            groups: vec![],
        },
        E::SystemModelDeleted {
            system_model: model(),
        },
        E::CollectionDeleted {
            collection: collection(),
        },
        E::BaseImageDeleted {
            collection: collection(),
            version: "1.4.0".parse().unwrap(),
        },
        E::GroupDeleted {
            group: "pilot".parse().unwrap(),
        },
        E::ChannelDeleted {
            channel: "beta".parse().unwrap(),
        },
        E::DeviceClaimRaised {
            device: DeviceId::new("gw-0001").unwrap(),
            claim: 4,
        },
        E::DeviceRemovalRecorded {
            device: DeviceId::new("gw-0001").unwrap(),
        },
    ]
}

/// How many kinds there are. Its match has no wildcard, so that a new variant does not compile before
/// it is counted here and written above.
fn campaign_kinds(event: &CampaignEvent) -> usize {
    use CampaignEvent as E;
    match event {
        E::OwnerChanged { .. }
        | E::CampaignCreated { .. }
        | E::CampaignEdited { .. }
        | E::CampaignDeleted
        | E::CampaignScheduled
        | E::StartRequested
        | E::TargetsAdded { .. }
        | E::CampaignStarted { .. }
        | E::ManualUpdateRequested { .. }
        | E::UploadDeleted
        | E::CommandAccepted
        | E::OperationStarted { .. }
        | E::RequestRetried { .. }
        | E::OperationReported { .. }
        | E::OperationCancelRequested { .. }
        | E::TargetSucceeded { .. }
        | E::TargetFailed { .. }
        | E::TargetDeferred { .. }
        | E::DeviceRemoved { .. }
        | E::LateReport { .. }
        | E::ContradictoryReport { .. }
        | E::ClaimRaised { .. }
        | E::CampaignPausing
        | E::CampaignPaused
        | E::CampaignResumed
        | E::CampaignCancelled
        | E::CampaignFailed
        | E::CampaignSucceeded => 28,
    }
}

/// As [`campaign_kinds`].
fn catalog_kinds(event: &CatalogEvent) -> usize {
    use CatalogEvent as E;
    match event {
        E::CatalogOwnerChanged { .. }
        | E::SystemModelDeclared { .. }
        | E::CollectionDeclared { .. }
        | E::BaseImageDeclared { .. }
        | E::GroupDeclared { .. }
        | E::ChannelDeclared { .. }
        | E::SystemModelDeleted { .. }
        | E::CollectionDeleted { .. }
        | E::BaseImageDeleted { .. }
        | E::GroupDeleted { .. }
        | E::ChannelDeleted { .. }
        | E::DeviceClaimRaised { .. }
        | E::DeviceRemovalRecorded { .. } => 13,
    }
}

/// Compares the events with the file, and returns the names of their kinds.
fn compare<E: Serialize + DeserializeOwned + PartialEq + Debug>(
    file: &str,
    events: &[E],
) -> BTreeSet<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("tests/golden/1").join(file);
    let lines: Vec<String> = events
        .iter()
        .map(|event| serde_json::to_string(event).unwrap())
        .collect();
    if std::env::var_os("SORTIE_WRITE_GOLDEN").is_some() {
        fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap();
    let golden: Vec<&str> = golden.lines().collect();
    assert_eq!(
        lines.len(),
        golden.len(),
        "{file} has as many lines as there are events"
    );
    let mut kinds = BTreeSet::new();
    for ((line, golden), event) in lines.iter().zip(golden).zip(events) {
        assert_eq!(line, golden, "{file}: it is written otherwise now");
        let read: E = serde_json::from_str(golden).unwrap();
        assert_eq!(read, *event, "{file}: it is read otherwise now");
        let value: serde_json::Value = serde_json::from_str(golden).unwrap();
        kinds.insert(value["type"].as_str().unwrap().to_owned());
    }
    kinds
}

#[test]
fn every_event_is_written_and_read_as_in_the_golden_files_and_is_in_the_document() {
    let (campaign, catalog) = (campaign_events(), catalog_events());
    let campaign_names = compare("campaign.jsonl", &campaign);
    let catalog_names = compare("catalog.jsonl", &catalog);
    assert_eq!(campaign_names.len(), campaign_kinds(&campaign[0]));
    assert_eq!(catalog_names.len(), catalog_kinds(&catalog[0]));
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let documents = root.join("../../docs");
    // A packaged crate has no documents beside it.
    if documents.is_dir() {
        let document = fs::read_to_string(documents.join("events.md")).unwrap();
        for name in campaign_names.union(&catalog_names) {
            let row = format!("| `{name}` |");
            assert!(
                document.contains(&row),
                "docs/events.md has no row for {name}"
            );
        }
    }
}
