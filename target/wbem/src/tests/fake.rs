//! A daemon of a few volumes, and what was asked of it.

use std::sync::Mutex;

use tidelock_capabilities::built::BuiltSetting;
use tidelock_capabilities::facts::{
    Association, AssociationKey, Element, ElementId, Facts, Group, GroupId, Peer, PeerId, Place,
    Reach, ReservedAs, Totals,
};
use tidelock_capabilities::service::{Answer, SupportedOperations};
use tidelock_capabilities::values::{
    Action, ConnectionFeature, CopyState, EnabledState, GroupFeature, GroupPersistency,
    LocalOrRemote, MethodName, Mode, Operation, ProgressStatus, PropertyName, ReplicationType,
    ReturnCode, SettingsDefineStateOperation, StorageObject, SyncType, ValueSet,
};
use tidelock_capabilities::{
    AccessPoint, BuiltCapabilities, BuiltType, Reference, ReplicationServiceCapabilities, Request,
    SynchronizationSupported, TargetSupply, decide,
};

use crate::model::*;

pub(super) const ONE: ElementId = ElementId(1);
pub(super) const TWO: ElementId = ElementId(2);
pub(super) const SNAPSHOT: ElementId = ElementId(10);
pub(super) const CLONE: ElementId = ElementId(3);
pub(super) const NEW: ElementId = ElementId(99);
/// The job that tells why something was refused.
pub(super) const REFUSED: u64 = 77;

pub(super) struct Fake {
    pub(super) inventory: Inventory,
    pub(super) built: BuiltCapabilities,
    pub(super) done: Mutex<Vec<String>>,
    /// What clients have subscribed to.
    pub(super) kept: Mutex<String>,
    /// What the next change is refused with.
    pub(super) refuse: Option<ReturnCode>,
    /// The element of which no copy is made.
    pub(super) refuse_source: Option<ElementId>,
    pub(super) job: Option<u64>,
    /// How often everything was asked for.
    pub(super) gathered: std::sync::atomic::AtomicUsize,
}

fn element(id: ElementId, name: &str, snapshot: bool) -> StorageElement {
    StorageElement {
        id,
        name: name.to_owned(),
        snapshot,
        naa: (!snapshot).then_some([0x3a, 0, 0, 0, 0, 0, 0, 1]),
        size_bytes: 1 << 30,
        block_size: 512,
        health: Health::Ok,
        peer: None,
    }
}

fn association(source: ElementId, target: ElementId, sync_type: SyncType) -> StorageAssociation {
    StorageAssociation {
        key: AssociationKey {
            system_element: source,
            synced_element: target,
        },
        sync_type,
        mode: match sync_type {
            SyncType::Clone => Mode::Asynchronous,
            _ => Mode::Synchronous,
        },
        copy_state: CopyState::Synchronized,
        progress_status: ProgressStatus::Completed,
        percent_synced: (sync_type == SyncType::Clone).then_some(100),
        when_synced: Some("2026-11-26T16:43:06Z".to_owned()),
        stops_hosts: None,
        locality: LocalOrRemote::Local,
    }
}

fn built() -> BuiltCapabilities {
    let methods = MethodName::set(&[
        MethodName::CreateElementReplica,
        MethodName::CreateGroupReplica,
    ]);
    BuiltCapabilities {
        types: vec![
            BuiltType {
                methods: methods.with(MethodName::CreateSynchronizationAspect),
                settings_operations: SettingsDefineStateOperation::set(&[
                    SettingsDefineStateOperation::Delete,
                    SettingsDefineStateOperation::CopyToTarget,
                ]),
                operations: Operation::set(&[
                    Operation::RestoreFromReplica,
                    Operation::ReturnToResourcePool,
                ]),
                group_features: GroupFeature::set(&[GroupFeature::ManyToManyGroups]),
                group_operations: Operation::set(&[Operation::RestoreFromReplica]),
                ..BuiltType::new(
                    ReplicationType::SynchronousSnapshotLocal,
                    TargetSupply::Created,
                )
            },
            BuiltType {
                methods,
                operations: Operation::set(&[Operation::Detach]),
                list_operations: Operation::set(&[Operation::Detach]),
                settings: vec![BuiltSetting {
                    property: PropertyName::OnGroupOrListError,
                    supported: vec![3, 2],
                    default: Some(3),
                }],
                ..BuiltType::new(
                    ReplicationType::AsynchronousCloneLocal,
                    TargetSupply::Created,
                )
            },
            BuiltType {
                methods: MethodName::set(&[MethodName::CreateElementReplica]),
                operations: Operation::set(&[Operation::Fracture, Operation::Detach]),
                ..BuiltType::new(
                    ReplicationType::SynchronousMirrorRemote,
                    TargetSupply::Created,
                )
            },
        ],
        storage_objects: StorageObject::set(&[StorageObject::StorageVolume]),
        synchronous_actions: Action::set(&[
            Action::CreateElementReplica,
            Action::CreateGroupReplica,
            Action::CreateSynchronizationAspect,
            Action::ModifySettingsDefineState,
            Action::ModifyReplicaSynchronization,
            Action::CreateListReplica,
            Action::ModifyListSynchronization,
        ]),
        asynchronous_actions: Action::set(&[Action::CreateElementReplica]),
        group_persistency: Some(GroupPersistency::Persistent),
    }
}

