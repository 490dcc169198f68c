//! Mirrors of a daemon that has nothing but a catalog: what is asked for is the case at once.

use futures_util::FutureExt as _;
use futures_util::future::ready;
use tidelock_admin::v1::{self, JobKind};
use tidelock_capabilities::values::Operation;
use tidelock_catalog::{
    CatalogError, Command, Elsewhere, GroupName, Mirror, MirrorCompression, MirrorEnd,
    MirrorFailover, MirrorId, MirrorMode, MirrorRest, MirrorSide, OnFailure, VolumeName,
};
use uuid::Uuid;

use super::Fake;
use crate::admin_server::{Control, ControlError, MirrorControl, Outcome};
use crate::registry::{
    FailoverChange, GroupMirrorChange, GroupMirrorRequest, GroupTarget, MirrorChange,
    MirrorRequest, RemoteMirrorRequest,
};

impl Fake {
    fn find_mirror(&self, name: &str) -> Result<Mirror, ControlError> {
        let none = || CatalogError::NoSuchMirror {
            mirror: name.to_owned(),
        };
        let volume = VolumeName::new(name).map_err(|_| none())?;
        Ok(self
            .catalog()
            .mirror_of(&volume)
            .cloned()
            .ok_or_else(none)?)
    }
}

impl Fake {
    /// The mirrors of a group's volumes.
    fn mirrored_members(&self, group: &GroupName) -> Result<Vec<Mirror>, ControlError> {
        let catalog = self.catalog();
        let members = &catalog.group(group)?.members;
        let mirrors = members.iter().map(|volume| {
            let found = catalog.mirror_of(volume).cloned();
            let volume = volume.clone();
            found.ok_or_else(|| CatalogError::NotMirrored { volume }.into())
        });
        mirrors.collect()
    }
}

impl Fake {
    fn make(
        &self,
        source: VolumeName,
        target: VolumeName,
        elsewhere: Option<Elsewhere>,
        (on_failure, mode): (OnFailure, MirrorMode),
    ) -> Outcome<'_, v1::Mirror> {
        let end = |volume: VolumeName, elsewhere| MirrorEnd {
            volume,
            node: Uuid::new_v4(),
            elsewhere,
        };
        let mirror = Mirror {
            id: MirrorId(Uuid::new_v4()),
            first: end(source, None),
            second: end(target, elsewhere),
            source: MirrorSide::First,
            on_failure,
            mode,
            resync_limit: None,
            compression: MirrorCompression::None,
            rest: MirrorRest::Linked,
            failover: MirrorFailover::Manual,
        };
        let made = self.change(Command::CreateMirror(mirror.clone()));
        ready(made.map(|_| describe(&mirror))).boxed()
    }
}

const fn rest_after(operation: Operation) -> MirrorRest {
    match operation {
        Operation::Suspend => MirrorRest::Suspended,
        Operation::Failover => MirrorRest::FailedOver,
        _ => MirrorRest::Linked,
    }
}

fn describe(mirror: &Mirror) -> v1::Mirror {
    let end = |end: &MirrorEnd| v1::MirrorEnd {
        volume: end.volume.to_string(),
        role: None,
        consistent: true,
        problem: String::new(),
    };
    v1::Mirror {
        id: mirror.id.to_string(),
        source: end(mirror.system()),
        target: end(mirror.synced()),
        groups: Vec::new(),
        mode: match mirror.mode {
            MirrorMode::Synchronous => v1::MirrorMode::Synchronous,
            MirrorMode::Asynchronous { .. } => v1::MirrorMode::Asynchronous,
        },
        on_failure: match mirror.on_failure {
            OnFailure::Continue => v1::OnFailure::Continue,
            OnFailure::Halt => v1::OnFailure::Halt,
        },
        failover: match mirror.failover {
            MirrorFailover::Manual => v1::MirrorFailover::Manual,
            MirrorFailover::Automatic => v1::MirrorFailover::Automatic,
        },
        resync_limit: mirror.resync_limit,
        compression: match mirror.compression {
            MirrorCompression::None => v1::MirrorCompression::None,
            MirrorCompression::Zstd => v1::MirrorCompression::Zstd,
        },
        compressed: None,
        copy_state: format!("{:?}", mirror.rest),
        progress_status: "Completed".into(),
        percent_synced: None,
        left_bytes: 0,
        behind_seconds: 0,
        asynchronous: mirror.mode.rpo_ms().map(|rpo_ms| v1::MirrorLag {
            rpo_ms,
            lag_bytes: None,
            lag_ms: None,
            cut_at: None,
            rpo_kept: true,
        }),
        serving: None,
        detail: String::new(),
        next: None,
    }
}

impl MirrorControl for Fake {
    fn mirrors(&self) -> Vec<v1::Mirror> {
        self.catalog().mirrors().map(describe).collect()
    }

