//! What happens in a history. What a step asks for may be refused: that is part of the history.

use std::time::Duration;

use tidelock_capabilities::values::Operation;
use tidelock_catalog::{IscsiName, LunNumber, MirrorMode, OnFailure, PortalGroups, SpaceLimits};

use super::*;
use crate::registry::{CloneRequest, FullClone, MirrorChange, MirrorRequest};

const TARGET: &str = "iqn.2026-11.test:oracle";

fn target() -> IscsiName {
    IscsiName::new(TARGET).unwrap()
}

impl House {
    pub(super) async fn add_target(&self) {
        let create = Command::CreateTarget {
            target: target(),
            portal_groups: PortalGroups::ALL,
        };
        self.registry().apply(create).await.unwrap();
    }
}

pub(super) fn clone_of(source: &str, name: &str) -> CloneRequest {
    CloneRequest {
        source: dataset(source),
        name: volume(name),
        linked: false,
        full: None,
    }
}

pub(super) fn mirror_of(source: &str, target: &str, mode: Mode) -> MirrorRequest {
    MirrorRequest {
        source: volume(source),
        target: volume(target),
        on_failure: OnFailure::Continue,
        resync_limit: None,
        mode: mode_of(mode),
    }
}

pub(super) const fn mode_of(mode: Mode) -> MirrorMode {
    match mode {
        Mode::Synchronous => MirrorMode::Synchronous,
        _ => MirrorMode::Asynchronous { rpo_ms: 5_000 },
    }
}

pub(super) fn change_of(mirror: &str, operation: Operation, force: bool) -> MirrorChange {
    MirrorChange {
        mirror: mirror.to_owned(),
        operation,
        force,
        discard: None,
    }
}

/// What mirrors are asked for in a history.
const OPERATIONS: [Operation; 10] = [
    Operation::Suspend,
    Operation::Fracture,
    Operation::Split,
    Operation::ResyncReplica,
    Operation::RestoreFromReplica,
    Operation::Resume,
    Operation::Failover,
    Operation::Failback,
    Operation::ReverseRoles,
    Operation::Detach,
];

impl World {
    /// Something was done.
    fn noted<T>(&mut self, what: &'static str, done: Result<T, ChangeError>) {
        if done.is_ok() {
            *self.counts.steps.entry(what).or_default() += 1;
        }
    }

    pub(super) async fn step(&mut self, at: usize) {
        let volumes = self.volumes();
        let snapshots = self.snapshots();
        let picked = self.random.one(&volumes).cloned();
        let Some(name) = picked else {
            return self.house.add_volume(&format!("v{at}")).await;
        };
        match self.random.next(20) {
            0 if volumes.len() < 5 => {
                self.house.add_volume(&format!("v{at}")).await;
                self.noted("create", Ok(()));
            }
            1 | 2 => {
                let called = snapshot(&format!("{name}@s{at}"));
                let done = self.registry().create_snapshot(called, false, 1).await;
                self.noted("snapshot", done);
            }
            3 if volumes.len() < 7 => {
                let source = self.random.one(&snapshots).cloned().unwrap_or(name);
                let mut request = clone_of(&source, &format!("k{at}"));
                // Nobody is there who copies: it stays as it is at its beginning until that is asked for.
                request.full = (at % 2 == 1).then(FullClone::default);
                request.linked = request.full.is_none();
                let full = request.full.is_some();
                let done = self.registry().create_clone(request, 1).await;
                self.noted(if full { "full clone" } else { "clone" }, done);
            }
            4 => {
                if let Some(called) = self.random.one(&snapshots) {
                    let done = self.registry().delete_snapshot(snapshot(called)).await;
                    self.noted("delete snapshot", done);
                }
            }
            5 if volumes.len() > 4 => self.delete(&name).await,
            6 => {
                if let Some(called) = self.random.one(&snapshots) {
                    let done = self.registry().restore_snapshot(snapshot(called), 1).await;
                    self.noted("restore", done);
                }
            }
            other => self.more(other, &name, &volumes).await,
        }
    }

