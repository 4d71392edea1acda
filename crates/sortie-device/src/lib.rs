//! The device agent: download, write, verify, reboot, confirm, report.
#![cfg_attr(not(any(feature = "tokio", test)), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod link;

pub use link::{Link, LinkDown, LinkEvent, LinkEvents};
