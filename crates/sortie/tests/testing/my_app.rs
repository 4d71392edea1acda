//! What an application would have: its catalog, and its policy of a roll-out.

use sortie::{Artifact, CampaignHandle, CampaignId, Catalog, Engine, NewCampaign, Push, Sha256};

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
    let (image, channel) = (image.parse().unwrap(), channel.parse().unwrap());
    NewCampaign::new("Pilot 1.4.0", image, channel)
        .id(CampaignId::from_name("pilot-1.4.0"))
        .mechanism(push())
}

/// 10 at once, 5 %.
pub(crate) fn push() -> Push {
    Push::new()
        .max_in_progress_operations(10)
        .max_failure_percentage(5.0)
}

pub(crate) async fn roll_out(engine: Engine) -> Result<CampaignHandle, sortie::Error> {
    engine.declare(catalog()).await?;
    Ok(engine.create_campaign(pilot()).await?)
}
