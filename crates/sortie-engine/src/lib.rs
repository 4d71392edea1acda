//! The campaign engine: a sans-IO node and the driver that performs what it asks.
//!
//! - [`node`]: owns campaigns, claims, the fleet's table, batching and recovery. It does no I/O and
//!   reads no clock, so that a seeded test drives it through every order of things.
//! - [`driver`]: performs the node's outputs over the ports, on tokio.
#![forbid(unsafe_code)]

pub mod driver;
pub mod node;
mod text;
