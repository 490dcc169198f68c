//! Carries indications to those who have subscribed: looks what has happened, and POSTs the messages to their
//! destinations. Each has a bounded queue and is tried a few times; nobody waits for one that doesn't answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tidelock_catalog::MirrorId;
use tidelock_catalog::schedule::time_text;
use tidelock_wbem::Delivery;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::http::House;
use crate::events::unix_ms;

/// How often it is looked what has happened, if nothing is heard.
const LOOK: Duration = Duration::from_secs(1);
/// How long after a look the next one is.
const REST: Duration = Duration::from_millis(100);
/// Messages that wait for one destination.
const QUEUE: usize = 256;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often one is tried, and how long there is between.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(2);
/// How long who carries waits for the next one.
const IDLE: Duration = Duration::from_secs(60);
/// Bytes of an answer, which nobody needs.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// How destinations are reached.
#[derive(Clone, Default)]
pub(super) struct Ways {
    /// For https; `None` if nobody has said which certificates are trusted.
    tls: Option<TlsConnector>,
}

impl Ways {
    pub(super) const fn new(tls: Option<TlsConnector>) -> Self {
        Self { tls }
    }

    /// Whether there is a way to a URL.
    pub(super) fn check(&self, url: &str) -> Result<(), String> {
        let target = Target::read(url)?;
        if target.secure && self.tls.is_none() {
            return Err(
                "no certificates of listeners are trusted: set listener_certificates in [wbem], or use http"
                    .to_owned(),
            );
        }
        Ok(())
    }

    async fn send(&self, url: &str, body: String) -> Result<(), String> {
        let target = Target::read(url)?;
        let stream = TcpStream::connect((target.host.as_str(), target.port))
            .await
            .map_err(|error| error.to_string())?;
        if !target.secure {
            return post(stream, &target, body).await;
        }
        let tls = self.tls.as_ref().ok_or("https isn't configured")?;
        let name = ServerName::try_from(target.host.clone()).map_err(|error| error.to_string())?;
        let stream = tls.connect(name, stream).await;
        post(stream.map_err(|error| error.to_string())?, &target, body).await
    }
}

/// A URL in its parts.
struct Target {
    secure: bool,
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Target {
    fn read(url: &str) -> Result<Self, String> {
        let wrong = || format!("{url:?} has to be http://HOST:PORT or https://HOST:PORT");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err(format!(
                "{url:?} has a user in it, and nobody would be told of that one"
            ));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority
            .port_u16()
            .unwrap_or(if secure { 5990 } else { 5989 });
        if host.is_empty() || port == 0 {
            return Err(wrong());
        }
        Ok(Self {
            secure,
            host,
            port,
            authority: authority.to_string(),
            path: uri.path().to_owned(),
        })
    }
}

async fn post<S>(stream: S, target: &Target, body: String) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(text)?;
    let driver = tokio::spawn(connection);
    let request = Request::post(target.path.as_str())
        .header(HOST, &target.authority)
        .header(CONTENT_TYPE, "application/xml; charset=\"utf-8\"")
        .header("CIMExport", "MethodRequest")
        .header("CIMExportMethod", "ExportIndication")
        .header("CIMProtocolVersion", "1.0")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| error.to_string())?;
    let answered = async {
        let answer = sender.send_request(request).await.map_err(text)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        let is_error = body.windows(7).any(|it| it == b"<ERROR ");
        match status.is_success() && !is_error {
            true => Ok(()),
            false => Err(format!("it was refused ({status})")),
        }
    };
    let answered = answered.await;
    driver.abort();
    answered
}

