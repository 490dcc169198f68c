//! What copies have to do with their sources, by the identities of both: which associations there are, and what may be
//! done with them. Asked by the WBEM server, whose clients know no names.

use std::sync::{Arc, OnceLock};

use tidelock_capabilities::facts::{Association, AssociationKey, ElementId, Store};
use tidelock_capabilities::machine::{Modification, OperationRefusal, modify};
use tidelock_capabilities::service::{Answer as Answered, SupportedOperations};
use tidelock_capabilities::values::{
    Action, CopyState, Edition, LocalOrRemote, MethodName, Mode, Operation, ProgressStatus,
    ReplicationType, SyncType,
};
use tidelock_capabilities::{
    AccessPoint, BuiltCapabilities, Creation, Reference, ReplicationServiceCapabilities, Request,
    admit, decide,
};
use tidelock_catalog::{self as catalog, DatasetId, DatasetRef, VolumeName};

use super::facts::{at_rest, element_of, snapshot_id};
use super::{Answer, ElementName, Gathered, Refused, built};
use crate::registry::Registry;
use crate::registry::changes::ChangeError;
use crate::registry::families::ServedFamily;

/// What the WBEM server offers of what is built: the rules are the same, and what it has no way to do isn't offered.
fn offered() -> &'static BuiltCapabilities {
    static OFFERED: OnceLock<BuiltCapabilities> = OnceLock::new();
    OFFERED.get_or_init(|| {
        let mut offered = built().clone();
        // Volumes of peers have no names in this model yet.
        offered
            .types
            .retain(|it| it.replication_type.locality() == LocalOrRemote::Local);
        offered.synchronous_actions = Action::set(&[
            Action::CreateElementReplica,
            Action::CreateGroupReplica,
            Action::CreateListReplica,
            Action::ModifyReplicaSynchronization,
            Action::ModifyListSynchronization,
            Action::GetAvailableTargetElements,
            Action::GetPeerSystems,
            Action::GetReplicationRelationships,
            Action::GetServiceAccessPoints,
            Action::CreateGroup,
            Action::DeleteGroup,
            Action::AddMembers,
            Action::RemoveMembers,
        ]);
        // What copies has one, unless nobody waits for it.
        offered.asynchronous_actions = Action::set(&[
            Action::CreateElementReplica,
            Action::CreateListReplica,
            Action::ModifyReplicaSynchronization,
            Action::ModifyListSynchronization,
        ]);
        offered
    })
}

