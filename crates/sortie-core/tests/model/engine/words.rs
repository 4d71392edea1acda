//! The plain words of the tests, as the core's types, and back.

use std::time::Duration;

use sortie_core::{
    BaseImageId, CampaignEvent, CampaignSpec, Command, DeviceId, ManualUpdate, NewCampaign,
    NewManualUpdate, OperationId, Push, Rejection, Sha256, Start, TargetIndex, Timestamp,
    campaign::{DeviceWord, ImageCopy},
    catalog::Artifact,
};
use sortie_protocol::{Generation, Reason, Report, Request, Status, StatusCode};

use super::{
    super::{
        said,
        step::{Ask, Manual, Shipment, Source, Spec, When, Word},
    },
    Engine,
};

pub(crate) fn device_id(device: usize) -> DeviceId {
    DeviceId::new(&format!("d{device}")).unwrap()
}

pub(crate) fn device_number(id: &DeviceId) -> usize {
    id.as_str()[1..].parse().unwrap()
}

pub(crate) fn index(target: usize) -> TargetIndex {
    TargetIndex(u32::try_from(target).unwrap())
}

pub(crate) fn campaign_spec(spec: &Spec) -> CampaignSpec {
    let ms = Duration::from_millis;
    let push = Push::new()
        .max_in_progress_operations(u32::try_from(spec.limit).unwrap())
        .max_failure_percentage(f64::from(spec.failure_percent))
        .force_downgrade(spec.force)
        .enforce_requirement_when_forced(spec.enforce)
        .request_timeout(ms(spec.request_timeout))
        .request_retries(spec.request_retries)
        .stage_timeout(spec.stage_timeout.map(ms))
        .operation_timeout(ms(spec.operation_timeout))
        .cancel_timeout(ms(spec.cancel_timeout))
        .busy_retries(spec.busy_retries);
    let start = match spec.start {
        When::Now => Start::Now,
        When::ByHand => Start::ByHand,
        When::At(at) => Start::At(Timestamp(at)),
    };
    let new = NewCampaign::new("c", "os@2.0.0".parse().unwrap(), "all".parse().unwrap());
    new.mechanism(push).start(start).validate().unwrap()
}

pub(crate) fn image(shipment: &Shipment) -> ImageCopy {
    let requirement = shipment.requirement.map(|text| text.parse().unwrap());
    image_of(shipment.version, "m", requirement)
}

fn artifact() -> Artifact {
    Artifact::new("http://h/a", 7, Sha256([9; 32]))
}

fn image_of(
    version: &str,
    model: &str,
    requirement: Option<sortie_core::VersionRequirement>,
) -> ImageCopy {
    let (version, model) = (version.parse().unwrap(), model.parse().unwrap());
    ImageCopy::new(version, model, artifact(), requirement)
}

pub(crate) fn manual_update(manual: &Manual) -> ManualUpdate {
    let (ms, timing) = (Duration::from_millis, &manual.timing);
    let device = device_id(manual.device);
    let (new, image) = match manual.source {
        Source::Image(version, model) => {
            let id: BaseImageId = format!("os@{version}").parse().unwrap();
            let image = image_of(version, model, None);
            (NewManualUpdate::base_image(device, id), Some(image))
        }
        Source::File(file) => (NewManualUpdate::file(device, file, artifact()), None),
        Source::Url => (NewManualUpdate::url(device, artifact()), None),
    };
    let mut new = new
        .request_timeout(ms(timing.request_timeout))
        .request_retries(timing.request_retries)
        .stage_timeout(timing.stage_timeout.map(ms))
        .operation_timeout(ms(timing.operation_timeout))
        .cancel_timeout(ms(timing.cancel_timeout));
    if manual.acknowledged {
        new = new.acknowledge_risk();
    }
    if let Some(until) = manual.until {
        new = new.wait_until(Timestamp(until));
    }
    new.validate(image).unwrap()
}

pub(crate) fn status(name: &str) -> Status {
    serde_json::from_value(name.into()).unwrap()
}

pub(crate) fn report(operation: OperationId, word: &Word) -> Report {
    Report {
        percent: word.percent,
        code: word.code.map(StatusCode::from_name),
        reason: word.reason.map(Reason::from_name),
        ..Report::new(operation.0, status(word.status))
    }
}

pub(crate) fn command(ask: &Ask) -> Command {
    match ask {
        Ask::Create(spec) => Command::Create(campaign_spec(spec).into()),
        Ask::Edit(spec) => Command::Edit(campaign_spec(spec).into()),
        Ask::Delete => Command::Delete,
        Ask::Start => Command::Start,
        Ask::Pause => Command::Pause,
        Ask::Resume => Command::Resume,
        Ask::Cancel => Command::Cancel,
        Ask::CancelOperation(target) => Command::CancelOperation(index(*target)),
        Ask::Manual(manual) => Command::RequestManual {
            update: manual_update(manual).into(),
            device_model: manual.inventory_model.map(|model| model.parse().unwrap()),
        },
    }
}

