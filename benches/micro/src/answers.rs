//! What an element supports right now.

use tidelock_capabilities::built::{BuiltCapabilities, BuiltType, TargetSupply};
use tidelock_capabilities::facts::{Element, ElementId, Facts, Totals};
use tidelock_capabilities::values::{EnabledState, MethodName, ReplicationType};
use tidelock_capabilities::{AccessPoint, Decision, Reference, Request, decide};

/// A service with snapshots and clones.
#[must_use]
pub fn built() -> BuiltCapabilities {
    let types = [
        (
            ReplicationType::SynchronousSnapshotLocal,
            TargetSupply::Created,
        ),
        (
            ReplicationType::AsynchronousCloneLocal,
            TargetSupply::CreatedOrSupplied,
        ),
        (
            ReplicationType::SynchronousMirrorLocal,
            TargetSupply::CreatedOrSupplied,
        ),
        (
            ReplicationType::AsynchronousMirrorRemote,
            TargetSupply::CreatedOrSupplied,
        ),
    ]
    .map(|(replication_type, supply)| {
        let mut built = BuiltType::new(replication_type, supply);
        built.methods = MethodName::set(&[MethodName::CreateElementReplica]);
        built
    });
    BuiltCapabilities {
        types: types.into(),
        ..BuiltCapabilities::default()
    }
}

/// GetSynchronizationSupported of one volume.
#[must_use]
pub fn answer(built: &BuiltCapabilities) -> Decision {
    let elements = [Element::volume(ElementId(1), 1 << 40, 512)];
    let facts = Facts {
        generation: 42,
        service: EnabledState::Enabled,
        built,
        elements: &elements,
        groups: &[],
        peers: &[],
        totals: Totals::default(),
    };
    let request = Request {
        local_element: Reference::Element(ElementId(1)),
        other_element: Reference::Null,
        other_element_access_point: AccessPoint::Null,
        method_name: 2,
    };
    decide(&request, &facts)
}
