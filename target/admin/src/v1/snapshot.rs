//! Snapshots: points in time of volumes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct SnapshotList {
    /// By volume, and then from the oldest to the newest.
    pub snapshots: Vec<Snapshot>,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Snapshot {
    /// Of which volume it is.
    pub volume: String,
    /// Its name, which no other snapshot of the volume has.
    pub name: String,
    /// What tells it from every other one: a UUID.
    pub id: String,
    /// When it was taken (RFC 3339, UTC).
    pub at: String,
    /// The same in milliseconds since 1970-01-01 UTC.
    pub at_unix_ms: u64,
    /// The volume's size then, in bytes.
    pub size_bytes: u64,
    /// Bytes that would come back if it were deleted now: of blocks that nothing else has. Absent in lists,
    /// and if it can't be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive_bytes: Option<u64>,
    /// Why it was taken.
    pub cause: SnapshotCause,
    /// What streams call it: its id, or of a received one the id of what it is a copy of. Snapshots with the
    /// same have the same content, wherever they are.
    #[serde(default)]
    pub stream_id: String,
    /// Applications were told before it was taken, so that what it has is at rest; otherwise it is what a
    /// power cut would have left.
    #[serde(default)]
    pub quiesced: bool,
    /// The group with whose other volumes it was taken, at one point in time; absent if it was taken
    /// alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Names of the clones that were made from it.
    #[serde(default)]
    pub clones: Vec<String>,
    /// Where it is shown.
    #[serde(default)]
    pub mappings: Vec<crate::v1::Mapping>,
}

/// Why a snapshot was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SnapshotCause {
    /// Somebody wanted it.
    Operator,
    /// The volume's schedule did, which will delete it when its time has come.
    Schedule,
    /// A clone was made from it.
    Clone,
    /// The volume was about to be restored.
    Restore,
    /// It has what an operator dropped after both ends of a mirror had been written.
    SplitBrain,
    /// It came in a stream.
    Receive,
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

/// A snapshot that is to be taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSnapshot {
    /// Its name: 1 to 64 letters, digits, `.`, `_` and `-`, starting with a letter or digit.
    pub name: String,
    /// Whoever asks has told the applications that use the volume, and what they have written is at rest.
    #[serde(default)]
    pub quiesced: bool,
}

/// How a volume is to be restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreSnapshot {
    /// Even if initiators are logged in to targets that show the volume.
    #[serde(default)]
    pub force: bool,
}

/// What restoring has led to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Restored {
    /// Each volume that was restored.
    pub restored: Vec<RestoredVolume>,
}

/// A volume that is as one of its snapshots again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct RestoredVolume {
    /// Which volume.
    pub volume: String,
    /// As which snapshot.
    pub snapshot: String,
    /// The snapshot of what was there before.
    pub safety: String,
    /// The volume's size now, in bytes.
    pub size_bytes: u64,
}

/// What differs between two points in time, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Diff {
    /// The first point, `VOLUME` or `VOLUME@SNAPSHOT`.
    pub from: String,
    /// The other one.
    pub to: String,
    /// The larger of both sizes, in bytes.
    pub size_bytes: u64,
    /// The ranges in which they may differ, in order. All else is the same; what was written again with
    /// the same bytes counts as different.
    pub ranges: Vec<DiffRange>,
    /// Where the next part begins, in bytes; absent if this is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_offset_bytes: Option<u64>,
}

/// A range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct DiffRange {
    /// Its first byte.
    pub offset_bytes: u64,
    /// How many bytes.
    pub length_bytes: u64,
}
