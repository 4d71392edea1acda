//! From ports to a running engine.

use std::{fmt, panic::catch_unwind, pin::Pin, sync::Arc, time::Duration};

use sortie_engine::driver::{
    self, OpenedDriver, Ports, Settings, StartFailure, Stopped, SystemClock, driver,
};
use sortie_ports::{Clock, Inventory, Transport, Uploads};
use uuid::Uuid;

use crate::{Engine, IntoPort, StartError, Store};

/// Collects what an engine works on. See [`Engine::builder`].
#[must_use = "a builder does nothing until `start` or `build`"]
#[derive(Default)]
pub struct EngineBuilder {
    store: Option<Store>,
    transport: Option<Arc<dyn Transport>>,
    inventory: Option<Arc<dyn Inventory>>,
    clock: Option<Arc<dyn Clock>>,
    uploads: Option<Arc<dyn Uploads>>,
    settle: Option<Duration>,
    shutdown_on: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    seed: Option<Uuid>,
}

/// The work of an engine that [`EngineBuilder::build`] made; await [`Driver::run`] yourself.
#[derive(Debug)]
#[must_use = "the engine does nothing until its driver runs"]
pub struct Driver {
    inner: driver::Driver,
}

impl EngineBuilder {
    /// The event log. Required.
    pub fn store(mut self, store: impl Into<Store>) -> Self {
        self.store = Some(store.into());
        self
    }

    /// The connection to the devices. Required.
    pub fn transport<How>(mut self, transport: impl IntoPort<dyn Transport, How>) -> Self {
        self.transport = Some(transport.into_arc());
        self
    }

    /// The device table. Required, unless the store has one, as `Sqlite` does.
    pub fn inventory<How>(mut self, inventory: impl IntoPort<dyn Inventory, How>) -> Self {
        self.inventory = Some(inventory.into_arc());
        self
    }

    /// The time. Default: the machine's, [`SystemClock`].
    pub fn clock<How>(mut self, clock: impl IntoPort<dyn Clock, How>) -> Self {
        self.clock = Some(clock.into_arc());
        self
    }

    /// Where files are kept that are uploaded for manual updates; the engine deletes each when its
    /// operation has ended (M2). Without it a manual update of a file is refused.
    pub fn uploads<How>(mut self, uploads: impl IntoPort<dyn Uploads, How>) -> Self {
        self.uploads = Some(uploads.into_arc());
        self
    }

    /// How long the timers of operations still stand after the link's return, so that what was said
    /// meanwhile has time to arrive (C1). Default: 60 s.
    pub fn settle(mut self, settle: Duration) -> Self {
        self.settle = Some(settle);
        self
    }

    /// Shuts the engine down when this future ends: `async { drop(ctrl_c().await) }`. sortie itself
    /// installs no signal handler.
    pub fn shutdown_on(mut self, end: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown_on = Some(Box::pin(end));
        self
    }

    #[cfg(feature = "testing")]
    pub(crate) fn seed(mut self, seed: Uuid) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts the engine on the present tokio runtime, of whatever flavour. It goes on with whatever
    /// a stop or a crash interrupted. Neither broker nor inventory need be there.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(self) -> Result<Engine, StartError> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| StartError::NoRuntime("it was called outside of a tokio runtime"))?;
        if self.clock.is_none()
            && catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_err()
        {
            // There is no other way to ask.
            let why = "its timers are off: build it with `enable_time`";
            return Err(StartError::NoRuntime(why));
        }
        let (engine, driver) = self.build()?;
        let opened = driver.open().await?;
        opened.spawn(&runtime);
        Ok(engine)
    }

    /// Makes the engine and the future that does its work, and spawns nothing.
    ///
    /// # Errors
    /// [`StartError::Missing`].
    pub fn build(self) -> Result<(Engine, Driver), StartError> {
        let store = self.store.ok_or(StartError::Missing("store"))?;
        let inventory = self.inventory.or(store.devices);
        let ports = Ports {
            store: store.log,
            transport: self.transport.ok_or(StartError::Missing("transport"))?,
            inventory: inventory.ok_or(StartError::Missing("inventory"))?,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock::new())),
            uploads: self.uploads,
        };
        let mut settings = Settings::default();
        settings.settle = self.settle.unwrap_or(settings.settle);
        settings.shutdown_on = self.shutdown_on;
        settings.seed = self.seed;
        let (handle, inner) = driver(ports, settings);
        Ok((Engine::new(handle), Driver { inner }))
    }
}

impl Driver {
    pub(crate) async fn open(self) -> Result<OpenedDriver, StartError> {
        self.inner.open().await.map_err(|failure| match failure {
            StartFailure::Corrupt(why) => StartError::Corrupt(why),
            failure => StartError::Store(failure.to_string()),
        })
    }

    /// Does the engine's work until it stops, and answers why it did. It is to be awaited on a tokio
    /// runtime with timers, unless the clock is your own; dropping it is a crash, and safe.
    pub async fn run(self) -> Stopped {
        self.inner.run().await
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("store", &self.store)
            .field("transport", &self.transport)
            .field("inventory", &self.inventory)
            .field("clock", &self.clock)
            .field("settle", &self.settle)
            .finish_non_exhaustive()
    }
}