impl Registry {
    /// What the WBEM server offers.
    #[must_use]
    pub fn offered() -> &'static BuiltCapabilities {
        offered()
    }

    /// The same question as [`Self::synchronization_supported`], from the WBEM server.
    #[must_use]
    pub fn synchronization_offered(
        &self,
        element: Option<&ElementName>,
        other: Option<&ElementName>,
        access_point: AccessPoint,
        method_name: u16,
    ) -> Answer {
        let gathered = self.gather(element.unwrap_or(&ElementName::Gone), other);
        let reference = |name: Option<&ElementName>| {
            name.map_or(Reference::Null, |name| gathered.reference(name))
        };
        let request = Request {
            local_element: reference(element),
            other_element: reference(other),
            other_element_access_point: access_point,
            method_name,
        };
        let decision = gathered.with_facts(offered(), |facts| decide(&request, facts));
        Answer {
            decision,
            names: gathered,
        }
    }

    /// Whether a copy of an element may be made now, and of which type it is then. Asked again by whoever makes it.
    ///
    /// # Errors
    /// What stands against it.
    pub fn admit_replica(
        &self,
        sync_type: SyncType,
        mode: Option<Mode>,
        source: &DatasetRef,
        target: Option<&DatasetRef>,
    ) -> Result<ReplicationType, ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let source = ElementName::Dataset(source.clone());
        let target = target.cloned().map(ElementName::Dataset);
        let gathered = self.gather(&source, target.as_ref());
        if let Some(missing) = gathered.missing() {
            return Err(missing.into());
        }
        let creation = Creation {
            method: MethodName::CreateElementReplica,
            sync_type,
            mode,
            source: gathered.reference(&source),
            target: target.map_or(Reference::Null, |target| gathered.reference(&target)),
            access_point: AccessPoint::Null,
        };
        let admitted = gathered.with_facts(offered(), |facts| admit(&creation, facts));
        admitted
            .map(|it| it.replication_type)
            .map_err(|refusal| self.refused(&refusal, &gathered, &source))
    }

    /// What may be done with an association now.
    ///
    /// # Errors
    /// The code that is returned.
    pub fn operations_for(&self, association: AssociationKey) -> Answered<SupportedOperations> {
        let gathered = self.gather_ends(association);
        let class = ReplicationServiceCapabilities::new(offered(), Edition::V2_29);
        gathered.with_facts(offered(), |facts| {
            class
                .get_supported_operations_for_synchronization(association, facts)
                .map_err(|refusal| refusal.return_code())
        })
    }

    /// Whether an operation on an association is accepted now.
    ///
    /// # Errors
    /// Why not.
    pub fn admit_operation(
        &self,
        association: AssociationKey,
        operation: Operation,
        force: bool,
    ) -> Result<(), Refused> {
        let modification = Modification {
            operation,
            synchronization: association,
            force,
        };
        let gathered = self.gather_ends(association);
        let admitted = gathered.with_facts(offered(), |facts| modify(&modification, facts));
        admitted.map(drop).map_err(|refusal| Refused {
            return_code: refusal.return_code(),
            reason: match &refusal {
                OperationRefusal::End(reason) => reason.sentence(&gathered).to_string(),
                other => other.to_string(),
            },
        })
    }

    fn gather_ends(&self, association: AssociationKey) -> Gathered {
        let named = |id| {
            self.element_called(id)
                .map_or(ElementName::Gone, ElementName::Dataset)
        };
        let target = named(association.synced_element);
        self.gather(&named(association.system_element), Some(&target))
    }

    /// What an element is called.
    #[must_use]
    pub fn element_called(&self, id: ElementId) -> Option<DatasetRef> {
        let view = self.view();
        if let Some(volume) = view.census.volume(uuid::Uuid::from_u128(id.0)) {
            return Some(DatasetRef::from(volume.clone()));
        }
        let dataset = DatasetId(uuid::Uuid::from_u128(id.0));
        let families = self.families.all();
        let mut open = families
            .iter()
            .filter_map(|family| family.open_family().ok());
        let found = open.find_map(|open| {
            let found = open.look(|list| list.get(dataset).cloned()).ok()??;
            (!found.pending).then_some(found)
        })?;
        let volume = view.census.volume(found.volume.0)?;
        Some(DatasetRef {
            volume: volume.clone(),
            snapshot: Some(found.name),
        })
    }

    /// What a snapshot has to do with its volume.
    #[must_use]
    pub fn snapshot_relation(volume: ElementId, snapshot: ElementId) -> Association {
        at_rest(SyncType::Snapshot, volume, snapshot)
    }

    /// What a clone has to do with what it was made from, until it is detached.
    #[must_use]
    pub fn clone_relation(&self, record: &catalog::Volume) -> Option<Association> {
        self.clone_and_source(record).map(|(relation, _)| relation)
    }

    /// The same, with what the source is called: the snapshot, or the volume if the snapshot is none that anybody was
    /// told of, or has been deleted.
    pub(super) fn clone_and_source(
        &self,
        record: &catalog::Volume,
    ) -> Option<(Association, String)> {
        let origin = record.origin.as_ref()?;
        let is_listed = self.is_source_listed(record, origin);
        let (source, name) = if is_listed {
            let name = format!("{}@{}", origin.volume, origin.snapshot);
            (snapshot_id(origin.dataset), name)
        } else {
            let catalog = self.catalog();
            let volume = catalog.volume(&origin.volume).ok()?;
            // There may be another one of that name by now, which shares nothing with it.
            let family = |it: &catalog::Volume| it.backing.place().map(|place| place.family);
            if !origin.copied && family(volume) != family(record) {
                return None;
            }
            (element_of(volume), volume.name.to_string())
        };
        let rest = at_rest(SyncType::Clone, source, element_of(record));
        let relation = match &record.hydration {
            // It is about to be a file of its own, and what is frozen of it would stay behind: so it isn't copied until
            // then, though hosts can use it.
            Some(_) => Association {
                copy_state: CopyState::Unsynchronized,
                progress_status: ProgressStatus::Synchronizing,
                target_consistent: false,
                ..rest
            },
            // It reads from what it shares, and is an image of one moment all the same.
            None if !origin.copied => Association {
                copy_state: CopyState::Unsynchronized,
                progress_status: ProgressStatus::Dormant,
                ..rest
            },
            None => rest,
        };
        Some((relation, name))
    }

    /// Whether what a clone was made from is a snapshot that is there and that somebody was told of.
    fn is_source_listed(&self, record: &catalog::Volume, origin: &catalog::Origin) -> bool {
        let catalog = self.catalog();
        let family = |it: &catalog::Volume| it.backing.place().map(|place| place.family);
        let source = catalog.volume(&origin.volume).ok().and_then(family);
        // It is in one of these two, mostly, and nobody has to look at all of them.
        let near = [family(record), source].into_iter().flatten();
        let near = near.filter_map(|id| self.families.get(id));
        let state = |served: &Arc<ServedFamily>| {
            let open = served.open_family().ok()?;
            let found = open.look(|list| list.get(origin.dataset).map(|it| !it.pending));
            found.ok().flatten()
        };
        let found = near.into_iter().find_map(|served| state(&served));
        found.unwrap_or_else(|| {
            let all = self.families.all();
            all.iter().find_map(state).unwrap_or(false)
        })
    }

    /// What a copy has to do with its source, and the job that fills it.
    #[must_use]
    pub fn association_of(&self, copy: &DatasetRef) -> Option<(Association, Option<u64>)> {
        let catalog = self.catalog();
        let record = catalog.volume(&copy.volume).ok()?;
        let Some(snapshot) = &copy.snapshot else {
            let job = record.hydration.as_ref().map(|hydration| hydration.job);
            return self.clone_relation(record).map(|relation| (relation, job));
        };
        let family = self.families.get(record.backing.place()?.family)?;
        let open = family.open_family().ok()?;
        let found = open
            .look(|list| list.find(record.id, snapshot).map(|found| found.id))
            .ok()??;
        let relation = Self::snapshot_relation(element_of(record), snapshot_id(found));
        Some((relation, None))
    }

    /// How the store of a volume is.
    #[must_use]
    pub fn store_of(&self, name: &VolumeName) -> Store {
        let catalog = self.catalog();
        match (catalog.volume(name), self.volume(name)) {
            (Ok(record), Some(served)) => self.health(record, &served).0,
            _ => Store::Missing,
        }
    }
}
