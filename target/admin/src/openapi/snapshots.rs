//! What can be asked about snapshots, groups and schedules. Each function stands for one path
//! and method; none is ever called.
#![allow(dead_code, reason = "read by the utoipa macros alone")]

use crate::v1::{
    CreateGroup, CreateSnapshot, Diff, ErrorBody, Group, GroupList, Job, RestoreSnapshot, Restored,
    Schedule, ScheduleList, ScrubVolume, SetSchedule, Snapshot, SnapshotList,
};

/// All snapshots
#[utoipa::path(get, path = "/v1/snapshots", tag = "snapshots",
    responses((status = 200, body = SnapshotList), (status = "4XX", body = ErrorBody)))]
pub(super) fn list_all_snapshots() {}

/// The snapshots of a volume
#[utoipa::path(get, path = "/v1/volumes/{volume}/snapshots", tag = "snapshots",
    params(("volume" = String, Path, description = "The volume's name")),
    responses((status = 200, body = SnapshotList), (status = "4XX", body = ErrorBody)))]
pub(super) fn list_snapshots() {}

/// Take a snapshot of a volume
///
/// At once, while the volume is in use, and without waiting for a flush. It has everything that was
/// acknowledged before the request came, and nothing that is sent after the answer. That there is such a
/// snapshot is durable with the answer; what hosts haven't flushed is made durable in the background. If
/// the power fails before that is done, the snapshot is what the volume was at an earlier moment that is
/// not older than the last flush, and stays so.
#[utoipa::path(post, path = "/v1/volumes/{volume}/snapshots", tag = "snapshots",
    params(("volume" = String, Path, description = "The volume's name")),
    request_body = CreateSnapshot,
    responses((status = 201, body = Snapshot), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn create_snapshot() {}

/// One snapshot
#[utoipa::path(get, path = "/v1/volumes/{volume}/snapshots/{snapshot}", tag = "snapshots",
    params(("volume" = String, Path, description = "The volume's name"),
           ("snapshot" = String, Path, description = "The snapshot's name")),
    responses((status = 200, body = Snapshot), (status = "4XX", body = ErrorBody)))]
pub(super) fn show_snapshot() {}

/// Remove a snapshot
///
/// It is gone at once; its space comes back in the background. Refused while it is mapped or has linked
/// clones; other clones keep what they need of it.
#[utoipa::path(delete, path = "/v1/volumes/{volume}/snapshots/{snapshot}", tag = "snapshots",
    params(("volume" = String, Path, description = "The volume's name"),
           ("snapshot" = String, Path, description = "The snapshot's name")),
    responses((status = 204), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn delete_snapshot() {}

/// Let a volume be as one of its snapshots again
///
/// What was there before is kept as a snapshot. The size stays: what the volume has grown by since then
/// reads as zeros. Refused while initiators are logged in to targets that
/// show the volume, unless `force` is said: they are told by unit attentions, and have to forget what
/// they have cached.
#[utoipa::path(post, path = "/v1/volumes/{volume}/snapshots/{snapshot}/restore", tag = "snapshots",
    params(("volume" = String, Path, description = "The volume's name"),
           ("snapshot" = String, Path, description = "The snapshot's name")),
    request_body = RestoreSnapshot,
    responses((status = 200, body = Restored), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn restore_snapshot() {}

/// What differs between two points in time
///
/// In parts: ask again with `offset_bytes` as the answer's `next_offset_bytes`, until there is none.
#[utoipa::path(get, path = "/v1/diff", tag = "snapshots",
    params(("from" = String, Query, description = "VOLUME@SNAPSHOT, or VOLUME as it is now"),
           ("to" = String, Query, description = "The same; both have to come from one volume"),
           ("offset_bytes" = Option<u64>, Query, description = "Where to begin; 0 if absent"),
           ("limit" = Option<u32>, Query, description = "Most ranges, 1 to 65536; 4096 if absent")),
    responses((status = 200, body = Diff), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn diff() {}

/// All groups
#[utoipa::path(get, path = "/v1/groups", tag = "groups",
    responses((status = 200, body = GroupList), (status = "4XX", body = ErrorBody)))]
pub(super) fn list_groups() {}

/// Make a group
#[utoipa::path(post, path = "/v1/groups", tag = "groups", request_body = CreateGroup,
    responses((status = 201, body = Group), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn create_group() {}

/// One group
#[utoipa::path(get, path = "/v1/groups/{group}", tag = "groups",
    params(("group" = String, Path, description = "The group's name")),
    responses((status = 200, body = Group), (status = "4XX", body = ErrorBody)))]
