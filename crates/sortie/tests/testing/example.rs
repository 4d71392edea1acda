//! The test that the documentation shows, word for word.

use std::time::Duration;

use sortie::{
    CampaignOutcome, Device,
    testing::{Bed, Play},
};

use crate::my_app;

#[tokio::test] // the default runtime: one thread, so one order of things
async fn a_bad_image_harms_few_devices() -> Result<(), sortie::Error> {
    let mut bed = Bed::start(42).await?; // seed; memory store, scripted fleet, manual clock
    for n in 1..=100 {
        bed.fleet().add(
            Device::new(&format!("gw-{n:04}"), "gateway-g2")?.tag("pilot"),
            "1.3.0",
        );
    }
    bed.fleet()
        .on_update(|_device| Play::RollsBack(Duration::from_mins(4))); // virtual time

    let campaign = bed.run(my_app::roll_out(bed.engine())).await?; // my code: 10 at once, 5 %
    bed.run_for(Duration::from_mins(2)).await;
    bed.crash_and_restart().await?; // as `kill -9` in mid-flight, then `start()` again
    let campaign = bed.engine().campaign(campaign.id()).await?;
    let end = bed.run(campaign.finished()).await?; // jumps from timer to timer

    assert_eq!(end.outcome, Some(CampaignOutcome::Failure));
    assert!(
        end.failed <= 5 + 10,
        "threshold + limit bound the harm: {end}"
    );
    assert_eq!(bed.fleet().operations_seen(), end.failed); // asked of the devices, not of the engine
    Ok(())
}
