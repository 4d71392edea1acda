//! V, E: what precedes what, written down by hand, since a fixed set of versions needs no arithmetic.

/// Texts that devices name, with their place in SemVer's precedence and their build metadata; none for
/// those that are not SemVer.
const VERSIONS: [(&str, Option<(u32, &str)>); 16] = [
    ("0.9.0", Some((1, ""))),
    ("1.0.0", Some((2, ""))),
    ("1.0.0+7", Some((2, "7"))),
    ("2.0.0-alpha", Some((3, ""))),
    ("2.0.0-rc.1", Some((4, ""))),
    ("2.0.0-rc.2", Some((5, ""))),
    ("2.0.0-rc.10", Some((6, ""))),
    ("2.0.0", Some((7, ""))),
    ("2.0.0+a", Some((7, "a"))),
    ("2.0.0+b", Some((7, "b"))),
    ("2.1.0", Some((8, ""))),
    ("10.0.0", Some((9, ""))),
    ("2.0", None),
    ("v2.0.0", None),
    ("02.0.0", None),
    ("newest", None),
];

/// What devices may say they run.
pub(crate) const TEXTS: [&str; 16] = {
    let mut texts = [""; 16];
    let mut n = 0;
    while n < texts.len() {
        texts[n] = VERSIONS[n].0;
        n += 1;
    }
    texts
};

/// Starting Version Requirements that images have.
pub(crate) const REQUIREMENTS: [&str; 5] = [
    ">= 1.0.0",
    "1.0.0",
    "< 2.0.0",
    "!= 2.0.0-rc.1 and > 0.9.0",
    "0.9.0 or >= 2.0.0-rc.2 and <= 2.0.0",
];

fn place(text: &str) -> Option<(u32, &'static str)> {
    VERSIONS.iter().find(|(known, _)| *known == text)?.1
}

/// V2, by the places of [`VERSIONS`].
fn meets(requirement: &str, running: u32) -> bool {
    match requirement {
        ">= 1.0.0" => running >= 2,
        "1.0.0" => running == 2,
        "< 2.0.0" => running < 7,
        "!= 2.0.0-rc.1 and > 0.9.0" => running != 4 && running > 1,
        "0.9.0 or >= 2.0.0-rc.2 and <= 2.0.0" => running == 1 || (5..=7).contains(&running),
        other => panic!("no meaning is written down for {other}"),
    }
}

/// What becomes of a target whose turn has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    Push,
    Successful(&'static str),
    Failed(&'static str),
}

/// E0 to E5, the first that applies.
pub(crate) fn eligibility(
    image: &str,
    requirement: Option<&str>,
    (force, enforce): (bool, bool),
    device_model: Option<&str>,
    device_version: Option<&str>,
) -> Verdict {
    if device_model.is_some_and(|model| model != "m") {
        return Verdict::Failed("system_model_mismatch"); // E0
    }
    let Some(running) = device_version else {
        return Verdict::Failed("missing_version"); // E1
    };
    let Some((running, running_build)) = place(running) else {
        return Verdict::Failed("invalid_version"); // E1
    };
    let (image, image_build) = place(image).expect("images have SemVer versions");
    if image == running && image_build == running_build {
        return Verdict::Successful("already_at_version"); // E2
    }
    if image == running && !force {
        return Verdict::Failed("ambiguous_version_ordering"); // E3
    }
    if image < running && !force {
        return Verdict::Failed("downgrade_not_allowed"); // E4
    }
    if requirement.is_some_and(|requirement| !meets(requirement, running)) && (!force || enforce) {
        return Verdict::Failed("version_requirement_not_matched"); // E5
    }
    Verdict::Push
}
