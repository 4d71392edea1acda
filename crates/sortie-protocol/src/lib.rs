//! The wire between engine and device: messages, limits and their JSON.
//!
//! Per device there are two registers, each a *level* with one writer: the [`Request`] (what is in
//! force, written by the engine) and the [`Report`] (where the device is with it). [`Presence`]
//! says whether the device listens and what it runs; [`Progress`] is a sign of life. The message
//! vocabulary is Edgehog's OTARequest, OTAEvent and BaseImage, extended with what these lack.
//!
//! Every decoder here takes bytes from outside: it refuses what is larger than
//! [`limits::PAYLOAD_BYTES_MAX`], ignores unknown fields and never panics.
//!
//! `no_std` with `alloc`, so that a device without an operating system can use it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod device_id;
mod digest;
mod engine_presence;
mod error;
mod generation;
pub mod limits;
mod presence;
mod report;
mod request;
mod status;
mod text;

pub use device_id::DeviceId;
pub use digest::Sha256;
pub use engine_presence::{EnginePresence, EngineState};
pub use error::{DecodeError, IdError};
pub use generation::Generation;
pub use presence::{BaseImage, Birth, Presence};
pub use report::{Progress, Report};
pub use request::{Allow, ArtifactRef, Request, Route, Update};
pub use status::{Reason, Status, StatusCode};
/// The UUID of an OTA Operation on the wire.
pub use uuid::Uuid;
