//! One request over HTTP: who asks, whether it is CIM-XML, and the answer with its headers (DSP0200 clause 8). Bounded
//! in size and time; says of a password neither what it is nor what it isn't.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{
    ALLOW, AUTHORIZATION, CONTENT_TYPE, EXPECT, HOST, HeaderValue, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use tidelock_wbem::{Model, Server};
use tokio::sync::{Notify, Semaphore};

use super::users::Users;

/// What clients are given of time and memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once. For another one the oldest that hasn't proved who it is is ended, or it waits.
    pub(super) connections: usize,
    /// How long a handshake and how long a request's header may take, and how long a connection may be idle.
    pub(super) header_timeout: Duration,
    /// How long a request's body may take.
    pub(super) body_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub(super) write_timeout: Duration,
    /// Bytes of a request's body.
    pub(super) body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32,
            header_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            body_bytes: tidelock_wbem::Limits::default().bytes,
        }
    }
}

/// What all connections share.
pub(super) struct House {
    pub(super) server: Server,
    pub(super) model: Box<dyn Model>,
    pub(super) users: Users,
    pub(super) limits: Limits,
    /// Requests that are answered at once.
    pub(super) workers: Semaphore,
    /// Passwords that are looked at at once: one, whoever asks, so that guessing is slow and costs one core at most.
    pub(super) passwords: Semaphore,
    pub(super) begun: Instant,
    /// Woken when something may have been refused.
    pub(super) refusals: Notify,
}

/// How many times as much as a body may have is taken of one that is too large.
const THROWN_AWAY: usize = 32;

type Answer = Response<Full<Bytes>>;

/// Answers a request.
pub(super) async fn answer(
    house: &Arc<House>,
    request: Request<Incoming>,
    from: SocketAddr,
    known: &AtomicBool,
) -> Answer {
    match try_answer(house, request, from, known).await {
        Ok(answer) | Err(answer) => answer,
    }
}