pub(crate) fn refused(rejection: &Rejection) -> String {
    match rejection {
        Rejection::Exists { .. } => "exists already, with other content".into(),
        Rejection::Deleted { .. } => "was deleted".into(),
        Rejection::NoCampaign { .. } => "there is no such stream".into(),
        Rejection::NotForManual { .. } => "it can only be cancelled".into(),
        Rejection::RiskNotAcknowledged { .. } => "the risk is not acknowledged".into(),
        Rejection::NothingUnderWay { status, .. } => {
            format!("cannot cancel the operation: the target is {status}")
        }
        Rejection::DeviceOffline { .. } => "the device is not online".into(),
        Rejection::DeviceHeld { .. } => "the device is held".into(),
        other => other.to_string(),
    }
}

fn in_words(word: Option<&DeviceWord>) -> String {
    let Some(word) = word else {
        return String::new();
    };
    let code = word.code.as_ref().map(|code| format!(" {code}"));
    let reason = word.reason.as_ref().map(|reason| format!(" {reason}"));
    let (code, reason) = (code.unwrap_or_default(), reason.unwrap_or_default());
    format!(" {:?}{code}{reason}", word.status)
}

fn labelled(label: &str, text: Option<&str>) -> String {
    let text = text.map(|text| format!(" {label}={text}"));
    text.unwrap_or_default()
}

impl Engine {
    /// One event, in the words of the rules.
    pub(crate) fn line(&self, event: &CampaignEvent) -> String {
        use CampaignEvent as E;
        let number = event.target().map_or(0, |target| target.0);
        match event {
            E::OwnerChanged { epoch, .. } => format!("OwnerChanged {epoch}"),
            E::CampaignCreated { .. } => "CampaignCreated".into(),
            E::CampaignEdited { .. } => "CampaignEdited".into(),
            E::TargetsAdded { devices } => {
                let devices: Vec<_> = devices.iter().map(device_number).collect();
                format!("TargetsAdded {devices:?}")
            }
            E::CampaignStarted { .. } => "CampaignStarted".into(),
            E::ManualUpdateRequested { .. } => "ManualUpdateRequested".into(),
            E::OperationStarted {
                claim,
                decided_on,
                replaces,
                ..
            } => format!(
                "OperationStarted {number} claim={claim} on={} replaces={:?}",
                decided_on.as_deref().unwrap_or("nothing"),
                replaces.map(|operation| self.operations[&operation])
            ),
            E::RequestRetried { .. } => format!("RequestRetried {number}"),
            E::OperationReported { word, .. } => {
                format!("OperationReported {number}{}", in_words(Some(word)))
            }
            E::OperationCancelRequested { .. } => format!("OperationCancelRequested {number}"),
            E::TargetSucceeded {
                reason, decided_on, ..
            } => {
                let on = labelled("on", decided_on.as_deref());
                format!("TargetSucceeded {number} {reason}{on}")
            }
            E::TargetFailed {
                reason,
                end,
                word,
                decided_on,
                system_model,
                refusal,
                ..
            } => {
                let word = in_words(word.as_ref());
                let on = labelled("on", decided_on.as_deref());
                let model = labelled("model", system_model.as_deref());
                let why = labelled("why", refusal.as_deref());
                format!("TargetFailed {number} {reason} {end:?}{word}{on}{model}{why}")
            }
            E::TargetDeferred { reason, word, .. } => {
                let word = in_words(word.as_ref());
                format!("TargetDeferred {number} {reason}{word}")
            }
            E::DeviceRemoved { .. } => format!("DeviceRemoved {number}"),
            E::LateReport { word, .. } => format!("LateReport {number}{}", in_words(Some(word))),
            E::ContradictoryReport { word, .. } => {
                format!("ContradictoryReport {number}{}", in_words(Some(word)))
            }
            E::ClaimRaised { claim, .. } => format!("ClaimRaised {number} {claim}"),
            // The others have nothing but their name.
            other => format!("{other:?}"),
        }
    }

    /// What the core says that a device's register must hold, in the words of the reference.
    pub(crate) fn register(&self, stream: usize, target: TargetIndex) -> Option<String> {
        let request = self.state(stream).register(target)?;
        let operation = self.operations[&OperationId(request.operation()?)];
        let claim = request.generation().claim_number();
        let own_route = self.state(stream).stream().route();
        Some(match &request {
            Request::Update(generation, update) => {
                assert_eq!(*generation, Generation::update(claim), "W1");
                assert_eq!(update.route, own_route);
                let artifact = &update.artifact;
                assert_eq!((update.url.as_str(), artifact.size), ("http://h/a", 7));
                assert_eq!(artifact.sha256, Sha256([9; 32]));
                assert_eq!(update.session, None, "W6: one node leaves it out");
                let allow = &update.allow;
                let allow = [allow.downgrade, allow.system_model, allow.same_version];
                let (version, model) = (update.version.as_deref(), update.system_model.as_deref());
                let image = version.zip(model);
                assert_eq!(image.is_none(), version.is_none() && model.is_none());
                let decided_on = update.decided_on.as_deref();
                said::update(operation, claim, image, allow, decided_on)
            }
            Request::Cancel {
                generation, route, ..
            } => {
                assert_eq!(
                    (*generation, route),
                    (Generation::cancel(claim), &own_route)
                );
                said::cancel(operation, claim)
            }
            Request::None { .. } => format!("{request:?}"),
        })
    }
}
