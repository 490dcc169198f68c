//! From what went wrong to the answer that says so: status, code, message, hint.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tidelock_admin::v1::{ErrorBody, ErrorCode, ErrorDetail};
use tidelock_capabilities::values::ReturnCode;
use tidelock_catalog::{CatalogError, ErrorKind};

use crate::admin_server::control::{ControlError, FileFault};
use crate::peers::{DialError, PeerError};

/// An answer that says what is wrong.
#[derive(Debug)]
pub(super) struct Failure(pub(super) ErrorDetail);

impl Failure {
    pub(super) fn new(
        code: ErrorCode,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self(ErrorDetail::new(code, message, hint))
    }

    /// A value in the request that can't be right.
    pub(super) fn invalid(message: impl ToString) -> Self {
        Self::new(ErrorCode::Invalid, message.to_string(), "")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(ErrorBody { error: self.0 })).into_response()
    }
}

impl From<CatalogError> for Failure {
    fn from(error: CatalogError) -> Self {
        let code = match error.kind() {
            ErrorKind::Invalid => ErrorCode::Invalid,
            ErrorKind::NotFound => ErrorCode::NotFound,
            ErrorKind::Conflict => ErrorCode::Conflict,
            ErrorKind::Limit => ErrorCode::Limit,
        };
        Self::new(code, error.to_string(), error.hint())
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        let (code, hint) = match &error {
            ControlError::Catalog(error) => return error.clone().into(),
            ControlError::TargetHasSessions { .. } => (
                ErrorCode::Conflict,
                "log the initiators out first, or say --force (force=true) to end the sessions",
            ),
            ControlError::VolumeInUse { .. } => (
                ErrorCode::Conflict,
                "log the initiators out first, or say --force (force=true): hosts that have the volume \
                 mounted must forget what they have cached",
            ),
            ControlError::LeftTheGroup { .. } => (
                ErrorCode::Conflict,
                "restore the others one by one with `tidelock snapshot restore`, or say --force (force=true) to \
                 restore all that were members then",
            ),
            ControlError::Refused(refused) => (
                match refused.return_code {
                    ReturnCode::InUse => ErrorCode::Conflict,
                    ReturnCode::NotSupported | ReturnCode::InvalidParameter => ErrorCode::Invalid,
                    ReturnCode::Unknown | ReturnCode::Timeout => ErrorCode::Unavailable,
                    _ => ErrorCode::Internal,
                },
                "`tidelock capabilities show ELEMENT --explain` says what is possible",
            ),
            ControlError::Receive(error) => {
                let code = match error {
                    error if error.is_missing() => ErrorCode::NotFound,
                    error if error.is_invalid() => ErrorCode::Invalid,
                    _ => ErrorCode::Conflict,
                };
                (code, error.hint())
            }
            ControlError::Mirror { .. } => (
                ErrorCode::Internal,
                "`tidelock mirror show` says what can be done",
            ),
            ControlError::Snapshots { .. } => (
                ErrorCode::Internal,
                "bring the file back from a backup, or delete all volumes of the family, the last one \
                 --with-snapshots",
            ),
            ControlError::NoIdentity { .. } => {
                (ErrorCode::Internal, "see to it, and restart the daemon")
            }
            ControlError::Peer(error) => of_peers(error),
            ControlError::RedirectsHere { .. } => (
                ErrorCode::Conflict,
                "to send them to another portal of this daemon, give its address instead of a name",
            ),
            ControlError::File { fault, .. } => match fault {
                FileFault::Request => (ErrorCode::Invalid, ""),
                FileFault::InUse => (ErrorCode::Conflict, ""),
                FileFault::NoSpace => (ErrorCode::NoSpace, "make room, or leave out preallocation"),
                FileFault::Storage => (ErrorCode::Internal, "look at the kernel's log"),
            },
            ControlError::NotDurable { .. } => (
                ErrorCode::Internal,
                "check the disk that holds the state folder",
            ),
            ControlError::Starting => (ErrorCode::Unavailable, "try again in a few seconds"),
            ControlError::Stopping => (ErrorCode::Unavailable, "start it again first"),
            ControlError::Defect => (ErrorCode::Internal, ""),
        };
        Self::new(code, error.to_string(), hint)
    }
}

fn of_peers(error: &PeerError) -> (ErrorCode, &'static str) {
    match error {
        PeerError::NoPortal => (
            ErrorCode::Conflict,
            "start it with --peer-portal ADDRESS:PORT, such as 10.0.0.1:3261",
        ),
        PeerError::Dial(DialError::OtherKey { .. }) => (
            ErrorCode::Conflict,
            "compare with the fingerprint that `tidelock status` shows on the other daemon: it isn't the one that \
             was given, or somebody is in between",
        ),
        PeerError::Dial(_) => (
            ErrorCode::Conflict,
            "check that the other daemon was started with --peer-portal, and that a firewall lets it be reached",
        ),
        PeerError::NoRequest(_) => (
            ErrorCode::NotFound,
            "`tidelock peer list` shows who asks; the other daemon asks again every few seconds after `peer add`",
        ),
        PeerError::SeveralRequests(_) => (
            ErrorCode::Conflict,
            "give the fingerprint of the one that is meant; `tidelock peer list` shows them",
        ),
        PeerError::PortalGroups { .. } => (
            ErrorCode::Conflict,
            "start one of them with --portal 2=ADDRESS:PORT",
        ),
        PeerError::NotConnected { .. } => {
            (ErrorCode::Conflict, "`tidelock peer show PEER` says why")
        }
        PeerError::InUse { .. } => (ErrorCode::Conflict, "end that first"),
        PeerError::Refused(_) => (ErrorCode::Conflict, ""),
        _ => (ErrorCode::Internal, ""),
    }
}
