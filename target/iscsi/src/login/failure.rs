//! Why a login failed, in words for a log and as the status for the initiator.

use super::{LoginStatus, Redirect};
use crate::text::TextError;

/// What ended a login. [`LoginFailure::status`] is what the initiator was told; the rest is for the
/// operator, and never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginFailure {
    // The initiator broke the protocol.
    /// Text that can't be parsed, or too much of it.
    #[error(transparent)]
    Text(#[from] TextError),
    /// CSG or NSG is reserved, or leads nowhere from here (RFC 7143 §11.12.3).
    #[error("a Login Request asks for an impossible stage: CSG {csg}, NSG {nsg}, T {transit}")]
    Stage {
        /// CSG of the request.
        csg: u8,
        /// NSG of the request.
        nsg: u8,
        /// T of the request.
        transit: bool,
    },
    /// T and C at once (RFC 7143 §11.12.2).
    #[error("a Login Request has both T and C set")]
    TransitWhileContinued,
    /// A header field that has to stay the same over the login phase didn't.
    #[error("{field} differs from the first Login Request's")]
    FieldChanged {
        /// Name of the field.
        field: &'static str,
    },
    /// Additional header segments on a Login Request (RFC 7143 §11.12).
    #[error("a Login Request has additional header segments")]
    AdditionalHeader,
    /// More Login Requests than any login needs.
    #[error("the login took more than {limit} requests")]
    TooManyRequests {
        /// The limit.
        limit: u16,
    },
    /// Text where only an empty request was allowed: our answer was not all sent yet (RFC 7143 §6.2).
    #[error("a Login Request has text although the last response has more to come")]
    TextOutOfTurn,
    /// A key came twice (RFC 7143 §6.3).
    #[error("{key} was declared or negotiated twice")]
    Repeated {
        /// Name of the key.
        key: &'static str,
    },
    /// A name came again with another value.
    #[error("{key} changed during the login")]
    NameChanged {
        /// Name of the key.
        key: &'static str,
    },
    /// A declared value is out of its range (RFC 7143 §7.12).
    #[error("{key} has the unacceptable value {value:?}")]
    UnacceptableValue {
        /// Name of the key.
        key: &'static str,
        /// The value, cut to a length that is fit for a log.
        value: String,
    },
    /// None of the choices offered is acceptable (RFC 7143 §7.12).
    #[error("none of the values offered for {key} is acceptable: {offer:?}")]
    NoCommonValue {
        /// Name of the key.
        key: &'static str,
        /// The offer, cut to a length that is fit for a log.
        offer: String,
    },
    /// InitiatorName, or TargetName of a normal session, is not in the first request (RFC 7143 §6.3.1).
    #[error("{key} is missing in the first Login Request")]
    Missing {
        /// Name of the key.
        key: &'static str,
    },
    /// Neither Normal nor Discovery.
    #[error("the session type {0:?} is unknown")]
    UnknownSessionType(String),
    /// Version-min is above 0x00.
    #[error(
        "the initiator's lowest protocol version is {version_min:#04x}, this target speaks 0x00"
    )]
    Version {
        /// Version-min of the request.
        version_min: u8,
    },
    /// Another PDU than a Login Request.
    #[error("a PDU with opcode {opcode:#04x} came during login")]
    InvalidDuringLogin {
        /// Opcode of the PDU, without the I bit.
        opcode: u8,
    },

    // The initiator could not be authenticated.
    /// It went on without authenticating, and may not.
    #[error("the target requires CHAP and the initiator went on without it")]
    AuthenticationRequired,
    /// None of its methods is acceptable.
    #[error("no acceptable authentication method in {offer:?}: {wanted}")]
    NoAuthMethod {
        /// The initiator's list, cut to a length that is fit for a log.
        offer: String,
        /// What would do.
        wanted: &'static str,
    },
    /// None of its CHAP algorithms is one of ours.
    #[error("no acceptable CHAP algorithm in {offer:?}: this target has 5, 6, 7 and 8")]
    NoChapAlgorithm {
        /// The initiator's list, cut to a length that is fit for a log.
        offer: String,
    },
    /// A CHAP key is missing, malformed, or comes at the wrong time.
    #[error("the CHAP exchange went wrong: {0}")]
    ChapProtocol(&'static str),
    /// The name or the response is wrong.
    #[error("wrong CHAP name or response")]
    ChapWrong,
    /// The initiator sent our own challenge back (RFC 7143 §9.2.1).
    #[error("the initiator sent this target's own CHAP challenge back")]
    ChapReflected,
    /// Both directions use the same secret (RFC 7143 §9.2.1).
    #[error("the CHAP secrets of both directions are the same; give the target another one")]
    ChapSameSecret,
    /// The initiator wants the target to authenticate itself and no secret is set for that.
    #[error("the initiator asks for mutual CHAP and no mutual secret is configured")]
    ChapNotMutual,

    // The shell said no, or was called out of turn.
    /// The target is elsewhere; the response says where.
    #[error("sent on to {}", to.address)]
    Redirected {
        /// Where to.
        to: Redirect,
    },
    /// The shell refused.
    #[error("refused: {0}")]
    Refused(LoginStatus),
    /// The shell called an answer that nothing asked for.
    #[error("internal error: the login was answered out of turn")]
    Misuse,
}

impl LoginFailure {
    /// What the initiator is told.
    #[must_use]
    pub fn status(&self) -> LoginStatus {
        match self {
            Self::Text(_)
            | Self::Stage { .. }
            | Self::TransitWhileContinued
            | Self::FieldChanged { .. }
            | Self::AdditionalHeader
            | Self::TooManyRequests { .. }
            | Self::TextOutOfTurn
            | Self::Repeated { .. }
            | Self::NameChanged { .. }
            | Self::UnacceptableValue { .. }
            | Self::NoCommonValue { .. } => LoginStatus::INITIATOR_ERROR,
            Self::Missing { .. } => LoginStatus::MISSING_PARAMETER,
            Self::UnknownSessionType(_) => LoginStatus::SESSION_TYPE_NOT_SUPPORTED,
            Self::Version { .. } => LoginStatus::UNSUPPORTED_VERSION,
            Self::InvalidDuringLogin { .. } => LoginStatus::INVALID_DURING_LOGIN,
            Self::AuthenticationRequired
            | Self::NoAuthMethod { .. }
            | Self::NoChapAlgorithm { .. }
            | Self::ChapProtocol(_)
            | Self::ChapWrong
            | Self::ChapReflected
            | Self::ChapSameSecret
            | Self::ChapNotMutual => LoginStatus::AUTHENTICATION_FAILURE,
            Self::Redirected { to } if to.permanent => LoginStatus::TARGET_MOVED_PERMANENTLY,
            Self::Redirected { .. } => LoginStatus::TARGET_MOVED_TEMPORARILY,
            Self::Refused(status) => *status,
            Self::Misuse => LoginStatus::TARGET_ERROR,
        }
    }
}

/// A peer's value as it may stand in a log: its first 64 characters.
pub(crate) fn excerpt(value: &str) -> String {
    value.chars().take(64).collect()
}
