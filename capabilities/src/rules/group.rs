//! What groups rule out, beyond what each of their members does.

use super::limits;
use crate::built::BuiltType;
use crate::facts::{Element, Group, ReservedAs};
use crate::reason::Reason;
use crate::request::{End, Question};
use crate::values::{Component, GroupFeature, LocalElementRole, MethodName};
use crate::verdict::Worst;

/// One group in one role.
pub(super) fn itself(
    question: &Question<'_>,
    group: &Group<'_>,
    built: &BuiltType,
    role: LocalElementRole,
    worst: &mut Worst,
) {
    let is_source = role == LocalElementRole::SystemElement;
    let has = |feature| built.group_features.contains(feature);
    if question.method == MethodName::CreateSynchronizationAspect {
        worst.add_if(
            !has(GroupFeature::SupportsSynchronizationAspectOfReplicationGroup),
            Reason::GroupAspectsNotBuilt,
        );
    } else {
        // A group of targets may belong to one source as well.
        let fits = has(GroupFeature::ManyToManyGroups)
            || (!is_source && has(GroupFeature::OneToManyReplication));
        worst.add_if(!fits, Reason::ManyToManyNotBuilt);
        worst.add_if(
            group.relations > 0 && has(GroupFeature::GroupCanOnlyHaveOneSingleRelationshipActive),
            Reason::GroupInRelation(group.id),
        );
    }
    worst.add_if(
        group.members.is_empty() && !has(GroupFeature::EmptyReplicationGroupsAllowed),
        Reason::GroupEmpty(group.id),
    );
    worst.add_if(
        is_source
            && group.members.len() == 1
            && has(GroupFeature::SourceGroupMustHaveMoreThanOneElement),
        Reason::GroupTooSmall(group.id),
    );
    let (excluded, component) = if is_source {
        (ReservedAs::TargetOnly, Component::ElementsPerSourceGroup)
    } else {
        (ReservedAs::SourceOnly, Component::ElementsPerTargetGroup)
    };
    worst.add_if(
        group.reserved_as == excluded,
        Reason::GroupReserved {
            group: group.id,
            reserved_as: group.reserved_as,
        },
    );
    limits::check_total(built, component, group.members.len() as u64, worst);
}

/// What CreateGroupReplica makes of one end alone.
pub(super) fn alone(local: End<'_>, built: &BuiltType, role: LocalElementRole, worst: &mut Worst) {
    if let End::Element(element) = local {
        match role {
            LocalElementRole::SystemElement => one_to_many(built, worst),
            LocalElementRole::SyncedElement => worst.add(Reason::TargetIsNoGroup(element.id)),
        }
    }
}

/// What CreateGroupReplica makes of the two ends.
pub(super) fn shape(source: End<'_>, target: End<'_>, built: &BuiltType, worst: &mut Worst) {
    if let End::Element(_) = source {
        one_to_many(built, worst);
    }
    match (source, target) {
        (_, End::Element(target)) => worst.add(Reason::TargetIsNoGroup(target.id)),
        (End::Element(_), End::Group(_)) => (),
        (End::Group(source), End::Group(target)) => {
            let counts = (source.members.len() as u64, target.members.len() as u64);
            worst.add_if(
                counts.0 != counts.1,
                Reason::GroupsUnequal {
                    source: counts.0,
                    target: counts.1,
                },
            );
        }
    }
    // Wherever it stands in them: it would be source and target at once.
    for element in source.members() {
        let is_same = |other: &Element<'_>| other.id == element.id;
        worst.add_if(
            target.members().iter().any(is_same),
            Reason::SameElement(element.id),
        );
    }
}

fn one_to_many(built: &BuiltType, worst: &mut Worst) {
    worst.add_if(
        !built
            .group_features
            .contains(GroupFeature::OneToManyReplication),
        Reason::OneToManyNotBuilt,
    );
}
