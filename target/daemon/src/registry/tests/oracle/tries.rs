//! Everything that could be made is tried.

use super::steps::{clone_of, mirror_of, mode_of};
use super::*;
use crate::registry::{GroupCloneRequest, GroupMirrorRequest, GroupTarget};
use tidelock_catalog::OnFailure;

/// One of so many copies that would be made is made: that takes its time.
const TRIED: usize = 4;

impl World {
    /// Asks about everything, and tries it.
    pub(super) async fn try_everything(&mut self) {
        let elements = self.elements();
        for name in &elements {
            self.try_element(name).await;
            for other in &elements {
                self.try_pair(name, other).await;
            }
        }
        let groups = self.groups();
        for name in &groups {
            self.try_group(name).await;
            for other in &groups {
                self.try_groups(name, other).await;
            }
        }
    }

    fn check(&mut self, what: &str, told: ReturnCode, returned: ReturnCode) {
        assert_eq!(told, returned, "{what}: told, and done");
        self.counts.tried += 1;
        match returned {
            ReturnCode::Success => self.counts.done += 1,
            _ => self.counts.refused += 1,
        }
    }

    /// What would be refused is tried always.
    fn tries(&mut self, told: ReturnCode) -> bool {
        told != ReturnCode::Success || self.random.next(TRIED) == 0
    }

    /// A clone, a snapshot, and an aspect, which a snapshot is.
    async fn try_element(&mut self, name: &str) {
        let registry = self.registry();
        let decision = ask(&self.house, name, None, ELEMENT);
        let told = foretold(&decision, CLONE);
        if let Some(source) = name.parse::<DatasetRef>().ok().filter(|_| self.tries(told)) {
            let request = clone_of(&source.to_string(), "tried");
            let tried = registry.create_clone(request, 1).await;
            self.check(&format!("a clone of {name}"), told, code_of(&tried));
            if tried.is_ok() {
                let gone = registry.delete_volume(volume("tried"), false).await;
                gone.unwrap();
            }
        }
        if VolumeName::new(name).is_err() {
            return;
        }
        let called = snapshot(&format!("{name}@tried"));
        for method in [ELEMENT, ASPECT] {
            let decision = ask(&self.house, name, None, method);
            let told = foretold(&decision, SNAPSHOT);
            if !self.tries(told) {
                continue;
            }
            let tried = registry.create_snapshot(called.clone(), false, 1).await;
            self.check(
                &format!("a snapshot of {name} by method {method}"),
                told,
                code_of(&tried),
            );
            if tried.is_ok() {
                registry.delete_snapshot(called.clone()).await.unwrap();
            }
        }
    }

    /// Mirrors, in both modes; nothing else takes a target that is there. Swapping the ends swaps the roles, and the targets
    /// that are available are those that are accepted.
    async fn try_pair(&mut self, name: &str, other: &str) {
        for method in METHODS {
            let decision = ask(&self.house, name, Some(other), method);
            let swapped = ask(&self.house, other, Some(name), method);
            self.counts.asked += 2;
            let all: BTreeSet<Triple> = decision.supported().collect();
            // An aspect has one end alone.
            if method != ASPECT {
                let back: BTreeSet<Triple> = swapped.supported().map(opposite).collect();
                assert_eq!(all, back, "{name} with {other}, and swapped");
            }
            if method == ELEMENT {
                let is_mirror = |it: &Triple| it.sync_type == SyncType::Mirror;
                assert!(all.iter().all(is_mirror), "{name} with {other}");
                self.try_mirrors(name, other, &decision).await;
            } else {
                let expected = match method {
                    ASPECT => ask(&self.house, name, None, ASPECT).supported().collect(),
                    _ => BTreeSet::new(),
                };
                assert_eq!(all, expected, "{name} with {other} by method {method}");
            }
        }
    }

    async fn try_mirrors(&mut self, name: &str, other: &str, decision: &Decision) {
        self.try_admission(name, other, decision);
        let registry = self.registry();
        let (Ok(source), Ok(_)) = (VolumeName::new(name), VolumeName::new(other)) else {
            return;
        };
        for wanted in MIRRORS {
            let told = foretold(decision, wanted);
            if !self.tries(told) {
                continue;
            }
            let request = mirror_of(name, other, wanted.mode);
            let tried = registry.create_mirror(request).await;
            self.check(
                &format!("{wanted} of {name} to {other}"),
                told,
                code_of(&tried),
            );
            if tried.is_ok() {
                self.house.until_in_step(name).await;
                let detached = registry.detach_mirror(source.to_string(), true).await;
                detached.unwrap();
                self.counts.mirrors += 1;
            }
        }
    }

