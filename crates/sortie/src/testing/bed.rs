//! An engine in a test: everything real but time, devices and the store's file.

use std::{future::pending, sync::Arc, time::Duration};

use sortie_core::Timestamp;
use sortie_ports::{Clock, Inventory, MemoryInventory, MemoryStore, Transport, Uploads};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Notify,
};
use uuid::Uuid;

use super::{Fleet, ManualClock, held::HeldInventory, part::Part, rng::Rng, store::CrashStore};
use crate::{Engine, Error, IntoPort, StartError, Store};

/// An engine, a scripted fleet and a clock that stands, for a test of your roll-out.
///
/// Node and driver are the real ones; the log is in memory, and devices, chance and time are the
/// test's. In [`run`](Self::run) and [`run_for`](Self::run_for) time jumps to the next timer as soon
/// as nobody has anything to do; outside of them it stands, and the engine answers all the same.
/// The same seed gives the same order of things.
///
/// It needs tokio's current-thread runtime, as `#[tokio::test]` has it. Tasks that the code under
/// test spawns run as ever. What is on other threads, on real connections or in `tokio::time` it
/// can't see: give those [`ManualClock`], hold the time by [`ManualClock::hold`], or leave them out.
/// Where it has to wait for them it starts a thread, `sortie-bed`.
#[derive(Debug)]
pub struct Bed {
    pub(super) seed: u64,
    /// How often an engine was started.
    starts: u32,
    pub(super) clock: ManualClock,
    pub(super) fleet: Fleet,
    pub(super) store: CrashStore,
    inventory: Arc<dyn Inventory>,
    transport: Arc<dyn Transport>,
    uploads: Option<Arc<dyn Uploads>>,
    settle: Option<Duration>,
    pub(super) patience: Duration,
    pub(super) engine: Engine,
    pub(super) driver: Part,
    pub(super) spawned: Vec<Part>,
    pub(super) pulse: Arc<Notify>,
}

/// What a [`Bed`] is made of. See [`Bed::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `start`"]
pub struct BedBuilder {
    seed: u64,
    clock: ManualClock,
    fleet: Fleet,
    inventory: Option<Arc<dyn Inventory>>,
    transport: Option<Arc<dyn Transport>>,
    uploads: Option<Arc<dyn Uploads>>,
    settle: Option<Duration>,
    patience: Duration,
}

impl Bed {
    /// Starts an engine with an empty log and an empty fleet. All chance comes from `seed`.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(seed: u64) -> Result<Self, Error> {
        Self::builder(seed).start().await
    }

    /// Begins a bed with ports of your own.
    pub fn builder(seed: u64) -> BedBuilder {
        let clock = ManualClock::new();
        let rng = Rng::new(seed).fork();
        BedBuilder {
            seed,
            fleet: Fleet::with_table(clock.clone(), rng, MemoryInventory::new()),
            clock,
            inventory: None,
            transport: None,
            uploads: None,
            settle: None,
            patience: Duration::from_secs(2),
        }
    }

    /// The engine that runs; after [`crash`](Self::crash) the one that is gone.
    pub fn engine(&self) -> Engine {
        self.engine.clone()
    }

    /// The fleet.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The clock of engine and fleet. Let [`run_for`](Self::run_for) move it.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// What is in the log.
    pub fn log(&self) -> &MemoryStore {
        self.store.log()
    }

    /// The virtual time since the start.
    pub fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Runs everything until `future`, which may be a [`Command`](crate::Command), ends, and answers
    /// what it answers. Time jumps to the next timer whenever nothing else can happen.
    ///
    /// # Panics
    /// Nothing can happen any more: there is no timer left; or nothing but timers that run out, for
    /// 10,000 jumps; or it does not end within ten years or a million jumps. The message lists who
    /// waits for what.
    pub async fn run<T>(&mut self, future: impl IntoFuture<Output = T>) -> T {
        let future = future.into_future();
        match self.drive(future, None).await {
            Some(output) => output,
            // Without a limit only the future ends it.
            None => pending().await,
        }
    }

    /// Runs everything for so long, to the end of what is due by then.
    ///
    /// # Panics
    /// As [`run`](Self::run), but not because nothing happens.
    pub async fn run_for(&mut self, time: Duration) {
        let until = self.clock.monotonic().saturating_add(time);
        self.drive(pending::<()>(), Some(until)).await;
    }

    /// Runs a future beside the engine, on a task of its own, until the bed is dropped: the far end
    /// of a transport of yours, say.
    pub fn spawn(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        self.spawned.push(Part::spawn(future, self.pulse.clone()));
    }

    /// Drops the engine where it is, as `kill -9` does, and starts another on the same log. What was
    /// under way is lost or in doubt: an append of which nobody knows whether it happened, a request
    /// that a device may have, a report that nobody heard. Handles from before answer
    /// [`Stopped`](crate::Stopped); [`engine`](Self::engine) is the new one. Devices go on meanwhile.
    ///
    /// # Errors
    /// As [`restart`](Self::restart).
    pub async fn crash_and_restart(&mut self) -> Result<(), Error> {
        self.crash();
        self.restart().await
    }

    /// Runs on to the next append, and drops the engine in the middle of it: the append happened or
    /// not, by the seed, and nobody was told.
    ///
    /// # Panics
    /// As [`run`](Self::run), if nothing is appended any more.
    pub async fn crash_in_append(&mut self) {
        let store = self.store.clone();
        self.run(store.strike()).await;
        self.crash();
    }

    /// Drops the engine where it is, as `kill -9` does. Until [`restart`](Self::restart) there is
    /// none; devices go on.
    pub fn crash(&mut self) {
        self.driver.crash();
    }

    /// Starts another engine on the same log; if one runs, that is dropped first.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.crash();
        self.starts += 1;
        let ports = Ports {
            store: &self.store,
            inventory: &self.inventory,
            transport: &self.transport,
            uploads: self.uploads.as_ref(),
            clock: &self.clock,
            settle: self.settle,
        };
        let (engine, driver) = ports.start(self.seed, self.starts, &self.pulse).await?;
        (self.engine, self.driver) = (engine, driver);
        Ok(())
    }
}

