//! What everything is derived from: the core model.

use super::{Class, Property, class_of};
use crate::value::Type::{Reference, String, Uint16, Uint32};

const fn end(name: &'static str) -> Property {
    Property::new(name, Reference("CIM_ManagedElement")).key()
}

pub(super) const CLASSES: &[Class] = &[
    class_of(
        "CIM_Error",
        None,
        &[
            Property::new("ErrorType", Uint16),
            Property::new("OwningEntity", String),
            Property::new("MessageID", String),
            Property::new("Message", String),
            Property::new("PerceivedSeverity", Uint16),
            Property::new("CIMStatusCode", Uint32),
            Property::new("CIMStatusCodeDescription", String),
        ],
    ),
    class_of(
        "CIM_ManagedElement",
        None,
        &[
            Property::new("Caption", String),
            Property::new("Description", String),
            Property::new("ElementName", String),
        ],
    ),
    class_of(
        "CIM_ManagedSystemElement",
        Some("CIM_ManagedElement"),
        &[
            Property::new("Name", String),
            Property::new("OperationalStatus", Uint16)
                .array()
                .values(operational_status),
            Property::new("HealthState", Uint16).values(health_state),
        ],
    ),
    class_of("CIM_LogicalElement", Some("CIM_ManagedSystemElement"), &[]),
    class_of(
        "CIM_EnabledLogicalElement",
        Some("CIM_LogicalElement"),
        &[
            Property::new("EnabledState", Uint16)
                .values(super::numbers::<tidelock_capabilities::values::EnabledState>),
            Property::new("RequestedState", Uint16),
        ],
    ),
    class_of(
        "CIM_System",
        Some("CIM_EnabledLogicalElement"),
        &[
            Property::new("CreationClassName", String).key(),
            Property::new("Name", String).key(),
            Property::new("NameFormat", String),
        ],
    ),
    class_of(
        "CIM_ComputerSystem",
        Some("CIM_System"),
        &[Property::new("Dedicated", Uint16).array()],
    ),
    class_of("Tidelock_ComputerSystem", Some("CIM_ComputerSystem"), &[]).concrete(),
    class_of("Tidelock_PeerSystem", Some("CIM_ComputerSystem"), &[]).concrete(),
    class_of(
        "CIM_ServiceAccessPoint",
        Some("CIM_EnabledLogicalElement"),
        &[
            Property::new("SystemCreationClassName", String).key(),
            Property::new("SystemName", String).key(),
            Property::new("CreationClassName", String).key(),
            Property::new("Name", String).key(),
        ],
    ),
    class_of(
        "CIM_RemoteServiceAccessPoint",
        Some("CIM_ServiceAccessPoint"),
        &[
            Property::new("AccessInfo", String),
            Property::new("InfoFormat", Uint16),
            Property::new("OtherInfoFormatDescription", String),
        ],
    ),
    class_of(
        "Tidelock_PeerAccessPoint",
        Some("CIM_RemoteServiceAccessPoint"),
        &[],
    )
    .concrete(),
    class_of(
        "CIM_Service",
        Some("CIM_EnabledLogicalElement"),
        &[
            Property::new("SystemCreationClassName", String).key(),
            Property::new("SystemName", String).key(),
            Property::new("CreationClassName", String).key(),
            Property::new("Name", String).key(),
            Property::new("Started", crate::value::Type::Boolean),
        ],
    ),
    class_of(
        "CIM_Capabilities",
        Some("CIM_ManagedElement"),
        &[
            Property::new("InstanceID", String).key(),
            Property::new("ElementName", String),
        ],
    ),
    class_of("CIM_Collection", Some("CIM_ManagedElement"), &[]),
    class_of(
        "CIM_SystemSpecificCollection",
        Some("CIM_Collection"),
        &[Property::new("InstanceID", String).key()],
    ),
    class_of(
        "CIM_Dependency",
        None,
        &[end("Antecedent"), end("Dependent")],
    )
    .association(),
    class_of("CIM_HostedDependency", Some("CIM_Dependency"), &[]).association(),
    class_of(
        "CIM_HostedAccessPoint",
        Some("CIM_HostedDependency"),
        &[
            Property::new("Antecedent", Reference("CIM_System")).key(),
            Property::new("Dependent", Reference("CIM_ServiceAccessPoint")).key(),
        ],
    )
    .association(),
    class_of(
        "Tidelock_PeerHostedAccessPoint",
        Some("CIM_HostedAccessPoint"),
        &[],
    )
    .association()
    .concrete(),
    class_of(
        "CIM_HostedService",
        Some("CIM_HostedDependency"),
        &[
            Property::new("Antecedent", Reference("CIM_System")).key(),
            Property::new("Dependent", Reference("CIM_Service")).key(),
        ],
    )
    .association(),
    class_of(
        "MSISCSITARGET_HostedService",
        Some("CIM_HostedService"),
        &[],
    )
    .association()
    .concrete(),
    class_of(
        "CIM_HostedCollection",
        Some("CIM_HostedDependency"),
        &[
            Property::new("Antecedent", Reference("CIM_System")).key(),
            Property::new("Dependent", Reference("CIM_SystemSpecificCollection")).key(),
        ],
    )
    .association(),
    class_of(
        "Tidelock_HostedCollection",
        Some("CIM_HostedCollection"),
        &[],
    )
    .association()
    .concrete(),
    class_of(
        "CIM_Component",
        None,
        &[end("GroupComponent"), end("PartComponent")],
    )
    .association(),
    class_of(
        "CIM_SystemComponent",
        Some("CIM_Component"),
        &[
            Property::new("GroupComponent", Reference("CIM_System")).key(),
            Property::new("PartComponent", Reference("CIM_ManagedSystemElement")).key(),
        ],
    )
    .association(),
    class_of(
        "CIM_ElementCapabilities",
        None,
        &[
            end("ManagedElement"),
            Property::new("Capabilities", Reference("CIM_Capabilities")).key(),
        ],
    )
    .association(),
    class_of(
        "MSISCSITARGET_ElementCapabilities",
        Some("CIM_ElementCapabilities"),
        &[],
    )
    .association()
    .concrete(),
    class_of(
        "CIM_MemberOfCollection",
        None,
        &[
            Property::new("Collection", Reference("CIM_Collection")).key(),
            end("Member"),
        ],
    )
    .association(),
    class_of(
        "CIM_OrderedMemberOfCollection",
        Some("CIM_MemberOfCollection"),
        &[Property::new(
            "AssignedSequence",
            crate::value::Type::Uint64,
        )],
    )
    .association(),
    class_of(
        "Tidelock_OrderedMemberOfCollection",
        Some("CIM_OrderedMemberOfCollection"),
        &[],
    )
    .association()
    .concrete(),
];

fn operational_status() -> Vec<(u16, &'static str)> {
    vec![
        (0, "Unknown"),
        (2, "OK"),
        (6, "Error"),
        (12, "No Contact"),
        (17, "Completed"),
    ]
}

fn health_state() -> Vec<(u16, &'static str)> {
    vec![(0, "Unknown"), (5, "OK"), (25, "Critical failure")]
}
