//! Mirrors as they run in this daemon. Knows volumes as they are served, and no catalog but the words for one
//! mirror: what is wanted is decided and made durable by the registry.

pub(crate) mod end;
mod line;
mod link;
pub(crate) mod post;
pub(crate) mod running;
pub(crate) mod state;
mod way;

use tidelock_catalog::{MirrorId, MirrorRest, MirrorSide};

/// What a mirror tells the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It isn't as it was.
    Changed(MirrorId),
    /// What was wanted can't be: this is wanted again.
    TakeBack {
        /// Which mirror.
        mirror: MirrorId,
        /// Which end is the source.
        source: MirrorSide,
        /// What is wanted.
        rest: MirrorRest,
    },
}
