//! Over-the-air update campaigns to embed in a Rust service.
//!
//! [`Engine`] runs Update Campaigns: it rolls a Base Image out to the devices of a Channel, so many
//! at once, until all have it or too many have failed. It lives inside your service, on your
//! runtime; its event log is a file (or a store of yours), and it goes on after a crash where it was.
//!
//! # A roll-out
#![cfg_attr(all(feature = "sqlite", feature = "mqtt"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "sqlite", feature = "mqtt")), doc = "```ignore")]
//! use sortie::{Artifact, CampaignId, Catalog, Device, Engine, Mqtt, NewCampaign, Push, Sqlite};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), sortie::Error> {
//!     let store = Sqlite::open("sortie.db").await?; // the event log, and a small device table
//!     store.devices().put([Device::new("gw-0001", "gateway-g2")?.tag("pilot")]).await?;
//!
//!     let engine = Engine::builder()
//!         .store(store)
//!         .transport(Mqtt::new("mqtt://localhost:1883")?)
//!         .shutdown_on(async { drop(tokio::signal::ctrl_c().await) })
//!         .start() // goes on with whatever a stop or a crash interrupted
//!         .await?;
//!
//!     let artifact = Artifact::of_file("https://cdn.example.com/gw.bin", "build/gw.bin").await?;
//!     let catalog = Catalog::new()
//!         .collection("gateway-os", "gateway-g2")
//!         .base_image("gateway-os@1.4.0", artifact) // URL, size, SHA-256
//!         .group("pilot", r#""pilot" in tags"#)
//!         .channel("pilot", &["pilot"]);
//!     engine.declare(catalog).await?; // the same at every start: writes only what differs
//!
//!     let new = NewCampaign::new("Pilot 1.4.0", "gateway-os@1.4.0".parse()?, "pilot".parse()?)
//!         .id(CampaignId::from_name("pilot-1.4.0")) // run twice: still one campaign
//!         .mechanism(Push::new().max_in_progress_operations(50).max_failure_percentage(5.0));
//!     println!("{} devices", engine.preview(&new).await?.targets);
//!     let campaign = engine.create_campaign(new).await?; // starts now; `.start(Start::ByHand)` waits
//!
//!     let mut progress = campaign.watch();
//!     while let Some(now) = progress.next().await {
//!         println!("{now}"); // in_progress: 0 idle, 1 of 50 in progress, 0 successful, 0 failed
//!     }
//!     println!("{:?}", progress.latest().outcome); // None: Ctrl-C; the next start goes on with it
//!     Ok(engine.shutdown().await?)
//! }
//! ```
//!
//! # Your own device table
//! ```no_run
//! use sortie::{Device, DeviceId, DevicePage, Inventory, InventoryError};
//! # #[derive(Debug)] struct Db;
//! # #[derive(Debug)] struct Units { db: Db }
//! # struct Unit { serial: String, model: String, site: String }
//! # impl Db {
//! #     async fn units(&self, _: &str, _: (&str, &str, usize)) -> Result<Vec<Unit>, std::io::Error> { Ok(vec![]) }
//! #     async fn serials_in(&self, _: &[DeviceId]) -> Result<std::collections::HashSet<String>, std::io::Error> { Ok(Default::default()) }
//! # }
//! const PAGE: &str = "SELECT serial, model, site FROM units
//!                     WHERE model = $1 AND serial > $2 ORDER BY serial LIMIT $3";
//!
//! #[sortie::async_trait]
//! impl Inventory for Units {
//!     async fn page(&self, want: &DevicePage) -> Result<Vec<Device>, InventoryError> {
//!         let after = want.after.as_ref().map_or("", |id| id.as_ref());
//!         let args = (want.system_model.as_ref(), after, want.limit);
//!         let units = self.db.units(PAGE, args).await.map_err(InventoryError::unavailable)?;
//!         let device = |u: Unit| Ok(Device::new(&u.serial, &u.model)?.attribute("custom:site", &u.site));
//!         units.into_iter().map(device).collect() // one bad row holds up the start, and is named in health()
//!     }
//!
//!     async fn exist(&self, ids: &[DeviceId]) -> Result<Vec<bool>, InventoryError> {
//!         let known = self.db.serials_in(ids).await.map_err(InventoryError::unavailable)?;
//!         Ok(ids.iter().map(|id| known.contains(id.as_str())).collect())
//!     }
//! }
//! ```
//! Wired by `Engine::builder().store(store).inventory(units)`. A page may hold more than was asked
//! for (the engine applies the selectors itself), in any stable order; each device once; a page
//! shorter than `limit` is the last.
//!
//! # Your own connection to devices
//! ```no_run
//! use sortie::{Delivery, Inbox, Request, Transport, TransportError};
//! # use sortie::{DeviceId, Presence};
//! # #[derive(Debug)] struct Hub;
//! # #[derive(Debug)] struct Sockets { hub: Hub }
//! # enum Heard { Presence { device: DeviceId, presence: Presence }, Frame { device: DeviceId, bytes: Vec<u8> } }
//! # enum SendError { Forbidden(String), NotConnected }
//! # impl Hub {
//! #     async fn heard(&self) -> Option<Heard> { None }
//! #     async fn send(&self, _: &DeviceId, _: Vec<u8>) -> Result<(), SendError> { Err(SendError::NotConnected) }
//! # }
//! #[sortie::async_trait]
//! impl Transport for Sockets {
//!     async fn run(&self, inbox: Inbox) -> Result<(), TransportError> {
//!         inbox.link_up(); // I hear the fleet now; no method of `inbox` blocks or fails
//!         while let Some(heard) = self.hub.heard().await {
//!             match heard {
//!                 Heard::Presence { device, presence } => inbox.presence(&device, presence),
//!                 Heard::Frame { device, bytes } => inbox.report_json(&device, &bytes),
//!             }
//!         }
//!         Err(TransportError::disconnected("hub closed")) // link down; `run` again after a backoff
//!     }
//!     async fn write(&self, request: &Request) -> Delivery {
//!         match self.hub.send(&request.device, request.to_json()).await {
//!             Ok(()) => Delivery::Sent, // the other side has it
//!             Err(SendError::Forbidden(why)) => Delivery::Refused(why), // never will; fails the target
//!             Err(_) => Delivery::NotNow, // not connected, timed out, in doubt: written again later
//!         }
//!     }
//! }
//! ```
//! It must pass on only what the authenticated peer said, say `link_up` only while it hears the
//! fleet, answer `Sent` or `Refused` only when certain, and within 30 s, and let a newer request
//! replace an older one of that device. It need not store, queue, order, retry or know progress.
//!
//! # Pause, cancel, typed errors
//! ```no_run
//! use sortie::{
//!     CampaignHandle,
//!     CampaignStatus::{Paused, Pausing},
//!     CommandError::{Invalid, NotFound, Refused, Stopped},
//!     CommandId,
//!     Rejection::WrongStatus,
//! };
//!
//! async fn stop_button(c: &CampaignHandle, user: &str, click: CommandId, end: bool) -> (u16, String) {
//!     let command = if end { c.cancel() } else { c.pause() };
//!     match command.by(user).id(click).await {
//!         Ok(()) => (202, "nothing new starts; what is under way is followed to its end".into()),
//!         Err(Refused(WrongStatus { status: Pausing | Paused, .. })) if !end => {
//!             (200, "already".into())
//!         }
//!         Err(Refused(no)) => (409, no.to_string()), // "cannot cancel: the campaign is finished"
//!         Err(Invalid(fields)) => (422, fields.to_string()), // all of them, each field named
//!         Err(NotFound(what)) => (404, what),
//!         Err(e) if e.is_retryable() => (503, e.to_string()), // Busy, Unavailable, Unknown
//!         Err(Stopped(why)) => (500, why.to_string()),
//!         Err(other) => (500, other.to_string()), // the enum may grow
//!     }
//! }
//! # fn main() {}
//! ```
//! `click` is made once per click: the same [`CommandId`] again gets the first answer, so a repeat
//! can't act twice.
//!
//! # What is stuck, and why
//! ```no_run
//! # use sortie::{Artifact, CampaignHandle, DeviceId, Engine, NewManualUpdate, TargetFilter, TargetStatus};
//! async fn at_night(engine: &Engine, campaign: &CampaignHandle) -> Result<(), sortie::Error> {
//!     println!("{}", engine.health().await); // link, log, inventory: since when, and why
//!     for row in campaign.summary().await? {
//!         println!("{} {:?}: {}", row.status, row.reason, row.count); // counted, at no cost
//!     }
//!     let failed = TargetFilter::new().status(TargetStatus::Failed);
//!     for row in campaign.targets(&failed, None, 100).await?.rows {
//!         println!("{}", campaign.explain(&row.device).await?); // its story, and what it waits for
//!     }
//!     Ok(())
//! }
//!
//! /// One device beside all campaigns: a Manual OTA Update.
//! async fn mend(engine: &Engine, device: DeviceId, image: Artifact) -> Result<(), sortie::Error> {
//!     let update = NewManualUpdate::url(device.clone(), image).acknowledge_risk();
//!     let operation = engine.manual_update(update).by("anna").await?;
//!     operation.finished().await?;
//!     println!("{}", operation.explain().await?);
//!     let history = engine.device_history(&device, None, 10).await?; // all that was done to it
//!     println!("{} updates", history.rows.len());
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//! Stories name the rules that decided (`E4`): `docs/rules.md` in the repository has them all, and
//! `docs/operations.md` says what to do about each thing that these print.
//!
//! # Testing your roll-out
//! With feature `testing`, as a dev-dependency: the real engine on a log in memory, a fleet that does
//! what your test says, and time that jumps from timer to timer. No sleep, no network, no flake.
//! ```
//! # mod my_app {
//! #     use sortie::{Artifact, CampaignHandle, Catalog, Engine, NewCampaign, Push, Sha256};
//! #     pub async fn roll_out(engine: Engine) -> Result<CampaignHandle, sortie::Error> {
//! #         let artifact = Artifact::new("http://127.0.0.1/gw.bin", 65_536, Sha256([7; 32]));
//! #         let catalog = Catalog::new()
//! #             .collection("gateway-os", "gateway-g2")
//! #             .base_image("gateway-os@1.4.0", artifact)
//! #             .group("pilot", r#""pilot" in tags"#)
//! #             .channel("pilot", &["pilot"]);
//! #         engine.declare(catalog).await?;
//! #         let new = NewCampaign::new("Pilot 1.4.0", "gateway-os@1.4.0".parse()?, "pilot".parse()?)
//! #             .mechanism(Push::new().max_in_progress_operations(10).max_failure_percentage(5.0));
//! #         Ok(engine.create_campaign(new).await?)
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), sortie::Error> { a_bad_image_harms_few_devices().await }
//! use std::time::Duration;
//!
//! use sortie::{
//!     CampaignOutcome, Device,
//!     testing::{Bed, Play},
//! };
//!
//! # #[cfg(any())]
//! #[tokio::test] // the default runtime: one thread, so one order of things
//! # async fn shown() {}
//! async fn a_bad_image_harms_few_devices() -> Result<(), sortie::Error> {
//!     let mut bed = Bed::start(42).await?; // seed; memory store, scripted fleet, manual clock
//!     for n in 1..=100 {
//!         bed.fleet().add(Device::new(&format!("gw-{n:04}"), "gateway-g2")?.tag("pilot"), "1.3.0");
//!     }
//!     bed.fleet().on_update(|_device| Play::RollsBack(Duration::from_mins(4))); // virtual time
//!
//!     let campaign = bed.run(my_app::roll_out(bed.engine())).await?; // my code: 10 at once, 5 %
//!     bed.run_for(Duration::from_mins(2)).await;
//!     bed.crash_and_restart().await?; // as `kill -9` in mid-flight, then `start()` again
//!     let campaign = bed.engine().campaign(campaign.id()).await?;
//!     let end = bed.run(campaign.finished()).await?; // jumps from timer to timer
//!
//!     assert_eq!(end.outcome, Some(CampaignOutcome::Failure));
//!     assert!(end.failed <= 5 + 10, "threshold + limit bound the harm: {end}");
//!     assert_eq!(bed.fleet().operations_seen(), end.failed); // asked of the devices, not of the engine
//!     Ok(())
//! }
//! ```
//! Your own device table and your own connection go in by `Bed::builder`; `examples/units` in the
//! repository is a service that does so. When nothing can happen any more, the test fails with a list
//! of who waits for what.
//!
//! # What runs where
//! [`EngineBuilder::start`] spawns two tasks on your runtime (their spans are `sortie_driver` and
//! `sortie_transport`); [`EngineBuilder::build`] spawns none and gives you the future to await. An
//! open `Sqlite` has two threads of its own, `sortie-sqlite-write` and `sortie-sqlite-read`;
//! [`Artifact::of_file`] has one while it hashes, `sortie-hash`, and a shutdown two while the ports
//! are dropped, `sortie-close` and `sortie-close-limit`. No signal handler, no global, no
//! `spawn_blocking`, no environment variable. Log messages go to `tracing`.
//!
//! # Features
//! | feature | default | gives |
//! |---|---|---|
//! | `sqlite` | yes | `Sqlite`, the event log and a device table in one file |
//! | `bundled` | yes | SQLite compiled in; without it the system's library is linked |
//! | `mqtt` | yes | `Mqtt`, the native device profile over a broker |
//! | `testing` | no | `testing::Bed`, for tests of your roll-out: virtual time and scripted devices |
#![forbid(unsafe_code)]

