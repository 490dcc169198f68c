//! Access lists: which initiator may, and how it proves who it is. Knows no sessions.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::iscsi_name::{IscsiName, IscsiNameError};
use crate::secret::ChapAccess;

/// Whom an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InitiatorPattern {
    /// Every initiator that no other entry names, written `*`.
    Any,
    /// The initiator of this name.
    Name(IscsiName),
}

impl FromStr for InitiatorPattern {
    type Err = IscsiNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            Ok(Self::Any)
        } else {
            IscsiName::new(text).map(Self::Name)
        }
    }
}

impl fmt::Display for InitiatorPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Name(name) => name.fmt(f),
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
    pub initiator: InitiatorPattern,
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
    },
    /// An entry keeps it out.
    Denied,
    /// No entry is about it. A target keeps it out as well.
    NotListed,
}

/// An access list: at most one entry per initiator, and one for all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    pub(crate) entries: BTreeMap<InitiatorPattern, Access>,
}

impl Acl {
    /// What the list says about an initiator. The entry with its name beats the one for `*`,
    /// whichever says what.
    #[must_use]
    pub fn verdict(&self, initiator: &IscsiName) -> Verdict<'_> {
        let named = self.entries.get(&InitiatorPattern::Name(initiator.clone()));
        match named.or_else(|| self.entries.get(&InitiatorPattern::Any)) {
            Some(Access::Allow { chap }) => Verdict::Allowed {
                chap: chap.as_ref(),
            },
            Some(Access::Deny) => Verdict::Denied,
            None => Verdict::NotListed,
        }
    }

    /// All entries, `*` first, then by name.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&InitiatorPattern, &Access)> {
        self.entries.iter()
    }

    /// True if nobody is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(entries: &[(&str, bool)]) -> Acl {
        let access = |&allow: &bool| {
            if allow {
                Access::Allow { chap: None }
            } else {
                Access::Deny
            }
        };
        Acl {
            entries: entries
                .iter()
                .map(|(name, allow)| (name.parse().unwrap(), access(allow)))
                .collect(),
        }
    }

    #[test]
    fn an_entry_with_the_name_beats_the_one_for_everybody_in_both_directions() {
        let me = IscsiName::new("iqn.2024-01.com.example:me").unwrap();
        let allowed = Verdict::Allowed { chap: None };
        for (entries, verdict) in [
            (&[][..], Verdict::NotListed),
            (&[("*", true)], allowed),
            (&[("*", false)], Verdict::Denied),
            (&[("iqn.2024-01.com.example:you", true)], Verdict::NotListed),
            (&[("iqn.2024-01.com.example:ME", true)], allowed),
            (
                &[("*", true), ("iqn.2024-01.com.example:me", false)],
                Verdict::Denied,
            ),
            (
                &[("*", false), ("iqn.2024-01.com.example:me", true)],
                allowed,
            ),
        ] {
            assert_eq!(acl(entries).verdict(&me), verdict, "{entries:?}");
        }
    }
}
