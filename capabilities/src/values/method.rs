//! The three numberings of methods: they name the same methods and disagree about most numbers.

use super::map::value_map;

value_map! {
    /// MethodName of GetSynchronizationSupported.
    MethodName, "MethodName of GetSynchronizationSupported" {
        CreateElementReplica = 2 "CreateElementReplica",
        CreateGroupReplica = 3 "CreateGroupReplica",
        CreateSynchronizationAspect = 4 "CreateSynchronizationAspect",
    }
}

value_map! {
    /// MethodName of GetSupportedWaitForCopyStates.
    WaitMethodName, "MethodName of GetSupportedWaitForCopyStates" {
        CreateElementReplica = 2 "CreateElementReplica",
        CreateGroupReplica = 3 "CreateGroupReplica",
        ModifyReplicaSynchronization = 4 "ModifyReplicaSynchronization",
        ModifyListSynchronization = 5 "ModifyListSynchronization",
        ModifySettingsDefineState = 6 "ModifySettingsDefineState",
        CreateListReplica = 7 "CreateListReplica" V2_49,
        CreateGroupReplicaFromElements = 8 "CreateGroupReplicaFromElements" V2_49,
        ModifyListSettingsDefineState = 9 "ModifyListSettingsDefineState" V2_49,
        CreateGroupReplicaFromElementSynchronizations = 10
            "CreateGroupReplicaFromElementSynchronizations" V2_49,
        AddElementsToGroupSynchronized = 11 "AddElementsToGroupSynchronized" V2_49,
    }
}

value_map! {
    /// SupportedSynchronousActions and SupportedAsynchronousActions.
    Action, "SupportedSynchronousActions" {
        CreateElementReplica = 2 "CreateElementReplica",
        CreateGroupReplica = 3 "CreateGroupReplica",
        CreateSynchronizationAspect = 4 "CreateSynchronizationAspect",
        ModifyReplicaSynchronization = 5 "ModifyReplicaSynchronization",
        ModifyListSynchronization = 6 "ModifyListSynchronization",
        ModifySettingsDefineState = 7 "ModifySettingsDefineState",
        GetAvailableTargetElements = 8 "GetAvailableTargetElements",
        GetPeerSystems = 9 "GetPeerSystems",
        GetReplicationRelationships = 10 "GetReplicationRelationships",
        GetServiceAccessPoints = 11 "GetServiceAccessPoints",
        CreateGroup = 12 "CreateGroup",
        DeleteGroup = 13 "DeleteGroup",
        AddMembers = 14 "AddMembers",
        RemoveMembers = 15 "RemoveMembers",
        AddReplicationEntity = 16 "AddReplicationEntity",
        AddServiceAccessPoint = 17 "AddServiceAccessPoint",
        AddSharedSecret = 18 "AddSharedSecret",
        CreateListReplica = 19 "CreateListReplica",
        CreateGroupReplicaFromElements = 20 "CreateGroupReplicaFromElements",
        GetReplicationRelationshipInstances = 21 "GetReplicationRelationshipInstances",
        ModifyListSettingsDefineState = 22 "ModifyListSettingsDefineState",
        CreateRemoteReplicationCollection = 23 "CreateRemoteReplicationCollection",
        AddToRemoteReplicationCollection = 24 "AddToRemoteReplicationCollection",
        RemoveFromRemoteReplicationCollection = 25 "RemoveFromRemoteReplicationCollection",
        GetSynchronizationAspects = 26 "GetSynchronizationAspects" V2_49,
        GetSynchronizationAspectInstances = 27 "GetSynchronizationAspectInstances" V2_49,
        CreateGroupReplicaFromElementSynchronizations = 28
            "CreateGroupReplicaFromElementSynchronizations" V2_49,
        AddElementsToGroupSynchronized = 29 "AddElementsToGroupSynchronized" V2_49,
        ConfirmTargetData = 30 "ConfirmTargetData" V2_49,
        CreateListSynchronizationAspect = 31 "CreateListSynchronizationAspect" V2_49,
    }
}

impl Action {
    /// Whether it may create a job. CreateGroup to AddSharedSecret never do.
    #[must_use]
    pub const fn may_be_asynchronous(self) -> bool {
        !matches!(self.value(), 12..=18)
    }
}

impl From<MethodName> for Action {
    fn from(method: MethodName) -> Self {
        match method {
            MethodName::CreateElementReplica => Self::CreateElementReplica,
            MethodName::CreateGroupReplica => Self::CreateGroupReplica,
            MethodName::CreateSynchronizationAspect => Self::CreateSynchronizationAspect,
        }
    }
}
