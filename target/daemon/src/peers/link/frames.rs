//! Frames over a stream of bytes. Knows no messages but the one that says why a connection ends.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Duration;

use bytes::{Buf, Bytes};
use thiserror::Error;
use tidelock_mirror::link::{
    Compressor, Decoder, Encoder, FieldError, Frame, FrameError, Introduction, Kind, Refusal,
    close_reason,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long a connection that ends may take for it.
pub(super) const LINGER: Duration = Duration::from_secs(1);
/// What is read of it meanwhile.
const LINGER_BYTES: usize = 4 << 20;

/// Why a link ends.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    #[error("the connection broke: {0}")]
    Io(#[source] std::io::Error),
    #[error("the connection ended")]
    Ended,
    #[error("nothing came for {0} s")]
    Silent(u64),
    #[error("the other side breaks the protocol: {0}")]
    Frame(#[from] FrameError),
    #[error("the other side breaks the protocol: {0}")]
    Fields(#[from] FieldError),
    #[error("{0}")]
    Refusal(#[from] Refusal),
    /// The other side ended it.
    #[error("the other side says: {0}")]
    Closed(String),
    /// Our side has a reason.
    #[error("{0}")]
    Ours(String),
    /// Another connection is in its place.
    #[error("another connection takes its place")]
    Replaced,
}

impl From<std::io::Error> for LinkError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            // A daemon that was killed says no goodbye.
            std::io::ErrorKind::UnexpectedEof => Self::Ended,
            _ => Self::Io(error),
        }
    }
}

impl LinkError {
    /// Whether the other side is there to be told.
    pub(super) fn is_to_be_told(&self) -> bool {
        !matches!(
            self,
            Self::Io(_)
                | Self::Ended
                | Self::Closed(_)
                | Self::Refusal(Refusal::Refused(_))
                | Self::Replaced
        )
    }
}

/// Reads frames.
#[derive(Debug)]
pub(super) struct Incoming {
    decoder: Decoder,
    patience: Duration,
}

impl Incoming {
    /// Nothing may be silent for longer than `patience`, or longer than an introduction before [`Self::accept_messages`].
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            decoder: Decoder::of_introduction(),
            patience,
        }
    }

    /// Both ends know each other.
    pub(super) const fn accept_messages(&mut self) {
        self.decoder.accept_messages();
    }

    /// Data may be compressed from now on.
    pub(super) const fn accept_compressed(&mut self) {
        self.decoder.accept_compressed();
    }

    /// The next frame. Nothing is lost if it is dropped half-way.
    pub(super) async fn next(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<Frame, LinkError> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return match close_reason(&frame) {
                    Some(reason) => Err(LinkError::Closed(reason)),
                    None => Ok(frame),
                };
            }
            let reading = timeout(self.patience, stream.read_buf(self.decoder.space()));
            let read = reading
                .await
                .map_err(|_| LinkError::Silent(self.patience.as_secs()))?;
            let read = match read {
                // Whoever is killed says no farewell, which TLS takes for an error.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => 0,
                read => read?,
            };
            if read == 0 {
                return Err(LinkError::Ended);
            }
        }
    }
}

/// Pieces that are written as they are, many at once.
#[derive(Debug, Default)]
struct Pieces {
    all: VecDeque<Bytes>,
    bytes: usize,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.all.push_back(piece);
        }
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.all.front().map_or(&[], |it| it)
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (slot, piece) in into.iter_mut().zip(&self.all) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        self.bytes -= count;
        while let Some(first) = self.all.front_mut().filter(|_| count > 0) {
            if count < first.len() {
                first.advance(count);
                return;
            }
            count -= first.len();
            self.all.pop_front();
        }
    }
}

/// Writes frames.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    encoder: Encoder,
    pieces: Pieces,
    /// There while data are to be compressed.
    compressor: Option<Compressor>,
}

impl Outgoing {
    /// Has a frame written by the next [`Self::flush`].
    pub(super) fn add(&mut self, kind: Kind, body: &[u8], data: Bytes) -> Result<(), LinkError> {
        let head = self.encoder.encode(kind, body, &data)?;
        self.pieces.push(head.into());
        self.pieces.push(data);
        Ok(())
    }

