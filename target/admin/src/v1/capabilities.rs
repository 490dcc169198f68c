//! What an element supports right now: `GetSynchronizationSupported` of DMTF's replication service capabilities,
//! with the reason for everything that isn't.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An answer. It is what a call made next would meet: the same function decides both.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Capabilities {
    /// What it is about: `VOLUME`, `VOLUME@SNAPSHOT` or a group's name.
    pub element: String,
    /// The other element that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_element: Option<String>,
    /// The peer that was named, which has the other end or would make it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// MethodName: 2 CreateElementReplica, 3 CreateGroupReplica, 4 CreateSynchronizationAspect.
    pub method_name: u16,
    /// Which state of the daemon it is of. Another answer with the same number is of the same state.
    pub generation: u64,
    /// The return code: 0 Success, 1 Not Supported, 2 Unknown, 3 Timeout, 4 Failed, 5 Invalid Parameter, 6 In Use.
    pub return_code: u16,
    /// Its name.
    pub return_code_name: String,
    /// SyncTypes: 6 Mirror, 7 Snapshot, 8 Clone. The three arrays are parallel, and empty unless the code is 0.
    pub sync_types: Vec<u16>,
    /// Modes: 2 Synchronous, 3 Asynchronous.
    pub modes: Vec<u16>,
    /// LocalElementRole: 2 Source (SystemElement), 3 Target (SyncedElement).
    pub local_element_role: Vec<u16>,
    /// What is wrong with the request, if the code is 5 or nothing could be decided.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub problem: String,
    /// All combinations, each with its verdict.
    pub verdicts: Vec<SynchronizationVerdict>,
}

/// One combination.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct SynchronizationVerdict {
    /// SyncType by its name.
    pub sync_type: String,
    /// Mode by its name.
    pub mode: String,
    /// The local element's role: SystemElement or SyncedElement.
    pub local_element_role: String,
    /// Whether a call would be accepted.
    pub supported: bool,
    /// What sort of obstacle there is: NoPeer, NotNow, Unknown, Fault, Never.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub obstacle: String,
    /// What is in the way, and what would clear it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
