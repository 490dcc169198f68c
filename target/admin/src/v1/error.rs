//! What a refused request is answered with.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of every answer whose status is 400 or above.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: ErrorDetail,
}

/// What is wrong and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// For programs.
    pub code: ErrorCode,
    /// For people: what is wrong.
    pub message: String,
    /// For people: what to do. May be empty.
    #[serde(default)]
    pub hint: String,
}

/// The sort of error. Each has one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// 400: the request can't be understood or has values that can't be right.
    Invalid,
    /// 403: the caller may not administer this daemon.
    Forbidden,
    /// 404: what the request is about isn't there.
    NotFound,
    /// 405: the path is right, the method isn't.
    MethodNotAllowed,
    /// 408: the request took too long to arrive.
    Timeout,
    /// 409: something that is there stands against it.
    Conflict,
    /// 413: the body is longer than the server reads.
    TooLarge,
    /// 415: the body isn't said to be JSON.
    UnsupportedMediaType,
    /// 422: there are as many as there may be.
    Limit,
    /// 500: storage or the daemon itself failed; nothing was changed unless the message says so.
    Internal,
    /// 503: not now; the same request may work later.
    Unavailable,
    /// 507: no space left for it.
    NoSpace,
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// The HTTP status that goes with it.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Timeout => 408,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Limit => 422,
            Self::Internal | Self::Unknown => 500,
            Self::Unavailable => 503,
            Self::NoSpace => 507,
        }
    }
}

impl ErrorDetail {
    /// An error with what to do about it (empty if there is nothing to say).
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
        }
    }
}
