//! A test kit for roll-outs: virtual time, scripted devices, the real engine.
//!
//! [`Bed`] is where a test begins; the crate's documentation has an example. A [`Fleet`] and a
//! [`ManualClock`] can also be used without it, as an engine's `transport` and `clock`.

mod bed;
mod clock;
mod device;
mod drive;
mod fleet;
mod held;
mod part;
mod play;
mod rng;
mod store;
mod waits;

pub use bed::{Bed, BedBuilder};
pub use clock::{Hold, ManualClock};
pub use fleet::{Fleet, Listener, SeenOperation};
pub use play::Play;
pub use sortie_ports::Heard;
