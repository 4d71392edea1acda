//! The example tells each story as it should.

#[path = "../explain.rs"]
#[expect(dead_code, reason = "its `main` is not run here")]
mod explain;

#[tokio::test]
async fn each_device_has_the_story_of_its_end() {
    let stories = explain::stories().await.unwrap();
    let expected: [(&str, &[&str]); 12] = [
        (
            "updated in \"Pilot\": successful, updated",
            &[
                "the device says that it runs 1.4.0 (R3)",
                "S3  campaign created, to start at once: 20 at once, fails above 50 % (by anna)",
                "S2  campaign started: one of its 9 targets",
                "started: 1.3.0 to 1.4.0",
                "R2  device: acknowledged, downloading, deploying, deployed, rebooting (until ",
                "R3  successful: updated",
            ],
        ),
        (
            "there in \"Pilot\": successful, already_at_version",
            &["the device ran 1.4.0 already; nothing was sent (E2)"],
        ),
        (
            "newer in \"Pilot\": failed, downgrade_not_allowed",
            &["the device runs 1.5.0, which is newer than 1.4.0, and Force Downgrade is off (E4)"],
        ),
        (
            "rolled-back in \"Pilot\": failed, system_rollback",
            &[
                "the device reported failure SystemRollback (trial_failed)",
                "R3  device: failure SystemRollback (trial_failed)",
            ],
        ),
        (
            "silent in \"Pilot\": failed, request_timeout",
            &[
                "no word on the request, written 4 times, 5 min each; the device may still be installing (P4)",
                "P4  no word yet: request written again, 3 of 3 (until ",
                ", abandoned: it may still be installing, and holds up nobody (O4)",
            ],
        ),
        (
            "busy in \"Pilot\": successful, updated",
            &[
                "R4  device: failure UpdateAlreadyInProgress",
                "device_busy: tried again after 1 min, 1 of 10",
            ],
        ),
        (
            "cancelled in \"Pilot\": failed, canceled",
            &[
                "cancelled by bob; the device answered failure Canceled",
                "X2  cancel of the operation asked for (by bob)",
            ],
        ),
        (
            "held in \"Pilot\": idle",
            &[
                "live, not recorded) for\n  operation ",
                " of \"Lab\" (campaign/",
                "in force on the device (O1)",
            ],
        ),
        (
            "offline in \"Pilot\": idle",
            &["the device: offline since 2026-", ", for 33 min (P1)"],
        ),
        (
            "held in \"Lab\": in_progress",
            &[
                "the device to go on after downloading: given up in ",
                "(C3, C4)",
            ],
        ),
        (
            "bricked in \"Shop\": failed, system_rollback",
            &["F1  campaign failed: 1 of 2 targets failed, more than 0 %"],
        ),
        (
            "spared in \"Shop\": idle",
            &["not attempted: the campaign failed before its turn came (L5)"],
        ),
    ];
    assert_eq!(stories.len(), expected.len());
    for (story, (head, lines)) in stories.iter().zip(expected) {
        let text = story.to_string();
        assert_eq!(text.lines().next(), Some(head), "\n{text}");
        for line in lines {
            assert!(text.contains(line), "{line:?} is missing in\n{text}");
        }
        assert!(
            story.end.is_some() || story.waiting.is_some(),
            "neither an end nor something to wait for\n{text}"
        );
        assert_eq!(text.contains("live, not recorded"), story.waiting.is_some());
    }
}
