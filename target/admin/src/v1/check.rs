//! Looking for damage.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is to be read and compared with its checksums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScrubVolume {
    /// One of the volume's snapshots; the volume as it is now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// At most so many bytes a second are read; as fast as it goes if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_bytes_per_second: Option<u64>,
}

/// What looking for damage has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct CheckReport {
    /// What was looked at: `VOLUME` or `VOLUME@SNAPSHOT`.
    pub checked: String,
    /// How many bytes were looked at: of blocks that have an owner, or that have a checksum.
    pub checked_bytes: u64,
    /// How many things are wrong.
    pub damaged: u64,
    /// What is wrong, in words; the first hundred.
    #[serde(default)]
    pub findings: Vec<String>,
    /// It ended before everything was looked at: whoever asked for it has gone, it was cancelled, or hosts need
    /// the space that it keeps.
    #[serde(default)]
    pub stopped: bool,
    /// The longest time for which hosts waited for it, in microseconds.
    #[serde(default)]
    pub longest_hold_us: u64,
}
