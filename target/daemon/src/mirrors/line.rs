//! The connection of an end here with its other end at a peer: one that the peers' thread makes, and that is gone now
//! and then. Knows nothing of what is said.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tidelock_admin::v1;
use tidelock_catalog::{MirrorCompression, PeerName};
use tidelock_mirror::association::Event;
use tidelock_mirror::id::NodeId;
use tidelock_mirror::link::Message;

use super::end::End;
use super::lag::Told;
use super::running::{Running, which};
use crate::peers::{Compressed, Hello, LinkEnd, LinkHandle};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Line(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How often the end here was opened. What comes by a door that an earlier one has opened is for nobody.
    opened: u64,
    /// Whether it is open.
    present: bool,
    /// The connection.
    handle: Option<LinkHandle>,
    /// Why there is none.
    why: Option<String>,
    /// The ends have been as they should be since there was one.
    fine: bool,
}

impl Line {
    /// Sends to the other end. What is sent while there is no connection is lost, as on any link.
    pub(super) fn send(&self, message: Message) {
        if let Some(handle) = &self.0.lock().handle {
            handle.send(message);
        }
    }

    /// The end here ends the connection.
    pub(crate) fn disconnect(&self) {
        if let Some(handle) = self.0.lock().handle.take() {
            handle.disconnect();
        }
    }

    /// The ends are as they should be.
    pub(crate) fn is_fine(&self) {
        self.0.lock().fine = true;
    }

    /// The end here is there from now on.
    pub(super) fn arrives(&self) {
        let mut state = self.0.lock();
        state.opened += 1;
        state.present = true;
    }

    /// It isn't there any more.
    pub(super) fn leaves(&self) {
        self.0.lock().present = false;
        self.disconnect();
    }

    /// Why there is no connection; `None`: there is one.
    pub(crate) fn problem(&self) -> Option<String> {
        let state = self.0.lock();
        if state.handle.is_some() {
            return None;
        }
        let why = state.why.as_deref();
        Some(why.unwrap_or("there has been no connection yet").to_owned())
    }

    /// The peer says why there is no connection; whether that is news.
    pub(crate) fn is_refused(&self, reason: &str) -> bool {
        let mut state = self.0.lock();
        let is_news = state.handle.is_none() && state.why.as_deref() != Some(reason);
        if is_news {
            state.why = Some(reason.to_owned());
        }
        is_news
    }

    /// What is sent from now on is compressed, if the peer's daemon can take that, or isn't.
    pub(super) fn compress(&self, compression: MirrorCompression) {
        if let Some(handle) = &self.0.lock().handle {
            handle.compress(compression == MirrorCompression::Zstd);
        }
    }

    /// What has come of that; `None`: there is no connection.
    pub(crate) fn compressed(&self) -> Option<v1::MirrorCompressed> {
        let handle = self.0.lock().handle.clone()?;
        let done = handle.compressed();
        let Compressed { bytes, sent_bytes } = done.unwrap_or_default();
        Some(v1::MirrorCompressed {
            possible: done.is_some(),
            bytes,
            sent_bytes,
        })
    }

    /// The way in for one connection; `None` while the end here isn't open.
    pub(super) fn door(self: &Arc<Self>, mirror: &Arc<Running>) -> Option<Door> {
        let opened = {
            let state = self.0.lock();
            state.present.then_some(state.opened)?
        };
        let (side, _) = mirror.local()?;
        Some(Door {
            mirror: Arc::downgrade(mirror),
            line: Arc::clone(self),
            opened,
            // If it is a later one by now, nothing comes in by this door.
            end: mirror.end(side)?,
        })
    }
}

impl State {
    /// Whether the end that was opened as this one is the one that is open.
    const fn is_of(&self, opened: u64) -> bool {
        self.present && self.opened == opened
    }
}

/// An end here as a link sees it, from the time at which the end was opened to the one at which it is closed.
pub(super) struct Door {
    mirror: Weak<Running>,
    line: Arc<Line>,
    opened: u64,
    end: End,
}

