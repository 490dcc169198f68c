//! Why a catalog refuses a command: what is wrong and what to do about it. Only values.

use thiserror::Error;

use crate::acl::Subject;
use crate::command::AclScope;
use crate::iscsi_name::IscsiName;
use crate::mirror::MirrorId;
use crate::parameters::ParameterError;
use crate::snapshot::{GroupName, PeerName, SnapshotName, SnapshotRef};
use crate::target::LunNumber;
use crate::volume::{VOLUME_BYTES_MAX, VolumeId, VolumeName};

/// What sort of refusal it is, for those who must turn it into a status of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command can't be right, whatever the catalog holds.
    Invalid,
    /// What it is about isn't there.
    NotFound,
    /// Something that is there stands against it.
    Conflict,
    /// There are as many as there may be.
    Limit,
}

/// Why a command was refused. The text says what is wrong; [`CatalogError::hint`] what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The name is taken.
    #[error("there is a volume {volume} already")]
    VolumeExists {
        /// The name.
        volume: VolumeName,
    },
    /// No such name.
    #[error("there is no volume {volume}")]
    NoSuchVolume {
        /// The name.
        volume: VolumeName,
    },
    /// Hosts can still see it.
    #[error("volume {volume} is mapped: {}", list(at))]
    VolumeIsMapped {
        /// Which volume.
        volume: VolumeName,
        /// Where.
        at: Vec<(IscsiName, LunNumber)>,
    },
    /// One file can't be two volumes.
    #[error("{path} is the file of volume {volume} already")]
    PathInUse {
        /// The file.
        path: String,
        /// Whose it is.
        volume: VolumeName,
    },
    /// The file's path isn't one to keep.
    #[error("{path:?} can't be a volume's file: {reason}")]
    Path {
        /// The path.
        path: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A volume's identity can only be used once.
    #[error("the identity {id} belongs to volume {volume}")]
    IdentityInUse {
        /// The identity.
        id: VolumeId,
        /// Whose it is.
        volume: VolumeName,
    },
    /// The size isn't whole blocks.
    #[error("{size_bytes} bytes is not a multiple of the block size, {block_bytes} bytes")]
    SizeNotWholeBlocks {
        /// The size asked for, in bytes.
        size_bytes: u64,
        /// The block size in bytes.
        block_bytes: u32,
    },
    /// The size is zero or beyond [`VOLUME_BYTES_MAX`].
    #[error(
        "a volume has at least one block and at most {VOLUME_BYTES_MAX} bytes, not {size_bytes}"
    )]
    SizeOutOfRange {
        /// The size asked for, in bytes.
        size_bytes: u64,
    },
    /// What lies beyond the new size would be lost.
    #[error("volume {volume} has {from_bytes} bytes: {to_bytes} would cut off its end")]
    WouldShrink {
        /// Which volume.
        volume: VolumeName,
        /// Size now, in bytes.
        from_bytes: u64,
        /// Size asked for, in bytes.
        to_bytes: u64,
    },
    /// The name is taken.
    #[error("there is a snapshot {snapshot} already")]
    SnapshotExists {
        /// The name.
        snapshot: SnapshotRef,
    },
    /// No such name.
    #[error("there is no snapshot {snapshot}")]
    NoSuchSnapshot {
        /// The name.
        snapshot: SnapshotRef,
    },
    /// They would be lost with it.
    #[error("volume {volume} has {} snapshot(s): {}", snapshots.len(), some(snapshots))]
    VolumeHasSnapshots {
        /// Which volume.
        volume: VolumeName,
        /// Their names, from the oldest on.
        snapshots: Vec<SnapshotName>,
    },
    /// Clones were linked to it.
    #[error("snapshot {snapshot} has linked clones: {}", some(clones))]
    SnapshotHasClones {
        /// Which snapshot.
        snapshot: SnapshotRef,
        /// The clones.
        clones: Vec<VolumeName>,
    },
    /// Its content is that of its snapshot for ever.
    #[error("{volume} is a snapshot, which is read-only and can't be changed")]
    IsSnapshot {
        /// Which one.
        volume: VolumeName,
    },
    /// A volume can be in one family.
    #[error("volume {volume} is in a family already")]
    InFamily {
        /// Which volume.
        volume: VolumeName,
    },
    /// What is wanted needs a volume that has or had snapshots.
    #[error("volume {volume} has no snapshots")]
    NotInFamily {
        /// Which volume.
        volume: VolumeName,
    },
    /// There is nothing to compare its blocks with.
    #[error("volume {volume} is a plain file, which has no checksums")]
    NoChecksums {
        /// Which volume.
        volume: VolumeName,
    },
    /// No limit of space can be like this.
    #[error("{reason}")]
    SpaceLimits {
        /// Why not.
        reason: &'static str,
    },
    /// All its blocks are to have checksums.
    #[error("volume {volume} can't be a plain file: all its blocks are to have checksums")]
    KeepsChecksums {
        /// Which volume.
        volume: VolumeName,
    },
    /// Its other copy wouldn't know of what is to be done to it.
    #[error("volume {volume} is mirrored with {other}")]
    VolumeIsMirrored {
        /// Which volume.
        volume: VolumeName,
        /// The other end: a volume, or `PEER:VOLUME`.
        other: String,
    },
    /// It isn't in a mirror.
    #[error("volume {volume} is in no mirror")]
    NotMirrored {
        /// Which volume.
        volume: VolumeName,
    },
    /// No such mirror.
    #[error("there is no mirror {mirror}")]
    NoSuchMirror {
        /// What it was called.
        mirror: String,
    },
    /// It was ended meanwhile.
    #[error("mirror {mirror} isn't there any more")]
    MirrorIsGone {
        /// Which one.
        mirror: MirrorId,
    },
    /// It would have nobody to be equal to.
    #[error("volume {volume} can't be mirrored with itself")]
    MirrorOfItself {
        /// Which volume.
        volume: VolumeName,
    },
    /// What doesn't have the same blocks can't be equal.
    #[error(
        "{source_volume} has {source_bytes} bytes and {target} has {target_bytes}, or their blocks have different \
         sizes: the ends of a mirror are alike"
    )]
    MirrorSizes {
        /// The source.
        source_volume: VolumeName,
        /// Its size in bytes.
        source_bytes: u64,
        /// The target.
        target: VolumeName,
        /// Its size in bytes.
        target_bytes: u64,
    },
    /// Neither end would be here.
    #[error("neither {first} nor {second} is a volume of this daemon")]
    MirrorIsElsewhere {
        /// One end.
        first: String,
        /// The other one.
        second: String,
    },
    /// A volume of a peer is in a mirror with another volume.
    #[error("{remote} is mirrored with volume {volume}")]
    RemoteIsMirrored {
        /// `PEER:VOLUME`.
        remote: String,
        /// The volume here.
        volume: VolumeName,
    },
    /// Its volumes are mirrored.
    #[error("peer {peer} has the other end of the mirror of volume {volume}")]
    PeerHasMirror {
        /// Which peer.
        peer: PeerName,
        /// The end that is here.
        volume: VolumeName,
    },
    /// It can't fail over by itself.
    #[error("the mirror of {first} and {second} can't fail over by itself")]
    NoAutomaticFailover {
        /// One end.
        first: String,
        /// The other one.
        second: String,
    },
    /// Nobody could wait for a copy that is so slow.
    #[error(
        "{limit} bytes a second are too few for a mirror: 64 KiB a second at least, or no limit"
    )]
    ResyncLimit {
        /// What was wanted.
        limit: u64,
    },
    /// There is no link.
    #[error(
        "{first} and {second} are volumes of one daemon: nothing goes over a link that could be compressed"
    )]
    NothingToCompress {
        /// One.
        first: String,
        /// The other one.
        second: String,
    },
    /// A mirror's identities can only be used once.
    #[error("an identity of mirror {mirror} is another mirror's")]
    MirrorIdentityInUse {
        /// The new one.
        mirror: MirrorId,
    },
    /// It was made as a volume of its own.
    #[error("volume {volume} isn't a clone")]
    NotAClone {
        /// Which volume.
        volume: VolumeName,
    },
    /// It has blocks of its own already.
    #[error("clone {volume} shares nothing any more: it has a file of its own")]
    IsFullClone {
        /// Which clone.
        volume: VolumeName,
    },
    /// It is getting blocks of its own.
    #[error("volume {volume} is being made a full clone by job {job}")]
    Hydrating {
        /// Which volume.
        volume: VolumeName,
        /// The number of the job.
        job: u64,
    },
    /// It isn't.
    #[error("volume {volume} isn't being made a full clone")]
    NotHydrating {
        /// Which volume.
        volume: VolumeName,
    },
    /// It depends on what it was made from.
    #[error("clone {volume} shares blocks with {origin}: it can't be detached")]
    SharesBlocks {
        /// Which clone.
        volume: VolumeName,
        /// What it was made from.
        origin: SnapshotRef,
    },
    /// What a clone is to be called isn't a name.
    #[error("no clone can be called {name}: {reason}")]
    CloneName {
        /// Its beginning.
        name: String,
        /// Why.
        reason: String,
    },
    /// A file of its own has no snapshots.
    #[error(
        "volume {volume} has snapshots, which can't go with it into a file of its own: {}",
        some(snapshots)
    )]
    SnapshotsStay {
        /// Which volume.
        volume: VolumeName,
        /// The names.
        snapshots: Vec<SnapshotName>,
    },
    /// What a clone was made from can't change places with it.
    #[error("volume {origin}, from which clone {volume} was made, isn't there any more")]
    OriginIsGone {
        /// Which clone.
        volume: VolumeName,
        /// The volume.
        origin: VolumeName,
    },
    /// A volume has one snapshot of a name.
    #[error(
        "volume {volume} has snapshots of the same names itself: {}",
        some(snapshots)
    )]
    SameSnapshots {
        /// Which volume.
        volume: VolumeName,
        /// The names.
        snapshots: Vec<SnapshotName>,
    },
    /// Others share its blocks.
    #[error("volume {volume} shares its blocks with: {}", some(others))]
    FamilyIsShared {
        /// Which volume.
        volume: VolumeName,
        /// With whom.
        others: Vec<VolumeName>,
    },
    /// They have no blocks in common.
    #[error("{one} and {other} come from different volumes")]
    Unrelated {
        /// The first.
        one: String,
        /// The second.
        other: String,
    },
    /// The name is taken.
    #[error("there is a group {group} already")]
    GroupExists {
        /// The name.
        group: GroupName,
    },
    /// No such name.
    #[error("there is no group {group}")]
    NoSuchGroup {
        /// The name.
        group: GroupName,
    },
    /// It isn't one of them.
    #[error("volume {volume} is not in group {group}")]
    NotInGroup {
        /// Which group.
        group: GroupName,
        /// Which volume.
        volume: VolumeName,
    },
    /// Nothing was taken of the whole group under that name.
    #[error("group {group} has no snapshots {name} that were taken together")]
    NoSuchSet {
        /// Which group.
        group: GroupName,
        /// The name.
        name: SnapshotName,
    },
    /// No schedule is like that.
    #[error("{reason}")]
    Schedule {
        /// What is wrong.
        reason: String,
    },
    /// No daemon gives such an identity.
    #[error("volume {volume} can't be shown to hosts as that: it is no identity of a logical unit")]
    SharedIdentity {
        /// Which volume.
        volume: VolumeName,
    },
    /// Hosts would take both for one disk, and mix them.
    #[error("volume {volume} can't be the same disk to hosts as volume {other} of this daemon")]
    SameDisk {
        /// Which volume.
        volume: VolumeName,
        /// The other one.
        other: VolumeName,
    },
    /// Its access states say which copy is written to.
    #[error("the access states of volume {volume} follow its mirror")]
    AccessFollows {
        /// Which volume.
        volume: VolumeName,
    },
    /// The name is taken.
    #[error("there is a peer {peer} already")]
    PeerExists {
        /// The name.
        peer: PeerName,
    },
    /// One daemon is one peer.
    #[error("that daemon is peer {peer} already")]
    IsPeer {
        /// What it is called.
        peer: PeerName,
    },
    /// It would trust itself.
    #[error("that is this daemon itself")]
    PeerIsItself,
    /// No such name.
    #[error("there is no peer {peer}")]
    NoSuchPeer {
        /// The name.
        peer: PeerName,
    },
    /// The name is taken.
    #[error("there is a target {target} already")]
    TargetExists {
        /// The name.
        target: IscsiName,
    },
    /// No such name.
    #[error("there is no target {target}")]
    NoSuchTarget {
        /// The name.
        target: IscsiName,
    },
    /// It still shows volumes.
    #[error("target {target} has {count} LUN(s)")]
    TargetHasLuns {
        /// Which target.
        target: IscsiName,
        /// How many.
        count: usize,
    },
    /// The number is taken.
    #[error("LUN {number} of {target} is volume {volume} already")]
    LunInUse {
        /// Which target.
        target: IscsiName,
        /// Which number.
        number: LunNumber,
        /// What is there.
        volume: VolumeName,
    },
    /// Twice in one target, a host would take it for two paths to one disk.
    #[error("volume {volume} is mapped in {target} already, as LUN {number}")]
    AlreadyMapped {
        /// Which volume.
        volume: VolumeName,
        /// Where.
        target: IscsiName,
        /// As what.
        number: LunNumber,
    },
    /// No such number.
    #[error("target {target} has no LUN {number}")]
    NoSuchLun {
        /// Which target.
        target: IscsiName,
        /// Which number.
        number: LunNumber,
    },
    /// The list says nothing about it.
    #[error("the access list of {scope} has no entry for {subject}")]
    NoSuchAccess {
        /// Which list.
        scope: AclScope,
        /// About whom.
        subject: Subject,
    },
    /// A parameter of sessions.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// Who is kept out has no sessions.
    #[error("{subject} is denied, and has no sessions to set parameters for")]
    DeniedHasNoParameters {
        /// Whom the entry is about.
        subject: Subject,
    },
    /// With one secret for both directions, one end's answer could be played back as the other's.
    #[error("the target's secret (mutual CHAP) is one that an initiator proves itself with")]
    MutualSecretReused,
    /// There are as many as there may be.
    #[error("there can be no more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        limit: usize,
    },
}

