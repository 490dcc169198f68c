//! The methods that are answered, with their parameters in the order of the schema. What isn't here isn't there.

use super::{Method, Parameter};
use crate::value::Type::{self, Boolean, Datetime, Embedded, Reference, String, Uint16, Uint64};

const fn parameter(name: &'static str, of: Type, input: bool, output: bool) -> Parameter {
    Parameter {
        name,
        of,
        array: false,
        input,
        output,
    }
}

const fn input(name: &'static str, of: Type) -> Parameter {
    parameter(name, of, true, false)
}

const fn output(name: &'static str, of: Type) -> Parameter {
    parameter(name, of, false, true)
}

const fn both(name: &'static str, of: Type) -> Parameter {
    parameter(name, of, true, true)
}

impl Parameter {
    const fn array(self) -> Self {
        Self {
            array: true,
            ..self
        }
    }
}

const fn method(name: &'static str, parameters: &'static [Parameter]) -> Method {
    Method { name, parameters }
}

const REPLICATION_TYPE: Parameter = input("ReplicationType", Uint16);
const SETTINGS: Parameter = input(
    "ReplicationSettingData",
    Embedded("CIM_ReplicationSettingData"),
);
const ELEMENT: Type = Reference("CIM_ManagedElement");
const LOGICAL: Type = Reference("CIM_LogicalElement");
const ACCESS_POINT: Type = Reference("CIM_ServiceAccessPoint");
const GROUP: Type = Reference("CIM_ReplicationGroup");
const SYNCHRONIZED: Type = Reference("CIM_Synchronized");
const SETTINGS_STATE: Type = Reference("CIM_SettingsDefineState");
const JOB_OUT: Parameter = output("Job", Reference("CIM_ConcreteJob"));
const SYNC_TYPE: Parameter = input("SyncType", Uint16);
const MODE: Parameter = input("Mode", Uint16);
const WAIT: Parameter = input("WaitForCopyState", Uint16);

/// Of one ReplicationType, with one array out.
macro_rules! of_type {
    ($name:literal, $out:literal) => {
        method($name, &[REPLICATION_TYPE, output($out, Uint16).array()])
    };
}

/// CIM_ReplicationServiceCapabilities.
pub(super) const CAPABILITIES: &[Method] = &[
    method(
        "ConvertSyncTypeToReplicationType",
        &[
            SYNC_TYPE,
            MODE,
            input("LocalOrRemote", Uint16),
            output("SupportedReplicationTypes", Uint16),
        ],
    ),
    method(
        "ConvertReplicationTypeToSyncType",
        &[
            REPLICATION_TYPE,
            output("SyncType", Uint16),
            output("Mode", Uint16),
            output("LocalOrRemote", Uint16),
        ],
    ),
    method(
        "GetSupportedCopyStates",
        &[
            REPLICATION_TYPE,
            output("SupportedCopyStates", Uint16).array(),
            output("HostAccessible", Boolean).array(),
        ],
    ),
    of_type!("GetSupportedGroupCopyStates", "SupportedCopyStates"),
    method(
        "GetSupportedWaitForCopyStates",
        &[
            REPLICATION_TYPE,
            input("MethodName", Uint16),
            output("SupportedCopyStates", Uint16).array(),
        ],
    ),
    of_type!("GetSupportedFeatures", "Features"),
    of_type!("GetSupportedGroupFeatures", "GroupFeatures"),
    of_type!("GetSupportedConsistency", "SupportedConsistency"),
    of_type!("GetSupportedOperations", "SupportedOperations"),
    of_type!("GetSupportedGroupOperations", "SupportedGroupOperations"),
    method(
        "GetSupportedListOperations",
        &[
            REPLICATION_TYPE,
            input("SynchronizationType", Uint16),
            output("SupportedListOperations", Uint16).array(),
        ],
    ),
    of_type!(
        "GetSupportedSettingsDefineStateOperations",
        "SupportedOperations"
    ),
    of_type!(
        "GetSupportedThinProvisioningFeatures",
        "SupportedThinProvisioningFeatures"
    ),
    method(
        "GetSupportedMaximum",
        &[
            REPLICATION_TYPE,
            input("Component", Uint16),
            output("MaxValue", Uint64),
        ],
    ),
    method(
        "GetDefaultConsistency",
        &[REPLICATION_TYPE, output("DefaultConsistency", Uint16)],
    ),
    method(
        "GetDefaultGroupPersistency",
        &[output("DefaultGroupPersistency", Uint16)],
    ),
    method(
        "GetSupportedReplicationSettingData",
        &[
            REPLICATION_TYPE,
            input("PropertyName", Uint16),
            both("SupportedValues", Uint64).array(),
        ],
    ),
    method(
        "GetDefaultReplicationSettingData",
        &[
            REPLICATION_TYPE,
            output("DefaultInstance", Embedded("CIM_ReplicationSettingData")),
        ],
    ),
    method(
        "GetSupportedConnectionFeatures",
        &[
            input("connection", ACCESS_POINT),
            output("SupportedConnectionFeatures", Uint16).array(),
        ],
    ),
    method(
        "GetSynchronizationSupported",
        &[
            input("LocalElement", ELEMENT),
            input("OtherElement", ELEMENT),
            input("OtherElementAccessPoint", ACCESS_POINT),
            input("MethodName", Uint16),
            output("SyncTypes", Uint16).array(),
            output("Modes", Uint16).array(),
            output("LocalElementRole", Uint16).array(),
        ],
    ),
    method(
        "GetSupportedOperationsForSynchronization",
        &[
            input("Synchronization", SYNCHRONIZED),
            output("SupportedOperations", Uint16).array(),
        ],
    ),
];

