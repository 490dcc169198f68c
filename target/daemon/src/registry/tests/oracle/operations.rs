//! Operations on what there is: all of them are asked for that aren't offered, and one that is.

use tidelock_capabilities::facts::AssociationKey;
use tidelock_capabilities::values::Operation;

use super::steps::change_of;
use super::*;

/// What may be done with an association, as it is called here.
enum What {
    Mirror(String),
    Snapshot(String),
    Clone(String),
}

impl World {
    /// All associations.
    fn associations(&self) -> Vec<(AssociationKey, What)> {
        let registry = self.registry();
        let relations = registry.mirror_relations().into_iter();
        let mirrors = relations.map(|it| (it.association.key, What::Mirror(it.id.to_string())));
        let of = |name: &str| {
            registry
                .association_of(&dataset(name))
                .map(|(it, _)| it.key)
        };
        let snapshots = self.snapshots().into_iter();
        let snapshots = snapshots.filter_map(|it| Some((of(&it)?, What::Snapshot(it))));
        let clones = self.volumes().into_iter();
        let clones = clones.filter_map(|it| Some((of(&it)?, What::Clone(it))));
        mirrors.chain(snapshots).chain(clones).collect()
    }

    pub(super) async fn try_operations(&mut self, at: usize) {
        for (number, (key, what)) in self.associations().into_iter().enumerate() {
            let offered = self.registry().operations_for(key).unwrap();
            let offered = offered.supported_operations;
            for operation in Operation::ALL {
                self.try_refused(key, &what, *operation, &offered).await;
            }
            // One of them a step is done; of the rest all goes on as it is.
            if number == at % 4 && !offered.is_empty() {
                let operation = offered[at % offered.len()];
                let admitted = self.registry().admit_operation(key, operation, true);
                if admitted.is_ok() {
                    let done = self.operate(&what, operation, true).await;
                    assert!(done.is_ok(), "{operation}: {done:?}");
                    self.counts.operations_done += 1;
                    self.until_quiet().await;
                    return;
                }
            }
        }
    }

    async fn try_refused(
        &mut self,
        key: AssociationKey,
        what: &What,
        operation: Operation,
        offered: &[Operation],
    ) {
        let registry = self.registry();
        let Err(told) = registry.admit_operation(key, operation, false) else {
            assert!(offered.contains(&operation), "{operation}");
            return;
        };
        // What needs Force is offered as well.
        let by_force = registry.admit_operation(key, operation, true).is_ok();
        assert_eq!(offered.contains(&operation), by_force, "{operation}");
        if by_force {
            return;
        }
        self.counts.operations_refused += 1;
        if let What::Mirror(_) = what {
            let done = self.operate(what, operation, false).await;
            assert_eq!(code_of(&done), told.return_code, "{operation}: {told}");
        }
    }

    async fn operate(
        &self,
        what: &What,
        operation: Operation,
        force: bool,
    ) -> Result<(), ChangeError> {
        let registry = self.registry();
        let done = match (what, operation) {
            (What::Mirror(id), Operation::Detach) => {
                registry.detach_mirror(id.clone(), force).await
            }
            (What::Mirror(id), _) => {
                registry
                    .modify_mirror(change_of(id, operation, force))
                    .await
            }
            (What::Snapshot(name), Operation::RestoreFromReplica) => {
                registry.restore_snapshot(snapshot(name), 1).await
            }
            (What::Snapshot(name), Operation::ReturnToResourcePool) => {
                registry.delete_snapshot(snapshot(name)).await
            }
            (What::Clone(name), Operation::Detach) => registry.detach_clone(volume(name)).await,
            (_, other) => panic!("{other} is offered, and nobody does it"),
        };
        done.map(drop)
    }
}
