//! The story of a target, from the events that led to it.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic on purpose")]

use sortie_core::{
    Actor, CampaignEvent, CampaignId, CommandId, DeviceId, Explanation, ManualUpdateId,
    NewCampaign, NewManualUpdate, OperationId, Outcome, Push, Sha256, StreamId, TargetIndex,
    TargetReason, TargetStatus, Timestamp,
    campaign::{DeviceWord, End, ImageCopy},
    catalog::Artifact,
    explain::{By, Happened, Story, Wait, Waiting},
};
use sortie_protocol::{Status as Word, StatusCode};
use uuid::Uuid;

const OWN: TargetIndex = TargetIndex(1);
const OTHER: TargetIndex = TargetIndex(0);

fn device(n: u32) -> DeviceId {
    DeviceId::new(&format!("d{n}")).unwrap()
}

fn by(name: &str) -> By {
    By::new(Actor::new(name), CommandId::from_name(name))
}

fn created() -> CampaignEvent {
    let push = Push::new()
        .max_in_progress_operations(2)
        .max_failure_percentage(33.5);
    let new = NewCampaign::new("Pilot", "os@2.0.0".parse().unwrap(), "all".parse().unwrap());
    let spec = new.mechanism(push).validate().unwrap();
    let spec = Box::new(spec);
    CampaignEvent::CampaignCreated { spec }
}

fn owned(nonce: u128) -> CampaignEvent {
    let nonce = Uuid::from_u128(nonce);
    CampaignEvent::OwnerChanged { epoch: 1, nonce }
}

fn added() -> CampaignEvent {
    let devices = (0..3).map(device).collect();
    CampaignEvent::TargetsAdded { devices }
}

fn started() -> CampaignEvent {
    let artifact = Artifact::new("http://h/a", 1, Sha256([1; 32]));
    let [version, model] = ["2.0.0", "m"];
    CampaignEvent::CampaignStarted {
        image: Box::new(ImageCopy::new(
            version.parse().unwrap(),
            model.parse().unwrap(),
            artifact,
            None,
        )),
    }
}

fn pushed(target: TargetIndex, claim: u64) -> CampaignEvent {
    CampaignEvent::OperationStarted {
        target,
        claim,
        decided_on: Some("1.0.0".into()),
        replaces: None,
    }
}

fn word(status: Word, code: Option<StatusCode>, message: &str) -> DeviceWord {
    DeviceWord {
        status,
        code,
        reason: None,
        message: message.into(),
    }
}

fn reported(status: Word) -> CampaignEvent {
    let word = word(status, None, "");
    CampaignEvent::OperationReported { target: OWN, word }
}

fn failed(
    target: TargetIndex,
    reason: TargetReason,
    end: End,
    word: Option<DeviceWord>,
) -> CampaignEvent {
    CampaignEvent::TargetFailed {
        target,
        reason,
        end,
        word,
        decided_on: None,
        system_model: None,
        refusal: None,
    }
}

/// A campaign over `d0`, `d1`, `d2` that has started, told of `d1`.
fn running() -> Story {
    let mut story = Story::new(StreamId::Campaign(CampaignId::from_name("c")), device(1));
    story.commit(Timestamp(0), &[], [owned(1)].iter());
    story.commit(Timestamp(1_000), &[by("anna")], [created()].iter());
    story.commit(Timestamp(2_000), &[], [added(), started()].iter());
    story
}

/// The story of `d1` in a campaign over three that has started, a second between two commits.
fn told(commits: &[(&[By], &[CampaignEvent])]) -> Explanation {
    let mut story = running();
    for (n, (commands, events)) in (3..).zip(commits) {
        story.commit(Timestamp(n * 1_000), commands, events.iter());
    }
    story.end().unwrap()
}

/// What is told after the start, without the dates, which are those of 1970.
#[track_caller]
fn tells(story: &Explanation, expected: &[&str]) {
    let text = story.to_string().replace("1970-01-01T", "");
    let (head, steps): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| !line.contains(".000Z"));
    let lines: Vec<&str> = head
        .into_iter()
        .chain(steps.into_iter().skip(2))
        .map(str::trim)
        .collect();
    assert_eq!(lines, expected, "\n{text}");
}

