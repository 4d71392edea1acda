//! Where a transport puts what it hears.

use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use sortie_core::DeviceId;
use sortie_protocol::{Presence, Progress, Report, Route};
use uuid::Uuid;

use crate::presences::Presences;

/// Where a transport puts what it hears. Cheap to clone; no method blocks or fails.
///
/// Levels coalesce: of one device's word on one operation the newest waits, and of its presence the
/// newest birth, with the end of that session if it has ended. So what waits is bounded by the fleet,
/// however slow the engine is. The late end of an older session undoes no birth (rule B2), whether that
/// still waits or not: a transport need not look at sessions.
#[derive(Debug, Clone)]
pub struct Inbox {
    shared: Arc<Shared>,
    /// Which run of the link this is; a transport that was given up on is not heard any more.
    link: u64,
}

/// The engine's end of an [`Inbox`].
#[derive(Debug)]
pub struct InboxReader {
    shared: Arc<Shared>,
}

/// Something that was heard.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Heard {
    /// The link is up: the fleet can be heard.
    LinkUp,
    /// A device's presence.
    Presence(DeviceId, Presence),
    /// A device's report, and where it was sent, if the transport knows.
    Report(DeviceId, Option<Route>, Report),
    /// A device's sign of life.
    Progress(DeviceId, Progress),
}

#[derive(Debug)]
struct Shared {
    log_id: Uuid,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    link: u64,
    /// What waits, in the order in which it first came.
    order: VecDeque<Key>,
    waiting: HashMap<Key, Heard>,
    presences: HashMap<DeviceId, Presences>,
    /// How many reports of a device wait.
    reports: HashMap<DeviceId, u8>,
    waker: Option<Waker>,
    dropped: u64,
    closed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    LinkUp,
    Presence(DeviceId),
    Report(DeviceId, Uuid),
    Progress(DeviceId),
}

/// A device keeps at most 4 results beside what is under way (rule A3); more is noise.
const REPORTS_OF_A_DEVICE_MAX: u8 = 8;

/// Makes an inbox for the engine of the log `log_id`, and its other end.
pub fn inbox(log_id: Uuid) -> InboxReader {
    InboxReader {
        shared: Arc::new(Shared {
            log_id,
            state: Mutex::default(),
        }),
    }
}

impl Inbox {
    /// The id of the engine's log, for transports on which two logs could meet.
    pub fn log_id(&self) -> Uuid {
        self.shared.log_id
    }

    /// The link is up: from now on the fleet is heard.
    pub fn link_up(&self) {
        self.put(Key::LinkUp, Heard::LinkUp);
    }

    /// A device's presence was heard. Say online only once its version is known, or known to be
    /// missing.
    pub fn presence(&self, device: &DeviceId, presence: Presence) {
        let Some(mut state) = self.open() else { return };
        if let Some(waiting) = state.presences.get_mut(device) {
            let dropped = waiting.hear(presence);
            state.dropped += u64::from(dropped);
            return;
        }
        let mut presences = Presences::default();
        presences.hear(presence);
        state.presences.insert(device.clone(), presences);
        state.order.push_back(Key::Presence(device.clone()));
        wake(state);
    }

    /// A device's presence was heard, as sortie's JSON. What is malformed is counted and dropped.
    pub fn presence_json(&self, device: &DeviceId, bytes: &[u8]) {
        match Presence::from_json(bytes) {
            Ok(presence) => self.presence(device, presence),
            Err(_) => self.malformed(),
        }
    }

    /// A device's report was heard; `route`: where it was sent, if that is known.
    pub fn report(&self, device: &DeviceId, route: Option<Route>, report: Report) {
        let key = Key::Report(device.clone(), report.operation);
        self.put(key, Heard::Report(device.clone(), route, report));
    }

    /// A device's report was heard, as sortie's JSON. What is malformed is counted and dropped.
    pub fn report_json(&self, device: &DeviceId, bytes: &[u8]) {
        match Report::from_json(bytes) {
            Ok(report) => self.report(device, None, report),
            Err(_) => self.malformed(),
        }
    }

    /// A device's sign of life was heard.
    pub fn progress(&self, device: &DeviceId, progress: Progress) {
        self.put(
            Key::Progress(device.clone()),
            Heard::Progress(device.clone(), progress),
        );
    }

    /// Something was heard that is no message of the protocol: counted.
    pub fn malformed(&self) {
        self.shared.lock().dropped += 1;
    }

    /// `None`: nobody listens to this run of the link any more.
    fn open(&self) -> Option<MutexGuard<'_, State>> {
        let state = self.shared.lock();
        (!state.closed && state.link == self.link).then_some(state)
    }

    fn put(&self, key: Key, heard: Heard) {
        let Some(mut state) = self.open() else { return };
        if let Some(waiting) = state.waiting.get_mut(&key) {
            // A terminal word is not replaced by an older one that comes late (rule R2).
            let final_word =
                matches!(waiting, Heard::Report(_, _, report) if report.status.is_terminal());
            if !final_word {
                *waiting = heard;
            }
            return;
        }
        if let Key::Report(device, _) = &key {
            let reports = state.reports.entry(device.clone()).or_default();
            if *reports == REPORTS_OF_A_DEVICE_MAX {
                state.dropped += 1;
                return;
            }
            *reports += 1;
        }
        state.order.push_back(key.clone());
        state.waiting.insert(key, heard);
        wake(state);
    }
}

/// Wakes the reader: something waits.
fn wake(mut state: MutexGuard<'_, State>) {
    if let Some(waker) = state.waker.take() {
        drop(state);
        waker.wake();
    }
}

impl InboxReader {
    /// An inbox for a new run of the link. What waits from before is dropped, and inboxes handed out
    /// before put nothing in any more: after the link's loss only what is heard anew counts.
    pub fn connect(&self) -> Inbox {
        let mut state = self.shared.lock();
        state.link += 1;
        state.order.clear();
        state.waiting.clear();
        state.presences.clear();
        state.reports.clear();
        Inbox {
            shared: self.shared.clone(),
            link: state.link,
        }
    }

    /// Waits until something is there; then takes about `max` of it, oldest first. May be dropped
    /// at any time: nothing is lost.
    pub async fn take(&self, max: usize) -> Vec<Heard> {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if state.order.is_empty() {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(state.take(max))
        })
        .await
    }

    /// What was dropped so far, being malformed or too much.
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }
}

impl State {
    fn take(&mut self, max: usize) -> Vec<Heard> {
        let mut taken = vec![];
        while taken.len() < max
            && let Some(key) = self.order.pop_front()
        {
            taken.extend(self.waiting.remove(&key));
            if let Key::Presence(device) = &key
                && let Some(presences) = self.presences.remove(device)
            {
                let presences = presences.into_iter();
                taken.extend(presences.map(|presence| Heard::Presence(device.clone(), presence)));
            }
            if let Key::Report(device, _) = &key
                && let Some(reports) = self.reports.get_mut(device)
            {
                *reports -= 1;
                if *reports == 0 {
                    self.reports.remove(device);
                }
            }
        }
        taken
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each method leaves the maps in step before it can panic; at worst a word is lost, and it
        // is a level that comes again.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InboxReader {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
    }
}
