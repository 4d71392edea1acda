//! Rules T and S3 over the catalog: what is declared, what is deleted, and what is refused.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic on purpose")]

mod declare;
mod delete;
mod limits;
mod model;
mod stored;

use sortie_core::{
    BaseImageId, CampaignEvent, CampaignId, Catalog, CatalogEvent, CatalogState, Invalid,
    NewCampaign, Push, Sha256, State, Timestamp,
    campaign::ImageCopy,
    catalog::{Artifact, NewBaseImage, NewGroup, Use},
};

fn artifact(byte: u8) -> Artifact {
    Artifact::new("http://127.0.0.1/a.bin", 10, Sha256([byte; 32]))
}

/// One of each, and all that belongs to it.
fn draft() -> Catalog {
    let image = NewBaseImage::new("gateway-os@1.4.0", artifact(1))
        .starting_version_requirement(">= 1.0.0")
        .display_name("en", "Gateway 1.4")
        .release_notes("en", "Faster to start.");
    Catalog::new()
        .collection("gateway-os", "gateway-g2")
        .with(image)
        .group("pilot", r#""pilot" in tags"#)
        .group_of("lab", &["gw-2", "gw-1", "gw-2"])
        .channel("pilot", &["pilot", "lab", "pilot"])
}

/// Plans a draft, and folds what is planned.
fn declare(state: &mut CatalogState, draft: &Catalog) -> Result<Vec<CatalogEvent>, Invalid> {
    let events = draft.plan(state)?;
    for event in &events {
        state.apply(Timestamp(0), event);
    }
    Ok(events)
}

fn declared(draft: &Catalog) -> CatalogState {
    let mut state = CatalogState::default();
    declare(&mut state, draft).unwrap();
    state
}

fn fields(invalid: &Invalid) -> Vec<&str> {
    invalid.0.iter().map(|e| e.field.as_str()).collect()
}

/// How far a campaign has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Created,
    Started,
    /// It failed, with an operation under way.
    Draining,
    Over,
    Deleted,
}

fn new_campaign(image: &str, channel: &str) -> NewCampaign {
    let push = Push::new()
        .max_in_progress_operations(1)
        .max_failure_percentage(0.0);
    NewCampaign::new("c", image.parse().unwrap(), channel.parse().unwrap()).mechanism(push)
}

/// A campaign as its log says it is.
fn campaign(id: CampaignId, image: &str, channel: &str, stage: Stage) -> State {
    let spec = new_campaign(image, channel).validate().unwrap();
    let BaseImageId { version, .. } = image.parse().unwrap();
    let image = ImageCopy::new(version, "m".parse().unwrap(), artifact(1), None);
    let target = sortie_core::TargetIndex(0);
    let started = [
        CampaignEvent::CampaignCreated { spec: spec.into() },
        CampaignEvent::TargetsAdded {
            devices: vec!["d".parse().unwrap()],
        },
        CampaignEvent::CampaignStarted {
            image: image.into(),
        },
        CampaignEvent::OperationStarted {
            target,
            claim: 1,
            decided_on: None,
            replaces: None,
        },
    ];
    let more = match stage {
        Stage::Created => &started[..1],
        _ => &started[..],
    };
    let mut events = more.to_vec();
    match stage {
        Stage::Created | Stage::Started => {}
        Stage::Draining => events.push(CampaignEvent::CampaignFailed),
        Stage::Over => events.extend([
            CampaignEvent::TargetSucceeded {
                target,
                reason: sortie_core::TargetReason::Updated,
                decided_on: None,
            },
            CampaignEvent::CampaignSucceeded,
        ]),
        Stage::Deleted => {
            events.truncate(1);
            events.push(CampaignEvent::CampaignDeleted);
        }
    }
    let mut folded = State::new(id);
    for event in &events {
        folded.apply(Timestamp(1), event);
    }
    folded
}

fn uses(campaigns: &[State]) -> Vec<Use> {
    campaigns.iter().filter_map(Use::of).collect()
}

/// A Group that holds by both (T2).
fn both(handle: &str) -> NewGroup {
    NewGroup::new(handle)
        .selector(r#""pilot" in tags"#)
        .devices(["gw-1"])
}
