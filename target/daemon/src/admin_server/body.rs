//! What a request brings: its JSON body, the names in its path, its query. Bounded in size and time;
//! errors quote no values, since a value may be a secret.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tidelock_admin::v1::ErrorCode;

use crate::admin_server::connection::Limits;
use crate::admin_server::failure::Failure;

/// Reads and understands a JSON body.
pub(super) async fn read<T: DeserializeOwned>(
    request: Request,
    limits: &Limits,
) -> Result<T, Failure> {
    let said = request
        .headers()
        .get(CONTENT_TYPE)
        .map(axum::http::HeaderValue::as_bytes);
    if !said.is_some_and(is_json) {
        return Err(Failure::new(
            ErrorCode::UnsupportedMediaType,
            "the body must be JSON, and be said to be",
            "send the header Content-Type: application/json",
        ));
    }
    let bytes = collect(request.into_body(), limits.body_bytes, limits.body_timeout).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let hint = "GET /openapi.json describes every request";
        Failure::new(ErrorCode::Invalid, describe(&error), hint)
    })
}

fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default();
    essence
        .trim_ascii()
        .eq_ignore_ascii_case(b"application/json")
}

async fn collect(body: Body, limit: usize, patience: Duration) -> Result<bytes::Bytes, Failure> {
    let too_large = || {
        Failure::new(
            ErrorCode::TooLarge,
            format!("the body has more than {limit} bytes"),
            "no request of this API is that long",
        )
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(patience, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Failure::invalid("the body broke off")),
        Err(_) => Err(Failure::new(
            ErrorCode::Timeout,
            format!(
                "the body took longer than {} s to arrive",
                patience.as_secs()
            ),
            "",
        )),
    }
}

/// What serde says, unless it quotes a value.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("invalid type") || text.starts_with("invalid value") {
        return format!(
            "a field has a value of the wrong kind at line {} column {}",
            error.line(),
            error.column()
        );
    }
    format!("the body isn't what is expected: {text}")
}

/// The variable parts of a request's path.
pub(super) struct Segments<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(segments)) => Ok(Self(segments)),
            Err(rejection) => Err(Failure::invalid(rejection.body_text())),
        }
    }
}

/// What follows the question mark.
pub(super) struct Options<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Options<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(options)) => Ok(Self(options)),
            Err(rejection) => Err(Failure::invalid(rejection.body_text())),
        }
    }
}
