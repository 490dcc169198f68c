//! What a row of the table consists of. The rows themselves are elsewhere.

use crate::built::BuiltType;
use crate::values::{CopyState, Feature, GroupFeature, Mode, Operation, ProgressStatus, SyncType};

/// One rule: in these states, an operation is accepted and leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The operation.
    pub operation: Operation,
    /// For which copies.
    pub sync_types: &'static [SyncType],
    /// Whether for associations of elements, of groups, or both.
    pub scope: Scope,
    /// The states in which it is accepted.
    pub from: &'static [CopyState],
    /// What has to be the case besides. All of it.
    pub needs: &'static [Need],
    /// What is shown while it runs; `None` if it takes effect at once.
    pub during: Option<ProgressStatus>,
    /// What it leads to.
    pub outcome: Outcome,
    /// Whether both ends take part in it, so that both have to be healthy and reachable.
    pub both_ends: bool,
    /// Whose data it replaces or throws away.
    pub touches: Touches,
    /// Where the rule comes from.
    pub basis: Basis,
}

/// What an association is between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Elements: StorageSynchronized.
    Element,
    /// Groups: GroupSynchronized.
    Group,
    /// Of a row: both.
    Either,
}

/// What a row needs besides the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Force was given: the data may not be consistent afterwards.
    Force,
    /// The feature is published; for a group, the group feature that says the same.
    With(Feature),
    /// It isn't.
    Without(Feature),
    /// The group feature is published. Never of an element.
    WithGroup(GroupFeature),
    /// It isn't. Always of an element.
    WithoutGroup(GroupFeature),
    /// No copy is running.
    Idle,
    /// The target holds a consistent image, or Force was given: what it holds is about to be relied on.
    Image,
}

/// What an operation leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The association rests in this state.
    Rests(CopyState),
    /// Data flows to the target until it is Synchronized.
    Flows,
    /// The source becomes what the target is.
    Restores,
    /// Source and target change places.
    Reverses,
    /// The association has another mode.
    ChangesMode(Mode),
    /// The association is no more.
    Ends(Remains),
    /// The state stays: the operation is about a property or about pairs.
    Stays,
}

/// What remains of the target when an association ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Remains {
    /// An element of its own.
    Target,
    /// An element of its own, and an aspect of the source.
    TargetAndAspect,
    /// Nothing: it is deleted.
    Nothing,
}

/// Whose data an operation replaces or throws away. That end must not be in use by hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Touches {
    /// Nobody's.
    Nothing,
    /// The source's.
    Source,
    /// The target's.
    Target,
}

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// The text of the schema names the state, or names all of them.
    Specified,
    /// It follows from what the schema says of the state or of the operation, or is a choice of ours.
    Inferred,
}

impl Row {
    /// A row about elements and groups that needs nothing besides and is specified.
    pub(super) const fn new(
        operation: Operation,
        sync_types: &'static [SyncType],
        from: &'static [CopyState],
        outcome: Outcome,
    ) -> Self {
        Self {
            operation,
            sync_types,
            scope: Scope::Either,
            from,
            needs: &[],
            during: during(operation),
            outcome,
            both_ends: false,
            touches: Touches::Nothing,
            basis: Basis::Specified,
        }
    }

    pub(super) const fn inferred(mut self) -> Self {
        self.basis = Basis::Inferred;
        self
    }

    pub(super) const fn needs(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }

    pub(super) const fn both_ends(mut self) -> Self {
        self.both_ends = true;
        self
    }

    /// Both ends take part, and what the target has is replaced.
    pub(super) const fn onto_target(self) -> Self {
        self.both_ends().touches(Touches::Target)
    }

    /// Both ends take part, and what the source has is replaced.
    pub(super) const fn onto_source(self) -> Self {
        self.both_ends().touches(Touches::Source)
    }

    /// What the target has is thrown away.
    pub(super) const fn loses_target(self) -> Self {
        self.touches(Touches::Target)
    }

    const fn touches(mut self, touches: Touches) -> Self {
        self.touches = touches;
        self
    }

    pub(super) const fn of_groups(mut self) -> Self {
        self.scope = Scope::Group;
        self
    }

    /// Whether it is about this operation on such an association, whatever its state.
    #[must_use]
    pub fn is_about(&self, operation: Operation, sync_type: SyncType, scope: Scope) -> bool {
        self.operation == operation && self.covers(sync_type, scope)
    }

    /// Whether it is about such associations.
    #[must_use]
    pub fn covers(&self, sync_type: SyncType, scope: Scope) -> bool {
        self.sync_types.contains(&sync_type)
            && (self.scope == scope || self.scope == Scope::Either || scope == Scope::Either)
    }

    /// Whether what is published allows it, be it by force.
    #[must_use]
    pub fn is_published(&self, built: &BuiltType, scope: Scope) -> bool {
        self.needs
            .iter()
            .all(|need| need.is_published(built, scope))
    }

    /// Whether it needs Force.
    #[must_use]
    pub fn needs_force(&self) -> bool {
        self.needs.contains(&Need::Force)
    }
}

