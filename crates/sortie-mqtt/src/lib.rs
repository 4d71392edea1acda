//! sortie's native device profile over MQTT, for the engine and for devices.
//!
//! | feature | gives | speaks | needs |
//! |---|---|---|---|
#![cfg_attr(
    feature = "engine",
    doc = "| `engine` | [`Mqtt`], a `Transport` for the engine | MQTT 5 | `sortie-ports` |"
)]
#![cfg_attr(
    feature = "device",
    doc = "| `device` | [`DeviceMqtt`], a client for one device | MQTT 3.1.1 | `sortie-protocol` only |"
)]
#![cfg_attr(
    feature = "agent",
    doc = "| `agent` | the device's client as the `Link` of an agent | | `sortie-device` |"
)]
//!
//! The engine speaks MQTT 5 because only there a broker says *why* it did not take a message (a
//! PUBACK's reason code, which becomes `Refused`), keeps from us what is larger than we accept,
//! and can be told not to repeat its retained messages. The device speaks 3.1.1, so that each
//! simulated fleet shows that a 3.1.1 device works. On a broker the two meet; nothing in the
//! profile depends on the version.
//!
//! [`topic`] is there in any case.
#![forbid(unsafe_code)]

#[cfg(any(feature = "engine", feature = "device"))]
mod acks;
#[cfg(any(feature = "engine", feature = "device"))]
mod address;
#[cfg(feature = "device")]
mod device;
#[cfg(feature = "engine")]
mod engine;
mod error;
#[cfg(any(feature = "engine", feature = "device"))]
mod outbox;
pub mod topic;
#[cfg(any(feature = "engine", feature = "device"))]
mod why;

#[cfg(feature = "device")]
pub use device::{DeviceEvent, DeviceEvents, DeviceLink, DeviceMqtt, NotConnected};
#[cfg(feature = "engine")]
pub use engine::Mqtt;
pub use error::MqttError;
