//! Repeating a command whose answer was lost: the same id acts once (K1).

use std::time::Duration;

use sortie::{
    CampaignEvent, CommandId, DeviceId, Event, NewCampaign, NewManualUpdate, Start,
    testing::{Bed, Play},
};

use crate::{
    add,
    my_app::{self, push},
};

/// A campaign that was given no id.
fn nameless() -> NewCampaign {
    let [image, channel] = ["gateway-os@1.4.0", "pilot"];
    NewCampaign::new("Pilot", image.parse().unwrap(), channel.parse().unwrap()).mechanism(push())
}

/// A manual update that was given no id.
fn nameless_update() -> NewManualUpdate {
    let device = DeviceId::new("gw-0001").unwrap();
    NewManualUpdate::base_image(device, "gateway-os@1.4.0".parse().unwrap())
}

async fn bed(seed: u64) -> Bed {
    let mut bed = Bed::start(seed).await.unwrap();
    add(&bed, 3);
    bed.fleet()
        .on_update(|_| Play::Succeeds(Duration::from_mins(2)));
    bed.run(bed.engine().declare(my_app::catalog()))
        .await
        .unwrap();
    // Presences arrive.
    bed.run_for(Duration::from_secs(1)).await;
    bed
}

/// How many campaigns and manual updates were ever made.
fn made(bed: &Bed) -> usize {
    let streams = bed.log().streams_now().into_iter();
    let commits = streams.flat_map(|stream| bed.log().read_now(stream, 0, usize::MAX).commits);
    let events = commits.flat_map(|commit| commit.events);
    let made = events.filter(|event| {
        matches!(
            event,
            Event::Campaign(
                CampaignEvent::CampaignCreated { .. } | CampaignEvent::ManualUpdateRequested { .. }
            )
        )
    });
    made.count()
}

#[tokio::test]
async fn k1_a_campaign_without_an_id_is_made_once_by_one_command_also_across_a_restart() {
    let mut bed = bed(1).await;
    let click = CommandId::from_name("click");
    let create = |bed: &Bed| bed.engine().create_campaign(nameless()).id(click);
    let first = bed.run(create(&bed)).await.unwrap().id();
    assert_eq!(bed.run(create(&bed)).await.unwrap().id(), first);
    bed.crash_and_restart().await.unwrap();
    assert_eq!(bed.run(create(&bed)).await.unwrap().id(), first);
    // The first answer, whatever is asked now.
    let other = bed
        .engine()
        .create_campaign(nameless().start(Start::ByHand));
    assert_eq!(bed.run(other.id(click)).await.unwrap().id(), first);
    assert_eq!(made(&bed), 1);

    // Another command is another campaign, and so is one that nobody named.
    let second = CommandId::from_name("a second click");
    let create = bed.engine().create_campaign(nameless());
    assert_ne!(bed.run(create.id(second)).await.unwrap().id(), first);
    let create = bed.engine().create_campaign(nameless());
    assert_ne!(bed.run(create).await.unwrap().id(), first);
    assert_eq!(made(&bed), 3);
}

#[tokio::test]
async fn k1_a_manual_update_without_an_id_is_made_once_by_one_command_also_across_a_restart() {
    let mut bed = bed(1).await;
    let click = CommandId::from_name("click");
    let ask = |bed: &Bed| bed.engine().manual_update(nameless_update()).id(click);
    let first = bed.run(ask(&bed)).await.unwrap();
    assert_eq!(bed.run(ask(&bed)).await.unwrap().stream(), first.stream());
    bed.crash_and_restart().await.unwrap();
    assert_eq!(bed.run(ask(&bed)).await.unwrap().stream(), first.stream());
    assert_eq!(made(&bed), 1);
    // One id for two kinds of things makes two: neither is the answer to the other.
    let create = bed.engine().create_campaign(nameless()).id(click);
    let campaign = bed.run(create).await.unwrap();
    assert_ne!(campaign.id().0, first.stream().uuid());
    assert_eq!(made(&bed), 2);
}
