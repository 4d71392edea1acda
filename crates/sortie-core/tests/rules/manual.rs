//! Rules M: a manual update is the same operation in a stream of its own, whatever the device runs.

use sortie_core::{
    CampaignId, ClaimPhase, ClaimRow, Command, DeviceId, Input, ManualUpdateId, NewManualUpdate,
    Outcome, Rejection, StreamId, TargetReason, TargetStatus, Timestamp, campaign::Status,
};
use sortie_protocol::{Reason, Report, Request, Status as Word, StatusCode};
use uuid::Uuid;

use crate::story::{Story, artifact, image};

fn device() -> DeviceId {
    DeviceId::new("d0").unwrap()
}

fn of_image() -> NewManualUpdate {
    NewManualUpdate::base_image(device(), "os@2.0.0".parse().unwrap())
}

/// A stream in which nothing has been asked for; the device is online with 1.0.0.
fn stream() -> Story {
    let mut story = Story::new(StreamId::Manual(ManualUpdateId::from_name("m")));
    story.slots = vec![story.fleet.slot(&device())];
    story.online(story.slots[0], "1.0.0");
    story
}

impl Story {
    fn ask(&mut self, new: &NewManualUpdate, model: Option<&str>) -> Result<(), Rejection> {
        let update = new.validate(Some(self.image.clone())).unwrap();
        let asked = self.command(Command::RequestManual {
            update: update.into(),
            device_model: model.map(|model| model.parse().unwrap()),
        });
        self.campaign
            .arm_targets(self.slots.clone(), &self.fleet, self.now);
        asked
    }

    fn allow(&self) -> (bool, bool, bool, Option<String>) {
        match self.register(0) {
            Some(Request::Update(_, update)) => {
                let allow = update.allow;
                let decided_on = update.decided_on.clone();
                (
                    allow.downgrade,
                    allow.same_version,
                    allow.system_model,
                    decided_on,
                )
            }
            other => panic!("an Update, not {other:?}"),
        }
    }
}

#[test]
fn m1_whatever_the_device_runs_it_is_sent_and_told_what_it_allows() {
    for running in [Some("1.0.0"), Some("2.0.0"), Some("9.0.0"), Some("x"), None] {
        let mut story = stream();
        story.born(story.slots[0], running, Some("m"));
        story.ask(&of_image(), None).unwrap();
        story.pump();
        assert_eq!(story.target(0).0, TargetStatus::InProgress, "{running:?}");
        assert_eq!(story.allow(), (true, true, false, None));
    }
}

#[test]
fn m1_of_a_base_image_the_device_is_told_version_and_system_model_and_of_a_url_only_where_it_is() {
    let url = NewManualUpdate::url(device(), artifact());
    let base_image = Some(("2.0.0".to_owned(), Some("m".to_owned())));
    for (new, told) in [(of_image(), base_image), (url, None)] {
        let mut story = stream();
        story.ask(&new.acknowledge_risk(), None).unwrap();
        story.pump();
        let Some(Request::Update(_, update)) = story.register(0) else {
            panic!("an Update");
        };
        assert_eq!(update.url, artifact().url);
        let version = update.version.clone();
        assert_eq!(version.map(|version| (version, update.system_model)), told);
    }
}

#[test]
fn m1_what_is_sent_is_named_for_people() {
    let file = NewManualUpdate::file(device(), "f", artifact());
    let url = NewManualUpdate::url(device(), artifact());
    for (new, name) in [
        (of_image(), "os@2.0.0"),
        (file, "the file f"),
        (url, "http://h/a"),
    ] {
        let update = new.validate(Some(image("2.0.0", None))).unwrap();
        assert_eq!(update.source.to_string(), name);
    }
}

#[test]
fn m1_an_image_of_another_or_unknown_system_model_needs_an_acknowledgement() {
    let url = NewManualUpdate::url(device(), artifact());
    let file = NewManualUpdate::file(device(), "f", artifact());
    // What is sent, what the device names, what the inventory says, whether it needs one.
    for (new, named, inventory, risky) in [
        (of_image(), Some("m"), None, false),
        (of_image(), None, Some("m"), false),
        (of_image(), Some("m"), Some("other"), false),
        (of_image(), Some("other"), Some("m"), true),
        (of_image(), None, Some("other"), true),
        (of_image(), None, None, true),
        (url, Some("m"), Some("m"), true),
        (file, Some("m"), Some("m"), true),
    ] {
        let mut story = stream();
        story.born(story.slots[0], Some("1.0.0"), named);
        let asked = story.ask(&new, inventory);
        let refused = matches!(asked, Err(Rejection::RiskNotAcknowledged { .. }));
        assert_eq!(refused, risky, "{new:?} {named:?} {inventory:?}");
        story.ask(&new.acknowledge_risk(), inventory).ok();
        story.pump();
        assert_eq!(story.allow().2, risky, "it is told to allow it");
    }
}

