//! Indications, and how clients subscribe to them.

use super::{Class, Property, class_of};
use crate::value::Type::{Boolean, Datetime, Embedded, Reference, String, Uint16};

pub(super) const CLASSES: &[Class] = &[
    class_of(
        "CIM_IndicationFilter",
        Some("CIM_ManagedElement"),
        &[
            Property::new("SystemCreationClassName", String).key(),
            Property::new("SystemName", String).key(),
            Property::new("CreationClassName", String).key(),
            Property::new("Name", String).key(),
            Property::new("SourceNamespace", String),
            Property::new("SourceNamespaces", String).array(),
            Property::new("Query", String),
            Property::new("QueryLanguage", String),
            Property::new("IndividualSubscriptionSupported", Boolean),
        ],
    )
    .concrete(),
    class_of(
        "CIM_ListenerDestination",
        Some("CIM_ManagedElement"),
        &[
            Property::new("SystemCreationClassName", String).key(),
            Property::new("SystemName", String).key(),
            Property::new("CreationClassName", String).key(),
            Property::new("Name", String).key(),
            Property::new("PersistenceType", Uint16),
            Property::new("Destination", String),
            Property::new("Protocol", Uint16),
        ],
    ),
    class_of(
        "CIM_ListenerDestinationCIMXML",
        Some("CIM_ListenerDestination"),
        &[],
    )
    .concrete(),
    class_of(
        "CIM_IndicationSubscription",
        None,
        &[
            Property::new("Filter", Reference("CIM_IndicationFilter")).key(),
            Property::new("Handler", Reference("CIM_ListenerDestination")).key(),
            Property::new("OnFatalErrorPolicy", Uint16),
            Property::new("RepeatNotificationPolicy", Uint16),
            Property::new("SubscriptionState", Uint16),
        ],
    )
    .association()
    .concrete(),
    class_of(
        "CIM_Indication",
        None,
        &[
            Property::new("IndicationIdentifier", String),
            Property::new("IndicationTime", Datetime),
            Property::new("PerceivedSeverity", Uint16).values(severities),
        ],
    ),
    class_of(
        "CIM_InstIndication",
        Some("CIM_Indication"),
        &[Property::new("SourceInstance", Embedded(""))],
    ),
    class_of("CIM_InstCreation", Some("CIM_InstIndication"), &[]),
    class_of("CIM_InstDeletion", Some("CIM_InstIndication"), &[]),
    class_of(
        "CIM_InstModification",
        Some("CIM_InstIndication"),
        &[Property::new("PreviousInstance", Embedded(""))],
    ),
    class_of(
        "CIM_InstMethodCall",
        Some("CIM_InstIndication"),
        &[
            Property::new("MethodName", String),
            Property::new("ReturnValue", String),
            Property::new("Error", Embedded("CIM_Error")).array(),
            Property::new("PreCall", Boolean),
        ],
    ),
    class_of("CIM_ProcessIndication", Some("CIM_Indication"), &[]),
    class_of(
        "CIM_AlertIndication",
        Some("CIM_ProcessIndication"),
        &[
            Property::new("AlertingManagedElement", String),
            Property::new("AlertingElementFormat", Uint16),
            Property::new("AlertType", Uint16).values(alert_types),
            Property::new("ProbableCause", Uint16),
            Property::new("SystemCreationClassName", String),
            Property::new("SystemName", String),
            Property::new("OwningEntity", String),
            Property::new("MessageID", String),
            Property::new("Message", String),
        ],
    ),
];

fn severities() -> Vec<(u16, &'static str)> {
    vec![
        (0, "Unknown"),
        (1, "Other"),
        (2, "Information"),
        (3, "Degraded/Warning"),
        (4, "Minor"),
        (5, "Major"),
        (6, "Critical"),
        (7, "Fatal/NonRecoverable"),
    ]
}

fn alert_types() -> Vec<(u16, &'static str)> {
    vec![
        (1, "Other"),
        (2, "Communications Alert"),
        (3, "Quality of Service Alert"),
        (4, "Processing Error"),
        (5, "Device Alert"),
        (6, "Environmental Alert"),
        (7, "Model Change"),
        (8, "Security Alert"),
    ]
}
