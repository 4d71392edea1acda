//! The rules A1–A12, each by itself, on the bare state machine.

mod requests;
mod speech;
mod work;

use alloc::{collections::BTreeMap, vec::Vec};

use sortie_protocol::{
    Allow, ArtifactRef, BaseImage, Birth, Generation, Report, Request, Route, Sha256, Status,
    StatusCode, Update, Uuid,
};

use super::{Agent, Effect, Geometry, Input, Publish, record::Record};
use crate::{
    ports::{Boot, Millis, TrialEnd},
    settings::{Identity, Settings},
};

const SIZE: u64 = 10_000;
const DIGEST: Sha256 = Sha256([7; 32]);

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn route() -> Route {
    Route::new("c").unwrap()
}

/// An agent with a broker that acknowledges at once, and the effects that the test performs.
struct Bench {
    agent: Agent,
    now: Millis,
    journal: Option<Vec<u8>>,
    /// All effects but stores.
    effects: Vec<Effect>,
    /// The broker's report registers, and the last birth.
    registers: BTreeMap<Uuid, Report>,
    birth: Option<Birth>,
    /// Everything published.
    published: Vec<Publish>,
    /// The broker acknowledges.
    acknowledges: bool,
}

fn start(boot: &Boot, journal: Option<&[u8]>, now: Millis) -> Agent {
    let geometry = Geometry {
        capacity: 65_536,
        page: 1_024,
    };
    let identity = Identity {
        base_image: Some(BaseImage {
            version: "1.3.0+a".into(),
            ..BaseImage::default()
        }),
        system_model: Some("m".into()),
    };
    Agent::start(boot, journal, geometry, identity, Settings::default(), now)
}

impl Bench {
    /// A new device, connected, with no more than an empty journal.
    fn new() -> Self {
        let mut bench = Self {
            agent: start(&Boot::default(), None, Millis(0)),
            now: Millis(0),
            journal: None,
            effects: Vec::new(),
            registers: BTreeMap::new(),
            birth: None,
            published: Vec::new(),
            acknowledges: true,
        };
        bench.settle();
        bench.connect();
        bench
    }

    fn connect(&mut self) {
        let session = alloc::format!("s{}", self.now.0);
        self.input(Input::Connected { session });
    }

    fn input(&mut self, input: Input<'_>) {
        self.now.0 += 1;
        self.agent.handle(input, self.now);
        self.settle();
    }

    fn tick(&mut self, millis: u64) {
        self.now.0 += millis;
        self.input(Input::Tick);
    }

    fn settle(&mut self) {
        loop {
            while let Some(effect) = self.agent.poll() {
                match effect {
                    Effect::Store(record) => self.journal = Some(record),
                    other => {
                        self.is_journaled(&other);
                        self.effects.push(other);
                    }
                }
            }
            let Some(publish) = self.agent.publish(self.now) else {
                return;
            };
            self.published.push(publish.clone());
            if !self.acknowledges {
                return;
            }
            match publish {
                Publish::Report {
                    operation,
                    report: Some(report),
                    ..
                } => {
                    self.registers.insert(operation, report);
                }
                Publish::Report { operation, .. } => {
                    self.registers.remove(&operation);
                }
                Publish::Birth(birth) => self.birth = Some(birth),
                Publish::Progress { .. } | Publish::WatchOwnReports => {}
            }
            self.agent.handle(Input::Published(true), self.now);
        }
    }

    /// What an effect depends on is stored before it.
    fn is_journaled(&self, effect: &Effect) {
        let record = self.journal.as_deref().and_then(Record::decode).unwrap();
        let current = record.current.as_ref();
        match effect {
            Effect::Fetch { held, .. } => assert!(current.unwrap().durable >= *held),
            Effect::MarkPending(pending) => {
                let current = current.unwrap();
                assert_eq!(current.operation, pending.operation);
                assert!(current.verified && current.marks > 0);
            }
            Effect::Told(operation) => assert!(record.outcome(*operation).is_some()),
            _ => {}
        }
    }

    /// Power off and on: all but journal, flash and broker is forgotten.
    fn boot(&mut self, boot: &Boot) {
        self.effects.clear();
        self.now.0 += 1;
        self.agent = start(boot, self.journal.as_deref(), self.now);
        self.settle();
        self.connect();
    }

    fn ask(&mut self, request: &Request) {
        self.input(Input::Request(&request.to_json()));
    }

    fn update(&mut self, number: u64, operation: u128) {
        self.ask(&update(number, operation));
    }

    fn cancel(&mut self, number: u64, operation: u128) {
        self.ask(&Request::Cancel {
            generation: Generation::cancel(number),
            operation: id(operation),
            route: route(),
        });
    }

    fn none(&mut self, number: u64) {
        self.ask(&Request::None {
            generation: Generation::none(number),
        });
    }

    /// The server sends the image from where it was asked.
    fn download(&mut self) {
        self.answered(0);
        for page in 1..=SIZE.div_ceil(1_024) {
            self.input(Input::Received);
            let end = (page * 1_024).min(SIZE);
            self.input(Input::Written { end });
        }
    }

    fn answered(&mut self, offset: u64) {
        self.input(Input::Answered {
            offset,
            total: Some(SIZE),
            etag: Some("\"v1\"".into()),
        });
    }

    /// Everything up to a slot marked pending and a reboot ordered.
    fn deploy(&mut self) {
        self.download();
        self.input(Input::Digest(Ok(DIGEST)));
        self.input(Input::Marked(Ok(())));
    }

    /// The reboot into the new image, and its confirmation.
    fn succeed(&mut self, operation: u128) {
        self.deploy();
        self.boot(&Boot {
            trial: Some(id(operation)),
            ..Boot::default()
        });
        self.input(Input::Health(Ok(())));
        self.input(Input::Confirmed(Ok(())));
    }

    /// What the report register of an operation holds.
    fn report(&self, operation: u128) -> Option<(Status, Option<StatusCode>)> {
        let report = self.registers.get(&id(operation))?;
        Some((report.status, report.code.clone()))
    }

    fn status(&self, operation: u128) -> Option<Status> {
        self.report(operation).map(|(status, _)| status)
    }

    fn failed(&self, operation: u128, code: StatusCode) -> bool {
        self.report(operation) == Some((Status::Failure, Some(code)))
    }

    fn fetches(&self) -> usize {
        let fetch = |effect: &&Effect| matches!(effect, Effect::Fetch { .. });
        self.effects.iter().filter(fetch).count()
    }

    fn births(&self) -> usize {
        let birth = |publish: &&Publish| matches!(publish, Publish::Birth(_));
        self.published.iter().filter(birth).count()
    }
}

fn update(number: u64, operation: u128) -> Request {
    Request::Update(Generation::update(number), details(operation).into())
}

fn details(operation: u128) -> Update {
    Update {
        operation: id(operation),
        route: route(),
        url: "http://h/i".into(),
        artifact: ArtifactRef {
            size: SIZE,
            sha256: DIGEST,
            format: "raw".into(),
        },
        allow: Allow::default(),
        version: Some("2.0.0".into()),
        system_model: Some("m".into()),
        decided_on: None,
        session: None,
    }
}

fn rolled_back(operation: u128) -> Boot {
    let reason = sortie_protocol::Reason::TrialFailed;
    Boot {
        last: Some((id(operation), TrialEnd::RolledBack(reason))),
        ..Boot::default()
    }
}
