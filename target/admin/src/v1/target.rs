//! Targets and their LUN maps.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::v1::{AccessEntry, SessionParameters};

/// All targets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct TargetList {
    /// By name.
    pub targets: Vec<Target>,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Target {
    /// Its iSCSI name.
    pub name: String,
    /// Relative target port identifier of its port in portal group 1, the same for ever. In group N
    /// it is higher by (N-1) * 4096.
    pub relative_port: u16,
    /// The lowest tag of the portal groups through which it can be reached.
    pub portal_group_tag: u16,
    /// Tags of the portal groups through which alone it can be reached; absent if through all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal_groups: Option<Vec<u16>>,
    /// What it shows, by number.
    pub luns: Vec<Lun>,
    /// Who may see it. Nobody, if it is empty.
    pub acl: Vec<AccessEntry>,
    /// Where whoever logs in is sent instead; absent for nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
    /// What is set for its sessions.
    #[serde(default, skip_serializing_if = "SessionParameters::is_empty")]
    pub parameters: SessionParameters,
    /// Sessions that initiators have with it.
    pub sessions: u64,
}

/// Where a target's initiators are sent (RFC 7143 §11.13.5).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// A portal: an IPv4 address, an IPv6 address in brackets or a domain name, with `:port` unless it
    /// is 3260. A login that comes in by this very address is served, not sent on.
    pub address: String,
    /// For good, so that initiators may remember it.
    #[serde(default)]
    pub permanent: bool,
}

/// A volume shown under a number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Lun {
    /// The number, 0 to 16383.
    pub lun: u16,
    /// The volume's name.
    pub volume: String,
    /// Writes are refused.
    pub read_only: bool,
}

/// A target that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTarget {
    /// Its iSCSI name: `iqn.`, `eui.` or `naa.` (RFC 7143 §4.2.7).
    pub name: String,
    /// The same as `portal_groups` with this tag alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal_group_tag: Option<u16>,
    /// Tags (1 to 16) of the portal groups through which it can be reached; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal_groups: Option<Vec<u16>>,
}

/// What is to be different about a target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetTarget {
    /// Tags (1 to 16) of the portal groups through which it can be reached; all if null. Sessions
    /// through other groups end.
    pub portal_groups: Option<Vec<u16>>,
}

/// A volume or snapshot that a target is to show.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MapLun {
    /// The volume's name, or `VOLUME@SNAPSHOT` for a snapshot, which is read-only.
    pub volume: String,
    /// The number, 0 to 16383; the lowest that is free if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lun: Option<u16>,
    /// Refuse writes.
    #[serde(default)]
    pub read_only: bool,
}
