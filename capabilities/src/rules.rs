//! The rules, one file per idea. Each adds the reasons it finds against one combination; none looks at
//! what another has found, so their order doesn't matter.

mod element;
mod group;
mod limits;
mod pair;
mod peer;
mod relation;

pub(crate) use peer::peer;
pub(crate) use relation::unreadable_target;

use crate::built::BuiltType;
use crate::facts::{Facts, Reach};
use crate::reason::Reason;
use crate::request::{End, Question};
use crate::values::{LocalElementRole, MethodName};
use crate::verdict::Worst;

/// What is built rules out, whatever the state.
pub(crate) fn built(
    question: &Question<'_>,
    built: &BuiltType,
    role: LocalElementRole,
    worst: &mut Worst,
) {
    let method = question.method;
    worst.add_if(
        !built.methods.contains(method),
        Reason::NotByMethod(built.replication_type, method),
    );
    if method == MethodName::CreateSynchronizationAspect {
        worst.add_if(
            role == LocalElementRole::SyncedElement,
            Reason::AspectHasNoTarget,
        );
        return;
    }
    let supplied = question.names_other || role == LocalElementRole::SyncedElement;
    worst.add_if(
        supplied && !built.target_supply.may_supply(),
        Reason::TargetIsCreated(built.sync_type()),
    );
}

/// Both ends, each in its role, and the two together.
pub(crate) fn ends(
    question: &Question<'_>,
    built: &BuiltType,
    role: LocalElementRole,
    facts: &Facts<'_>,
    worst: &mut Worst,
) {
    end(question, question.local, built, role, worst);
    if let Some(other) = question.other.filter(|_| is_live(question)) {
        end(question, other, built, role.opposite(), worst);
    }
    let (source, target) = match role {
        LocalElementRole::SystemElement => (Some(question.local), question.other),
        LocalElementRole::SyncedElement => (question.other, Some(question.local)),
    };
    if role == LocalElementRole::SystemElement {
        limits::space(question, built, worst);
    }
    if question.method == MethodName::CreateSynchronizationAspect {
        limits::aspects(question, built, facts, worst);
        return;
    }
    limits::totals(source, target, built, facts, worst);
    let knows_source = role == LocalElementRole::SystemElement || is_live(question);
    if let Some(source) = source.filter(|_| knows_source) {
        limits::per_source(source, target, built, worst);
    }
    let is_for_groups = question.method == MethodName::CreateGroupReplica;
    match (source, target) {
        (Some(source), Some(target)) => {
            if is_for_groups {
                group::shape(source, target, built, worst);
            }
            pair::ends(source, target, built, worst);
        }
        _ if is_for_groups => group::alone(question.local, built, role, worst),
        _ => (),
    }
}

/// One end in one role.
fn end(
    question: &Question<'_>,
    end: End<'_>,
    built: &BuiltType,
    role: LocalElementRole,
    worst: &mut Worst,
) {
    if let End::Group(it) = end {
        group::itself(question, it, built, role, worst);
    }
    for element in end.members() {
        element::element(element, built, role, worst);
    }
}

/// Whether what the facts say about the other end's state is of now: always here, and of a peer only if
/// it has answered.
fn is_live(question: &Question<'_>) -> bool {
    match question.peer {
        None => true,
        Some((_, peer)) => peer.is_some_and(|peer| peer.reach == Reach::Answers),
    }
}
