//! Snapshots and schedules.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidelock_admin::v1;
use tidelock_catalog::{DatasetRef, SnapshotRef, VolumeName};

use crate::admin_server::body::{self, Options, Segments};
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::to_end;
use crate::admin_server::parse;
use crate::admin_server::router::Shared;

/// Ranges of one answer, if the request doesn't say how many.
const RANGES: u32 = 4_096;
/// Most ranges of one answer.
const RANGES_MAX: u32 = 65_536;

type Found<T> = Result<Json<T>, Failure>;

pub(in crate::admin_server) async fn list_all(
    State(shared): State<Shared>,
) -> Found<v1::SnapshotList> {
    let snapshots = shared.control.snapshots(None).await?;
    Ok(Json(v1::SnapshotList { snapshots }))
}

pub(in crate::admin_server) async fn list(
    State(shared): State<Shared>,
    Segments(volume): Segments<String>,
) -> Found<v1::SnapshotList> {
    let volume = parse::volume_name(&volume)?;
    let snapshots = shared.control.snapshots(Some(&volume)).await?;
    Ok(Json(v1::SnapshotList { snapshots }))
}

pub(in crate::admin_server) async fn create(
    State(shared): State<Shared>,
    Segments(volume): Segments<String>,
    request: Request,
) -> Result<(StatusCode, Json<v1::Snapshot>), Failure> {
    let v1::CreateSnapshot { name, quiesced } = body::read(request, &shared.limits).await?;
    let snapshot = named(&volume, &name)?;
    let (control, taken) = (shared.control.clone(), snapshot.clone());
    to_end(async move { control.create_snapshot(taken, quiesced).await }).await?;
    let snapshot = shared.control.snapshot(&snapshot).await?;
    Ok((StatusCode::CREATED, Json(snapshot)))
}

pub(in crate::admin_server) async fn show(
    State(shared): State<Shared>,
    Segments((volume, name)): Segments<(String, String)>,
) -> Found<v1::Snapshot> {
    let snapshot = named(&volume, &name)?;
    Ok(Json(shared.control.snapshot(&snapshot).await?))
}

pub(in crate::admin_server) async fn delete(
    State(shared): State<Shared>,
    Segments((volume, name)): Segments<(String, String)>,
) -> Result<StatusCode, Failure> {
    let snapshot = named(&volume, &name)?;
    let control = shared.control.clone();
    to_end(async move { control.delete_snapshot(snapshot).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in crate::admin_server) async fn restore(
    State(shared): State<Shared>,
    Segments((volume, name)): Segments<(String, String)>,
    request: Request,
) -> Found<v1::Restored> {
    let snapshot = named(&volume, &name)?;
    let v1::RestoreSnapshot { force } = body::read(request, &shared.limits).await?;
    let control = shared.control.clone();
    let restored = to_end(async move { control.restore_snapshot(snapshot, force).await }).await?;
    Ok(Json(restored))
}

/// What follows `GET /v1/diff`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_server) struct DiffOptions {
    from: String,
    to: String,
    #[serde(default)]
    offset_bytes: u64,
    limit: Option<u32>,
}

pub(in crate::admin_server) async fn diff(
    State(shared): State<Shared>,
    Options(options): Options<DiffOptions>,
) -> Found<v1::Diff> {
    let [from, to] = [&options.from, &options.to].map(|text| text.parse::<DatasetRef>());
    let (from, to) = (
        from.map_err(Failure::invalid)?,
        to.map_err(Failure::invalid)?,
    );
    let limit = options.limit.unwrap_or(RANGES);
    if !(1..=RANGES_MAX).contains(&limit) {
        let text = format!("limit must be from 1 to {RANGES_MAX}, not {limit}");
        return Err(Failure::invalid(text));
    }
    let limit = usize::try_from(limit).map_err(Failure::invalid)?;
    let found = shared.control.diff(from, to, options.offset_bytes, limit);
    Ok(Json(found.await?))
}

pub(in crate::admin_server) async fn list_schedules(
    State(shared): State<Shared>,
) -> Json<v1::ScheduleList> {
    Json(v1::ScheduleList {
        schedules: shared.control.schedules().await,
    })
}

pub(in crate::admin_server) async fn set_schedule(
    State(shared): State<Shared>,
    Segments(volume): Segments<String>,
    request: Request,
) -> Found<v1::Schedule> {
    let name = parse::volume_name(&volume)?;
    let request: v1::SetSchedule = body::read(request, &shared.limits).await?;
    put_schedule(&shared, &name, Some((request.every_seconds, request.keep))).await?;
    let all = shared.control.schedules().await.into_iter();
    let mut of_it = all.filter(|schedule| schedule.volume == volume);
    // Somebody may have taken it away again.
    let schedule = of_it.next().ok_or_else(|| {
        let text = format!("volume {volume} has no schedule any more");
        Failure::new(v1::ErrorCode::Conflict, text, "try again")
    })?;
    Ok(Json(schedule))
}

pub(in crate::admin_server) async fn remove_schedule(
    State(shared): State<Shared>,
    Segments(volume): Segments<String>,
) -> Result<StatusCode, Failure> {
    put_schedule(&shared, &parse::volume_name(&volume)?, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn put_schedule(
    shared: &Shared,
    volume: &VolumeName,
    times: Option<(u64, u32)>,
) -> Result<(), Failure> {
    let (control, volume) = (shared.control.clone(), volume.clone());
    to_end(async move { control.set_schedule(volume, times).await }).await
}

pub(in crate::admin_server) async fn verify(
    State(shared): State<Shared>,
    Segments(volume): Segments<String>,
) -> Found<v1::Job> {
    let volume = parse::volume_name(&volume)?;
    Ok(Json(shared.control.verify_volume(volume).await?))
}

pub(in crate::admin_server) async fn scrub(
    State(shared): State<Shared>,
    Segments(volume): Segments<String>,
    request: Request,
) -> Found<v1::Job> {
    let v1::ScrubVolume {
        snapshot,
        rate_bytes_per_second,
    } = body::read(request, &shared.limits).await?;
    let snapshot = snapshot.map(|name| parse::snapshot_name(&name));
    let what = DatasetRef {
        volume: parse::volume_name(&volume)?,
        snapshot: snapshot.transpose()?,
    };
    Ok(Json(
        shared.control.scrub(what, rate_bytes_per_second).await?,
    ))
}

fn named(volume: &str, snapshot: &str) -> Result<SnapshotRef, Failure> {
    Ok(SnapshotRef {
        volume: parse::volume_name(volume)?,
        snapshot: parse::snapshot_name(snapshot)?,
    })
}
