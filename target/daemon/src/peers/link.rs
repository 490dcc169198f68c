//! The links of mirrors: an introduction, then messages between the two ends until either of them, the connection or a
//! newer connection ends it. Knows no mirror.
//!
//! A link belongs to a mirror and to the peer's end of it. There is one at a time: a further connection that is
//! introduced as it should be takes the place of the one before, which may be half of a dead one. The end hears
//! [`LinkEnd::disconnected`] of that before it hears [`LinkEnd::connected`] of the new one.

mod dialling;
mod frames;
mod introduce;
mod queue;
mod seats;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use tidelock_mirror::id::NodeId;
use tidelock_mirror::link::{ALIVE, Message, decode, encode};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::ends::LinkEnd;
pub(super) use dialling::{answer, keep};
use frames::{Incoming, LinkError, Outgoing};
use queue::{Fate, Queue};
pub(super) use seats::Seats;
pub use wire::Compressed;
use wire::Wire;

/// Bytes that are encrypted and written at once; what comes meanwhile is in the next batch.
const BATCH_BYTES: usize = 1 << 20;
/// So many times in the time that a peer may be silent something is sent.
const BEATS: u32 = 3;

/// An end's side of a link. Clones are the same link.
#[derive(Clone, Debug)]
pub struct LinkHandle(Arc<Queue>);

impl LinkHandle {
    /// Sends a message, after those before it. Never waits; the protocol's window bounds how much is under way, and a
    /// peer that takes nothing loses the link. Nothing happens after the link's end.
    pub fn send(&self, message: Message) {
        self.0.push(message);
    }

    /// Compresses the data of what is sent from now on, if the peer understands that, or no longer does.
    pub fn compress(&self, wanted: bool) {
        self.0.wire.want(wanted);
    }

    /// What was sent while data were to be compressed; `None`: the peer's daemon doesn't understand compressed data.
    #[must_use]
    pub fn compressed(&self) -> Option<Compressed> {
        self.0.wire.compressed()
    }

    /// Ends the link when what was sent before is written. [`LinkEnd::disconnected`] follows.
    pub fn disconnect(&self) {
        self.0.end(Fate::Disconnected);
    }
}

/// A connection on which both ends have introduced themselves.
pub(super) struct Met<S> {
    stream: S,
    incoming: Incoming,
    outgoing: Outgoing,
    end: Arc<dyn LinkEnd>,
    peer: NodeId,
    is_source: bool,
    /// Both understand compressed data.
    compresses: bool,
}

/// Tells the end that it is over, whatever ends it.
struct Connected {
    end: Arc<dyn LinkEnd>,
    peer: NodeId,
    queue: Arc<Queue>,
    why: String,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.queue.end(Fate::Disconnected);
        self.end.disconnected(self.peer, &self.why);
    }
}

/// A link that has ended. The end knows that already; the other side has yet to be told.
struct Over<S> {
    stream: S,
    outgoing: Outgoing,
    why: LinkError,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Over<S> {
    async fn close(mut self) {
        // Who is replaced is there no more.
        if !matches!(self.why, LinkError::Replaced) {
            self.outgoing.close(&mut self.stream, &self.why).await;
        }
    }
}

/// Passes messages until the link ends.
async fn run<S>(met: Met<S>, queue: &Arc<Queue>, patience: Duration) -> Over<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Met {
        stream,
        mut incoming,
        mut outgoing,
        end,
        peer,
        is_source,
        compresses,
    } = met;
    queue.wire.allow(compresses);
    let mut connected = Connected {
        end: Arc::clone(&end),
        peer,
        queue: Arc::clone(queue),
        why: "the daemon ends it".into(),
    };
    end.connected(peer, is_source, LinkHandle(Arc::clone(queue)));
    let (mut from, mut to) = tokio::io::split(stream);
    let why = tokio::select! {
        why = receive(&mut incoming, &mut from, &*end, peer) => why,
        why = send(&mut outgoing, &mut to, queue, patience / BEATS) => why,
        why = ends(queue) => why,
    };
    connected.why = why.to_string();
    drop(connected);
    Over {
        stream: from.unsplit(to),
        outgoing,
        why,
    }
}

/// The link is to end, even if what is being written never gets away.
async fn ends(queue: &Queue) -> LinkError {
    let fate = queue.ended().await;
    if fate == Fate::Disconnected {
        tokio::time::sleep(frames::LINGER).await;
    }
    because(fate)
}

fn because(fate: Fate) -> LinkError {
    match fate {
        Fate::Open | Fate::Disconnected => LinkError::Ours("the end hung up".into()),
        Fate::Replaced => LinkError::Replaced,
        Fate::Full => LinkError::Ours("the other side doesn't take what is sent".into()),
    }
}

/// How much is handed to the end before others on the thread have their turn, and a message's part of it beside its body and data.
const TURN_BYTES: u64 = 256 << 10;
const TURN_MESSAGE_BYTES: u64 = 16 << 10;

/// Reads only as fast as the end takes what comes.
async fn receive<S: AsyncRead>(
    incoming: &mut Incoming,
    from: &mut ReadHalf<S>,
    end: &dyn LinkEnd,
    peer: NodeId,
) -> LinkError {
    let mut turn = 0;
    loop {
        let frame = match incoming.next(from).await {
            Ok(frame) => frame,
            Err(error) => return error,
        };
        // A sign of life counts as well: a peer may send nothing else.
        turn += TURN_MESSAGE_BYTES + (frame.body.len() + frame.data.len()) as u64;
        if frame.kind != ALIVE {
            match decode(frame) {
                Ok(message) => end.received(peer, message),
                Err(error) => return error.into(),
            }
        }
        // Others on this thread have their turn, however much comes. It isn't given up for each message, which costs a system call.
        if turn >= TURN_BYTES {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
}

async fn send<S: AsyncWrite>(
    outgoing: &mut Outgoing,
    to: &mut WriteHalf<S>,
    queue: &Queue,
    beat: Duration,
) -> LinkError {
    loop {
        let batch = match queue.take(BATCH_BYTES) {
            Ok(batch) => batch,
            Err(Fate::Open) => match timeout(beat, queue.changed()).await {
                Ok(()) => continue,
                Err(_) => Vec::new(),
            },
            Err(fate) => return because(fate),
        };
        if let Err(error) = write(outgoing, to, &batch, &queue.wire).await {
            return error;
        }
    }
}

/// A batch, with one flush; an empty one is a sign of life.
async fn write<S: AsyncWrite>(
    outgoing: &mut Outgoing,
    to: &mut WriteHalf<S>,
    batch: &[Message],
    wire: &Wire,
) -> Result<(), LinkError> {
    for message in batch {
        let (kind, body, data) = encode(message);
        if data.is_empty() || !wire.compresses() {
            outgoing.add(kind, &body, data)?;
            continue;
        }
        let bytes = data.len();
        wire.count(bytes, outgoing.add_compressed(kind, &body, data)?);
        // Others on this thread have their turn.
        tokio::task::yield_now().await;
    }
    if !wire.compresses() {
        outgoing.stop_compressing();
    }
    if batch.is_empty() {
        outgoing.add(ALIVE, &[], bytes::Bytes::new())?;
    }
    outgoing.flush(to).await
}

#[cfg(test)]
mod tests;
