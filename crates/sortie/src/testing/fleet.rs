//! A fleet that does what a test says, and the connection to it.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use sortie_core::{Device, DeviceId, OperationId};
use sortie_ports::{
    Clock, Delivery, Forget, Heard, Inbox, MemoryInventory, Registers, Request, Transport,
    TransportError, async_trait,
};
use sortie_protocol::{Report, Request as RequestBody};
use tokio::sync::Notify;

use super::{
    ManualClock, Play,
    device::{Context, Scripted},
    rng::Rng,
};

/// Scripted devices, and the [`Transport`] to them; clones share them.
///
/// A device that is added is online, and does with an update what the script says
/// ([`on_update`](Self::on_update); without one, [`Play::Succeeds`] after a minute). It follows the
/// device's rules of the protocol: its journal outlives whatever happens to the engine. Messages are
/// 1 to 50 ms on their way; those of one device keep their order, those of several do not.
#[derive(Debug, Clone)]
pub struct Fleet {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: ManualClock,
    table: MemoryInventory,
    state: Mutex<State>,
    /// Something is to be done earlier than who hears the fleet may know.
    changed: Notify,
    asking: Arc<Asking>,
}

/// Asking the script.
#[derive(Default)]
struct Asking {
    /// It is under way.
    now: AtomicBool,
    /// What it panicked with: an assertion of the test's, say. The engine would take it for trouble of
    /// the transport.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

struct State {
    rng: Rng,
    script: Box<dyn FnMut(&Device) -> Play + Send>,
    devices: BTreeMap<DeviceId, Scripted>,
    /// When each device does something next.
    agenda: BTreeSet<(Duration, DeviceId)>,
    /// Which listener is the present one.
    listener: u64,
    is_heard: bool,
    /// What has arrived at the listener.
    heard: VecDeque<Heard>,
    /// Why the link can't be had.
    broken: Option<String>,
    /// How many steps all devices have taken.
    steps: u64,
    at_work: u32,
    most_at_work: u32,
    /// Operations of devices that were removed.
    removed: u32,
}

/// One operation as its device saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenOperation {
    /// Which.
    pub operation: OperationId,
    /// How often the device began it; more than once is a bug of the engine or of the transport.
    pub begun: u32,
    /// How it ended, by the device's word.
    pub result: Option<Report>,
}

/// Who hears the fleet. See [`Fleet::listen`].
#[derive(Debug)]
pub struct Listener {
    shared: Arc<Shared>,
    number: u64,
}

impl Fleet {
    /// A fleet without devices on this clock. Whoever has a [`Bed`](super::Bed) has one.
    pub fn new(clock: ManualClock, seed: u64) -> Self {
        Self::with_table(clock, Rng::new(seed), MemoryInventory::new())
    }

    pub(super) fn with_table(clock: ManualClock, rng: Rng, table: MemoryInventory) -> Self {
        let state = State {
            rng,
            script: Box::new(|_| Play::Succeeds(Duration::from_mins(1))),
            devices: BTreeMap::new(),
            agenda: BTreeSet::new(),
            listener: 0,
            is_heard: false,
            heard: VecDeque::new(),
            broken: None,
            steps: 0,
            at_work: 0,
            most_at_work: 0,
            removed: 0,
        };
        Self {
            shared: Arc::new(Shared {
                clock,
                table,
                state: Mutex::new(state),
                changed: Notify::new(),
                asking: Arc::default(),
            }),
        }
    }

    /// Its device table, for an engine without one of its own.
    pub fn inventory(&self) -> MemoryInventory {
        self.shared.table.clone()
    }

    /// Adds a device, or replaces it by a new one: in the table, online, and running `version`
    /// (empty: it says none).
    pub fn add(&self, device: Device, version: &str) {
        self.shared.table.put([device.clone()]);
        let id = device.id().clone();
        self.remove_device(&id);
        let scripted = Scripted::new(device, version);
        self.with_all(|state, now| {
            state.devices.insert(id.clone(), scripted);
            state.change(&id, |device, context| device.connect(now, context));
        });
    }

