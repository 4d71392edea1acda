//! What a device's request register must hold, computed from the fold (W2).

use sortie_protocol::{Allow, ArtifactRef, Generation, Request, Update};

use super::{State, Target, TargetIndex};
use crate::{ClaimPhase, OperationId};

impl State {
    /// What the device's request register must hold for an operation in force, or that this
    /// stream abandoned; `None` where it has nothing in force on the target.
    ///
    /// Whether the register is this stream's at all, its claim tells.
    pub fn register(&self, index: TargetIndex) -> Option<Request> {
        let target = self.target(index)?;
        let operation = self.operation(index)?;
        match target.claim_phase()? {
            ClaimPhase::Free => None,
            ClaimPhase::Held if !self.is_cancelling(target) => {
                let update = self.update(target, operation)?;
                let generation = Generation::update(target.claim);
                Some(Request::Update(generation, Box::new(update)))
            }
            ClaimPhase::Held | ClaimPhase::Open => Some(Request::Cancel {
                generation: Generation::cancel(target.claim),
                operation: operation.0,
                route: self.stream().route(),
            }),
        }
    }

    fn update(&self, target: &Target, operation: OperationId) -> Option<Update> {
        let (artifact, version, system_model) = match (self.manual(), self.image()) {
            (Some(manual), _) => {
                let source = &manual.source;
                (source.artifact(), source.version(), source.system_model())
            }
            (None, image) => {
                let image = image?;
                (
                    &image.artifact,
                    Some(&image.version),
                    Some(&image.system_model),
                )
            }
        };
        let allow = match self.manual() {
            // M1: no downgrade check, and the same version is sent too.
            Some(manual) => Allow {
                downgrade: true,
                same_version: true,
                system_model: manual.risk_acknowledged,
            },
            None => Allow {
                downgrade: self.mechanism().is_some_and(|m| m.force_downgrade),
                ..Allow::default()
            },
        };
        // A manual update is for whatever the device runs by then (M1).
        let decided_on = self.decided_on(target).filter(|_| self.manual().is_none());
        Some(Update {
            operation: operation.0,
            route: self.stream().route(),
            url: artifact.url.clone(),
            artifact: ArtifactRef {
                size: artifact.size,
                sha256: artifact.sha256,
                format: "raw".into(),
            },
            allow,
            version: version.map(ToString::to_string),
            system_model: system_model.map(ToString::to_string),
            decided_on: decided_on.map(Into::into),
            session: None,
        })
    }
}
