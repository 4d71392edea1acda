//! Proof of the campaign core: against a reference written from the rules alone, and property by
//! property.
//!
//! Two campaigns and a manual update share a fleet of four devices. `step.rs` says what may happen
//! to them. `engine/` does it to the core, with the test as the node; `reference/` to plain lists, by
//! the rules; `agree.rs` compares all that can be seen after every step. `versions.rs` knows versions
//! by heart. `invariants.rs` holds the invariants of docs/architecture.md by name, checked by `log.rs`, a
//! plain reading of the log, and not by the reference.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helpers panic on purpose"
)]

mod agree;
mod engine;
mod invariants;
mod log;
mod reference;
mod said;
mod step;
mod versions;

use proptest::{
    prelude::*,
    test_runner::{Config, FileFailurePersistence},
};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use engine::Engine;
use reference::World;
use step::Step;

impl ReferenceStateMachine for World {
    type State = World;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<World> {
        step::setup().prop_map(World::new).boxed()
    }

    fn transitions(world: &World) -> BoxedStrategy<Step> {
        let young = !world.streams.iter().any(|stream| stream.started);
        step::step(young)
    }

    fn apply(mut world: World, step: &Step) -> World {
        world.step(step);
        world
    }
}

struct Core;

impl StateMachineTest for Core {
    type SystemUnderTest = Engine;
    type Reference = World;

    fn init_test(world: &World) -> Engine {
        let engine = Engine::new(world.setup.clone());
        agree::whole(&engine, world);
        engine
    }

    fn apply(mut engine: Engine, world: &World, step: Step) -> Engine {
        engine.step(&step, Some(world.passed));
        agree::said(&engine, world, &step);
        agree::whole(&engine, world);
        engine
    }
}

/// A failing run's seed is kept in this file, and tried first from then on. Commit it.
fn config() -> Config {
    let kept = FileFailurePersistence::Direct("tests/model/regressions.txt");
    Config {
        failure_persistence: Some(Box::new(kept)),
        ..Config::default()
    }
}

prop_state_machine! {
    #![proptest_config(config())]

    #[test]
    fn the_core_and_the_reference_agree_on_all_that_can_be_seen(sequential 1..80 => Core);
}
