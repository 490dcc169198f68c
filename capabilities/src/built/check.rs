//! Whether what is said to be built fits together. Asked once, when the daemon starts: what doesn't fit would
//! be advertised and never work.

use thiserror::Error;

use super::{BuiltCapabilities, BuiltType};
use crate::machine::{Scope, rows};
use crate::values::{
    Action, Feature, GroupFeature, MethodName, Mode, Operation, PropertyName, ReplicationType,
    SyncType, ValueSet,
};

/// What doesn't fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuiltError {
    /// Which of the two would count?
    #[error("{0} is there twice")]
    TypeTwice(ReplicationType),
    /// A client looks for the method in the lists of actions.
    #[error("{0} can be made by {1}, which is in neither list of actions")]
    NoAction(ReplicationType, MethodName),
    /// CreateGroup to AddSharedSecret never create a job.
    #[error("{0} is never asynchronous")]
    NeverAsynchronous(Action),
    /// No state would accept it.
    #[error("{1} of {0} would never be accepted: no row of the table allows it as configured")]
    NeverAccepted(ReplicationType, Operation),
    /// It would be possible for a list of associations and for none of them.
    #[error("{1} of {0} is possible for lists and for no association")]
    OnlyInLists(ReplicationType, Operation),
    /// Groups would have operations and couldn't be made, or the other way round.
    #[error("{0} has something for groups, and no way to make or use them")]
    NoGroups(ReplicationType),
    /// Aspects would have operations and couldn't be made.
    #[error("{0} has operations on aspects, and no way to make them")]
    NoAspects(ReplicationType),
    /// It would be a promise that no rule here keeps.
    #[error("{0} has a feature that isn't kept: {1}")]
    FeatureNotKept(ReplicationType, Feature),
    /// The same of groups.
    #[error("{0} has a group feature that isn't kept: {1}")]
    GroupFeatureNotKept(ReplicationType, GroupFeature),
    /// The two can't both be true.
    #[error("{0} can't have both features: {1}; {2}")]
    Contradiction(ReplicationType, Feature, Feature),
    /// The target's supply says otherwise.
    #[error("{0} has a feature that says otherwise than where its targets come from")]
    TargetSupply(ReplicationType),
    /// What is done after it isn't built.
    #[error("{0} has a feature that requires the operation {1}, which isn't built")]
    NoNextOperation(ReplicationType, Operation),
    /// The mode would change to what isn't built.
    #[error("{1} of {0} leads to a type that isn't built")]
    NoOtherMode(ReplicationType, Operation),
    /// It follows from where targets come from.
    #[error(
        "{0}: TargetElementSupplier follows from where targets come from and isn't set by itself"
    )]
    SettingIsDerived(ReplicationType),
    /// It couldn't be given.
    #[error("{0}: the default of {1} isn't among its values")]
    DefaultNotSupported(ReplicationType, PropertyName),
}

/// Features of which at most one can be true.
const EXCLUSIVE: &[&[Feature]] = &[
    &[
        Feature::RestoreOperationRequiresSubsequentFracture,
        Feature::RestoreOperationRequiresSubsequentDetach,
        Feature::RestoreOperationRequiresSubsequentResume,
    ],
    &[
        Feature::FailoverOperationRequiresSubsequentFracture,
        Feature::FailoverOperationRequiresSubsequentSplit,
        Feature::FailoverOperationRequiresSubsequentFailback,
    ],
    &[
        Feature::ReverseRolesOperationRequiresSubsequentResync,
        Feature::ReverseRolesOperationDoesNotChangeCopyState,
    ],
    &[
        Feature::TargetMustRemainAssociatedToSource,
        Feature::SynchronizedCloneTargetDetachesAutomatically,
    ],
    &[
        Feature::CreateReplicationRequestsShouldBeSentToTargetService,
        Feature::CreateReplicationRequestsShouldBeSentToSourceService,
    ],
    &[
        Feature::AllModifyOperationsShouldBeSentToTargetService,
        Feature::AllModifyOperationsShouldBeSentToSourceService,
    ],
];

/// Features that restrict what may be asked for, and that no rule here looks at: published, they would be
/// wrong.
const NOT_KEPT: ValueSet<Feature> = Feature::set(&[
    Feature::MultiHopElementsMustHaveSameSyncType,
    Feature::MultiHopRequiresAdvanceNotice,
    Feature::RequiresFullDiscoveryOfTargetComputerSystem,
    Feature::TargetsRequireReservedElements,
    Feature::SourceRequiresReservedElement,
]);

/// The same of groups.
const GROUPS_NOT_KEPT: ValueSet<GroupFeature> = GroupFeature::set(&[
    GroupFeature::MultiHopElementsMustHaveSameSyncType,
    GroupFeature::CopyOperationRequiresOfflineSource,
    GroupFeature::TargetGroupShallNotBeSupplied,
    GroupFeature::CreateGroupReplicaOnlyAcceptsEmptyGroups,
    GroupFeature::OneReplicationGroupPerStoragePool,
    GroupFeature::AddSyncPairRequiresSynchronizedMirrorPair,
]);