impl Need {
    /// Whether what is published meets it. What depends on the request is taken as met.
    fn is_published(self, built: &BuiltType, scope: Scope) -> bool {
        let group = scope == Scope::Group;
        let has = |feature: Feature| match of_groups(feature) {
            Some(feature) if group => built.group_features.contains(feature),
            _ => built.has(feature),
        };
        match self {
            Self::Force | Self::Idle | Self::Image => true,
            Self::With(feature) => has(feature),
            Self::Without(feature) => !has(feature),
            Self::WithGroup(feature) => group && built.group_features.contains(feature),
            Self::WithoutGroup(feature) => !group || !built.group_features.contains(feature),
        }
    }
}

/// Whether a type behaves so, for an element's association or a group's.
pub(super) fn behaves(built: &BuiltType, scope: Scope, feature: Feature) -> bool {
    Need::With(feature).is_published(built, scope)
}

/// The group feature that says of groups what a feature says of elements.
const fn of_groups(feature: Feature) -> Option<GroupFeature> {
    Some(match feature {
        Feature::SynchronizedCloneTargetDetachesAutomatically => {
            GroupFeature::SynchronizedCloneTargetDetachesAutomatically
        }
        Feature::ReverseRolesOperationRequiresReadOnlySource => {
            GroupFeature::ReverseRolesOperationRequiresReadOnlySource
        }
        Feature::ReverseRolesOperationRequiresSubsequentResync => {
            GroupFeature::ReverseRolesOperationRequiresSubsequentResync
        }
        Feature::RestoreOperationRequiresSubsequentFracture => {
            GroupFeature::RestoreOperationRequiresSubsequentFracture
        }
        Feature::ResyncOperationRequiresSubsequentActivate => {
            GroupFeature::ResyncOperationRequiresSubsequentActivate
        }
        Feature::RestoreOperationRequiresSubsequentDetach => {
            GroupFeature::RestoreOperationRequiresSubsequentDetach
        }
        Feature::ReverseRolesOperationRequiresSynchronizedState => {
            GroupFeature::ReverseRolesOperationRequiresSynchronizedState
        }
        Feature::ReverseRolesOperationRequiresFracturedState => {
            GroupFeature::ReverseRolesOperationRequiresFracturedState
        }
        Feature::ReverseRolesOperationRequiresSplitState => {
            GroupFeature::ReverseRolesOperationRequiresSplitState
        }
        Feature::ReverseRolesOperationRequiresFailedOverState => {
            GroupFeature::ReverseRolesOperationRequiresFailedOverState
        }
        Feature::ReverseRolesOperationRequiresSuspendedState => {
            GroupFeature::ReverseRolesOperationRequiresSuspendedState
        }
        Feature::FailoverOperationRequiresSubsequentFracture => {
            GroupFeature::FailoverOperationRequiresSubsequentFracture
        }
        Feature::FailoverOperationRequiresSubsequentSplit => {
            GroupFeature::FailoverOperationRequiresSubsequentSplit
        }
        Feature::RestoreOperationRequiresSubsequentResume => {
            GroupFeature::RestoreOperationRequiresSubsequentResume
        }
        Feature::ReverseRolesOperationDoesNotChangeCopyState => {
            GroupFeature::ReverseRolesOperationDoesNotChangeCopyState
        }
        Feature::FailoverOperationRequiresSubsequentFailback => {
            GroupFeature::FailoverOperationRequiresSubsequentFailback
        }
        Feature::PlannedFailoverOperationRequiresFracturedState => {
            GroupFeature::PlannedFailoverOperationRequiresFracturedState
        }
        _ => return None,
    })
}

/// What is shown while an operation runs. Those that take effect at once have nothing to show.
const fn during(operation: Operation) -> Option<ProgressStatus> {
    Some(match operation {
        Operation::Abort => ProgressStatus::Aborting,
        Operation::Activate | Operation::ResetReplica => ProgressStatus::Synchronizing,
        Operation::Detach => ProgressStatus::Detaching,
        Operation::Dissolve | Operation::ReturnToResourcePool => ProgressStatus::Terminating,
        Operation::Failover => ProgressStatus::FailingOver,
        Operation::Failback => ProgressStatus::FailingBack,
        Operation::Fracture => ProgressStatus::Fracturing,
        Operation::ResyncReplica | Operation::Resume => ProgressStatus::Resyncing,
        Operation::RestoreFromReplica => ProgressStatus::Restoring,
        Operation::Split => ProgressStatus::Splitting,
        Operation::Suspend => ProgressStatus::Suspending,
        Operation::Prepare | Operation::Unprepare => ProgressStatus::Preparing,
        Operation::ActivateConsistency
        | Operation::AddSyncPair
        | Operation::DeactivateConsistency
        | Operation::Deactivate
        | Operation::RemoveSyncPair
        | Operation::ResetToSync
        | Operation::ResetToAsync
        | Operation::ReverseRoles
        | Operation::ResetToAdaptive
        | Operation::ResetToActive => return None,
    })
}
