//! Mirrors.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidelock_admin::v1::{self, MirrorOperation};
use tidelock_capabilities::values::Operation;
use tidelock_catalog::{
    MirrorCompression, MirrorFailover, MirrorMode, OnFailure, PeerName, RESYNC_LIMIT_MIN,
};

use crate::admin_server::body::{self, Options, Segments};
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::to_end;
use crate::admin_server::parse;
use crate::admin_server::router::Shared;
use crate::registry::{
    EndName, FailoverChange, GroupMirrorChange, GroupMirrorRequest, GroupTarget, MirrorChange,
    MirrorRequest, RemoteMirrorRequest,
};

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
    let mode = mode(request.mode, request.rpo_ms)?;
    let on_failure = on_failure(request.on_failure)?;
    let source = parse::volume_name(&request.source)?;
    let EndName { peer, volume } = end_name(&request.target)?;
    let failover = failover(request.failover)?;
    let is_possible = peer.is_some() && mode == MirrorMode::Synchronous;
    if failover == MirrorFailover::Automatic && !is_possible {
        return Err(Failure::invalid(
            "failover automatic is for synchronous mirrors with a peer (target PEER:VOLUME) alone",
        ));
    }
    let resync_limit = resync_limit(request.resync_limit)?.flatten();
    let compression = compression(request.compression)?.unwrap_or_default();
    if compression == MirrorCompression::Zstd && peer.is_none() {
        return Err(Failure::invalid(
            "compression is for mirrors with a peer (target PEER:VOLUME): nothing goes over a link between volumes of one \
             daemon",
        ));
    }
    let control = shared.control.clone();
    let mirror = to_end(async move {
        match peer {
            None => {
                let request = MirrorRequest {
                    source,
                    target: volume,
                    on_failure,
                    mode,
                    resync_limit,
                };
                control.create_mirror(request).await
            }
            Some(peer) => {
                let request = RemoteMirrorRequest {
                    source,
                    peer,
                    target: volume,
                    on_failure,
                    failover,
                    mode,
                    resync_limit,
                    compression,
                };
                control.create_remote_mirror(request).await
            }
        }
    })
    .await?;
    Ok((StatusCode::CREATED, Json(mirror)))
}