/// Tells of what happens until `stop` turns true.
pub(super) async fn tell(
    house: Arc<House>,
    ways: Ways,
    mut mirrors: broadcast::Receiver<MirrorId>,
    mut stop: watch::Receiver<bool>,
) {
    let mut queues = Queues::new(ways);
    loop {
        let woken = async {
            tokio::select! {
                _ = tokio::time::sleep(LOOK) => {}
                () = house.refusals.notified() => {}
                // Missed ones are seen all the same.
                _ = mirrors.recv() => {}
            }
            tokio::time::sleep(REST).await;
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = woken => {}
        }
        // What was heard meanwhile is seen by this look.
        while matches!(
            mirrors.try_recv(),
            Ok(_) | Err(broadcast::error::TryRecvError::Lagged(_))
        ) {}
        if !house.server.has_subscribers() {
            // Nobody waits for what is still under way.
            queues = Queues::new(queues.ways);
            continue;
        }
        let this = Arc::clone(&house);
        let look = tokio::task::spawn_blocking(move || {
            let at = time_text(unix_ms(SystemTime::now()));
            this.server.observe(this.model.as_ref(), &at)
        });
        match look.await {
            Ok(deliveries) => queues.put(deliveries),
            Err(error) => tracing::error!(%error, "looking for indications failed by a defect"),
        }
    }
}

/// What waits for each destination.
struct Queues {
    ways: Ways,
    all: HashMap<String, Queue>,
    /// Those who carry; they end with this.
    carriers: JoinSet<()>,
}

struct Queue {
    messages: mpsc::Sender<String>,
    /// Whether some had to be dropped, and that was said.
    full: bool,
}

impl Queues {
    fn new(ways: Ways) -> Self {
        Self {
            ways,
            all: HashMap::new(),
            carriers: JoinSet::new(),
        }
    }

    fn put(&mut self, deliveries: Vec<Delivery>) {
        // Those to whom nothing was said for long have nobody who carries.
        self.all.retain(|_, queue| !queue.messages.is_closed());
        while self.carriers.try_join_next().is_some() {}
        for Delivery { destination, body } in deliveries {
            let (ways, carriers) = (&self.ways, &mut self.carriers);
            let queue = self.all.entry(destination.clone()).or_insert_with(|| {
                let (messages, waiting) = mpsc::channel(QUEUE);
                carriers.spawn(carry(ways.clone(), destination.clone(), waiting));
                Queue {
                    messages,
                    full: false,
                }
            });
            let is_put = queue.messages.try_send(body).is_ok();
            if !is_put && !queue.full {
                tracing::warn!(%destination, "indications are dropped: {QUEUE} wait for that listener already");
            }
            queue.full = !is_put;
        }
    }
}

/// Carries messages to one destination, in order, until none comes for long. Where one couldn't be delivered at all, each of
/// the next is tried once, until one is.
async fn carry(ways: Ways, destination: String, mut waiting: mpsc::Receiver<String>) {
    let mut attempts = ATTEMPTS;
    while let Ok(Some(body)) = tokio::time::timeout(IDLE, waiting.recv()).await {
        let mut attempt = 1;
        loop {
            let sent = tokio::time::timeout(PATIENCE, ways.send(&destination, body.clone())).await;
            let reason = match sent {
                Ok(Ok(())) => {
                    attempts = ATTEMPTS;
                    break;
                }
                Ok(Err(reason)) => reason,
                Err(_) => "it doesn't answer in time".to_owned(),
            };
            if attempt >= attempts {
                if attempts == ATTEMPTS {
                    tracing::warn!(%destination, %reason, "indications can't be delivered: they are dropped");
                }
                attempts = 1;
                break;
            }
            tokio::time::sleep(PAUSE * attempt).await;
            attempt += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_urls_of_http_with_a_way_to_them() {
        let ways = Ways::default();
        for url in [
            "http://127.0.0.1:5000",
            "http://host/path",
            "http://[::1]:80/x",
        ] {
            assert_eq!(ways.check(url), Ok(()), "{url}");
        }
        for (url, says) in [
            ("", "http://HOST:PORT"),
            ("host:1", "http://HOST:PORT"),
            ("ftp://host", "http://HOST:PORT"),
            ("http://", "http://HOST:PORT"),
            ("http://host:0", "http://HOST:PORT"),
            ("http://a:b@host", "a user"),
            ("https://host:1", "listener_certificates"),
        ] {
            let error = ways.check(url).unwrap_err();
            assert!(error.contains(says), "{url}: {error}");
        }
    }
}
