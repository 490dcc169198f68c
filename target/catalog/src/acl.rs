//! Access lists: which initiator may, from where, and how it proves who it is. Knows no sessions.
//!
//! An entry is about an initiator, or all whose name begins alike, or `*`; and about where it comes
//! from, if it names a network. What a list says:
//!
//! 1. A deny that is about the initiator keeps it out.
//! 2. Else an allow that is about it lets it in. Of several the most specific one says how it proves
//!    itself: a name before a beginning, the longer beginning before the shorter, `*` last; then the
//!    smaller network before the larger one, and any network before none.
//! 3. The plain `*`, without a network, is about those whom no other entry is about.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::iscsi_name::{IscsiName, IscsiNameError, NamePrefix};
use crate::network::Network;
use crate::parameters::SessionParameters;
use crate::secret::ChapAccess;

/// The names that an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InitiatorPattern {
    /// Every name, written `*`.
    Any,
    /// Every name that begins like this, written with a `*` at its end.
    Prefix(NamePrefix),
    /// The initiator of this name.
    Name(IscsiName),
}

impl InitiatorPattern {
    /// Whether it is about that initiator.
    #[must_use]
    pub fn matches(&self, initiator: &IscsiName) -> bool {
        match self {
            Self::Any => true,
            Self::Prefix(prefix) => initiator.as_str().starts_with(prefix.as_str()),
            Self::Name(name) => name == initiator,
        }
    }

    /// Grows with how much of the name is given; two different patterns that are about the same
    /// initiator never have the same.
    fn specificity(&self) -> usize {
        match self {
            Self::Any => 0,
            Self::Prefix(prefix) => prefix.as_str().len(),
            Self::Name(_) => usize::MAX,
        }
    }
}

impl FromStr for InitiatorPattern {
    type Err = IscsiNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_suffix('*') {
            Some("") => Ok(Self::Any),
            Some(prefix) => NamePrefix::new(prefix).map(Self::Prefix),
            None => IscsiName::new(text).map(Self::Name),
        }
    }
}

impl fmt::Display for InitiatorPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// Whom an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Initiators of these names.
    pub initiator: InitiatorPattern,
    /// When they come from here; `None`: from anywhere.
    pub network: Option<Network>,
}

impl Subject {
    /// The plain `*`: all whom no other entry is about.
    pub const EVERYBODY: Self = Self {
        initiator: InitiatorPattern::Any,
        network: None,
    };

    fn is_about(&self, initiator: &IscsiName, from: IpAddr) -> bool {
        self.initiator.matches(initiator)
            && self.network.is_none_or(|network| network.contains(from))
    }

    fn specificity(&self) -> (usize, Option<u8>) {
        let network = self.network.as_ref().map(Network::prefix);
        (self.initiator.specificity(), network)
    }
}

impl From<InitiatorPattern> for Subject {
    fn from(initiator: InitiatorPattern) -> Self {
        Self {
            initiator,
            network: None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.initiator.fmt(f)?;
        match &self.network {
            Some(network) => write!(f, " from {network}"),
            None => Ok(()),
        }
    }
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Let in, after CHAP if it asks for that.
    Allow {
        /// How the initiator proves itself; `None`: by its name alone.
        chap: Option<ChapAccess>,
    },
    /// Keep out.
    Deny,
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// Whom it is about.
    pub subject: Subject,
    /// What it says.
    pub access: Access,
}

/// What a list says about one initiator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// An entry lets it in.
    Allowed {
        /// How it must prove itself first.
        chap: Option<&'a ChapAccess>,
        /// What the entry sets for its sessions.
        parameters: SessionParameters,
    },
    /// An entry keeps it out.
    Denied,
    /// No entry is about it. A target keeps it out as well.
    NotListed,
}

/// An access list: at most one entry about the same initiators from the same network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    pub(crate) entries: BTreeMap<Subject, Access>,
    /// What entries that let somebody in set for the sessions, where they set something.
    pub(crate) parameters: BTreeMap<Subject, SessionParameters>,
}

impl Acl {
    /// What the list says about an initiator that comes from an address. See the [module](self).
    #[must_use]
    pub fn verdict(&self, initiator: &IscsiName, from: IpAddr) -> Verdict<'_> {
        let mut best: Option<(&Subject, &Access)> = None;
        for (subject, access) in self.candidates(initiator) {
            if *subject == Subject::EVERYBODY || !subject.is_about(initiator, from) {
                continue;
            }
            if *access == Access::Deny {
                return Verdict::Denied;
            }
            if best.is_none_or(|(other, _)| other.specificity() < subject.specificity()) {
                best = Some((subject, access));
            }
        }
        match best.or_else(|| self.entries.get_key_value(&Subject::EVERYBODY)) {
            Some((subject, Access::Allow { chap })) => Verdict::Allowed {
                chap: chap.as_ref(),
                parameters: self.parameters(subject),
            },
            Some((_, Access::Deny)) => Verdict::Denied,
            None => Verdict::NotListed,
        }
    }

    /// The entries that may be about an initiator: those for `*` and for beginnings of names, and those
    /// with its name, which are found without looking at all others.
    fn candidates(&self, initiator: &IscsiName) -> impl Iterator<Item = (&Subject, &Access)> {
        let name = InitiatorPattern::Name(initiator.clone());
        let named = self.entries.range(Subject::from(name.clone())..);
        let patterns = self.entries.iter();
        patterns
            .take_while(|(subject, _)| !matches!(subject.initiator, InitiatorPattern::Name(_)))
            .chain(named.take_while(move |(subject, _)| subject.initiator == name))
    }

    /// All entries: `*` first, then beginnings of names, then names.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&Subject, &Access)> {
        self.entries.iter()
    }

    /// What the entry about somebody sets for its sessions.
    #[must_use]
    pub fn parameters(&self, subject: &Subject) -> SessionParameters {
        self.parameters.get(subject).copied().unwrap_or_default()
    }

    /// True if nobody is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests;
