//! What can be asked. Each function stands for one path and method; none is ever called.
#![allow(dead_code, reason = "read by the utoipa macros alone")]

use crate::v1::{
    AccessEntry, AccessList, AsymmetricAccess, CreateTarget, CreateVolume, ErrorBody,
    LogoutSession, Lun, MapLun, Redirect, ResizeVolume, SessionList, SessionParameters, SetAccess,
    SetGroupAccess, SetParameters, SetTarget, SpaceLimits, Status, Target, TargetList, Volume,
    VolumeList,
};

/// How the daemon is
#[utoipa::path(get, path = "/v1/status", tag = "daemon",
    responses((status = 200, body = Status), (status = "4XX", body = ErrorBody)))]
pub(super) fn status() {}

/// What happens, as server-sent events
///
/// Each has the event's kind as its name and an `Event` as its data. The stream goes on until the
/// client hangs up or the daemon stops.
#[utoipa::path(get, path = "/v1/events", tag = "daemon",
    responses((status = 200, body = String, content_type = "text/event-stream"),
              (status = "4XX", body = ErrorBody)))]
pub(super) fn events() {}

/// Metrics in the text format of Prometheus
#[utoipa::path(get, path = "/metrics", tag = "daemon",
    responses((status = 200, body = String, content_type = "text/plain"),
              (status = "4XX", body = ErrorBody)))]
pub(super) fn metrics() {}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "daemon",
    responses((status = 200, body = Object, content_type = "application/json"),
              (status = "4XX", body = ErrorBody)))]
pub(super) fn openapi() {}

/// All volumes
#[utoipa::path(get, path = "/v1/volumes", tag = "volumes",
    responses((status = 200, body = VolumeList), (status = "4XX", body = ErrorBody)))]
pub(super) fn list_volumes() {}

/// Make a volume
///
/// Answers when its file is there and its space allocated, if that is asked for.
#[utoipa::path(post, path = "/v1/volumes", tag = "volumes", request_body = CreateVolume,
    responses((status = 201, body = Volume), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn create_volume() {}

/// One volume
#[utoipa::path(get, path = "/v1/volumes/{volume}", tag = "volumes",
    params(("volume" = String, Path, description = "The volume's name")),
    responses((status = 200, body = Volume), (status = "4XX", body = ErrorBody)))]
pub(super) fn show_volume() {}

