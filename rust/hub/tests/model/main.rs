//! The hub against a model of plain vectors, under any interleaving; and its output against the rules of delivery.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod client;
mod naive;
mod steps;
#[path = "../support/mod.rs"]
mod support;
mod world;

use proptest::prelude::*;
use steps::{Op, bounds, op};
use world::World;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_equals_the_model_and_keeps_the_rules_of_delivery(
        bounds in bounds(),
        ops in prop::collection::vec(op(), 1..250),
    ) {
        let mut world = World::new(bounds);
        world.run(&Op::Subscribe);
        world.run(&Op::Subscribe);
        for op in &ops {
            world.run(op);
        }
        while let Some(id) = world.who(0) {
            world.take(id, 1 << 20);
            if world.order.first() == Some(&id) {
                world.take(id, 1 << 20);
                world.run(&Op::Close { who: 0 });
            }
        }
        let stats = world.hub.stats();
        prop_assert_eq!((stats.subscribers, stats.cursors), (0, 0));
    }
}
