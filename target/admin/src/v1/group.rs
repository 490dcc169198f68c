//! Groups of volumes whose snapshots are taken at one point in time, and schedules.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All groups.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct GroupList {
    /// By name.
    pub groups: Vec<Group>,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Names of its volumes.
    pub volumes: Vec<String>,
    /// The snapshots that were taken of the whole group, from the oldest to the newest.
    #[serde(default)]
    pub sets: Vec<SnapshotSet>,
}

/// Snapshots that were taken together.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct SnapshotSet {
    /// Their name.
    pub name: String,
    /// When they were taken (RFC 3339, UTC).
    pub at: String,
    /// Names of the volumes, as far as the snapshots are still there.
    pub volumes: Vec<String>,
    /// None of them has been deleted.
    pub complete: bool,
}

/// A group that is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGroup {
    /// Its name: 1 to 64 letters, digits, `.`, `_` and `-`, starting with a letter or digit.
    pub name: String,
    /// Names of its volumes.
    #[serde(default)]
    pub volumes: Vec<String>,
}

/// All schedules.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct ScheduleList {
    /// By volume.
    pub schedules: Vec<Schedule>,
}

/// When snapshots of a volume are taken.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Schedule {
    /// Of which volume.
    pub volume: String,
    /// From one to the next, in seconds. They are taken at whole multiples of it since 1970-01-01 UTC.
    pub every_seconds: u64,
    /// How many are kept, the newest.
    pub keep: u32,
    /// When the next one is due (RFC 3339, UTC).
    pub next: String,
    /// Why the last one couldn't be taken, if so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub problem: String,
}

/// When snapshots of a volume are to be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSchedule {
    /// From one to the next, in seconds: 60 to 31622400.
    pub every_seconds: u64,
    /// How many are kept: 1 to 10000.
    pub keep: u32,
}