impl Fake {
    pub(super) fn new() -> Self {
        let set = SnapshotSet {
            name: "monday".to_owned(),
            members: vec![SNAPSHOT],
            at: "2026-11-26T16:43:06Z".to_owned(),
        };
        Self {
            inventory: Inventory {
                system: System {
                    name: "host".to_owned(),
                    ready: true,
                    version: "0".to_owned(),
                },
                elements: vec![
                    element(ONE, "one", false),
                    element(TWO, "two <&>", false),
                    element(CLONE, "copy", false),
                    element(SNAPSHOT, "one@s", true),
                ],
                associations: vec![
                    association(ONE, SNAPSHOT, SyncType::Snapshot),
                    association(TWO, CLONE, SyncType::Clone),
                ],
                groups: vec![ReplicationGroup {
                    name: "both".to_owned(),
                    members: vec![ONE, TWO],
                    sets: vec![set],
                }],
                jobs: vec![ConcreteJob {
                    id: 7,
                    description: "hydrate copy".to_owned(),
                    state: JobState::Running,
                    percent: Some(40),
                    started: "2026-11-26T16:43:06Z".to_owned(),
                    detail: String::new(),
                    element: Some(CLONE),
                }],
                peers: Vec::new(),
            },
            built: built(),
            done: Mutex::default(),
            kept: Mutex::default(),
            refuse: None,
            refuse_source: None,
            job: Some(7),
            gathered: std::sync::atomic::AtomicUsize::default(),
        }
    }

    pub(super) fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }

    fn change(&self, what: String) -> Result<(), Refused> {
        if let Some(code) = self.refuse {
            return Err(Refused::new(code, "the fake refuses"));
        }
        self.done.lock().unwrap().push(what);
        Ok(())
    }

    fn peer_id(id: &str) -> PeerId {
        PeerId(id.bytes().map(u128::from).sum())
    }

    fn access_point(point: &Point) -> AccessPoint {
        match point {
            Point::Null => AccessPoint::Null,
            Point::Unknown => AccessPoint::Malformed,
            Point::Of(peer) => AccessPoint::Of(Self::peer_id(peer)),
        }
    }

    fn relations(&self) -> Vec<Association> {
        let all = self.inventory.associations.iter();
        all.map(|it| Association {
            key: it.key,
            sync_type: it.sync_type,
            mode: it.mode,
            copy_state: it.copy_state,
            progress_status: it.progress_status,
            target_consistent: true,
            source_consistent: true,
        })
        .collect()
    }

    /// Facts as the daemon has them, made of the inventory.
    fn with_facts<T>(&self, ask: impl FnOnce(&Facts<'_>) -> T) -> T {
        let relations = self.relations();
        let elements: Vec<Element<'_>> = self
            .inventory
            .elements
            .iter()
            .map(|it| Element {
                relations: &relations,
                place: match &it.peer {
                    Some(peer) => Place::At(Self::peer_id(peer)),
                    None => Place::Here,
                },
                ..match it.snapshot {
                    true => Element {
                        kind: tidelock_capabilities::facts::ElementKind::Snapshot,
                        read_only: true,
                        ..Element::volume(it.id, it.size_bytes, it.block_size)
                    },
                    false => Element::volume(it.id, it.size_bytes, it.block_size),
                }
            })
            .collect();
        let peers: Vec<Peer> = self
            .inventory
            .peers
            .iter()
            .map(|it| Peer {
                id: Self::peer_id(&it.id),
                reach: match it.reachable {
                    true => Reach::Answers,
                    false => Reach::Silent,
                },
                types: ValueSet::all(),
                room_for: ValueSet::all(),
                connection: ValueSet::EMPTY,
            })
            .collect();
        let groups = [Group {
            id: GroupId(1),
            place: Place::Here,
            // The two volumes come first.
            members: &elements[..2],
            reserved_as: ReservedAs::SourceOnly,
            relations: 0,
            aspects: 0,
        }];
        ask(&Facts {
            generation: 1,
            service: EnabledState::Enabled,
            built: &self.built,
            elements: &elements,
            groups: &groups,
            peers: &peers,
            totals: Totals::default(),
        })
    }
}

impl Model for Fake {
    fn inventory(&self) -> Inventory {
        self.gathered
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.inventory.clone()
    }

    fn built(&self) -> &BuiltCapabilities {
        &self.built
    }

