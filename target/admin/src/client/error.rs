//! Why a request has no answer.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::v1::ErrorDetail;

/// Why a request has no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens on the socket, or it may not be opened.
    #[error("cannot reach the daemon on {socket}: {source}{}", advice(source))]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The daemon said no.
    #[error("{}", .0.message)]
    Refused(ErrorDetail),
    /// The connection broke before the answer was complete, so it isn't known what was done.
    #[error(
        "the daemon on {socket} hung up before it answered ({source}): look at its log, and at what \
         is there, before trying again"
    )]
    Interrupted {
        /// The socket.
        socket: PathBuf,
        /// What broke.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer isn't one of this API.
    #[error(
        "{socket} gave an answer that this program doesn't understand ({reason}): are it and the \
         daemon of the same release?"
    )]
    Protocol {
        /// The socket.
        socket: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl ClientError {
    pub(super) fn protocol(socket: &Path, reason: impl ToString) -> Self {
        Self::Protocol {
            socket: socket.into(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn interrupted(
        socket: &Path,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Interrupted {
            socket: socket.into(),
            source: source.into(),
        }
    }
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => " (is tidelockd running, with this admin socket?)",
        std::io::ErrorKind::ConnectionRefused => {
            " (no daemon listens there any more: start tidelockd)"
        }
        std::io::ErrorKind::PermissionDenied => {
            " (only root and the user that tidelockd runs as may open it)"
        }
        _ => "",
    }
}
