//! An end of a mirror as it runs: the sans-I/O core of `tidelock-mirror` over one [`Volume`](crate::Volume). What is
//! durable of it is in a journal of its own, and what hosts write goes through it on its way to the volume. Knows no
//! connections, no catalog and no clock but the one that a resync's speed is measured by.
//!
//! * [`End`]: the core behind a lock, and its actions, done in their order.
//! * [`Shell`]: what an end asks of its house: sending, timers, telling people.
//! * [`Images`]: the hidden snapshots that it goes back to, and that asynchronous peers are sent.
//! * [`Performer`]: who reads and writes the volume for it, and [`Hands`], which is one.
//! * `journal`, `scribe`: what is durable of it, and the thread that makes it so.
//! * `here`: what is done on the thread of the I/O engine that asks.
//! * [`Inbox`]: what is on its way to an end.
//! * `landing`: what of it keeps hosts off when the end is closed.
//! * `cutting`: when an asynchronous peer gets its next cut.
//! * `answers`: how commands of the I/O engines hear from it.

mod answers;
mod cutting;
mod end;
mod error;
mod facts;
mod here;
mod hidden;
mod images;
mod inbox;
mod journal;
mod landing;
mod numbered;
mod pace;
mod performer;
mod scribe;
mod shell;

pub(crate) use answers::{Answer, Answers};
pub use cutting::{Behind, Cuts, Look};
pub use end::{Beginning, End, EndConfig};
pub use error::EndError;
pub use facts::{EndFacts, PeerFacts, PlaceFacts};
pub(crate) use here::{Job, during};
pub use here::{Nearby, is_on_an_engine};
pub use hidden::Hidden;
pub use images::{Images, SnapshotKeeper, Untaken, take_hidden};
pub use inbox::Inbox;
pub use performer::{Hands, Performer};
pub use shell::Shell;

#[cfg(test)]
mod tests;