    /// Removes a device from the table, and from the world.
    pub fn remove(&self, device: impl AsRef<str>) {
        let id = id(device);
        self.shared.table.remove(&id);
        self.remove_device(&id);
    }

    fn remove_device(&self, id: &DeviceId) {
        self.with_all(|state, _| {
            let Some(old) = state.devices.remove(id) else {
                return;
            };
            state.agenda.retain(|(_, device)| device != id);
            state.at_work -= u32::from(old.is_at_work());
            state.removed += u32::try_from(old.story.len()).unwrap_or(u32::MAX);
        });
    }

    /// Takes a device off the network; whatever runs on it goes on.
    ///
    /// # Panics
    /// There is no such device; so do all that name one.
    #[track_caller]
    pub fn offline(&self, device: impl AsRef<str>) {
        self.with(device, |device, now, context| {
            device.is_unplugged = true;
            device.disconnect(now, true, context.rng);
        });
    }

    /// Brings a device back to the network.
    #[track_caller]
    pub fn online(&self, device: impl AsRef<str>) {
        self.with(device, |device, now, context| {
            device.is_unplugged = false;
            device.connect(now, context);
        });
    }

    /// Another version runs on a device from now on, by whatever way it came there.
    #[track_caller]
    pub fn runs(&self, device: impl AsRef<str>, version: &str) {
        self.with(device, |device, now, context| {
            device.run(version, now, context);
        });
    }

    /// What each device does with an update.
    ///
    /// # Panics
    /// Later, in the bed: where the script does; and if it uses the fleet itself, since it is asked in
    /// the middle of a step.
    pub fn on_update(&self, mut script: impl FnMut(&Device) -> Play + Send + 'static) {
        let asking = self.shared.asking.clone();
        let script = move |device: &Device| {
            asking.now.store(true, Ordering::Relaxed);
            let play = catch_unwind(AssertUnwindSafe(|| script(device)));
            asking.now.store(false, Ordering::Relaxed);
            play.unwrap_or_else(|panic| {
                *asking.panic() = Some(panic);
                Play::Silent
            })
        };
        self.with_all(|state, _| state.script = Box::new(script));
    }

    /// What one device does with its next updates, in this order, before the script is asked again.
    #[track_caller]
    pub fn plays(&self, device: impl AsRef<str>, plays: impl IntoIterator<Item = Play>) {
        self.with(device, |device, _, _| device.plays.extend(plays));
    }

    /// What is under way on a device goes on by this play from now.
    ///
    /// # Panics
    /// Nothing is under way on it.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "plays are written in place")]
    pub fn go_on(&self, device: impl AsRef<str>, play: Play) {
        let name = device.as_ref().to_owned();
        let went = self.with(device, |device, now, context| {
            device.go_on(&play, now, context.rng)
        });
        assert!(went, "nothing is under way on {name}");
    }

    /// The link is lost, and can't be had again until [`mend_link`](Self::mend_link).
    pub fn break_link(&self, why: &str) {
        self.with_all(|state, _| state.broken = Some(why.into()));
    }

    /// The link can be had again; the engine comes back by its backoff.
    pub fn mend_link(&self) {
        self.with_all(|state, _| state.broken = None);
    }

    /// The version that a device runs.
    #[track_caller]
    pub fn version_of(&self, device: impl AsRef<str>) -> String {
        self.with(device, |device, _, _| device.version.clone())
    }

    /// Whether a device is on the network.
    #[track_caller]
    pub fn is_online(&self, device: impl AsRef<str>) -> bool {
        self.with(device, |device, _, _| device.is_online)
    }

    /// The operations that a device was asked for, as it saw them, by id.
    #[track_caller]
    pub fn operations_of(&self, device: impl AsRef<str>) -> Vec<SeenOperation> {
        self.with(device, |device, _, _| {
            let seen = device.story.iter().map(|(operation, told)| SeenOperation {
                operation: (*operation).into(),
                begun: told.begun,
                result: told.result.clone(),
            });
            seen.collect()
        })
    }

