//! What the request register asks for (A1–A5, A7, A10).

use alloc::{boxed::Box, string::ToString, vec::Vec};

use serde::Deserialize;
use sortie_protocol::{
    Generation, Request, Route, StatusCode, Update, Uuid, limits::PAYLOAD_BYTES_MAX,
};

use super::{
    Agent,
    checks::{Verdict, check},
    operation::Phase,
    record::{Current, Failure, Outcome, REGISTERS_MAX},
    start::canceled,
};
use crate::ports::Millis;

/// A request, or as much of one as can be answered.
enum Asked {
    Update(Box<Update>),
    /// An Update that names its operation and is malformed besides.
    Malformed(Uuid, Route, Failure),
    Cancel(Uuid, Route),
    None,
}

/// As much of an Update as must be there to answer it.
#[derive(Deserialize)]
struct Stub {
    operation: Kind,
    #[serde(rename = "gen")]
    generation: Generation,
    uuid: Uuid,
    route: Route,
}

#[derive(Deserialize)]
enum Kind {
    Update,
}

impl Asked {
    fn decode(payload: &[u8]) -> Option<(Generation, Self)> {
        let error = match Request::from_json(payload) {
            Ok(Request::Update(generation, update)) => {
                return Some((generation, Self::Update(update)));
            }
            Ok(Request::Cancel {
                generation,
                operation,
                route,
            }) => return Some((generation, Self::Cancel(operation, route))),
            Ok(Request::None { generation }) => return Some((generation, Self::None)),
            Err(error) => error,
        };
        if payload.len() > PAYLOAD_BYTES_MAX {
            return None;
        }
        let stub: Stub = serde_json::from_slice(payload).ok()?;
        let Kind::Update = stub.operation;
        let failure = Failure::new(StatusCode::InvalidRequest, error.to_string());
        let asked = Self::Malformed(stub.uuid, stub.route, failure);
        stub.generation
            .is_legal()
            .then_some((stub.generation, asked))
    }

    fn operation(&self) -> Option<Uuid> {
        match self {
            Self::Update(update) => Some(update.operation),
            Self::Malformed(operation, ..) | Self::Cancel(operation, _) => Some(*operation),
            Self::None => None,
        }
    }
}

impl Agent {
    pub(super) fn request(&mut self, payload: &[u8], now: Millis) {
        // An empty register is no information (A1); what can't be read is dropped (B3).
        let Some((generation, asked)) = Asked::decode(payload) else {
            return;
        };
        if generation < self.record.generation {
            return self.fall_behind();
        }
        if !self.has_room_for(asked.operation()) {
            self.defer(generation, payload);
            return;
        }
        if generation > self.record.generation {
            self.record.generation = generation;
            self.unsaved = true;
        }
        let foreign = matches!(&asked, Asked::Update(update) if self.is_foreign(update));
        if foreign {
            return self.fall_behind();
        }
        self.catch_up();
        self.wire.none_in_force = matches!(asked, Asked::None);
        match asked {
            Asked::Update(update) => self.update(&update, now),
            Asked::Malformed(operation, route, failure) => {
                if self.replaces(operation, &route) {
                    self.refuse_for_good(operation, route, &failure);
                }
            }
            Asked::Cancel(operation, route) => self.cancel(operation, route),
            Asked::None => self.none(),
        }
    }

    /// A UUID never seen, decided on another session (A10).
    fn is_foreign(&self, update: &Update) -> bool {
        let session = self.wire.session.as_ref();
        update.session.is_some()
            && update.session.as_ref() != session
            && !self.is_current(update.operation)
            && self.record.outcome(update.operation).is_none()
    }

