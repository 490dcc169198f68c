//! The daemon as the WBEM server sees it: what is asked goes to the registry, and what is changed goes the way of all
//! changes, on the daemon's own runtime. Knows no CIM-XML.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::SystemTime;

use tidelock_admin::v1;
use tidelock_capabilities::facts::{AssociationKey, ElementId};
use tidelock_capabilities::service::{Answer, SupportedOperations};
use tidelock_capabilities::values::{
    ConnectionFeature, CopyState, MethodName, Mode, Operation, ReturnCode, SyncType, ValueSet,
};
use tidelock_capabilities::{BuiltCapabilities, SynchronizationSupported};
use tidelock_catalog::{
    CatalogError, Command, DatasetRef, ErrorKind, GroupName, PeerName, SnapshotName, SnapshotRef,
    VolumeName,
};
use tidelock_wbem::model::{
    GroupChange, Inventory, Made, MadeGroup, Model, Modification, NewGroupReplica, NewReplica,
    PeerSystem, Point, Question, Refused, Subject,
};
use tokio::runtime::Handle;

use crate::admin_server::{
    CloneControl as _, Control as _, ControlError, JobControl as _, PeerControl as _,
    SnapshotControl as _,
};
use crate::control::DaemonControl;
use crate::events::unix_ms;
use crate::registry::capabilities::{Asked, ElementName, ReplicaAsked, Via};
use crate::registry::{CloneRequest, GroupCloneRequest, MirrorRelation, Registry};
use crate::shared::Shared;
use crate::state_dir::ReplacedFile;
use crate::wbem::jobs::Jobs;
use crate::wbem::listeners::Ways;

/// The daemon.
pub(super) struct DaemonModel {
    shared: Arc<Shared>,
    control: Arc<DaemonControl>,
    /// Where changes are made.
    runtime: Handle,
    /// Those that are only told of here.
    jobs: Jobs,
    /// How listeners are reached.
    ways: Ways,
    /// What clients have subscribed to.
    kept: ReplacedFile,
}

