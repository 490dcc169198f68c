//! One end of a mirror: what a source does with each write of a host, what a target does with what it gets, and how
//! ends become equal again. Sans-I/O: events in, actions out, in order.
//!
//! A local mirror is two ends whose messages don't leave the daemon. Who is right is decided by
//! [`crate::generation`]; this is about the data.
//!
//! # The promises of a synchronous mirror
//!
//! * A write is acknowledged when it is at both ends, with the durability that was asked for. The local write and
//!   the message go out together. A flush means both ends.
//! * Writes that overlap are done one after the other at both ends, so that they land in the same order.
//! * A region is *hot*, durably, before anything is written in it, at either end, until everything in it is durable
//!   at both. So after any crash it is known where ends of the same generation may differ.
//! * While a peer is away, commands wait for the time that is configured. Then, by policy, a new generation is begun
//!   without it, or commands fail ([`OnFailure`]).

mod action;
mod books;
mod copying;
mod cuts;
mod engine;
mod host;
mod peer;
mod session;
mod status;
mod straight;
mod target;

pub use action::{
    Action, CommandError, Differing, Durability, Durable, Event, JournalEntry, Outcome, Report,
    Wish,
};
pub use engine::{Config, Engine, OnFailure};
pub use status::{Operated, Status};
pub use tidelock_capabilities::values::Mode;
