//! The replication model: service, capabilities, groups and associations.

use tidelock_capabilities::values::{
    Action, CopyRecoveryMode, CopyState, Mode, ProgressStatus, ReplicationType, StorageObject,
    SyncState, SyncType,
};

use super::{Class, Property, class_of, methods, numbers};
use crate::value::Type::{Boolean, Datetime, Reference, String, Uint16};

pub(super) const CLASSES: &[Class] = &[
    class_of("CIM_ReplicationService", Some("CIM_Service"), &[]).methods(methods::SERVICE),
    class_of(
        "MSISCSITARGET_ReplicationService",
        Some("CIM_ReplicationService"),
        &[],
    )
    .concrete(),
    class_of(
        "CIM_ReplicationServiceCapabilities",
        Some("CIM_Capabilities"),
        &[
            Property::new("SupportedReplicationTypes", Uint16)
                .array()
                .values(numbers::<ReplicationType>),
            Property::new("SupportedStorageObjects", Uint16)
                .array()
                .values(numbers::<StorageObject>),
            Property::new("SupportedAsynchronousActions", Uint16)
                .array()
                .values(numbers::<Action>),
            Property::new("SupportedSynchronousActions", Uint16)
                .array()
                .values(numbers::<Action>),
        ],
    )
    .methods(methods::CAPABILITIES),
    class_of(
        "MSISCSITARGET_ReplicationServiceCapabilities",
        Some("CIM_ReplicationServiceCapabilities"),
        &[],
    )
    .concrete(),
    class_of(
        "CIM_ReplicationGroup",
        Some("CIM_SystemSpecificCollection"),
        &[
            Property::new("Persistent", Boolean),
            Property::new("DeleteOnEmptyElement", Boolean),
            Property::new("DeleteOnUnassociated", Boolean),
        ],
    ),
    class_of(
        "Tidelock_ReplicationGroup",
        Some("CIM_ReplicationGroup"),
        &[],
    )
    .concrete(),
    class_of(
        "CIM_Synchronized",
        None,
        &[
            Property::new("SystemElement", Reference("CIM_ManagedElement")).key(),
            Property::new("SyncedElement", Reference("CIM_ManagedElement")).key(),
            Property::new("WhenSynced", Datetime),
            Property::new("SyncMaintained", Boolean),
            Property::new("SyncType", Uint16).values(numbers::<SyncType>),
            Property::new("Mode", Uint16).values(numbers::<Mode>),
            Property::new("CopyState", Uint16).values(numbers::<CopyState>),
            Property::new("RequestedCopyState", Uint16).values(numbers::<CopyState>),
            Property::new("ProgressStatus", Uint16).values(numbers::<ProgressStatus>),
            Property::new("PercentSynced", Uint16),
        ],
    )
    .association(),
    class_of(
        "CIM_StorageSynchronized",
        Some("CIM_Synchronized"),
        &[
            Property::new("CopyType", Uint16).values(copy_type),
            Property::new("ReplicaType", Uint16).values(replica_type),
            Property::new("SyncState", Uint16).values(numbers::<SyncState>),
            Property::new("CopyRecoveryMode", Uint16).values(numbers::<CopyRecoveryMode>),
            Property::new("FailedCopyStopsHostIO", Boolean),
        ],
    )
    .association(),
    class_of(
        "MSISCSITARGET_StorageSynchronized",
        Some("CIM_StorageSynchronized"),
        &[],
    )
    .association()
    .concrete(),
    class_of(
        "CIM_GroupSynchronized",
        Some("CIM_Synchronized"),
        &[
            Property::new("RelationshipName", String),
            Property::new("ConsistencyEnabled", Boolean),
        ],
    )
    .association(),
    class_of(
        "Tidelock_GroupSynchronized",
        Some("CIM_GroupSynchronized"),
        &[],
    )
    .association()
    .concrete(),
    class_of(
        "CIM_SettingData",
        Some("CIM_ManagedElement"),
        &[
            Property::new("InstanceID", String).key(),
            Property::new("ElementName", String),
        ],
    ),
    class_of(
        "CIM_SynchronizationAspect",
        Some("CIM_SettingData"),
        &[
            Property::new("SyncType", Uint16).values(numbers::<SyncType>),
            Property::new("ConsistencyEnabled", Boolean),
            Property::new("WhenPointInTime", Datetime),
            Property::new("SourceElement", String),
        ],
    ),
    class_of(
        "Tidelock_SynchronizationAspect",
        Some("CIM_SynchronizationAspect"),
        &[],
    )
    .concrete(),
    class_of(
        "CIM_SettingsDefineState",
        None,
        &[
            Property::new("ManagedElement", Reference("CIM_ManagedElement")).key(),
            Property::new("SettingData", Reference("CIM_SettingData")).key(),
        ],
    )
    .association(),
    class_of(
        "Tidelock_SettingsDefineState",
        Some("CIM_SettingsDefineState"),
        &[],
    )
    .association()
    .concrete(),
    class_of(
        "CIM_ReplicationSettingData",
        Some("CIM_SettingData"),
        &[
            Property::new("ConsistentPointInTime", Boolean),
            Property::new("DesiredCopyMethodology", Uint16),
            Property::new("OnGroupOrListError", Uint16),
            Property::new("TargetElementSupplier", Uint16),
            Property::new("FailedCopyStopsHostIO", Boolean),
            Property::new("CopyRecoveryMode", Uint16).values(numbers::<CopyRecoveryMode>),
            Property::new("UnequalListsAction", Uint16),
            Property::new("ReadOnly", Uint16),
        ],
    ),
];

fn copy_type() -> Vec<(u16, &'static str)> {
    vec![
        (2, "Async"),
        (3, "Sync"),
        (4, "UnSyncAssoc"),
        (5, "UnSyncUnAssoc"),
    ]
}

fn replica_type() -> Vec<(u16, &'static str)> {
    vec![
        (0, "Not Specified"),
        (2, "Full Copy"),
        (3, "Before Delta"),
        (4, "After Delta"),
        (5, "Log"),
    ]
}
