//! Sessions.

use std::ops::RangeInclusive;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use tidelock_admin::v1::{ErrorCode, LogoutSession, SessionList};

use crate::admin_server::body::{self, Segments};
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::to_end;
use crate::admin_server::router::Shared;

/// What an initiator may be given to log out (Parameter3 of an Asynchronous Message).
const LOGOUT_SECONDS: RangeInclusive<u16> = 1..=600;

pub(in crate::admin_server) async fn list(State(shared): State<Shared>) -> Json<SessionList> {
    Json(SessionList {
        sessions: shared.control.sessions(),
    })
}

pub(in crate::admin_server) async fn drop(
    State(shared): State<Shared>,
    Segments(id): Segments<u64>,
) -> Result<StatusCode, Failure> {
    let control = shared.control.clone();
    if to_end(async move { Ok(control.drop_session(id).await) }).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(none(id))
}

pub(in crate::admin_server) async fn logout(
    State(shared): State<Shared>,
    Segments(id): Segments<u64>,
    request: Request,
) -> Result<StatusCode, Failure> {
    let LogoutSession { within_seconds } = body::read(request, &shared.limits).await?;
    let seconds = u16::try_from(within_seconds).ok();
    let seconds = seconds.filter(|seconds| LOGOUT_SECONDS.contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        let (low, high) = LOGOUT_SECONDS.into_inner();
        Failure::invalid(format!(
            "within_seconds can't be {within_seconds}: it goes from {low} to {high}"
        ))
    })?;
    let control = shared.control.clone();
    if to_end(async move { Ok(control.logout_session(id, seconds).await) }).await? {
        return Ok(StatusCode::ACCEPTED);
    }
    Err(none(id))
}

fn none(id: u64) -> Failure {
    let hint = "`tidelock session list` shows the sessions there are";
    Failure::new(
        ErrorCode::NotFound,
        format!("there is no session {id}"),
        hint,
    )
}
