//! A small service that rolls images out to its units: with its own table of units, its own
//! connection to them and its own policy. What a service would take from here:
//!
//! | file | is |
//! |---|---|
//! | `units.rs` | the table, by MAC address: sortie's `Inventory` |
//! | `hub.rs`, `frame.rs` | the connection, JSON in frames over TCP: sortie's `Transport` |
//! | `roll_out.rs` | what is rolled out to whom, how many at once, and when it is stopped |
//! | `simulated.rs` | units that `main` talks to, in place of real ones |
//! | `tests/roll_out.rs` | tests of all this with `sortie::testing::Bed` |
#![forbid(unsafe_code)]

pub mod frame;
mod hub;
mod roll_out;
pub mod simulated;
mod units;

pub use hub::Hub;
pub use roll_out::{Release, roll_out};
pub use units::{Mac, Unit, Units};