    async fn more(&mut self, what: usize, name: &str, volumes: &[String]) {
        let registry = self.registry();
        match what {
            7 => {
                // Two that are larger are alike again.
                let resize = Command::ResizeVolume {
                    volume: volume(name),
                    size_bytes: MIB + 4096,
                };
                let done = registry.apply(resize).await;
                self.noted("resize", done);
            }
            8 => {
                let map = Command::MapLun {
                    target: target(),
                    volume: volume(name),
                    number: None,
                    read_only: self.random.next(2) == 0,
                };
                let done = registry.apply(map).await;
                self.noted("map", done);
            }
            9 => {
                let number = u16::try_from(self.random.next(3)).unwrap();
                let unmap = Command::UnmapLun {
                    target: target(),
                    number: LunNumber::new(number).unwrap(),
                };
                let done = registry.apply(unmap).await;
                self.noted("unmap", done);
            }
            10 => {
                let served = registry.volume(&volume(name)).unwrap();
                served.store().unwrap().raise_fence("for a test".into());
                self.noted("fault", Ok(()));
            }
            11 | 12 => self.put_right(volumes).await,
            13 => {
                let served = registry.volume(&volume(name)).unwrap();
                let condition = match self.random.next(3) {
                    0 => MediumCondition::FormatCorrupt,
                    1 => MediumCondition::Formatting,
                    _ => MediumCondition::Sound,
                };
                served.unit().set_medium_condition(condition);
                self.noted("format", Ok(()));
            }
            14 => {
                let limits = Command::SetSpaceLimits {
                    volume: volume(name),
                    limits: SpaceLimits::default(),
                };
                let done = registry.apply(limits).await;
                self.noted("limits", done);
            }
            15 | 16 => self.begin_mirror(name, volumes).await,
            17 | 18 => self.change_mirror().await,
            _ if self.groups().len() < 2 => {
                // Two groups may have no volume in common.
                let others = volumes.iter().skip(self.groups().len()).take(2);
                let members: Vec<&str> = others.map(String::as_str).collect();
                let count = self.random.next(members.len() + 1);
                let name = format!("g{}", self.counts.tried);
                self.house.add_group(&name, &members[..count]).await;
                self.noted("group", Ok(()));
            }
            _ => self.begin_mirror(name, volumes).await,
        }
    }

    /// An operator puts right what is wrong.
    async fn put_right(&mut self, volumes: &[String]) {
        let registry = self.registry();
        for name in volumes {
            registry.unfence(&volume(name)).await.unwrap();
            let served = registry.volume(&volume(name)).unwrap();
            served.unit().set_medium_condition(MediumCondition::Sound);
        }
        self.noted("put right", Ok(()));
    }

    /// Of two volumes of which it could be one, mostly.
    async fn begin_mirror(&mut self, source: &str, volumes: &[String]) {
        let fits = |it: &&String| {
            let decision = ask(&self.house, source, Some(it), ELEMENT);
            foretold(&decision, MIRRORS[0]) == ReturnCode::Success
        };
        let fitting = volumes.iter().find(fits).cloned();
        let target = fitting.unwrap_or_else(|| self.random.one(volumes).unwrap().clone());
        let mode = match self.random.next(4) {
            0 => Mode::Asynchronous,
            _ => Mode::Synchronous,
        };
        let request = mirror_of(source, &target, mode);
        let made = self.registry().create_mirror(request).await;
        self.noted("mirror", made);
    }

    async fn change_mirror(&mut self) {
        let registry = self.registry();
        let Some(mirror) = registry.mirrors().into_iter().next() else {
            return;
        };
        let mirror = mirror.source.volume;
        let operation = *self.random.one(&OPERATIONS).unwrap();
        let force = self.random.next(2) == 0;
        let done = match operation {
            Operation::Detach => registry.detach_mirror(mirror, true).await,
            _ => {
                let change = change_of(&mirror, operation, force);
                registry.modify_mirror(change).await
            }
        };
        self.noted(operation.name(), done);
    }

    /// Who deletes a clone waits until nobody copies to it, and nobody is there who would be told to stop: those stay.
    pub(super) async fn delete(&mut self, name: &str) {
        let registry = self.registry();
        let catalog = registry.catalog();
        let known = catalog.volume(&volume(name));
        if known.is_ok_and(|it| it.hydration.is_none()) {
            let done = registry.delete_volume(volume(name), false).await;
            self.noted("delete", done);
        }
    }

    /// Waits until what mirrors do by themselves has been done: an answer about what changes meanwhile can't be compared.
    pub(super) async fn until_quiet(&self) {
        let registry = self.registry();
        let mut changes = registry.watch_mirrors();
        let is_quiet = || {
            let all = registry.mirror_relations();
            all.iter().all(|it| {
                let is_broken =
                    it.association.copy_state == tidelock_capabilities::values::CopyState::Broken;
                let is_changing = it.association.is_copying() || it.association.is_restoring();
                is_broken || !is_changing
            })
        };
        let quiet = async {
            while !is_quiet() {
                let soon = Duration::from_millis(20);
                let _ = tokio::time::timeout(soon, changes.recv()).await;
            }
        };
        // A copy whose volume has failed goes on for ever.
        let _ = tokio::time::timeout(Duration::from_secs(2), quiet).await;
    }
}
