//! What the examples of sortie are made of: a broker, a web server, and devices whose flash is
//! simulated and whose agent is real.
//!
//! The examples themselves read as tutorials: `quickstart.rs` first, then `device.rs`. Each file here
//! has one subject.
#![forbid(unsafe_code)]

pub mod broker;
pub mod chip;
pub mod diary;
pub mod fate;
pub mod firmware;
pub mod fleet;
pub mod http;
pub mod limits;
pub mod link;
pub mod log;
pub mod machine;
pub mod notes;
pub mod options;
pub mod port;
pub mod problem;
pub mod random;
pub mod report;
pub mod run_dir;
pub mod screen;
pub mod troubles;
pub mod verdict;
pub mod version_book;
pub mod watcher;
