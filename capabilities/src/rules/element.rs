//! What one element's own state rules out, in one role. Knows nothing of the other end.

use super::relation;
use crate::built::BuiltType;
use crate::facts::{Element, ElementKind, Store};
use crate::reason::Reason;
use crate::values::{Component, Feature, LocalElementRole, SyncType};
use crate::verdict::Worst;

/// Everything about one element in one role.
pub(super) fn element(
    element: &Element<'_>,
    built: &BuiltType,
    role: LocalElementRole,
    worst: &mut Worst,
) {
    worst.add_if(
        element.kind == ElementKind::Unreplicated,
        Reason::NotReplicated(element.id),
    );
    worst.add_if(
        element.store != Store::Healthy,
        Reason::StoreFault {
            element: element.id,
            store: element.store,
        },
    );
    for lock in element.locks {
        worst.add(Reason::Locked {
            element: element.id,
            lock: *lock,
        });
    }
    match role {
        LocalElementRole::SystemElement => source(element, built, worst),
        LocalElementRole::SyncedElement => target(element, worst),
    }
    for association in element.relations {
        relation::relation(element, association, built, role, worst);
    }
}

fn source(element: &Element<'_>, built: &BuiltType, worst: &mut Worst) {
    let sync_type = built.sync_type();
    worst.add_if(
        !element.copies.contains(sync_type),
        Reason::FormatCannot(element.id, sync_type),
    );
    worst.add_if(
        element.online && built.has(Feature::CopyOperationRequiresOfflineSource),
        Reason::MustBeOffline(element.id),
    );
    if element.is_snapshot() {
        match sync_type {
            SyncType::Mirror => worst.add(Reason::IsSnapshot(element.id)),
            SyncType::Snapshot => chain(element, built, Reason::IsSnapshot(element.id), worst),
            SyncType::Clone => (),
        }
    }
}

fn target(element: &Element<'_>, worst: &mut Worst) {
    worst.add_if(element.is_snapshot(), Reason::IsSnapshot(element.id));
    worst.add_if(element.read_only, Reason::ReadOnly(element.id));
    worst.add_if(
        element.hosts.in_use(),
        Reason::InUseByHosts {
            element: element.id,
            sessions: element.hosts.sessions,
            reserved: element.hosts.reserved,
        },
    );
}

/// Whether a copy of a copy is possible: not at all without the feature, else up to the limit of hops.
pub(super) fn chain(element: &Element<'_>, built: &BuiltType, without: Reason, worst: &mut Worst) {
    if !built.has(Feature::MultiHopElementReplication) {
        worst.add(without);
    } else if built
        .limit_reached(Component::Hops, element.sources.len() as u64)
        .is_some()
    {
        worst.add(Reason::ChainTooLong(element.id));
    }
}
