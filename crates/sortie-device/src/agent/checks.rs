//! The device's own checks of an update (A9), first that applies.

use alloc::{borrow::ToOwned, format};
use core::cmp::Ordering;

use semver::Version;
use sortie_protocol::{Reason, StatusCode, Update};

use super::{
    Geometry,
    record::{Failure, URL_BYTES_MAX, is_plain},
};
use crate::settings::Identity;

/// What the checks say of an update that they do not refuse.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is to be installed.
    Start,
    /// What it asks for runs already.
    Already,
}

pub(super) fn check(
    update: &Update,
    identity: &Identity,
    geometry: Geometry,
) -> Result<Verdict, Failure> {
    let running = identity.version();
    let versions = running.zip(update.version.as_deref());
    if let Some((running, target)) = versions
        && same(running, target)
        && !update.allow.same_version
    {
        return Ok(Verdict::Already);
    }
    if let Some(decided_on) = update.decided_on.as_deref() {
        let running = running.unwrap_or("no known version");
        if !same(running, decided_on) {
            return Err(Failure::because(
                StatusCode::InvalidRequest,
                Reason::VersionChanged,
                format!("{running} runs, not {decided_on}"),
            ));
        }
    }
    if let Some((running, target)) = versions
        && older(target, running)
        && !update.allow.downgrade
    {
        return Err(Failure::because(
            StatusCode::InvalidRequest,
            Reason::DowngradeNotAllowed,
            format!("{target} is older than {running}"),
        ));
    }
    let models = identity
        .system_model
        .as_ref()
        .zip(update.system_model.as_ref());
    if let Some((own, wanted)) = models
        && own != wanted
        && !update.allow.system_model
    {
        return Err(Failure::because(
            StatusCode::InvalidBaseImage,
            Reason::SystemModelMismatch,
            format!("this is no {wanted}"),
        ));
    }
    feasible(update, geometry)
}

/// What this agent can't do at all.
fn feasible(update: &Update, geometry: Geometry) -> Result<Verdict, Failure> {
    let artifact = &update.artifact;
    if update.url.len() > URL_BYTES_MAX || !is_plain(&update.url) {
        let message = "the URL is too long or malformed".to_owned();
        return Err(Failure::new(StatusCode::InvalidRequest, message));
    }
    if artifact.format != "raw" {
        let message = format!("format {:?} is not known", artifact.format);
        return Err(Failure::new(StatusCode::InvalidRequest, message));
    }
    if artifact.size == 0 || artifact.size > geometry.capacity {
        return Err(Failure::because(
            StatusCode::InvalidBaseImage,
            Reason::SizeMismatch,
            format!("a slot has {} bytes", geometry.capacity),
        ));
    }
    Ok(Verdict::Start)
}

/// The same version, build metadata included.
fn same(one: &str, other: &str) -> bool {
    match (Version::parse(one), Version::parse(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// Of lower precedence; unknown between texts that are no SemVer.
fn older(one: &str, other: &str) -> bool {
    match (Version::parse(one), Version::parse(other)) {
        (Ok(one), Ok(other)) => one.cmp_precedence(&other) == Ordering::Less,
        _ => false,
    }
}
