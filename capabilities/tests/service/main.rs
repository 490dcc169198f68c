//! The state machine of associations, and the methods of the class that answer from what is built.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test that meets the unexpected is to fail where it stands"
)]

mod built;
mod class;
mod events;
mod matrix;
mod modifications;
mod other_copies;
mod rig;
mod walks;
