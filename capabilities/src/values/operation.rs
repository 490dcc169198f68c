//! Operations on associations and on aspects.

use super::map::value_map;

value_map! {
    /// Operation of ModifyReplicaSynchronization and ModifyListSynchronization.
    Operation, "Operation" {
        Abort = 2 "Abort",
        ActivateConsistency = 3 "Activate Consistency",
        Activate = 4 "Activate",
        AddSyncPair = 5 "AddSyncPair",
        DeactivateConsistency = 6 "Deactivate Consistency",
        Deactivate = 7 "Deactivate",
        Detach = 8 "Detach",
        Dissolve = 9 "Dissolve",
        Failover = 10 "Failover",
        Failback = 11 "Failback",
        Fracture = 12 "Fracture",
        RemoveSyncPair = 13 "RemoveSyncPair",
        ResyncReplica = 14 "Resync Replica",
        RestoreFromReplica = 15 "Restore from Replica",
        Resume = 16 "Resume",
        ResetToSync = 17 "Reset To Sync",
        ResetToAsync = 18 "Reset To Async",
        ReturnToResourcePool = 19 "Return To ResourcePool",
        ReverseRoles = 20 "Reverse Roles",
        Split = 21 "Split",
        Suspend = 22 "Suspend",
        Unprepare = 23 "Unprepare",
        Prepare = 24 "Prepare" V2_49,
        ResetToAdaptive = 25 "Reset to Adaptive" V2_49,
        ResetToActive = 26 "Reset to Active" V2_49,
        ResetReplica = 27 "Reset Replica" V2_49,
    }
}

value_map! {
    /// Operation of ModifySettingsDefineState.
    SettingsDefineStateOperation, "Operation of ModifySettingsDefineState" {
        ActivateConsistency = 2 "Activate Consistency",
        DeactivateConsistency = 3 "Deactivate Consistency",
        Delete = 4 "Delete",
        CopyToTarget = 5 "Copy To Target",
        Detach = 6 "Detach" V2_49,
        Restore = 7 "Restore" V2_49,
        AttachToTarget = 8 "Attach To Target" V2_49,
    }
}

value_map! {
    /// ServiceControlling: whose service an operation is to be asked of.
    ServiceControlling, "ServiceControlling" {
        SourceOnly = 2 "Source Only" V2_49,
        TargetOnly = 3 "Target Only" V2_49,
        SourceOrTarget = 4 "Source or Target" V2_49,
        BothSourceAndTarget = 5 "Both Source and Target" V2_49,
    }
}

impl Operation {
    /// Whether ModifyListSynchronization knows it: it reserves the numbers of what concerns a group or
    /// its pairs.
    #[must_use]
    pub const fn in_lists(self) -> bool {
        !matches!(
            self,
            Self::ActivateConsistency
                | Self::AddSyncPair
                | Self::DeactivateConsistency
                | Self::RemoveSyncPair
        )
    }
}
