//! Targets and what they show: LUN maps and access lists. Knows no sessions and no portals.

use std::collections::BTreeMap;
use std::fmt;

use crate::acl::Acl;
use crate::iscsi_name::IscsiName;
use crate::parameters::SessionParameters;
use crate::portal_group::{PortalGroupTag, PortalGroups};
use crate::redirect::Redirect;
use crate::volume::VolumeName;

/// The highest relative port that a target is given: with the portal group above it, it is the
/// relative target port identifier.
pub const RELATIVE_PORT_MAX: u16 = (1 << RELATIVE_PORT_BITS) - 1;
const RELATIVE_PORT_BITS: u16 = 12;

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
    /// What tells its ports from those of other targets, which can show the same volume: 1..=4095,
    /// unique over all targets. It is the relative target port identifier (SPC-5) of its port in
    /// portal group 1.
    pub relative_port: u16,
    /// Through which portal groups it can be reached.
    pub portal_groups: PortalGroups,
    /// What it shows.
    pub luns: BTreeMap<LunNumber, Lun>,
    /// Who may see it. Nobody, if nobody is listed.
    pub acl: Acl,
    /// Where whoever logs in is sent instead; `None`: nowhere.
    pub redirect: Option<Redirect>,
    /// What it sets for its sessions.
    pub parameters: SessionParameters,
}

/// The relative target port identifier (SPC-5) of a target's port in a portal group: unique over all
/// targets and groups, and the same for ever.
///
/// A target that was given a relative port above [`RELATIVE_PORT_MAX`], when there was one portal
/// group only, keeps it and has no port in the others.
#[must_use]
pub fn relative_port_identifier(relative_port: u16, group: PortalGroupTag) -> Option<u16> {
    if group == PortalGroupTag::DEFAULT {
        return Some(relative_port);
    }
    let high = (group.get() - 1) << RELATIVE_PORT_BITS;
    (relative_port <= RELATIVE_PORT_MAX).then_some(high | relative_port)
}

impl Target {
    /// The number under which this target shows a volume.
    #[must_use]
    pub fn lun_of(&self, volume: &VolumeName) -> Option<&Lun> {
        self.luns.values().find(|lun| lun.volume == *volume)
    }

    /// The relative target port identifier (SPC-5) of its port in a portal group; `None` if it can't
    /// be reached through it.
    #[must_use]
    pub fn relative_port_identifier(&self, group: PortalGroupTag) -> Option<u16> {
        let identifier = relative_port_identifier(self.relative_port, group);
        identifier.filter(|_| self.portal_groups.contains(group))
    }

    /// The lowest number that isn't used.
    #[must_use]
    pub fn free_lun(&self) -> Option<LunNumber> {
        (0..=LunNumber::MAX)
            .map(LunNumber)
            .find(|number| !self.luns.contains_key(number))
    }
}