#[test]
fn the_words_of_an_update_are_one_line_and_its_end_is_a_sentence() {
    let success = CampaignEvent::TargetSucceeded {
        target: OWN,
        reason: TargetReason::Updated,
        decided_on: None,
    };
    let story = told(&[
        (&[], &[pushed(OTHER, 1), pushed(OWN, 1)]),
        (&[], &[reported(Word::Acknowledged)]),
        (
            &[],
            &[reported(Word::Downloading), reported(Word::Deploying)],
        ),
        (&[], &[success]),
    ]);
    let (device, nonce) = (device(1), Uuid::from_u128(1));
    let id = OperationId::derive(CampaignId::from_name("c").0, &device, 1, nonce);
    tells(
        &story,
        &[
            "d1 in \"Pilot\": successful, updated",
            "the device says that it runs 2.0.0 (R3)",
            &format!("00:00:03.000Z  P3  operation {id} started: 1.0.0 to 2.0.0"),
            "00:00:04.000Z  R2  device: acknowledged, downloading, deploying (until 00:00:05.000Z)",
            "00:00:06.000Z  R3  successful: updated",
        ],
    );
    assert_eq!((story.target, story.version), (Some(OWN), 10));
}

#[test]
fn p4_retries_are_counted_not_told_again_and_a_restart_is_told() {
    let retried = || CampaignEvent::RequestRetried { target: OWN };
    let timed_out = failed(OWN, TargetReason::RequestTimeout, End::Abandoned, None);
    let late = CampaignEvent::LateReport {
        target: OWN,
        word: word(Word::Success, None, ""),
    };
    let mut commits: Vec<(&[By], &[CampaignEvent])> = vec![];
    let events = [
        [pushed(OWN, 1)],
        [retried()],
        [retried()],
        [owned(2)],
        [retried()],
        [timed_out],
        [late],
    ];
    commits.extend(events.iter().map(|events| (&[][..], &events[..])));
    let story = told(&commits[..6]);
    let text = story.to_string();
    assert!(
        text.contains("no word on the request, written 4 times, 5 min each; the device may still be installing (P4)"),
        "{text}"
    );
    let told = told(&commits);
    let steps = &told.steps[3..];
    let kinds: Vec<_> = steps.iter().map(|step| (step.rule, step.times)).collect();
    assert_eq!(
        kinds,
        [("P4", 2), ("C2", 1), ("P4", 1), ("P4", 1), ("R5", 1)]
    );
    assert_eq!(steps[0].until, Some(Timestamp(5_000)));
    assert!(
        told.to_string()
            .contains("the device's late word changes nothing (P4)")
    );
}

#[test]
fn e_a_refusal_names_what_the_device_said_and_that_nothing_was_sent() {
    for (reason, runs, model, why) in [
        (
            TargetReason::SystemModelMismatch,
            "1.0.0",
            Some("g1"),
            "the device says that it is a g1, and os@2.0.0 is for m (E0)",
        ),
        (
            TargetReason::InvalidVersion,
            "2.x",
            None,
            "the device runs \"2.x\", which is not SemVer (E1)",
        ),
        (
            TargetReason::AmbiguousVersionOrdering,
            "2.0.0+b",
            None,
            "the device runs 2.0.0+b, the image is 2.0.0: they differ in build metadata only, and Force Downgrade is off (E3)",
        ),
        (
            TargetReason::DowngradeNotAllowed,
            "3.0.0",
            None,
            "the device runs 3.0.0, which is newer than 2.0.0, and Force Downgrade is off (E4)",
        ),
    ] {
        let refused = CampaignEvent::TargetFailed {
            target: OWN,
            reason,
            end: End::NotSent,
            word: None,
            decided_on: Some(runs.into()),
            system_model: model.map(Into::into),
            refusal: None,
        };
        let (_, rule) = why.trim_end_matches(')').rsplit_once('(').unwrap();
        tells(
            &told(&[(&[], &[refused])]),
            &[
                &format!("d1 in \"Pilot\": failed, {reason}"),
                why,
                &format!("00:00:03.000Z  {rule}  failed: {reason}, nothing was sent"),
            ],
        );
    }
}