    fn mirror(&self, name: &str) -> Outcome<'_, v1::Mirror> {
        ready(self.find_mirror(name).map(|mirror| describe(&mirror))).boxed()
    }

    fn create_mirror(&self, request: MirrorRequest) -> Outcome<'_, v1::Mirror> {
        let how = (request.on_failure, request.mode);
        self.make(request.source, request.target, None, how)
    }

    fn create_remote_mirror(&self, request: RemoteMirrorRequest) -> Outcome<'_, v1::Mirror> {
        let peer = Elsewhere {
            peer: request.peer,
            dials: false,
        };
        self.make(
            request.source,
            request.target,
            Some(peer),
            (request.on_failure, request.mode),
        )
    }

    fn set_mirror_rpo(&self, name: String, rpo_ms: u64) -> Outcome<'_, v1::Mirror> {
        let set = self.find_mirror(&name).and_then(|mirror| {
            let set = Command::SetMirrorMode {
                mirror: mirror.id,
                mode: MirrorMode::Asynchronous { rpo_ms },
            };
            self.change(set)?;
            Ok(describe(&self.find_mirror(&name)?))
        });
        ready(set).boxed()
    }

    fn set_mirror_resync_limit(&self, name: String, limit: Option<u64>) -> Outcome<'_, v1::Mirror> {
        let set = self.find_mirror(&name).and_then(|mirror| {
            let set = Command::SetMirrorResyncLimit {
                mirror: mirror.id,
                limit,
            };
            self.change(set)?;
            Ok(describe(&self.find_mirror(&name)?))
        });
        ready(set).boxed()
    }

    fn set_mirror_compression(
        &self,
        name: String,
        compression: MirrorCompression,
    ) -> Outcome<'_, v1::Mirror> {
        let set = self.find_mirror(&name).and_then(|mirror| {
            let set = Command::SetMirrorCompression {
                mirror: mirror.id,
                compression,
            };
            self.change(set)?;
            Ok(describe(&self.find_mirror(&name)?))
        });
        ready(set).boxed()
    }

    fn modify_mirror(&self, change: MirrorChange) -> Outcome<'_, v1::Mirror> {
        let modified = self.find_mirror(&change.mirror).and_then(|mirror| {
            let set = Command::SetMirror {
                mirror: mirror.id,
                source: mirror.source,
                rest: rest_after(change.operation),
            };
            self.change(set)?;
            Ok(describe(&self.find_mirror(&change.mirror)?))
        });
        ready(modified).boxed()
    }

    fn set_mirror_failover(&self, change: FailoverChange) -> Outcome<'_, v1::MirrorFailoverSet> {
        let set = self.find_mirror(&change.mirror).and_then(|mirror| {
            let FailoverChange { failover, .. } = change;
            let set = Command::SetMirrorFailover {
                mirror: mirror.id,
                failover,
            };
            self.change(set)?;
            let mirror = Mirror { failover, ..mirror };
            Ok(v1::MirrorFailoverSet {
                mirror: describe(&mirror),
                left: None,
            })
        });
        ready(set).boxed()
    }

    fn detach_mirror(&self, name: String, _: bool) -> Outcome<'_, ()> {
        let gone = self.find_mirror(&name).and_then(|mirror| {
            let delete = Command::DeleteMirror { mirror: mirror.id };
            self.change(delete).map(drop)
        });
        ready(gone).boxed()
    }

    fn create_group_mirrors(&self, request: GroupMirrorRequest) -> Outcome<'_, v1::MirrorList> {
        let catalog = self.catalog();
        let how = (request.on_failure, request.mode);
        async move {
            let sources = &catalog.group(&request.group)?.members;
            let (targets, elsewhere) = match &request.target {
                GroupTarget::Here(group) => (&catalog.group(group)?.members, None),
                GroupTarget::AtPeer { peer, .. } => {
                    let (peer, dials) = (peer.clone(), false);
                    (sources, Some(Elsewhere { peer, dials }))
                }
            };
            let mut mirrors = Vec::new();
            for (source, target) in sources.iter().zip(targets) {
                let (source, target) = (source.clone(), target.clone());
                mirrors.push(self.make(source, target, elsewhere.clone(), how).await?);
            }
            Ok(v1::MirrorList { mirrors })
        }
        .boxed()
    }

    fn modify_group_mirrors(&self, change: GroupMirrorChange) -> Outcome<'_, v1::MirrorList> {
        let modified = self.mirrored_members(&change.group).and_then(|all| {
            let mut mirrors = Vec::new();
            for mirror in all {
                let rest = rest_after(change.operation);
                let set = Command::SetMirror {
                    mirror: mirror.id,
                    source: mirror.source,
                    rest,
                };
                self.change(set)?;
                mirrors.push(describe(&Mirror { rest, ..mirror }));
            }
            Ok(v1::MirrorList { mirrors })
        });
        ready(modified).boxed()
    }

    fn detach_group_mirrors(&self, group: GroupName, _: bool) -> Outcome<'_, ()> {
        let gone = self.mirrored_members(&group).and_then(|all| {
            for mirror in all {
                self.change(Command::DeleteMirror { mirror: mirror.id })?;
            }
            Ok(())
        });
        ready(gone).boxed()
    }

    fn verify_mirror(&self, name: String) -> Outcome<'_, v1::Job> {
        let begun = self.find_mirror(&name).and_then(|mirror| {
            let job = self
                .jobs
                .begin(JobKind::Compare, &mirror.first.volume, true);
            self.jobs.get(job.id()).ok_or(ControlError::Defect)
        });
        ready(begun).boxed()
    }
}
