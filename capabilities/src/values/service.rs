//! Values about the service as a whole, its limits and its connections.

use super::map::value_map;

value_map! {
    /// EnabledState of CIM_ReplicationService.
    EnabledState, "EnabledState" {
        Unknown = 0 "Unknown",
        Other = 1 "Other",
        Enabled = 2 "Enabled",
        Disabled = 3 "Disabled",
        ShuttingDown = 4 "Shutting Down",
        NotApplicable = 5 "Not Applicable",
        EnabledButOffline = 6 "Enabled but Offline",
        InTest = 7 "In Test",
        Deferred = 8 "Deferred",
        Quiesce = 9 "Quiesce",
        Starting = 10 "Starting",
    }
}

value_map! {
    /// SupportedStorageObjects.
    StorageObject, "SupportedStorageObjects" {
        StorageVolume = 2 "StorageVolume",
        LogicalDisk = 3 "LogicalDisk",
        ReplicationEntity = 4 "ReplicationEntity",
    }
}

value_map! {
    /// Component of GetSupportedMaximum.
    Component, "Component" {
        NumberOfGroups = 2 "Number of groups",
        ElementsPerSourceGroup = 3 "Number of elements per source group",
        ElementsPerTargetGroup = 4 "Number of elements per target group",
        TargetElementsPerSourceElement = 5 "Number of target elements per source element",
        TotalSourceElements = 6 "Number of total source elements",
        TotalTargetElements = 7 "Number of total target elements",
        PeerSystems = 8 "Number of peer systems",
        Hops = 9 "Number of hops in multi-hop copy",
        MaximumTokens = 10 "Maximum number of tokens supported" V2_49,
        TokensInUse = 11 "Current number of tokens in-use" V2_49,
        OptimalTokenSize = 12 "Optimal token size" V2_49,
        SynchronizationAspects = 13 "Number of SynchronizationAspect instances" V2_49,
        SynchronizationAspectsPerSourceElement = 14
            "Number of SynchronizationAspect instances per source element" V2_49,
        SynchronizationAspectsPerSourceGroup = 15
            "Number of SynchronizationAspect instances per source group" V2_49,
    }
}

value_map! {
    /// SupportedConsistency and DefaultConsistency. (The Consistency parameter of the Create methods has
    /// another scale.)
    Consistency, "SupportedConsistency" {
        SequentiallyConsistent = 2 "Sequentially Consistent",
    }
}

value_map! {
    /// DefaultGroupPersistency.
    GroupPersistency, "DefaultGroupPersistency" {
        NoDefault = 0 "No default",
        Persistent = 2 "Persistent",
        NotPersistent = 3 "Not Persistent",
    }
}

value_map! {
    /// SynchronizationType of GetSupportedListOperations.
    SynchronizationType, "SynchronizationType" {
        StorageSynchronized = 2 "StorageSynchronized",
        GroupSynchronized = 3 "GroupSynchronized",
    }
}

value_map! {
    /// SupportedThinProvisioningFeatures.
    ThinProvisioningFeature, "ThinProvisioningFeatures" {
        NotSupported = 1 "Thin provisioning is not supported",
        ZerosWritten = 2 "Zeros written in unused allocated blocks of target",
        NotInitialized = 3 "Unused allocated blocks of target are not initialized",
    }
}

value_map! {
    /// SupportedConnectionFeatures of an access point.
    ConnectionFeature, "ConnectionFeatures" {
        UnidirectionalToServiceAccessPoint = 2 "Unidirectional to ServiceAccessPoint",
        UnidirectionalFromServiceAccessPoint = 3 "Unidirectional from ServiceAccessPoint",
    }
}
