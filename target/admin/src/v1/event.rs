//! What has happened, as sent by `GET /v1/events`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something that has happened. Its `kind` is also the name of the server-sent event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Event {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at_unix_ms: u64,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// There is a new volume.
    VolumeCreated {
        /// Its name.
        volume: String,
    },
    /// A volume has another size.
    VolumeResized {
        /// Its name.
        volume: String,
        /// Size now, in bytes.
        size_bytes: u64,
    },
    /// A volume may take another amount of space.
    SpaceLimitsSet {
        /// Its name.
        volume: String,
        /// How much.
        limits: crate::v1::SpaceLimits,
    },
    /// So little space is left for a volume that its hosts were warned: of its own limit, or of the file system.
    SpaceRunsOut {
        /// Its name.
        volume: String,
        /// Bytes that it takes.
        used_bytes: u64,
        /// Bytes that are left.
        available_bytes: u64,
    },
    /// A volume's write cache was switched on or off.
    WriteCacheSet {
        /// Its name.
        volume: String,
        /// On.
        enabled: bool,
    },
    /// A volume is accessed in another way through some target port groups.
    AsymmetricAccessChanged {
        /// Its name.
        volume: String,
    },
    /// A volume is gone.
    VolumeDeleted {
        /// Its name.
        volume: String,
    },
    /// A volume can be used, or can't be any more.
    VolumeStateChanged {
        /// Its name.
        volume: String,
        /// How it is now.
        state: crate::v1::VolumeState,
        /// Why, if there is something to say.
        detail: String,
    },
    /// A clone is getting blocks of its own.
    HydrationBegun {
        /// Its name.
        volume: String,
        /// The number of the job.
        job: u64,
    },
    /// It isn't any more: it was cancelled, and shares blocks as before.
    HydrationEnded {
        /// Its name.
        volume: String,
        /// The number of the job.
        job: u64,
    },
    /// What a volume was made from is forgotten.
    CloneDetached {
        /// Its name.
        volume: String,
    },
    /// A clone and what it was made from have changed places.
    ClonePromoted {
        /// Its name.
        volume: String,
        /// What it was made from.
        origin: String,
    },
    /// A snapshot was taken.
    SnapshotCreated {
        /// Of which volume.
        volume: String,
        /// Its name.
        snapshot: String,
    },
    /// A snapshot is gone.
    SnapshotDeleted {
        /// Of which volume it was.
        volume: String,
        /// Its name.
        snapshot: String,
    },
    /// A volume is as one of its snapshots again.
    VolumeRestored {
        /// Its name.
        volume: String,
        /// The snapshot.
        snapshot: String,
        /// The snapshot of what was there before.
        safety: String,
    },
    /// A volume shares blocks with snapshots and clones from now on (`family`), or doesn't any more.
    VolumeFamilyChanged {
        /// Its name.
        volume: String,
        /// The family, 32 hexadecimal digits; absent for none.
        family: Option<String>,
    },
    /// The last volume of a family is gone, and the family with it.
    FamilyDeleted {
        /// The family, 32 hexadecimal digits.
        family: String,
    },
    /// A group is new, or has other volumes.
    GroupChanged {
        /// Its name.
        group: String,
        /// Names of its volumes.
        volumes: Vec<String>,
    },
    /// A group is gone.
    GroupDeleted {
        /// Its name.
        group: String,
    },
    /// Snapshots of a volume are taken at other times than before.
    ScheduleSet {
        /// The volume.
        volume: String,
        /// From one to the next, in seconds; absent for never.
        every_seconds: Option<u64>,
    },
    /// A volume is one logical unit together with another daemon's from now on, or isn't any more.
    SharedIdentityChanged {
        /// Its name.
        volume: String,
        /// It is.
        shared: bool,
    },
    /// A daemon asks to be a peer.
    PeerAsks {
        /// What it calls itself.
        name: String,
        /// The fingerprint of its key.
        fingerprint: String,
    },
    /// There is a new peer.
    PeerAdded {
        /// Its name.
        peer: String,
    },
    /// A peer is looked for elsewhere.
    PeerChanged {
        /// Its name.
        peer: String,
        /// Where.
        address: String,
    },
    /// A peer answers, or doesn't any more.
    PeerStateChanged {
        /// Its name.
        peer: String,
        /// How it is now.
        state: crate::v1::PeerState,
        /// Why, if there is something to say.
        detail: String,
    },
    /// A peer is none any more.
    PeerRemoved {
        /// Its name.
        peer: String,
    },
    /// Two volumes are kept equal from now on.
    MirrorCreated {
        /// The mirror's id.
        mirror: String,
        /// The source.
        source: String,
        /// The target.
        target: String,
    },
    /// A mirror isn't as it was.
    MirrorStateChanged {
        /// Its id.
        mirror: String,
        /// The source.
        source: String,
        /// The target.
        target: String,
        /// CopyState.
        copy_state: String,
        /// ProgressStatus.
        progress_status: String,
        /// The volume that hosts may write; absent if there is none.
        serving: Option<String>,
        /// Of an asynchronous mirror: whether its target is no further behind than it should be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rpo_kept: Option<bool>,
    },
    /// The volumes of a mirror are independent.
    MirrorDeleted {
        /// Its id.
        mirror: String,
        /// What was the source.
        source: String,
        /// What was the target.
        target: String,
    },
    /// There is a new target.
    TargetCreated {
        /// Its iSCSI name.
        target: String,
    },
    /// A target can be reached through other portal groups than before.
    PortalGroupsChanged {
        /// Its iSCSI name.
        target: String,
        /// Tags of the groups; absent if all.
        portal_groups: Option<Vec<u16>>,
    },
    /// A target is gone.
    TargetDeleted {
        /// Its iSCSI name.
        target: String,
    },
    /// A target shows a volume.
    LunMapped {
        /// The target's iSCSI name.
        target: String,
        /// The number.
        lun: u16,
        /// The volume.
        volume: String,
    },
    /// A target shows a volume no longer.
    LunUnmapped {
        /// The target's iSCSI name.
        target: String,
        /// The number.
        lun: u16,
        /// The volume.
        volume: String,
    },
    /// Whoever logs in to a target is sent elsewhere, or no longer.
    RedirectSet {
        /// The target's iSCSI name.
        target: String,
        /// Where to; absent for nowhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        redirect: Option<crate::v1::Redirect>,
    },
    /// Sessions with a target are set up with other parameters.
    ParametersSet {
        /// The target's iSCSI name.
        target: String,
        /// Those of the entry about these initiators; absent for all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        initiator: Option<String>,
        /// The network that the entry is about, if it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
    },
    /// An access list says something else about somebody.
    AccessChanged {
        /// The target's iSCSI name, or `discovery`.
        scope: String,
        /// The initiator's iSCSI name, the beginning of names, or `*`.
        initiator: String,
        /// The network that it is about; absent for anywhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
    },
    /// An initiator has logged in.
    SessionOpened {
        /// The session's number.
        session: u64,
        /// The initiator's iSCSI name.
        initiator: String,
        /// The target's iSCSI name; absent for a discovery session.
        target: Option<String>,
    },
    /// A session has ended.
    SessionClosed {
        /// The session's number.
        session: u64,
        /// The initiator's iSCSI name.
        initiator: String,
        /// The target's iSCSI name; absent for a discovery session.
        target: Option<String>,
        /// Why.
        reason: String,
    },
    /// The listener was too slow, and missed some.
    Missed {
        /// How many.
        count: u64,
    },
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

