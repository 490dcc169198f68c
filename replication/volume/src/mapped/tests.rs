//! Tests of the whole: a disk that crashes, a model, and random and exhaustive histories.
#![allow(
    clippy::cast_possible_truncation,
    reason = "sizes of tests are small, and a cut number fails one"
)]

mod blocked;
mod checking;
mod crashes;
mod disk;
mod histories;
mod readings;
mod rig;
mod single;