/// Features by which one operation requires another one.
const NEXT: &[(Feature, Operation, Operation)] = {
    use Operation as O;
    &[
        (
            Feature::RestoreOperationRequiresSubsequentFracture,
            O::RestoreFromReplica,
            O::Fracture,
        ),
        (
            Feature::RestoreOperationRequiresSubsequentDetach,
            O::RestoreFromReplica,
            O::Detach,
        ),
        (
            Feature::RestoreOperationRequiresSubsequentResume,
            O::RestoreFromReplica,
            O::Resume,
        ),
        (
            Feature::ResyncOperationRequiresSubsequentActivate,
            O::ResyncReplica,
            O::Activate,
        ),
        (
            Feature::ReverseRolesOperationRequiresSubsequentResync,
            O::ReverseRoles,
            O::ResyncReplica,
        ),
        (
            Feature::FailoverOperationRequiresSubsequentFracture,
            O::Failover,
            O::Fracture,
        ),
        (
            Feature::FailoverOperationRequiresSubsequentSplit,
            O::Failover,
            O::Split,
        ),
        (
            Feature::FailoverOperationRequiresSubsequentFailback,
            O::Failover,
            O::Failback,
        ),
    ]
};

impl BuiltCapabilities {
    /// Checks that everything that is advertised can come true.
    ///
    /// # Errors
    ///
    /// The first thing that doesn't fit.
    pub fn check(&self) -> Result<(), BuiltError> {
        for (at, built) in self.types.iter().enumerate() {
            let replication_type = built.replication_type;
            let mut before = self.types.iter().take(at);
            if before.any(|it| it.replication_type == replication_type) {
                return Err(BuiltError::TypeTwice(replication_type));
            }
            let actions = self.synchronous_actions.union(self.asynchronous_actions);
            for method in built.methods.iter() {
                if !actions.contains(method.into()) {
                    return Err(BuiltError::NoAction(replication_type, method));
                }
            }
            built.check()?;
            self.other_modes(built)?;
        }
        let mut asynchronous = self.asynchronous_actions.iter();
        match asynchronous.find(|action| !action.may_be_asynchronous()) {
            Some(action) => Err(BuiltError::NeverAsynchronous(action)),
            None => Ok(()),
        }
    }

    /// Whether a type has the other mode that its operations lead to.
    fn other_modes(&self, built: &BuiltType) -> Result<(), BuiltError> {
        let (sync_type, _, locality) = built.replication_type.parts();
        for (operation, mode) in [
            (Operation::ResetToSync, Mode::Synchronous),
            (Operation::ResetToAsync, Mode::Asynchronous),
        ] {
            let other = ReplicationType::of(sync_type, mode, locality);
            if built.operations.contains(operation) && self.of(other).is_none() {
                return Err(BuiltError::NoOtherMode(built.replication_type, operation));
            }
        }
        Ok(())
    }
}

impl BuiltType {
    fn check(&self) -> Result<(), BuiltError> {
        let it = self.replication_type;
        self.operations_are_possible()?;
        let can_use_groups = self.group_features.contains(GroupFeature::ManyToManyGroups)
            || self
                .group_features
                .contains(GroupFeature::OneToManyReplication);
        let has_group_things = !self.group_operations.is_empty() || !self.group_features.is_empty();
        if self.has_groups() != has_group_things || (self.has_groups() && !can_use_groups) {
            return Err(BuiltError::NoGroups(it));
        }
        let makes_aspects = self
            .methods
            .contains(MethodName::CreateSynchronizationAspect);
        if !self.settings_operations.is_empty() && !makes_aspects {
            return Err(BuiltError::NoAspects(it));
        }
        let may_not_supply = self
            .features
            .contains(Feature::TargetElementShallNotBeSupplied);
        if may_not_supply && self.target_supply.may_supply() {
            return Err(BuiltError::TargetSupply(it));
        }
        self.features_fit()?;
        self.settings_fit()
    }

    /// Every operation can be accepted in some state, as configured.
    fn operations_are_possible(&self) -> Result<(), BuiltError> {
        let sync_type: SyncType = self.sync_type();
        let single = self.operations.union(self.group_operations);
        if let Some(operation) = self.list_operations.difference(single).iter().next() {
            return Err(BuiltError::OnlyInLists(self.replication_type, operation));
        }
        for (operations, scope) in [
            (self.operations, Scope::Element),
            (self.group_operations, Scope::Group),
        ] {
            for operation in operations.iter() {
                let possible =
                    rows(operation, sync_type, scope).any(|row| row.is_published(self, scope));
                if !possible {
                    return Err(BuiltError::NeverAccepted(self.replication_type, operation));
                }
            }
        }
        Ok(())
    }

    fn features_fit(&self) -> Result<(), BuiltError> {
        let it = self.replication_type;
        if let Some(feature) = self.features.intersection(NOT_KEPT).iter().next() {
            return Err(BuiltError::FeatureNotKept(it, feature));
        }
        let groups = self.group_features.intersection(GROUPS_NOT_KEPT);
        if let Some(feature) = groups.iter().next() {
            return Err(BuiltError::GroupFeatureNotKept(it, feature));
        }
        for group in EXCLUSIVE {
            let mut present = group.iter().filter(|feature| self.has(**feature));
            if let (Some(one), Some(other)) = (present.next(), present.next()) {
                return Err(BuiltError::Contradiction(it, *one, *other));
            }
        }
        for (feature, operation, next) in NEXT {
            let needed = self.has(*feature) && self.operations.contains(*operation);
            if needed && !self.operations.contains(*next) {
                return Err(BuiltError::NoNextOperation(it, *next));
            }
        }
        Ok(())
    }

    fn settings_fit(&self) -> Result<(), BuiltError> {
        let it = self.replication_type;
        for setting in &self.settings {
            if setting.property == PropertyName::TargetElementSupplier {
                return Err(BuiltError::SettingIsDerived(it));
            }
            let fits = |value| setting.supported.contains(&value);
            if !setting.default.is_none_or(fits) {
                return Err(BuiltError::DefaultNotSupported(it, setting.property));
            }
        }
        Ok(())
    }
}
