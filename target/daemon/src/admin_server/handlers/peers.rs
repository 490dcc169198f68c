//! Peers.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use tidelock_admin::v1;
use tidelock_catalog::{PeerAddress, PeerName};

use crate::admin_server::body::{self, Segments};
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::to_end;
use crate::admin_server::router::Shared;

type Found<T> = Result<Json<T>, Failure>;

fn name(text: &str) -> Result<PeerName, Failure> {
    PeerName::new(text).map_err(Failure::invalid)
}

fn address(text: &str) -> Result<PeerAddress, Failure> {
    text.parse().map_err(Failure::invalid)
}

pub(in crate::admin_server) async fn list(State(shared): State<Shared>) -> Found<v1::PeerList> {
    Ok(Json(shared.control.peers()?))
}

pub(in crate::admin_server) async fn show(
    State(shared): State<Shared>,
    Segments(peer): Segments<String>,
) -> Found<v1::Peer> {
    Ok(Json(shared.control.peer(&name(&peer)?)?))
}

pub(in crate::admin_server) async fn add(
    State(shared): State<Shared>,
    request: Request,
) -> Result<(StatusCode, Json<v1::Peer>), Failure> {
    let request: v1::AddPeer = body::read(request, &shared.limits).await?;
    let (name, address) = (name(&request.name)?, address(&request.address)?);
    let fingerprint = request.fingerprint.as_deref().map(str::parse);
    let fingerprint = fingerprint.transpose().map_err(Failure::invalid)?;
    let control = shared.control.clone();
    let peer = to_end(async move { control.add_peer(name, address, fingerprint).await }).await?;
    Ok((StatusCode::CREATED, Json(peer)))
}

pub(in crate::admin_server) async fn accept(
    State(shared): State<Shared>,
    request: Request,
) -> Result<(StatusCode, Json<v1::Peer>), Failure> {
    let request: v1::AcceptPeer = body::read(request, &shared.limits).await?;
    let new = request.name.as_deref().map(name).transpose()?;
    let address = request.address.as_deref().map(address).transpose()?;
    let control = shared.control.clone();
    let accepting = async move { control.accept_peer(request.request, new, address).await };
    let peer = to_end(accepting).await?;
    Ok((StatusCode::CREATED, Json(peer)))
}

pub(in crate::admin_server) async fn set(
    State(shared): State<Shared>,
    Segments(peer): Segments<String>,
    request: Request,
) -> Found<v1::Peer> {
    let peer = name(&peer)?;
    let request: v1::SetPeer = body::read(request, &shared.limits).await?;
    let address = address(&request.address)?;
    let control = shared.control.clone();
    let peer = to_end(async move { control.set_peer(peer, address).await }).await?;
    Ok(Json(peer))
}

pub(in crate::admin_server) async fn remove(
    State(shared): State<Shared>,
    Segments(peer): Segments<String>,
) -> Result<StatusCode, Failure> {
    let peer = name(&peer)?;
    let control = shared.control.clone();
    to_end(async move { control.remove_peer(peer).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
