//! Why a target is where it is: devices that come to different ends, and the story of each.
//!
//! ```text
//! cargo run -p sortie-examples --example explain
//! ```
//!
//! Everything is real but devices and time, which are the test kit's: it takes a second, and the
//! stories take hours. In your service it is `campaign.explain(&device).await?`, printed for people or
//! serialized for programs.

use std::time::Duration;

use sortie::{
    Artifact, Catalog, Device, DeviceId, Engine, Error, Explanation, NewCampaign, Push, Sha256,
    testing::{Bed, Play},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    for story in stories().await? {
        println!("{story}\n");
    }
    Ok(())
}

/// Lets it all happen, and asks.
pub(crate) async fn stories() -> Result<Vec<Explanation>, Error> {
    let mut bed = Bed::start(7).await?;
    let engine = bed.engine();
    engine.declare(catalog()).await?;
    let minutes = Duration::from_mins;
    for (name, tag, version, plays) in [
        (
            "updated",
            "pilot",
            "1.3.0",
            vec![Play::Succeeds(minutes(4))],
        ),
        ("there", "pilot", "1.4.0", vec![]),
        ("newer", "pilot", "1.5.0", vec![]),
        (
            "rolled-back",
            "pilot",
            "1.3.0",
            vec![Play::RollsBack(minutes(4))],
        ),
        ("silent", "pilot", "1.3.0", vec![Play::Silent]),
        (
            "busy",
            "pilot",
            "1.3.0",
            vec![Play::Busy, Play::Succeeds(minutes(4))],
        ),
        ("cancelled", "pilot", "1.3.0", vec![Play::Stalls]),
        ("held", "lab", "1.3.0", vec![Play::Stalls]),
        ("offline", "pilot", "1.3.0", vec![]),
        (
            "bricked",
            "shop",
            "1.3.0",
            vec![Play::RollsBack(minutes(4))],
        ),
        ("spared", "shop", "1.3.0", vec![]),
    ] {
        let device = Device::new(name, "gateway-g2")?.tag(tag);
        let device = if name == "held" {
            device.tag("pilot")
        } else {
            device
        };
        bed.fleet().add(device, version);
        bed.fleet().plays(name, plays);
    }
    bed.fleet().offline("offline");

    let lab = engine
        .create_campaign(campaign("Lab", "lab", 1, 0.0)?)
        .by("carl")
        .await?;
    bed.run_for(minutes(1)).await;
    let pilot = engine
        .create_campaign(campaign("Pilot", "pilot", 20, 50.0)?)
        .by("anna")
        .await?;
    let shop = engine
        .create_campaign(campaign("Shop", "shop", 1, 0.0)?)
        .by("anna")
        .await?;
    bed.run_for(minutes(2)).await;
    pilot
        .cancel_operation(&"cancelled".parse()?)
        .by("bob")
        .await?;
    bed.run_for(minutes(30)).await;

    let mut stories = vec![];
    for name in [
        "updated",
        "there",
        "newer",
        "rolled-back",
        "silent",
        "busy",
        "cancelled",
        "held",
        "offline",
    ] {
        stories.push(pilot.explain(&device(name)?).await?);
    }
    stories.push(lab.explain(&device("held")?).await?);
    for name in ["bricked", "spared"] {
        stories.push(shop.explain(&device(name)?).await?);
    }
    bed.run(shut(engine)).await?;
    Ok(stories)
}

async fn shut(engine: Engine) -> Result<(), Error> {
    Ok(engine.shutdown().await?)
}

fn device(name: &str) -> Result<DeviceId, Error> {
    Ok(name.parse()?)
}

fn campaign(name: &str, channel: &str, limit: u32, percent: f64) -> Result<NewCampaign, Error> {
    let new = NewCampaign::new(name, "gateway-os@1.4.0".parse()?, channel.parse()?);
    Ok(new.mechanism(
        Push::new()
            .max_in_progress_operations(limit)
            .max_failure_percentage(percent),
    ))
}

fn catalog() -> Catalog {
    let artifact = Artifact::new("https://cdn.example.com/gw.bin", 65_536, Sha256([7; 32]));
    Catalog::new()
        .collection("gateway-os", "gateway-g2")
        .base_image("gateway-os@1.4.0", artifact)
        .group("pilot", r#""pilot" in tags"#)
        .group("lab", r#""lab" in tags"#)
        .group("shop", r#""shop" in tags"#)
        .channel("pilot", &["pilot"])
        .channel("lab", &["lab"])
        .channel("shop", &["shop"])
}
