//! How the daemon is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the daemon is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// What tells this daemon from others: a UUID, made with its catalog.
    pub daemon_id: String,
    /// Process number.
    pub pid: u32,
    /// How long it has been running, in seconds.
    pub uptime_seconds: u64,
    /// Which engine does file I/O.
    pub backend: Backend,
    /// Threads that serve connections.
    pub reactors: u32,
    /// Where initiators reach it, as address and port.
    pub portals: Vec<String>,
    /// The same by portal group.
    #[serde(default)]
    pub portal_groups: Vec<PortalGroup>,
    /// Who it is to its peers; absent if it can have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<crate::v1::PeerIdentity>,
    /// Folder of the catalog and of the volumes that the daemon made itself.
    pub state_dir: String,
    /// How many changes the catalog has seen.
    pub catalog_generation: u64,
    /// Payload memory.
    pub memory: Memory,
    /// Sessions, those for discovery included.
    pub sessions: u64,
    /// Targets.
    pub targets: u64,
    /// Volumes by how they are.
    pub volumes: VolumeCounts,
    /// Snapshots of all volumes.
    #[serde(default)]
    pub snapshots: u64,
    /// Space of the file system that the state folder is in; absent if it can't be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<Space>,
}

/// Space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Space {
    /// Bytes that may still be written.
    pub available_bytes: u64,
    /// Bytes that there are.
    pub total_bytes: u64,
    /// Hosts of thin volumes are warned below so many percent of it; 0: they aren't.
    pub warn_below_percent: u64,
}

/// Which engine does file I/O, and why that one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Backend {
    /// `io_uring` or `threads`.
    pub name: String,
    /// Why: what was asked for, or what the kernel said.
    pub reason: String,
}

/// Payload memory of the whole daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Memory {
    /// In use now, in bytes.
    pub in_use_bytes: u64,
    /// Never more than this, in bytes.
    pub ceiling_bytes: u64,
}

/// Volumes by how they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct VolumeCounts {
    /// Being opened.
    pub loading: u64,
    /// In order.
    pub ready: u64,
    /// Stopped after a write or flush that failed.
    pub fenced: u64,
    /// Their file can't be opened.
    pub failed: u64,
}

/// A portal group: portals through which one session can have connections.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct PortalGroup {
    /// Its tag, 1 to 16.
    pub tag: u16,
    /// Addresses and ports.
    pub portals: Vec<String>,
}