#[test]
fn m3_offline_or_held_it_is_refused_unless_told_to_wait_until_a_date_and_then_it_expires() {
    type Trouble = fn(&mut Story);
    let offline: Trouble = |story| {
        story.fleet.offline(story.slots[0], "");
    };
    let held: Trouble = |story| {
        let row = ClaimRow {
            device: device(),
            number: 4,
            holder: StreamId::Campaign(CampaignId::from_name("other")),
            operation: Uuid::from_u128(9).into(),
            phase: ClaimPhase::Held,
        };
        story.fleet.set_claim(story.slots[0], Some(row));
    };
    let new = of_image().acknowledge_risk();
    for (trouble, why) in [(offline, "not online"), (held, "is held by")] {
        for past in [None, Some(1_000)] {
            let mut story = stream();
            trouble(&mut story);
            let new = past.map_or(new.clone(), |at| new.clone().wait_until(Timestamp(at)));
            let refused = story.ask(&new, None).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        let mut story = stream();
        trouble(&mut story);
        story
            .ask(&new.clone().wait_until(Timestamp(5_000)), None)
            .unwrap();
        story.now.at = Timestamp(4_999);
        story.after(0);
        assert_eq!(story.target(0).0, TargetStatus::Idle);
        story.now.at = Timestamp(5_000);
        story.after(0);
        let expired = (TargetStatus::Failed, Some(TargetReason::Expired));
        assert_eq!(story.target(0), expired);
        assert_eq!(story.status(), (Status::Finished, Some(Outcome::Failure)));
    }
}

#[test]
fn m3_the_devices_word_ends_it_and_nothing_is_tried_again() {
    type Answer = fn(Uuid) -> Report;
    let cases: [(Answer, TargetReason, Outcome); 4] = [
        (
            |o| Report::new(o, Word::Success),
            TargetReason::Updated,
            Outcome::Success,
        ),
        (
            |o| Report::failure(o, StatusCode::UpdateAlreadyInProgress),
            TargetReason::DeviceBusy,
            Outcome::Failure,
        ),
        (
            |o| Report {
                reason: Some(Reason::VersionChanged),
                ..Report::failure(o, StatusCode::InvalidRequest)
            },
            TargetReason::VersionChanged,
            Outcome::Failure,
        ),
        (
            |o| Report::failure(o, StatusCode::SystemRollback),
            TargetReason::SystemRollback,
            Outcome::Failure,
        ),
    ];
    for (answer, reason, outcome) in cases {
        let mut story = stream();
        story.ask(&of_image().acknowledge_risk(), None).unwrap();
        story.pump();
        story.report(0, answer);
        assert_eq!(story.target(0).1, Some(reason));
        assert_eq!(story.status(), (Status::Finished, Some(outcome)));
    }
}

#[test]
fn m3_it_can_be_cancelled_before_it_is_sent_and_after_and_nothing_else() {
    let mut story = stream();
    story.fleet.offline(story.slots[0], "");
    let waits = of_image().acknowledge_risk().wait_until(Timestamp(9_000));
    story.ask(&waits, None).unwrap();
    let refused = story.command(Command::Pause);
    assert!(matches!(refused, Err(Rejection::NotForManual { .. })));
    story.command(Command::Cancel).unwrap();
    let canceled = (TargetStatus::Failed, Some(TargetReason::Canceled));
    assert_eq!(story.target(0), canceled);

    let mut story = stream();
    story.ask(&of_image().acknowledge_risk(), None).unwrap();
    story.pump();
    story.command(Command::Cancel).unwrap();
    assert!(matches!(story.register(0), Some(Request::Cancel { .. })));
    story.says(0, Word::Success);
    assert_eq!(story.target(0).1, Some(TargetReason::Updated), "X3");
}

#[test]
fn m2_an_uploaded_file_is_needed_until_the_operation_has_ended() {
    let file = NewManualUpdate::file(device(), "f", artifact()).acknowledge_risk();
    let mut story = stream();
    story.ask(&file, None).unwrap();
    story.pump();
    assert_eq!(story.campaign.state().upload_to_delete(), None);
    story.fails(0, StatusCode::IOError);
    assert_eq!(story.campaign.state().upload_to_delete(), Some("f"));
    assert!(
        !story.campaign.state().is_over(),
        "L6: there is something left to do"
    );
    story.input(Input::UploadDeleted);
    assert_eq!(story.campaign.state().upload_to_delete(), None);
    assert!(story.campaign.state().is_over());
}

#[test]
fn k2_m3_asking_again_is_nothing_also_after_its_date_and_another_date_is_other_content() {
    let new = of_image().acknowledge_risk();
    let until = |at| new.clone().wait_until(Timestamp(at));
    let mut story = stream();
    story.ask(&until(5_000), None).unwrap();
    story.events.clear();
    for (asked, same) in [
        (until(5_000), true),
        (until(6_000), false),
        (new.clone(), false),
    ] {
        assert_eq!(story.ask(&asked, None).is_ok(), same, "{asked:?}");
    }
    story.now.at = Timestamp(7_000);
    story.ask(&until(5_000), None).unwrap();
    assert_eq!(story.events(), []);
}

#[test]
fn k2_t4_asking_again_after_the_image_was_edited_is_nothing_and_keeps_the_image_as_it_was() {
    let other = NewManualUpdate::base_image(device(), "os@3.0.0".parse().unwrap());
    let mut story = stream();
    story.ask(&of_image().acknowledge_risk(), None).unwrap();
    story.events.clear();
    story.image = image("2.0.0", Some(">= 1.0.0"));
    story.ask(&of_image().acknowledge_risk(), None).unwrap();
    let refused = story.ask(&other.acknowledge_risk(), None);
    assert!(
        matches!(refused, Err(Rejection::Exists { .. })),
        "{refused:?}"
    );
    assert_eq!(story.events(), []);
    let manual = story.campaign.state().manual().unwrap();
    let (_, kept) = manual.source.base_image().unwrap();
    assert_eq!(kept, &image("2.0.0", None));
}
