//! What can be asked about snapshots that come and go as streams. Each function stands for one path and
//! method; none is ever called.
#![allow(dead_code, reason = "read by the utoipa macros alone")]

use crate::v1::{ErrorBody, ReceiveStatus, Received};

/// Send a snapshot
///
/// The body is a stream (docs/snapshot-stream.md), complete with its end; one that breaks off can be gone on
/// with. It is read as fast as it is taken, and no further.
#[utoipa::path(get, path = "/v1/volumes/{volume}/snapshots/{snapshot}/stream", tag = "snapshots",
    params(("volume" = String, Path, description = "The volume's name"),
           ("snapshot" = String, Path, description = "The snapshot's name"),
           ("since" = Option<String>, Query, description = "An older snapshot of the volume that the \
            receiver has: only what differs is sent")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
              (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) fn send_snapshot() {}

/// Send the rest of a stream that was cut short
#[utoipa::path(get, path = "/v1/streams/{token}", tag = "snapshots",
    params(("token" = String, Path, description = "What the receiver's daemon says of the volume")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
              (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) fn send_rest() {}

/// Receive a snapshot
///
/// The body is a stream. The volume is made if it isn't there; else it becomes what has come at once, when
/// all of it has. It is refused if it doesn't fit: see the message. What has come of a stream that breaks
/// off stays, and is gone on with by one that begins there.
#[utoipa::path(post, path = "/v1/volumes/{volume}/receive", tag = "snapshots",
    params(("volume" = String, Path, description = "The volume's name"),
           ("name" = Option<String>, Query, description = "What the snapshot is to be called; as in the \
            stream if absent"),
           ("force" = Option<bool>, Query, description = "Also if the volume is in use, or has other \
            content, which is kept as a snapshot")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = Received), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn receive_snapshot() {}

/// How far a stream has come that isn't complete
#[utoipa::path(get, path = "/v1/volumes/{volume}/receive", tag = "snapshots",
    params(("volume" = String, Path, description = "The volume's name")),
    responses((status = 200, body = ReceiveStatus), (status = "4XX", body = ErrorBody)))]
pub(super) fn show_receive() {}

/// Drop what has come of a stream
///
/// And the volume with it, if it was made for the stream and nobody uses it.
#[utoipa::path(delete, path = "/v1/volumes/{volume}/receive", tag = "snapshots",
    params(("volume" = String, Path, description = "The volume's name")),
    responses((status = 204), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn abort_receive() {}
