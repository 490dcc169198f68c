//! Access lists of targets and of discovery.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use tidelock_admin::v1;
use tidelock_catalog::{AclEntry, AclScope, Command};

use crate::admin_server::body::{self, Segments};
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::to_end;
use crate::admin_server::router::Shared;
use crate::admin_server::{parse, view};

pub(in crate::admin_server) async fn list(
    State(shared): State<Shared>,
    Segments(target): Segments<String>,
) -> Result<Json<v1::AccessList>, Failure> {
    let target = parse::target_name(&target)?;
    let catalog = shared.control.catalog();
    let entries = view::acl(&catalog.target(&target)?.acl);
    Ok(Json(v1::AccessList {
        scope: target.to_string(),
        entries,
    }))
}

pub(in crate::admin_server) async fn list_discovery(
    State(shared): State<Shared>,
) -> Json<v1::AccessList> {
    let entries = view::acl(shared.control.catalog().discovery());
    Json(v1::AccessList {
        scope: AclScope::Discovery.to_string(),
        entries,
    })
}

pub(in crate::admin_server) async fn set(
    State(shared): State<Shared>,
    Segments((target, initiator)): Segments<(String, String)>,
    request: Request,
) -> Result<Json<v1::AccessEntry>, Failure> {
    let scope = AclScope::Target(parse::target_name(&target)?);
    put(&shared, scope, &initiator, request).await
}

pub(in crate::admin_server) async fn set_discovery(
    State(shared): State<Shared>,
    Segments(initiator): Segments<String>,
    request: Request,
) -> Result<Json<v1::AccessEntry>, Failure> {
    put(&shared, AclScope::Discovery, &initiator, request).await
}

pub(in crate::admin_server) async fn remove(
    State(shared): State<Shared>,
    Segments((target, initiator)): Segments<(String, String)>,
) -> Result<StatusCode, Failure> {
    take(
        &shared,
        AclScope::Target(parse::target_name(&target)?),
        &initiator,
    )
    .await
}

pub(in crate::admin_server) async fn remove_discovery(
    State(shared): State<Shared>,
    Segments(initiator): Segments<String>,
) -> Result<StatusCode, Failure> {
    take(&shared, AclScope::Discovery, &initiator).await
}

async fn put(
    shared: &Shared,
    scope: AclScope,
    initiator: &str,
    request: Request,
) -> Result<Json<v1::AccessEntry>, Failure> {
    let initiator = parse::initiator(initiator)?;
    let access = parse::access(body::read(request, &shared.limits).await?)?;
    let answer = view::access(&initiator, &access);
    let entry = AclEntry { initiator, access };
    let control = shared.control.clone();
    to_end(async move { control.apply(Command::SetAccess { scope, entry }).await }).await?;
    Ok(Json(answer))
}

async fn take(shared: &Shared, scope: AclScope, initiator: &str) -> Result<StatusCode, Failure> {
    let initiator = parse::initiator(initiator)?;
    let control = shared.control.clone();
    to_end(async move {
        control
            .apply(Command::RemoveAccess { scope, initiator })
            .await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