    /// How many operations all devices together were ever asked for.
    pub fn operations_seen(&self) -> u32 {
        self.with_all(|state, _| {
            let seen = state.devices.values();
            let seen: usize = seen.map(|device| device.story.len()).sum();
            state.removed + u32::try_from(seen).unwrap_or(u32::MAX)
        })
    }

    /// On how many devices at most an operation was under way at the same time.
    pub fn most_at_once(&self) -> u32 {
        self.with_all(|state, _| state.most_at_work)
    }

    /// The ids of all devices.
    pub fn devices(&self) -> Vec<DeviceId> {
        self.with_all(|state, _| state.devices.keys().cloned().collect())
    }

    /// What a script has panicked with.
    pub(super) fn panic(&self) -> Option<Box<dyn Any + Send>> {
        self.shared.asking.panic().take()
    }

    /// How many steps all devices have taken.
    pub(super) fn steps(&self) -> u64 {
        self.shared.lock().steps
    }

    /// One line on each device that is not at rest, and how many there are.
    pub(super) fn lines(&self) -> (Vec<String>, usize) {
        self.with_all(|state, _| {
            let devices = state.devices.values();
            let unrest = devices.filter(|device| device.is_at_work() || !device.is_online);
            (
                unrest.map(ToString::to_string).collect(),
                state.devices.len(),
            )
        })
    }

    /// Begins to hear the fleet: first what each device's presence and reports are now, then what
    /// comes. For a transport of your own, whose far end this is; without one the engine hears it.
    /// Who listened before hears nothing any more.
    pub fn listen(&self) -> Listener {
        let number = self.with_all(|state, now| {
            state.listener += 1;
            state.is_heard = true;
            state.heard.clear();
            let ids: Vec<_> = state.devices.keys().cloned().collect();
            for id in ids {
                state.change(&id, |device, context| device.retell(now, context.rng));
            }
            state.listener
        });
        Listener {
            shared: self.shared.clone(),
            number,
        }
    }

    /// Asks a device, by a transport of your own, and answers whether it has the request; it has not
    /// while it is off the network.
    pub fn ask(&self, device: &DeviceId, request: RequestBody) -> bool {
        self.with_all(|state, now| {
            let online = state
                .devices
                .get(device)
                .is_some_and(|device| device.is_online);
            if online {
                state.change(device, |device, _| device.ask(now, request));
            }
            online
        })
    }

