//! Sessions.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use tidelock_admin::v1::{ErrorCode, SessionList};

use crate::admin_server::body::Segments;
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::to_end;
use crate::admin_server::router::Shared;

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
    let hint = "`tidelock session list` shows the sessions there are";
    Err(Failure::new(
        ErrorCode::NotFound,
        format!("there is no session {id}"),
        hint,
    ))
}
