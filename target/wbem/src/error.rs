//! What goes wrong, in the terms of DSP0200 (7.9 and clause 5.4.1): a status code with a description.

use thiserror::Error;

macro_rules! codes {
    ($( $(#[$meta:meta])* $variant:ident = $value:literal $name:literal, )+) => {
        /// A CIM status code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum StatusCode {
            $( #[doc = concat!($name, ".")] $(#[$meta])* $variant = $value, )+
        }

        impl StatusCode {
            /// Its number.
            #[must_use]
            pub const fn value(self) -> u16 {
                self as u16
            }

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )+
                }
            }
        }
    };
}

codes! {
    Failed = 1 "CIM_ERR_FAILED",
    InvalidNamespace = 3 "CIM_ERR_INVALID_NAMESPACE",
    InvalidParameter = 4 "CIM_ERR_INVALID_PARAMETER",
    InvalidClass = 5 "CIM_ERR_INVALID_CLASS",
    NotFound = 6 "CIM_ERR_NOT_FOUND",
    NotSupported = 7 "CIM_ERR_NOT_SUPPORTED",
    AlreadyExists = 11 "CIM_ERR_ALREADY_EXISTS",
    NoSuchProperty = 12 "CIM_ERR_NO_SUCH_PROPERTY",
    QueryLanguageNotSupported = 14 "CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED",
    InvalidQuery = 15 "CIM_ERR_INVALID_QUERY",
    MethodNotFound = 17 "CIM_ERR_METHOD_NOT_FOUND",
    InvalidResponseDestination = 19 "CIM_ERR_INVALID_RESPONSE_DESTINATION",
    InvalidEnumerationContext = 21 "CIM_ERR_INVALID_ENUMERATION_CONTEXT",
    InvalidOperationTimeout = 22 "CIM_ERR_INVALID_OPERATION_TIMEOUT",
    ContinuationOnErrorNotSupported = 26 "CIM_ERR_CONTINUATION_ON_ERROR_NOT_SUPPORTED",
    ServerLimitsExceeded = 27 "CIM_ERR_SERVER_LIMITS_EXCEEDED",
}

/// Why an operation isn't done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}: {description}", code.name())]
pub struct CimError {
    /// Its code.
    pub code: StatusCode,
    /// What is wrong, and what to do about it.
    pub description: String,
}

impl CimError {
    /// With a description.
    pub fn new(code: StatusCode, description: impl Into<String>) -> Self {
        Self {
            code,
            description: description.into(),
        }
    }

    /// CIM_ERR_INVALID_PARAMETER.
    pub(crate) fn parameter(description: impl Into<String>) -> Self {
        Self::new(StatusCode::InvalidParameter, description)
    }
}

/// What an operation leads to.
pub(crate) type Result<T> = std::result::Result<T, CimError>;
