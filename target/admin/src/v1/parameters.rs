//! Parameters of sessions, of a target or of an entry of its access list.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether sessions have CRC32C over headers or data (RFC 7143 §13.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DigestUse {
    /// A login without it fails.
    Required,
    /// As the initiator prefers.
    Allowed,
    /// Never.
    Off,
}

/// What sessions are set up with. What an entry doesn't set is as its target says, and what a target
/// doesn't set as the daemon's settings say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionParameters {
    /// CRC32C over headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_digest: Option<DigestUse>,
    /// CRC32C over data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_digest: Option<DigestUse>,
    /// The longest data segment that the target receives, 512 to 2^24-1 bytes. A session gets less when
    /// the daemon's memory is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_recv_data_segment_length: Option<u64>,
    /// The most of MaxBurstLength, 512 to 2^24-1 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_burst_length: Option<u64>,
    /// The most of FirstBurstLength, 512 to 2^24-1 bytes, and not above `max_burst_length`. A session
    /// gets less when the daemon's memory is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_burst_length: Option<u64>,
    /// Insist that the initiator waits until data is asked for; `false` leaves it to the initiator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_r2t: Option<bool>,
    /// Whether commands may carry data, if the initiator wants that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub immediate_data: Option<bool>,
    /// The most of MaxOutstandingR2T, 1 to 65535.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_outstanding_r2t: Option<u64>,
    /// Seconds of silence after which the initiator is pinged (NOP-In), 0 (never) to 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nop_interval: Option<u64>,
    /// Seconds that the answer to a ping may take, 1 to 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nop_timeout: Option<u64>,
    /// Of a target: sessions that it may have. Of an entry: sessions that one of its initiators may
    /// have with the target. 1 to 32768.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_sessions: Option<u64>,
    /// Commands that a session may have outstanding, 1 to 1024. Fewer when the daemon's memory is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_depth: Option<u64>,
}

impl SessionParameters {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Parameters that are to be set. Takes effect at the next login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetParameters {
    /// What to set; what isn't there stays as it is.
    #[serde(default)]
    pub set: SessionParameters,
    /// Names of those that are to be as if nobody had set them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reset: Vec<String>,
}
