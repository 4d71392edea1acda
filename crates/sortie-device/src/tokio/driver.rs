//! The driver: performs an agent's effects until the device reboots.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use tokio::time::Instant;

use super::job::{Boxed, Job, Verify};
use crate::{
    agent::{Agent, Effect, Geometry, Input, Publish},
    link::{Link, LinkDown, LinkEvent, LinkEvents},
    ports::{Boot, Download, FlashError, Health, Journal, Millis, Slots},
    settings::{Identity, Settings},
};

/// Taking leave of the broker is given up after this; the reboot does not wait for it.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// All that a device is made of, for one boot. Dropping it, and [`run`], is a power cut.
#[expect(
    clippy::exhaustive_structs,
    reason = "made by the program, part by part"
)]
pub struct Device<L, E, D, S, J, H> {
    /// Speaks to the engine.
    pub link: L,
    /// Hears from it.
    pub events: E,
    /// Fetches images.
    pub download: D,
    /// Holds them.
    pub slots: S,
    /// Remembers.
    pub journal: J,
    /// Judges them.
    pub health: H,
}

impl<L, E, D, S, J, H> fmt::Debug for Device<L, E, D, S, J, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").finish_non_exhaustive()
    }
}

/// Why a run ended without a reboot being ordered. The device goes on by booting again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "the flash fails or the power does")]
pub enum RunError {
    /// The power is lost (in a simulation).
    #[error("power is lost")]
    PowerLost,
    /// The journal can't be read or written, so nothing can be promised.
    #[error("journal: {0}")]
    Journal(FlashError),
}

impl From<FlashError> for RunError {
    fn from(error: FlashError) -> Self {
        match error {
            FlashError::PowerLost => Self::PowerLost,
            FlashError::Io(_) => Self::Journal(error),
        }
    }
}

/// Runs the agent of a device that has booted, until it wants to reboot. `boot` is what the
/// slots say of the boot, `identity` what runs.
///
/// # Errors
/// [`RunError`]; boot again, after a wait if it is not a simulated power cut.
pub async fn run<L, E, D, S, J, H>(
    device: Device<L, E, D, S, J, H>,
    boot: Boot,
    identity: Identity,
    settings: Settings,
) -> Result<(), RunError>
where
    L: Link,
    E: LinkEvents,
    D: Download,
    S: Slots,
    J: Journal,
    H: Health,
{
    let Device {
        link,
        mut events,
        download,
        slots,
        mut journal,
        health,
    } = device;
    let began = Instant::now();
    let record = journal.load()?;
    let geometry = Geometry {
        capacity: slots.capacity(),
        page: slots.page_size() as u64,
    };
    let agent = Agent::start(
        &boot,
        record.as_deref(),
        geometry,
        identity,
        settings,
        Millis(0),
    );
    let mut driver = Driver {
        agent,
        began,
        slots,
        journal,
        download: &download,
        health: &health,
        job: Job::None,
        leaving: false,
    };
    let mut publish = None;
    loop {
        driver.perform()?;
        if driver.leaving {
            goodbye(&link, &mut events).await;
            return Ok(());
        }
        if publish.is_none() {
            let next = driver.agent.publish(driver.now());
            publish = next.map(|next| publishing(&link, next));
        }
        let due = driver.agent.next_due();
        let due = due.map(|due| began + Duration::from_millis(due.0));
        tokio::select! {
            event = events.next() => {
                // What was sent on another connection is void.
                let connection = matches!(event, LinkEvent::Connected { .. } | LinkEvent::Disconnected);
                if connection && publish.take().is_some() {
                    driver.handle(Input::Published(false));
                }
                driver.event(event);
            }
            sent = when(&mut publish) => {
                publish = None;
                driver.handle(Input::Published(sent.is_ok()));
            }
            input = driver.job.step(&mut driver.slots) => driver.job_input(input)?,
            () = until(due) => driver.handle(Input::Tick),
        }
    }
}

struct Driver<'a, D: Download, S, J, H> {
    agent: Agent,
    began: Instant,
    slots: S,
    journal: J,
    download: &'a D,
    health: &'a H,
    job: Job<'a, D::Body>,
    /// The device is to reboot.
    leaving: bool,
}

