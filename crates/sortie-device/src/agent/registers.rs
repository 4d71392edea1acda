//! The report register and what else is published (A8).

use alloc::{string::String, vec::Vec};

use sortie_protocol::{Generation, Route, Uuid};

use super::{
    Agent, Publish,
    record::{REGISTERS_MAX, Register},
};
use crate::ports::Millis;

/// So many unknown registers of an earlier life are kept in mind.
const FOUND_MAX: usize = 32;
/// The wait after a publish that failed though no loss of the connection was told.
const HOLD: u64 = 1_000;
/// Own reports are read this long after `None`, so that those sent just after it are found too.
const FRESH_FOR: u64 = 60_000;

/// What is to be said, and to whom. Volatile: a connect says all of it again.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what is still to be said, thing by thing"
)]
pub(super) struct Wire {
    /// The session of the connection that stands.
    pub(super) session: Option<String>,
    /// The last request seen was lower (A2), or for another session (A10).
    pub(super) behind: bool,
    /// The birth is to be published.
    pub(super) birth: bool,
    /// The current report is to be published.
    pub(super) report: bool,
    /// The own reports are to be listened to.
    pub(super) watch: bool,
    /// What is being published.
    under_way: Option<UnderWay>,
    /// A publish failed: nothing is published before the next connect or this time, so that a
    /// link that is slow to say that it is down is not tried without end.
    hold_until: Option<Millis>,
    /// The birth is published again then, since another session was seen (A11).
    pub(super) rebirth_at: Option<Millis>,
    /// How often that happened in this connection.
    pub(super) rebirths: u32,
    /// The last request that counted was `None`.
    pub(super) none_in_force: bool,
    /// Report registers of an earlier life, to be emptied on `None`.
    found: Vec<(Route, Uuid)>,
    /// In this connection they are.
    watching: bool,
    /// `None` came while the own reports are read.
    fresh_ending: bool,
    fresh_until: Option<Millis>,
    /// A request that waits for room in the record.
    pub(super) deferred: Option<(Generation, Vec<u8>)>,
}

#[derive(Debug)]
enum UnderWay {
    Birth,
    Watch,
    Report { edition: u32 },
    Show(Uuid),
    Empty(Uuid),
    Progress,
}

impl Agent {
    pub(super) fn connected(&mut self, session: String) {
        self.wire.session = Some(session);
        self.wire.birth = true;
        self.wire.report = true;
        self.wire.watch = self.record.fresh;
        self.wire.watching = false;
        self.wire.rebirth_at = None;
        self.wire.rebirths = 0;
        self.wire.hold_until = None;
        // The register comes again by itself.
        self.wire.deferred = None;
        for register in self.record.registers.iter_mut().filter(|r| !r.empty) {
            register.show = true;
        }
    }

    pub(super) fn disconnected(&mut self) {
        self.wire.session = None;
        self.wire.rebirth_at = None;
        self.wire.fresh_until = None;
        self.wire.watching = false;
        self.wire.hold_until = None;
    }

    pub(super) fn next_publish(&mut self, now: Millis) -> Option<Publish> {
        let session = self.wire.session.clone()?;
        if self.wire.under_way.is_some() || self.wire.hold_until.is_some() {
            return None;
        }
        let (under_way, publish) = if core::mem::take(&mut self.wire.birth) {
            (UnderWay::Birth, Publish::Birth(self.birth(session)))
        } else if core::mem::take(&mut self.wire.watch) {
            (UnderWay::Watch, Publish::WatchOwnReports)
        } else if let Some(publish) = self.report_to_publish() {
            let edition = self.work.edition;
            (UnderWay::Report { edition }, publish)
        } else {
            self.register_to_publish()
                .or_else(|| self.progress_to_publish(now))?
        };
        self.wire.under_way = Some(under_way);
        Some(publish)
    }

    fn report_to_publish(&mut self) -> Option<Publish> {
        if !core::mem::take(&mut self.wire.report) {
            return None;
        }
        let route = self.record.current.as_ref()?.route.clone()?;
        let report = self.current_report()?;
        Some(Publish::Report {
            route,
            operation: report.operation,
            report: Some(report),
        })
    }

    fn register_to_publish(&mut self) -> Option<(UnderWay, Publish)> {
        for i in 0..self.record.registers.len() {
            let register = &mut self.record.registers[i];
            let (operation, route) = (register.operation, register.route.clone());
            let show = core::mem::take(&mut register.show);
            let empty = register.empty;
            let outcome = self.record.outcome(operation).filter(|_| show);
            let report = outcome.map(|outcome| outcome.report(self.record.generation));
            let under_way = match &report {
                Some(_) => UnderWay::Show(operation),
                None if empty => UnderWay::Empty(operation),
                None => continue,
            };
            let publish = Publish::Report {
                route,
                operation,
                report,
            };
            return Some((under_way, publish));
        }
        None
    }

