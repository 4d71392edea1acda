//! The driver: performs a node's outputs over the ports, on tokio.
//!
//! ```text
//!  Handle ── messages ──▶ ┌──────────┐ ── Append, one call at a time ──▶ EventStore
//!                         │          │ ── Read ──▶ EventStore   ── Resolve ──▶ Inventory
//!  link task ── ended ──▶ │   loop   │ ── Write ──▶ Transport
//!  Inbox ──── heard ────▶ │ + Node   │
//!  Clock ──── timer ────▶ └──────────┘ ── Reply, Progress ──▶ Handle, watchers
//! ```
//!
//! - **One loop owns the node.** A turn takes everything that waits, hands it to the node, and then
//!   performs all that the node asks for. Nothing in a turn waits for I/O.
//! - **What polls the network never waits.** [`Transport::run`](sortie_ports::Transport::run) has a
//!   task of its own; it puts what it hears into the inbox, and the loop takes it from there.
//! - **Group commit.** At most one append is under way; what the node decides meanwhile goes
//!   together in the next one.
//! - **A port may panic, hang or be away.** A panic counts as the port's own failure, each write and
//!   each page of the inventory has a time limit, and nothing of it ends the loop.
//!
//! All time is taken from the [`Clock`](sortie_ports::Clock) port, so that a test can own it.

mod answer;
mod ask;
mod clock;
mod end;
mod guard;
mod handle;
mod health;
mod ids;
mod inventory;
mod jobs;
mod link;
mod manual;
mod outside;
mod perform;
mod pool;
mod preview;
mod start;
mod stopped;
mod store;
mod story;
mod turn;

pub use clock::SystemClock;
pub use handle::{CallError, Handle};
pub use health::{Health, LinkHealth, StoreHealth};
pub use preview::Preview;
pub use start::{Driver, OpenedDriver, Ports, Settings, StartFailure, driver};
pub use stopped::{Fatal, Stopped};
