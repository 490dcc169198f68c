//! The replication service, its capabilities, groups and associations, as instances.

use tidelock_capabilities::ReplicationServiceCapabilities;
use tidelock_capabilities::values::{
    CopyRecoveryMode, CopyState, Edition, Mode, ProgressStatus, SyncState, SyncType, ValueMap,
    ValueSet,
};

use super::paths::{
    CAPABILITIES, CAPABILITIES_ID, GROUP, SERVICE, SERVICE_NAME, SYSTEM, element_id,
    group_instance_id,
};
use super::{NAMESPACE, View};
use crate::datetime::timestamp;
use crate::instance::Instance;
use crate::model::{ReplicationGroup, SnapshotSet, StorageAssociation};
use crate::value::Value;

/// The age of the interface: that of the MSISCSITARGET classes.
pub(crate) const EDITION: Edition = Edition::V2_29;

impl View<'_> {
    pub(crate) const fn capabilities(&self) -> ReplicationServiceCapabilities<'_> {
        ReplicationServiceCapabilities::new(self.built, EDITION)
    }

    pub(super) fn replication_instances(&self, class: &str) -> Vec<Instance> {
        let inventory = || self.inventory();
        match class {
            SERVICE => self.service().into_iter().collect(),
            CAPABILITIES => self.capabilities_instance().into_iter().collect(),
            "MSISCSITARGET_HostedService" => self.tie(
                class,
                ("Antecedent", self.system_path()),
                ("Dependent", self.service_path()),
            ),
            "MSISCSITARGET_ElementCapabilities" => self.tie(
                class,
                ("ManagedElement", self.service_path()),
                ("Capabilities", Self::capabilities_path()),
            ),
            "MSISCSITARGET_StorageSynchronized" => {
                let all = inventory().associations.iter();
                all.filter_map(|it| self.synchronized(it)).collect()
            }
            GROUP => self
                .all_groups()
                .filter_map(|(name, ..)| group(&name))
                .collect(),
            "Tidelock_HostedCollection" => self
                .all_groups()
                .flat_map(|(name, ..)| {
                    let dependent = ("Dependent", Self::group_path(&name));
                    self.tie(class, ("Antecedent", self.system_path()), dependent)
                })
                .collect(),
            "Tidelock_OrderedMemberOfCollection" => self
                .all_groups()
                .flat_map(|(name, members)| {
                    let numbered = members.into_iter().zip(1_u64..);
                    numbered.filter_map(move |(member, number)| {
                        let instance =
                            Self::new_instance("Tidelock_OrderedMemberOfCollection", NAMESPACE)?;
                        Some(
                            instance
                                .with("Collection", Self::group_path(&name))
                                .with("Member", self.element_path(member))
                                .with("AssignedSequence", number),
                        )
                    })
                })
                .collect(),
            "Tidelock_GroupSynchronized" => inventory()
                .groups
                .iter()
                .flat_map(|group| {
                    group
                        .sets
                        .iter()
                        .filter_map(|set| group_synchronized(group, set))
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// One association of two objects.
    fn tie(
        &self,
        class: &str,
        one: (&'static str, crate::path::InstancePath),
        other: (&'static str, crate::path::InstancePath),
    ) -> Vec<Instance> {
        let instance = Self::new_instance(class, NAMESPACE);
        let tied = instance.map(|it| it.with(one.0, one.1).with(other.0, other.1));
        tied.into_iter().collect()
    }

    pub(crate) fn service(&self) -> Option<Instance> {
        let system = &self.inventory().system;
        let instance = Self::new_instance(SERVICE, NAMESPACE)?;
        let (status, enabled) = if system.ready {
            (2_u16, 2_u16)
        } else {
            (8, 10)
        };
        Some(
            instance
                .with("SystemCreationClassName", SYSTEM)
                .with("SystemName", system.name.as_str())
                .with("CreationClassName", SERVICE)
                .with("Name", SERVICE_NAME)
                .with("ElementName", SERVICE_NAME)
                .with("OperationalStatus", Value::numbers([status]))
                .with("EnabledState", enabled)
                .with("RequestedState", 12_u16)
                .with("Started", true),
        )
    }

    fn capabilities_instance(&self) -> Option<Instance> {
        let capabilities = self.capabilities();
        let instance = Self::new_instance(CAPABILITIES, NAMESPACE)?;
        Some(
            instance
                .with("InstanceID", CAPABILITIES_ID)
                .with("ElementName", "ReplicationServiceCapabilities")
                .with(
                    "SupportedReplicationTypes",
                    numbers(capabilities.supported_replication_types()),
                )
                .with(
                    "SupportedStorageObjects",
                    numbers(capabilities.supported_storage_objects()),
                )
                .with(
                    "SupportedAsynchronousActions",
                    numbers(capabilities.supported_asynchronous_actions()),
                )
                .with(
                    "SupportedSynchronousActions",
                    numbers(capabilities.supported_synchronous_actions()),
                ),
        )
    }

    fn synchronized(&self, association: &StorageAssociation) -> Option<Instance> {
        let instance = Self::new_instance("MSISCSITARGET_StorageSynchronized", NAMESPACE)?;
        let (copy_type, replica_type) = match (association.sync_type, association.mode) {
            (SyncType::Mirror, Mode::Synchronous) => (3_u16, 2_u16),
            (SyncType::Mirror, Mode::Asynchronous) => (2, 2),
            // The volume goes on by itself, and the snapshot keeps what it was.
            (SyncType::Snapshot, _) => (4, 4),
            (SyncType::Clone, _) => (4, 2),
        };
        let when = association.when_synced.as_deref().and_then(timestamp);
        Some(
            instance
                .with(
                    "SystemElement",
                    self.element_path(association.key.system_element),
                )
                .with(
                    "SyncedElement",
                    self.element_path(association.key.synced_element),
                )
                .with_some("WhenSynced", when)
                .with("SyncMaintained", association.sync_type == SyncType::Mirror)
                .with("SyncType", association.sync_type.value())
                .with("Mode", association.mode.value())
                .with("CopyState", association.copy_state.value())
                .with("RequestedCopyState", CopyState::NotApplicable.value())
                .with("ProgressStatus", association.progress_status.value())
                .with_some("PercentSynced", association.percent_synced.map(u16::from))
                .with("CopyType", copy_type)
                .with("ReplicaType", replica_type)
                .with("SyncState", sync_state(association).value())
                .with_some("FailedCopyStopsHostIO", association.stops_hosts)
                .with_some(
                    "CopyRecoveryMode",
                    self.recovery_mode(association).map(CopyRecoveryMode::value),
                ),
        )
    }

    /// What a volume or an association is called where somebody reads of it.
    pub(crate) fn called(&self, instance: &Instance) -> String {
        if let Some(Value::Text(name)) = instance.value("ElementName") {
            return name.clone();
        }
        let names = instance.references().map(|(_, path)| {
            let element = element_id(path).and_then(|id| self.element(id));
            element.map_or_else(|| path.class.clone(), |it| it.name.clone())
        });
        names.collect::<Vec<_>>().join(" to ")
    }

    /// What follows when what has failed is back, of what is kept equal.
    fn recovery_mode(&self, association: &StorageAssociation) -> Option<CopyRecoveryMode> {
        let built = self.built.of(association.replication_type())?;
        (association.sync_type == SyncType::Mirror).then_some(built.copy_recovery_mode)
    }

    /// All groups, those of snapshots that were taken together among them.
    fn all_groups(
        &self,
    ) -> impl Iterator<Item = (String, Vec<tidelock_capabilities::facts::ElementId>)> {
        self.inventory().groups.iter().flat_map(|group| {
            let itself = (group.name.clone(), group.members.clone());
            let sets = group
                .sets
                .iter()
                .map(|set| (set_name(group, set), set.members.clone()));
            std::iter::once(itself).chain(sets)
        })
    }
}

fn set_name(group: &ReplicationGroup, set: &SnapshotSet) -> String {
    format!("{}@{}", group.name, set.name)
}

fn group(name: &str) -> Option<Instance> {
    let instance = View::new_instance(GROUP, NAMESPACE)?;
    Some(
        instance
            .with("InstanceID", group_instance_id(name))
            .with("ElementName", name)
            .with("Persistent", true)
            .with("DeleteOnEmptyElement", false)
            .with("DeleteOnUnassociated", false),
    )
}

fn group_synchronized(group: &ReplicationGroup, set: &SnapshotSet) -> Option<Instance> {
    let instance = View::new_instance("Tidelock_GroupSynchronized", NAMESPACE)?;
    Some(
        instance
            .with("SystemElement", View::group_path(&group.name))
            .with("SyncedElement", View::group_path(&set_name(group, set)))
            .with("RelationshipName", set.name.as_str())
            .with_some("WhenSynced", timestamp(&set.at))
            .with("SyncMaintained", false)
            .with("SyncType", SyncType::Snapshot.value())
            .with("Mode", Mode::Synchronous.value())
            .with("CopyState", CopyState::Synchronized.value())
            .with("RequestedCopyState", CopyState::NotApplicable.value())
            .with("ProgressStatus", ProgressStatus::Completed.value())
            // Of one moment; writes that follow aren't copied, in order or not.
            .with("ConsistencyEnabled", false),
    )
}

/// The same state in the words of the older model.
fn sync_state(association: &StorageAssociation) -> SyncState {
    match (association.copy_state, association.progress_status) {
        (_, ProgressStatus::Restoring) => SyncState::RestoreInProgress,
        (CopyState::Broken, _) => SyncState::Broken,
        (CopyState::Fractured | CopyState::Split, _) => SyncState::Fractured,
        (CopyState::Unsynchronized, _) => match association.sync_type {
            SyncType::Clone => SyncState::CopyInProgress,
            _ => SyncState::ResyncInProgress,
        },
        (CopyState::Synchronized, _) => match association.sync_type {
            SyncType::Mirror => SyncState::Synchronized,
            SyncType::Snapshot => SyncState::Idle,
            SyncType::Clone => SyncState::Frozen,
        },
        _ => SyncState::Initialized,
    }
}

/// The numbers of a set, ascending.
pub(crate) fn numbers<T: ValueMap>(set: ValueSet<T>) -> Value {
    Value::numbers(set.iter().map(ValueMap::value))
}
