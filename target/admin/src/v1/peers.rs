//! Peers: other daemons that this one trusts, and those that ask to be such.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All peers, and who this daemon is to them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct PeerList {
    /// This daemon itself.
    pub identity: PeerIdentity,
    /// By name.
    pub peers: Vec<Peer>,
    /// Who asks to be a peer, from the oldest to the newest. Forgotten when the daemon ends.
    pub requests: Vec<PeerRequest>,
}

/// Who this daemon is to its peers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct PeerIdentity {
    /// The fingerprint of its key: `SHA256:` and 64 hexadecimal digits.
    pub fingerprint: String,
    /// What tells it from others: a UUID.
    pub node_id: String,
    /// What it calls itself.
    pub name: String,
    /// Where it listens for peers; absent if it doesn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal: Option<String>,
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Peer {
    /// What it is called here.
    pub name: String,
    /// Where it is, as address and port.
    pub address: String,
    /// The fingerprint of its key.
    pub fingerprint: String,
    /// What tells it from others: a UUID.
    pub node_id: String,
    /// How it is.
    pub state: PeerState,
    /// Since when, in milliseconds since 1970-01-01 UTC.
    pub since_unix_ms: u64,
    /// Why, if there is something to say.
    pub detail: String,
    /// When something came from it last, in milliseconds since 1970-01-01 UTC; absent if nothing has since the
    /// daemon was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_unix_ms: Option<u64>,
    /// How long an answer took the last time, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_us: Option<u64>,
    /// The version of its daemon, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it calls itself, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_itself: Option<String>,
    /// The tags of its portal groups, if they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub portal_groups: Vec<u16>,
}

/// How a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PeerState {
    /// It hasn't been tried yet.
    Connecting,
    /// It answers.
    Connected,
    /// It doesn't.
    Unreachable,
    /// It is there, and hasn't accepted this daemon.
    WaitsForAcceptance,
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

impl PeerState {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Unreachable => "unreachable",
            Self::WaitsForAcceptance => "waits for acceptance",
            Self::Unknown => "unknown",
        }
    }
}

/// A daemon that asks to be a peer. It isn't one: only its fingerprint is proved.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct PeerRequest {
    /// What it calls itself.
    pub name: String,
    /// The fingerprint of its key.
    pub fingerprint: String,
    /// What it says is its identity: a UUID.
    pub node_id: String,
    /// The address that it asked from.
    pub from: String,
    /// Where it says that it can be reached.
    pub address: String,
    /// When it asked first, in milliseconds since 1970-01-01 UTC.
    pub since_unix_ms: u64,
}

/// A peer that is to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddPeer {
    /// What to call it: 1 to 64 letters, digits, `.`, `_` and `-`, starting with a letter or digit.
    pub name: String,
    /// Where it is: an address or a domain name, and a port (3261 if none is given).
    pub address: String,
    /// The fingerprint that its key must have; without it whoever answers there is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// A daemon that is to be a peer, as it asks to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptPeer {
    /// What it calls itself, if nobody else does; or its fingerprint.
    pub request: String,
    /// What to call it; absent for what it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is; absent for where it says that it can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// What is to be different of a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPeer {
    /// Where it is from now on.
    pub address: String,
}