/// CIM_ReplicationService.
pub(super) const SERVICE: &[Method] = &[
    method(
        "CreateGroup",
        &[
            input("GroupName", String),
            input("Members", LOGICAL).array(),
            input("Persistent", Boolean),
            input("DeleteOnEmptyElement", Boolean),
            input("DeleteOnUnassociated", Boolean),
            input("ServiceAccessPoint", ACCESS_POINT),
            output("ReplicationGroup", GROUP),
            SETTINGS,
        ],
    ),
    method(
        "DeleteGroup",
        &[
            input("ReplicationGroup", GROUP),
            input("ServiceAccessPoint", ACCESS_POINT),
            input("RemoveElements", Boolean),
        ],
    ),
    method(
        "AddMembers",
        &[
            input("Members", LOGICAL).array(),
            input("ReplicationGroup", GROUP),
            input("ServiceAccessPoint", ACCESS_POINT),
            SETTINGS,
        ],
    ),
    method(
        "RemoveMembers",
        &[
            input("Members", LOGICAL).array(),
            input("DeleteOnEmptyElement", Boolean),
            input("ReplicationGroup", GROUP),
            input("ServiceAccessPoint", ACCESS_POINT),
            SETTINGS,
        ],
    ),
    method(
        "CreateElementReplica",
        &[
            input("ElementName", String),
            SYNC_TYPE,
            MODE,
            input("SourceElement", LOGICAL),
            input("SourceAccessPoint", ACCESS_POINT),
            both("TargetElement", LOGICAL),
            input("TargetAccessPoint", ACCESS_POINT),
            SETTINGS,
            JOB_OUT,
            output("Synchronization", SYNCHRONIZED),
            input("TargetSettingGoal", Reference("CIM_SettingData")),
            input("TargetPool", Reference("CIM_ResourcePool")),
            WAIT,
        ],
    ),
    method(
        "CreateGroupReplica",
        &[
            input("RelationshipName", String),
            SYNC_TYPE,
            MODE,
            input("SourceGroup", GROUP),
            input("SourceElement", LOGICAL),
            input("SourceAccessPoint", ACCESS_POINT),
            both("TargetGroup", GROUP),
            input("TargetElementCount", Uint64),
            input("TargetAccessPoint", ACCESS_POINT),
            input("Consistency", Uint16),
            SETTINGS,
            JOB_OUT,
            output("Synchronization", SYNCHRONIZED),
            input("TargetSettingGoal", Reference("CIM_SettingData")),
            input("TargetPool", Reference("CIM_ResourcePool")),
            WAIT,
        ],
    ),
    method(
        "CreateSynchronizationAspect",
        &[
            input("Name", String),
            SYNC_TYPE,
            MODE,
            input("SourceGroup", GROUP),
            input("SourceElement", LOGICAL),
            input("SourceAccessPoint", ACCESS_POINT),
            input("Consistency", Uint16),
            SETTINGS,
            JOB_OUT,
            output("SettingsState", SETTINGS_STATE),
        ],
    ),
    method(
        "ModifySettingsDefineState",
        &[
            input("Operation", Uint16),
            input("SettingsState", SETTINGS_STATE),
            both("TargetElement", LOGICAL),
            both("TargetGroup", GROUP),
            input("TargetElementCount", Uint64),
            input("TargetAccessPoint", ACCESS_POINT),
            output("Synchronization", SYNCHRONIZED),
            SETTINGS,
            JOB_OUT,
            input("TargetSettingGoal", Reference("CIM_SettingData")),
            input("TargetPool", Reference("CIM_ResourcePool")),
            WAIT,
        ],
    ),
    method(
        "CreateListReplica",
        &[
            input("ElementNames", String).array(),
            SYNC_TYPE,
            MODE,
            input("SourceElements", LOGICAL).array(),
            input("SourceAccessPoint", ACCESS_POINT),
            both("TargetElements", LOGICAL).array(),
            input("TargetAccessPoint", ACCESS_POINT),
            SETTINGS,
            JOB_OUT,
            output("Synchronizations", SYNCHRONIZED).array(),
            input("TargetSettingGoal", Reference("CIM_SettingData")),
            input("TargetPool", Reference("CIM_ResourcePool")),
            WAIT,
        ],
    ),
    method(
        "ModifyListSynchronization",
        &[
            input("Operation", Uint16),
            input("Synchronization", SYNCHRONIZED).array(),
            SETTINGS,
            JOB_OUT,
            input("Force", Boolean),
            WAIT,
        ],
    ),
    method(
        "ModifyReplicaSynchronization",
        &[
            input("Operation", Uint16),
            input("Synchronization", SYNCHRONIZED),
            SETTINGS,
            input("SyncPair", SYNCHRONIZED).array(),
            JOB_OUT,
            input("Force", Boolean),
            WAIT,
        ],
    ),
    method(
        "GetAvailableTargetElements",
        &[
            input("SourceElement", LOGICAL),
            SYNC_TYPE,
            MODE,
            SETTINGS,
            input("TargetAccessPoint", ACCESS_POINT),
            input("TargetSettingGoal", Reference("CIM_SettingData")),
            input("TargetPools", Reference("CIM_ResourcePool")).array(),
            JOB_OUT,
            output("Candidates", LOGICAL).array(),
        ],
    ),
    method(
        "GetPeerSystems",
        &[
            input("Options", Uint16),
            JOB_OUT,
            output("Systems", Reference("CIM_ComputerSystem")).array(),
        ],
    ),
    method(
        "GetReplicationRelationships",
        &[
            input("Type", Uint16),
            SYNC_TYPE,
            MODE,
            input("Locality", Uint16),
            input("CopyState", Uint16),
            JOB_OUT,
            output("Synchronizations", SYNCHRONIZED).array(),
        ],
    ),
    method(
        "GetServiceAccessPoints",
        &[
            input("System", Reference("CIM_ComputerSystem")),
            JOB_OUT,
            output("ServiceAccessPoints", ACCESS_POINT).array(),
        ],
    ),
];

/// CIM_ConcreteJob.
pub(super) const JOB: &[Method] = &[
    method(
        "RequestStateChange",
        &[
            input("RequestedState", Uint16),
            input("TimeoutPeriod", Datetime),
        ],
    ),
    method("GetError", &[output("Error", Embedded("CIM_Error"))]),
];
