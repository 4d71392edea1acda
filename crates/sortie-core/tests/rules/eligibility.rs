//! Rules V1 and E: what becomes of a target whose turn has come.

use sortie_core::{
    Input, Outcome, Start, TargetIndex, TargetReason, TargetStatus, campaign::Status,
};
use sortie_protocol::Status as Word;

use crate::story::{Story, image, push};

/// One table's row: image, what the device runs, forced, enforced, requirement, what becomes of it.
type Row = (
    &'static str,
    Option<&'static str>,
    (bool, bool),
    Option<&'static str>,
    (TargetStatus, Option<TargetReason>),
);

const NO: (bool, bool) = (false, false);
const FORCED: (bool, bool) = (true, false);
const ENFORCED: (bool, bool) = (true, true);
const PUSHED: (TargetStatus, Option<TargetReason>) = (TargetStatus::InProgress, None);

fn refused(reason: TargetReason) -> (TargetStatus, Option<TargetReason>) {
    (TargetStatus::Failed, Some(reason))
}

/// A story with one device, whose turn has just come.
fn decided(
    (version, running, (force, enforce), requirement): (
        &str,
        Option<&str>,
        (bool, bool),
        Option<&str>,
    ),
    model: Option<&str>,
) -> Story {
    let push = push(1, 100.0)
        .force_downgrade(force)
        .enforce_requirement_when_forced(enforce);
    let mut story = Story::created(push, Start::Now);
    story.image = image(version, requirement);
    story.snapshot(1);
    story.born(story.slots[0], running, model);
    story.input(Input::Device(TargetIndex(0)));
    story.pump();
    story
}

fn check(rows: &[Row]) {
    for (version, running, forced, requirement, expected) in rows {
        let case = (*version, *running, *forced, *requirement);
        assert_eq!(decided(case, Some("m")).target(0), *expected, "{case:?}");
    }
}

#[test]
fn e0_a_device_that_names_another_system_model_is_refused_also_when_forced() {
    let mismatch = refused(TargetReason::SystemModelMismatch);
    for (model, forced, expected) in [
        (Some("other"), NO, mismatch),
        (Some("other"), FORCED, mismatch),
        (Some("m"), NO, PUSHED),
        (None, NO, PUSHED),
    ] {
        let story = decided(("2.0.0", Some("1.0.0"), forced, None), model);
        assert_eq!(story.target(0), expected, "{model:?}");
    }
    // Before all that follows: it has no version either, and would be there already.
    for running in [None, Some("2.0.0")] {
        let story = decided(("2.0.0", running, NO, None), Some("other"));
        assert_eq!(story.target(0), mismatch);
    }
}

#[test]
fn e1_a_version_that_is_unknown_or_not_semver_is_refused_also_when_forced() {
    let missing = refused(TargetReason::MissingVersion);
    let invalid = refused(TargetReason::InvalidVersion);
    check(&[
        ("2.0.0", None, NO, None, missing),
        ("2.0.0", None, FORCED, None, missing),
        ("2.0.0", Some(""), NO, None, missing),
        ("2.0.0", Some("1.0"), NO, None, invalid),
        ("2.0.0", Some("v1.0.0"), NO, None, invalid),
        ("2.0.0", Some("01.0.0"), FORCED, None, invalid),
        ("2.0.0", Some("latest"), FORCED, None, invalid),
    ]);
}

#[test]
fn v1_e2_the_same_version_and_build_is_there_already_also_when_forced_and_nothing_is_sent() {
    let already = (
        TargetStatus::Successful,
        Some(TargetReason::AlreadyAtVersion),
    );
    check(&[
        ("2.0.0", Some("2.0.0"), NO, None, already),
        ("2.0.0", Some("2.0.0"), FORCED, None, already),
        ("2.0.0+a", Some("2.0.0+a"), NO, None, already),
        ("2.0.0-rc.1", Some("2.0.0-rc.1"), NO, None, already),
        // Before the requirement is looked at.
        ("2.0.0", Some("2.0.0"), NO, Some("< 1.0.0"), already),
        ("2.0.0", Some("2.0.0"), ENFORCED, Some("< 1.0.0"), already),
    ]);
    let story = decided(("2.0.0", Some("2.0.0"), NO, None), None);
    assert_eq!(story.registers, []);
    assert_eq!(story.status(), (Status::Finished, Some(Outcome::Success)));
}

