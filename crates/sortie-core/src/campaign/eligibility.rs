//! Rules E: whether a device is pushed, decided just before the push.

use std::cmp::Ordering;

use super::{ImageCopy, TargetReason, spec::PushSpec};
use crate::{RunningVersion, fleet::FleetDevice};

/// What becomes of a target whose turn has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "rules E end in one of these")]
pub enum Verdict {
    /// Push it.
    Push,
    /// It is successful without a push (E2).
    Successful(TargetReason),
    /// It failed without a push.
    Failed(TargetReason),
}

/// Decides a device, on the version that it reports now. The first rule that applies wins.
pub fn verdict(image: &ImageCopy, mechanism: &PushSpec, device: &FleetDevice) -> Verdict {
    let (system_model, version) = (device.system_model(), device.version());
    judge(image, mechanism, system_model, version)
}

pub(super) fn judge(
    image: &ImageCopy,
    mechanism: &PushSpec,
    system_model: Option<&str>,
    version: Option<&RunningVersion>,
) -> Verdict {
    let forced = mechanism.force_downgrade;
    // E0: also when forced, since conversion is manual.
    if system_model.is_some_and(|model| model != image.system_model.as_str()) {
        return Verdict::Failed(TargetReason::SystemModelMismatch);
    }
    // E1
    let Some(version) = version else {
        return Verdict::Failed(TargetReason::MissingVersion);
    };
    let Some(running) = &version.parsed else {
        return Verdict::Failed(TargetReason::InvalidVersion);
    };
    match image.version.cmp_precedence(running) {
        // E2: also when forced.
        Ordering::Equal if image.version.build == running.build => {
            return Verdict::Successful(TargetReason::AlreadyAtVersion);
        }
        // E3
        Ordering::Equal if !forced => {
            return Verdict::Failed(TargetReason::AmbiguousVersionOrdering);
        }
        // E4
        Ordering::Less if !forced => return Verdict::Failed(TargetReason::DowngradeNotAllowed),
        _ => {}
    }
    // E5
    let enforced = !forced || mechanism.enforce_requirement_when_forced;
    match &image.starting_version_requirement {
        Some(requirement) if enforced && !requirement.matches(running) => {
            Verdict::Failed(TargetReason::VersionRequirementNotMatched)
        }
        _ => Verdict::Push,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewCampaign, Push, Sha256, catalog::Artifact};

    fn check(image: &str, forced: bool, enforce: bool, running: Option<&str>) -> Verdict {
        let image = ImageCopy::new(
            image.parse().unwrap(),
            "gateway-g2".parse().unwrap(),
            Artifact::new("http://127.0.0.1/a", 1, Sha256([0; 32])),
            Some(">= 1.2.0".parse().unwrap()),
        );
        let push = Push::new()
            .max_in_progress_operations(1)
            .max_failure_percentage(0.0)
            .force_downgrade(forced)
            .enforce_requirement_when_forced(enforce);
        let campaign = NewCampaign::new("n", "c@1.0.0".parse().unwrap(), "c".parse().unwrap());
        let mechanism = campaign.mechanism(push).validate().unwrap().mechanism;
        let version = running.map(|text| RunningVersion {
            text: text.into(),
            parsed: semver::Version::parse(text).ok(),
        });
        judge(&image, &mechanism, Some("gateway-g2"), version.as_ref())
    }

    #[test]
    fn e1_to_e5_first_rule_that_applies() {
        use TargetReason as R;
        use Verdict::{Failed, Push, Successful};
        for (image, forced, running, verdict) in [
            ("1.4.0", false, None, Failed(R::MissingVersion)),
            ("1.4.0", true, None, Failed(R::MissingVersion)),
            ("1.4.0", true, Some("banana"), Failed(R::InvalidVersion)),
            (
                "1.4.0",
                false,
                Some("1.4.0"),
                Successful(R::AlreadyAtVersion),
            ),
            (
                "1.4.0",
                true,
                Some("1.4.0"),
                Successful(R::AlreadyAtVersion),
            ),
            (
                "1.4.0+a",
                false,
                Some("1.4.0+b"),
                Failed(R::AmbiguousVersionOrdering),
            ),
            (
                "1.4.0+a",
                false,
                Some("1.4.0"),
                Failed(R::AmbiguousVersionOrdering),
            ),
            ("1.4.0+a", true, Some("1.4.0+b"), Push),
            (
                "1.4.0-rc.1",
                false,
                Some("1.4.0"),
                Failed(R::DowngradeNotAllowed),
            ),
            ("1.4.0", false, Some("1.4.0-rc.1"), Push),
            (
                "1.4.0",
                false,
                Some("1.5.0"),
                Failed(R::DowngradeNotAllowed),
            ),
            ("1.4.0", true, Some("1.5.0"), Push),
            ("1.4.0", false, Some("1.2.0"), Push),
            (
                "1.4.0",
                false,
                Some("1.2.0-rc.1"),
                Failed(R::VersionRequirementNotMatched),
            ),
            (
                "1.4.0",
                false,
                Some("1.1.9"),
                Failed(R::VersionRequirementNotMatched),
            ),
            ("1.4.0", true, Some("1.1.9"), Push),
        ] {
            assert_eq!(
                check(image, forced, false, running),
                verdict,
                "{image} {forced} {running:?}"
            );
        }
        let enforced = check("1.4.0", true, true, Some("1.1.9"));
        assert_eq!(enforced, Failed(R::VersionRequirementNotMatched));
    }
}
