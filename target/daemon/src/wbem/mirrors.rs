//! Mirrors as WBEM clients make, change and end them: the same ways as all others go. Knows no CIM-XML.

use tidelock_capabilities::facts::AssociationKey;
use tidelock_capabilities::values::{CopyState, Mode, Operation, ReturnCode};
use tidelock_catalog::{
    DatasetRef, GroupName, MirrorFailover, MirrorMode, OnFailure, PeerName, VolumeName,
};
use tidelock_wbem::model::{Made, MadeGroup, Modification, NewGroupReplica, NewReplica, Refused};

use super::daemon::DaemonModel;
use crate::admin_server::MirrorControl as _;
use crate::registry::{
    GroupMirrorRequest, GroupTarget, MirrorChange, MirrorRelation, MirrorRequest,
    RemoteMirrorRequest,
};

/// The target of an asynchronous mirror is to be so far behind at most.
const RPO_MS: u64 = 5_000;

impl DaemonModel {
    /// Keeps a volume equal to another one from now on.
    pub(super) fn create_mirror(
        &self,
        replica: &NewReplica,
        source: &DatasetRef,
        target: &DatasetRef,
    ) -> Result<Made, Refused> {
        let request = MirrorRequest {
            resync_limit: None,
            source: source.volume.clone(),
            target: target.volume.clone(),
            on_failure: stopping(replica.stops_hosts),
            mode: mode_of(replica.mode),
        };
        let made =
            self.run(|control| async move { Ok(control.create_mirror(request).await?.id) })?;
        self.made_mirror(replica, source, &made)
    }

    /// Keeps a volume that a peer makes equal to one here from now on.
    pub(super) fn create_remote_mirror(
        &self,
        replica: &NewReplica,
        source: &DatasetRef,
        peer: PeerName,
        target: VolumeName,
    ) -> Result<Made, Refused> {
        let request = RemoteMirrorRequest {
            resync_limit: None,
            compression: tidelock_catalog::MirrorCompression::None,
            source: source.volume.clone(),
            peer,
            target,
            on_failure: stopping(replica.stops_hosts),
            failover: MirrorFailover::Manual,
            mode: mode_of(replica.mode),
        };
        let made =
            self.run(|control| async move { Ok(control.create_remote_mirror(request).await?.id) })?;
        self.made_mirror(replica, source, &made)
    }

    /// Keeps the volumes of one group equal to those of another one from now on. Each mirror has an association of its own.
    pub(super) fn create_group_mirrors(
        &self,
        replica: &NewGroupReplica,
        group: GroupName,
    ) -> Result<MadeGroup, Refused> {
        let wrong = |reason: String| Refused::new(ReturnCode::InvalidParameter, reason);
        let named = replica.target.clone();
        let named = named.ok_or_else(|| wrong("a mirror of a group needs a TargetGroup".into()))?;
        let target = GroupName::new(&named).map_err(|error| wrong(error.to_string()))?;
        let request = GroupMirrorRequest {
            group,
            target: GroupTarget::Here(target),
            on_failure: stopping(replica.stops_hosts),
            mode: mode_of(replica.mode),
            resync_limit: None,
        };
        self.run(|control| async move { control.create_group_mirrors(request).await.map(drop) })?;
        Ok(MadeGroup {
            group: named,
            associated: false,
        })
    }

    fn made_mirror(
        &self,
        replica: &NewReplica,
        source: &DatasetRef,
        made: &str,
    ) -> Result<Made, Refused> {
        let found = self.mirror_called(made);
        let relation = found.ok_or_else(|| gone(source.volume.as_str()))?;
        let wanted = replica.wait_for.unwrap_or(CopyState::Synchronized);
        Ok(Made {
            association: relation.association.key,
            job: self.job_until(&relation, wanted),
        })
    }

    /// Does an operation on a mirror.
    pub(super) fn modify_mirror(
        &self,
        relation: &MirrorRelation,
        change: &Modification,
    ) -> Result<Option<u64>, Refused> {
        let id = relation.id.to_string();
        let (operation, force) = (change.operation, change.force);
        if operation == Operation::Detach {
            self.run(|control| async move { control.detach_mirror(id, force).await })?;
            return Ok(None);
        }
        let asked = MirrorChange {
            mirror: id.clone(),
            operation,
            force,
            discard: None,
        };
        self.run(|control| async move { control.modify_mirror(asked).await.map(drop) })?;
        // It may have another key by now.
        let relation = self.mirror_called(&id).ok_or_else(|| gone(&id))?;
        let rests = || match operation {
            // Where it was before.
            Operation::RestoreFromReplica => {
                let state = relation.association.copy_state;
                matches!(state, CopyState::Fractured | CopyState::Split).then_some(state)
            }
            _ => leads_to(operation),
        };
        let wanted = change.wait_for.or_else(rests);
        Ok(wanted.and_then(|wanted| self.job_until(&relation, wanted)))
    }

    /// The mirror with that key.
    pub(super) fn mirror_of(&self, key: AssociationKey) -> Option<MirrorRelation> {
        self.registry().mirror_relation(key)
    }

    fn mirror_called(&self, id: &str) -> Option<MirrorRelation> {
        let mut all = self.registry().mirror_relations().into_iter();
        all.find(|it| it.id.to_string() == id)
    }

    /// The job by which a mirror comes to a state, if it isn't in it and somebody waits for it.
    fn job_until(&self, relation: &MirrorRelation, wanted: CopyState) -> Option<u64> {
        let association = &relation.association;
        let is_early = matches!(wanted, CopyState::Initialized | CopyState::Unsynchronized);
        let is_changing = association.is_copying() || association.is_restoring();
        let is_there = association.copy_state == wanted && !is_changing;
        (!is_early && !is_there).then(|| self.follow(relation, wanted))
    }
}

/// When writes of hosts are to be answered; synchronous, if nothing is said of that.
const fn mode_of(mode: Option<Mode>) -> MirrorMode {
    match mode {
        Some(Mode::Asynchronous) => MirrorMode::Asynchronous { rpo_ms: RPO_MS },
        _ => MirrorMode::Synchronous,
    }
}

/// What is done with hosts while the target is away.
const fn stopping(stops_hosts: bool) -> OnFailure {
    match stops_hosts {
        true => OnFailure::Halt,
        false => OnFailure::Continue,
    }
}

/// Where an operation ends if nothing goes wrong.
const fn leads_to(operation: Operation) -> Option<CopyState> {
    match operation {
        Operation::Resume | Operation::ResyncReplica | Operation::Failback => {
            Some(CopyState::Synchronized)
        }
        Operation::Failover => Some(CopyState::Failedover),
        Operation::Fracture => Some(CopyState::Fractured),
        Operation::Split => Some(CopyState::Split),
        Operation::Suspend => Some(CopyState::Suspended),
        _ => None,
    }
}

fn gone(what: &str) -> Refused {
    Refused::new(
        ReturnCode::Failed,
        format!(
            "it was done, and the mirror {what} is gone already: somebody else has detached it"
        ),
    )
}