impl CatalogError {
    /// What sort of refusal it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Parameter(_)
            | Self::Path { .. }
            | Self::SizeNotWholeBlocks { .. }
            | Self::Schedule { .. }
            | Self::SpaceLimits { .. }
            | Self::ResyncLimit { .. }
            | Self::NothingToCompress { .. }
            | Self::SizeOutOfRange { .. }
            | Self::SharedIdentity { .. }
            | Self::CloneName { .. } => ErrorKind::Invalid,
            Self::NoSuchVolume { .. }
            | Self::NoSuchSnapshot { .. }
            | Self::NoSuchGroup { .. }
            | Self::NoSuchSet { .. }
            | Self::NotInGroup { .. }
            | Self::NoSuchPeer { .. }
            | Self::NoSuchTarget { .. }
            | Self::NoSuchLun { .. }
            | Self::NotMirrored { .. }
            | Self::NoSuchMirror { .. }
            | Self::MirrorIsGone { .. }
            | Self::NoSuchAccess { .. } => ErrorKind::NotFound,
            Self::TooMany { .. } => ErrorKind::Limit,
            Self::VolumeExists { .. }
            | Self::VolumeIsMapped { .. }
            | Self::PathInUse { .. }
            | Self::IdentityInUse { .. }
            | Self::WouldShrink { .. }
            | Self::SnapshotExists { .. }
            | Self::VolumeHasSnapshots { .. }
            | Self::SnapshotHasClones { .. }
            | Self::IsSnapshot { .. }
            | Self::InFamily { .. }
            | Self::NotInFamily { .. }
            | Self::NoChecksums { .. }
            | Self::KeepsChecksums { .. }
            | Self::NotAClone { .. }
            | Self::VolumeIsMirrored { .. }
            | Self::MirrorOfItself { .. }
            | Self::MirrorSizes { .. }
            | Self::MirrorIdentityInUse { .. }
            | Self::NoAutomaticFailover { .. }
            | Self::MirrorIsElsewhere { .. }
            | Self::RemoteIsMirrored { .. }
            | Self::PeerHasMirror { .. }
            | Self::IsFullClone { .. }
            | Self::Hydrating { .. }
            | Self::NotHydrating { .. }
            | Self::SharesBlocks { .. }
            | Self::SnapshotsStay { .. }
            | Self::OriginIsGone { .. }
            | Self::SameSnapshots { .. }
            | Self::FamilyIsShared { .. }
            | Self::Unrelated { .. }
            | Self::GroupExists { .. }
            | Self::SameDisk { .. }
            | Self::AccessFollows { .. }
            | Self::PeerExists { .. }
            | Self::IsPeer { .. }
            | Self::PeerIsItself
            | Self::TargetExists { .. }
            | Self::TargetHasLuns { .. }
            | Self::LunInUse { .. }
            | Self::AlreadyMapped { .. }
            | Self::DeniedHasNoParameters { .. }
            | Self::MutualSecretReused => ErrorKind::Conflict,
        }
    }

    /// What to do about it, in words that fit the command line as well as the API.
    #[must_use]
    #[allow(
        clippy::too_many_lines,
        reason = "an arm for each error, and none is left out"
    )]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::VolumeExists { .. } => "choose another name, or delete that volume first",
            Self::NoSuchVolume { .. } => "`tidelock volume list` shows the volumes there are",
            Self::VolumeIsMapped { .. } => "unmap it first with `tidelock lun unmap TARGET LUN`",
            Self::PathInUse { .. } => "give each volume a file of its own",
            Self::Path { .. } => "give the whole path of a file, from / on",
            Self::IdentityInUse { .. } => "try again: a new identity is made each time",
            Self::SizeNotWholeBlocks { .. } => "give a size in whole KiB, MiB or GiB",
            Self::SizeOutOfRange { .. } => "give a size such as 10G or 512M",
            Self::WouldShrink { .. } => {
                "volumes only grow: copy the data to a new, smaller volume instead"
            }
            Self::SnapshotExists { .. } => "choose another name, or delete that snapshot first",
            Self::NoSuchSnapshot { .. } => {
                "`tidelock snapshot list VOLUME` shows the snapshots there are"
            }
            Self::VolumeHasSnapshots { .. } => {
                "delete them first, or say --with-snapshots (with_snapshots=true) to delete them too"
            }
            Self::SnapshotHasClones { .. } => "delete those clones first",
            Self::IsSnapshot { .. } => {
                "make a writable clone of it with `tidelock clone create VOLUME@SNAPSHOT NAME`"
            }
            Self::InFamily { .. } | Self::FamilyIsShared { .. } | Self::KeepsChecksums { .. } => "",
            Self::VolumeIsMirrored { .. }
            | Self::RemoteIsMirrored { .. }
            | Self::PeerHasMirror { .. } => {
                "`tidelock mirror detach VOLUME` makes two independent volumes of them first"
            }
            Self::NotMirrored { .. } | Self::NoSuchMirror { .. } | Self::MirrorIsGone { .. } => {
                "`tidelock mirror list` shows the mirrors there are"
            }
            Self::MirrorIsElsewhere { .. } => {
                "make the mirror at one of the daemons that have them"
            }
            Self::MirrorOfItself { .. } => "name another volume of the same size",
            Self::MirrorSizes { .. } => {
                "make a volume of exactly that size with `tidelock volume create`"
            }
            Self::NoAutomaticFailover { .. } => {
                "only synchronous mirrors between two daemons do: `tidelock mirror set-failover VOLUME manual` first, or leave \
                 it to an operator"
            }
            Self::MirrorIdentityInUse { .. } => "try again: new identities are made each time",
            Self::NotAClone { .. } => "`tidelock clone list` shows the clones there are",
            Self::IsFullClone { .. } => "`tidelock clone detach` forgets what it was made from",
            Self::Hydrating { .. } => {
                "wait for the job with `tidelock job watch`, or end it with `tidelock job cancel`: the volume stays \
                 a linked clone then"
            }
            Self::NotHydrating { .. } => {
                "`tidelock clone split` makes a full clone of a linked one"
            }
            Self::SharesBlocks { .. } => {
                "`tidelock clone split` gives it blocks of its own; after that it can be detached"
            }
            Self::CloneName { .. } => "choose another suffix",
            Self::SnapshotsStay { .. } => "delete them first",
            Self::OriginIsGone { .. } => {
                "the clone depends on no other volume: there is nothing to do"
            }
            Self::SameSnapshots { .. } => "delete those of one of the two volumes first",
            Self::NotInFamily { .. } => "take one first with `tidelock snapshot create`",
            Self::NoChecksums { .. } => {
                "what is written after its first snapshot has some; with `volume create --integrity full` all has"
            }
            Self::Unrelated { .. } => "name a volume, its snapshots, or clones of them",
            Self::GroupExists { .. } => "choose another name, or delete that group first",
            Self::NoSuchGroup { .. } => "`tidelock group list` shows the groups there are",
            Self::NotInGroup { .. } => "`tidelock group show GROUP` shows its volumes",
            Self::NoSuchSet { .. } => "`tidelock group show GROUP` shows what was taken",
            Self::NothingToCompress { .. } => "--compression is for a mirror with a peer",
            Self::ResyncLimit { .. } => "such as --resync-limit 100M, or none",
            Self::SpaceLimits { .. } => "such as --limit 20G --warn 80",
            Self::Schedule { .. } => "such as --every 1h --keep 24",
            Self::SharedIdentity { .. } => "update the older of the two daemons",
            Self::SameDisk { .. } => "a disk with two paths needs two daemons",
            Self::AccessFollows { .. } => {
                "a failover makes the other copy the one that is written to"
            }
            Self::PeerExists { .. } => "choose another name, or remove that peer first",
            Self::IsPeer { .. } => {
                "`tidelock peer set NAME --address` says that it is elsewhere; to call it otherwise, remove it first"
            }
            Self::PeerIsItself => "give the address of the other daemon",
            Self::NoSuchPeer { .. } => "`tidelock peer list` shows the peers there are",
            Self::TargetExists { .. } => "choose another name, or delete that target first",
            Self::NoSuchTarget { .. } => "`tidelock target list` shows the targets there are",
            Self::TargetHasLuns { .. } => {
                "unmap them first, or say --force (force=true) to unmap them all; volumes stay"
            }
            Self::LunInUse { .. } => "leave the number out to get the lowest that is free",
            Self::AlreadyMapped { .. } => "unmap that LUN first to give the volume another number",
            Self::NoSuchLun { .. } => "`tidelock target show TARGET` shows its LUNs",
            Self::NoSuchAccess { .. } => "`tidelock acl list TARGET` shows its entries",
            Self::Parameter(_) => "`tidelock target show TARGET` shows what is set",
            Self::DeniedHasNoParameters { .. } => "allow it first with `tidelock acl allow`",
            Self::MutualSecretReused => "give the target a secret of its own",
            Self::TooMany { .. } => "delete what is no longer needed",
        }
    }
}

/// The first few places, so that the text stays readable.
fn list(at: &[(IscsiName, LunNumber)]) -> String {
    const SHOWN: usize = 3;
    let mut text = at
        .iter()
        .take(SHOWN)
        .map(|(target, number)| format!("LUN {number} of {target}"))
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more) = at.len().checked_sub(SHOWN).filter(|&more| more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// The first few names, so that the text stays readable.
fn some(names: &[impl std::fmt::Display]) -> String {
    const SHOWN: usize = 10;
    let shown = names.iter().take(SHOWN).map(ToString::to_string);
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if let Some(more) = names.len().checked_sub(SHOWN).filter(|&more| more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
