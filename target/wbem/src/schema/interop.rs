//! What a client finds the rest by: profiles and namespaces.

use super::{Class, Property, class_of};
use crate::value::Type::{Reference, String, Uint16};

pub(super) const CLASSES: &[Class] = &[
    class_of(
        "CIM_RegisteredSpecification",
        Some("CIM_ManagedElement"),
        &[
            Property::new("InstanceID", String).key(),
            Property::new("RegisteredOrganization", Uint16).values(organizations),
            Property::new("RegisteredName", String),
            Property::new("RegisteredVersion", String),
            Property::new("AdvertiseTypes", Uint16)
                .array()
                .values(advertise_types),
        ],
    ),
    class_of(
        "CIM_RegisteredProfile",
        Some("CIM_RegisteredSpecification"),
        &[],
    ),
    class_of(
        "Tidelock_RegisteredProfile",
        Some("CIM_RegisteredProfile"),
        &[],
    )
    .concrete(),
    class_of(
        "CIM_ElementConformsToProfile",
        None,
        &[
            Property::new("ConformantStandard", Reference("CIM_RegisteredProfile")).key(),
            Property::new("ManagedElement", Reference("CIM_ManagedElement")).key(),
        ],
    )
    .association(),
    class_of(
        "Tidelock_ElementConformsToProfile",
        Some("CIM_ElementConformsToProfile"),
        &[],
    )
    .association()
    .concrete(),
    class_of("CIM_WBEMService", Some("CIM_Service"), &[]),
    class_of("CIM_ObjectManager", Some("CIM_WBEMService"), &[]),
    class_of("Tidelock_ObjectManager", Some("CIM_ObjectManager"), &[]).concrete(),
    class_of(
        "CIM_Namespace",
        Some("CIM_ManagedElement"),
        &[
            Property::new("SystemCreationClassName", String).key(),
            Property::new("SystemName", String).key(),
            Property::new("ObjectManagerCreationClassName", String).key(),
            Property::new("ObjectManagerName", String).key(),
            Property::new("CreationClassName", String).key(),
            Property::new("Name", String).key(),
            Property::new("ClassInfo", Uint16),
        ],
    ),
    class_of("Tidelock_Namespace", Some("CIM_Namespace"), &[]).concrete(),
    class_of(
        "CIM_NamespaceInManager",
        Some("CIM_HostedDependency"),
        &[
            Property::new("Antecedent", Reference("CIM_ObjectManager")).key(),
            Property::new("Dependent", Reference("CIM_Namespace")).key(),
        ],
    )
    .association(),
    class_of(
        "Tidelock_NamespaceInManager",
        Some("CIM_NamespaceInManager"),
        &[],
    )
    .association()
    .concrete(),
];

fn organizations() -> Vec<(u16, &'static str)> {
    vec![(1, "Other"), (2, "DMTF"), (11, "SNIA")]
}

fn advertise_types() -> Vec<(u16, &'static str)> {
    vec![(2, "Not Advertised"), (3, "SLP")]
}