async fn try_answer(
    house: &Arc<House>,
    request: Request<Incoming>,
    from: SocketAddr,
    known: &AtomicBool,
) -> Result<Answer, Answer> {
    let user = user(house, &request, from).await?;
    known.store(true, Ordering::Relaxed);
    if !matches!(request.uri().path(), "/cimom" | "/") {
        return Err(plain(StatusCode::NOT_FOUND, "CIM operations are at /cimom"));
    }
    if request.method() != Method::POST {
        let mut answer = plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "CIM operations come by POST",
        );
        let allowed = HeaderValue::from_static("POST");
        answer.headers_mut().insert(ALLOW, allowed);
        return Err(answer);
    }
    if !is_xml(request.headers().get(CONTENT_TYPE)) {
        let text = "the body has to be CIM-XML: Content-Type: application/xml; charset=utf-8";
        return Err(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let header = |name: &str| {
        let value = request.headers().get(name);
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let (operation, method) = (header("CIMOperation"), header("CIMMethod"));
    let host = header(HOST.as_str()).unwrap_or_else(|| "localhost".to_owned());
    let asks_first = request.headers().contains_key(EXPECT);
    let body = collect(request.into_body(), &house.limits, asks_first).await?;
    let gone = || plain(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping");
    let _turn = house.workers.acquire().await.map_err(|_| gone())?;
    let this = Arc::clone(house);
    let work = tokio::task::spawn_blocking(move || {
        let incoming = tidelock_wbem::Incoming {
            cim_operation: operation.as_deref(),
            cim_method: method.as_deref(),
            user: &user,
            host: &host,
            body: &body,
        };
        this.server
            .answer(&incoming, this.model.as_ref(), this.begun.elapsed())
    });
    let worked = work.await;
    house.refusals.notify_one();
    let outgoing = worked.map_err(|error| {
        tracing::error!(%error, "answering a WBEM request failed by a defect");
        let text =
            "the daemon failed by a defect while it answered: please report it, with the log";
        plain(StatusCode::INTERNAL_SERVER_ERROR, text)
    })?;
    let status = StatusCode::from_u16(outgoing.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = plain(status, outgoing.body);
    let headers = answer.headers_mut();
    match outgoing.cim_error {
        Some(error) => {
            headers.insert("CIMError", HeaderValue::from_static(error));
        }
        None => {
            let xml = HeaderValue::from_static("application/xml; charset=\"utf-8\"");
            headers.insert(CONTENT_TYPE, xml);
            headers.insert("CIMOperation", HeaderValue::from_static("MethodResponse"));
        }
    }
    Ok(answer)
}

/// Whose password came with it (RFC 7617).
async fn user(
    house: &Arc<House>,
    request: &Request<Incoming>,
    from: SocketAddr,
) -> Result<String, Answer> {
    let refused = || {
        let mut answer = plain(
            StatusCode::UNAUTHORIZED,
            "a user's name and password are needed",
        );
        let basic = HeaderValue::from_static("Basic realm=\"tidelock\", charset=\"UTF-8\"");
        answer.headers_mut().insert(WWW_AUTHENTICATE, basic);
        answer
    };
    let given = request.headers().get(AUTHORIZATION);
    let (name, password) = given.and_then(credentials).ok_or_else(refused)?;
    if house.users.knows(&name, &password) {
        return Ok(name);
    }
    let Ok(_turn) = house.passwords.acquire().await else {
        return Err(refused());
    };
    let (users, asked) = (house.users.clone(), name.clone());
    let check = tokio::task::spawn_blocking(move || users.check(&asked, &password));
    if check.await.unwrap_or(false) {
        return Ok(name);
    }
    tracing::warn!(%from, user = ?short(&name), "a WBEM client has given a wrong name or password");
    Err(refused())
}

fn credentials(header: &HeaderValue) -> Option<(String, String)> {
    let (scheme, given) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(given.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

fn is_xml(content_type: Option<&HeaderValue>) -> bool {
    let essence = content_type.map(|it| it.as_bytes().split(|byte| *byte == b';').next());
    let Some(Some(essence)) = essence else {
        return false;
    };
    let essence = essence.trim_ascii();
    essence.eq_ignore_ascii_case(b"application/xml") || essence.eq_ignore_ascii_case(b"text/xml")
}

/// All of a body. What is too large is taken as well, for a while, and thrown away: who sends all of it before looking
/// for an answer would find the connection broken instead.
async fn collect(mut body: Incoming, limits: &Limits, asks_first: bool) -> Result<Bytes, Answer> {
    let limit = limits.body_bytes;
    let too_large = || {
        let text = format!("the body has more than {limit} bytes");
        plain(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    // Such a client waits to be told whether to send it.
    if asks_first && body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut kept = BytesMut::new();
    let taking = async {
        let mut taken = 0;
        while let Some(frame) = body.frame().await {
            let Ok(bytes) = frame?.into_data() else {
                continue;
            };
            taken += bytes.len();
            if taken <= limit {
                kept.extend_from_slice(&bytes);
            } else if taken > limit.saturating_mul(THROWN_AWAY) {
                break;
            }
        }
        Ok::<_, hyper::Error>(taken)
    };
    match tokio::time::timeout(limits.body_timeout, taking).await {
        Ok(Ok(taken)) if taken > limit => Err(too_large()),
        Ok(Ok(_)) => Ok(kept.freeze()),
        Ok(Err(_)) => Err(plain(StatusCode::BAD_REQUEST, "the body broke off")),
        Err(_) => Err(plain(
            StatusCode::REQUEST_TIMEOUT,
            "the body took too long to arrive",
        )),
    }
}

fn plain(status: StatusCode, text: impl Into<String>) -> Answer {
    let mut text = text.into();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    answer
}

/// A name as it is logged.
fn short(name: &str) -> String {
    name.chars().take(64).collect()
}
