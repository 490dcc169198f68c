//! Requests and answers on a connection: a length of 4 bytes, little-endian, and so many bytes of JSON. The length is
//! checked before anything is kept for it. Knows nothing of what is said.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The longest request or answer between peers, in bytes: room for as many registrations as a unit can have.
pub(super) const PEER_MAX: usize = 1 << 20;
/// The longest one with a stranger, in bytes.
pub(super) const STRANGER_MAX: usize = 4 << 10;

/// Why a conversation broke off.
#[derive(Debug, Error)]
pub(super) enum ConversationError {
    /// The connection.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// More than there may be.
    #[error("a message has {got} bytes, and at most {max} are possible")]
    TooLong { got: usize, max: usize },
    /// Not what is expected.
    #[error("a message isn't understood: {0}")]
    NotUnderstood(serde_json::Error),
}

/// Sends something, with its length.
pub(super) async fn send<T: Serialize + Sync>(
    stream: &mut (impl AsyncWrite + Unpin),
    value: &T,
    max: usize,
) -> Result<(), ConversationError> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, value).map_err(ConversationError::NotUnderstood)?;
    let got = bytes.len() - 4;
    let length = u32::try_from(got).ok().filter(|_| got <= max);
    let length = length.ok_or(ConversationError::TooLong { got, max })?;
    if let Some(head) = bytes.first_chunk_mut() {
        *head = length.to_le_bytes();
    }
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    Ok(())
}

/// Receives bytes with their length; `None` if the connection ended before.
pub(super) async fn receive_bytes(
    stream: &mut (impl AsyncRead + Unpin),
    max: usize,
) -> Result<Option<Vec<u8>>, ConversationError> {
    let mut head = [0; 4];
    let mut got = 0;
    while let Some(room) = head.get_mut(got..).filter(|room| !room.is_empty()) {
        match stream.read(room).await? {
            0 if got == 0 => return Ok(None),
            0 => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
            read => got += read,
        }
    }
    let got = usize::try_from(u32::from_le_bytes(head)).unwrap_or(usize::MAX);
    if got > max {
        return Err(ConversationError::TooLong { got, max });
    }
    // There is room for what has come, not for what is said to come.
    let mut bytes = Vec::new();
    let mut rest = stream.take(u64::try_from(got).unwrap_or(u64::MAX));
    if rest.read_to_end(&mut bytes).await? < got {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    Ok(Some(bytes))
}

/// Receives something; the connection must not end before.
pub(super) async fn receive<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    max: usize,
) -> Result<T, ConversationError> {
    let bytes = receive_bytes(stream, max).await?;
    let bytes = bytes.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))?;
    serde_json::from_slice(&bytes).map_err(ConversationError::NotUnderstood)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task;

    use futures_util::FutureExt as _;
    use tokio::io::ReadBuf;

    use super::*;

    #[tokio::test]
    async fn what_is_sent_is_received() {
        let (mut one, mut other) = tokio::io::duplex(64);
        let sending = tokio::spawn(async move { send(&mut one, &vec!["x"; 100], 1000).await });
        let got: Vec<String> = receive(&mut other, 1000).await.unwrap();
        assert_eq!(got, vec!["x"; 100]);
        sending.await.unwrap().unwrap();
        assert!(receive_bytes(&mut other, 1000).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_length_over_the_limit_is_refused_before_anything_comes() {
        let (mut one, mut other) = tokio::io::duplex(64);
        one.write_all(&u32::MAX.to_le_bytes()).await.unwrap();
        let error = receive_bytes(&mut other, 1000).await.unwrap_err();
        assert!(
            matches!(error, ConversationError::TooLong { .. }),
            "{error}"
        );
        let error = send(&mut one, &"x".repeat(1000), 1000).await.unwrap_err();
        assert!(
            matches!(error, ConversationError::TooLong { .. }),
            "{error}"
        );
    }

    /// Says that a message of the most bytes comes, and sends the first of them.
    struct Promises {
        sends: &'static [u8],
        /// The most that there was room for.
        room: usize,
    }

    impl AsyncRead for Promises {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut task::Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> task::Poll<std::io::Result<()>> {
            self.room = self.room.max(buf.remaining());
            let (now, later) = self.sends.split_at(self.sends.len().min(buf.remaining()));
            buf.put_slice(now);
            self.sends = later;
            match now {
                [] => task::Poll::Pending,
                _ => task::Poll::Ready(Ok(())),
            }
        }
    }

    #[tokio::test]
    async fn there_is_no_room_for_what_has_not_come() {
        let mut promises = Promises {
            sends: b"\0\0\x10\0and so on",
            room: 0,
        };
        let receiving = receive_bytes(&mut promises, PEER_MAX).now_or_never();
        assert!(receiving.is_none() && promises.sends.is_empty());
        assert!(promises.room < 4096, "{} bytes", promises.room);
    }

    #[tokio::test]
    async fn what_breaks_off_or_is_no_json_is_an_error() {
        for bytes in [&b"\x05\0"[..], b"\x05\0\0\0{}", b"\x02\0\0\0{{"] {
            let (mut one, mut other) = tokio::io::duplex(64);
            one.write_all(bytes).await.unwrap();
            drop(one);
            assert!(
                receive::<Vec<u8>>(&mut other, 9).await.is_err(),
                "{bytes:?}"
            );
        }
    }
}
