//! Limits and space: what could be, if there were fewer or if there were more room.

use crate::built::BuiltType;
use crate::facts::{Element, Facts, Reach};
use crate::reason::Reason;
use crate::request::{End, Question};
use crate::values::{Component, MethodName};
use crate::verdict::Worst;

/// Whether each source may have its further targets: one each, or a whole group of them.
pub(super) fn per_source(
    source: End<'_>,
    target: Option<End<'_>>,
    built: &BuiltType,
    worst: &mut Worst,
) {
    let further = match (source, target) {
        (End::Element(_), Some(target)) => target.members().len(),
        _ => 1,
    };
    for element in source.members() {
        let wanted = element
            .targets(built.sync_type())
            .saturating_add(further as u64);
        check_total(
            built,
            Component::TargetElementsPerSourceElement,
            wanted,
            worst,
        );
    }
}

/// Whether the service may have more associations: the sources that are none yet, and a target for each
/// member.
pub(super) fn totals(
    source: Option<End<'_>>,
    target: Option<End<'_>>,
    built: &BuiltType,
    facts: &Facts<'_>,
    worst: &mut Worst,
) {
    let sync_type = built.sync_type();
    let total = facts.totals.of(sync_type);
    let members = |end: Option<End<'_>>| end.map(|it| it.members().len());
    let new_targets = members(source).max(members(target)).unwrap_or(1);
    // Of a source that isn't named nothing is known, so it counts as a new one.
    let one_if_any = new_targets.min(1);
    let new_sources = source.map_or(one_if_any, |it| {
        let is_new = |element: &&Element<'_>| element.targets(sync_type) == 0;
        it.members().iter().filter(is_new).count()
    });
    let add = |count: u64, new: usize| count.saturating_add(new as u64);
    if new_targets > 0 {
        let targets = add(total.targets, new_targets);
        check_total(built, Component::TotalTargetElements, targets, worst);
    }
    if new_sources > 0 {
        let sources = add(total.sources, new_sources);
        check_total(built, Component::TotalSourceElements, sources, worst);
    }
}

/// Whether there may be one more aspect of each member.
pub(super) fn aspects(
    question: &Question<'_>,
    built: &BuiltType,
    facts: &Facts<'_>,
    worst: &mut Worst,
) {
    let members = question.local.members();
    check_total(
        built,
        Component::SynchronizationAspects,
        facts.totals.aspects.saturating_add(members.len() as u64),
        worst,
    );
    for element in members {
        check(
            built,
            Component::SynchronizationAspectsPerSourceElement,
            element.aspects,
            worst,
        );
    }
    if let End::Group(group) = question.local {
        check(
            built,
            Component::SynchronizationAspectsPerSourceGroup,
            group.aspects,
            worst,
        );
    }
}

/// Whether there is space for what the service has to make: at the peer if the copy is remote.
pub(super) fn space(question: &Question<'_>, built: &BuiltType, worst: &mut Worst) {
    let creates = question.method == MethodName::CreateSynchronizationAspect
        || (!question.names_other && built.target_supply.may_create());
    if !creates {
        return;
    }
    let sync_type = built.sync_type();
    for element in question.local.members() {
        let element_id = element.id;
        let at = question.peer.map(|(peer, _)| peer);
        let has_room = match question.peer {
            None => element.room_for.contains(sync_type),
            Some((_, Some(peer))) => {
                peer.reach != Reach::Answers || peer.room_for.contains(sync_type)
            }
            // The peer's own rule says that nothing is known of it.
            Some((_, None)) => true,
        };
        worst.add_if(
            !has_room,
            Reason::NoSpace {
                element: element_id,
                at,
            },
        );
    }
}

/// Refuses one more where `present` is the limit.
pub(super) fn check(built: &BuiltType, component: Component, present: u64, worst: &mut Worst) {
    if let Some(maximum) = built.limit_reached(component, present) {
        worst.add(Reason::LimitReached { component, maximum });
    }
}

/// Refuses to have `wanted` where the limit is less.
pub(super) fn check_total(built: &BuiltType, component: Component, wanted: u64, worst: &mut Worst) {
    check(built, component, wanted.saturating_sub(1), worst);
}
