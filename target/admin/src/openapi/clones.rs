//! What can be asked about clones. Each function stands for one path and method; none is ever called.
#![allow(dead_code, reason = "read by the utoipa macros alone")]

use crate::v1::{CloneGroup, CloneList, CloneOf, CreateClone, ErrorBody, SplitClone, Volume};

/// All clones
#[utoipa::path(get, path = "/v1/clones", tag = "clones",
    responses((status = 200, body = CloneList), (status = "4XX", body = ErrorBody)))]
pub(super) fn list_clones() {}

/// Make a clone
///
/// At once and durably: a writable volume with an identity of its own, which shares blocks with what it
/// was made from until they are written. A full one gets all its blocks for itself in the background:
/// `GET /v1/clones/{volume}` tells the number of the job.
#[utoipa::path(post, path = "/v1/clones", tag = "clones", request_body = CreateClone,
    responses((status = 201, body = Volume), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn create_clone() {}

/// One clone
#[utoipa::path(get, path = "/v1/clones/{volume}", tag = "clones",
    params(("volume" = String, Path, description = "The clone's name")),
    responses((status = 200, body = CloneOf), (status = "4XX", body = ErrorBody)))]
pub(super) fn show_clone() {}

/// Make a full clone of a linked one
///
/// Its blocks are copied in the background, while hosts go on; `job` in the answer is the number of the job. At its
/// end the clone is a file that shares nothing, durably, and is listed as a clone until it is detached. One that has
/// failed is tried again. Refused if the clone has snapshots, and it has none until then.
#[utoipa::path(post, path = "/v1/clones/{volume}/split", tag = "clones",
    params(("volume" = String, Path, description = "The clone's name")),
    request_body = SplitClone,
    responses((status = 202, body = CloneOf), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn split_clone() {}

/// Forget what a full clone was made from
///
/// Refused if it shares blocks. One that was made as a full clone is detached by itself.
#[utoipa::path(post, path = "/v1/clones/{volume}/detach", tag = "clones",
    params(("volume" = String, Path, description = "The clone's name")),
    responses((status = 200, body = Volume), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn detach_clone() {}

/// Let a clone and what it was made from change places
///
/// The snapshots of the other volume that the clone comes from are the clone's afterwards, and the other volume is a
/// clone of the last of them: it can be deleted, and the clone goes on. No data moves, and no host notices.
#[utoipa::path(post, path = "/v1/clones/{volume}/promote", tag = "clones",
    params(("volume" = String, Path, description = "The clone's name")),
    responses((status = 200, body = Volume), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn promote_clone() {}

/// Make clones of all volumes of a group, at one point in time
///
/// All are there or none, also over a crash.
#[utoipa::path(post, path = "/v1/groups/{group}/clones", tag = "groups",
    params(("group" = String, Path, description = "The group's name")),
    request_body = CloneGroup,
    responses((status = 201, body = CloneList), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn clone_group() {}