impl DaemonModel {
    pub(super) fn new(
        shared: Arc<Shared>,
        control: Arc<DaemonControl>,
        runtime: Handle,
        (ways, kept): (Ways, ReplacedFile),
    ) -> Self {
        Self {
            shared,
            control,
            runtime,
            jobs: Jobs::default(),
            ways,
            kept,
        }
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// Has something done by the daemon and waits for it. Only on threads that may be waited for.
    pub(super) fn run<T, W>(&self, work: impl FnOnce(Arc<DaemonControl>) -> W) -> Result<T, Refused>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, ControlError>> + Send + 'static,
    {
        let (tell, told) = sync_channel(1);
        let work = work(Arc::clone(&self.control));
        self.runtime.spawn(async move {
            // Nobody waits any more if the server has ended; what was begun is done all the same.
            let _ = tell.send(work.await);
        });
        match told.recv() {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(refused(&error)),
            Err(_) => Err(Refused::new(ReturnCode::Failed, "the daemon is stopping")),
        }
    }

    fn name_of(&self, id: ElementId) -> Result<DatasetRef, Refused> {
        self.registry().element_called(id).ok_or_else(|| {
            Refused::new(
                ReturnCode::InvalidParameter,
                "the element isn't there any more",
            )
        })
    }

    fn subject(&self, subject: &Subject) -> Option<ElementName> {
        match subject {
            Subject::Null => None,
            Subject::Malformed => Some(ElementName::Unreadable),
            Subject::Element(id) => Some(self.registry().element_named(*id)),
            Subject::Group(name) => Some(match GroupName::new(name) {
                Ok(name) => ElementName::Group(name),
                Err(_) => ElementName::Unreadable,
            }),
        }
    }

    /// The peer of that id.
    pub(super) fn peer_called(&self, id: &str) -> Result<PeerName, Refused> {
        let peers = self.control.peers().map(|it| it.peers).unwrap_or_default();
        let found = peers.into_iter().find(|it| it.node_id == id);
        let name = found.and_then(|it| PeerName::new(&it.name).ok());
        name.ok_or_else(|| {
            Refused::new(
                ReturnCode::InvalidParameter,
                "the peer isn't known here any more: GetPeerSystems has those that are",
            )
        })
    }

    /// Who is meant by an access point.
    fn peer_of(&self, point: &Point) -> Result<Option<PeerName>, Refused> {
        match point {
            Point::Null => Ok(None),
            Point::Of(id) => self.peer_called(id).map(Some),
            Point::Unknown => Err(Refused::new(
                ReturnCode::InvalidParameter,
                "the access point isn't known here",
            )),
        }
    }

    /// Whether a copy, or an aspect, is made now; and its source. What nobody makes has to be refused before it is begun: a
    /// snapshot of a snapshot, or one in a target that is supplied.
    fn admit(
        &self,
        replica: &NewReplica,
        method: MethodName,
        peer: Option<&PeerName>,
    ) -> Result<(ElementName, Option<ElementName>), Refused> {
        let registry = self.registry();
        let source = registry.element_named(replica.source);
        let target = replica.target.map(|it| registry.element_named(it));
        let admitted = registry.admit_replica(&ReplicaAsked {
            method,
            sync_type: replica.sync_type,
            mode: replica.mode,
            source: &source,
            target: target.as_ref(),
            via: peer.map_or(Via::Nobody, Via::Peer),
        });
        admitted.map_err(|error| refused(&error.into()))?;
        Ok((source, target))
    }

    /// Whether the engines make such copies of groups, in that mode.
    fn check_type(sync_type: SyncType, mode: Option<Mode>) -> Result<(), Refused> {
        let mut types = Registry::offered().types.iter();
        let fits = types.any(|it| {
            let is_it = it.sync_type() == sync_type && it.has_groups();
            is_it && mode.is_none_or(|mode| mode == it.mode())
        });
        if fits {
            return Ok(());
        }
        Err(not_built(&match mode {
            Some(mode) => format!("a {mode} {sync_type} isn't made of groups"),
            None => format!("a {sync_type} isn't made of groups"),
        }))
    }

    /// The job by which a mirror comes to a state.
    pub(super) fn follow(&self, relation: &MirrorRelation, wanted: CopyState) -> u64 {
        let name = |id| {
            let far = relation.far.as_ref().filter(|far| far.id == id);
            let found = self.registry().element_called(id);
            let found = found.map(|it| it.to_string());
            let found = found.or_else(|| far.map(|far| far.name.clone()));
            found.unwrap_or_else(|| "?".to_owned())
        };
        let key = relation.association.key;
        let (source, target) = (name(key.system_element), name(key.synced_element));
        let description = format!("mirror {source} to {target} until {wanted}");
        let registry = &self.shared.registry;
        self.jobs
            .wait(relation, wanted, description, registry, &self.runtime)
    }

    fn create_snapshot(&self, source: &DatasetRef, name: &str) -> Result<Made, Refused> {
        let called = SnapshotRef {
            volume: source.volume.clone(),
            snapshot: parsed(name, SnapshotName::new)?,
        };
        let wanted = called.clone();
        self.run(|control| async move { control.create_snapshot(wanted, false).await })?;
        self.made(&DatasetRef {
            volume: called.volume,
            snapshot: Some(called.snapshot),
        })
    }

    /// A copy that gets blocks of its own until it shares nothing, and is associated until it is detached.
    fn create_clone(&self, source: DatasetRef, name: &str) -> Result<Made, Refused> {
        let name = parsed(name, VolumeName::new)?;
        let request = CloneRequest {
            source,
            name: name.clone(),
            linked: false,
            full: None,
        };
        let volume = name.clone();
        self.run(|control| async move {
            control.create_clone(request).await?;
            control.split_clone(volume, None).await
        })?;
        self.made(&DatasetRef {
            volume: name,
            snapshot: None,
        })
    }

    /// The association of a copy that was just made.
    fn made(&self, copy: &DatasetRef) -> Result<Made, Refused> {
        let gone = || Refused::new(ReturnCode::Failed, "the copy was made, and is gone already");
        let (association, job) = self.registry().association_of(copy).ok_or_else(gone)?;
        Ok(Made {
            association: association.key,
            job,
        })
    }
}

impl Model for DaemonModel {
    fn inventory(&self) -> Inventory {
        // Without an identity there are none.
        let peers = self.control.peers().map(|it| it.peers).unwrap_or_default();
        let peers = peers.into_iter().map(peer).collect();
        let jobs = self.control.jobs();
        let mut inventory = super::inventory::inventory(&self.shared, jobs, peers);
        let mut own = self.jobs.list(self.registry(), &inventory.jobs);
        inventory.jobs.append(&mut own);
        inventory
    }

    fn built(&self) -> &BuiltCapabilities {
        Registry::offered()
    }

    fn synchronization_supported(&self, question: &Question) -> SynchronizationSupported {
        let local = self.subject(&question.local);
        let other = self.subject(&question.other);
        let peer = self.peer_of(&question.access_point);
        let answer = self.registry().synchronization_offered(Asked {
            element: local.as_ref(),
            other: other.as_ref(),
            via: via(&peer),
            method_name: question.method_name,
        });
        SynchronizationSupported::from(&answer.decision)
    }

