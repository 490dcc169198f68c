//! Random histories of a small world: whatever the decision and the state machine admit is done to volumes
//! with contents, and the contents say whether it should have been admitted.
//!
//! Checked after every step: one source per target, no circles and no chains of mirrors, limits, no data pulled
//! from under a host, no copy taken of what is no image of any moment, no good end overwritten by a bad one
//! unless by force, and states that promise an image having one. Not checked: peers (all is local here) and
//! groups.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected is to fail where it stands"
)]

mod model;
mod step;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::model::World;
use crate::step::{Done, step};

/// How many histories are played. TIDELOCK_HISTORIES sets another number.
fn histories() -> u32 {
    let set = std::env::var("TIDELOCK_HISTORIES").ok();
    set.map_or(300, |count| count.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories()))]

    #[test]
    fn nothing_that_is_admitted_does_harm(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            let told = format!("{step:?}");
            step.apply(&mut world);
            world.check(&told);
        }
    }
}

#[test]
fn histories_get_somewhere() {
    let mut runner = TestRunner::deterministic();
    let mut done = Done::default();
    for _ in 0..100 {
        let steps = prop::collection::vec(step(), 120).new_tree(&mut runner);
        let mut world = World::new();
        for step in steps.unwrap().current() {
            step.apply(&mut world);
        }
        done.add(&world.done);
    }
    println!("{done:?}");
    done.is_enough();
}