mod artifact;
mod builder;
mod campaign;
mod command;
mod engine;
mod error;
mod operation;
mod operation_watch;
mod port;
mod store;
mod targets;
#[cfg(feature = "testing")]
pub mod testing;
mod watch;

pub use artifact::{Artifact, ArtifactError};
pub use builder::{Driver, EngineBuilder};
pub use campaign::CampaignHandle;
pub use command::Command;
pub use engine::Engine;
pub use error::{CommandError, Error, QueryError, StartError};
pub use operation::OperationHandle;
pub use operation_watch::OperationWatch;
pub use port::IntoPort;
pub use store::Store;
pub use targets::{SummaryRow, TargetFilter, TargetPage, TargetRow};
pub use watch::Watch;

#[doc(no_inline)]
pub use async_trait::async_trait;
pub use sortie_core::campaign::{CommandKind, DeviceWord, End, ImageCopy, PushSpec};
pub use sortie_core::catalog::{
    Language, NewBaseImage, NewChannel, NewCollection, NewGroup, NewSystemModel,
};
pub use sortie_core::explain::{
    By, Ending, Explanation, Happened, HistoryOperation, HistoryPage, HistoryRow, Step, Wait,
    Waiting,
};
pub use sortie_core::{
    Actor, AttributeValue, BaseImageId, CampaignEvent, CampaignId, CampaignSpec, Catalog,
    CatalogEvent, CatalogItem, CatalogState, CatalogUser, ChannelId, ClaimChange, ClaimPhase,
    ClaimRow, CollectionId, CommandId, Counts, Device, DeviceError, DeviceId, Event, FieldError,
    GroupId, Invalid, ManualSource, ManualUpdate, ManualUpdateId, NewCampaign, NewManualUpdate,
    Number, OperationId, Outcome as CampaignOutcome, ParseError, Push, Rejection, Sha256, Start,
    Status as CampaignStatus, StreamId, SystemModelId, TargetIndex, TargetReason, TargetStatus,
    Timestamp, TimestampError,
};
pub use sortie_engine::{
    driver::{Fatal, Health, LinkHealth, Preview, Stopped, StoreHealth, SystemClock},
    node::{ClockStep, Halt, NodeHealth, Progress},
};
#[cfg(feature = "mqtt")]
pub use sortie_mqtt::{Mqtt, MqttError};
pub use sortie_ports::{
    Append, AppendError, BoxError, Clock, Commit, Delivery, DevicePage, EventStore, Forget, Inbox,
    Inventory, InventoryError, MemoryInventory, MemoryStore, Page, ReadError, RecordedCommand,
    Registers, Request, Transport, TransportError, Uploads, Version, codec,
};
pub use sortie_protocol::{
    Allow, ArtifactRef, BaseImage, Birth, DecodeError, Generation, IdError, Presence,
    Progress as DeviceProgress, Reason as DeviceReason, Report, Request as RequestBody, Route,
    Status as DeviceStatus, StatusCode, Update,
};
#[cfg(feature = "sqlite")]
pub use sortie_sqlite::{Devices, Holder, OpenError, Sqlite, Verified, VerifyError};
pub use uuid::Uuid;

/// What [`CatalogState`] is made of.
pub mod catalog {
    pub use sortie_core::catalog::{
        Artifact, BaseImage, Channel, Collection, Draft, Group, SystemModel,
    };
    pub use sortie_core::{RequirementError, Selector, SelectorError, VersionRequirement};
}

#[cfg(all(doctest, feature = "sqlite", feature = "mqtt"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
