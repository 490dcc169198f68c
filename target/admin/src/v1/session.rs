//! Sessions.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All sessions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct SessionList {
    /// In the order in which they logged in.
    pub sessions: Vec<Session>,
}

/// One session of an initiator with a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Session {
    /// Its number since the daemon started; names it in `session drop`.
    pub id: u64,
    /// The initiator's iSCSI name.
    pub initiator: String,
    /// The target's iSCSI name; absent for a discovery session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Tag of the portal group through which it came; absent for a discovery session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal_group: Option<u16>,
    /// The initiator's part of the session identifier, 12 hexadecimal digits (RFC 7143 §11.12.5).
    pub isid: String,
    /// Target session identifying handle (RFC 7143 §11.12.6).
    pub tsih: u16,
    /// Address and port of the other end of the connection that it began with.
    pub peer: String,
    /// Address and port of the other end of each connection that it has now.
    #[serde(default)]
    pub connections: Vec<String>,
    /// When it logged in, in milliseconds since 1970-01-01 UTC.
    pub since_unix_ms: u64,
    /// Headers carry CRC32C.
    pub header_digest: bool,
    /// Data carries CRC32C.
    pub data_digest: bool,
    /// Which of the daemon's threads serves it, from 0.
    pub reactor: u32,
    /// SCSI commands answered.
    pub commands: u64,
    /// Bytes read by the initiator.
    pub read_bytes: u64,
    /// Bytes written by the initiator.
    pub written_bytes: u64,
}

/// A logout that an initiator is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogoutSession {
    /// Seconds after which the session is ended if it is still there, 1 to 600.
    pub within_seconds: u64,
}
