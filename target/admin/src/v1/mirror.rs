//! Mirrors: two volumes that are kept equal.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A mirror that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMirror {
    /// The volume whose content counts.
    pub source: String,
    /// A volume of this daemon of the same size, which nobody uses, whose content is replaced; or `PEER:VOLUME`, which
    /// that peer makes.
    pub target: String,
    /// When writes are answered.
    #[serde(default)]
    pub mode: MirrorMode,
    /// DesiredRPO of an asynchronous one, in milliseconds: the target should never be further behind. From 100 to 86400000; 5000 if it
    /// is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo_ms: Option<u64>,
    /// What is done with hosts while the target is away.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Who lets hosts use the target when the source is gone. `automatic` is for synchronous mirrors with a peer, where both
    /// daemons have a section `[failover]` in their configuration.
    #[serde(default)]
    pub failover: MirrorFailover,
    /// How many bytes a second are copied at most, from 65536; 0 or absent: as many as hosts have no use for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resync_limit: Option<u64>,
    /// What becomes of the content on the link with a peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<MirrorCompression>,
}

/// What becomes of a volume's content on the link with a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MirrorCompression {
    /// It goes as it is.
    #[default]
    None,
    /// It is compressed, if both daemons can.
    Zstd,
    /// Something that this client doesn't know.
    #[serde(other)]
    Unknown,
}

/// How the compression of a link works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct MirrorCompressed {
    /// Whether the peer's daemon can take compressed content; if it can't, it goes as it is.
    pub possible: bool,
    /// Bytes of content that this daemon has compressed, or tried to, since the link was made.
    pub bytes: u64,
    /// Bytes that they were sent in.
    pub sent_bytes: u64,
}

/// Mirrors of all volumes of a group that are to be made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGroupMirrors {
    /// A group of this daemon with as many volumes, of which each becomes the copy of the one at its place in the order of their names; or
    /// `PEER:GROUP`: that peer makes volumes that are called as the sources, and the group.
    pub target: String,
    /// When writes are answered.
    #[serde(default)]
    pub mode: MirrorMode,
    /// DesiredRPO of asynchronous ones, in milliseconds. From 100 to 86400000; 5000 if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo_ms: Option<u64>,
    /// What is done with hosts while a target is away.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// How many bytes of each are copied a second at most: 65536 or more; absent or 0 if nobody minds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resync_limit: Option<u64>,
}

/// Who lets hosts use the target when the source is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MirrorFailover {
    /// An operator.
    #[default]
    Manual,
    /// The two daemons, by leases in etcd.
    Automatic,
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

/// When a write is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MirrorMode {
    /// When both ends have it, as durably as was asked for.
    #[default]
    Synchronous,
    /// When the source has it. The target is the source as it was a while ago.
    Asynchronous,
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

/// What is done with hosts while the target is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnFailure {
    /// They are served, and what they change is copied later.
    #[default]
    Continue,
    /// Their writes fail until the target is back (FailedCopyStopsHostIO).
    Halt,
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

/// All mirrors.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct MirrorList {
    /// By the name of the source.
    pub mirrors: Vec<Mirror>,
}

/// A mirror as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Mirror {
    /// Its id, 32 hexadecimal digits. The name of either volume will do as well where a mirror is asked for.
    pub id: String,
    /// SystemElement: the source, also after a failover.
    pub source: MirrorEnd,
    /// SyncedElement: the target.
    pub target: MirrorEnd,
    /// The groups that a volume here of it is in: their mirrors can be operated on together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Mode.
    pub mode: MirrorMode,
    /// FailedCopyStopsHostIO in words.
    pub on_failure: OnFailure,
    /// Who lets hosts use the target when the source is gone.
    #[serde(default)]
    pub failover: MirrorFailover,
    /// How many bytes a second are copied at most; absent: as many as hosts have no use for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resync_limit: Option<u64>,
    /// What becomes of the content on the link with a peer.
    #[serde(default)]
    pub compression: MirrorCompression,
    /// How that works; absent if it isn't wanted, or while there is no link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compressed: Option<MirrorCompressed>,
    /// CopyState of `CIM_Synchronized`, in its words.
    pub copy_state: String,
    /// ProgressStatus of `CIM_Synchronized`, in its words.
    pub progress_status: String,
    /// PercentSynced: how much of what is copied is there, of a hundred; absent if nobody can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_synced: Option<u8>,
    /// Bytes that the end which doesn't serve hosts still lacks, as far as they are being copied.
    pub left_bytes: u64,
    /// For how many seconds that end hasn't had everything; 0 if it has.
    pub behind_seconds: u64,
    /// How far an asynchronous target is behind; absent of a synchronous one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asynchronous: Option<MirrorLag>,
    /// The volume that hosts may write; absent if there is none at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<String>,
    /// What is wrong, or what is being waited for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What can be done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<MirrorNext>,
}

