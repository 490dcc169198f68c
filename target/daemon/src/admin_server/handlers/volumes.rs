//! Volumes.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use futures_util::future::join_all;
use serde::Deserialize;
use tidelock_admin::v1;
use tidelock_catalog::{Command, VolumeName};

use crate::admin_server::body::{self, Options, Segments};
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::to_end;
use crate::admin_server::router::Shared;
use crate::admin_server::{parse, view};

pub(in crate::admin_server) async fn list(State(shared): State<Shared>) -> Json<v1::VolumeList> {
    let catalog = shared.control.catalog();
    let volumes = catalog.volumes();
    let volumes = volumes.filter(|volume| !volume.name.is_of_snapshot());
    let views = volumes.map(|volume| async {
        let facts = shared.control.volume_facts(&volume.name, false).await;
        view::volume(&catalog, volume, facts)
    });
    Json(v1::VolumeList {
        volumes: join_all(views).await,
    })
}

pub(in crate::admin_server) async fn show(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
) -> Result<Json<v1::Volume>, Failure> {
    one(&shared, &parse::volume_name(&name)?).await
}

pub(in crate::admin_server) async fn create(
    State(shared): State<Shared>,
    request: Request,
) -> Result<(StatusCode, Json<v1::Volume>), Failure> {
    let request = parse::create_volume(body::read(request, &shared.limits).await?)?;
    let name = request.name.clone();
    let control = shared.control.clone();
    to_end(async move { control.create_volume(request).await }).await?;
    Ok((StatusCode::CREATED, one(&shared, &name).await?))
}

pub(in crate::admin_server) async fn resize(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Json<v1::Volume>, Failure> {
    let name = parse::volume_name(&name)?;
    let v1::ResizeVolume { size_bytes } = body::read(request, &shared.limits).await?;
    let (control, volume) = (shared.control.clone(), name.clone());
    // Files aren't cut off under hosts, so no caller can ask for it.
    to_end(async move { control.resize_volume(volume, size_bytes).await }).await?;
    one(&shared, &name).await
}

pub(in crate::admin_server) async fn set_limits(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Json<v1::Volume>, Failure> {
    let volume = parse::volume_name(&name)?;
    let limits = parse::space_limits(body::read(request, &shared.limits).await?);
    let control = shared.control.clone();
    let command = Command::SetSpaceLimits {
        volume: volume.clone(),
        limits,
    };
    to_end(async move { control.apply(command).await }).await?;
    one(&shared, &volume).await
}

pub(in crate::admin_server) async fn unfence(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
) -> Result<Json<v1::Volume>, Failure> {
    let name = parse::volume_name(&name)?;
    shared.control.catalog().volume(&name)?;
    let (control, volume) = (shared.control.clone(), name.clone());
    to_end(async move { control.unfence_volume(volume).await }).await?;
    one(&shared, &name).await
}

pub(in crate::admin_server) async fn clear_reservations(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Failure> {
    let name = parse::volume_name(&name)?;
    shared.control.catalog().volume(&name)?;
    let control = shared.control.clone();
    to_end(async move { control.clear_reservations(name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What may follow `DELETE /v1/volumes/{volume}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_server) struct DeleteOptions {
    #[serde(default)]
    with_snapshots: bool,
}

pub(in crate::admin_server) async fn delete(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
    Options(DeleteOptions { with_snapshots }): Options<DeleteOptions>,
) -> Result<StatusCode, Failure> {
    let name = parse::volume_name(&name)?;
    let control = shared.control.clone();
    to_end(async move { control.delete_volume(name, with_snapshots).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn one(shared: &Shared, name: &VolumeName) -> Result<Json<v1::Volume>, Failure> {
    let catalog = shared.control.catalog();
    let volume = catalog.volume(name)?;
    let facts = shared.control.volume_facts(name, true).await;
    Ok(Json(view::volume(&catalog, volume, facts)))
}
