//! What runs an agent on tokio.

mod driver;
mod http;
mod job;

pub use driver::{Device, RunError, run};
pub use http::{HttpBody, HttpDownload};
