//! The introduction on a new connection: which mirror it is about, and whether both ends are the right ones.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidelock_catalog::PeerName;
use tidelock_mirror::id::{MirrorId, NodeId};
use tidelock_mirror::link::{
    COMPRESSION_SINCE, Frame, Introduced, Introduction, Ours, Step, introduces,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::Met;
use super::frames::{Incoming, LinkError, Outgoing};
use crate::peers::ends::{Ends, LinkEnd};

/// The versions of what follows the introduction that this daemon speaks.
const VERSIONS: (u32, u32) = (1, 2);

/// What is known of the other side before it says anything.
pub(in crate::peers) struct Whom<'a> {
    /// The peer, as TLS has proved.
    pub(in crate::peers) peer: &'a PeerName,
    /// What this daemon calls itself.
    pub(in crate::peers) me: &'a str,
    /// How long an introduction may take, and how long the peer may be silent later.
    pub(in crate::peers) patience: Duration,
}

/// Introduces this side on a connection that it made.
pub(in crate::peers) async fn call<S>(
    whom: &Whom<'_>,
    stream: S,
    mirror: MirrorId,
    end: Arc<dyn LinkEnd>,
) -> Result<Met<S>, LinkError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut talk = Talk::new(stream, whom.patience);
    let expected = end.expects(whom.peer);
    let met = async {
        let expected = expected.ok_or_else(|| no_part(whom, mirror))?;
        talk.introduce(&*end, expected, None).await
    };
    let met = within(whom.patience, met).await;
    talk.over(whom, met, end, expected).await
}

/// Answers on a connection that a peer made.
pub(in crate::peers) async fn accept<S>(
    whom: &Whom<'_>,
    stream: S,
    ends: Option<&Arc<dyn Ends>>,
) -> Result<(MirrorId, Met<S>), LinkError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut talk = Talk::new(stream, whom.patience);
    let first = within(whom.patience, talk.incoming.next(&mut talk.stream)).await;
    let called = first.and_then(|frame| {
        let mirror = introduces(&frame).ok_or_else(|| {
            LinkError::Ours("a link begins with an introduction, and this isn't one".into())
        })?;
        let end = ends.and_then(|ends| ends.end(mirror));
        let end = end.ok_or_else(|| {
            LinkError::Ours(match ends.is_some_and(|ends| ends.lacks(mirror)) {
                true => format!("there is no mirror {mirror} here (any more)"),
                false => format!("mirror {mirror} isn't open here (yet)"),
            })
        })?;
        Ok((frame, mirror, end))
    });
    let (frame, mirror, end) = match called {
        Ok(called) => called,
        Err(error) => return Err(talk.refuse(whom, error).await),
    };
    let expected = end.expects(whom.peer);
    let met = async {
        let expected = expected.ok_or_else(|| no_part(whom, mirror))?;
        talk.introduce(&*end, expected, Some(frame)).await
    };
    let met = within(whom.patience, met).await;
    let met = talk.over(whom, met, end, expected).await?;
    Ok((mirror, met))
}

fn no_part(whom: &Whom<'_>, mirror: MirrorId) -> LinkError {
    let peer = whom.peer;
    LinkError::Ours(format!(
        "mirror {mirror} isn't one with the daemon that is called {peer} here"
    ))
}

async fn within<T>(
    patience: Duration,
    what: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    let late = |_| LinkError::Ours("the introduction takes too long".into());
    timeout(patience, what).await.map_err(late)?
}

struct Talk<S> {
    stream: S,
    incoming: Incoming,
    outgoing: Outgoing,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    fn new(stream: S, patience: Duration) -> Self {
        Self {
            stream,
            incoming: Incoming::new(patience),
            outgoing: Outgoing::default(),
        }
    }

    async fn introduce(
        &mut self,
        end: &dyn LinkEnd,
        expected: NodeId,
        mut first: Option<Frame>,
    ) -> Result<Introduced, LinkError> {
        let hello = end.hello();
        let ours = Ours {
            versions: VERSIONS,
            node: hello.node,
            mirror: hello.mirror,
            size: hello.size,
            block_bytes: hello.block_bytes,
            region_bytes: hello.region_bytes,
            nonce: nonce()?,
            is_source: hello.is_source,
            chain: hello.chain,
        };
        let (mut introduction, mut kind, mut body) = Introduction::new(ours, Some(expected));
        loop {
            self.outgoing.add(kind, &body, Bytes::new())?;
            self.outgoing.flush(&mut self.stream).await?;
            let frame = match first.take() {
                Some(frame) => frame,
                None => self.incoming.next(&mut self.stream).await?,
            };
            match introduction.receive(&frame)? {
                Step::Send(next, fields) => (kind, body) = (next, fields),
                Step::Done(introduced) => return Ok(introduced),
            }
        }
    }

    /// What has come of it; the end is told if it is a refusal.
    async fn over(
        mut self,
        whom: &Whom<'_>,
        met: Result<Introduced, LinkError>,
        end: Arc<dyn LinkEnd>,
        expected: Option<NodeId>,
    ) -> Result<Met<S>, LinkError> {
        match met {
            Ok(Introduced {
                peer,
                is_source,
                version,
            }) => {
                self.incoming.accept_messages();
                let compresses = version >= COMPRESSION_SINCE;
                if compresses {
                    self.incoming.accept_compressed();
                }
                Ok(Met {
                    stream: self.stream,
                    incoming: self.incoming,
                    outgoing: self.outgoing,
                    end,
                    peer,
                    is_source,
                    compresses,
                })
            }
            Err(error) => {
                let told = !matches!(
                    error,
                    LinkError::Io(_) | LinkError::Ended | LinkError::Silent(_)
                );
                if let Some(expected) = expected.filter(|_| told) {
                    end.refused(expected, &format!("peer {}: {error}", whom.peer));
                }
                Err(self.refuse(whom, error).await)
            }
        }
    }

    /// Hangs up, with a reason that says who refuses.
    async fn refuse(mut self, whom: &Whom<'_>, error: LinkError) -> LinkError {
        let why = if error.is_to_be_told() {
            LinkError::Ours(format!("{} refuses: {error}", whom.me))
        } else {
            LinkError::Ended
        };
        self.outgoing.close(&mut self.stream, &why).await;
        error
    }
}

fn nonce() -> Result<u128, LinkError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_| LinkError::Ours("no random bytes can be had for a nonce".into()))?;
    Ok(u128::from_le_bytes(bytes))
}
