//! What can be asked about peers. Each function stands for one path and method; none is ever called.
#![allow(dead_code, reason = "read by the utoipa macros alone")]

use crate::v1::{AcceptPeer, AddPeer, ErrorBody, Peer, PeerList, SetPeer};

/// All peers
///
/// And who this daemon is to them, and who asks to be one.
#[utoipa::path(get, path = "/v1/peers", tag = "peers",
    responses((status = 200, body = PeerList), (status = "4XX", body = ErrorBody)))]
pub(super) fn list_peers() {}

/// Add a peer
///
/// Connects to it, exchanges identities and trusts it from then on. Unless it has added this daemon as well, it has
/// to accept: this daemon asks until it does.
#[utoipa::path(post, path = "/v1/peers", tag = "peers", request_body = AddPeer,
    responses((status = 201, body = Peer), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn add_peer() {}

/// Accept a peer
///
/// Trusts a daemon that asks to be a peer.
#[utoipa::path(post, path = "/v1/peer-requests", tag = "peers", request_body = AcceptPeer,
    responses((status = 201, body = Peer), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn accept_peer() {}

/// One peer
#[utoipa::path(get, path = "/v1/peers/{peer}", tag = "peers",
    params(("peer" = String, Path, description = "The peer's name")),
    responses((status = 200, body = Peer), (status = "4XX", body = ErrorBody)))]
pub(super) fn show_peer() {}

/// Look for a peer elsewhere
#[utoipa::path(patch, path = "/v1/peers/{peer}", tag = "peers",
    params(("peer" = String, Path, description = "The peer's name")), request_body = SetPeer,
    responses((status = 200, body = Peer), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn set_peer() {}

/// Trust a peer no longer
///
/// Its connections end. Refused while something here depends on it.
#[utoipa::path(delete, path = "/v1/peers/{peer}", tag = "peers",
    params(("peer" = String, Path, description = "The peer's name")),
    responses((status = 204), (status = "4XX", body = ErrorBody),
              (status = "5XX", body = ErrorBody)))]
pub(super) fn remove_peer() {}
