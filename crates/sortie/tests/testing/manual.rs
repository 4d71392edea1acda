//! Manual OTA Updates as a caller meets them (M).

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use sortie::{
    Artifact, BaseImageId, BoxError, CampaignEvent, Catalog, Clock, CommandError, CommandId,
    DeviceId, Event, ManualUpdateId, NewBaseImage, NewManualUpdate, Rejection, Sha256, StreamId,
    TargetReason, TargetStatus, Timestamp, Uploads, async_trait,
    testing::{Bed, Play},
};

use crate::{
    add,
    my_app::{self, pilot},
};

const MINUTES: fn(u64) -> Duration = Duration::from_mins;

fn gateway(n: u32) -> DeviceId {
    DeviceId::new(&format!("gw-{n:04}")).unwrap()
}

fn image(n: u32) -> NewManualUpdate {
    NewManualUpdate::base_image(gateway(n), "gateway-os@1.4.0".parse().unwrap())
}

fn url(n: u32) -> NewManualUpdate {
    let artifact = Artifact::new("http://127.0.0.1/rescue.bin", 10, Sha256([9; 32]));
    NewManualUpdate::url(gateway(n), artifact)
}

fn later(bed: &Bed, minutes: i64) -> Timestamp {
    Timestamp(bed.clock().now().0 + minutes * 60_000)
}

async fn bed(devices: usize) -> Bed {
    let bed = Bed::start(1).await.unwrap();
    add(&bed, devices);
    bed.engine().declare(my_app::catalog()).await.unwrap();
    bed.fleet().on_update(|_| Play::Succeeds(MINUTES(2)));
    bed
}

/// Lets presences arrive.
async fn hear(bed: &mut Bed) {
    bed.run_for(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn m_a_base_image_is_sent_to_one_device_and_its_word_ends_it() {
    let mut bed = bed(2).await;
    hear(&mut bed).await;
    let asked = bed.clock().now();
    let operation = bed.run(bed.engine().manual_update(image(1))).await.unwrap();
    let row = bed.run(operation.finished()).await.unwrap();
    assert_eq!(row.status, TargetStatus::Successful);
    assert_eq!(row.reason, Some(TargetReason::Updated));
    assert_eq!(bed.fleet().operations_seen(), 1);
    let again = bed.engine();
    let id = operation.manual_id().unwrap();
    assert_eq!(operation.stream(), StreamId::Manual(id));
    let found = bed.run(again.operation(id)).await.unwrap();
    assert_eq!(bed.run(found.target()).await.unwrap(), row);
    let story = bed.run(found.explain()).await.unwrap().to_string();
    assert!(story.contains("successful, updated"), "{story}");
    let device = gateway(1);
    let history = bed
        .run(again.device_history(&device, None, 10))
        .await
        .unwrap()
        .rows;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].stream, operation.stream());
    assert_eq!(history[0].started_at, Some(asked));
    assert_eq!(history[0].name, "manual update: gateway-os@1.4.0");
}

#[tokio::test]
async fn a_watch_shows_what_the_device_says_on_the_way() {
    let mut bed = bed(1).await;
    hear(&mut bed).await;
    let operation = bed.run(bed.engine().manual_update(image(1))).await.unwrap();
    let mut watch = operation.watch();
    let rows = async {
        let mut rows = vec![];
        while let Some(row) = watch.next().await {
            rows.push(row);
        }
        rows
    };
    let rows = bed.run(rows).await;
    assert_eq!(rows.last().unwrap().status, TargetStatus::Successful);
    let heard: Vec<_> = rows.iter().filter_map(|row| row.heard).collect();
    let on_the_way = heard.iter().filter(|status| !status.is_terminal()).count();
    assert!(on_the_way >= 3, "{heard:?}");
}

#[tokio::test]
async fn m1_an_image_of_an_unknown_system_model_needs_an_acknowledgement_which_the_log_keeps() {
    let mut bed = bed(1).await;
    hear(&mut bed).await;
    let refused = bed.run(bed.engine().manual_update(url(1))).await;
    let Err(CommandError::Refused(why)) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        matches!(why, Rejection::RiskNotAcknowledged { .. }),
        "{why}"
    );
    let text = why.to_string();
    assert!(
        text.contains("the device gw-0001 is ") && text.contains("brick"),
        "{text}"
    );
    let update = url(1).acknowledge_risk();
    let operation = bed.run(bed.engine().manual_update(update)).await.unwrap();
    let log = bed.log().read_now(operation.stream(), 0, 10);
    let asked = log.commits.iter().flat_map(|commit| &commit.events);
    let mut updates = asked.filter_map(|event| match event {
        Event::Campaign(CampaignEvent::ManualUpdateRequested { update }) => Some(update),
        _ => None,
    });
    assert!(updates.next().unwrap().risk_acknowledged);
}

