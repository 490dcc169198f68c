//! ModifyReplicaSynchronization: the association's own state first, then what its two ends and the peer say.

use super::refusal::OperationRefusal;
use super::row::{Outcome, Remains, Row, Scope, Touches};
use super::transition::{Transition, transition};
use super::{closure, row};
use crate::built::{BuiltCapabilities, BuiltType};
use crate::facts::{Association, AssociationKey, Element, Facts, Place, Reach, Store};
use crate::reason::Reason;
use crate::rules::unreadable_target;
use crate::values::{
    CopyState, Feature, LocalOrRemote, Operation, ProgressStatus, ReplicationType, SyncType,
};
use crate::verdict::{Verdict, Worst};

/// What is to be done with an association of two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modification {
    /// Operation.
    pub operation: Operation,
    /// Synchronization.
    pub synchronization: AssociationKey,
    /// Force.
    pub force: bool,
}

/// What an operation does, or why it is refused. The facts hold the ends that are here, with the
/// association among the relations of one of them.
///
/// # Errors
///
/// Why it is refused.
pub fn modify(
    modification: &Modification,
    facts: &Facts<'_>,
) -> Result<Transition, OperationRefusal> {
    let found = Found::new(modification.synchronization, facts)?;
    let transition = transition(
        modification.operation,
        &found.association,
        Scope::Element,
        found.built,
        modification.force,
    )?;
    if let Outcome::ChangesMode(mode) = transition.row.outcome {
        let (sync_type, _, locality) = found.built.replication_type.parts();
        let other = ReplicationType::of(sync_type, mode, locality);
        if facts.built.of(other).is_none() {
            return Err(OperationRefusal::TypeNotBuilt(other));
        }
    }
    found.ends(transition.row, facts, modification.force)?;
    Ok(transition)
}

/// How the type of an association is built.
pub(crate) fn association_type<'a>(
    key: AssociationKey,
    facts: &Facts<'a>,
) -> Result<&'a BuiltType, OperationRefusal> {
    Found::new(key, facts).map(|found| found.built)
}

/// An association and its ends, as far as the facts have them.
struct Found<'a> {
    association: Association,
    built: &'a BuiltType,
    source: Option<&'a Element<'a>>,
    target: Option<&'a Element<'a>>,
}

impl<'a> Found<'a> {
    fn new(key: AssociationKey, facts: &Facts<'a>) -> Result<Self, OperationRefusal> {
        let source = facts.element(key.system_element);
        let target = facts.element(key.synced_element);
        let mut relations = [source, target]
            .into_iter()
            .flatten()
            .flat_map(|end| end.relations);
        let association = *relations
            .find(|relation| relation.key == key)
            .ok_or(OperationRefusal::NoAssociation(key))?;
        // An end of which nothing is known is at a peer.
        let is_here = |end: Option<&Element<'_>>| end.is_some_and(|it| it.place == Place::Here);
        let locality = if is_here(source) && is_here(target) {
            LocalOrRemote::Local
        } else {
            LocalOrRemote::Remote
        };
        Ok(Self {
            association,
            built: type_of(&association, locality, facts.built)?,
            source,
            target,
        })
    }

    /// What the ends and the peer say to a row.
    fn ends(&self, row: &Row, facts: &Facts<'_>, force: bool) -> Result<(), OperationRefusal> {
        let must_be_read_only = row.operation == Operation::ReverseRoles
            && row::behaves(
                self.built,
                Scope::Element,
                Feature::ReverseRolesOperationRequiresReadOnlySource,
            );
        if must_be_read_only && self.source.is_some_and(|it| !it.read_only) {
            return Err(OperationRefusal::SourceNotReadOnly);
        }
        // Hosts that are told that everything may have changed can live with a restore.
        let may_be_used = force && row.outcome == Outcome::Restores;
        let mut worst = Worst::default();
        if row.both_ends {
            self.peer(facts, &mut worst);
        }
        for (end, is_touched) in [
            (self.source, row.touches == Touches::Source),
            (self.target, self.touches_target(row)),
        ] {
            let Some(end) = end.filter(|it| is_live(it, facts)) else {
                continue;
            };
            worst.add_if(
                row.both_ends && end.store != Store::Healthy,
                Reason::StoreFault {
                    element: end.id,
                    store: end.store,
                },
            );
            for lock in end.locks {
                worst.add(Reason::Locked {
                    element: end.id,
                    lock: *lock,
                });
            }
            worst.add_if(
                is_touched && end.hosts.in_use() && !may_be_used,
                Reason::InUseByHosts {
                    element: end.id,
                    sessions: end.hosts.sessions,
                    reserved: end.hosts.reserved,
                },
            );
        }
        self.other_copies(row, &mut worst);
        match worst.verdict() {
            Verdict::Supported => Ok(()),
            Verdict::Refused(reason) => Err(OperationRefusal::End(reason)),
        }
    }

