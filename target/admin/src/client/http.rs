//! One HTTP request over a Unix socket. Knows no paths and no types of the API but its error.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::client::ClientError;
use crate::v1::ErrorBody;

/// Connecting to a Unix socket only takes time while its queue is full.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Sends a request and returns the body of the answer if its status says that all is well.
pub(super) async fn request(
    socket: &Path,
    method: &'static str,
    path: &str,
    json: Option<Vec<u8>>,
) -> Result<Bytes, ClientError> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "tidelock")
        .header("accept", "application/json");
    if json.is_some() {
        request = request.header("content-type", "application/json");
    }
    let request = request
        .body(Full::new(Bytes::from(json.unwrap_or_default())))
        .map_err(|error| ClientError::protocol(socket, error))?;
    let stream = connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| ClientError::interrupted(socket, error))?;
    // The connection has to be driven while the answer is awaited; it ends with the sender.
    let driver = tokio::spawn(connection);
    let answer = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| ClientError::interrupted(socket, error))?;
        read(socket, response).await
    }
    .await;
    driver.abort();
    answer
}

async fn connect(socket: &Path) -> Result<UnixStream, ClientError> {
    let unreachable = |source| ClientError::Unreachable {
        socket: socket.into(),
        source,
    };
    tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(socket))
        .await
        .map_err(|_| unreachable(std::io::ErrorKind::TimedOut.into()))?
        .map_err(unreachable)
}

async fn read(
    socket: &Path,
    response: Response<hyper::body::Incoming>,
) -> Result<Bytes, ClientError> {
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| ClientError::interrupted(socket, error))?
        .to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(ErrorBody { error }) => Err(ClientError::Refused(error)),
        Err(_) => Err(ClientError::protocol(socket, not_ours(status))),
    }
}

fn not_ours(status: StatusCode) -> String {
    format!("status {status} without an error body")
}
