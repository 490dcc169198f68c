//! Targets and what they show: LUN maps and access lists. Knows no sessions and no portals.

use std::collections::BTreeMap;
use std::fmt;

use crate::acl::Acl;
use crate::iscsi_name::IscsiName;
use crate::volume::VolumeName;

/// The portal group tag of a target that nobody gave another (RFC 7143 §13.9).
pub const DEFAULT_PORTAL_GROUP_TAG: u16 = 1;

/// The number of a logical unit as its initiators see it: 0..=16383, what flat space addressing can
/// express (SAM).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LunNumber(u16);

impl LunNumber {
    /// The highest number.
    pub const MAX: u16 = 16_383;

    /// A number, or `None` if it is above [`LunNumber::MAX`].
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (number <= Self::MAX).then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for LunNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A volume shown under a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lun {
    /// Under which number.
    pub number: LunNumber,
    /// Which volume.
    pub volume: VolumeName,
    /// Writes are refused with WRITE PROTECTED.
    pub read_only: bool,
}

/// A target of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its iSCSI name.
    pub name: IscsiName,
    /// Relative target port identifier (SPC-4), 1.., unique over all targets, since they
    /// can show the same volume.
    pub relative_port: u16,
    /// Target portal group tag (RFC 7143 §13.9).
    pub portal_group_tag: u16,
    /// What it shows.
    pub luns: BTreeMap<LunNumber, Lun>,
    /// Who may see it. Nobody, if nobody is listed.
    pub acl: Acl,
}

impl Target {
    /// The number under which this target shows a volume.
    #[must_use]
    pub fn lun_of(&self, volume: &VolumeName) -> Option<&Lun> {
        self.luns.values().find(|lun| lun.volume == *volume)
    }

    /// The lowest number that isn't used.
    #[must_use]
    pub fn free_lun(&self) -> Option<LunNumber> {
        (0..=LunNumber::MAX)
            .map(LunNumber)
            .find(|number| !self.luns.contains_key(number))
    }
}
