//! What volumes share with each other.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a volume shares with others; a volume that never had a snapshot shares nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct VolumeFamily {
    /// What tells the family from every other one: 32 hexadecimal digits.
    pub id: String,
    /// What the volume was made from, if it is a clone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// How many snapshots the volume has.
    pub snapshots: u64,
    /// The names of its newest snapshots, the newest first.
    #[serde(default)]
    pub newest_snapshots: Vec<String>,
    /// Names of the clones of its snapshots.
    #[serde(default)]
    pub clones: Vec<String>,
    /// Names of all volumes that share blocks, this one included.
    pub volumes: Vec<String>,
    /// Bytes that the files of the family take: data, maps and journal, without the file that it began with.
    /// Absent in lists, and if it can't be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_bytes: Option<u64>,
    /// Bytes that maps take in memory; absent in lists, and if it can't be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_bytes: Option<u64>,
    /// Deleted snapshots and volumes whose space is being given back, or that clones still need; absent in
    /// lists, and if it can't be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub being_deleted: Option<u64>,
    /// While the volume is being made a plain file again, because it shares its blocks with nobody any more:
    /// how much of it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coming_home_percent: Option<u8>,
}

/// What a clone was made from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Origin {
    /// The volume, by the name that it had.
    pub volume: String,
    /// The snapshot, by the name that it had.
    pub snapshot: String,
    /// The snapshot can't be deleted while the clone is there.
    pub linked: bool,
    /// The clone shares nothing with it any more.
    #[serde(default)]
    pub copied: bool,
    /// The snapshot was deleted; its blocks stay for as long as the clone needs them.
    #[serde(default)]
    pub deleted: bool,
}
