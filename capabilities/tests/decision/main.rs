//! The decision, row by row of the tables that it was written from, and its properties.
//!
//! The rows assume an engine (see `rig`): redirect-on-write snapshots, background clones, local and remote
//! mirrors, one source per target, no chains of mirrors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test that meets the unexpected is to fail where it stands"
)]

mod admission;
mod aspects;
mod element_rows;
mod examples;
mod generator;
mod groups;
mod limited_engine;
mod pair_rows;
mod properties;
mod requests;
mod rig;
mod sentences;
mod states;
mod value_maps;
