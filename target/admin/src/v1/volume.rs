//! Volumes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::v1::{Reservations, VolumeFamily};

/// All volumes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct VolumeList {
    /// By name.
    pub volumes: Vec<Volume>,
}

/// One volume.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// What tells it from every other one: a UUID.
    pub id: String,
    /// NAA designator as hosts see it, 16 hexadecimal digits, the same for ever.
    pub naa: String,
    /// Unit serial number as hosts see it, the same for ever.
    pub serial: String,
    /// Its file; of a volume with snapshots the file that it was before the first one; of a clone the
    /// folder of what it shares.
    pub path: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Bytes that are the volume's alone: of a plain file all that takes up space; else what would come back if
    /// the volume were deleted and its snapshots weren't. Absent if it can't be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_bytes: Option<u64>,
    /// Bytes of a logical block.
    pub block_bytes: u32,
    /// The daemon made the file, and deletes it with the volume.
    pub managed: bool,
    /// All space was allocated when the file was made.
    pub preallocated: bool,
    /// The file is opened with O_DIRECT.
    pub direct: bool,
    /// Writes are acknowledged from the cache until the host flushes.
    pub write_cache: bool,
    /// Which of its blocks have a checksum.
    #[serde(default)]
    pub integrity: Integrity,
    /// Bytes that it takes, with its snapshots and with all that shares blocks with it; absent if it can't be
    /// told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<u64>,
    /// How much of that it may be.
    #[serde(default)]
    pub limits: SpaceLimits,
    /// How it is.
    pub state: VolumeState,
    /// Why it is so, if there is something to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Who reserved it and who is registered; absent if nobody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservations: Option<Reservations>,
    /// What it shares with snapshots and clones; absent if it never had any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<VolumeFamily>,
    /// Names of the groups that it is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Where it is shown.
    pub mappings: Vec<Mapping>,
}

/// Which blocks of a volume have a checksum (CRC32C), which each read compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Integrity {
    /// Those that were written while it had snapshots or clones.
    #[default]
    Usual,
    /// All.
    Full,
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

impl SpaceLimits {
    /// Whether there are none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// How a volume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VolumeState {
    /// Being opened.
    Loading,
    /// In order.
    Ready,
    /// Stopped after a write or flush that failed, until an operator unfences it.
    Fenced,
    /// Its file can't be opened.
    Failed,
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

/// One place where a volume is shown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Mapping {
    /// The target's iSCSI name.
    pub target: String,
    /// Under which number.
    pub lun: u16,
    /// Writes are refused.
    pub read_only: bool,
}

/// A volume that is to be made: of a size, in a new file that the daemon keeps, or from a file that
/// is there. Exactly one of `size_bytes` and `file`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateVolume {
    /// Its name: 1 to 64 letters, digits, `.`, `_` and `-`, starting with a letter or digit.
    pub name: String,
    /// Size in bytes of a new, sparse file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Absolute path of a file or block device that is there; its content is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Bytes of a logical block, 512 or 4096; 512 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_bytes: Option<u32>,
    /// Allocate all space at once.
    #[serde(default)]
    pub preallocate: bool,
    /// Open the file with O_DIRECT.
    #[serde(default)]
    pub direct: bool,
    /// Acknowledge writes only when they are durable.
    #[serde(default)]
    pub write_through: bool,
    /// Which blocks have checksums; `full` for new volumes alone. `usual` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Integrity>,
    /// How much space it may take; as much as there is if absent.
    #[serde(default, skip_serializing_if = "SpaceLimits::is_none")]
    pub limits: SpaceLimits,
}

/// How much space a volume may take, with its snapshots and with all that shares blocks with it, and when hosts
/// are warned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpaceLimits {
    /// The most bytes; what would need more is answered with SPACE ALLOCATION FAILED WRITE PROTECT. Absent: what
    /// the file system has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_bytes: Option<u64>,
    /// From so many percent of it on, 1 to 99, hosts are warned (THIN PROVISIONING SOFT THRESHOLD REACHED), once
    /// until it is less again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_percent: Option<u8>,
}

/// A volume's new size.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResizeVolume {
    /// New size in bytes, not less than now: volumes only grow.
    pub size_bytes: u64,
}