impl EventKind {
    /// The event's name, as in its JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::VolumeCreated { .. } => "volume_created",
            Self::VolumeResized { .. } => "volume_resized",
            Self::SpaceLimitsSet { .. } => "space_limits_set",
            Self::SpaceRunsOut { .. } => "space_runs_out",
            Self::WriteCacheSet { .. } => "write_cache_set",
            Self::AsymmetricAccessChanged { .. } => "asymmetric_access_changed",
            Self::VolumeDeleted { .. } => "volume_deleted",
            Self::VolumeStateChanged { .. } => "volume_state_changed",
            Self::HydrationBegun { .. } => "hydration_begun",
            Self::HydrationEnded { .. } => "hydration_ended",
            Self::CloneDetached { .. } => "clone_detached",
            Self::ClonePromoted { .. } => "clone_promoted",
            Self::SnapshotCreated { .. } => "snapshot_created",
            Self::SnapshotDeleted { .. } => "snapshot_deleted",
            Self::VolumeRestored { .. } => "volume_restored",
            Self::VolumeFamilyChanged { .. } => "volume_family_changed",
            Self::FamilyDeleted { .. } => "family_deleted",
            Self::GroupChanged { .. } => "group_changed",
            Self::GroupDeleted { .. } => "group_deleted",
            Self::ScheduleSet { .. } => "schedule_set",
            Self::SharedIdentityChanged { .. } => "shared_identity_changed",
            Self::PeerAsks { .. } => "peer_asks",
            Self::PeerAdded { .. } => "peer_added",
            Self::PeerChanged { .. } => "peer_changed",
            Self::PeerStateChanged { .. } => "peer_state_changed",
            Self::PeerRemoved { .. } => "peer_removed",
            Self::MirrorCreated { .. } => "mirror_created",
            Self::MirrorStateChanged { .. } => "mirror_state_changed",
            Self::MirrorDeleted { .. } => "mirror_deleted",
            Self::TargetCreated { .. } => "target_created",
            Self::PortalGroupsChanged { .. } => "portal_groups_changed",
            Self::TargetDeleted { .. } => "target_deleted",
            Self::LunMapped { .. } => "lun_mapped",
            Self::LunUnmapped { .. } => "lun_unmapped",
            Self::RedirectSet { .. } => "redirect_set",
            Self::ParametersSet { .. } => "parameters_set",
            Self::AccessChanged { .. } => "access_changed",
            Self::SessionOpened { .. } => "session_opened",
            Self::SessionClosed { .. } => "session_closed",
            Self::Missed { .. } => "missed",
            Self::Unknown => "unknown",
        }
    }
}
