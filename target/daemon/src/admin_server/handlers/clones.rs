//! Clones.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use tidelock_admin::v1;

use crate::admin_server::body::{self, Segments};
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::{to_end, volumes};
use crate::admin_server::parse;
use crate::admin_server::router::Shared;
use crate::registry::{CloneRequest, FullClone, GroupCloneRequest};

/// The least that can be asked for: with less it has no end in anybody's lifetime.
const RATE_MIN: u64 = 4_096;

pub(in crate::admin_server) async fn list(State(shared): State<Shared>) -> Json<v1::CloneList> {
    Json(v1::CloneList {
        clones: shared.control.clones(),
    })
}

pub(in crate::admin_server) async fn show(
    State(shared): State<Shared>,
    Segments(volume): Segments<String>,
) -> Result<Json<v1::CloneOf>, Failure> {
    let volume = parse::volume_name(&volume)?;
    Ok(Json(shared.control.clone_of(&volume).await?))
}

pub(in crate::admin_server) async fn create(
    State(shared): State<Shared>,
    request: Request,
) -> Result<(StatusCode, Json<v1::Volume>), Failure> {
    let request: v1::CreateClone = body::read(request, &shared.limits).await?;
    if request.full && request.linked {
        return Err(Failure::invalid(
            "a full clone needs no snapshot that is kept for it: say either full or linked",
        ));
    }
    let request = CloneRequest {
        source: request.source.parse().map_err(Failure::invalid)?,
        name: parse::volume_name(&request.name)?,
        linked: request.linked,
        full: full(request.full, request.bytes_per_second)?,
    };
    let (control, name) = (shared.control.clone(), request.name.clone());
    to_end(async move { control.create_clone(request).await }).await?;
    Ok((StatusCode::CREATED, volumes::one(&shared, &name).await?))
}

pub(in crate::admin_server) async fn split(
    State(shared): State<Shared>,
    Segments(volume): Segments<String>,
    request: Request,
) -> Result<(StatusCode, Json<v1::CloneOf>), Failure> {
    let volume = parse::volume_name(&volume)?;
    let request: v1::SplitClone = body::read(request, &shared.limits).await?;
    let full = full(true, request.bytes_per_second)?;
    let rate = full.and_then(|full| full.bytes_per_second);
    let (control, name) = (shared.control.clone(), volume.clone());
    to_end(async move { control.split_clone(name, rate).await }).await?;
    let clone = shared.control.clone_of(&volume).await?;
    Ok((StatusCode::ACCEPTED, Json(clone)))
}

pub(in crate::admin_server) async fn detach(
    State(shared): State<Shared>,
    Segments(volume): Segments<String>,
) -> Result<Json<v1::Volume>, Failure> {
    let volume = parse::volume_name(&volume)?;
    let (control, name) = (shared.control.clone(), volume.clone());
    to_end(async move { control.detach_clone(name).await }).await?;
    volumes::one(&shared, &volume).await
}

pub(in crate::admin_server) async fn promote(
    State(shared): State<Shared>,
    Segments(volume): Segments<String>,
) -> Result<Json<v1::Volume>, Failure> {
    let volume = parse::volume_name(&volume)?;
    let (control, name) = (shared.control.clone(), volume.clone());
    to_end(async move { control.promote_clone(name).await }).await?;
    volumes::one(&shared, &volume).await
}

pub(in crate::admin_server) async fn of_group(
    State(shared): State<Shared>,
    Segments(group): Segments<String>,
    request: Request,
) -> Result<(StatusCode, Json<v1::CloneList>), Failure> {
    let group = parse::group_name(&group)?;
    let request: v1::CloneGroup = body::read(request, &shared.limits).await?;
    let suffix = match (&request.suffix, &request.name) {
        (Some(suffix), _) if suffix.is_empty() => {
            return Err(Failure::invalid(
                "suffix can't be empty: a clone needs another name",
            ));
        }
        (Some(suffix), _) => suffix.clone(),
        (None, Some(name)) => format!("-{name}"),
        (None, None) => {
            return Err(Failure::invalid(
                "give name, for a new group of the clones, or suffix, for their names, or both",
            ));
        }
    };
    let name = request.name.as_deref().map(parse::group_name);
    let snapshot = request.snapshot.as_deref().map(parse::snapshot_name);
    let request = GroupCloneRequest {
        group,
        snapshot: snapshot.transpose()?,
        name: name.transpose()?,
        suffix,
        full: full(request.full, request.bytes_per_second)?,
    };
    let control = shared.control.clone();
    let clones = to_end(async move { control.clone_group(request).await }).await?;
    Ok((StatusCode::CREATED, Json(v1::CloneList { clones })))
}

fn full(full: bool, bytes_per_second: Option<u64>) -> Result<Option<FullClone>, Failure> {
    match bytes_per_second {
        Some(_) if !full => Err(Failure::invalid(
            "bytes_per_second is for full clones: nothing is copied for a linked one",
        )),
        Some(rate) if rate < RATE_MIN => Err(Failure::invalid(format!(
            "bytes_per_second is at least {RATE_MIN}, not {rate}"
        ))),
        bytes_per_second => Ok(full.then_some(FullClone { bytes_per_second })),
    }
}