pub(super) fn show_group() {}

/// Remove a group
///
/// Its volumes stay, and so do the snapshots that were taken of it.
#[utoipa::path(delete, path = "/v1/groups/{group}", tag = "groups",
    params(("group" = String, Path, description = "The group's name")),
    responses((status = 204), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn delete_group() {}

/// Put a volume into a group
#[utoipa::path(put, path = "/v1/groups/{group}/volumes/{volume}", tag = "groups",
    params(("group" = String, Path, description = "The group's name"),
           ("volume" = String, Path, description = "The volume's name")),
    responses((status = 200, body = Group), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn add_to_group() {}

/// Take a volume out of a group
#[utoipa::path(delete, path = "/v1/groups/{group}/volumes/{volume}", tag = "groups",
    params(("group" = String, Path, description = "The group's name"),
           ("volume" = String, Path, description = "The volume's name")),
    responses((status = 204), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn remove_from_group() {}

/// Take a snapshot of each volume of a group, at one point in time
///
/// What one of the volumes has, all others had before it are in the snapshots too. All are there or
/// none, also over a crash.
#[utoipa::path(post, path = "/v1/groups/{group}/snapshots", tag = "groups",
    params(("group" = String, Path, description = "The group's name")),
    request_body = CreateSnapshot,
    responses((status = 201, body = SnapshotList), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn snapshot_group() {}

/// Let the volumes of a group be as the snapshots that were taken of it
///
/// One after the other: a crash half-way leaves some of them restored.
#[utoipa::path(post, path = "/v1/groups/{group}/snapshots/{snapshot}/restore", tag = "groups",
    params(("group" = String, Path, description = "The group's name"),
           ("snapshot" = String, Path, description = "The name of the snapshots")),
    request_body = RestoreSnapshot,
    responses((status = 200, body = Restored), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn restore_group() {}

/// All schedules
#[utoipa::path(get, path = "/v1/schedules", tag = "snapshots",
    responses((status = 200, body = ScheduleList), (status = "4XX", body = ErrorBody)))]
pub(super) fn list_schedules() {}

/// Take snapshots of a volume again and again
#[utoipa::path(put, path = "/v1/volumes/{volume}/schedule", tag = "snapshots",
    params(("volume" = String, Path, description = "The volume's name")),
    request_body = SetSchedule,
    responses((status = 200, body = Schedule), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn set_schedule() {}

/// Take them no longer
///
/// Those that were taken stay.
#[utoipa::path(delete, path = "/v1/volumes/{volume}/schedule", tag = "snapshots",
    params(("volume" = String, Path, description = "The volume's name")),
    responses((status = 204), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn remove_schedule() {}

/// Look whether every block has one owner
///
/// Of the volume and all that shares blocks with it. Answers with the job that does it, whose report says what was
/// found; hosts go on. What is overwritten or deleted meanwhile keeps its space until it has ended.
#[utoipa::path(post, path = "/v1/volumes/{volume}/verify", tag = "volumes",
    params(("volume" = String, Path, description = "The volume's name")),
    responses((status = 200, body = Job), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn verify_volume() {}

/// Read all blocks and compare them with their checksums
///
/// Blocks have checksums that were written since the volume's first snapshot. Answers with the job that does it,
/// whose report says what was found; it goes on after a restart of the daemon. Hosts go on.
#[utoipa::path(post, path = "/v1/volumes/{volume}/scrub", tag = "volumes",
    params(("volume" = String, Path, description = "The volume's name")),
    request_body = ScrubVolume,
    responses((status = 200, body = Job), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn scrub_volume() {}
