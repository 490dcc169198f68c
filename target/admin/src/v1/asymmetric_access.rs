//! Asymmetric logical unit access: in which state a volume is through which portal group.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a volume is accessed through each portal group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct AsymmetricAccess {
    /// The volume's name.
    pub volume: String,
    /// By portal group: those that have portals, and those that something was set for.
    pub groups: Vec<GroupAccess>,
}

/// How a volume is accessed through one portal group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct GroupAccess {
    /// Tag of the portal group, which is also the number of the target port group (SPC-5).
    pub group: u16,
    /// The state.
    pub state: AccessState,
    /// Hosts should use this group, if they can.
    pub preferred: bool,
    /// Who changed the state last; absent if nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub altered_by: Option<AlteredBy>,
    /// The ports through which the volume is reached in this group.
    pub ports: Vec<TargetPort>,
}

/// A target port of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct TargetPort {
    /// The target's iSCSI name.
    pub target: String,
    /// Relative target port identifier, the same for ever.
    pub relative_port: u16,
}

/// A target port asymmetric access state (SPC-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AccessState {
    /// Served in full.
    ActiveOptimized,
    /// Served in full, but another group is better.
    ActiveNonOptimized,
    /// Kept in reserve: reads and writes are refused.
    Standby,
    /// Can't be reached.
    Unavailable,
    /// Between two states; can't be set.
    Transitioning,
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

/// Who changed an access state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AlteredBy {
    /// A host, by SET TARGET PORT GROUPS.
    Host,
    /// The daemon or its operator.
    Daemon,
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

/// What is to be different about a volume's access through one portal group. What is absent stays as
/// it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetGroupAccess {
    /// The state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AccessState>,
    /// Whether hosts should use this group, if they can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<bool>,
}
