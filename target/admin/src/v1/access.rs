//! Access lists.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::v1::{SecretText, SessionParameters};

/// Who may see a target, or hold discovery sessions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct AccessList {
    /// The target's iSCSI name, or `discovery`.
    pub scope: String,
    /// The entries: `*` first, then beginnings of names, then names. A deny that is about an initiator
    /// wins over every allow. Of several allows the most specific one says how it proves itself: by
    /// name first, then by network. The plain `*`, without a network, is about those whom no other
    /// entry is about.
    pub entries: Vec<AccessEntry>,
}

/// What a list says about one initiator, or about all that it doesn't name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct AccessEntry {
    /// The initiator's iSCSI name, the beginning of names with a `*` after it, or `*`.
    pub initiator: String,
    /// Where it comes from: an IPv4 or IPv6 network such as `10.0.0.0/8`, or one address; absent for
    /// anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Let in or kept out.
    pub access: AccessKind,
    /// Whose secrets are asked for, if CHAP is. Secrets themselves are never returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chap: Option<ChapUsers>,
    /// What is set for the sessions of those whom it is about.
    #[serde(default, skip_serializing_if = "SessionParameters::is_empty")]
    pub parameters: SessionParameters,
}

/// Let in or kept out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessKind {
    /// Let in.
    Allow,
    /// Kept out.
    Deny,
}

/// The names that go with the secrets of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct ChapUsers {
    /// The initiator's CHAP name.
    pub user: String,
    /// The target's CHAP name, if it proves itself too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutual_user: Option<String>,
}

/// What a list is to say about an initiator. Replaces what it said before.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAccess {
    /// Let in or kept out.
    pub access: AccessKind,
    /// How the initiator must prove itself. Without it, it is let in by its name alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chap: Option<Credentials>,
    /// How the target proves itself to the initiator; needs `chap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutual: Option<Credentials>,
}

/// A CHAP name with its secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// CHAP name, 1 to 255 bytes.
    pub user: String,
    /// The secret.
    pub secret: SecretText,
}
