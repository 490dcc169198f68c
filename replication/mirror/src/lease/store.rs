//! What is asked of the store, and what it answers. Knows no rules.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::id::NodeId;

/// A lease, as the store numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

/// When a key was changed last, as the store numbers changes. 0: it isn't there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub i64);

/// A request, as the holder numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What stays in the store of a mirror.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Standing {
    /// Who was the source last.
    pub source: NodeId,
    /// Who holds all that was acknowledged besides, and may take its place.
    pub eligible: BTreeSet<NodeId>,
}

impl fmt::Display for Standing {
    /// `source=ID eligible=ID,ID`, for people who look into the store as well.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source={} eligible=", self.source)?;
        for (at, node) in self.eligible.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{node}")?;
        }
        Ok(())
    }
}

/// What the store has isn't what an end wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it isn't of the form `source=ID eligible=ID,ID` with IDs of 32 hexadecimal digits")]
pub struct NotAStanding;

/// More ends than a mirror can have.
const ELIGIBLE_MAX: usize = 64;

impl FromStr for Standing {
    type Err = NotAStanding;

    fn from_str(text: &str) -> Result<Self, NotAStanding> {
        let (source, eligible) = text.split_once(' ').ok_or(NotAStanding)?;
        let source = node(source.strip_prefix("source=").ok_or(NotAStanding)?)?;
        let eligible = eligible.strip_prefix("eligible=").ok_or(NotAStanding)?;
        let names = eligible.split(',').filter(|_| !eligible.is_empty());
        if names.clone().count() > ELIGIBLE_MAX {
            return Err(NotAStanding);
        }
        let eligible = names.map(node).collect::<Result<_, _>>()?;
        Ok(Self { source, eligible })
    }
}

fn node(text: &str) -> Result<NodeId, NotAStanding> {
    if text.len() != 32 || !text.bytes().all(|it| it.is_ascii_hexdigit()) {
        return Err(NotAStanding);
    }
    u128::from_str_radix(text, 16)
        .map(NodeId)
        .map_err(|_| NotAStanding)
}

/// What is asked. Each is one request, of which the store does all or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// A lease of so many milliseconds.
    Grant {
        /// The store may round it up.
        ttl_ms: u64,
    },
    /// The lease begins anew.
    KeepAlive(LeaseId),
    /// Both keys, as they are now: not as some member of the store remembers them.
    Look,
    /// If there is no holder and the standing is of this revision: this end is the holder, under this lease, and this
    /// is the standing.
    Take {
        /// This end.
        me: NodeId,
        /// Of this end.
        lease: LeaseId,
        /// From then on.
        standing: Standing,
        /// What it was made from.
        from: Revision,
    },
    /// If the holder is under this lease and the standing is of this revision: this is the standing.
    Change {
        /// Of this end.
        lease: LeaseId,
        /// From then on.
        standing: Standing,
        /// What it was made from.
        from: Revision,
    },
    /// If the standing is of this revision: nobody is the holder, and this is the standing, or there is none. An operator's,
    /// where failover becomes automatic, or isn't any more; no holder asks for it.
    Settle {
        /// From then on.
        standing: Option<Standing>,
        /// What it was made from.
        from: Revision,
    },
    /// The lease ends now, and what is bound to it goes.
    Revoke(LeaseId),
}

/// What [`Request::Look`] finds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Who serves, under which lease.
    pub holder: Option<(NodeId, LeaseId)>,
    /// The standing, unless nobody has ever served under a lease.
    pub standing: Option<Standing>,
    /// Of the standing.
    pub revision: Revision,
}

/// What the store answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// A lease, and of how many milliseconds.
    Granted(LeaseId, u64),
    /// [`Request::KeepAlive`]: it goes on, for so many milliseconds from when the store got the request.
    Kept(u64),
    /// [`Request::KeepAlive`]: there is no such lease (any more).
    LeaseGone,
    /// [`Request::Look`].
    Seen(Seen),
    /// Done; the standing is of this revision now.
    Done(Revision),
    /// The condition didn't hold; nothing was changed.
    Refused,
}

/// No answer came. What was asked may have been done, or may be done later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unanswered;
