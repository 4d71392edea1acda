//! This service's policy: what is rolled out to whom, how many at once, and when it is stopped.

use sortie::{Artifact, CampaignHandle, CampaignId, Catalog, Engine, NewCampaign, Push};

/// A firmware that is to be rolled out.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// Its file.
    pub artifact: Artifact,
}

/// Rolls a release out to all units in the field: 10 at once, and no further once more than 5 % of
/// them have failed. Units in the lab have their own ways.
///
/// It may be called again with the same release: there is one campaign for each version.
///
/// # Errors
/// [`sortie::Error`].
pub async fn roll_out(engine: Engine, release: &Release) -> Result<CampaignHandle, sortie::Error> {
    let image = format!("unit-firmware@{}", release.version);
    let catalog = Catalog::new()
        .collection("unit-firmware", "unit-r1")
        .base_image(&image, release.artifact.clone())
        .group("field", r#""field" in tags"#)
        .channel("field", &["field"]);
    engine.declare(catalog).await?;
    let name = format!("Units to {}", release.version);
    let campaign = NewCampaign::new(&name, image.parse()?, "field".parse()?)
        .id(CampaignId::from_name(&image))
        .mechanism(
            Push::new()
                .max_in_progress_operations(10)
                .max_failure_percentage(5.0),
        );
    Ok(engine.create_campaign(campaign).await?)
}
