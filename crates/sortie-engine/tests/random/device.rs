//! A model of a device by the rules A of the protocol, with its own journal. It outlives connections
//! and power cuts; it never tells two results for one UUID.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use semver::Version;
use sortie_core::DeviceId;
use sortie_protocol::{
    BaseImage, Birth, Generation, Presence, Reason, Report, Request, Route, Status, StatusCode,
    Update, Uuid,
};

use crate::rng::Rng;

/// How a device behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Temper {
    /// Does what it is asked.
    Good,
    /// Fails most updates.
    Failing,
    /// Acknowledges nothing, or stops half-way.
    Silent,
    /// Has other things to do now and then.
    Busy,
}

pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) connected: bool,
    pub(crate) session: u64,
    pub(crate) version: Option<String>,
    pub(crate) temper: Temper,
    /// Keeps no generations: a shell script.
    minimal: bool,
    seen: Generation,
    behind: bool,
    current: Option<Operation>,
    results: VecDeque<(Uuid, Route, Report)>,
    /// Report registers that are to be emptied once something else is asked.
    ended: Vec<(Route, Uuid)>,
    /// Every result ever told.
    pub(crate) told: BTreeMap<Uuid, Report>,
    /// How often each UUID was booted.
    pub(crate) booted: BTreeMap<Uuid, u32>,
    /// Cancelled before it was ever seen.
    refused: BTreeSet<Uuid>,
}

struct Operation {
    uuid: Uuid,
    route: Route,
    stage: Status,
    version: String,
}

/// What a device publishes.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Presence(Presence),
    Report(Route, Uuid, Option<Report>),
}

impl Device {
    pub(crate) fn new(
        id: DeviceId,
        version: Option<String>,
        temper: Temper,
        minimal: bool,
    ) -> Self {
        Self {
            id,
            connected: false,
            session: 0,
            version,
            temper,
            minimal,
            seen: Generation(0),
            behind: false,
            current: None,
            results: VecDeque::new(),
            ended: vec![],
            told: BTreeMap::new(),
            booted: BTreeMap::new(),
            refused: BTreeSet::new(),
        }
    }

    /// A new connection: its birth, and its current report (A8, A11).
    pub(crate) fn connect(&mut self, session: u64) -> Vec<Said> {
        self.connected = true;
        self.session = session;
        let mut said = vec![Said::Presence(self.birth())];
        said.extend(self.reports());
        said
    }

    pub(crate) fn birth(&self) -> Presence {
        Presence::Online(Birth {
            session: self.session.to_string(),
            generation: (!self.minimal).then_some(self.seen),
            behind: self.behind,
            base_image: self.version.clone().map(|version| BaseImage {
                version,
                ..BaseImage::default()
            }),
            system_model: Some("m".into()),
        })
    }

    fn reports(&self) -> Vec<Said> {
        let current = self.current.as_ref().map(|operation| {
            (
                operation.route.clone(),
                Report::new(operation.uuid, operation.stage),
            )
        });
        let ended = self.ended.iter().filter_map(|(_, uuid)| {
            let (_, route, report) = self.results.iter().find(|(result, ..)| result == uuid)?;
            Some((route.clone(), report.clone()))
        });
        ended
            .chain(current)
            .map(|(route, r)| Said::Report(route, r.operation, Some(r)))
            .collect()
    }

    /// It has seen more than this log ever wrote, as after a restored backup of the engine.
    pub(crate) fn ahead(&mut self, by: u64) {
        self.seen.0 += by;
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.current.is_none()
    }

    /// Its request register, as it stands or as it changed.
    pub(crate) fn request(&mut self, request: &Request, rng: &mut Rng) -> Vec<Said> {
        if !self.minimal {
            // A2
            if request.generation() < self.seen {
                self.behind = true;
                return vec![Said::Presence(self.birth())];
            }
            self.seen = request.generation();
            self.behind = false;
        }
        if self.temper == Temper::Silent && rng.one_in(2) {
            return vec![];
        }
        let mut said = match request {
            Request::None { .. } => self.stop(),
            Request::Cancel {
                operation, route, ..
            } => self.cancel(*operation, route),
            Request::Update(_, update) => self.update(update, rng),
        };
        // A8: what has ended is emptied once something else is asked.
        let keep = request.operation();
        for (route, uuid) in std::mem::take(&mut self.ended) {
            if Some(uuid) == keep {
                self.ended.push((route, uuid));
            } else {
                said.push(Said::Report(route, uuid, None));
            }
        }
        said
    }

