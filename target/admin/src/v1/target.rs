//! Targets and their LUN maps.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::v1::AccessEntry;

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
    /// Relative target port identifier, the same for ever.
    pub relative_port: u16,
    /// Target portal group tag.
    pub portal_group_tag: u16,
    /// What it shows, by number.
    pub luns: Vec<Lun>,
    /// Who may see it. Nobody, if it is empty.
    pub acl: Vec<AccessEntry>,
    /// Sessions that initiators have with it.
    pub sessions: u64,
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
    /// Target portal group tag; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal_group_tag: Option<u16>,
}

/// A volume that a target is to show.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MapLun {
    /// The volume's name.
    pub volume: String,
    /// The number, 0 to 16383; the lowest that is free if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lun: Option<u16>,
    /// Refuse writes.
    #[serde(default)]
    pub read_only: bool,
}
