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
    let mut bytes = vec![0; got];
    stream.read_exact(&mut bytes).await?;
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
