//! A decision as GetSynchronizationSupported returns it.

use crate::decide::Decision;
use crate::values::{LocalElementRole, Mode, ReturnCode, SyncType};

/// The out parameters and the return code. The arrays are parallel: the same index of all three is one
/// combination. They are in ascending order by SyncType, Mode and role, and empty, never absent, if the
/// return code isn't Success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynchronizationSupported {
    /// The return code.
    pub return_code: ReturnCode,
    /// SyncTypes.
    pub sync_types: Vec<SyncType>,
    /// Modes.
    pub modes: Vec<Mode>,
    /// LocalElementRole.
    pub local_element_role: Vec<LocalElementRole>,
}

impl From<&Decision> for SynchronizationSupported {
    fn from(decision: &Decision) -> Self {
        let count = decision.supported().count();
        let mut answer = Self {
            return_code: decision.return_code(),
            sync_types: Vec::with_capacity(count),
            modes: Vec::with_capacity(count),
            local_element_role: Vec::with_capacity(count),
        };
        for triple in decision.supported() {
            answer.sync_types.push(triple.sync_type);
            answer.modes.push(triple.mode);
            answer.local_element_role.push(triple.local_element_role);
        }
        answer
    }
}
