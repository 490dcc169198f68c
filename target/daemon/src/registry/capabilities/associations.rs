//! What copies have to do with their sources, by the identities of both: which associations there are, and what may be
//! done with them. Asked by the WBEM server, whose clients know no names.

use std::sync::{Arc, OnceLock};

use tidelock_capabilities::facts::{Association, AssociationKey, ElementId, Store};
use tidelock_capabilities::machine::{Modification, OperationRefusal, modify};
use tidelock_capabilities::service::{Answer as Answered, SupportedOperations};
use tidelock_capabilities::values::{
    Action, ConnectionFeature, CopyState, Edition, LocalOrRemote, MethodName, Mode, Operation,
    ProgressStatus, ReplicationType, ReturnCode, SyncType, ValueSet,
};
use tidelock_capabilities::{
    BuiltCapabilities, Creation, Reference, ReplicationServiceCapabilities, admit,
};
use tidelock_catalog::{self as catalog, DatasetId, DatasetRef, VolumeName};

use super::facts::{at_rest, element_of, snapshot_id};
use super::{Answer, Asked, ElementName, Gathered, Refused, Via, built};
use crate::mirrors::running::Running;
use crate::registry::Registry;
use crate::registry::changes::ChangeError;
use crate::registry::families::ServedFamily;

/// Why something isn't done, as it is returned. Nothing of this is a fault: it is asked again when that is put right.
fn in_a_code(error: ChangeError) -> Refused {
    match error {
        ChangeError::Refused(refused) => refused,
        other => Refused {
            return_code: match &other {
                ChangeError::Loading => ReturnCode::Unknown,
                ChangeError::Rule(_) => ReturnCode::InUse,
                _ => ReturnCode::Failed,
            },
            reason: other.to_string(),
        },
    }
}

/// What the WBEM server offers of what is built: the rules are the same, and what it has no way to do isn't offered.
fn offered() -> &'static BuiltCapabilities {
    static OFFERED: OnceLock<BuiltCapabilities> = OnceLock::new();
    OFFERED.get_or_init(|| {
        let mut offered = built().clone();
        offered.synchronous_actions = Action::set(&[
            Action::CreateElementReplica,
            Action::CreateGroupReplica,
            Action::CreateSynchronizationAspect,
            Action::CreateListReplica,
            Action::ModifyReplicaSynchronization,
            Action::ModifyListSynchronization,
            Action::ModifySettingsDefineState,
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
            Action::ModifySettingsDefineState,
        ]);
        offered
    })
}

/// A copy of an element, or an aspect of it, that somebody wants to have.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaAsked<'a> {
    /// By which method.
    pub method: MethodName,
    /// SyncType.
    pub sync_type: SyncType,
    /// Mode; `None` leaves it to the service.
    pub mode: Option<Mode>,
    /// Of what.
    pub source: &'a ElementName,
    /// The target that is supplied.
    pub target: Option<&'a ElementName>,
    /// Who has the target, or is to make it.
    pub via: Via<'a>,
}

