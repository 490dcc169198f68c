//! When an asynchronous mirror makes its next cut, how far its target is behind, and whether that is more than was
//! promised. Knows no data; time is an argument.
//!
//! The *lag* is what would be lost if the source were gone: the writes since the last cut that the target has, and
//! the time since that cut was taken (nothing, if nothing has been written since).

mod schedule;

pub use schedule::{Lag, RpoState, Schedule, Settings};
