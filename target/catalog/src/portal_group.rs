//! Portal groups as targets and volumes name them. Knows no addresses: which portals a group has is
//! the daemon's own configuration.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The tag of a portal group (RFC 7143 §13.9), 1..=16. It is also the number of the target port group
/// (SPC-5) that the ports of this portal group are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortalGroupTag(u16);

/// A number that is no tag.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0} can't be a portal group: they go from 1 to {max}", max = PortalGroupTag::MAX)]
pub struct PortalGroupTagError(String);

impl PortalGroupTag {
    /// The highest tag.
    pub const MAX: u16 = 16;
    /// The group of the portals that nobody gave another one.
    pub const DEFAULT: Self = Self(1);

    /// A tag, or `None` if it is 0 or above [`PortalGroupTag::MAX`].
    #[must_use]
    pub const fn new(tag: u16) -> Option<Self> {
        if tag >= 1 && tag <= Self::MAX {
            Some(Self(tag))
        } else {
            None
        }
    }

    /// The tag.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// All tags.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=Self::MAX).map(Self)
    }
}

impl Default for PortalGroupTag {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<u16> for PortalGroupTag {
    type Error = PortalGroupTagError;

    fn try_from(tag: u16) -> Result<Self, Self::Error> {
        Self::new(tag).ok_or_else(|| PortalGroupTagError(tag.to_string()))
    }
}

impl FromStr for PortalGroupTag {
    type Err = PortalGroupTagError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let tag = text.parse().ok().and_then(Self::new);
        tag.ok_or_else(|| PortalGroupTagError(text.chars().take(20).collect()))
    }
}

impl fmt::Display for PortalGroupTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Through which portal groups a target can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortalGroups {
    /// One bit per tag; none is for all groups, those included that will be configured later.
    only: u16,
}

impl PortalGroups {
    /// All that the daemon has.
    pub const ALL: Self = Self { only: 0 };

    /// These alone; `None` if there is none, since nobody could reach the target then.
    pub fn only(tags: impl IntoIterator<Item = PortalGroupTag>) -> Option<Self> {
        let only = tags.into_iter().fold(0, |all, tag| all | bit(tag));
        (only != 0).then_some(Self { only })
    }

    /// Whether that group is one of them.
    #[must_use]
    pub fn contains(self, tag: PortalGroupTag) -> bool {
        self.only == 0 || self.only & bit(tag) != 0
    }

    /// The tags in ascending order, if there is a restriction.
    #[must_use]
    pub fn restriction(self) -> Option<Vec<PortalGroupTag>> {
        let tags = || PortalGroupTag::all().filter(|tag| self.contains(*tag));
        (self.only != 0).then(|| tags().collect())
    }
}

fn bit(tag: PortalGroupTag) -> u16 {
    1 << (tag.0 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_go_from_1_to_16() {
        for tag in [0, 17, 256, u16::MAX] {
            assert_eq!(PortalGroupTag::new(tag), None);
        }
        assert_eq!(PortalGroupTag::all().count(), 16);
        assert_eq!("16".parse(), Ok(PortalGroupTag(16)));
        for text in ["", "0", "17", "-1", "one", "1 ", "99999999999999999999999"] {
            let error = PortalGroupTag::from_str(text).unwrap_err().to_string();
            assert!(error.contains("from 1 to 16"), "{error}");
        }
    }

    #[test]
    fn no_restriction_is_all_groups_and_no_group_is_no_restriction() {
        assert!(PortalGroupTag::all().all(|tag| PortalGroups::ALL.contains(tag)));
        assert_eq!(PortalGroups::ALL.restriction(), None);
        assert_eq!(PortalGroups::only([]), None);
        let tags = [PortalGroupTag(16), PortalGroupTag(2)];
        let some = PortalGroups::only(tags).unwrap();
        assert_eq!(
            some.restriction().unwrap(),
            [PortalGroupTag(2), PortalGroupTag(16)]
        );
        assert!(!some.contains(PortalGroupTag::DEFAULT));
    }
}
