//! What can be asked of a catalog, and what has changed when it was done. Only values.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::acl::{AclEntry, Subject};
use crate::asymmetric_access::{AccessChange, AlteredBy, GroupAccess};
use crate::iscsi_name::{IscsiName, IscsiNameError};
use crate::parameters::SessionParameters;
use crate::portal_group::{PortalGroupTag, PortalGroups};
use crate::redirect::Redirect;
use crate::target::{Lun, LunNumber, Target};
use crate::volume::{NewVolume, Volume, VolumeName};

/// One change that somebody wants. Applied as a whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Add a volume whose file is there.
    CreateVolume(NewVolume),
    /// Give a volume a larger size.
    ResizeVolume {
        /// Which one.
        volume: VolumeName,
        /// New size in bytes, a multiple of the block size.
        size_bytes: u64,
    },
    /// Remember the write cache setting (a host's MODE SELECT, or an operator).
    SetWriteCache {
        /// Which volume.
        volume: VolumeName,
        /// WCE.
        enabled: bool,
    },
    /// Set how a volume is accessed through some target port groups.
    SetAsymmetricAccess {
        /// Which volume.
        volume: VolumeName,
        /// What is to be different; all of it at once.
        changes: Vec<AccessChange>,
        /// On whose behalf.
        by: AlteredBy,
    },
    /// Remove a volume that isn't mapped.
    DeleteVolume {
        /// Which one.
        volume: VolumeName,
    },
    /// Add a target without LUNs that nobody may see yet.
    CreateTarget {
        /// Its name.
        target: IscsiName,
        /// Through which portal groups it can be reached.
        portal_groups: PortalGroups,
    },
    /// Let a target be reached through these portal groups alone.
    SetPortalGroups {
        /// Which target.
        target: IscsiName,
        /// Through which.
        portal_groups: PortalGroups,
    },
    /// Remove a target.
    DeleteTarget {
        /// Which one.
        target: IscsiName,
        /// Even if it has LUNs: they are unmapped. Volumes stay.
        force: bool,
    },
    /// Show a volume under a number of a target.
    MapLun {
        /// Where.
        target: IscsiName,
        /// What.
        volume: VolumeName,
        /// Under which number; `None` for the lowest that is free.
        number: Option<LunNumber>,
        /// Writes are refused.
        read_only: bool,
    },
    /// Show it no longer.
    UnmapLun {
        /// Where.
        target: IscsiName,
        /// Which number.
        number: LunNumber,
    },
    /// Send whoever logs in to a target elsewhere, or no longer. Sessions stay.
    SetRedirect {
        /// Which target.
        target: IscsiName,
        /// Where to; `None`: nowhere.
        redirect: Option<Redirect>,
    },
    /// Set what sessions with a target are set up with, or those of one entry of its access list. Takes
    /// effect at the next login.
    SetParameters {
        /// Which target.
        target: IscsiName,
        /// The entry about whom; `None`: all of the target's sessions.
        subject: Option<Subject>,
        /// What to set; the rest stays.
        set: SessionParameters,
        /// Names of those that are to be as if nobody had set them, before `set` is looked at.
        reset: Vec<String>,
    },
    /// Add an entry to an access list, or replace the one about the same initiators.
    SetAccess {
        /// Which list.
        scope: AclScope,
        /// The entry.
        entry: AclEntry,
    },
    /// Remove an entry of an access list.
    RemoveAccess {
        /// Which list.
        scope: AclScope,
        /// The entry about whom.
        subject: Subject,
    },
}

/// Which access list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AclScope {
    /// Who may hold discovery sessions, written `discovery`. While it is empty everybody may, and
    /// is shown the targets whose own lists let it in.
    Discovery,
    /// Who may log in to a target.
    Target(IscsiName),
}

impl FromStr for AclScope {
    type Err = IscsiNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "discovery" {
            Ok(Self::Discovery)
        } else {
            IscsiName::new(text).map(Self::Target)
        }
    }
}

impl fmt::Display for AclScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovery => f.write_str("discovery"),
            Self::Target(name) => name.fmt(f),
        }
    }
}

/// What a command has changed, for those who serve it and those who watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// There is a new volume.
    VolumeCreated(Volume),
    /// A volume has another size.
    VolumeResized {
        /// Which one.
        volume: VolumeName,
        /// Size before, in bytes.
        from_bytes: u64,
        /// Size now, in bytes.
        to_bytes: u64,
    },
    /// A volume's write cache was switched.
    WriteCacheSet {
        /// Which volume.
        volume: VolumeName,
        /// WCE.
        enabled: bool,
    },
    /// A volume is accessed in another way through some target port groups.
    AsymmetricAccessChanged {
        /// Which volume.
        volume: VolumeName,
        /// All its target port groups that aren't as they were at the beginning.
        access: BTreeMap<PortalGroupTag, GroupAccess>,
    },
    /// A volume is gone; here is what it was.
    VolumeDeleted(Volume),
    /// There is a new target.
    TargetCreated(Target),
    /// A target can be reached through other portal groups than before.
    PortalGroupsChanged {
        /// Which target.
        target: IscsiName,
        /// Through which, now.
        portal_groups: PortalGroups,
    },
    /// A target is gone; here is what it was, without the LUNs that were unmapped with it.
    TargetDeleted(Target),
    /// A target shows a volume.
    LunMapped {
        /// Where.
        target: IscsiName,
        /// What.
        lun: Lun,
    },
    /// A target shows a volume no longer.
    LunUnmapped {
        /// Where.
        target: IscsiName,
        /// What was there.
        lun: Lun,
    },
    /// Whoever logs in to a target is sent elsewhere, or no longer.
    RedirectSet {
        /// Which target.
        target: IscsiName,
        /// Where to; `None`: nowhere.
        redirect: Option<Redirect>,
    },
    /// Sessions with a target are set up with other parameters.
    ParametersSet {
        /// Which target.
        target: IscsiName,
        /// Those of the entry about whom; `None`: all.
        subject: Option<Subject>,
    },
    /// An access list says something else about somebody.
    AccessChanged {
        /// Which list.
        scope: AclScope,
        /// About whom.
        subject: Subject,
    },
}