    /// Whoever asks for a copy by CIM comes to this first: each combination in which the element would be the source is
    /// admitted, or refused with the code that was told; so GetAvailableTargetElements has those that were offered.
    fn try_admission(&mut self, name: &str, other: &str, decision: &Decision) {
        let registry = self.registry();
        let catalog = registry.catalog();
        let [source, target] = [name, other].map(|it| ElementName::read(it, ELEMENT, &catalog));
        for wanted in Triple::ALL {
            if wanted.local_element_role != LocalElementRole::SystemElement {
                continue;
            }
            let admitted = registry.admit_replica(&ReplicaAsked {
                method: tidelock_capabilities::values::MethodName::CreateElementReplica,
                sync_type: wanted.sync_type,
                mode: Some(wanted.mode),
                source: &source,
                target: Some(&target),
                via: Via::Nobody,
            });
            let told = foretold(decision, wanted);
            assert_eq!(code_of(&admitted), told, "{wanted} of {name} to {other}");
        }
        self.counts.tried += 1;
    }

    /// Mirrors of all volumes of a group with those of another one.
    async fn try_groups(&mut self, name: &str, other: &str) {
        let registry = self.registry();
        let decision = ask(&self.house, name, Some(other), GROUP);
        let swapped = ask(&self.house, other, Some(name), GROUP);
        self.counts.asked += 2;
        let all: BTreeSet<Triple> = decision.supported().collect();
        let back: BTreeSet<Triple> = swapped.supported().map(opposite).collect();
        assert_eq!(all, back, "{name} with {other}, and swapped");
        for wanted in MIRRORS {
            let told = foretold(&decision, wanted);
            if !self.tries(told) {
                continue;
            }
            let request = GroupMirrorRequest {
                group: group(name),
                target: GroupTarget::Here(group(other)),
                on_failure: OnFailure::Continue,
                mode: mode_of(wanted.mode),
                resync_limit: None,
            };
            let tried = registry.create_group_mirrors(request).await;
            self.check(
                &format!("{wanted} of group {name} to {other}"),
                told,
                code_of(&tried),
            );
            if tried.is_ok() {
                for member in &registry.catalog().group(&group(name)).unwrap().members {
                    self.house.until_in_step(member.as_str()).await;
                }
                let detached = registry.detach_group_mirrors(group(name), true).await;
                detached.unwrap();
                self.counts.mirrors_of_groups += 1;
            }
        }
    }

    /// Groups that can be mirrored whatever has happened to all others.
    pub(super) async fn mirror_groups(&mut self) {
        let groups = ["sources", "targets"];
        for name in groups {
            let volumes = [format!("{name}-1"), format!("{name}-2")];
            for volume in &volumes {
                self.house.add_volume(volume).await;
            }
            let [one, other] = &volumes;
            self.house.add_group(name, &[one, other]).await;
        }
        let [sources, targets] = groups;
        // One of some is tried.
        for _ in 0..8 * TRIED {
            self.try_groups(sources, targets).await;
            if self.counts.mirrors_of_groups >= 2 {
                break;
            }
        }
    }

    async fn try_group(&mut self, name: &str) {
        let registry = self.registry();
        let decision = ask(&self.house, name, None, GROUP);
        // Not of elements, and aspects aren't made of groups.
        for method in [ELEMENT, ASPECT] {
            let alone = ask(&self.house, name, None, method);
            assert_eq!(alone.return_code(), ReturnCode::NotSupported, "{name}");
        }
        let tried = registry
            .snapshot_group(group(name), word("tried"), false, 1)
            .await;
        let told = foretold(&decision, SNAPSHOT);
        self.check(&format!("snapshots of {name}"), told, code_of(&tried));
        if tried.is_ok() {
            self.counts.of_groups += 1;
            for member in &registry.catalog().group(&group(name)).unwrap().members {
                let called = snapshot(&format!("{member}@tried"));
                registry.delete_snapshot(called).await.unwrap();
            }
        }
        let request = GroupCloneRequest {
            group: group(name),
            snapshot: None,
            name: None,
            suffix: "-tried".to_owned(),
            full: None,
        };
        let tried = registry.clone_group(request).await;
        let told = foretold(&decision, CLONE);
        self.check(&format!("clones of {name}"), told, code_of(&tried));
        if tried.is_ok() {
            self.counts.of_groups += 1;
            for member in &registry.catalog().group(&group(name)).unwrap().members {
                let clone = volume(&format!("{member}-tried"));
                registry.delete_volume(clone, false).await.unwrap();
            }
        }
    }
}
