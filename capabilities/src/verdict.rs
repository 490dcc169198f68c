//! What is said of one combination, and how several reasons become one.

use crate::reason::{Obstacle, Reason};

/// Whether a combination is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It would be accepted.
    Supported,
    /// It would be refused.
    Refused(Reason),
}

impl Verdict {
    /// Whether it would be accepted.
    #[must_use]
    pub const fn is_supported(self) -> bool {
        matches!(self, Self::Supported)
    }

    /// Why it would be refused.
    #[must_use]
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Supported => None,
            Self::Refused(reason) => Some(reason),
        }
    }

    /// How lasting the refusal is.
    #[must_use]
    pub fn obstacle(self) -> Option<Obstacle> {
        self.reason().map(Reason::obstacle)
    }
}

/// Takes reasons in any order and keeps the most lasting.
#[derive(Debug, Default)]
pub(crate) struct Worst(Option<Reason>);

impl Worst {
    /// Another reason.
    pub(crate) fn add(&mut self, reason: Reason) {
        let rank = |it: Reason| (it.obstacle(), it);
        if self.0.is_none_or(|kept| rank(reason) > rank(kept)) {
            self.0 = Some(reason);
        }
    }

    /// Another reason, if this is the case.
    pub(crate) fn add_if(&mut self, is: bool, reason: Reason) {
        if is {
            self.add(reason);
        }
    }

    /// What it comes to.
    pub(crate) fn verdict(self) -> Verdict {
        self.0.map_or(Verdict::Supported, Verdict::Refused)
    }
}