    #[track_caller]
    fn with<T>(
        &self,
        device: impl AsRef<str>,
        change: impl FnOnce(&mut Scripted, Duration, &mut Context<'_>) -> T,
    ) -> T {
        let id = id(device);
        let changed = self.with_all(|state, now| {
            let mut done = None;
            state.change(&id, |device, context| {
                done = Some(change(device, now, context));
            });
            done
        });
        match changed {
            Some(done) => done,
            None => panic!("the fleet has no device {id}"),
        }
    }

    /// Looks at the fleet as it is now, changes it, and tells who hears it.
    fn with_all<T>(&self, change: impl FnOnce(&mut State, Duration) -> T) -> T {
        self.shared.with(change)
    }
}

#[track_caller]
fn id(device: impl AsRef<str>) -> DeviceId {
    match DeviceId::new(device.as_ref()) {
        Ok(id) => id,
        Err(error) => panic!("the fleet has no such device: {error}"),
    }
}

impl Shared {
    fn with<T>(&self, change: impl FnOnce(&mut State, Duration) -> T) -> T {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        state.catch_up(now);
        let done = change(&mut state, now);
        drop(state);
        self.changed.notify_one();
        done
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let asking = self.asking.now.load(Ordering::Relaxed);
        assert!(!asking, "the script of a fleet uses the fleet itself");
        // A script that panics fails its test; what is left is only looked at.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asking {
    fn panic(&self) -> MutexGuard<'_, Option<Box<dyn Any + Send>>> {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Does all that is due by `now`, each at its own time.
    fn catch_up(&mut self, now: Duration) {
        while let Some((at, id)) = self.agenda.pop_first() {
            if at > now {
                self.agenda.insert((at, id));
                return;
            }
            self.steps += 1;
            let mut heard = vec![];
            self.change(&id, |device, context| heard = device.step(at, context));
            if self.is_heard {
                self.heard.extend(heard);
            }
        }
    }

    fn change(&mut self, id: &DeviceId, change: impl FnOnce(&mut Scripted, &mut Context<'_>)) {
        let Some(device) = self.devices.get_mut(id) else {
            return;
        };
        if let Some(at) = device.next() {
            self.agenda.remove(&(at, id.clone()));
        }
        self.at_work -= u32::from(device.is_at_work());
        let mut context = Context {
            rng: &mut self.rng,
            script: &mut self.script,
        };
        change(device, &mut context);
        self.at_work += u32::from(device.is_at_work());
        self.most_at_work = self.most_at_work.max(self.at_work);
        if let Some(at) = device.next() {
            self.agenda.insert((at, id.clone()));
        }
    }
}

impl Listener {
    /// The next word of a device; `None` once the link is broken, or another listens.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            let mut changed = pin!(self.shared.changed.notified());
            let next = {
                let now = self.shared.clock.monotonic();
                let mut state = self.shared.lock();
                let is_heard = state.is_heard && state.listener == self.number;
                if state.broken.is_some() || !is_heard {
                    return None;
                }
                state.catch_up(now);
                if let Some(heard) = state.heard.pop_front() {
                    return Some(heard);
                }
                state.agenda.first().map(|(at, _)| *at)
            };
            let clock = &self.shared.clock;
            let until = next.unwrap_or(Duration::MAX);
            let mut due = pin!(async {
                match next {
                    Some(_) => clock.sleep_until(until).await,
                    None => std::future::pending().await,
                }
            });
            poll_fn(|cx| match changed.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => due.as_mut().poll(cx),
            })
            .await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if state.listener == self.number {
            state.is_heard = false;
            state.heard.clear();
        }
    }
}

#[async_trait]
impl Transport for Fleet {
    async fn run(&self, inbox: Inbox) -> Result<(), TransportError> {
        let broken = || self.shared.lock().broken.clone();
        if let Some(why) = broken() {
            return Err(TransportError::disconnected(why));
        }
        let mut listener = self.listen();
        inbox.link_up();
        while let Some(heard) = listener.next().await {
            match heard {
                Heard::Presence(device, presence) => inbox.presence(&device, presence),
                Heard::Report(device, route, report) => inbox.report(&device, route, report),
                Heard::Progress(device, progress) => inbox.progress(&device, progress),
                _ => {}
            }
        }
        let why = broken().unwrap_or_else(|| "another listens to the fleet".into());
        Err(TransportError::disconnected(why))
    }

    async fn write(&self, request: &Request) -> Delivery {
        let clock = &self.shared.clock;
        let [out, back] = self.with_all(|state, _| [(); 2].map(|()| state.rng.latency()));
        clock.sleep_until(clock.monotonic() + out).await;
        if self.shared.lock().broken.is_some() {
            return Delivery::NotNow;
        }
        let body = request.body.clone();
        self.with_all(|state, now| {
            // Retained: who is off the network finds it there.
            state.change(&request.device, |device, _| device.ask(now, body));
        });
        clock.sleep_until(clock.monotonic() + back).await;
        if self.shared.lock().broken.is_some() {
            return Delivery::NotNow; // it is there, and nobody knows
        }
        Delivery::Sent
    }

    fn registers(&self) -> Registers {
        Registers::Retained
    }

    async fn forget(&self, removed: &Forget) -> Delivery {
        self.with_all(|state, _| state.change(&removed.device, |device, _| device.forget()));
        Delivery::Sent
    }

    async fn close(&self) {
        // Who listened hears nothing any more.
        self.with_all(|state, _| state.is_heard = false);
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("devices", &self.devices.len())
            .field("heard", &self.heard.len())
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}