/// How far the target of an asynchronous mirror is behind: what would be lost if the source were gone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct MirrorLag {
    /// DesiredRPO: the target should never be further behind, in milliseconds.
    pub rpo_ms: u64,
    /// Bytes that hosts have written since the cut that the target has; what was written twice counts twice. Absent if
    /// nothing is known of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<u64>,
    /// Milliseconds since that cut; 0 if nothing has been written since. Absent if nothing is known of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// When that cut was taken (RFC 3339); absent if the target has got none since the source was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_at: Option<String>,
    /// Whether the target is no further behind than it should be.
    pub rpo_kept: bool,
}

/// One end of a mirror.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct MirrorEnd {
    /// The volume; of a peer's, `PEER:VOLUME`.
    pub volume: String,
    /// Which part it plays at the moment: `source` or `target`; absent if it can't be opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Whether what it has is an image of the source at some moment.
    pub consistent: bool,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub problem: String,
}

/// What can be done next.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct MirrorNext {
    /// What for.
    pub why: String,
    /// The command.
    pub command: String,
}

/// What is to be different of a mirror. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMirror {
    /// DesiredRPO of an asynchronous one, in milliseconds: the target should never be further behind. From 100 to 86400000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo_ms: Option<u64>,
    /// How many bytes a second are copied at most, from 65536; 0: as many as hosts have no use for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resync_limit: Option<u64>,
    /// What becomes of the content on the link with a peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<MirrorCompression>,
}

/// An operation on a mirror: ModifyReplicaSynchronization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MirrorOperation {
    /// Nothing is sent to the target any more; what changes is noted.
    Fracture,
    /// The same, with a target that is what the source was at one moment.
    Split,
    /// The same, for a while.
    Suspend,
    /// It goes on after Suspend.
    Resume,
    /// The target gets what it lacks, after Fracture, Split or a failure.
    Resync,
    /// The source gets what the target has, after Fracture or Split; what it had is kept as a snapshot.
    Restore,
    /// Hosts use the target from now on, which becomes the source of what is copied.
    Failover,
    /// Hosts use the source again.
    Failback,
    /// Source and target change places for good.
    Reverse,
    /// Writes are answered when both ends have them from now on.
    ResetToSync,
    /// Writes are answered when the source has them from now on.
    ResetToAsync,
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

/// What is to be done with a mirror.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModifyMirror {
    /// Operation.
    pub operation: MirrorOperation,
    /// Force: though data may be lost.
    #[serde(default)]
    pub force: bool,
    /// Of Resync, after both ends were changed: the volume (of a peer's, `PEER:VOLUME`) whose changes since they were equal
    /// are dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discard: Option<String>,
}

/// Who is to let hosts use the target of a mirror when the source is gone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMirrorFailover {
    /// Who.
    pub failover: MirrorFailover,
    /// Of `manual`: though neither the other daemon nor the store can be told.
    #[serde(default)]
    pub force: bool,
}

/// A mirror, after it was said who lets hosts use its target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct MirrorFailoverSet {
    /// As it is now.
    pub mirror: Mirror,
    /// What couldn't be told or taken away everywhere, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
}
