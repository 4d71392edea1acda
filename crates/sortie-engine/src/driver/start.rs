//! From ports to a running driver.

use std::{fmt, pin::pin, sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use sortie_core::ClaimRow;
use sortie_ports::{Clock, EventStore, Inventory, ReadError, Transport, Uploads, inbox};
use tokio::sync::{
    mpsc::{UnboundedReceiver, unbounded_channel},
    watch,
};
use tracing::Instrument;
use uuid::Uuid;

use super::{
    ask::Message,
    end,
    guard::{Boxed, unpanicked},
    handle::{Handle, StoppedSender},
    ids::Ids,
    link::{self, Link},
    stopped::{Fatal, Stopped},
    turn::Loop,
};
use crate::{
    node::{Clocks, Config, Node, NodeInput},
    text::full_text,
};

/// What a driver works on.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "all that a driver works on")]
pub struct Ports {
    /// The event log.
    pub store: Arc<dyn EventStore>,
    /// The connection to the devices.
    pub transport: Arc<dyn Transport>,
    /// The device table.
    pub inventory: Arc<dyn Inventory>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where files for manual updates are kept, if any are (M2).
    pub uploads: Option<Arc<dyn Uploads>>,
}

/// What may be set.
#[non_exhaustive]
pub struct Settings {
    /// After the link's return timers stand still for so long (C1). Default: 60 s.
    pub settle: Duration,
    /// The driver shuts down when this ends. Default: never.
    pub shutdown_on: Option<Boxed<()>>,
    /// Whatever is drawn comes from this, so that a test's runs are alike. It must be another at
    /// each start on one log. Default: none, and everything is drawn at random.
    pub seed: Option<Uuid>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            settle: Duration::from_mins(1),
            shutdown_on: None,
            seed: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("settle", &self.settle)
            .finish_non_exhaustive()
    }
}

/// Why a driver could not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartFailure {
    /// The log can't be read now; why.
    #[error("the store can't be read: {0}")]
    Store(String),
    /// The log is not what was written; where and what.
    #[error("the log is corrupt: {0}")]
    Corrupt(String),
}

/// A driver that has not begun. Dropping it ends its handles.
#[derive(Debug)]
pub struct Driver {
    ports: Ports,
    settings: Settings,
    ids: Arc<Ids>,
    messages: UnboundedReceiver<Message>,
    stopped: StoppedSender,
}

/// A driver that has read which streams and claims there are.
pub struct OpenedDriver {
    main: Loop,
    link: Boxed<()>,
    clock: Arc<dyn Clock>,
    stopped: StoppedSender,
}

/// How many claims are read at once.
const CLAIMS: usize = 10_000;

/// About how many events a batch has at most.
const BATCH_EVENTS: usize = 2_048;

/// A driver, and the first handle to it. Nothing is spawned and nothing happens yet.
pub fn driver(ports: Ports, settings: Settings) -> (Handle, Driver) {
    let (sender, messages) = unbounded_channel();
    let (stopped, is_stopped) = watch::channel(None);
    let ids = Arc::new(Ids::new(settings.seed));
    let handle = Handle::new(sender, is_stopped, ports.clock.clone(), ids.clone());
    let driver = Driver {
        ports,
        settings,
        ids,
        messages,
        stopped,
    };
    (handle, driver)
}

impl Driver {
    /// Reads which streams and claims there are: the only thing that must succeed.
    ///
    /// # Errors
    /// [`StartFailure`].
    pub async fn open(self) -> Result<OpenedDriver, StartFailure> {
        let Self {
            ports,
            settings,
            ids,
            messages,
            stopped,
        } = self;
        let read = unpanicked(recovery(&*ports.store)).await;
        let (log_id, recover) = read
            .map_err(|panic| StartFailure::Store(format!("the store panicked: {panic}")))?
            .map_err(|error| match error {
                ReadError::Corrupt(why) => StartFailure::Corrupt(why),
                error => StartFailure::Store(full_text(&error)),
            })?;
        let now = Clocks {
            wall: ports.clock.now(),
            monotonic: ports.clock.monotonic(),
        };
        let config = Config {
            settle: settings.settle,
            seed: ids.draw(),
            registers: ports.transport.registers(),
            batch_events_max: BATCH_EVENTS,
            confirm_devices: true,
        };
        let mut node = Node::new(config, now);
        node.handle(recover, now);
        let (orders, ordered) = unbounded_channel();
        let (ended, runs_ended) = unbounded_channel();
        let (transport, clock) = (ports.transport.clone(), ports.clock.clone());
        let link = Box::pin(link::run(ended, transport, clock.clone(), ordered));
        let inbox = inbox(log_id);
        let shutdown_on = settings.shutdown_on.map(|end| -> Boxed<()> {
            Box::pin(async {
                if let Err(panic) = unpanicked(end).await {
                    tracing::error!("what was to end the engine panicked: {panic}");
                }
            })
        });
        let main = Loop::new(
            node,
            ports,
            now,
            inbox,
            messages,
            (Link::new(now, ids), orders, runs_ended),
            shutdown_on,
        );
        Ok(OpenedDriver {
            main,
            link,
            clock,
            stopped,
        })
    }

    /// Runs until the engine stops, on the caller's task, and answers why it did. Spawns nothing.
    pub async fn run(self) -> Stopped {
        let stopped = self.stopped.clone();
        match self.open().await {
            Ok(opened) => opened.run().await,
            Err(failure) => {
                let why = Stopped::Fatal(Fatal::Store(failure.to_string()));
                stopped.send_replace(Some(why.clone()));
                why
            }
        }
    }
}

impl OpenedDriver {
    /// Spawns two tasks on `runtime`: the loop and the link.
    pub fn spawn(self, runtime: &tokio::runtime::Handle) {
        let Self {
            main,
            link,
            clock,
            stopped,
        } = self;
        // tokio names tasks only in unstable builds; their spans do here.
        runtime.spawn(link.instrument(tracing::info_span!("sortie_transport")));
        let main = async move { say(end::run(main, clock).await, &stopped) };
        runtime.spawn(main.instrument(tracing::info_span!("sortie_driver")));
    }

    /// Runs until the engine stops, on the caller's task, and answers why it did. Spawns nothing.
    pub async fn run(self) -> Stopped {
        let main = pin!(end::run(self.main, self.clock));
        let why = match select(main, self.link).await {
            Either::Left((why, _)) => why,
            Either::Right(((), main)) => main.await,
        };
        say(why, &self.stopped)
    }
}

/// Tells who waits for the end, last of all.
fn say(why: Stopped, stopped: &StoppedSender) -> Stopped {
    match &why {
        Stopped::Asked => tracing::debug!("{why}"),
        Stopped::Fatal(_) => tracing::error!("{why}"),
    }
    stopped.send_replace(Some(why.clone()));
    why
}

/// The log's id, and all streams and claims.
async fn recovery(store: &dyn EventStore) -> Result<(Uuid, NodeInput), ReadError> {
    let log_id = store.log_id().await?;
    let mut claims: Vec<ClaimRow> = vec![];
    loop {
        let after = claims.last().map(|row| row.device.clone());
        let page = store.claims(after, CLAIMS).await?;
        let is_last = page.len() < CLAIMS;
        claims.extend(page);
        if is_last {
            break;
        }
    }
    let streams = store.streams().await?;
    Ok((log_id, NodeInput::Recover { claims, streams }))
}

impl fmt::Debug for OpenedDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedDriver").finish_non_exhaustive()
    }
}
