//! How the ends of a mirror reach each other: within this daemon, or through a peer.

use std::sync::Arc;

use tidelock_catalog::MirrorSide;
use tidelock_mirror::link::Message;

use super::line::Line;
use super::link::Link;

/// See the module.
#[derive(Debug)]
pub(super) enum Way {
    /// Both ends are here.
    Here(Arc<Link>),
    /// One is at a peer.
    Peer(Arc<Line>),
}

impl Way {
    /// Sends to the other end, if there is a connection.
    pub(super) fn send(&self, from: MirrorSide, message: Message) {
        match self {
            Self::Here(link) => link.send(from, message),
            Self::Peer(line) => line.send(message),
        }
    }

    /// An end ends the connection.
    pub(super) fn disconnect(&self, from: MirrorSide) {
        match self {
            Self::Here(link) => link.disconnect(from),
            Self::Peer(line) => line.disconnect(),
        }
    }

    /// An end is there from now on.
    pub(super) fn arrives(&self, side: MirrorSide) {
        match self {
            Self::Here(link) => link.arrives(side),
            Self::Peer(line) => line.arrives(),
        }
    }

    /// An end isn't there any more.
    pub(super) fn leaves(&self, side: MirrorSide) {
        match self {
            Self::Here(link) => link.leaves(side),
            Self::Peer(line) => line.leaves(),
        }
    }

    /// The ends are as they should be: the next connection follows at once.
    pub(super) fn is_fine(&self) {
        match self {
            Self::Here(link) => link.is_fine(),
            Self::Peer(line) => line.is_fine(),
        }
    }
}
