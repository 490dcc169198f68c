//! Snapshots that come and go as streams: bodies of any length, of which a piece at a time is in memory.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use futures_util::stream::{StreamExt as _, once};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use tidelock_admin::v1::{self, ErrorCode};
use tidelock_catalog::SnapshotRef;
use tidelock_replication::stream::Token;
use tokio::sync::mpsc;

use crate::admin_server::body::{Options, Segments};
use crate::admin_server::control::ControlError;
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::to_end;
use crate::admin_server::parse;
use crate::admin_server::router::Shared;
use crate::admin_server::stall::Patience;
use crate::admin_server::streams::Outgoing;
use crate::registry::ReceiveRequest;

/// Pieces of a body that wait for the disk.
const WAITING: usize = 2;
/// How long a client may go on sending what was refused, before it is hung up on.
const DRAIN: Duration = Duration::from_secs(5);

/// What follows the path of a stream.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_server) struct SendOptions {
    since: Option<String>,
}

pub(in crate::admin_server) async fn send(
    State(shared): State<Shared>,
    Extension(patience): Extension<Patience>,
    Segments((volume, snapshot)): Segments<(String, String)>,
    Options(options): Options<SendOptions>,
) -> Result<Response, Failure> {
    let snapshot = SnapshotRef {
        volume: parse::volume_name(&volume)?,
        snapshot: parse::snapshot_name(&snapshot)?,
    };
    let since = options.since.map(|name| parse::snapshot_name(&name));
    let stream = shared.control.send(snapshot, since.transpose()?).await?;
    Ok(body_of(stream, &shared, &patience))
}

pub(in crate::admin_server) async fn send_rest(
    State(shared): State<Shared>,
    Extension(patience): Extension<Patience>,
    Segments(token): Segments<String>,
) -> Result<Response, Failure> {
    let token: Token = token.parse().map_err(Failure::invalid)?;
    let stream = shared.control.send_rest(token).await?;
    Ok(body_of(stream, &shared, &patience))
}

fn body_of(stream: Outgoing, shared: &Shared, patience: &Patience) -> Response {
    // Whoever takes the stream may have to wait for a disk or a line.
    patience.set(shared.limits.stream_timeout);
    let kind = HeaderValue::from_static("application/octet-stream");
    ([(CONTENT_TYPE, kind)], Body::from_stream(stream)).into_response()
}

/// What follows the path of a volume that receives.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_server) struct ReceiveOptions {
    name: Option<String>,
    #[serde(default)]
    force: bool,
}

pub(in crate::admin_server) async fn receive(
    State(shared): State<Shared>,
    Segments(volume): Segments<String>,
    Options(options): Options<ReceiveOptions>,
    request: Request,
) -> Response {
    let mut body = request.into_body();
    let received = take(&shared, &volume, options, &mut body).await;
    let answer = match received {
        Ok(received) => (StatusCode::CREATED, Json(received)).into_response(),
        Err(failure) => failure.into_response(),
    };
    drained(answer, body)
}

async fn take(
    shared: &Shared,
    volume: &str,
    options: ReceiveOptions,
    body: &mut Body,
) -> Result<v1::Received, Failure> {
    let name = options.name.map(|name| parse::snapshot_name(&name));
    let request = ReceiveRequest {
        volume: parse::volume_name(volume)?,
        name: name.transpose()?,
        force: options.force,
        at_unix_ms: 0,
    };
    let (sender, pieces) = mpsc::channel(WAITING);
    let control = shared.control.clone();
    // It notices by itself if nothing more comes, and keeps what has come.
    let receiving = tokio::spawn(async move { control.receive(request, pieces).await });
    let patience = shared.limits.stream_timeout;
    let silent = feed(body, sender, patience).await;
    match receiving.await {
        Ok(Err(_)) if silent => Err(Failure::new(
            ErrorCode::Timeout,
            format!("nothing has come for {} s", patience.as_secs()),
            "what has come is kept: `tidelock snapshot receive VOLUME --status` prints a token to go on \
             with",
        )),
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(ControlError::Defect.into()),
    }
}

/// Hands a body on until it ends or nobody wants more of it; true if it fell silent.
async fn feed(body: &mut Body, sender: mpsc::Sender<Bytes>, patience: Duration) -> bool {
    loop {
        let frame = tokio::select! {
            () = sender.closed() => return false,
            frame = tokio::time::timeout(patience, body.frame()) => frame,
        };
        let data = match frame {
            Ok(Some(Ok(frame))) => frame.into_data(),
            Ok(Some(Err(_)) | None) => return false,
            Err(_) => return true,
        };
        if let Ok(data) = data
            && sender.send(data).await.is_err()
        {
            return false;
        }
    }
}

/// Who is answered before everything was read may still be sending, and would find the connection broken
/// before the answer.
fn drained(answer: Response, mut rest: Body) -> Response {
    if rest.is_end_stream() {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let drain = async move {
        let all = async { while let Some(Ok(_)) = rest.frame().await {} };
        let _ = tokio::time::timeout(DRAIN, all).await;
        Ok(Bytes::new())
    };
    let body = body.into_data_stream().chain(once(drain));
    Response::from_parts(parts, Body::from_stream(body))
}

pub(in crate::admin_server) async fn status(
    State(shared): State<Shared>,
    Segments(volume): Segments<String>,
) -> Result<Json<v1::ReceiveStatus>, Failure> {
    let volume = parse::volume_name(&volume)?;
    Ok(Json(shared.control.receive_status(&volume)?))
}

pub(in crate::admin_server) async fn abort(
    State(shared): State<Shared>,
    Segments(volume): Segments<String>,
) -> Result<StatusCode, Failure> {
    let volume = parse::volume_name(&volume)?;
    let control = shared.control.clone();
    to_end(async move { control.abort_receive(volume).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