#[tokio::test]
async fn m3_what_can_t_start_now_is_refused_and_says_why_unless_it_was_told_to_wait() {
    let mut bed = bed(2).await;
    hear(&mut bed).await;
    let unknown = DeviceId::new("nobody").unwrap();
    let unknown = NewManualUpdate::base_image(unknown, "gateway-os@1.4.0".parse().unwrap());
    let answer = bed.run(bed.engine().manual_update(unknown)).await;
    assert_eq!(
        answer.unwrap_err(),
        CommandError::NotFound("device nobody".into())
    );

    bed.fleet().offline("gw-0001");
    hear(&mut bed).await;
    let answer = bed.run(bed.engine().manual_update(image(1))).await;
    let device = gateway(1);
    let offline = CommandError::Refused(Rejection::DeviceOffline { device });
    assert_eq!(answer.unwrap_err(), offline);

    let campaign = bed
        .run(bed.engine().create_campaign(pilot()))
        .await
        .unwrap();
    hear(&mut bed).await;
    let answer = bed.run(bed.engine().manual_update(image(2))).await;
    let held = CommandError::Refused(Rejection::DeviceHeld {
        device: gateway(2),
        by: StreamId::Campaign(campaign.id()),
    });
    assert_eq!(answer.unwrap_err(), held);
    // No stream was made for what was refused.
    let streams = bed.log().streams_now();
    assert!(
        !streams
            .iter()
            .any(|stream| matches!(stream, StreamId::Manual(_)))
    );
}

#[tokio::test]
async fn o2_a_manual_update_that_waits_goes_before_the_campaign_once_the_device_is_free() {
    let mut bed = bed(1).await;
    // So that the second campaign wants the device, too.
    bed.fleet().on_update(|_| Play::Fails {
        code: sortie::StatusCode::IOError,
        after: MINUTES(1),
    });
    let first = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    hear(&mut bed).await;
    let second = pilot().id(sortie::CampaignId::from_name("second"));
    let second = bed.run(bed.engine().create_campaign(second)).await.unwrap();
    let until = later(&bed, 60);
    let manual = bed
        .run(bed.engine().manual_update(image(1).wait_until(until)))
        .await
        .unwrap();
    bed.run(first.finished()).await.unwrap();
    hear(&mut bed).await;
    assert_eq!(
        bed.run(manual.target()).await.unwrap().status,
        TargetStatus::InProgress
    );
    let story = bed.run(second.explain(&gateway(1))).await.unwrap();
    let holder = r#"of "manual update: gateway-os@1.4.0" (manual/"#;
    assert!(story.to_string().contains(holder), "{story}");
}

#[tokio::test]
async fn m3_unsent_by_its_date_it_fails_expired_also_over_a_restart() {
    let mut bed = bed(1).await;
    bed.fleet().offline("gw-0001");
    hear(&mut bed).await;
    let until = later(&bed, 30);
    let update = image(1)
        .id(ManualUpdateId::from_name("m"))
        .wait_until(until);
    bed.run(bed.engine().manual_update(update.clone()))
        .await
        .unwrap();
    bed.run_for(MINUTES(10)).await;
    bed.crash_and_restart().await.unwrap();
    let operation = bed.run(bed.engine().manual_update(update)).await.unwrap();
    let row = bed.run(operation.finished()).await.unwrap();
    assert_eq!(row.reason, Some(TargetReason::Expired));
    assert!(bed.clock().now() >= until);
    assert_eq!(bed.fleet().operations_seen(), 0);
}

#[tokio::test]
async fn x2_a_waiting_update_is_cancelled_at_once_and_one_under_way_by_the_device() {
    let mut bed = bed(2).await;
    bed.fleet().offline("gw-0001");
    bed.fleet().on_update(|_| Play::Stalls);
    hear(&mut bed).await;
    let until = later(&bed, 30);
    let waiting = bed
        .run(bed.engine().manual_update(image(1).wait_until(until)))
        .await
        .unwrap();
    bed.run(waiting.cancel()).await.unwrap();
    let row = bed.run(waiting.target()).await.unwrap();
    assert_eq!(row.reason, Some(TargetReason::Canceled));
    let stalled = bed.run(bed.engine().manual_update(image(2))).await.unwrap();
    bed.run_for(MINUTES(1)).await;
    bed.run(stalled.cancel()).await.unwrap();
    let row = bed.run(stalled.finished()).await.unwrap();
    assert_eq!(row.reason, Some(TargetReason::Canceled));
    let late = bed.run(stalled.cancel()).await.unwrap_err();
    assert!(
        matches!(
            late,
            CommandError::Refused(Rejection::NothingUnderWay { .. })
        ),
        "{late}"
    );
}