    fn connection_features(&self, point: &Point) -> Answer<ValueSet<ConnectionFeature>> {
        let peer = self.peer_of(point);
        self.registry().connection_features(via(&peer))
    }

    fn operations_for(&self, association: AssociationKey) -> Answer<SupportedOperations> {
        self.registry().operations_for(association)
    }

    fn admit_operation(
        &self,
        association: AssociationKey,
        operation: Operation,
        force: bool,
    ) -> Result<(), Refused> {
        let admitted = self
            .registry()
            .admit_operation(association, operation, force);
        admitted.map_err(|refused| Refused::new(refused.return_code, refused.reason))
    }

    fn create_element_replica(&self, replica: &NewReplica) -> Result<Made, Refused> {
        let peer = replica.peer.as_ref().map(|it| self.peer_called(it));
        let peer = peer.transpose()?;
        let method = MethodName::CreateElementReplica;
        let (source, target) = self.admit(replica, method, peer.as_ref())?;
        let ElementName::Dataset(source) = source else {
            return Err(not_built("copies are made of volumes and snapshots here"));
        };
        let name = replica.name.clone().unwrap_or_else(made_up);
        match (replica.sync_type, target, peer) {
            (SyncType::Snapshot, ..) => self.create_snapshot(&source, &name),
            (SyncType::Clone, ..) => self.create_clone(source, &name),
            (SyncType::Mirror, None, Some(peer)) => {
                let target = parsed(&name, VolumeName::new)?;
                self.create_remote_mirror(replica, &source, peer, target)
            }
            (SyncType::Mirror, Some(ElementName::Dataset(target)), None) => {
                self.create_mirror(replica, &source, &target)
            }
            (SyncType::Mirror, ..) => Err(not_built(
                "a mirror needs a TargetElement here, or a TargetAccessPoint",
            )),
        }
    }

    fn create_aspect(&self, aspect: &NewReplica) -> Result<Made, Refused> {
        let method = MethodName::CreateSynchronizationAspect;
        let (source, _) = self.admit(aspect, method, None)?;
        let ElementName::Dataset(source) = source else {
            return Err(not_built("aspects are made of volumes"));
        };
        let name = aspect.name.clone().unwrap_or_else(made_up);
        self.create_snapshot(&source, &name)
    }

    fn create_group_replica(&self, replica: &NewGroupReplica) -> Result<MadeGroup, Refused> {
        Self::check_type(replica.sync_type, replica.mode)?;
        let group = parsed(&replica.group, GroupName::new)?;
        let name = replica.name.clone().unwrap_or_else(made_up);
        if replica.sync_type == SyncType::Snapshot {
            let snapshot = parsed(&name, SnapshotName::new)?;
            self.run(
                |control| async move { control.snapshot_group(group, snapshot, false).await },
            )?;
            return Ok(MadeGroup {
                group: format!("{}@{name}", replica.group),
                associated: true,
            });
        }
        if replica.sync_type == SyncType::Mirror {
            return self.create_group_mirrors(replica, group);
        }
        let request = GroupCloneRequest {
            group,
            snapshot: None,
            name: Some(parsed(&name, GroupName::new)?),
            suffix: format!("-{name}"),
            full: None,
        };
        self.run(|control| async move {
            for clone in control.clone_group(request).await? {
                if let Ok(volume) = VolumeName::new(&clone.name) {
                    control.split_clone(volume, None).await?;
                }
            }
            Ok(())
        })?;
        Ok(MadeGroup {
            group: name,
            associated: false,
        })
    }

    fn modify(&self, change: &Modification) -> Result<Option<u64>, Refused> {
        if let Some(mirror) = self.mirror_of(change.association) {
            return self.modify_mirror(&mirror, change);
        }
        let (operation, force) = (change.operation, change.force);
        let target = self.name_of(change.association.synced_element)?;
        let volume = target.volume.clone();
        let snapshot = target.snapshot.map(|snapshot| SnapshotRef {
            volume: target.volume,
            snapshot,
        });
        match (operation, snapshot) {
            (Operation::Detach, None) => {
                self.run(|control| async move { control.detach_clone(volume).await })?;
            }
            (Operation::RestoreFromReplica, Some(snapshot)) => self.run(|control| async move {
                control.restore_snapshot(snapshot, force).await.map(drop)
            })?,
            (Operation::ReturnToResourcePool, Some(snapshot)) => {
                self.run(|control| async move { control.delete_snapshot(snapshot).await })?;
            }
            _ => {
                return Err(not_built(&format!(
                    "{operation} isn't done by this service"
                )));
            }
        }
        Ok(None)
    }

