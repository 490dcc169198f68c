//! Reasons in words: what is in the way, and what would clear it. What things are called is asked of the
//! caller, so that a reason is small and holds no text.

use std::fmt;

use crate::facts::{ElementId, GroupId, PeerId};
use crate::reason::{Obstacle, Reason};

mod words;

use words::Say;

/// What elements, groups and peers are called.
pub trait Names {
    /// Writes the name of an element.
    ///
    /// # Errors
    ///
    /// Only those of the formatter.
    fn element(&self, id: ElementId, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    /// Writes the name of a group.
    ///
    /// # Errors
    ///
    /// Only those of the formatter.
    fn group(&self, id: GroupId, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    /// Writes the name of a peer.
    ///
    /// # Errors
    ///
    /// Only those of the formatter.
    fn peer(&self, id: PeerId, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// Calls everything by its identity.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identities;

impl Names for Identities {
    fn element(&self, id: ElementId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&id, f)
    }

    fn group(&self, id: GroupId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&id, f)
    }

    fn peer(&self, id: PeerId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&id, f)
    }
}

/// A reason with the names to tell it by. Its `Display` is one sentence without a full stop.
#[derive(Clone, Copy)]
pub struct Sentence<'a> {
    reason: Reason,
    names: &'a dyn Names,
}

impl Reason {
    /// The reason as a sentence with these names.
    #[must_use]
    pub fn sentence(self, names: &dyn Names) -> Sentence<'_> {
        Sentence {
            reason: self,
            names,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence(&Identities).fmt(f)
    }
}

impl fmt::Debug for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let say = Say(self.names);
        match self.reason.blocker() {
            Some(key) => say.about_association(self.reason, key, f),
            None => match self.reason.obstacle() {
                Obstacle::Never => say.never(self.reason, f),
                _ => say.about_state(self.reason, f),
            },
        }
    }
}