impl Registry {
    /// What the WBEM server offers.
    #[must_use]
    pub fn offered() -> &'static BuiltCapabilities {
        offered()
    }

    /// The same question as [`Self::answer`], from the WBEM server.
    #[must_use]
    pub fn synchronization_offered(&self, asked: Asked<'_>) -> Answer {
        self.answer_of(asked, offered())
    }

    /// What can be said of the connection with a peer: GetSupportedConnectionFeatures.
    ///
    /// # Errors
    /// The code that is returned.
    pub fn connection_features(&self, via: Via<'_>) -> Answered<ValueSet<ConnectionFeature>> {
        let gathered = self.gather_via(&ElementName::Gone, None, via);
        let access_point = gathered.access_point(None, via);
        let class = ReplicationServiceCapabilities::new(offered(), Edition::V2_29);
        gathered.with_facts(offered(), |facts| {
            class.get_supported_connection_features(access_point, facts)
        })
    }

    /// Whether a copy of an element, or an aspect of it, may be made now, and of which type it is then. Asked again by
    /// whoever makes it.
    ///
    /// # Errors
    /// What stands against it.
    pub fn admit_replica(
        &self,
        replica: &ReplicaAsked<'_>,
    ) -> Result<ReplicationType, ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let source = replica.source;
        let gathered = self.gather_via(source, replica.target, replica.via);
        if let Some(missing) = gathered.missing() {
            return Err(missing.into());
        }
        let creation = Creation {
            method: replica.method,
            sync_type: replica.sync_type,
            mode: replica.mode,
            source: gathered.reference(source),
            target: replica
                .target
                .map_or(Reference::Null, |target| gathered.other(target)),
            access_point: gathered.access_point(replica.target, replica.via),
        };
        let admitted = gathered.with_facts(offered(), |facts| admit(&creation, facts));
        admitted
            .map(|it| it.replication_type)
            .map_err(|refusal| self.refused(&refusal, &gathered, source))
    }

    /// What may be done with an association now.
    ///
    /// # Errors
    /// The code that is returned.
    pub fn operations_for(&self, association: AssociationKey) -> Answered<SupportedOperations> {
        if let Some(running) = self.far_mirror(association) {
            return Ok(self.operations_with_a_peer(&running));
        }
        let gathered = self.gather_ends(association);
        let class = ReplicationServiceCapabilities::new(offered(), Edition::V2_29);
        let told = gathered.with_facts(offered(), |facts| {
            class
                .get_supported_operations_for_synchronization(association, facts)
                .map_err(|refusal| refusal.return_code())
        })?;
        Ok(told.retained(|operation, force| {
            let admitted = self.admit_operation(association, operation, force);
            admitted.is_ok()
        }))
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
        if let Some(running) = self.far_mirror(association) {
            let admitted = self.admit_remote_operation(&running, operation, force);
            return admitted.map_err(in_a_code);
        }
        let modification = Modification {
            operation,
            synchronization: association,
            force,
        };
        let gathered = self.gather_ends(association);
        let admitted = gathered.with_facts(offered(), |facts| modify(&modification, facts));
        admitted.map_err(|refusal| Refused {
            return_code: refusal.return_code(),
            reason: match &refusal {
                OperationRefusal::End(reason) => reason.sentence(&gathered).to_string(),
                other => other.to_string(),
            },
        })?;
        self.admit_of_snapshot(association, operation)
            .and_then(|()| self.admit_of_mirror(association, operation, force))
            .map_err(in_a_code)
    }

    /// What stands against an operation on a snapshot beside the rules: it is done by the family of its volume, and what a
    /// mirror keeps equal is brought back by nobody else.
    fn admit_of_snapshot(
        &self,
        association: AssociationKey,
        operation: Operation,
    ) -> Result<(), ChangeError> {
        let target = self.element_called(association.synced_element);
        let Some(of) = target.filter(|it| it.snapshot.is_some()) else {
            return Ok(());
        };
        self.ready(&of.volume)?;
        match operation {
            Operation::RestoreFromReplica => self.check_not_mirrored(&of.volume),
            _ => Ok(()),
        }
    }

    /// What the two daemons of a mirror would do with it now: each is asked about as if it were wanted.
    fn operations_with_a_peer(&self, running: &Running) -> SupportedOperations {
        let mode = running.look(|state| state.association().mode);
        let wanted = ReplicationType::of(SyncType::Mirror, mode, LocalOrRemote::Remote);
        let Some(built) = offered().of(wanted) else {
            return SupportedOperations::default();
        };
        let is_accepted = |operation, force| {
            let admitted = self.admit_remote_operation(running, operation, force);
            admitted.is_ok()
        };
        let accepted = built.operations.iter().filter_map(|operation| {
            let without_force = is_accepted(operation, false);
            let accepted = without_force || is_accepted(operation, true);
            accepted.then_some((operation, !without_force))
        });
        SupportedOperations::of(built, accepted)
    }

    /// The mirror between two elements, of which a peer has one.
    fn far_mirror(&self, association: AssociationKey) -> Option<Arc<Running>> {
        let running = self.mirror_between(association)?;
        let is_far = running.look(|state| state.record().remote().is_some());
        is_far.then_some(running)
    }

    fn gather_ends(&self, association: AssociationKey) -> Gathered {
        let named = |id| self.element_named(id);
        let target = named(association.synced_element);
        self.gather(&named(association.system_element), Some(&target))
    }

    /// What an element is, here or as the end that a peer has of a mirror.
    #[must_use]
    pub fn element_named(&self, id: ElementId) -> ElementName {
        match self.element_called(id) {
            Some(name) => ElementName::Dataset(name),
            None if self.mirrors.far_end(id).is_some() => ElementName::Far(id),
            None => ElementName::Gone,
        }
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
