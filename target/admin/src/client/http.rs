//! One HTTP request over a Unix socket. Knows no paths and no types of the API but its error.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

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

/// A long answer, as it comes.
#[derive(Debug)]
pub struct Download {
    socket: PathBuf,
    body: Incoming,
    driver: tokio::task::JoinHandle<Result<(), hyper::Error>>,
}

impl Drop for Download {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Download {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// It broke off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Err(ClientError::interrupted(&self.socket, error)),
            };
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

/// Asks for a long answer.
pub(super) async fn download(socket: &Path, path: &str) -> Result<Download, ClientError> {
    let request = Request::builder()
        .uri(path)
        .header("host", "tidelock")
        .body(Full::new(Bytes::new()))
        .map_err(|error| ClientError::protocol(socket, error))?;
    let stream = connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| ClientError::interrupted(socket, error))?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await;
    let response = match response {
        Ok(response) => response,
        Err(error) => {
            driver.abort();
            return Err(ClientError::interrupted(socket, error));
        }
    };
    if !response.status().is_success() {
        let refused = read(socket, response).await;
        driver.abort();
        let reason = "an error without a body";
        return Err(refused
            .err()
            .unwrap_or_else(|| ClientError::protocol(socket, reason)));
    }
    Ok(Download {
        socket: socket.into(),
        body: response.into_body(),
        driver,
    })
}

/// A body that comes in pieces.
struct Pieces(mpsc::Receiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = self.0.poll_recv(cx);
        piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// Sends a long request, and returns the body of the answer if its status says that all is well. If that
/// comes early, nothing more is sent.
pub(super) async fn upload(
    socket: &Path,
    path: &str,
    mut pieces: mpsc::Receiver<Bytes>,
) -> Result<Bytes, ClientError> {
    let (body, rest) = mpsc::channel(1);
    let request = Request::builder()
        .method("POST")
        .uri(path)
        .header("host", "tidelock")
        .header("accept", "application/json")
        .header("content-type", "application/octet-stream")
        .body(Pieces(rest))
        .map_err(|error| ClientError::protocol(socket, error))?;
    let stream = connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| ClientError::interrupted(socket, error))?;
    let driver = tokio::spawn(connection);
    let answer = async {
        let mut answering = std::pin::pin!(sender.send_request(request));
        let mut body = Some(body);
        let response = loop {
            let Some(open) = &body else {
                break answering.as_mut().await;
            };
            let more = tokio::select! {
                response = answering.as_mut() => break response,
                piece = next_for(open, &mut pieces) => match piece {
                    Some((place, piece)) => {
                        place.send(piece);
                        true
                    }
                    None => false,
                },
            };
            if !more {
                body = None;
            }
        };
        // The end of the body, if that hasn't come yet: who has answered waits for it.
        drop(body);
        let response = response.map_err(|error| ClientError::interrupted(socket, error))?;
        read(socket, response).await
    }
    .await;
    driver.abort();
    answer
}

/// A piece and a place for it; `None` if there is none of either any more.
async fn next_for<'a>(
    body: &'a mpsc::Sender<Bytes>,
    pieces: &mut mpsc::Receiver<Bytes>,
) -> Option<(mpsc::Permit<'a, Bytes>, Bytes)> {
    let place = body.reserve().await.ok()?;
    let piece = pieces.recv().await?;
    Some((place, piece))
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

async fn read(socket: &Path, response: Response<Incoming>) -> Result<Bytes, ClientError> {
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
