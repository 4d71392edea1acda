//! The test kit, by what it promises to the tests of an application.
#![expect(clippy::unwrap_used, reason = "what helps a test fails it by a panic")]

mod crash;
mod example;
mod fleet;
mod manual;
mod my_app;
mod plays;
mod removed;
mod repeats;
mod same;
mod stuck;
mod world;

use sortie::{Device, testing::Bed};

/// The devices `gw-0001` … of the pilot, running 1.3.0.
pub(crate) fn add(bed: &Bed, count: usize) {
    for n in 1..=count {
        let device = Device::new(&format!("gw-{n:04}"), "gateway-g2").unwrap();
        bed.fleet().add(device.tag("pilot"), "1.3.0");
    }
}