#[test]
fn m3_a_manual_update_tells_its_story_in_a_stream_of_its_own() {
    let id = ManualUpdateId::from_name("m");
    let stream = StreamId::Manual(id);
    let artifact = Artifact::new("http://h/a", 1, Sha256([1; 32]));
    let draft = NewManualUpdate::url(device(1), artifact)
        .acknowledge_risk()
        .wait_until(Timestamp(5_000));
    let update = Box::new(draft.validate(None).unwrap());
    let asked_for = CampaignEvent::ManualUpdateRequested { update };
    let expired = failed(TargetIndex(0), TargetReason::Expired, End::NotSent, None);
    let mut story = Story::new(stream, device(1));
    story.commit(
        Timestamp(1_000),
        &[by("anna")],
        [owned(1), asked_for].iter(),
    );
    let waiting = story.clone().end().unwrap();
    assert_eq!(
        (waiting.status, waiting.end),
        (Some(TargetStatus::Idle), None)
    );
    story.commit(Timestamp(6_000), &[], [expired].iter());
    let story = story.end().unwrap();
    assert_eq!(
        (story.stream, story.outcome),
        (stream, Some(Outcome::Failure))
    );
    let text = story.to_string();
    for line in [
        "d1 in \"manual update: http://h/a\": failed, expired",
        "the device was not online and free until 1970-01-01T00:00:05.000Z; nothing was sent (M3)",
        "to wait for the device until 1970-01-01T00:00:05.000Z, whatever its System Model (by anna)",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

/// The story of `d1`, whose manual update ends so at once.
fn manual(end: CampaignEvent) -> String {
    let artifact = Artifact::new("http://h/a", 1, Sha256([1; 32]));
    let draft = NewManualUpdate::url(device(1), artifact).acknowledge_risk();
    let update = Box::new(draft.validate(None).unwrap());
    let asked_for = CampaignEvent::ManualUpdateRequested { update };
    let stream = StreamId::Manual(ManualUpdateId::from_name("m"));
    let mut story = Story::new(stream, device(1));
    let events = [owned(1), asked_for, pushed(TargetIndex(0), 1), end];
    story.commit(Timestamp(1_000), &[by("anna")], events.iter());
    story.end().unwrap().to_string()
}

#[test]
fn m3_a_busy_device_ends_a_manual_update_by_that_rule_after_no_further_try() {
    let busy = word(Word::Failure, Some(StatusCode::UpdateAlreadyInProgress), "");
    let reason = TargetReason::DeviceBusy;
    let text = manual(failed(TargetIndex(0), reason, End::Answered, Some(busy)));
    for line in [
        "\n  the device was busy, and it is not tried again (M3)",
        "M3  device: failure UpdateAlreadyInProgress; failed: device_busy",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn p4_a_request_that_was_written_once_was_not_written_1_times() {
    let reason = TargetReason::RequestTimeout;
    let story = told(&[(
        &[],
        &[pushed(OWN, 1), failed(OWN, reason, End::Abandoned, None)],
    )]);
    let text = story.to_string();
    let why = "\n  no word on the request within 5 min; the device may still be installing (P4)";
    assert!(text.contains(why), "{text}");
}

#[test]
fn s2_f1_a_campaign_with_one_target_has_no_targets() {
    let mut story = Story::new(StreamId::Campaign(CampaignId::from_name("c")), device(0));
    let devices = vec![device(0)];
    let busy = failed(
        TargetIndex(0),
        TargetReason::DeviceBusy,
        End::Answered,
        None,
    );
    let events = [
        created(),
        CampaignEvent::TargetsAdded { devices },
        started(),
        pushed(TargetIndex(0), 1),
        busy,
        CampaignEvent::CampaignFailed,
    ];
    story.commit(Timestamp(0), &[], events.iter());
    let text = story.end().unwrap().to_string();
    for line in [
        "S2  campaign started: its only target",
        "F1  campaign failed: 1 of 1 target failed, more than 33.5 %",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn k1_who_asked_is_told_command_by_command_also_of_one_commit() {
    let pause = CampaignEvent::CampaignPausing;
    let cancel = CampaignEvent::OperationCancelRequested { target: OWN };
    let answered = word(Word::Failure, Some(StatusCode::Canceled), "");
    let canceled = failed(OWN, TargetReason::Canceled, End::Answered, Some(answered));
    let resumed = CampaignEvent::CampaignResumed;
    let story = told(&[
        (&[], &[pushed(OWN, 1)]),
        (&[by("bob"), by("carl")], &[pause, cancel]),
        (&[], &[canceled]),
        // It is over for this target: what becomes of the campaign is told no more.
        (&[by("bob")], &[resumed]),
    ]);
    let text = story.to_string();
    for line in [
        "L2  campaign pausing: nothing new starts (by bob)",
        "X2  cancel of the operation asked for (by carl)",
        "X4  device: failure Canceled; failed: canceled",
        "cancelled by carl; the device answered failure Canceled (X4)",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("resumed"), "{text}");
}

#[test]
fn k1_d1_who_removed_a_device_is_told_and_nobody_when_it_was_found_out() {
    type Commands = &'static [&'static str];
    let removed = failed(OWN, TargetReason::DeviceRemoved, End::NotSent, None);
    let (pause, other) = (
        CampaignEvent::CampaignPausing,
        CampaignEvent::DeviceRemoved { target: OTHER },
    );
    let events = [pause, removed, other];
    // Whose commands are recorded with them, and who is told of the pause and of this removal.
    let cases: [(Commands, &str, &str); 3] = [
        (&["bob", "anna", "carl"], " (by bob)", " (by anna)"),
        (&["bob"], " (by bob)", ""),
        (&["anna", "bob"], " (by one of anna, bob)", ""),
    ];
    for (commands, pause, removal) in cases {
        let commands: Vec<_> = commands.iter().map(|name| by(name)).collect();
        let story = told(&[(&commands, &events)]).to_string();
        for line in [
            format!("L2  campaign pausing: nothing new starts{pause}"),
            format!("D1  failed: device_removed, nothing was sent{removal}"),
        ] {
            assert!(story.lines().any(|told| told.ends_with(&line)), "{story}");
        }
    }
}

#[test]
fn l5_a_target_that_was_never_tried_says_what_came_before_its_turn() {
    let bad = |target| {
        let said = word(Word::Failure, Some(StatusCode::SystemRollback), "no boot");
        failed(
            target,
            TargetReason::SystemRollback,
            End::Answered,
            Some(said),
        )
    };
    let story = told(&[
        (&[], &[pushed(OTHER, 1), pushed(TargetIndex(2), 1)]),
        (
            &[],
            &[
                bad(OTHER),
                bad(TargetIndex(2)),
                CampaignEvent::CampaignFailed,
            ],
        ),
    ]);
    tells(
        &story,
        &[
            "d1 in \"Pilot\": idle",
            "not attempted: the campaign failed before its turn came (L5)",
            "00:00:04.000Z  F1  campaign failed: 2 of 3 targets failed, more than 33.5 %",
        ],
    );
    // And the one whose failure was too many is told so, too.
    let mut own = running();
    own.commit(
        Timestamp(3_000),
        &[],
        [bad(OTHER), bad(OWN), CampaignEvent::CampaignFailed].iter(),
    );
    let own = own.end().unwrap().to_string();
    assert!(
        own.contains("failure SystemRollback \"no boot\" (R3)"),
        "{own}"
    );
    assert!(own.contains("F1  campaign failed: 2 of 3"), "{own}");
}

#[test]
fn o4_a_busy_device_that_was_taken_over_names_what_holds_it_up() {
    let abandoned = OperationId(Uuid::from_u128(7));
    let taken = CampaignEvent::OperationStarted {
        target: OWN,
        claim: 4,
        decided_on: Some("1.0.0".into()),
        replaces: Some(abandoned),
    };
    let busy = CampaignEvent::TargetDeferred {
        target: OWN,
        reason: TargetReason::DeviceBusy,
        word: Some(word(
            Word::Failure,
            Some(StatusCode::UpdateAlreadyInProgress),
            "",
        )),
    };
    let story = told(&[(&[], &[taken]), (&[], &[busy])]);
    let text = story.to_string();
    assert!(
        text.contains(&format!("taking over from the abandoned {abandoned}")),
        "{text}"
    );
    assert!(
        text.contains(&format!(
            "R4  device: failure UpdateAlreadyInProgress; device_busy: tried again after 1 min, 1 of 10; held up by the abandoned operation {abandoned}"
        )),
        "{text}"
    );
    assert_eq!(story.end, None);
}

#[test]
fn o4_the_device_is_held_up_while_it_answers_busy_and_by_nothing_else() {
    let abandoned = OperationId(Uuid::from_u128(7));
    let mut taken = pushed(OWN, 4);
    if let CampaignEvent::OperationStarted { replaces, .. } = &mut taken {
        *replaces = Some(abandoned);
    }
    let deferred = |reason| CampaignEvent::TargetDeferred {
        target: OWN,
        reason,
        word: None,
    };
    let failed = CampaignEvent::TargetFailed {
        target: OWN,
        reason: TargetReason::DeviceBusy,
        end: End::Answered,
        word: None,
        decided_on: None,
        system_model: None,
        refusal: None,
    };
    let (busy, changed) = (TargetReason::DeviceBusy, TargetReason::VersionChanged);
    // Whether the story names it after each word.
    for (first, rest) in [(busy, true), (changed, false)] {
        let again = [
            pushed(OWN, 5),
            deferred(busy),
            pushed(OWN, 6),
            failed.clone(),
        ];
        let events = [taken.clone(), deferred(first)].into_iter().chain(again);
        let story = told(&[(&[], &events.collect::<Vec<_>>())]);
        let held_up: Vec<_> = story
            .steps
            .iter()
            .filter_map(|step| match &step.what {
                Happened::Deferred { held_up_by, .. } | Happened::Failed { held_up_by, .. } => {
                    Some(*held_up_by == Some(abandoned))
                }
                _ => None,
            })
            .collect();
        assert_eq!(held_up, [rest; 3], "{first}: {story}");
    }
}

#[test]
fn a_device_outside_the_snapshot_has_no_story_and_before_it_nobody_has_a_target() {
    let stream = StreamId::Campaign(CampaignId::from_name("c"));
    let mut story = Story::new(stream, device(9));
    assert_eq!(story.clone().end(), None, "there is no campaign yet");
    story.commit(Timestamp(0), &[by("")], [created()].iter());
    let before = story.clone().end().unwrap();
    assert_eq!((before.target, before.status), (None, None));
    assert!(
        before
            .to_string()
            .starts_with("d9 in \"Pilot\": no target yet, the campaign is idle")
    );
    story.commit(Timestamp(1), &[], [added(), started()].iter());
    assert_eq!(story.end(), None);
}

#[test]
fn what_it_waits_for_is_marked_apart_and_programs_read_all_of_it() {
    let mut story = told(&[(&[], &[pushed(OWN, 1)])]);
    let waits = vec![
        Wait::Acknowledgement {
            operation: None,
            nth: 1,
            most: 3,
            due_in_ms: Some(90_000),
        },
        Wait::Online {
            since: Some(Timestamp(0)),
        },
    ];
    story.waiting = Some(Waiting::new(Timestamp(3_600_000), waits));
    let text = story.to_string();
    let (_, live) = text
        .split_once("\nwaits now (1970-01-01T01:00:00.000Z, live, not recorded) for\n")
        .unwrap();
    assert_eq!(
        live,
        "  the device's first word: request written again in 1 min 30 s, 1 of 3 retries made (P4)\n  \
         the device: offline since 1970-01-01T00:00:00.000Z, for 1 h (P1)"
    );
    let json = serde_json::to_value(&story).unwrap();
    assert_eq!(json["status"], "in_progress");
    assert_eq!(json["steps"][2]["happened"], "operation_started");
    assert_eq!(json["steps"][2]["decidedOn"], "1.0.0");
    assert_eq!(json["waiting"]["waits"][0]["waitsFor"], "acknowledgement");
    assert_eq!(json["waiting"]["waits"][0]["dueInMs"], 90_000);
    assert!(matches!(
        story.steps[0].what,
        Happened::Made { edited: false, .. }
    ));
}
