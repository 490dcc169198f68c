//! Volumes and jobs.

use super::{Class, Property, class_of, methods};
use crate::value::Type::{Boolean, Datetime, Reference, String, Uint16, Uint64};

pub(super) const CLASSES: &[Class] = &[
    class_of(
        "CIM_LogicalDevice",
        Some("CIM_EnabledLogicalElement"),
        &[
            Property::new("SystemCreationClassName", String).key(),
            Property::new("SystemName", String).key(),
            Property::new("CreationClassName", String).key(),
            Property::new("DeviceID", String).key(),
            Property::new("OtherIdentifyingInfo", String).array(),
            Property::new("IdentifyingDescriptions", String).array(),
        ],
    ),
    class_of(
        "CIM_StorageExtent",
        Some("CIM_LogicalDevice"),
        &[
            Property::new("Access", Uint16).values(access),
            Property::new("BlockSize", Uint64),
            Property::new("NumberOfBlocks", Uint64),
            Property::new("ConsumableBlocks", Uint64),
            Property::new("Primordial", Boolean),
            Property::new("NameFormat", Uint16).values(name_format),
            Property::new("NameNamespace", Uint16).values(name_namespace),
        ],
    ),
    class_of(
        "CIM_StorageVolume",
        Some("CIM_StorageExtent"),
        &[Property::new("Usage", Uint16).values(usage)],
    ),
    class_of(
        "MSISCSITARGET_StorageVolume",
        Some("CIM_StorageVolume"),
        &[],
    )
    .concrete(),
    class_of(
        "CIM_SystemDevice",
        Some("CIM_SystemComponent"),
        &[
            Property::new("GroupComponent", Reference("CIM_System")).key(),
            Property::new("PartComponent", Reference("CIM_LogicalDevice")).key(),
        ],
    )
    .association(),
    class_of("MSISCSITARGET_SystemDevice", Some("CIM_SystemDevice"), &[])
        .association()
        .concrete(),
    class_of(
        "CIM_Job",
        Some("CIM_LogicalElement"),
        &[
            Property::new("JobStatus", String),
            Property::new("StartTime", Datetime),
            Property::new("PercentComplete", Uint16),
            Property::new("DeleteOnCompletion", Boolean),
            Property::new("ErrorCode", Uint16),
            Property::new("ErrorDescription", String),
        ],
    ),
    class_of(
        "CIM_ConcreteJob",
        Some("CIM_Job"),
        &[
            Property::new("InstanceID", String).key(),
            Property::new("JobState", Uint16).values(job_state),
            Property::new("TimeBeforeRemoval", Datetime),
        ],
    )
    .methods(methods::JOB),
    class_of("MSISCSITARGET_ConcreteJob", Some("CIM_ConcreteJob"), &[]).concrete(),
    class_of(
        "CIM_AffectedJobElement",
        None,
        &[
            Property::new("AffectedElement", Reference("CIM_ManagedElement")).key(),
            Property::new("AffectingElement", Reference("CIM_Job")).key(),
        ],
    )
    .association(),
    class_of(
        "MSISCSITARGET_AffectedJobElement",
        Some("CIM_AffectedJobElement"),
        &[],
    )
    .association()
    .concrete(),
    class_of(
        "CIM_OwningJobElement",
        None,
        &[
            Property::new("OwningElement", Reference("CIM_ManagedElement")).key(),
            Property::new("OwnedElement", Reference("CIM_Job")).key(),
        ],
    )
    .association(),
    class_of(
        "Tidelock_OwningJobElement",
        Some("CIM_OwningJobElement"),
        &[],
    )
    .association()
    .concrete(),
];

fn access() -> Vec<(u16, &'static str)> {
    vec![(1, "Readable"), (3, "Read/Write Supported")]
}

fn name_format() -> Vec<(u16, &'static str)> {
    vec![(1, "Other"), (9, "NAA")]
}

fn name_namespace() -> Vec<(u16, &'static str)> {
    vec![(1, "Other"), (2, "VPD83Type3")]
}

fn usage() -> Vec<(u16, &'static str)> {
    vec![
        (2, "Unrestricted"),
        (6, "Local Replica Source"),
        (8, "Local Replica Target"),
        (10, "Local Replica Source or Target"),
        (12, "Delta Replica Target"),
    ]
}

fn job_state() -> Vec<(u16, &'static str)> {
    vec![
        (2, "New"),
        (3, "Starting"),
        (4, "Running"),
        (5, "Suspended"),
        (6, "Shutting Down"),
        (7, "Completed"),
        (8, "Terminated"),
        (9, "Killed"),
        (10, "Exception"),
        (11, "Service"),
        (12, "Query Pending"),
    ]
}