pub(in crate::admin_server) async fn set(
    State(shared): State<Shared>,
    Segments(mirror): Segments<String>,
    request: Request,
) -> Result<Json<v1::Mirror>, Failure> {
    let request: v1::SetMirror = body::read(request, &shared.limits).await?;
    let rpo_ms = request.rpo_ms.map(rpo).transpose()?;
    let limit = resync_limit(request.resync_limit)?;
    let compression = compression(request.compression)?;
    let control = shared.control.clone();
    let mirror = to_end(async move {
        if let Some(rpo_ms) = rpo_ms {
            control.set_mirror_rpo(mirror.clone(), rpo_ms).await?;
        }
        if let Some(limit) = limit {
            control
                .set_mirror_resync_limit(mirror.clone(), limit)
                .await?;
        }
        if let Some(compression) = compression {
            control
                .set_mirror_compression(mirror.clone(), compression)
                .await?;
        }
        control.mirror(&mirror).await
    })
    .await?;
    Ok(Json(mirror))
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

pub(in crate::admin_server) async fn set_failover(
    State(shared): State<Shared>,
    Segments(mirror): Segments<String>,
    request: Request,
) -> Result<Json<v1::MirrorFailoverSet>, Failure> {
    let request: v1::SetMirrorFailover = body::read(request, &shared.limits).await?;
    let change = FailoverChange {
        mirror,
        failover: failover(request.failover)?,
        force: request.force,
    };
    let control = shared.control.clone();
    let set = to_end(async move { control.set_mirror_failover(change).await }).await?;
    Ok(Json(set))
}

fn on_failure(on_failure: v1::OnFailure) -> Result<OnFailure, Failure> {
    match on_failure {
        v1::OnFailure::Continue => Ok(OnFailure::Continue),
        v1::OnFailure::Halt => Ok(OnFailure::Halt),
        _ => Err(Failure::invalid("on_failure is continue or halt")),
    }
}

fn failover(failover: v1::MirrorFailover) -> Result<MirrorFailover, Failure> {
    match failover {
        v1::MirrorFailover::Manual => Ok(MirrorFailover::Manual),
        v1::MirrorFailover::Automatic => Ok(MirrorFailover::Automatic),
        _ => Err(Failure::invalid("failover is manual or automatic")),
    }
}

fn end_name(text: &str) -> Result<EndName, Failure> {
    text.parse().map_err(Failure::invalid)
}

/// The target of an asynchronous mirror is to be so far behind at most, if nothing else is said.
const RPO_MS: u64 = 5_000;

fn mode(mode: v1::MirrorMode, rpo_ms: Option<u64>) -> Result<MirrorMode, Failure> {
    match (mode, rpo_ms) {
        (v1::MirrorMode::Synchronous, None) => Ok(MirrorMode::Synchronous),
        (v1::MirrorMode::Synchronous, Some(_)) => Err(Failure::invalid(
            "rpo_ms goes with the mode asynchronous: the target of a synchronous mirror is never behind",
        )),
        (v1::MirrorMode::Asynchronous, rpo_ms) => {
            let rpo_ms = rpo(rpo_ms.unwrap_or(RPO_MS))?;
            Ok(MirrorMode::Asynchronous { rpo_ms })
        }
        _ => Err(Failure::invalid("mode is synchronous or asynchronous")),
    }
}

fn rpo(rpo_ms: u64) -> Result<u64, Failure> {
    match (100..=86_400_000).contains(&rpo_ms) {
        true => Ok(rpo_ms),
        false => Err(Failure::invalid(
            "rpo_ms is from 100 to 86400000: a tenth of a second to a day",
        )),
    }
}

/// What is said of the limit, if anything is.
fn resync_limit(limit: Option<u64>) -> Result<Option<Option<u64>>, Failure> {
    match limit {
        None => Ok(None),
        Some(0) => Ok(Some(None)),
        Some(limit) if limit >= RESYNC_LIMIT_MIN => Ok(Some(Some(limit))),
        Some(_) => Err(Failure::invalid(
            "resync_limit is 65536 bytes a second at least, or 0 for none",
        )),
    }
}

/// What is said of the link, if anything is.
fn compression(
    wanted: Option<v1::MirrorCompression>,
) -> Result<Option<MirrorCompression>, Failure> {
    match wanted {
        None => Ok(None),
        Some(v1::MirrorCompression::None) => Ok(Some(MirrorCompression::None)),
        Some(v1::MirrorCompression::Zstd) => Ok(Some(MirrorCompression::Zstd)),
        Some(_) => Err(Failure::invalid("compression is zstd or none")),
    }
}

fn operation(operation: MirrorOperation) -> Result<Operation, Failure> {
    Ok(match operation {
        MirrorOperation::Fracture => Operation::Fracture,
        MirrorOperation::Split => Operation::Split,
        MirrorOperation::Suspend => Operation::Suspend,
        MirrorOperation::Resume => Operation::Resume,
        MirrorOperation::Resync => Operation::ResyncReplica,
        MirrorOperation::Restore => Operation::RestoreFromReplica,
        MirrorOperation::Failover => Operation::Failover,
        MirrorOperation::Failback => Operation::Failback,
        MirrorOperation::Reverse => Operation::ReverseRoles,
        MirrorOperation::ResetToSync => Operation::ResetToSync,
        MirrorOperation::ResetToAsync => Operation::ResetToAsync,
        _ => {
            return Err(Failure::invalid(
                "operation is fracture, split, suspend, resume, resync, restore, failover, failback, reverse, \
                 reset_to_sync or reset_to_async",
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

pub(in crate::admin_server) async fn create_group(
    State(shared): State<Shared>,
    Segments(group): Segments<String>,
    request: Request,
) -> Result<(StatusCode, Json<v1::MirrorList>), Failure> {
    let request: v1::CreateGroupMirrors = body::read(request, &shared.limits).await?;
    let target = match request.target.split_once(':') {
        None => GroupTarget::Here(parse::group_name(&request.target)?),
        Some((peer, group)) => GroupTarget::AtPeer {
            peer: PeerName::new(peer).map_err(Failure::invalid)?,
            group: parse::group_name(group)?,
        },
    };
    let request = GroupMirrorRequest {
        group: parse::group_name(&group)?,
        target,
        on_failure: on_failure(request.on_failure)?,
        mode: mode(request.mode, request.rpo_ms)?,
        resync_limit: resync_limit(request.resync_limit)?.flatten(),
    };
    let control = shared.control.clone();
    let mirrors = to_end(async move { control.create_group_mirrors(request).await }).await?;
    Ok((StatusCode::CREATED, Json(mirrors)))
}

pub(in crate::admin_server) async fn modify_group(
    State(shared): State<Shared>,
    Segments(group): Segments<String>,
    request: Request,
) -> Result<Json<v1::MirrorList>, Failure> {
    let request: v1::ModifyMirror = body::read(request, &shared.limits).await?;
    if request.discard.is_some() {
        return Err(Failure::invalid(
            "discard names a volume of one mirror, and not of those of a group: ask for it at /v1/mirrors",
        ));
    }
    let change = GroupMirrorChange {
        group: parse::group_name(&group)?,
        operation: operation(request.operation)?,
        force: request.force,
    };
    let control = shared.control.clone();
    let mirrors = to_end(async move { control.modify_group_mirrors(change).await }).await?;
    Ok(Json(mirrors))
}

pub(in crate::admin_server) async fn detach_group(
    State(shared): State<Shared>,
    Segments(group): Segments<String>,
    Options(DetachOptions { force }): Options<DetachOptions>,
) -> Result<StatusCode, Failure> {
    let group = parse::group_name(&group)?;
    let control = shared.control.clone();
    to_end(async move { control.detach_group_mirrors(group, force).await }).await?;
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
