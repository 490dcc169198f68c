//! Snapshots on their way from one daemon to another.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A snapshot that has come in a stream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Received {
    /// The volume, whose content is the snapshot's now.
    pub volume: String,
    /// The snapshot's name.
    pub snapshot: String,
    /// The snapshot of what was there before; absent if that was what the stream went on from, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety: Option<String>,
    /// The volume's size, in bytes.
    pub size_bytes: u64,
}

/// How far a stream has come that isn't complete.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct ReceiveStatus {
    /// For which volume.
    pub volume: String,
    /// What the snapshot will be called.
    pub snapshot: String,
    /// What streams call it.
    pub stream_id: String,
    /// What streams call the snapshot that it goes on from; absent if it is a whole one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_stream_id: Option<String>,
    /// Everything before this byte of the volume has come, and is durable.
    pub position_bytes: u64,
    /// Bytes of the volume.
    pub size_bytes: u64,
    /// More is coming right now.
    pub active: bool,
    /// What the sender needs to go on (`GET /v1/streams/{token}`).
    pub token: String,
}
