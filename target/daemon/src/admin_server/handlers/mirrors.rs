//! Mirrors.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidelock_admin::v1::{self, MirrorOperation};
use tidelock_capabilities::values::Operation;
use tidelock_catalog::OnFailure;

use crate::admin_server::body::{self, Options, Segments};
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::to_end;
use crate::admin_server::parse;
use crate::admin_server::router::Shared;
use crate::registry::{EndName, MirrorChange, MirrorRequest, RemoteMirrorRequest};

pub(in crate::admin_server) async fn list(State(shared): State<Shared>) -> Json<v1::MirrorList> {
    Json(v1::MirrorList {
        mirrors: shared.control.mirrors(),
    })
}

pub(in crate::admin_server) async fn show(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
) -> Result<Json<v1::Mirror>, Failure> {
    Ok(Json(shared.control.mirror(&name).await?))
}

pub(in crate::admin_server) async fn create(
    State(shared): State<Shared>,
    request: Request,
) -> Result<(StatusCode, Json<v1::Mirror>), Failure> {
    let request: v1::CreateMirror = body::read(request, &shared.limits).await?;
    if request.mode != v1::MirrorMode::Synchronous {
        return Err(Failure::invalid("mode is synchronous: there are no others"));
    }
    let on_failure = match request.on_failure {
        v1::OnFailure::Continue => OnFailure::Continue,
        v1::OnFailure::Halt => OnFailure::Halt,
        _ => return Err(Failure::invalid("on_failure is continue or halt")),
    };
    let source = parse::volume_name(&request.source)?;
    let EndName { peer, volume } = end_name(&request.target)?;
    let control = shared.control.clone();
    let mirror = to_end(async move {
        match peer {
            None => {
                let request = MirrorRequest {
                    source,
                    target: volume,
                    on_failure,
                };
                control.create_mirror(request).await
            }
            Some(peer) => {
                let request = RemoteMirrorRequest {
                    source,
                    peer,
                    target: volume,
                    on_failure,
                };
                control.create_remote_mirror(request).await
            }
        }
    })
    .await?;
    Ok((StatusCode::CREATED, Json(mirror)))
}

pub(in crate::admin_server) async fn modify(
    State(shared): State<Shared>,
    Segments(mirror): Segments<String>,
    request: Request,
) -> Result<Json<v1::Mirror>, Failure> {
    let request: v1::ModifyMirror = body::read(request, &shared.limits).await?;
    let operation = operation(request.operation)?;
    if request.discard.is_some() && operation != Operation::ResyncReplica {
        return Err(Failure::invalid("discard goes with the operation resync"));
    }
    let discard = request.discard.as_deref().map(end_name);
    let change = MirrorChange {
        mirror,
        operation,
        force: request.force,
        discard: discard.transpose()?,
    };
    let control = shared.control.clone();
    let mirror = to_end(async move { control.modify_mirror(change).await }).await?;
    Ok(Json(mirror))
}

fn end_name(text: &str) -> Result<EndName, Failure> {
    text.parse().map_err(Failure::invalid)
}

fn operation(operation: MirrorOperation) -> Result<Operation, Failure> {
    Ok(match operation {
        MirrorOperation::Fracture => Operation::Fracture,
        MirrorOperation::Split => Operation::Split,
        MirrorOperation::Suspend => Operation::Suspend,
        MirrorOperation::Resume => Operation::Resume,
        MirrorOperation::Resync => Operation::ResyncReplica,
        MirrorOperation::Failover => Operation::Failover,
        MirrorOperation::Failback => Operation::Failback,
        MirrorOperation::Reverse => Operation::ReverseRoles,
        _ => {
            return Err(Failure::invalid(
                "operation is fracture, split, suspend, resume, resync, failover, failback or reverse",
            ));
        }
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_server) struct DetachOptions {
    #[serde(default)]
    force: bool,
}

pub(in crate::admin_server) async fn detach(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
    Options(DetachOptions { force }): Options<DetachOptions>,
) -> Result<StatusCode, Failure> {
    let control = shared.control.clone();
    to_end(async move { control.detach_mirror(name, force).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in crate::admin_server) async fn verify(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
) -> Result<(StatusCode, Json<v1::Job>), Failure> {
    let control = shared.control.clone();
    let job = to_end(async move { control.verify_mirror(name).await }).await?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}