#[tokio::test]
async fn k1_k2_asking_again_is_answered_by_what_exists_and_other_content_is_refused() {
    let mut bed = bed(2).await;
    hear(&mut bed).await;
    let id = ManualUpdateId::from_name("m");
    let click = CommandId::from_name("click");
    let ask = |n| bed.engine().manual_update(image(n).id(id)).id(click);
    let (first, again) = (ask(1), ask(1));
    let first = bed.run(first).await.unwrap();
    bed.run(first.finished()).await.unwrap();
    bed.fleet().remove("gw-0001");
    let again = bed.run(again).await.unwrap();
    assert_eq!(again.stream(), first.stream());
    let other = bed.engine().manual_update(image(2).id(id));
    let other = bed.run(other).await.unwrap_err();
    let exists = Rejection::Exists {
        stream: StreamId::Manual(id),
    };
    assert_eq!(other, CommandError::Refused(exists));
}

#[tokio::test]
async fn k1_k2_a_repeat_is_answered_also_when_its_image_was_edited_or_deleted_since() {
    let mut bed = bed(1).await;
    hear(&mut bed).await;
    // So many that the last one is not read at once after a restart.
    let mut ids: Vec<_> = (0..40)
        .map(|n| ManualUpdateId::from_name(&n.to_string()))
        .collect();
    ids.sort_unstable();
    let id = ids.pop().unwrap();
    for id in ids {
        let other = bed.engine().manual_update(image(1).id(id));
        let other = bed.run(other).await.unwrap();
        bed.run(other.finished()).await.unwrap();
    }
    let click = CommandId::from_name("click");
    let ask = |bed: &Bed| bed.engine().manual_update(image(1).id(id));
    let first = bed.run(ask(&bed).id(click)).await.unwrap();
    bed.run(first.finished()).await.unwrap();
    let base_image = || "gateway-os@1.4.0".parse::<BaseImageId>().unwrap();
    let artifact = Artifact::new("http://127.0.0.1/gw.bin", 65_536, Sha256([7; 32]));
    let edited = NewBaseImage::new("gateway-os@1.4.0", artifact);
    let edited = Catalog::new().with(edited.starting_version_requirement(">= 1.0.0"));
    assert_eq!(bed.run(bed.engine().declare(edited)).await.unwrap(), 1);
    for what in ["edited", "deleted", "deleted, and the log is being read"] {
        match what {
            "edited" => {}
            "deleted" => bed.run(bed.engine().delete(base_image())).await.unwrap(),
            _ => bed.crash_and_restart().await.unwrap(),
        }
        for command in [ask(&bed).id(click), ask(&bed)] {
            let again = bed.run(command).await.unwrap();
            assert_eq!(again.stream(), first.stream(), "{what}");
        }
    }
    let other = NewManualUpdate::base_image(gateway(1), "gateway-os@1.5.0".parse().unwrap());
    let other = bed.engine().manual_update(other.id(id));
    let other = bed.run(other).await.unwrap_err();
    assert!(matches!(other, CommandError::Invalid(_)), "{other}");
}

#[tokio::test]
async fn k1_a_repeat_is_answered_also_while_the_log_is_being_read_and_its_device_is_gone() {
    let mut bed = bed(1).await;
    hear(&mut bed).await;
    let id = ManualUpdateId::from_name("m");
    let click = CommandId::from_name("click");
    let ask = |bed: &Bed| bed.engine().manual_update(image(1).id(id)).id(click);
    let first = bed.run(ask(&bed)).await.unwrap();
    bed.run(first.finished()).await.unwrap();
    bed.fleet().remove("gw-0001");
    bed.crash_and_restart().await.unwrap();
    let again = bed.run(ask(&bed)).await.unwrap();
    assert_eq!(again.stream(), first.stream());
}

