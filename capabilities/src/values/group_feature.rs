//! Features of groups of a ReplicationType, as published and as relied on.

use super::map::value_map;

value_map! {
    /// GroupFeatures of GetSupportedGroupFeatures: how groups of one ReplicationType behave.
    GroupFeature, "GroupFeatures" {
        OneToManyReplication = 2 "One-to-many replication",
        ManyToManyGroups = 3 "Many-to-many groups",
        ConsistencyEnabledForAllGroups = 4 "Consistency enabled for all groups",
        EmptyReplicationGroupsAllowed = 5 "Empty replication groups allowed",
        SourceGroupMustHaveMoreThanOneElement = 6 "Source group must have more than one element",
        CompositeGroups = 7 "Composite Groups",
        MultihopElementReplication = 8 "Multihop element replication",
        MultiHopElementsMustHaveSameSyncType = 9 "Multi-hop elements must have same SyncType",
        GroupCanOnlyHaveOneSingleRelationshipActive = 10
            "Group can only have one single relationship active",
        SourceElementCanBeRemovedFromGroup = 11 "Source element can be removed from group",
        TargetElementCanBeRemovedFromGroup = 12 "Target element can be removed from group",
        GroupCanBeTemporary = 13 "Group can be temporary",
        GroupIsNameable = 14 "Group is nameable",
        SupportsTargetElementCount = 15 "Supports target element count",
        SynchronizedCloneTargetDetachesAutomatically = 16
            "Synchronized clone target detaches automatically",
        ReverseRolesOperationRequiresReadOnlySource = 17
            "Reverse Roles operation requires Read Only source",
        ReverseRolesOperationRequiresSubsequentResync = 18
            "Reverse Roles operation requires subsequent resync",
        RestoreOperationRequiresSubsequentFracture = 19
            "Restore operation requires subsequent fracture",
        ResyncOperationRequiresSubsequentActivate = 20
            "Resync operation requires subsequent activate",
        CopyOperationRequiresOfflineSource = 21 "Copy operation requires offline source",
        RestoreOperationRequiresSubsequentDetach = 22
            "Restore operation requires subsequent detach" V2_49,
        ElementCanBeMemberOfMultipleGroups = 23 "Element can be member of multiple groups" V2_49,
        ElementsOfGroupCanBeMixOfThinAndThick = 24
            "Elements of group can be mix of thin and thick" V2_49,
        TokenizedCloneConsistentPointInTime = 25 "TokenizedClone ConsistentPointInTime" V2_49,
        TargetElementsCanBeAddedToCollections = 26
            "Target elements can be added to collections" V2_49,
        ReverseRolesOperationRequiresSynchronizedState = 27
            "Reverse Roles operation requires Synchronized state" V2_49,
        ReverseRolesOperationRequiresFracturedState = 28
            "Reverse Roles operation requires Fractured state" V2_49,
        ReverseRolesOperationRequiresSplitState = 29
            "Reverse Roles operation requires Split state" V2_49,
        ReverseRolesOperationRequiresFailedOverState = 30
            "Reverse Roles operation requires FailedOver state" V2_49,
        ReverseRolesOperationRequiresSuspendedState = 31
            "Reverse Roles operation requires Suspended state" V2_49,
        ProviderCanManageRemoteSourceGroup = 32 "Provider can manage remote source group" V2_49,
        ProviderCanManageRemoteTargetGroup = 33 "Provider can manage remote target group" V2_49,
        TargetGroupShallNotBeSupplied = 34 "TargetGroup shall not be supplied" V2_49,
        TargetPoolShallNotBeSupplied = 35 "TargetPool shall not be supplied" V2_49,
        TargetSettingGoalShallNotBeSupplied = 36 "TargetSettingGoal shall not be supplied" V2_49,
        ProviderCanCreateRemoteTargetGroup = 37 "Provider can create remote target group" V2_49,
        ProviderCanCreateLocalTargetGroup = 38 "Provider can create local target group" V2_49,
        ProviderMustCreateRemoteGroup = 39 "Provider must create remote group" V2_49,
        CreatingRemoteElementsRequiresTargetPool = 40
            "Creating remote elements requires TargetPool" V2_49,
        TargetGroupShallBeSupplied = 41 "Target group shall be supplied" V2_49,
        CreateGroupReplicaOnlyAcceptsEmptyGroups = 42
            "CreateGroupReplica only accepts empty groups" V2_49,
        OneReplicationGroupPerStoragePool = 43 "One replication group per storage pool" V2_49,
        SupportsConsistencyExemptWhenAddingToGroup = 44
            "Supports ConsistencyExempt when adding to group" V2_49,
        AddOrRemoveToGroupRequiresFracturedState = 45
            "Add or Remove to group requires Fractured state" V2_49,
        AddOrRemoveToGroupRequiresSplitState = 46
            "Add or Remove to group requires Split state" V2_49,
        AddOrRemoveToGroupRequiresSuspendedState = 47
            "Add or Remove to group requires Suspended state" V2_49,
        AddOrRemoveToGroupRequiresFailedOverState = 48
            "Add or Remove to group requires FailedOver state" V2_49,
        SupportsSynchronizationAspectOfReplicationGroup = 49
            "Supports SynchronizationAspect of replication group" V2_49,
        NoElementLevelStorageSynchronized = 50 "No element level StorageSynchronized" V2_49,
        AcceptsForeignObjectPaths = 51 "Accepts foreign object paths" V2_49,
        FailoverOperationRequiresSubsequentFracture = 52
            "Failover operation requires subsequent fracture" V2_49,
        FailoverOperationRequiresSubsequentSplit = 53
            "Failover operation requires subsequent split" V2_49,
        RestoreOperationRequiresSubsequentResume = 54
            "Restore operation requires subsequent resume" V2_49,
        OneConsistentAsyncPerRemoteReplicationCollection = 55
            "One consistent async per RemoteReplicationCollection" V2_49,
        ClientCanSupplyRelationshipName = 56 "Client can supply RelationshipName" V2_49,
        ImplementationDecidesGroupMemberOrder = 57
            "Implementation decides group member order" V2_49,
        ReverseRolesOperationDoesNotChangeCopyState = 58
            "Reverse Roles operation does not change CopyState" V2_49,
        FailoverOperationRequiresSubsequentFailback = 59
            "Failover operation requires subsequent failback" V2_49,
        PlannedFailoverOperationRequiresSplitState = 60
            "Planned Failover operation requires split state" V2_49,
        PlannedFailoverOperationRequiresFracturedState = 61
            "Planned Failover operation requires fractured state" V2_49,
        TargetElementRequiresResourcePoolReservedForReplication = 62
            "Target element requires resource pool reserved for replication" V2_49,
        AddSyncPairRequiresSynchronizedMirrorPair = 63
            "AddSyncPair requires Synchronized mirror pair" V2_49,
        ProviderCanCreateRemoteElementsUsingTargetPools = 64
            "Provider can create remote elements using TargetPools" V2_49,
        UsesReverseRolesForFailoverAndFailback = 65
            "Uses Reverse Roles for Failover and Failback" V2_49,
        CreateReplicationRequestsShouldBeSentToTargetService = 66
            "Create Replication requests should be sent to target service" V2_49,
        CreateReplicationRequestsShouldBeSentToSourceService = 67
            "Create Replication requests should be sent to source service" V2_49,
        AllModifyOperationsShouldBeSentToTargetService = 68
            "All Modify operations should be sent to target service" V2_49,
        AllModifyOperationsShouldBeSentToSourceService = 69
            "All Modify operations should be sent to source service" V2_49,
        SupportsMultipleTargetGroupsPerSynchronizationAspect = 70
            "Supports multiple target groups per SynchronizationAspect" V2_49,
        CanDeleteSourceInACopyRelationship = 71 "Can delete source in a copy relationship" V2_49,
    }
}