    /// The same; data go in fewer bytes if they can. How many they were sent in.
    pub(super) fn add_compressed(
        &mut self,
        kind: Kind,
        body: &[u8],
        data: Bytes,
    ) -> Result<usize, LinkError> {
        if self.compressor.is_none() {
            self.compressor = Compressor::new();
        }
        let compressor = self.compressor.as_mut();
        match compressor.and_then(|it| it.compress(&data)) {
            Some(compressed) => {
                let bytes = compressed.len();
                let head = self.encoder.encode_compressed(kind, body, &compressed)?;
                self.pieces.push(head.into());
                self.pieces.push(compressed);
                Ok(bytes)
            }
            None => {
                let bytes = data.len();
                self.add(kind, body, data)?;
                Ok(bytes)
            }
        }
    }

    /// Nothing is to be compressed any more; the memory for it is given back.
    pub(super) fn stop_compressing(&mut self) {
        self.compressor = None;
    }

    /// Writes all of it.
    pub(super) async fn flush(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), LinkError> {
        stream.write_all_buf(&mut self.pieces).await?;
        stream.flush().await?;
        Ok(())
    }

    /// Ends a connection, and says why if the other side doesn't know. Whatever is half-way is left there.
    pub(super) async fn close(
        mut self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        why: &LinkError,
    ) {
        let closing = async {
            if why.is_to_be_told() && self.pieces.bytes == 0 {
                let (kind, body) = Introduction::close(&why.to_string());
                self.add(kind, &body, Bytes::new())?;
                self.flush(stream).await?;
            }
            stream.shutdown().await?;
            // A socket that is closed with something unread in it takes back what was sent.
            let mut left = vec![0; 4 << 10];
            let mut total = 0;
            while total < LINGER_BYTES {
                match stream.read(&mut left).await? {
                    0 => break,
                    read => total += read,
                }
            }
            Ok::<_, LinkError>(())
        };
        // It is only for the other side's sake.
        let _ = timeout(LINGER, closing).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_arrive_as_they_were_sent_however_they_are_cut() {
        let (mut one, mut other) = tokio::io::duplex(7);
        let sending = tokio::spawn(async move {
            let mut outgoing = Outgoing::default();
            for number in 0..50_u8 {
                let data = Bytes::from(vec![number; usize::from(number)]);
                outgoing.add(Kind(0x40), &[number; 3], data).unwrap();
            }
            outgoing.flush(&mut one).await.unwrap();
            let why = LinkError::Ours("enough".into());
            outgoing.close(&mut one, &why).await;
        });
        let mut incoming = Incoming::new(Duration::from_secs(10));
        incoming.accept_messages();
        for number in 0..50_u8 {
            let frame = incoming.next(&mut other).await.unwrap();
            assert_eq!(frame.body, [number; 3][..]);
            assert_eq!(frame.data, vec![number; usize::from(number)]);
        }
        let end = incoming.next(&mut other).await.unwrap_err();
        assert_eq!(end.to_string(), "the other side says: enough");
        drop(other);
        sending.await.unwrap();
    }

    #[tokio::test]
    async fn silence_ends_it_and_so_does_anything_else() {
        let (mut one, mut other) = tokio::io::duplex(1000);
        let mut incoming = Incoming::new(Duration::from_millis(20));
        let silent = incoming.next(&mut other).await.unwrap_err();
        assert!(matches!(silent, LinkError::Silent(_)), "{silent}");
        one.write_all(b"HTTP").await.unwrap();
        let other_bytes = incoming.next(&mut other).await.unwrap_err();
        assert!(matches!(other_bytes, LinkError::Frame(_)), "{other_bytes}");
        drop(one);
        let mut incoming = Incoming::new(Duration::from_secs(10));
        let ended = incoming.next(&mut tokio::io::empty()).await.unwrap_err();
        assert!(matches!(ended, LinkError::Ended), "{ended}");
    }
}