    fn progress_to_publish(&mut self, now: Millis) -> Option<(UnderWay, Publish)> {
        let route = self.record.current.as_ref()?.route.clone()?;
        let progress = self.current_progress(now)?;
        Some((UnderWay::Progress, Publish::Progress { route, progress }))
    }

    pub(super) fn published(&mut self, acknowledged: bool, now: Millis) {
        if !acknowledged && self.wire.session.is_some() {
            self.wire.hold_until = Some(Millis(now.0.saturating_add(HOLD)));
        }
        match (self.wire.under_way.take(), acknowledged) {
            (Some(UnderWay::Report { edition }), true) => {
                self.work.told |= edition == self.work.edition;
            }
            (Some(UnderWay::Empty(operation)), true) => self.forget_register(operation),
            (Some(UnderWay::Watch), true) => self.wire.watching = true,
            (Some(UnderWay::Birth), false) => self.wire.birth = true,
            (Some(UnderWay::Watch), false) => self.wire.watch = true,
            (Some(UnderWay::Report { .. }), false) => self.wire.report = true,
            (Some(UnderWay::Show(operation)), false) => {
                if let Some(register) = self.register_mut(operation) {
                    register.show = true;
                }
            }
            _ => {}
        }
    }

    fn register_mut(&mut self, operation: Uuid) -> Option<&mut Register> {
        let mut registers = self.record.registers.iter_mut();
        registers.find(|register| register.operation == operation)
    }

    /// The broker has emptied it. Unless it was asked for again meanwhile.
    fn forget_register(&mut self, operation: Uuid) {
        let registers = &mut self.record.registers;
        let before = registers.len();
        registers.retain(|r| r.operation != operation || !r.empty);
        self.unsaved |= registers.len() != before;
    }

    /// Shows the result of an operation that has ended.
    pub(super) fn show(&mut self, operation: Uuid, route: Route) {
        self.wire.found.retain(|(_, found)| *found != operation);
        if let Some(register) = self.register_mut(operation) {
            let changed = register.empty || register.route != route;
            register.route = route;
            register.empty = false;
            register.show = true;
            self.unsaved |= changed;
            return;
        }
        self.record.registers.push(Register {
            operation,
            route,
            empty: false,
            show: true,
        });
        self.unsaved = true;
    }

    /// The registers of all that has ended but `kept` are to be emptied. On `None`, which asks
    /// for nothing, a result that did not leave yet is not told any more either.
    pub(super) fn empty_others(&mut self, kept: Option<Uuid>) {
        for register in &mut self.record.registers {
            if Some(register.operation) == kept {
                continue;
            }
            self.unsaved |= !register.empty;
            register.empty = true;
            register.show &= kept.is_some();
        }
    }

    /// A register below the own `report/#`, read because the journal is new.
    pub(super) fn own_report(&mut self, route: Route, operation: Uuid, present: bool) {
        let mut registers = self.record.registers.iter();
        let known = self.is_current(operation) || registers.any(|r| r.operation == operation);
        if !self.record.fresh || known {
            return;
        }
        self.wire.found.retain(|(_, found)| *found != operation);
        if present && self.wire.found.len() < FOUND_MAX {
            self.wire.found.push((route, operation));
        }
        if self.wire.none_in_force {
            self.empty_found();
        }
    }

    /// Moves what was found among what is to be emptied, as far as there is room.
    pub(super) fn empty_found(&mut self) {
        while self.record.registers.len() + 1 < REGISTERS_MAX {
            let Some((route, operation)) = self.wire.found.pop() else {
                return;
            };
            if self.is_current(operation) || self.register_mut(operation).is_some() {
                continue;
            }
            self.record.registers.push(Register {
                operation,
                route,
                empty: true,
                show: false,
            });
            self.unsaved = true;
        }
    }

    pub(super) fn fresh_ends_later(&mut self) {
        self.wire.fresh_ending = self.record.fresh;
    }

    /// What of the wire waits for time.
    pub(super) fn wire_timers(&mut self, now: Millis) {
        if self.wire.none_in_force {
            self.empty_found();
        }
        if self.wire.fresh_ending && self.wire.watching {
            self.wire.fresh_ending = false;
            self.wire.fresh_until = Some(Millis(now.0.saturating_add(FRESH_FOR)));
        }
        if self.wire.fresh_until.is_some_and(|until| now >= until) {
            self.wire.fresh_until = None;
            // What is found and has no place yet waits for the next `None`, and is read again after a boot.
            if self.wire.found.is_empty() {
                self.record.fresh = false;
                self.unsaved = true;
            }
        }
        if self.wire.hold_until.is_some_and(|until| now >= until) {
            self.wire.hold_until = None;
        }
        self.rebirth(now);
    }

    pub(super) fn wire_due(&self) -> Option<Millis> {
        let due = [
            self.wire.rebirth_at,
            self.wire.fresh_until,
            self.wire.hold_until,
        ];
        due.into_iter().flatten().min()
    }
}
