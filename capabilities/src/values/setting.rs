//! The properties of CIM_ReplicationSettingData by the numbers that GetSupportedReplicationSettingData
//! gives them.

use super::map::value_map;

value_map! {
    /// PropertyName of GetSupportedReplicationSettingData. There is no 22.
    PropertyName, "PropertyName" {
        ConsistentPointInTime = 2 "ConsistentPointInTime",
        DesiredCopyMethodology = 3 "DesiredCopyMethodology",
        Multihop = 4 "Multihop",
        OnGroupOrListError = 5 "OnGroupOrListError",
        UnequalGroupsAction = 6 "UnequalGroupsAction",
        TargetElementSupplier = 7 "TargetElementSupplier",
        ThinProvisioningPolicy = 8 "ThinProvisioningPolicy",
        Pairing = 9 "Pairing",
        FailedCopyStopsHostIO = 10 "FailedCopyStopsHostIO",
        CopyRecoveryMode = 11 "CopyRecoveryMode",
        UnequalListsAction = 12 "UnequalListsAction",
        DeltaUpdateInterval = 13 "DeltaUpdateInterval",
        DeltaUpdateBlocks = 14 "DeltaUpdateBlocks",
        ReadOnly = 15 "ReadOnly",
        StorageCompressionPolicy = 16 "StorageCompressionPolicy" V2_49,
        TargetElementResourcePool = 17 "TargetElementResourcePool" V2_49,
        TargetElementGoal = 18 "TargetElementGoal" V2_49,
        RrcSoftwareCompressionEnabled = 19 "RRCSoftwareCompressionEnabled" V2_49,
        RrcHardwareCompressionEnabled = 20 "RRCHardwareCompressionEnabled" V2_49,
        AutoDelete = 21 "AutoDelete" V2_49,
        TimeBeforeRemoval = 23 "TimeBeforeRemoval" V2_49,
        ConsistencyExempt = 24 "ConsistencyExempt" V2_49,
        ConsistentAsyncCopy = 25 "ConsistentAsyncCopy" V2_49,
        Rpo = 26 "RPO" V2_49,
        Skew = 27 "Skew" V2_49,
    }
}

value_map! {
    /// CopyRecoveryMode: what follows when a link is back.
    CopyRecoveryMode, "CopyRecoveryMode" {
        Unknown = 0 "Unknown",
        Automatic = 2 "Automatic",
        Manual = 3 "Manual",
        ImplementationDecides = 4 "Implementation decides",
    }
}