#[test]
fn v1_e3_builds_of_one_version_have_no_order_so_that_only_force_goes_from_one_to_another() {
    let ambiguous = refused(TargetReason::AmbiguousVersionOrdering);
    check(&[
        ("2.0.0+b", Some("2.0.0+a"), NO, None, ambiguous),
        ("2.0.0+a", Some("2.0.0+b"), NO, None, ambiguous),
        ("2.0.0", Some("2.0.0+a"), NO, None, ambiguous),
        ("2.0.0+a", Some("2.0.0"), NO, None, ambiguous),
        ("2.0.0-rc.1+a", Some("2.0.0-rc.1"), NO, None, ambiguous),
        ("2.0.0+b", Some("2.0.0+a"), FORCED, None, PUSHED),
        // Precedence decides before the build does.
        ("2.0.1+a", Some("2.0.0+b"), NO, None, PUSHED),
    ]);
}

#[test]
fn e4_an_older_image_is_refused_unless_forced_and_a_pre_release_is_older_than_its_release() {
    let downgrade = refused(TargetReason::DowngradeNotAllowed);
    check(&[
        ("2.0.0", Some("2.0.1"), NO, None, downgrade),
        ("2.0.0", Some("10.0.0"), NO, None, downgrade),
        ("2.0.0-rc.2", Some("2.0.0"), NO, None, downgrade),
        ("2.0.0-rc.2", Some("2.0.0-rc.10"), NO, None, downgrade),
        ("2.0.0+b", Some("2.0.1+a"), NO, None, downgrade),
        ("2.0.0", Some("2.0.1"), FORCED, None, PUSHED),
        ("2.0.0", Some("2.0.0-rc.2"), NO, None, PUSHED),
        ("2.0.0-rc.10", Some("2.0.0-rc.2"), NO, None, PUSHED),
        // Before the requirement is looked at.
        ("2.0.0", Some("2.0.1"), NO, Some("< 1.0.0"), downgrade),
    ]);
}

#[test]
fn e5_the_starting_requirement_is_met_or_overridden_by_force_unless_it_is_enforced() {
    let unmet = refused(TargetReason::VersionRequirementNotMatched);
    check(&[
        ("2.0.0", Some("1.0.0"), NO, Some(">= 1.2.0"), unmet),
        ("2.0.0", Some("1.2.0"), NO, Some(">= 1.2.0"), PUSHED),
        ("2.0.0", Some("1.2.0-rc.1"), NO, Some(">= 1.2.0"), unmet),
        ("2.0.0", Some("1.2.0+a"), NO, Some("1.2.0"), PUSHED),
        ("2.0.0", Some("1.0.0"), FORCED, Some(">= 1.2.0"), PUSHED),
        ("2.0.0", Some("1.0.0"), ENFORCED, Some(">= 1.2.0"), unmet),
        ("2.0.0", Some("3.0.0"), ENFORCED, Some(">= 1.2.0"), PUSHED),
        ("2.0.0", Some("2.0.0+a"), ENFORCED, Some("< 2.0.0"), unmet),
    ]);
}

#[test]
fn e_a_target_is_decided_on_what_its_device_runs_when_its_turn_comes() {
    let mut story = Story::running(2, push(1, 100.0));
    assert_eq!(story.target(1).0, TargetStatus::Idle, "no slot yet");
    story.online(story.slots[1], "2.0.0");
    story.says(0, Word::Success);
    assert_eq!(story.target(1).1, Some(TargetReason::AlreadyAtVersion));
}