impl Door {
    /// There is no connection, and why.
    fn missing(&self, reason: &str) {
        let mut state = self.line.0.lock();
        if !state.is_of(self.opened) {
            return;
        }
        state.handle = None;
        let before = state.why.replace(reason.to_owned());
        drop(state);
        if before.as_deref() != Some(reason) {
            self.changed();
        }
    }

    fn changed(&self) {
        if let Some(mirror) = self.mirror.upgrade() {
            mirror.line_changed();
        }
    }
}

impl LinkEnd for Door {
    fn hello(&self) -> Hello {
        let nobody = Hello {
            node: NodeId(0),
            mirror: tidelock_mirror::id::MirrorId(0),
            size: 0,
            block_bytes: 0,
            region_bytes: self.end.region_bytes(),
            is_source: false,
            chain: Vec::new(),
        };
        // An end that was closed meanwhile is nobody's, which the other side refuses.
        let hello = self.mirror.upgrade().and_then(|mirror| {
            let (side, volume) = mirror.local()?;
            let unit = volume.unit();
            let block_size = unit.config().block_size;
            let (which, is_source) = mirror.look(|state| {
                let is_source = state.role(side) == Some(tidelock_mirror::generation::Role::Source);
                (which(state.record(), side), is_source)
            });
            Some(Hello {
                node: which.me,
                mirror: which.mirror,
                size: unit.blocks() << block_size.shift(),
                block_bytes: block_size.bytes(),
                region_bytes: self.end.region_bytes(),
                is_source,
                chain: Vec::new(),
            })
        });
        hello.unwrap_or(nobody)
    }

    fn expects(&self, peer: &PeerName) -> Option<NodeId> {
        let mirror = self.mirror.upgrade()?;
        mirror.look(|state| {
            let (side, elsewhere) = state.record().remote()?;
            let node = state.record().end(side).node;
            (elsewhere.peer == *peer).then(|| NodeId(node.as_u128()))
        })
    }

    fn connected(&self, peer: NodeId, is_source: bool, link: LinkHandle) {
        {
            let mut state = self.line.0.lock();
            if !state.is_of(self.opened) {
                drop(state);
                return link.disconnect();
            }
            state.handle = Some(link);
            state.why = None;
            state.fine = false;
        }
        // Behind the handle: who changes it from now on finds that.
        let mirror = self.mirror.upgrade();
        if let Some(mirror) = &mirror {
            let compression = mirror.look(|state| state.record().compression);
            self.line.compress(compression);
        }
        self.end.event(Event::Connected(peer));
        if let Some(mirror) = mirror {
            mirror.sees(is_source);
        }
    }

    fn received(&self, peer: NodeId, message: Message) {
        let is_open = {
            let state = self.line.0.lock();
            state.is_of(self.opened) && state.handle.is_some()
        };
        // Of a connection that the end has ended it hears no more.
        if !is_open {
            return;
        }
        if let Message::Behind {
            bytes,
            ms,
            cut_unix_ms,
            rpo_kept,
        } = message
        {
            // It is for people.
            let told = Told {
                bytes,
                ms,
                cut_unix_ms,
                rpo_kept,
            };
            if let Some(mirror) = self.mirror.upgrade() {
                mirror.told_lag(told);
            }
            return;
        }
        self.end.event(Event::Received(peer, message));
    }

    fn disconnected(&self, peer: NodeId, reason: &str) {
        self.missing(reason);
        self.end.event(Event::Disconnected(peer));
        if let Some(mirror) = self.mirror.upgrade() {
            mirror.unseen();
        }
        self.changed();
    }

    fn was_fine(&self) -> bool {
        let state = self.line.0.lock();
        state.is_of(self.opened) && state.fine
    }

    fn refused(&self, _: NodeId, reason: &str) {
        self.missing(reason);
    }
}
