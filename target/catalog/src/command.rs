//! What can be asked of a catalog, and what has changed when it was done. Only values.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::acl::{AclEntry, Subject};
use crate::asymmetric_access::{AccessChange, AlteredBy, GroupAccess};
use crate::family::{DatasetId, Family, FamilyId, Place};
use crate::group::Group;
use crate::hydration::{Hydration, HydrationProgress, Intent};
use crate::iscsi_name::{IscsiName, IscsiNameError};
use crate::mirror::{
    Mirror, MirrorCompression, MirrorFailover, MirrorId, MirrorMode, MirrorRest, MirrorSide,
};
use crate::parameters::SessionParameters;
use crate::peer::{Peer, PeerAddress};
use crate::portal_group::{PortalGroupTag, PortalGroups};
use crate::redirect::Redirect;
use crate::schedule::Schedule;
use crate::shared_identity::SharedIdentity;
use crate::snapshot::{GroupName, PeerName, SnapshotName, SnapshotRef};
use crate::target::{Lun, LunNumber, Target};
use crate::volume::{NewClone, NewVolume, SpaceLimits, Volume, VolumeName};

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
    /// Set how much space a volume may take.
    SetSpaceLimits {
        /// Which one.
        volume: VolumeName,
        /// All that is said of it.
        limits: SpaceLimits,
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
    /// Let a volume with a file of its own be a head of a new family, whose home that file is.
    JoinFamily {
        /// Which volume.
        volume: VolumeName,
        /// The family, and the head that the volume is in it.
        place: Place,
    },
    /// Let a volume that is a family's only head be a file of its own again.
    LeaveFamily {
        /// Which volume.
        volume: VolumeName,
    },
    /// Add a volume that is a head of a family already.
    CreateClone(NewClone),
    /// Give a clone blocks of its own, in a file that is to be made.
    BeginHydration {
        /// Which one.
        volume: VolumeName,
        /// How.
        hydration: Hydration,
    },
    /// Remember how far that is.
    NoteHydration {
        /// Of which clone.
        volume: VolumeName,
        /// So far.
        progress: HydrationProgress,
    },
    /// Leave it at that: the clone goes on sharing blocks. Its file is gone already.
    EndHydration {
        /// Which clone.
        volume: VolumeName,
    },
    /// A clone is the file that was made for it from now on, and shares nothing.
    PartClone {
        /// Which one.
        volume: VolumeName,
    },
    /// Forget what a clone was made from, which shares nothing with it.
    DetachClone {
        /// Which one.
        volume: VolumeName,
    },
    /// Let a clone and what it was made from change places: it is the one that was there before, and the other
    /// one the clone.
    PromoteClone {
        /// Which one.
        volume: VolumeName,
        /// The new id of what is intended by that.
        intent: Uuid,
        /// The snapshots of the other one that are the clone's from now on.
        snapshots: Vec<(DatasetId, SnapshotName)>,
    },
    /// Remember what is to be, in several places.
    Intend(Intent),
    /// Keep two volumes equal from now on. Their ends are there already.
    CreateMirror(Mirror),
    /// Remember what an operator wants of a mirror.
    SetMirror {
        /// Which one.
        mirror: MirrorId,
        /// Which end is the source.
        source: MirrorSide,
        /// What is wanted.
        rest: MirrorRest,
    },
    /// Answer writes of hosts from now on as this says.
    SetMirrorMode {
        /// Which one.
        mirror: MirrorId,
        /// When.
        mode: MirrorMode,
    },
    /// Copy so many bytes a second at most between the ends of a mirror.
    SetMirrorResyncLimit {
        /// Which one.
        mirror: MirrorId,
        /// How many; `None`: as many as hosts have no use for.
        limit: Option<u64>,
    },
    /// Compress what goes over the link of a mirror with a peer, or not.
    SetMirrorCompression {
        /// Which one.
        mirror: MirrorId,
        /// How.
        compression: MirrorCompression,
    },
    /// Say who lets hosts use the target of a mirror.
    SetMirrorFailover {
        /// Which mirror.
        mirror: MirrorId,
        /// Who.
        failover: MirrorFailover,
    },
    /// Let the volumes of a mirror be independent.
    DeleteMirror {
        /// Which one.
        mirror: MirrorId,
    },
    /// It is so everywhere.
    Fulfil {
        /// What was intended.
        intent: Uuid,
    },
    /// Give a volume that is a head of a family the size that the head has.
    SetHeadSize {
        /// Which one.
        volume: VolumeName,
        /// Size in bytes, a multiple of the block size.
        size_bytes: u64,
    },
    /// Show a snapshot under a number of a target. It stays in the catalog, to be the same for its hosts
    /// when it is shown again, until it is deleted like a volume.
    MapSnapshot {
        /// Where.
        target: IscsiName,
        /// What.
        snapshot: SnapshotRef,
        /// Where its blocks are.
        place: Place,
        /// Its size in bytes.
        size_bytes: u64,
        /// Under which number; `None` for the lowest that is free.
        number: Option<LunNumber>,
    },
    /// Add a group.
    CreateGroup {
        /// Its name.
        group: GroupName,
        /// Its volumes.
        volumes: Vec<VolumeName>,
    },
    /// Remove a group. Its volumes stay, and its snapshots.
    DeleteGroup {
        /// Which one.
        group: GroupName,
    },
    /// Put volumes into a group.
    AddToGroup {
        /// Which group.
        group: GroupName,
        /// Which volumes.
        volumes: Vec<VolumeName>,
    },
    /// Take a volume out of a group.
    RemoveFromGroup {
        /// Which group.
        group: GroupName,
        /// Which volume.
        volume: VolumeName,
    },
    /// Take snapshots of a volume again and again, or no longer.
    SetSchedule {
        /// Of which volume.
        volume: VolumeName,
        /// When; `None`: no longer.
        schedule: Option<Schedule>,
    },
    /// Let a volume be one logical unit together with another daemon's. Its access states follow which of the two
    /// is written to, from now on.
    ShareIdentity {
        /// Which volume.
        volume: VolumeName,
        /// As what hosts see both.
        identity: SharedIdentity,
    },
    /// Let it be one of its own again, in the access states of a new one.
    UnshareIdentity {
        /// Which volume.
        volume: VolumeName,
    },
    /// Trust another daemon.
    AddPeer(Peer),
    /// Look for a peer elsewhere.
    SetPeerAddress {
        /// Which one.
        peer: PeerName,
        /// Where it is.
        address: PeerAddress,
    },
    /// Trust a peer no longer.
    RemovePeer {
        /// Which one.
        peer: PeerName,
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
    /// A volume may take another amount of space.
    SpaceLimitsSet {
        /// Which volume.
        volume: VolumeName,
        /// How much.
        limits: SpaceLimits,
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
    /// A volume is a head of a family now, with other bytes in no block.
    FamilyJoined {
        /// Which volume.
        volume: VolumeName,
        /// The family, which is new.
        family: Family,
    },
    /// A volume is a file of its own again; here is the family that it was.
    FamilyLeft {
        /// Which volume.
        volume: VolumeName,
        /// The family, which is gone.
        family: Family,
    },
    /// The last volume of a family is gone, and the family with it; here is what it was.
    FamilyDeleted(Family),
    /// A clone is getting blocks of its own.
    HydrationBegun {
        /// Which one.
        volume: VolumeName,
        /// The number of the job.
        job: u64,
    },
    /// It isn't any more, and goes on sharing blocks.
    HydrationEnded {
        /// Which one.
        volume: VolumeName,
        /// The number of the job.
        job: u64,
    },
    /// It has a file of its own now, and shares nothing.
    CloneParted {
        /// Which one.
        volume: VolumeName,
        /// The family that it was in.
        family: FamilyId,
    },
    /// What a volume was made from is forgotten.
    CloneDetached {
        /// Which one.
        volume: VolumeName,
    },
    /// A clone and what it was made from have changed places.
    ClonePromoted {
        /// The clone.
        volume: VolumeName,
        /// What it was made from.
        origin: VolumeName,
    },
    /// Two volumes are kept equal.
    MirrorCreated(Mirror),
    /// They aren't any more; here is what the mirror was.
    MirrorDeleted(Mirror),
    /// The catalog has something for itself, of which nobody needs to be told.
    Noted,
    /// A snapshot was taken.
    SnapshotCreated(SnapshotRef),
    /// A snapshot is gone.
    SnapshotDeleted(SnapshotRef),
    /// A volume is as one of its snapshots again.
    VolumeRestored {
        /// Which one.
        snapshot: SnapshotRef,
        /// What has what was there before.
        safety: SnapshotRef,
    },
    /// A group is new, or has other volumes.
    GroupChanged(Group),
    /// A group is gone.
    GroupDeleted(GroupName),
    /// Snapshots of a volume are taken at other times than before.
    ScheduleSet {
        /// Of which volume.
        volume: VolumeName,
        /// When; `None`: no longer.
        schedule: Option<Schedule>,
    },
    /// A volume is one logical unit together with another daemon's.
    IdentityShared {
        /// Which volume.
        volume: VolumeName,
        /// As what hosts see both.
        identity: SharedIdentity,
    },
    /// It is one of its own again.
    IdentityUnshared {
        /// Which volume.
        volume: VolumeName,
    },
    /// There is a new peer.
    PeerAdded(Peer),
    /// A peer is somewhere else.
    PeerChanged(Peer),
    /// A peer is none any more; here is what it was.
    PeerRemoved(Peer),
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