/// Give a volume another size
///
/// Initiators that use it are told.
#[utoipa::path(patch, path = "/v1/volumes/{volume}", tag = "volumes",
    params(("volume" = String, Path, description = "The volume's name")),
    request_body = ResizeVolume,
    responses((status = 200, body = Volume), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn resize_volume() {}

/// Set how much space a volume may take
///
/// All that is said is set: what is absent is no limit, or no warning.
#[utoipa::path(put, path = "/v1/volumes/{volume}/limits", tag = "volumes",
    params(("volume" = String, Path, description = "The volume's name")),
    request_body = SpaceLimits,
    responses((status = 200, body = Volume), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn set_space_limits() {}

/// Remove a volume, and its file if the daemon made it
///
/// Refused while it is mapped, and while it has snapshots unless `with_snapshots` is said. Clones of them
/// stay, except that a snapshot with linked clones can't go.
#[utoipa::path(delete, path = "/v1/volumes/{volume}", tag = "volumes",
    params(("volume" = String, Path, description = "The volume's name"),
           ("with_snapshots" = Option<bool>, Query, description = "Delete its snapshots too")),
    responses((status = 204), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn delete_volume() {}

/// Let a fenced volume be used again
///
/// It was stopped because a write or flush failed: what was written last may be lost. Repair the
/// storage and check the data first.
#[utoipa::path(post, path = "/v1/volumes/{volume}/unfence", tag = "volumes",
    params(("volume" = String, Path, description = "The volume's name")),
    responses((status = 200, body = Volume), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn unfence_volume() {}

/// End all reservations of a volume, and all registrations
///
/// For what a cluster left behind that doesn't exist any more, and for a record of reservations that
/// is damaged. Initiators that had a part in them are told.
#[utoipa::path(delete, path = "/v1/volumes/{volume}/reservations", tag = "volumes",
    params(("volume" = String, Path, description = "The volume's name")),
    responses((status = 204), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn clear_reservations() {}

/// How a volume is accessed through each portal group (asymmetric logical unit access)
#[utoipa::path(get, path = "/v1/volumes/{volume}/access", tag = "volumes",
    params(("volume" = String, Path, description = "The volume's name")),
    responses((status = 200, body = AsymmetricAccess), (status = "4XX", body = ErrorBody)))]
pub(super) fn show_asymmetric_access() {}

/// Set how a volume is accessed through a portal group
///
/// Initiators that use it are told.
#[utoipa::path(patch, path = "/v1/volumes/{volume}/access/{group}", tag = "volumes",
    params(("volume" = String, Path, description = "The volume's name"),
           ("group" = u16, Path, description = "The portal group's tag, 1 to 16")),
    request_body = SetGroupAccess,
    responses((status = 200, body = AsymmetricAccess), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn set_asymmetric_access() {}

/// All targets
#[utoipa::path(get, path = "/v1/targets", tag = "targets",
    responses((status = 200, body = TargetList), (status = "4XX", body = ErrorBody)))]
pub(super) fn list_targets() {}

/// Make a target
///
/// It shows nothing, and nobody may see it, until LUNs are mapped and initiators allowed.
#[utoipa::path(post, path = "/v1/targets", tag = "targets", request_body = CreateTarget,
    responses((status = 201, body = Target), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn create_target() {}

/// One target
#[utoipa::path(get, path = "/v1/targets/{target}", tag = "targets",
    params(("target" = String, Path, description = "The target's iSCSI name")),
    responses((status = 200, body = Target), (status = "4XX", body = ErrorBody)))]
pub(super) fn show_target() {}

/// Say through which portal groups a target can be reached
///
/// Sessions through other groups end.
#[utoipa::path(patch, path = "/v1/targets/{target}", tag = "targets",
    params(("target" = String, Path, description = "The target's iSCSI name")),
    request_body = SetTarget,
    responses((status = 200, body = Target), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn set_target() {}

/// Remove a target
///
/// Refused while it has LUNs or sessions, unless `force` says to unmap and end them. Volumes stay.
#[utoipa::path(delete, path = "/v1/targets/{target}", tag = "targets",
    params(("target" = String, Path, description = "The target's iSCSI name"),
           ("force" = Option<bool>, Query, description = "Unmap its LUNs and end its sessions")),
    responses((status = 204), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn delete_target() {}

/// Show a volume in a target, or a snapshot
///
/// A snapshot is named `VOLUME@SNAPSHOT` and is read-only.
#[utoipa::path(post, path = "/v1/targets/{target}/luns", tag = "targets",
    params(("target" = String, Path, description = "The target's iSCSI name")),
    request_body = MapLun,
    responses((status = 201, body = Lun), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn map_lun() {}

/// Show it no longer
#[utoipa::path(delete, path = "/v1/targets/{target}/luns/{lun}", tag = "targets",
    params(("target" = String, Path, description = "The target's iSCSI name"),
           ("lun" = u16, Path, description = "The number, 0 to 16383")),
    responses((status = 204), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn unmap_lun() {}

/// Set what sessions with a target are set up with
///
/// Takes effect at the next login.
#[utoipa::path(patch, path = "/v1/targets/{target}/parameters", tag = "targets",
    params(("target" = String, Path, description = "The target's iSCSI name")),
    request_body = SetParameters,
    responses((status = 200, body = SessionParameters), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn set_parameters() {}

/// Set what the sessions of those are set up with whom an entry lets in
///
/// Goes before what the target sets. Takes effect at the next login.
#[utoipa::path(patch, path = "/v1/targets/{target}/acl/{initiator}", tag = "access",
    params(("target" = String, Path, description = "The target's iSCSI name"),
           ("initiator" = String, Path,
            description = "The initiator's iSCSI name, the beginning of names and *, or *"),
           ("network" = Option<String>, Query,
            description = "Only when it comes from there, such as 10.0.0.0/8 or fd00::/8")),
    request_body = SetParameters,
    responses((status = 200, body = SessionParameters), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn set_access_parameters() {}

/// Send whoever logs in to a target elsewhere
///
/// Only initiators that the access list lets in, and after CHAP if it asks for that. A login that comes
/// in by the very address that it would be sent to is served. Sessions that are there stay.
#[utoipa::path(put, path = "/v1/targets/{target}/redirect", tag = "targets",
    params(("target" = String, Path, description = "The target's iSCSI name")),
    request_body = Redirect,
    responses((status = 200, body = Redirect), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn set_redirect() {}

/// Serve it here again
#[utoipa::path(delete, path = "/v1/targets/{target}/redirect", tag = "targets",
    params(("target" = String, Path, description = "The target's iSCSI name")),
    responses((status = 204), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn remove_redirect() {}

/// Who may see a target
#[utoipa::path(get, path = "/v1/targets/{target}/acl", tag = "access",
    params(("target" = String, Path, description = "The target's iSCSI name")),
    responses((status = 200, body = AccessList), (status = "4XX", body = ErrorBody)))]
pub(super) fn list_access() {}

/// Allow or deny an initiator
#[utoipa::path(put, path = "/v1/targets/{target}/acl/{initiator}", tag = "access",
    params(("target" = String, Path, description = "The target's iSCSI name"),
           ("initiator" = String, Path,
            description = "The initiator's iSCSI name, the beginning of names and *, or *"),
           ("network" = Option<String>, Query,
            description = "Only when it comes from there, such as 10.0.0.0/8 or fd00::/8")),
    request_body = SetAccess,
    responses((status = 200, body = AccessEntry), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn set_access() {}

/// Say nothing about an initiator any more
#[utoipa::path(delete, path = "/v1/targets/{target}/acl/{initiator}", tag = "access",
    params(("target" = String, Path, description = "The target's iSCSI name"),
           ("initiator" = String, Path,
            description = "The initiator's iSCSI name, the beginning of names and *, or *"),
           ("network" = Option<String>, Query,
            description = "Only when it comes from there, such as 10.0.0.0/8 or fd00::/8")),
    responses((status = 204), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn remove_access() {}

/// Who may hold discovery sessions
///
/// While the list is empty everybody may. Either way an initiator is told only of the targets whose
/// own lists let it in.
#[utoipa::path(get, path = "/v1/discovery/acl", tag = "access",
    responses((status = 200, body = AccessList), (status = "4XX", body = ErrorBody)))]
pub(super) fn list_discovery_access() {}

/// Allow or deny discovery to an initiator
#[utoipa::path(put, path = "/v1/discovery/acl/{initiator}", tag = "access",
    params(("initiator" = String, Path,
            description = "The initiator's iSCSI name, the beginning of names and *, or *"),
           ("network" = Option<String>, Query,
            description = "Only when it comes from there, such as 10.0.0.0/8 or fd00::/8")),
    request_body = SetAccess,
    responses((status = 200, body = AccessEntry), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn set_discovery_access() {}

/// Say nothing about an initiator's discovery any more
#[utoipa::path(delete, path = "/v1/discovery/acl/{initiator}", tag = "access",
    params(("initiator" = String, Path,
            description = "The initiator's iSCSI name, the beginning of names and *, or *"),
           ("network" = Option<String>, Query,
            description = "Only when it comes from there, such as 10.0.0.0/8 or fd00::/8")),
    responses((status = 204), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn remove_discovery_access() {}

/// All sessions
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions",
    responses((status = 200, body = SessionList), (status = "4XX", body = ErrorBody)))]
pub(super) fn list_sessions() {}

/// Ask the initiator of a session to log out
///
/// Answers when it has been asked. Initiators that honour it log out and come back by themselves, with
/// what has been changed meanwhile; the session of one that doesn't is ended when its time is over.
#[utoipa::path(post, path = "/v1/sessions/{session}/logout", tag = "sessions",
    params(("session" = u64, Path, description = "The session's number")),
    request_body = LogoutSession,
    responses((status = 202), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn logout_session() {}

/// End a session
///
/// Initiators come back by themselves unless their access is taken away first.
#[utoipa::path(delete, path = "/v1/sessions/{session}", tag = "sessions",
    params(("session" = u64, Path, description = "The session's number")),
    responses((status = 204), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn drop_session() {}
