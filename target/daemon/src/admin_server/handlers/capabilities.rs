//! What elements support.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tidelock_admin::v1::Capabilities;

use crate::admin_server::body::Options;
use crate::admin_server::failure::Failure;
use crate::admin_server::router::Shared;

/// Longer than any name of an element.
const NAME_BYTES_MAX: usize = 1_024;

/// What follows `GET /v1/capabilities`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_server) struct Question {
    element: String,
    other: Option<String>,
    via: Option<String>,
    #[serde(default = "create_element_replica")]
    method: u16,
}

fn create_element_replica() -> u16 {
    2
}

pub(in crate::admin_server) async fn show(
    State(shared): State<Shared>,
    Options(question): Options<Question>,
) -> Result<Json<Capabilities>, Failure> {
    let other = question.other.as_deref();
    let via = question.via.as_deref();
    let names = std::iter::once(question.element.as_str())
        .chain(other)
        .chain(via);
    for name in names {
        if name.len() > NAME_BYTES_MAX {
            let text = format!("the name of an element or peer has at most {NAME_BYTES_MAX} bytes");
            return Err(Failure::invalid(text));
        }
    }
    let control = &shared.control;
    Ok(Json(control.capabilities(
        &question.element,
        other,
        via,
        question.method,
    )))
}