    fn update(&mut self, update: &Update, rng: &mut Rng) -> Vec<Said> {
        let uuid = update.operation;
        if let Some(answer) = self.known(uuid) {
            return vec![answer];
        }
        let mut said = vec![];
        if let Some(current) = &self.current {
            if past_no_return(current.stage) {
                let busy = Report::failure(uuid, StatusCode::UpdateAlreadyInProgress);
                return vec![self.end(uuid, &update.route, busy)];
            }
            said.extend(self.stop());
        }
        if self.temper == Temper::Busy && rng.one_in(3) {
            let busy = Report::failure(uuid, StatusCode::UpdateAlreadyInProgress);
            said.push(self.end(uuid, &update.route, busy));
            return said;
        }
        // A9
        let refusal = if update.version == self.version {
            Some(Report::new(uuid, Status::Success))
        } else if update.decided_on != self.version {
            let reason = Some(Reason::VersionChanged);
            Some(Report {
                reason,
                ..Report::failure(uuid, StatusCode::InvalidRequest)
            })
        } else if self.is_downgrade(update) && !update.allow.downgrade {
            let reason = Some(Reason::DowngradeNotAllowed);
            Some(Report {
                reason,
                ..Report::failure(uuid, StatusCode::InvalidRequest)
            })
        } else {
            None
        };
        if let Some(report) = refusal {
            said.push(self.end(uuid, &update.route, report));
            return said;
        }
        assert!(
            !self.refused.contains(&uuid),
            "{uuid} was cancelled before it began, and begins"
        );
        self.current = Some(Operation {
            uuid,
            route: update.route.clone(),
            stage: Status::Acknowledged,
            version: update.version.clone().unwrap(),
        });
        said.push(Said::Report(
            update.route.clone(),
            uuid,
            Some(Report::new(uuid, Status::Acknowledged)),
        ));
        said
    }

    fn is_downgrade(&self, update: &Update) -> bool {
        let parse = |v: &Option<String>| v.as_deref().and_then(|v| Version::parse(v).ok());
        matches!((parse(&update.version), parse(&self.version)), (Some(new), Some(old)) if new < old)
    }

    /// A5: whatever runs is stopped, if it still can be, and the one named is answered.
    fn cancel(&mut self, uuid: Uuid, route: &Route) -> Vec<Said> {
        let mut said = self.stop();
        if let Some(answer) = self.known(uuid) {
            said.push(answer);
        } else {
            self.refused.insert(uuid);
            said.push(self.end(uuid, route, Report::failure(uuid, StatusCode::Canceled)));
        }
        said
    }

    /// Stops what runs, before the point of no return (A6).
    fn stop(&mut self) -> Vec<Said> {
        match self.current.take() {
            Some(operation) if !past_no_return(operation.stage) => {
                let report = Report::failure(operation.uuid, StatusCode::Canceled);
                vec![self.end(operation.uuid, &operation.route, report)]
            }
            other => {
                self.current = other;
                vec![]
            }
        }
    }

    /// A3
    fn known(&self, uuid: Uuid) -> Option<Said> {
        if let Some(o) = self.current.as_ref().filter(|o| o.uuid == uuid) {
            return Some(Said::Report(
                o.route.clone(),
                uuid,
                Some(Report::new(uuid, o.stage)),
            ));
        }
        let (_, route, report) = self.results.iter().find(|(known, ..)| *known == uuid)?;
        Some(Said::Report(route.clone(), uuid, Some(report.clone())))
    }

    fn end(&mut self, uuid: Uuid, route: &Route, report: Report) -> Said {
        let before = self.told.insert(uuid, report.clone());
        assert!(
            before.is_none_or(|b| b == report),
            "{}: two results for {uuid}",
            self.id
        );
        self.results
            .push_back((uuid, route.clone(), report.clone()));
        if self.results.len() > 4 {
            self.results.pop_front();
        }
        self.ended.push((route.clone(), uuid));
        Said::Report(route.clone(), uuid, Some(report))
    }

    /// One step of the update under way. `true` with it: it reboots.
    pub(crate) fn step(&mut self, rng: &mut Rng) -> (Vec<Said>, bool) {
        let Some(mut operation) = self.current.take() else {
            return (vec![], false);
        };
        if self.temper == Temper::Silent && rng.one_in(2) {
            self.current = Some(operation);
            return (vec![], false);
        }
        let fails = self.temper == Temper::Failing && rng.one_in(3);
        if fails && !past_no_return(operation.stage) {
            let code = rng
                .pick(&[StatusCode::NetworkError, StatusCode::IOError])
                .clone();
            let report = Report::failure(operation.uuid, code);
            return (
                vec![self.end(operation.uuid, &operation.route, report)],
                false,
            );
        }
        let next = match operation.stage {
            Status::Acknowledged | Status::Error => Status::Downloading,
            Status::Downloading if rng.one_in(5) => Status::Error,
            Status::Downloading => Status::Deploying,
            Status::Deploying => Status::Deployed,
            Status::Deployed => Status::Rebooting,
            _ => {
                *self.booted.entry(operation.uuid).or_default() += 1;
                let report = if fails {
                    Report::failure(operation.uuid, StatusCode::SystemRollback)
                } else {
                    self.version = Some(operation.version);
                    Report::new(operation.uuid, Status::Success)
                };
                return (
                    vec![self.end(operation.uuid, &operation.route, report)],
                    true,
                );
            }
        };
        operation.stage = next;
        let report = Report::new(operation.uuid, next);
        let said = Said::Report(operation.route.clone(), operation.uuid, Some(report));
        self.current = Some(operation);
        (vec![said], false)
    }
}

fn past_no_return(stage: Status) -> bool {
    matches!(stage, Status::Deployed | Status::Rebooting)
}