#[tokio::test]
async fn k1_a_command_that_changes_nothing_is_recorded_too_so_that_its_repeat_is_accepted() {
    let mut bed = bed(1).await;
    bed.fleet().on_update(|_| Play::Stalls);
    hear(&mut bed).await;
    let operation = bed.run(bed.engine().manual_update(image(1))).await.unwrap();
    bed.run_for(MINUTES(1)).await;
    bed.run(operation.cancel()).await.unwrap();
    let second = CommandId::from_name("second click");
    bed.run(operation.cancel().id(second)).await.unwrap();
    bed.run(operation.finished()).await.unwrap();
    bed.run(operation.cancel()).await.unwrap_err();
    bed.run(operation.cancel().id(second)).await.unwrap();
    bed.crash_and_restart().await.unwrap();
    let id = operation.manual_id().unwrap();
    assert_eq!(operation.stream(), StreamId::Manual(id));
    let operation = bed.engine();
    let operation = bed.run(operation.operation(id)).await.unwrap();
    bed.run(operation.cancel().id(second)).await.unwrap();
}

/// Deletes files at the third try.
#[derive(Debug, Clone, Default)]
struct Files {
    asked: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Uploads for Files {
    async fn delete(&self, file: &str) -> Result<(), BoxError> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(file.into());
        if asked.len() < 3 {
            return Err("busy".into());
        }
        Ok(())
    }
}

#[tokio::test]
async fn m2_an_uploaded_file_is_deleted_once_its_operation_has_ended_also_over_a_crash() {
    let files = Files::default();
    let asked = || files.asked.lock().unwrap().clone();
    let mut bed = Bed::builder(1)
        .uploads(files.clone())
        .start()
        .await
        .unwrap();
    add(&bed, 1);
    bed.fleet().on_update(|_| Play::Succeeds(MINUTES(2)));
    hear(&mut bed).await;
    let artifact = Artifact::new("http://127.0.0.1/up.bin", 10, Sha256([9; 32]));
    let update = NewManualUpdate::file(gateway(1), "up.bin", artifact).acknowledge_risk();
    let operation = bed.run(bed.engine().manual_update(update)).await.unwrap();
    bed.run_for(MINUTES(1)).await;
    assert_eq!(asked(), Vec::<String>::new());
    bed.run(operation.finished()).await.unwrap();
    hear(&mut bed).await;
    assert!(!asked().is_empty());
    bed.crash_and_restart().await.unwrap();
    bed.run_for(MINUTES(2)).await;
    let log = bed.log().read_now(operation.stream(), 0, 100);
    let events = log.commits.iter().flat_map(|commit| &commit.events);
    let deleted = Event::Campaign(CampaignEvent::UploadDeleted);
    assert_eq!(events.filter(|event| **event == deleted).count(), 1);
    assert_eq!(asked().len(), 3);
}

#[tokio::test]
async fn m2_a_file_is_refused_by_an_engine_that_could_not_delete_it() {
    let mut bed = bed(1).await;
    hear(&mut bed).await;
    let artifact = Artifact::new("http://127.0.0.1/up.bin", 10, Sha256([9; 32]));
    let update = NewManualUpdate::file(gateway(1), "up.bin", artifact).acknowledge_risk();
    let refused = bed
        .run(bed.engine().manual_update(update))
        .await
        .unwrap_err();
    assert!(matches!(refused, CommandError::Invalid(_)), "{refused}");
    assert!(refused.to_string().contains("uploads"), "{refused}");
}

/// Never answers.
#[derive(Debug)]
struct Hanging;

#[async_trait]
impl Uploads for Hanging {
    async fn delete(&self, _: &str) -> Result<(), BoxError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn m2_uploads_that_hang_hold_up_no_campaign() {
    let mut bed = Bed::builder(1).uploads(Hanging).start().await.unwrap();
    add(&bed, 12);
    bed.fleet().on_update(|_| Play::Succeeds(MINUTES(2)));
    hear(&mut bed).await;
    for n in 1..=12 {
        let artifact = Artifact::new("http://127.0.0.1/up.bin", 10, Sha256([9; 32]));
        let update = NewManualUpdate::file(gateway(n), "up.bin", artifact).acknowledge_risk();
        bed.run(bed.engine().manual_update(update)).await.unwrap();
    }
    bed.run_for(MINUTES(4)).await;
    let health = bed.run(bed.engine().health()).await;
    assert!(health.node.starts_waiting.is_empty(), "{health}");
    let text = health.to_string();
    let mut lines = text.lines();
    let stays = lines.find(|line| line.starts_with("upload stays: "));
    assert!(stays.is_some_and(|it| it.contains("(manual/")), "{health}");
    assert!(!health.is_good());
    for n in 1..=12 {
        bed.fleet().runs(gateway(n), "1.3.0");
    }
    bed.run_for(Duration::from_secs(1)).await;
    let campaign = bed.run(my_app::roll_out(bed.engine())).await.unwrap();
    bed.run_for(Duration::from_secs(1)).await;
    assert_eq!(
        campaign.progress().in_progress,
        10,
        "{}",
        campaign.progress()
    );
}