    /// What the other associations of the two ends say.
    fn other_copies(&self, row: &Row, worst: &mut Worst) {
        let this = self.association.key;
        let others = |end: Option<&'a Element<'a>>| {
            let all = end.map_or(&[][..], |it| it.relations).iter();
            all.filter(move |relation| relation.key != this)
        };
        for relation in others(self.source) {
            if relation.key.system_element == this.system_element {
                of_the_same_source(row, relation, worst);
            }
            if relation.key.synced_element == this.system_element {
                onto_the_source(row, relation, worst);
            }
        }
        let relies_on_target = row.touches == Touches::Source
            || row.outcome == Outcome::Reverses
            || row.operation == Operation::Failover;
        for relation in others(self.target) {
            if relation.key.system_element != this.synced_element {
                continue;
            }
            worst.add_if(
                relation.is_restoring() && (relies_on_target || row.both_ends),
                Reason::BeingRestored(relation.key),
            );
            worst.add_if(
                !relation.source_consistent && relies_on_target,
                Reason::HalfRestored(relation.key),
            );
        }
        if row.outcome == Outcome::Ends(Remains::Nothing)
            && let Some(target) = self.target
        {
            let is_source = |relation: &Association| relation.key.system_element == target.id;
            let has_copies = target.relations.iter().any(is_source)
                || target.snapshots > 0
                || target.clones > 0
                || target.aspects > 0;
            worst.add_if(has_copies, Reason::HasCopies(target.id));
        }
    }

    /// Whether hosts may have data in the target that the row replaces. Where they can't use it, sessions
    /// that see it do no harm.
    fn touches_target(&self, row: &Row) -> bool {
        row.touches == Touches::Target
            && closure::host_accessible(self.association.sync_type, self.association.copy_state)
    }

    /// A peer that has to take part has to answer.
    fn peer(&self, facts: &Facts<'_>, worst: &mut Worst) {
        for end in [self.source, self.target].into_iter().flatten() {
            let Place::At(id) = end.place else { continue };
            match facts.peer(id).map_or(Reach::NotAsked, |peer| peer.reach) {
                Reach::Answers => (),
                Reach::NotAsked => worst.add(Reason::PeerNotAsked(id)),
                Reach::Silent => worst.add(Reason::PeerSilent(id)),
                Reach::Faulty(fault) => worst.add(Reason::PeerFaulty(id, fault)),
                Reach::Incompatible => worst.add(Reason::PeerIncompatible(id)),
            }
        }
    }
}

/// Another copy of the same source.
fn of_the_same_source(row: &Row, other: &Association, worst: &mut Worst) {
    // What is being overwritten is neither read nor overwritten once more.
    worst.add_if(
        row.both_ends && other.is_restoring(),
        Reason::BeingRestored(other.key),
    );
    worst.add_if(
        row.both_ends && other.progress_status == ProgressStatus::FailingBack,
        Reason::ChangingOver(other.key),
    );
    if other.sync_type != SyncType::Mirror {
        return;
    }
    // The source would be a target and a source at once.
    worst.add_if(
        row.outcome == Outcome::Reverses,
        Reason::IsSource(other.key),
    );
    let flows = other.is_copying() || other.copy_state == CopyState::Synchronized;
    worst.add_if(
        row.touches == Touches::Source && flows,
        Reason::FlowsOn(other.key),
    );
}

/// Another copy whose target is the source of this one.
fn onto_the_source(row: &Row, other: &Association, worst: &mut Worst) {
    // Where a host may write it, it may be overwritten by a restore as well.
    let may_be_written =
        closure::host_accessible(other.sync_type, other.copy_state) && !other.is_copying();
    worst.add_if(
        row.outcome == Outcome::Reverses || (row.touches == Touches::Source && !may_be_written),
        Reason::IsTarget(other.key),
    );
    // What isn't copied in the first place isn't copied again.
    let reads_source = row.outcome == Outcome::Flows && row.touches == Touches::Target;
    if let Some(reason) = unreadable_target(other).filter(|_| reads_source) {
        worst.add(reason);
    }
}

/// Whether what is known of an end is of now.
fn is_live(end: &Element<'_>, facts: &Facts<'_>) -> bool {
    match end.place {
        Place::Here => true,
        Place::At(id) => facts
            .peer(id)
            .is_some_and(|peer| peer.reach == Reach::Answers),
    }
}

/// How a type is built, by what the association says of it.
fn type_of<'a>(
    association: &Association,
    locality: LocalOrRemote,
    built: &'a BuiltCapabilities,
) -> Result<&'a BuiltType, OperationRefusal> {
    let sync_type: SyncType = association.sync_type;
    let replication_type = ReplicationType::of(sync_type, association.mode, locality);
    built
        .of(replication_type)
        .ok_or(OperationRefusal::TypeNotBuilt(replication_type))
}