impl BedBuilder {
    /// A device table of your own. It may answer from another thread: no time passes until it has.
    pub fn inventory<How>(mut self, inventory: impl IntoPort<dyn Inventory, How>) -> Self {
        self.inventory = Some(inventory.into_arc());
        self
    }

    /// A connection of your own, in place of the fleet's. Give its far end what the devices say
    /// ([`Fleet::listen`]), and the devices what it is asked ([`Fleet::ask`]): see
    /// [`Bed::spawn`]. It must not leave the process.
    pub fn transport<How>(mut self, transport: impl IntoPort<dyn Transport, How>) -> Self {
        self.transport = Some(transport.into_arc());
        self
    }

    /// As [`EngineBuilder::uploads`](crate::EngineBuilder::uploads).
    pub fn uploads<How>(mut self, uploads: impl IntoPort<dyn Uploads, How>) -> Self {
        self.uploads = Some(uploads.into_arc());
        self
    }

    /// As [`EngineBuilder::settle`](crate::EngineBuilder::settle).
    pub fn settle(mut self, settle: Duration) -> Self {
        self.settle = Some(settle);
        self
    }

    /// The wall time at the start. Default: 2026-01-01T00:00:00Z.
    pub fn at(self, wall: Timestamp) -> Self {
        self.clock
            .step_wall(wall.0.saturating_sub(self.clock.now().0));
        self
    }

    /// How long, in real time, the bed waits for other threads before it says that nothing can happen
    /// any more. Default: 2 s.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The fleet, for ports of your own that need it before the start.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The clock, for ports of your own that need it before the start.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Starts the engine.
    ///
    /// # Errors
    /// [`StartError`]: `NoRuntime` outside of tokio's current-thread runtime.
    pub async fn start(self) -> Result<Bed, Error> {
        let runtime = Handle::try_current()
            .map_err(|_| StartError::NoRuntime("it was called outside of a tokio runtime"))?;
        if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread {
            let why = "a bed needs the current-thread runtime: on several threads the order of things \
                       is chance";
            return Err(StartError::NoRuntime(why).into());
        }
        let Self {
            seed,
            clock,
            fleet,
            inventory,
            transport,
            uploads,
            settle,
            patience,
        } = self;
        let mut rng = Rng::new(seed);
        rng.fork(); // the fleet's
        let log = MemoryStore::new(Uuid::from_u128(u128::from(seed)));
        let store = CrashStore::new(log, rng.fork());
        let inventory: Arc<dyn Inventory> = match inventory {
            Some(inner) => Arc::new(HeldInventory {
                inner,
                clock: clock.clone(),
            }),
            None => Arc::new(fleet.inventory()),
        };
        let transport = transport.unwrap_or_else(|| Arc::new(fleet.clone()));
        let pulse = clock.released();
        let ports = Ports {
            store: &store,
            inventory: &inventory,
            transport: &transport,
            uploads: uploads.as_ref(),
            clock: &clock,
            settle,
        };
        let (engine, driver) = ports.start(seed, 1, &pulse).await?;
        Ok(Bed {
            seed,
            starts: 1,
            clock,
            fleet,
            store,
            inventory,
            transport,
            uploads,
            settle,
            patience,
            engine,
            driver,
            spawned: vec![],
            pulse,
        })
    }
}

/// What an engine is started on.
struct Ports<'a> {
    store: &'a CrashStore,
    inventory: &'a Arc<dyn Inventory>,
    transport: &'a Arc<dyn Transport>,
    uploads: Option<&'a Arc<dyn Uploads>>,
    clock: &'a ManualClock,
    settle: Option<Duration>,
}

impl Ports<'_> {
    async fn start(
        &self,
        seed: u64,
        start: u32,
        pulse: &Arc<Notify>,
    ) -> Result<(Engine, Part), StartError> {
        let builder = Engine::builder()
            .store(Store::new(self.store.clone()))
            .inventory(self.inventory.clone())
            .transport(self.transport.clone())
            .clock(self.clock.clone())
            // Another at each start: no two engines of a log draw the same.
            .seed(Uuid::from_u64_pair(seed, start.into()));
        let builder = match self.settle {
            Some(settle) => builder.settle(settle),
            None => builder,
        };
        let builder = match self.uploads {
            Some(uploads) => builder.uploads(uploads.clone()),
            None => builder,
        };
        let (engine, driver) = builder.build()?;
        let opened = driver.open().await?;
        let run = async {
            opened.run().await;
        };
        Ok((engine, Part::spawn(run, pulse.clone())))
    }
}
