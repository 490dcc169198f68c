//! What can be asked about mirrors. Each function stands for one path and method; none is ever called.
#![allow(dead_code, reason = "read by the utoipa macros alone")]

use crate::v1::{
    CreateGroupMirrors, CreateMirror, ErrorBody, Job, Mirror, MirrorFailoverSet, MirrorList,
    ModifyMirror, SetMirror, SetMirrorFailover,
};

/// All mirrors
#[utoipa::path(get, path = "/v1/mirrors", tag = "mirrors",
    responses((status = 200, body = MirrorList), (status = "4XX", body = ErrorBody)))]
pub(super) fn list_mirrors() {}

/// Make a mirror
///
/// Two volumes are kept equal from now on, of which the target is this daemon's or a peer's. What the target has is replaced,
/// if it was there; hosts don't write it. The first copy goes on in the background: `copy_state` is Synchronized when it is complete.
#[utoipa::path(post, path = "/v1/mirrors", tag = "mirrors", request_body = CreateMirror,
    responses((status = 201, body = Mirror), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn create_mirror() {}

/// One mirror
#[utoipa::path(get, path = "/v1/mirrors/{mirror}", tag = "mirrors",
    params(("mirror" = String, Path, description = "The name of a volume in it, or its id")),
    responses((status = 200, body = Mirror), (status = "4XX", body = ErrorBody)))]
pub(super) fn show_mirror() {}

/// Set the RPO of an asynchronous mirror
///
/// At either daemon, if the other end is at a peer; the one that has the source has to be reached.
#[utoipa::path(patch, path = "/v1/mirrors/{mirror}", tag = "mirrors", request_body = SetMirror,
    params(("mirror" = String, Path, description = "The name of a volume in it, or its id")),
    responses((status = 200, body = Mirror), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn set_mirror() {}

/// Do an operation on a mirror
///
/// ModifyReplicaSynchronization. Refused where the table of states doesn't allow it. What takes long has begun when
/// it is answered; a change of roles is waited for, for up to 30 seconds.
#[utoipa::path(post, path = "/v1/mirrors/{mirror}/operations", tag = "mirrors", request_body = ModifyMirror,
    params(("mirror" = String, Path, description = "The name of a volume in it, or its id")),
    responses((status = 200, body = Mirror), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn modify_mirror() {}

/// Say who lets hosts use the target
///
/// An operator, or the two daemons by themselves. Refused for automatic failover unless the mirror is a synchronous one with a
/// peer, and both daemons are configured with the same etcd, which answers. Back to manual works without etcd as well; the
/// answer says what is left there.
#[utoipa::path(put, path = "/v1/mirrors/{mirror}/failover", tag = "mirrors", request_body = SetMirrorFailover,
    params(("mirror" = String, Path, description = "The name of a volume in it, or its id")),
    responses((status = 200, body = MirrorFailoverSet), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn set_mirror_failover() {}

/// Detach the volumes of a mirror
///
/// Both are independent volumes afterwards, and keep what they have.
#[utoipa::path(delete, path = "/v1/mirrors/{mirror}", tag = "mirrors",
    params(("mirror" = String, Path, description = "The name of a volume in it, or its id"),
           ("force" = Option<bool>, Query, description = "Though the target has no consistent content")),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) fn detach_mirror() {}

/// Make mirrors of the volumes of a group
///
/// CreateGroupReplica. All of them are admitted first, and made in one go with the volumes of another group of this daemon. At a peer they
/// are made one after the other, after it has said that it can; if it can't after all, what was begun is ended again.
#[utoipa::path(post, path = "/v1/groups/{group}/mirrors", tag = "mirrors", request_body = CreateGroupMirrors,
    params(("group" = String, Path, description = "The group's name")),
    responses((status = 201, body = MirrorList), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn create_group_mirrors() {}

/// Do an operation on the mirrors of a group
///
/// Of volumes that are all sources of mirrors, or all targets. Each is admitted as it would be by itself before anything is done, and
/// nothing is done if one isn't. Fracture, Split and Suspend leave targets that are the sources at one instant, if all were Synchronized.
/// What a mirror needs no more of is left out, so that what has stopped half-way can be asked for again.
#[utoipa::path(post, path = "/v1/groups/{group}/mirrors/operations", tag = "mirrors", request_body = ModifyMirror,
    params(("group" = String, Path, description = "The group's name")),
    responses((status = 200, body = MirrorList), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn modify_group_mirrors() {}

/// Detach the mirrors of a group
///
/// Of those of its volumes that are mirrored, each as it is at that moment.
#[utoipa::path(delete, path = "/v1/groups/{group}/mirrors", tag = "mirrors",
    params(("group" = String, Path, description = "The group's name"),
           ("force" = Option<bool>, Query, description = "Though a target has no consistent content")),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) fn detach_group_mirrors() {}

/// Compare the volumes of a mirror
///
/// Every byte of both, while hosts go on. Refused unless the mirror is Synchronized. The answer is the job that does
/// it; its report says what differs.
#[utoipa::path(post, path = "/v1/mirrors/{mirror}/verify", tag = "mirrors",
    params(("mirror" = String, Path, description = "The name of a volume in it, or its id")),
    responses((status = 202, body = Job), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn verify_mirror() {}