    fn modify_group(
        &self,
        group: &str,
        set: &str,
        operation: Operation,
        force: bool,
    ) -> Result<(), Refused> {
        if operation != Operation::RestoreFromReplica {
            return Err(not_built(&format!("{operation} isn't done with groups")));
        }
        let group = parsed(group, GroupName::new)?;
        let set = parsed(set, SnapshotName::new)?;
        self.run(|control| async move { control.restore_group(group, set, force).await.map(drop) })
    }

    fn change_group(&self, change: &GroupChange) -> Result<(), Refused> {
        let volumes = |members: &[ElementId]| {
            let names = members.iter().map(|id| self.name_of(*id));
            names
                .map(|name| name.map(|it| it.volume))
                .collect::<Result<Vec<_>, _>>()
        };
        let commands = match change {
            GroupChange::Create { name, members } => vec![Command::CreateGroup {
                group: parsed(name, GroupName::new)?,
                volumes: volumes(members)?,
            }],
            GroupChange::Delete { name } => vec![Command::DeleteGroup {
                group: parsed(name, GroupName::new)?,
            }],
            GroupChange::Add { name, members } => vec![Command::AddToGroup {
                group: parsed(name, GroupName::new)?,
                volumes: volumes(members)?,
            }],
            GroupChange::Remove { name, members } => {
                let group = parsed(name, GroupName::new)?;
                let removed = volumes(members)?.into_iter();
                removed
                    .map(|volume| Command::RemoveFromGroup {
                        group: group.clone(),
                        volume,
                    })
                    .collect()
            }
        };
        self.run(|control| async move {
            for command in commands {
                control.apply(command).await?;
            }
            Ok(())
        })
    }

    fn all_of(&self, description: &str, jobs: &[u64]) -> u64 {
        self.jobs.all_of(description, jobs)
    }

    fn check_listener(&self, destination: &str) -> Result<(), String> {
        self.ways.check(destination)
    }

    fn keep_subscriptions(&self, text: &str) -> Result<(), String> {
        let kept = self.kept.replace(text.as_bytes());
        kept.map_err(|error| error.to_string())
    }

    fn cancel_job(&self, job: u64) -> bool {
        // A copy of a mirror ends when the mirror is suspended or detached.
        if self.jobs.has(job) {
            return false;
        }
        let cancelled =
            self.run(|control| async move { Ok(control.cancel_job(job).await.is_ok()) });
        cancelled.unwrap_or(false)
    }

    fn note(&self, method: &str, refused: &Refused) -> u64 {
        tracing::info!(
            method,
            return_code = refused.return_code.value(),
            reason = %refused.reason,
            "a WBEM client was refused"
        );
        self.jobs.refused(method, refused.reason.clone())
    }
}

/// By whom somebody asks, as far as that is known.
fn via(peer: &Result<Option<PeerName>, Refused>) -> Via<'_> {
    match peer {
        Ok(None) => Via::Nobody,
        Ok(Some(peer)) => Via::Peer(peer),
        Err(_) => Via::Unreadable,
    }
}

fn peer(peer: v1::Peer) -> PeerSystem {
    PeerSystem {
        id: peer.node_id,
        name: peer.name,
        address: peer.address,
        reachable: peer.state == v1::PeerState::Connected,
    }
}

/// What a copy is called that nobody has named.
fn made_up() -> String {
    format!("cim-{}", unix_ms(SystemTime::now()))
}

/// A name that has come from a client.
fn parsed<T, E: std::fmt::Display>(
    text: &str,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Refused> {
    read(text).map_err(|error| Refused::new(ReturnCode::InvalidParameter, error.to_string()))
}

fn not_built(reason: &str) -> Refused {
    Refused::new(ReturnCode::NotSupported, reason)
}

/// What is returned for an error of the daemon.
fn refused(error: &ControlError) -> Refused {
    let return_code = match error {
        ControlError::Refused(refused) => refused.return_code,
        ControlError::Catalog(error) => of_catalog(error),
        ControlError::VolumeInUse { .. } | ControlError::LeftTheGroup { .. } => ReturnCode::InUse,
        ControlError::Starting => ReturnCode::Unknown,
        _ => ReturnCode::Failed,
    };
    Refused::new(return_code, error.to_string())
}

fn of_catalog(error: &CatalogError) -> ReturnCode {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::NotFound => ReturnCode::InvalidParameter,
        ErrorKind::Conflict | ErrorKind::Limit => ReturnCode::InUse,
    }
}