    fn synchronization_supported(&self, question: &Question) -> SynchronizationSupported {
        let reference = |subject: &Subject| match subject {
            Subject::Null => Reference::Null,
            Subject::Malformed => Reference::Malformed,
            Subject::Element(id) => Reference::Element(*id),
            Subject::Group(_) => Reference::Group(GroupId(1)),
        };
        let request = Request {
            local_element: reference(&question.local),
            other_element: reference(&question.other),
            other_element_access_point: Self::access_point(&question.access_point),
            method_name: question.method_name,
        };
        self.with_facts(|facts| SynchronizationSupported::from(&decide(&request, facts)))
    }

    fn operations_for(&self, association: AssociationKey) -> Answer<SupportedOperations> {
        let edition = tidelock_capabilities::values::Edition::V2_29;
        let class = ReplicationServiceCapabilities::new(&self.built, edition);
        self.with_facts(|facts| {
            class
                .get_supported_operations_for_synchronization(association, facts)
                .map_err(|refusal| refusal.return_code())
        })
    }

    fn admit_operation(
        &self,
        association: AssociationKey,
        operation: Operation,
        force: bool,
    ) -> Result<(), Refused> {
        let modification = tidelock_capabilities::machine::Modification {
            operation,
            synchronization: association,
            force,
        };
        self.with_facts(|facts| {
            tidelock_capabilities::machine::modify(&modification, facts)
                .map(drop)
                .map_err(|refusal| Refused::new(refusal.return_code(), refusal.to_string()))
        })
    }

    fn create_element_replica(&self, replica: &NewReplica) -> Result<Made, Refused> {
        if self.refuse_source == Some(replica.source) {
            return Err(Refused::new(
                ReturnCode::InUse,
                "of this one no copy is made",
            ));
        }
        let at = replica.peer.as_ref().map(|peer| format!(" at {peer}"));
        self.change(format!(
            "{} of {} to {:?}{}",
            replica.sync_type,
            replica.source.0,
            replica.name,
            at.unwrap_or_default()
        ))?;
        Ok(Made {
            association: AssociationKey {
                system_element: replica.source,
                synced_element: NEW,
            },
            job: self.job,
        })
    }

    fn create_aspect(&self, aspect: &NewReplica) -> Result<Made, Refused> {
        self.change(format!(
            "aspect of {} called {:?}",
            aspect.source.0, aspect.name
        ))?;
        Ok(Made {
            association: AssociationKey {
                system_element: aspect.source,
                synced_element: NEW,
            },
            job: None,
        })
    }

    fn connection_features(&self, point: &Point) -> Answer<ValueSet<ConnectionFeature>> {
        let edition = tidelock_capabilities::values::Edition::V2_29;
        let class = ReplicationServiceCapabilities::new(&self.built, edition);
        let point = Self::access_point(point);
        self.with_facts(|facts| class.get_supported_connection_features(point, facts))
    }

    fn create_group_replica(&self, replica: &NewGroupReplica) -> Result<MadeGroup, Refused> {
        if let Some(target) = &replica.target {
            let (group, stops) = (&replica.group, replica.stops_hosts);
            self.change(format!(
                "{} of group {group} to group {target} {stops}",
                replica.sync_type
            ))?;
            return Ok(MadeGroup {
                group: target.clone(),
                associated: false,
            });
        }
        self.change(format!(
            "{} of group {} to {:?}",
            replica.sync_type, replica.group, replica.name
        ))?;
        Ok(MadeGroup {
            group: format!("{}@new", replica.group),
            associated: true,
        })
    }

    fn modify(&self, change: &Modification) -> Result<Option<u64>, Refused> {
        let key = change.association;
        let (source, target) = (key.system_element.0, key.synced_element.0);
        let (operation, force) = (change.operation, change.force);
        self.change(format!("{operation} {source} {target} {force}"))?;
        Ok(change.wait_for.and(self.job))
    }

    fn modify_group(
        &self,
        group: &str,
        set: &str,
        operation: Operation,
        force: bool,
    ) -> Result<(), Refused> {
        self.change(format!("{operation} {group} {set} {force}"))
    }

    fn change_group(&self, change: &GroupChange) -> Result<(), Refused> {
        self.change(format!("{change:?}"))
    }

    fn all_of(&self, _: &str, jobs: &[u64]) -> u64 {
        jobs.iter().sum()
    }

    fn check_listener(&self, destination: &str) -> Result<(), String> {
        match destination.starts_with("http://") {
            true => Ok(()),
            false => Err("it has to begin with http://".to_owned()),
        }
    }

    fn keep_subscriptions(&self, text: &str) -> Result<(), String> {
        text.clone_into(&mut self.kept.lock().unwrap());
        Ok(())
    }

    fn cancel_job(&self, job: u64) -> bool {
        job == 7
    }

    fn note(&self, method: &str, refused: &Refused) -> u64 {
        assert!(!refused.reason.is_empty(), "{method}");
        REFUSED
    }
}
