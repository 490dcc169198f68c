//! Targets and their LUN maps.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidelock_admin::v1;
use tidelock_catalog::{Change, Command, DatasetRef, IscsiName, SnapshotRef, Subject};

use crate::admin_server::body::{self, Options, Segments};
use crate::admin_server::control::ControlError;
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::to_end;
use crate::admin_server::router::Shared;
use crate::admin_server::{parameters, parse, view};

pub(in crate::admin_server) async fn list(State(shared): State<Shared>) -> Json<v1::TargetList> {
    let (catalog, sessions) = (shared.control.catalog(), shared.control.sessions());
    let targets = catalog
        .targets()
        .map(|target| view::target(target, &sessions))
        .collect();
    Json(v1::TargetList { targets })
}

pub(in crate::admin_server) async fn show(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
) -> Result<Json<v1::Target>, Failure> {
    let name = parse::target_name(&name)?;
    let catalog = shared.control.catalog();
    Ok(Json(view::target(
        catalog.target(&name)?,
        &shared.control.sessions(),
    )))
}

pub(in crate::admin_server) async fn create(
    State(shared): State<Shared>,
    request: Request,
) -> Result<(StatusCode, Json<v1::Target>), Failure> {
    let request: v1::CreateTarget = body::read(request, &shared.limits).await?;
    let portal_groups = match (request.portal_group_tag, request.portal_groups) {
        (Some(_), Some(_)) => {
            return Err(Failure::invalid(
                "give either portal_group_tag or portal_groups",
            ));
        }
        (tag, groups) => groups.or_else(|| tag.map(|tag| vec![tag])),
    };
    let command = Command::CreateTarget {
        target: parse::target_name(&request.name)?,
        portal_groups: parse::portal_groups(portal_groups)?,
    };
    let changes = apply(&shared, command).await?;
    changes
        .iter()
        .find_map(|change| match change {
            Change::TargetCreated(target) => Some(view::target(target, &[])),
            _ => None,
        })
        .map(|target| (StatusCode::CREATED, Json(target)))
        .ok_or_else(|| ControlError::Defect.into())
}

pub(in crate::admin_server) async fn set(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Json<v1::Target>, Failure> {
    let target = parse::target_name(&name)?;
    let request: v1::SetTarget = body::read(request, &shared.limits).await?;
    let command = Command::SetPortalGroups {
        target: target.clone(),
        portal_groups: parse::portal_groups(request.portal_groups)?,
    };
    apply(&shared, command).await?;
    show(State(shared), Segments(name)).await
}

/// What may follow `DELETE /v1/targets/{target}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_server) struct DeleteOptions {
    #[serde(default)]
    force: bool,
}

pub(in crate::admin_server) async fn delete(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
    Options(DeleteOptions { force }): Options<DeleteOptions>,
) -> Result<StatusCode, Failure> {
    let target = parse::target_name(&name)?;
    apply(&shared, Command::DeleteTarget { target, force }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in crate::admin_server) async fn map(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<(StatusCode, Json<v1::Lun>), Failure> {
    let target = parse::target_name(&name)?;
    let request: v1::MapLun = body::read(request, &shared.limits).await?;
    let number = request.lun.map(parse::lun_number).transpose()?;
    let DatasetRef { volume, snapshot } = request.volume.parse().map_err(Failure::invalid)?;
    let changes = match snapshot {
        None => {
            let command = Command::MapLun {
                target,
                volume,
                number,
                read_only: request.read_only,
            };
            apply(&shared, command).await?
        }
        Some(snapshot) => {
            let control = shared.control.clone();
            let snapshot = SnapshotRef { volume, snapshot };
            to_end(async move { control.map_snapshot(target, snapshot, number).await }).await?
        }
    };
    changes
        .iter()
        .find_map(|change| match change {
            Change::LunMapped { lun, .. } => Some(view::lun(lun)),
            _ => None,
        })
        .map(|lun| (StatusCode::CREATED, Json(lun)))
        .ok_or_else(|| ControlError::Defect.into())
}

pub(in crate::admin_server) async fn unmap(
    State(shared): State<Shared>,
    Segments((name, number)): Segments<(String, u16)>,
) -> Result<StatusCode, Failure> {
    let target = parse::target_name(&name)?;
    let number = parse::lun_number(number)?;
    apply(&shared, Command::UnmapLun { target, number }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in crate::admin_server) async fn set_parameters(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Json<v1::SessionParameters>, Failure> {
    let target = parse::target_name(&name)?;
    put_parameters(&shared, target, None, request).await
}

/// Sets the parameters of a target, or of one entry of its access list.
pub(super) async fn put_parameters(
    shared: &Shared,
    target: IscsiName,
    subject: Option<Subject>,
    request: Request,
) -> Result<Json<v1::SessionParameters>, Failure> {
    let request: v1::SetParameters = body::read(request, &shared.limits).await?;
    let command = Command::SetParameters {
        target: target.clone(),
        subject: subject.clone(),
        set: parameters::parse(&request.set),
        reset: request.reset,
    };
    apply(shared, command).await?;
    let catalog = shared.control.catalog();
    let record = catalog.target(&target)?;
    let set = match subject {
        None => record.parameters,
        Some(subject) => record.acl.parameters(&subject),
    };
    Ok(Json(parameters::view(set)))
}

pub(in crate::admin_server) async fn set_redirect(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Json<v1::Redirect>, Failure> {
    let target = parse::target_name(&name)?;
    let redirect = parse::redirect(&body::read(request, &shared.limits).await?)?;
    let answer = view::redirect(&redirect);
    let redirect = Some(redirect);
    apply(&shared, Command::SetRedirect { target, redirect }).await?;
    Ok(Json(answer))
}

pub(in crate::admin_server) async fn remove_redirect(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Failure> {
    let target = parse::target_name(&name)?;
    let redirect = None;
    apply(&shared, Command::SetRedirect { target, redirect }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn apply(shared: &Shared, command: Command) -> Result<Vec<Change>, Failure> {
    let control = shared.control.clone();
    to_end(async move { control.apply(command).await }).await
}
