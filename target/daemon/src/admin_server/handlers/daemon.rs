//! The daemon as a whole.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use tidelock_admin::v1;

use crate::admin_server::router::Shared;

pub(in crate::admin_server) async fn status(State(shared): State<Shared>) -> Json<v1::Status> {
    Json(shared.control.status())
}

pub(in crate::admin_server) async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        shared.control.metrics(),
    )
}

pub(in crate::admin_server) async fn openapi() -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "application/json")],
        tidelock_admin::openapi::document(),
    )
}
