//! The store of leases: one member of etcd after the other, over HTTP or HTTPS. Knows no rules of failover.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use thiserror::Error;
use tidelock_mirror::id::MirrorId;
use tidelock_mirror::lease::{Answer, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::settings::{Endpoint, Settings};
use super::words::Keys;

/// Longer than any answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Why there is no answer. What was asked may have been done all the same.
#[derive(Debug, Error)]
pub enum AskError {
    /// No member was reached.
    #[error("no member of etcd is reached; the last one, {authority}: {why}")]
    Unreachable {
        /// The last that was tried.
        authority: String,
        /// Why not.
        why: String,
    },
    /// It isn't an answer.
    #[error("etcd at {authority} gives no answer that is understood: {why}")]
    Answer {
        /// Who.
        authority: String,
        /// What is wrong.
        why: String,
    },
    /// Nothing came in time.
    #[error("etcd doesn't answer within {} ms", within.as_millis())]
    TooLate {
        /// So long.
        within: Duration,
    },
}

/// The keys of one mirror, in the store.
#[derive(Debug)]
pub struct Etcd {
    settings: Arc<Settings>,
    keys: Keys,
    /// Who answered last.
    current: usize,
    connection: Option<(String, http1::SendRequest<Full<Bytes>>)>,
}

impl Etcd {
    /// Of a mirror. Connects when it is asked.
    #[must_use]
    pub fn new(settings: Arc<Settings>, mirror: MirrorId) -> Self {
        let keys = Keys::new(&settings.prefix, mirror);
        Self {
            settings,
            keys,
            current: 0,
            connection: None,
        }
    }

    /// What the keys are called.
    #[must_use]
    pub fn keys(&self) -> String {
        self.keys.names()
    }

    /// Asks once.
    ///
    /// # Errors
    /// There is no answer, within that time or at all.
    pub async fn ask(&mut self, request: &Request, within: Duration) -> Result<Answer, AskError> {
        let answer = match tokio::time::timeout(within, self.answer(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(AskError::TooLate { within }),
        };
        if answer.is_err() {
            // Another member may know more.
            self.connection = None;
            self.current = self.current.wrapping_add(1);
        }
        answer
    }

    async fn answer(&mut self, request: &Request) -> Result<Answer, AskError> {
        let (path, body) = self.keys.body(request);
        let (authority, mut sender) = self.connected().await?;
        let fails = |why: String| AskError::Answer {
            authority: authority.clone(),
            why,
        };
        let asked = hyper::Request::post(path)
            .header(HOST, &authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string()))
            .map_err(|error| fails(error.to_string()))?;
        let answer = sender
            .send_request(asked)
            .await
            .map_err(|error| fails(error.to_string()))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| fails(error.to_string()))?
            .to_bytes();
        let value: Value =
            serde_json::from_slice(&body).map_err(|error| fails(error.to_string()))?;
        if matches!(request, Request::Revoke(_)) && status == hyper::StatusCode::NOT_FOUND {
            // It was over already.
            self.connection = Some((authority, sender));
            return Ok(Answer::LeaseGone);
        }
        if !status.is_success() {
            let said = value.get("error").or_else(|| value.get("message"));
            let said: String = said
                .and_then(Value::as_str)
                .unwrap_or_default()
                .chars()
                .take(200)
                .collect();
            return Err(fails(format!("{status} {said}")));
        }
        let understood = self.keys.answer(request, &value).map_err(fails)?;
        self.connection = Some((authority, sender));
        Ok(understood)
    }

    /// The connection that there is, or one to the first member that takes it.
    async fn connected(&mut self) -> Result<(String, http1::SendRequest<Full<Bytes>>), AskError> {
        if let Some((authority, mut sender)) = self.connection.take()
            && sender.ready().await.is_ok()
        {
            return Ok((authority, sender));
        }
        let members = self.settings.endpoints.len();
        let mut last = None;
        for _ in 0..members {
            let Some(endpoint) = self.settings.endpoints.get(self.current % members) else {
                break;
            };
            match self.connect(endpoint).await {
                Ok(sender) => return Ok((endpoint.authority.clone(), sender)),
                Err(why) => {
                    last = Some((endpoint.authority.clone(), why));
                    self.current = self.current.wrapping_add(1);
                }
            }
        }
        let (authority, why) = last.unwrap_or_default();
        Err(AskError::Unreachable { authority, why })
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
    ) -> Result<http1::SendRequest<Full<Bytes>>, String> {
        // A member that is gone without a word doesn't take the time of the others.
        let connecting = TcpStream::connect(&endpoint.authority);
        let within = Duration::from_millis(self.settings.lease_ms / 20);
        let stream = match tokio::time::timeout(within, connecting).await {
            Ok(stream) => stream.map_err(|error| error.to_string())?,
            Err(_) => return Err(format!("no connection within {} ms", within.as_millis())),
        };
        // A small request waits for nothing.
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        match (&endpoint.server, &self.settings.tls) {
            (Some(server), Some(tls)) => {
                let connector = TlsConnector::from(Arc::clone(tls));
                let stream = connector
                    .connect(server.clone(), stream)
                    .await
                    .map_err(|error| error.to_string())?;
                handshake(stream).await
            }
            _ => handshake(stream).await,
        }
    }
}

async fn handshake<S>(stream: S) -> Result<http1::SendRequest<Full<Bytes>>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // It ends when the sender is dropped; an error is the sender's to tell.
    tokio::spawn(connection);
    Ok(sender)
}
