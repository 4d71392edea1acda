//! A model of the engine's side: one claim, its register, and writers that slept.

use sha2::{Digest, Sha256 as Hasher};
use sortie_protocol::{
    Allow, ArtifactRef, Birth, Generation, Report, Request, Route, Sha256, Update, Uuid,
};

/// The parts of an operation that its UUID determines, so that a late writer says the same.
#[derive(Clone, Copy)]
pub(crate) struct Artifact(pub(crate) Uuid);

impl Artifact {
    fn bits(self) -> u64 {
        self.0.as_u64_pair().1 >> 8
    }

    pub(crate) fn is_healthy(self) -> bool {
        !self.bits().is_multiple_of(4)
    }

    pub(crate) fn version(self) -> String {
        format!("1.0.{}", self.0.as_u64_pair().1 & 0xff)
    }

    /// What the server sends: the UUID, then more.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let len = 300 + usize::try_from(self.bits() % 900).unwrap();
        let mut bytes = self.0.as_bytes().to_vec();
        bytes.extend((16..len).map(|i| u8::try_from((i * 7 + i / 256) % 251).unwrap()));
        bytes
    }

    pub(crate) fn has_right_digest(self) -> bool {
        !(self.bits() >> 4).is_multiple_of(6)
    }

    fn update(self) -> Update {
        let bytes = self.bytes();
        let mut sha256 = Sha256(Hasher::digest(&bytes).into());
        if !self.has_right_digest() {
            sha256.0[0] ^= 1;
        }
        Update {
            operation: self.0,
            route: route(),
            url: format!("http://server/{}", self.0),
            artifact: ArtifactRef {
                size: bytes.len() as u64,
                sha256,
                format: "raw".into(),
            },
            allow: Allow {
                downgrade: true,
                ..Allow::default()
            },
            version: (self.bits() & 1 == 0).then(|| self.version()),
            system_model: None,
            decided_on: None,
            session: None,
        }
    }
}

pub(crate) fn route() -> Route {
    Route::new("r").unwrap()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Update,
    Cancel,
    None,
}

#[derive(Default)]
pub(crate) struct Engine {
    number: u64,
    claim: Option<(Uuid, Kind)>,
    /// All that was ever written, for those who write it again too late.
    pub(crate) written: Vec<Request>,
}

impl Engine {
    /// The register in force (W1).
    fn register(&self) -> Option<Request> {
        let (operation, kind) = self.claim?;
        Some(match kind {
            Kind::Update => Request::Update(
                Generation::update(self.number),
                Artifact(operation).update().into(),
            ),
            Kind::Cancel => Request::Cancel {
                generation: Generation::cancel(self.number),
                operation,
                route: route(),
            },
            Kind::None => Request::None {
                generation: Generation::none(self.number),
            },
        })
    }

    fn write(&mut self) -> Option<Request> {
        let request = self.register()?;
        self.written.push(request.clone());
        Some(request)
    }

    /// A new operation, if none is held (W7: one abandoned, under Cancel, is replaced).
    pub(crate) fn start(&mut self, operation: Uuid) -> Option<Request> {
        if matches!(self.claim, Some((_, Kind::Update))) {
            return None;
        }
        self.number += 1;
        self.claim = Some((operation, Kind::Update));
        self.write()
    }

    pub(crate) fn cancel(&mut self) -> Option<Request> {
        match &mut self.claim {
            Some((_, kind @ Kind::Update)) => *kind = Kind::Cancel,
            _ => return None,
        }
        self.write()
    }

    /// Raises the claim number, as an engine does that was restored, or that fences a sleeper.
    pub(crate) fn raise(&mut self) -> Option<Request> {
        self.number += 1;
        self.write()
    }

    pub(crate) fn again(&mut self) -> Option<Request> {
        self.write()
    }

    /// W5 (a) and (b).
    pub(crate) fn hears_birth(&mut self, birth: &Birth) -> Option<Request> {
        let heard = birth.generation.unwrap_or_default();
        let own = self.register()?.generation();
        if heard > own {
            self.number = heard.claim_number() + 1;
            return self.write();
        }
        if birth.behind || heard < own {
            return self.write();
        }
        None
    }

    /// The end of the operation, or W5 (c).
    pub(crate) fn hears_report(&mut self, report: &Report) -> Option<Request> {
        match &mut self.claim {
            Some((operation, kind)) if *operation == report.operation => {
                if !report.status.is_terminal() || *kind == Kind::None {
                    return None;
                }
                *kind = Kind::None;
                self.write()
            }
            _ => self.write(),
        }
    }
}