impl<D: Download, S: Slots, J: Journal, H: Health> Driver<'_, D, S, J, H> {
    fn now(&self) -> Millis {
        Millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn handle(&mut self, input: Input<'_>) {
        let now = self.now();
        self.agent.handle(input, now);
    }

    fn event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Connected { session } => self.handle(Input::Connected { session }),
            LinkEvent::Disconnected => self.handle(Input::Disconnected),
            LinkEvent::Request(payload) => self.handle(Input::Request(&payload)),
            LinkEvent::OwnPresence(presence) => self.handle(Input::OwnPresence(&presence)),
            LinkEvent::OwnReport {
                route,
                operation,
                present,
            } => self.handle(Input::OwnReport {
                route,
                operation,
                present,
            }),
        }
    }

    /// Performs what waits.
    fn perform(&mut self) -> Result<(), RunError> {
        while let Some(effect) = self.agent.poll() {
            match effect {
                Effect::Store(record) => self.journal.store(&record)?,
                Effect::Fetch { fetch, size, held } => {
                    tracing::debug!(url = fetch.url, offset = fetch.offset, "fetching");
                    let answer = Box::pin(self.download.fetch(fetch));
                    self.job = Job::Fetch { answer, size, held };
                }
                Effect::StopFetch => self.job = Job::None,
                Effect::Verify { size } => self.job = Job::Verify(Verify::new(size)),
                Effect::MarkPending(pending) => {
                    let result = survived(self.slots.mark_pending(pending))?;
                    self.handle(Input::Marked(result));
                }
                Effect::CheckHealth => self.job = Job::Health(Box::pin(self.health.check())),
                Effect::Confirm => {
                    let result = survived(self.slots.confirm())?;
                    self.handle(Input::Confirmed(result));
                }
                Effect::Reject(reason) => {
                    self.job = Job::None;
                    // If it could not be kept, the next boot goes back all the same.
                    if let Err(error) = survived(self.slots.reject(reason))? {
                        tracing::warn!(%error, "the rejection could not be kept");
                    }
                    self.handle(Input::Rejected);
                }
                Effect::Told(operation) => {
                    // It is told again after the next boot.
                    if let Err(error) = survived(self.slots.told(operation))? {
                        tracing::warn!(%error, "the slots keep a result that is journaled");
                    }
                }
                Effect::Reboot => self.leaving = true,
            }
        }
        Ok(())
    }

    /// Takes in what a job has to say, and moves a page that is full into the slot.
    fn job_input(&mut self, input: Input<'static>) -> Result<(), RunError> {
        self.handle(input);
        // What it leads to comes first: it may end the download.
        self.perform()?;
        let Some(download) = self.job.full_page() else {
            return Ok(());
        };
        match survived(download.differs(&mut self.slots))? {
            Ok(None) => {}
            Ok(Some(offset)) => {
                // The journal must not call the page certain when it is erased.
                self.handle(Input::Differs { offset });
                self.perform()?;
            }
            Err(error) => {
                self.handle(Input::FlashFailed(error.to_string()));
                return Ok(());
            }
        }
        let Some(download) = self.job.full_page() else {
            return Ok(());
        };
        match survived(download.write(&mut self.slots))? {
            Ok(end) => self.handle(Input::Written { end }),
            Err(error) => self.handle(Input::FlashFailed(error.to_string())),
        }
        Ok(())
    }
}

/// Lets the power cut through, and hands any other failure to the agent.
fn survived<T>(result: Result<T, FlashError>) -> Result<Result<T, FlashError>, RunError> {
    match result {
        Err(FlashError::PowerLost) => Err(RunError::PowerLost),
        result => Ok(result),
    }
}

fn publishing<L: Link>(link: &L, publish: Publish) -> Boxed<'_, Result<(), LinkDown>> {
    match publish {
        Publish::Birth(birth) => Box::pin(link.publish_birth(birth)),
        Publish::Report {
            route,
            operation,
            report,
        } => Box::pin(link.publish_report(route, operation, report)),
        Publish::Progress { route, progress } => Box::pin(link.publish_progress(route, progress)),
        Publish::WatchOwnReports => Box::pin(link.watch_own_reports()),
    }
}

/// Waits for a future that may not be there.
async fn when<T>(future: &mut Option<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Takes leave. The events are listened to meanwhile, since they may be what moves the link.
async fn goodbye(link: &impl Link, events: &mut impl LinkEvents) {
    let mut goodbye = std::pin::pin!(tokio::time::timeout(GOODBYE_TIMEOUT, link.goodbye()));
    loop {
        tokio::select! {
            _ = &mut goodbye => return,
            _ = events.next() => {}
        }
    }
}
