//! What is built in and configured, whatever the state of any element. The one source of everything
//! that is advertised; it changes only with the configuration.

use crate::values::{
    Action, Component, CopyRecoveryMode, Feature, GroupFeature, GroupPersistency, LocalOrRemote,
    MethodName, Mode, Operation, PropertyName, ReplicationType, SettingsDefineStateOperation,
    StorageObject, SyncType, ThinProvisioningFeature, ValueSet,
};

mod check;

pub use check::BuiltError;

/// What the service has. With no types in it, it has nothing and says so to every question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuiltCapabilities {
    /// One entry for each ReplicationType, in the order of preference: where a request leaves the Mode
    /// open, the first that is possible is taken.
    pub types: Vec<BuiltType>,
    /// Which kinds of elements can be replicated.
    pub storage_objects: ValueSet<StorageObject>,
    /// Methods that may answer without a job.
    pub synchronous_actions: ValueSet<Action>,
    /// Methods that may answer with a job.
    pub asynchronous_actions: ValueSet<Action>,
    /// Whether a new group outlives its relations. `None` if there are no groups.
    pub group_persistency: Option<GroupPersistency>,
}

/// How one ReplicationType is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltType {
    /// Which one.
    pub replication_type: ReplicationType,
    /// The methods that can create it.
    pub methods: ValueSet<MethodName>,
    /// Where its targets come from.
    pub target_supply: TargetSupply,
    /// What ModifyReplicaSynchronization can do with it.
    pub operations: ValueSet<Operation>,
    /// The same for a group's association.
    pub group_operations: ValueSet<Operation>,
    /// Those of them, of elements' and of groups' associations, that can be asked for of a list. What the
    /// schema doesn't know of lists is left out by itself.
    pub list_operations: ValueSet<Operation>,
    /// What ModifySettingsDefineState can do with its aspects.
    pub settings_operations: ValueSet<SettingsDefineStateOperation>,
    /// How it behaves. Rules and operations read these, so that what is published is what is done.
    pub features: ValueSet<Feature>,
    /// How its groups behave.
    pub group_features: ValueSet<GroupFeature>,
    /// Whether a target group keeps the order of writes across its members.
    pub sequentially_consistent: bool,
    /// How thin volumes are treated. Empty means that it isn't said.
    pub thin_provisioning: ValueSet<ThinProvisioningFeature>,
    /// What follows when a link is back.
    pub copy_recovery_mode: CopyRecoveryMode,
    /// Whether hosts can write a target that is meant to match its source; it is Skewed then.
    pub targets_writable: bool,
    /// Whether the target has to have exactly the size of the source, rather than that at least.
    pub equal_sizes: bool,
    /// Whether an association rests in Restored after a restore, rather than where it was before.
    pub rests_in_restored: bool,
    /// Whether a copy that isn't complete can be detached, by force.
    pub detaches_incomplete: bool,
    /// Limits. 0 is unlimited; what isn't here is not limited by a rule, and asked for, not available.
    pub maximums: Vec<(Component, u64)>,
    /// Settings that a request may give.
    pub settings: Vec<BuiltSetting>,
}

/// One property of CIM_ReplicationSettingData that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltSetting {
    /// Which.
    pub property: PropertyName,
    /// The values that may be given. Booleans are 2 for false and 3 for true.
    pub supported: Vec<u64>,
    /// What is used if none is given; `None` if the property has no default.
    pub default: Option<u64>,
}

/// Where the targets of a type come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetSupply {
    /// The service makes them, and none may be supplied.
    Created,
    /// The client has to supply one.
    Supplied,
    /// Either way.
    CreatedOrSupplied,
}

impl TargetSupply {
    /// Whether the service makes one if none is supplied.
    #[must_use]
    pub const fn may_create(self) -> bool {
        matches!(self, Self::Created | Self::CreatedOrSupplied)
    }

    /// Whether one may be supplied.
    #[must_use]
    pub const fn may_supply(self) -> bool {
        matches!(self, Self::Supplied | Self::CreatedOrSupplied)
    }
}

impl BuiltCapabilities {
    /// How a type is built, or `None` if it isn't.
    #[must_use]
    pub fn of(&self, replication_type: ReplicationType) -> Option<&BuiltType> {
        self.types
            .iter()
            .find(|built| built.replication_type == replication_type)
    }

    /// SupportedReplicationTypes.
    #[must_use]
    pub fn replication_types(&self) -> ValueSet<ReplicationType> {
        self.types.iter().map(|it| it.replication_type).collect()
    }

    /// Whether any type can be created by the method.
    #[must_use]
    pub fn has_method(&self, method: MethodName) -> bool {
        self.types.iter().any(|it| it.methods.contains(method))
    }

    /// The types of a SyncType and locality, in the order of preference.
    pub(crate) fn choices(
        &self,
        sync_type: SyncType,
        locality: LocalOrRemote,
    ) -> impl Iterator<Item = &BuiltType> {
        self.types.iter().filter(move |it| {
            it.sync_type() == sync_type && it.replication_type.locality() == locality
        })
    }
}

impl BuiltType {
    /// A type of which nothing is built yet but its name: the rest is filled in by whoever builds it.
    #[must_use]
    pub const fn new(replication_type: ReplicationType, target_supply: TargetSupply) -> Self {
        Self {
            replication_type,
            methods: ValueSet::EMPTY,
            target_supply,
            operations: ValueSet::EMPTY,
            group_operations: ValueSet::EMPTY,
            list_operations: ValueSet::EMPTY,
            settings_operations: ValueSet::EMPTY,
            features: ValueSet::EMPTY,
            group_features: ValueSet::EMPTY,
            sequentially_consistent: false,
            thin_provisioning: ValueSet::EMPTY,
            copy_recovery_mode: CopyRecoveryMode::Manual,
            targets_writable: false,
            equal_sizes: false,
            rests_in_restored: false,
            detaches_incomplete: true,
            maximums: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// Its SyncType.
    #[must_use]
    pub const fn sync_type(&self) -> SyncType {
        self.replication_type.sync_type()
    }

    /// Its Mode.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.replication_type.mode()
    }

    /// Whether it behaves so.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.published_features().contains(feature)
    }

    /// Whether it can be created for groups.
    #[must_use]
    pub fn has_groups(&self) -> bool {
        self.methods.contains(MethodName::CreateGroupReplica)
    }

    /// Its features, with those that follow from the rest of it.
    #[must_use]
    pub fn published_features(&self) -> ValueSet<Feature> {
        let mut features = self.features;
        if self.has_groups() {
            features = features.with(Feature::ReplicationGroups);
        }
        if self
            .methods
            .contains(MethodName::CreateSynchronizationAspect)
        {
            features = features.with(Feature::SupportsSynchronizationAspect);
        }
        if !self.target_supply.may_supply() {
            features = features.with(Feature::TargetElementShallNotBeSupplied);
        }
        if self.copy_recovery_mode == CopyRecoveryMode::Automatic {
            features = features.with(Feature::ErrorRecoveryFromBrokenStateAutomatic);
        }
        features
    }

    /// A limit, or `None` if it isn't known. 0 is unlimited.
    #[must_use]
    pub fn maximum(&self, component: Component) -> Option<u64> {
        let mut all = self.maximums.iter();
        all.find(|(it, _)| *it == component).map(|(_, max)| *max)
    }

    /// The limit if `present` things reach it, so that there can't be one more.
    pub(crate) fn limit_reached(&self, component: Component, present: u64) -> Option<u64> {
        self.maximum(component)
            .filter(|max| *max != 0 && present >= *max)
    }
}
