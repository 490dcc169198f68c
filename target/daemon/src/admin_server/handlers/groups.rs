//! Groups.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use tidelock_admin::v1;
use tidelock_catalog::{Command, GroupName};

use crate::admin_server::body::{self, Segments};
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::to_end;
use crate::admin_server::parse;
use crate::admin_server::router::Shared;

type Found<T> = Result<Json<T>, Failure>;

pub(in crate::admin_server) async fn list(State(shared): State<Shared>) -> Found<v1::GroupList> {
    let names = shared.control.catalog();
    let mut groups = Vec::with_capacity(names.groups().len());
    for group in names.groups() {
        groups.push(shared.control.group(&group.name).await?);
    }
    Ok(Json(v1::GroupList { groups }))
}

pub(in crate::admin_server) async fn create(
    State(shared): State<Shared>,
    request: Request,
) -> Result<(StatusCode, Json<v1::Group>), Failure> {
    let v1::CreateGroup { name, volumes } = body::read(request, &shared.limits).await?;
    let group = parse::group_name(&name)?;
    let volumes = volumes.iter().map(|volume| parse::volume_name(volume));
    let volumes = volumes.collect::<Result<Vec<_>, _>>()?;
    let command = Command::CreateGroup {
        group: group.clone(),
        volumes,
    };
    apply(&shared, command).await?;
    Ok((StatusCode::CREATED, one(&shared, &group).await?))
}

pub(in crate::admin_server) async fn show(
    State(shared): State<Shared>,
    Segments(group): Segments<String>,
) -> Found<v1::Group> {
    one(&shared, &parse::group_name(&group)?).await
}

pub(in crate::admin_server) async fn delete(
    State(shared): State<Shared>,
    Segments(group): Segments<String>,
) -> Result<StatusCode, Failure> {
    let group = parse::group_name(&group)?;
    apply(&shared, Command::DeleteGroup { group }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in crate::admin_server) async fn add(
    State(shared): State<Shared>,
    Segments((group, volume)): Segments<(String, String)>,
) -> Found<v1::Group> {
    let group = parse::group_name(&group)?;
    let command = Command::AddToGroup {
        group: group.clone(),
        volumes: vec![parse::volume_name(&volume)?],
    };
    apply(&shared, command).await?;
    one(&shared, &group).await
}

pub(in crate::admin_server) async fn remove(
    State(shared): State<Shared>,
    Segments((group, volume)): Segments<(String, String)>,
) -> Result<StatusCode, Failure> {
    let command = Command::RemoveFromGroup {
        group: parse::group_name(&group)?,
        volume: parse::volume_name(&volume)?,
    };
    apply(&shared, command).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in crate::admin_server) async fn snapshot(
    State(shared): State<Shared>,
    Segments(group): Segments<String>,
    request: Request,
) -> Result<(StatusCode, Json<v1::SnapshotList>), Failure> {
    let group = parse::group_name(&group)?;
    let v1::CreateSnapshot { name, quiesced } = body::read(request, &shared.limits).await?;
    let name = parse::snapshot_name(&name)?;
    let control = shared.control.clone();
    let taking = async move { control.snapshot_group(group, name, quiesced).await };
    let snapshots = to_end(taking).await?;
    Ok((StatusCode::CREATED, Json(v1::SnapshotList { snapshots })))
}

pub(in crate::admin_server) async fn restore(
    State(shared): State<Shared>,
    Segments((group, name)): Segments<(String, String)>,
    request: Request,
) -> Found<v1::Restored> {
    let group = parse::group_name(&group)?;
    let name = parse::snapshot_name(&name)?;
    let v1::RestoreSnapshot { force } = body::read(request, &shared.limits).await?;
    let control = shared.control.clone();
    let restored = to_end(async move { control.restore_group(group, name, force).await }).await?;
    Ok(Json(restored))
}

async fn one(shared: &Shared, group: &GroupName) -> Found<v1::Group> {
    Ok(Json(shared.control.group(group).await?))
}

async fn apply(shared: &Shared, command: Command) -> Result<(), Failure> {
    let control = shared.control.clone();
    to_end(async move { control.apply(command).await })
        .await
        .map(drop)
}
