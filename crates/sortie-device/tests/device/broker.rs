//! A broker of one device in memory, and the link to it: registers, a will, acknowledgements.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
};

use sortie_device::{Link, LinkDown, LinkEvent, LinkEvents};
use sortie_protocol::{Birth, Presence, Progress, Report, Request, Route, Uuid};
use tokio::sync::{Notify, mpsc};

#[derive(Default)]
pub(crate) struct Registers {
    pub(crate) request: Option<Request>,
    pub(crate) reports: BTreeMap<(Route, Uuid), Report>,
    pub(crate) presence: Option<Presence>,
    /// Every report that was published, in order.
    pub(crate) told: Vec<Report>,
    pub(crate) progress: Vec<Progress>,
    sessions: u32,
    client: Option<mpsc::UnboundedSender<LinkEvent>>,
    watched: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Broker {
    registers: Arc<Mutex<Registers>>,
    changed: Arc<Notify>,
}

impl Broker {
    pub(crate) fn registers(&self) -> MutexGuard<'_, Registers> {
        self.registers.lock().unwrap()
    }

    /// The engine writes the request register.
    pub(crate) fn ask(&self, request: Request) {
        let mut registers = self.registers();
        registers.send(LinkEvent::Request(request.to_json()));
        registers.request = Some(request);
    }

    /// Waits until the registers are as `wanted`.
    pub(crate) async fn until(&self, mut wanted: impl FnMut(&Registers) -> bool) {
        loop {
            let changed = self.changed.notified();
            if wanted(&self.registers()) {
                return;
            }
            changed.await;
        }
    }

    /// Waits for the terminal report of an operation.
    pub(crate) async fn ended(&self, operation: Uuid) -> Report {
        let mut found = None;
        let ended = |report: &&Report| report.operation == operation && report.status.is_terminal();
        self.until(|registers| {
            found = registers.told.iter().find(ended).cloned();
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    pub(crate) fn connect(&self) -> (BrokerLink, BrokerEvents) {
        let (sender, events) = mpsc::unbounded_channel();
        let mut registers = self.registers();
        registers.sessions += 1;
        let session = format!("s{}", registers.sessions);
        registers.client = Some(sender);
        registers.watched = false;
        registers.send(LinkEvent::Connected {
            session: session.clone(),
        });
        if let Some(presence) = registers.presence.clone() {
            registers.send(LinkEvent::OwnPresence(presence));
        }
        if let Some(request) = registers.request.clone() {
            registers.send(LinkEvent::Request(request.to_json()));
        }
        let broker = self.clone();
        drop(registers);
        (BrokerLink { broker, session }, BrokerEvents(events))
    }

    fn publish(&self, publish: impl FnOnce(&mut Registers)) {
        publish(&mut self.registers());
        self.changed.notify_waiters();
    }
}

impl Registers {
    fn send(&self, event: LinkEvent) {
        if let Some(client) = &self.client {
            // A client that is gone hears nothing.
            let _ = client.send(event);
        }
    }
}

pub(crate) struct BrokerLink {
    broker: Broker,
    session: String,
}

impl Drop for BrokerLink {
    fn drop(&mut self) {
        let (session, lost) = (self.session.clone(), true);
        self.broker.publish(|registers| {
            registers.presence = Some(Presence::Offline { session, lost });
        });
    }
}

impl BrokerLink {
    /// Publishes, unless another connection has taken this one's place.
    fn publish(&self, publish: impl FnOnce(&mut Registers)) -> Result<(), LinkDown> {
        let sessions = self.broker.registers().sessions;
        if self.session != format!("s{sessions}") {
            return Err(LinkDown);
        }
        self.broker.publish(publish);
        Ok(())
    }
}

impl Link for BrokerLink {
    async fn publish_report(
        &self,
        route: Route,
        operation: Uuid,
        report: Option<Report>,
    ) -> Result<(), LinkDown> {
        tokio::task::yield_now().await;
        self.publish(|registers| {
            if registers.watched {
                registers.send(LinkEvent::OwnReport {
                    route: route.clone(),
                    operation,
                    present: report.is_some(),
                });
            }
            match report {
                Some(report) => {
                    registers.told.push(report.clone());
                    registers.reports.insert((route, operation), report);
                }
                None => {
                    registers.reports.remove(&(route, operation));
                }
            }
        })
    }

    async fn publish_birth(&self, birth: Birth) -> Result<(), LinkDown> {
        tokio::task::yield_now().await;
        self.publish(|registers| {
            let presence = Presence::Online(birth);
            registers.send(LinkEvent::OwnPresence(presence.clone()));
            registers.presence = Some(presence);
        })
    }

    async fn publish_progress(&self, _route: Route, progress: Progress) -> Result<(), LinkDown> {
        self.publish(|registers| registers.progress.push(progress))
    }

    async fn watch_own_reports(&self) -> Result<(), LinkDown> {
        self.publish(|registers| {
            registers.watched = true;
            for (route, operation) in registers.reports.keys() {
                registers.send(LinkEvent::OwnReport {
                    route: route.clone(),
                    operation: *operation,
                    present: true,
                });
            }
        })
    }

    fn goodbye(&self) -> impl Future<Output = Result<(), LinkDown>> + Send {
        std::future::ready(Ok(()))
    }
}

pub(crate) struct BrokerEvents(mpsc::UnboundedReceiver<LinkEvent>);

impl LinkEvents for BrokerEvents {
    async fn next(&mut self) -> LinkEvent {
        match self.0.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}
