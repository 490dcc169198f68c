//! Features of a ReplicationType, as published and as relied on: rules and operations read them.

use super::map::value_map;

value_map! {
    /// Features of GetSupportedFeatures: how one ReplicationType behaves.
    Feature, "Features" {
        ReplicationGroups = 2 "Replication groups",
        MultiHopElementReplication = 3 "Multi-hop element replication",
        MultiHopElementsMustHaveSameSyncType = 4 "Multi-hop elements must have same SyncType",
        MultiHopRequiresAdvanceNotice = 5 "Multi-hop requires advance notice",
        RequiresFullDiscoveryOfTargetComputerSystem = 6
            "Requires full discovery of target ComputerSystem",
        ServiceSuspendsSourceIOWhenNecessary = 7 "Service suspends source I/O when necessary",
        TargetsAllocatedFromAnyStoragePool = 8 "Targets allocated from Any storage pool",
        TargetsAllocatedFromSharedStoragePool = 9 "Targets allocated from Shared storage pool",
        TargetsAllocatedFromExclusiveStoragePool = 10
            "Targets allocated from Exclusive storage pool",
        TargetsAllocatedFromMultipleStoragePools = 11
            "Targets allocated from Multiple storage pools",
        TargetsRequireReservedElements = 12 "Targets require reserved elements",
        TargetIsAssociatedToSynchronizationAspect = 13
            "Target is associated to SynchronizationAspect",
        SourceIsAssociatedToSynchronizationAspect = 14
            "Source is associated to SynchronizationAspect",
        ErrorRecoveryFromBrokenStateAutomatic = 15 "Error recovery from Broken state Automatic",
        TargetMustRemainAssociatedToSource = 16 "Target must remain associated to source",
        RemoteResourceRequiresRemoteCIMOM = 17 "Remote resource requires remote CIMOM",
        SynchronizedCloneTargetDetachesAutomatically = 18
            "Synchronized clone target detaches automatically",
        ReverseRolesOperationRequiresReadOnlySource = 19
            "Reverse Roles operation requires Read Only source",
        ReverseRolesOperationRequiresSubsequentResync = 20
            "Reverse Roles operation requires subsequent resync",
        RestoreOperationRequiresSubsequentFracture = 21
            "Restore operation requires subsequent fracture",
        ResyncOperationRequiresSubsequentActivate = 22
            "Resync operation requires subsequent activate",
        CopyOperationRequiresOfflineSource = 23 "Copy operation requires offline source",
        AdjustableCopyPriority = 24 "Adjustable CopyPriority",
        SourceRequiresReservedElement = 25 "Source requires reserved element",
        SupportsUndiscoveredResources = 26 "Supports undiscovered resources",
        RestoreOperationRequiresSubsequentDetach = 27
            "Restore operation requires subsequent detach" V2_49,
        TargetElementCanBeAddedToCollections = 28
            "Target element can be added to collections" V2_49,
        ReverseRolesOperationRequiresSynchronizedState = 29
            "Reverse Roles operation requires Synchronized state" V2_49,
        ReverseRolesOperationRequiresFracturedState = 30
            "Reverse Roles operation requires Fractured state" V2_49,
        ReverseRolesOperationRequiresSplitState = 31
            "Reverse Roles operation requires Split state" V2_49,
        ReverseRolesOperationRequiresFailedOverState = 32
            "Reverse Roles operation requires FailedOver state" V2_49,
        ReverseRolesOperationRequiresSuspendedState = 33
            "Reverse Roles operation requires Suspended state" V2_49,
        ProviderCanManageRemoteSource = 34 "Provider can manage remote source" V2_49,
        ProviderCanManageRemoteTarget = 35 "Provider can manage remote target" V2_49,
        SupportsTemporaryReplicationEntity = 36 "Supports temporary ReplicationEntity" V2_49,
        SupportsPersistentReplicationEntity = 37 "Supports persistent ReplicationEntity" V2_49,
        ReplicationEntitySupportsEmbeddedInstance = 38
            "ReplicationEntity supports embedded instance" V2_49,
        TargetElementShallNotBeSupplied = 39 "TargetElement shall not be supplied" V2_49,
        TargetPoolShallNotBeSupplied = 40 "TargetPool shall not be supplied" V2_49,
        TargetGoalShallNotBeSupplied = 41 "TargetGoal shall not be supplied" V2_49,
        ProviderCanCreateRemoteElements = 42 "Provider can create remote elements" V2_49,
        CreatingRemoteElementsRequiresTargetPool = 43
            "Creating remote elements requires TargetPool" V2_49,
        LocalTargetsAllocatedFromSourcesResourcePool = 44
            "Local targets allocated from sources resource pool" V2_49,
        SupportsSynchronizationAspect = 45 "Supports SynchronizationAspect" V2_49,
        AcceptsForeignObjectPaths = 46 "Accepts foreign object paths" V2_49,
        FailoverOperationRequiresSubsequentFracture = 47
            "Failover operation requires subsequent fracture" V2_49,
        FailoverOperationRequiresSubsequentSplit = 48
            "Failover operation requires subsequent split" V2_49,
        RestoreOperationRequiresSubsequentResume = 49
            "Restore operation requires subsequent resume" V2_49,
        GetPeerSystemsCanReturnAccessPoints = 50 "GetPeerSystems can return access points" V2_49,
        ClientCanSupplyTargetElementName = 51 "Client can supply target ElementName" V2_49,
        ReverseRolesOperationDoesNotChangeCopyState = 52
            "Reverse Roles operation does not change CopyState" V2_49,
        FailoverOperationRequiresSubsequentFailback = 53
            "Failover operation requires subsequent failback" V2_49,
        PlannedFailoverOperationRequiresFracturedState = 54
            "Planned Failover operation requires fractured state" V2_49,
        TargetElementRequiresResourcePoolReservedForReplication = 55
            "Target element requires resource pool reserved for replication" V2_49,
        UsesReverseRolesForFailoverAndFailback = 56
            "Uses Reverse Roles for Failover and Failback" V2_49,
        CreateReplicationRequestsShouldBeSentToTargetService = 57
            "Create Replication requests should be sent to target service" V2_49,
        CreateReplicationRequestsShouldBeSentToSourceService = 58
            "Create Replication requests should be sent to source service" V2_49,
        AllModifyOperationsShouldBeSentToTargetService = 59
            "All Modify operations should be sent to target service" V2_49,
        AllModifyOperationsShouldBeSentToSourceService = 60
            "All Modify operations should be sent to source service" V2_49,
        SupportsMultipleTargetElementsPerSynchronizationAspect = 61
            "Supports multiple target elements per SynchronizationAspect" V2_49,
        CanDeleteSourceInACopyRelationship = 62 "Can delete source in a copy relationship" V2_49,
        DetachASnapshotMakesSnapshotAnIndependentVolume = 63
            "Detach a snapshot makes snapshot an independent volume" V2_49,
        TargetAlwaysInASystemGeneratedGroup = 64 "Target always in a system generated group" V2_49,
    }
}