    fn update(&mut self, update: &Update, now: Millis) {
        if !self.replaces(update.operation, &update.route) {
            return;
        }
        let operation = update.operation;
        match check(update, &self.identity, self.geometry) {
            Ok(Verdict::Start) => {
                self.record.current = Some(Current {
                    operation,
                    route: Some(update.route.clone()),
                    url: update.url.clone(),
                    size: update.artifact.size,
                    sha256: update.artifact.sha256,
                    durable: 0,
                    etag: None,
                    resumed: false,
                    verified: false,
                    marks: 0,
                });
                self.unsaved = true;
                self.enter(Phase::Accepted, now);
            }
            Ok(Verdict::Already) => {
                self.record.finish(Outcome::success(operation));
                self.unsaved = true;
                self.show(operation, update.route.clone());
            }
            Err(failure) => self.refuse_for_good(operation, update.route.clone(), &failure),
        }
    }

    /// Handles all of an Update(Y) that does not depend on its content, and says whether Y is
    /// new and may be judged (A3, A4).
    fn replaces(&mut self, operation: Uuid, route: &Route) -> bool {
        if self.is_current(operation) {
            self.answer_current(route);
            self.empty_others(Some(operation));
            return false;
        }
        self.stop_current();
        self.recall(operation);
        let known = self.record.outcome(operation).is_some();
        let busy = self.record.current.is_some();
        if !known && busy {
            let failure = Failure::new(StatusCode::UpdateAlreadyInProgress, "");
            self.record.refuse(Outcome::failure(operation, &failure));
            self.unsaved = true;
        }
        self.empty_others(Some(operation));
        if known || busy {
            self.show(operation, route.clone());
        }
        !known && !busy
    }

    fn refuse_for_good(&mut self, operation: Uuid, route: Route, failure: &Failure) {
        self.record.finish(Outcome::failure(operation, failure));
        self.unsaved = true;
        self.show(operation, route);
    }

    fn cancel(&mut self, operation: Uuid, route: Route) {
        self.stop_current();
        if self.is_current(operation) {
            self.answer_current(&route);
        } else {
            self.recall(operation);
            if self.record.outcome(operation).is_none() {
                self.record.finish(Outcome::failure(operation, &canceled()));
                self.unsaved = true;
            }
            self.show(operation, route);
        }
        self.empty_others(Some(operation));
    }

    fn none(&mut self) {
        self.stop_current();
        self.empty_others(None);
        self.empty_found();
        self.fresh_ends_later();
    }

    /// A result that the journal has forgotten and the flash still knows.
    fn recall(&mut self, operation: Uuid) {
        if self.installed == Some(operation) && self.record.outcome(operation).is_none() {
            self.record.finish(Outcome::success(operation));
            self.unsaved = true;
        }
    }

    fn answer_current(&mut self, route: &Route) {
        self.wire.report = true;
        if let Some(current) = self.record.current.as_mut().filter(|c| c.route.is_none()) {
            // A trial of which the journal knew nothing.
            current.route = Some(route.clone());
            self.unsaved = true;
        }
    }

    /// Stops what runs, if it still can be.
    fn stop_current(&mut self) {
        if let Some(current) = &self.record.current
            && !self.work.phase.is_past_return()
        {
            self.end(Outcome::failure(current.operation, &canceled()));
        }
    }

    pub(super) fn is_current(&self, operation: Uuid) -> bool {
        let current = self.record.current.as_ref();
        current.is_some_and(|current| current.operation == operation)
    }

    /// Whether the record can hold the register that a request may add.
    pub(super) fn has_room_for(&self, operation: Option<Uuid>) -> bool {
        let Some(operation) = operation else {
            return true;
        };
        let used = self.record.registers.len() + usize::from(self.record.current.is_some());
        let mut registers = self.record.registers.iter();
        used < REGISTERS_MAX
            || self.is_current(operation)
            || registers.any(|register| register.operation == operation)
    }

    /// Keeps a request until there is room: not decided, so its generation is not journaled.
    fn defer(&mut self, generation: Generation, payload: &[u8]) {
        let newest = self.wire.deferred.as_ref();
        if newest.is_none_or(|(kept, _)| *kept <= generation) {
            self.wire.deferred = Some((generation, Vec::from(payload)));
        }
    }

    pub(super) fn take_deferred(&mut self, now: Millis) {
        if self.record.registers.len() + 1 < REGISTERS_MAX
            && let Some((_, payload)) = self.wire.deferred.take()
        {
            self.request(&payload, now);
        }
    }
}
