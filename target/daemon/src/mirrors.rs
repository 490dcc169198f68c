//! Mirrors as they run in this daemon. Knows volumes as they are served, and no catalog but the words for one
//! mirror: what is wanted is decided and made durable by the registry.

pub(crate) mod end;
pub(crate) mod gate;
pub(crate) mod lag;
pub(crate) mod lease;
pub(crate) mod line;
mod link;
pub(crate) mod post;
pub(crate) mod running;
pub(crate) mod state;
mod way;

use tidelock_catalog::MirrorId;

/// What a mirror tells the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It isn't as it was.
    Changed(MirrorId),
    /// Hosts have to be told where the source is.
    Access(MirrorId),
    /// The end here has the place of the source, and is to become it.
    Promote(MirrorId),
    /// There is a connection with the end at a peer, or the two are in step: the peer is told what is wanted.
    Seen(MirrorId),
    /// What was wanted can't be, or the ends have agreed on something else: what the mirror says now is to be kept.
    TakeBack {
        /// Which mirror.
        mirror: MirrorId,
    },
}
