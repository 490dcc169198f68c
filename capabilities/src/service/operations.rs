//! Which operations there are: of a type, of a state of it, and of one association as it is now.

use super::{Answer, ReplicationServiceCapabilities, read_if_given};
use crate::built::BuiltType;
use crate::facts::{Association, AssociationKey, Facts};
use crate::machine::{
    Modification, OperationRefusal, Scope, association_type, modify, rows, transition,
};
use crate::values::{
    Action, CopyState, Feature, Operation, ReturnCode, ServiceControlling,
    SettingsDefineStateOperation, SynchronizationType, ValueSet,
};

/// Operations, with three arrays that are parallel to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SupportedOperations {
    /// SupportedOperations, ascending.
    pub supported_operations: Vec<Operation>,
    /// ServiceControlling: whose service each is to be asked of. Newer than 2.29, as the next two are.
    pub service_controlling: Vec<ServiceControlling>,
    /// RequiresForce: whether each is accepted only with Force.
    pub requires_force: Vec<bool>,
    /// UpdatesSynchronizedPath: whether each changes the key of the association.
    pub updates_synchronized_path: Vec<bool>,
}

impl ReplicationServiceCapabilities<'_> {
    /// GetSupportedOperations. With a CopyState only those that are accepted in it.
    ///
    /// # Errors
    ///
    /// Invalid Parameter for reserved numbers, Not Supported if the type isn't built or has no operations.
    pub fn get_supported_operations(
        &self,
        replication_type: u16,
        copy_state: Option<u16>,
    ) -> Answer<SupportedOperations> {
        let built = self.of(replication_type)?;
        if built.operations.is_empty() || !self.has_action(Action::ModifyReplicaSynchronization) {
            return Err(ReturnCode::NotSupported);
        }
        self.operations(built, built.operations, Scope::Element, copy_state)
    }

    /// GetSupportedGroupOperations.
    ///
    /// # Errors
    ///
    /// As [`Self::get_supported_operations`]; Not Supported if there are no groups.
    pub fn get_supported_group_operations(
        &self,
        replication_type: u16,
        copy_state: Option<u16>,
    ) -> Answer<SupportedOperations> {
        let built = self.of_groups(replication_type)?;
        if !self.has_action(Action::ModifyReplicaSynchronization) {
            return Err(ReturnCode::NotSupported);
        }
        self.operations(built, built.group_operations, Scope::Group, copy_state)
    }

    /// GetSupportedListOperations. Without a SynchronizationType it is about associations of elements.
    ///
    /// # Errors
    ///
    /// As [`Self::get_supported_operations`]; Not Supported if there are no lists.
    pub fn get_supported_list_operations(
        &self,
        replication_type: u16,
        synchronization_type: Option<u16>,
        copy_state: Option<u16>,
    ) -> Answer<SupportedOperations> {
        let built = self.of(replication_type)?;
        let of = read_if_given::<SynchronizationType>(synchronization_type)?;
        let (offered, scope) = match of {
            Some(SynchronizationType::GroupSynchronized) => (
                built.list_operations.intersection(built.group_operations),
                Scope::Group,
            ),
            Some(SynchronizationType::StorageSynchronized) | None => (
                built.list_operations.intersection(built.operations),
                Scope::Element,
            ),
        };
        let offered: ValueSet<_> = offered.iter().filter(|it| it.in_lists()).collect();
        if offered.is_empty() || !self.has_action(Action::ModifyListSynchronization) {
            return Err(ReturnCode::NotSupported);
        }
        self.operations(built, offered, scope, copy_state)
    }

    /// GetSupportedSettingsDefineStateOperations: what can be done with aspects.
    ///
    /// # Errors
    ///
    /// Invalid Parameter for reserved numbers, Not Supported if there is nothing.
    pub fn get_supported_settings_define_state_operations(
        &self,
        replication_type: u16,
    ) -> Answer<ValueSet<SettingsDefineStateOperation>> {
        let built = self.of(replication_type)?;
        let operations = built.settings_operations.up_to(self.edition);
        if operations.is_empty() || !self.has_action(Action::ModifySettingsDefineState) {
            return Err(ReturnCode::NotSupported);
        }
        Ok(operations)
    }

    /// GetSupportedOperationsForSynchronization: what would be accepted for this association now, with both
    /// of its ends as they are. What needs Force is among them, and says so.
    ///
    /// # Errors
    ///
    /// Why there is nothing to say: no such association, or its type isn't built.
    pub fn get_supported_operations_for_synchronization(
        &self,
        synchronization: AssociationKey,
        facts: &Facts<'_>,
    ) -> Result<SupportedOperations, OperationRefusal> {
        let built = association_type(synchronization, facts)?;
        let mut answer = SupportedOperations::default();
        for operation in built.operations.up_to(self.edition).iter() {
            let ask = |force| Modification {
                operation,
                synchronization,
                force,
            };
            let without_force = modify(&ask(false), facts).is_ok();
            if without_force || modify(&ask(true), facts).is_ok() {
                answer.push(operation, built, !without_force);
            }
        }
        Ok(answer)
    }

    fn operations(
        &self,
        built: &BuiltType,
        offered: ValueSet<Operation>,
        scope: Scope,
        copy_state: Option<u16>,
    ) -> Answer<SupportedOperations> {
        let copy_state = read_if_given::<CopyState>(copy_state)?;
        let mut answer = SupportedOperations::default();
        for operation in offered.up_to(self.edition).iter() {
            let needs_force = match copy_state {
                Some(state) => force_in(operation, state, scope, built),
                None => Some(always_needs_force(operation, scope, built)),
            };
            if let Some(needs_force) = needs_force {
                answer.push(operation, built, needs_force);
            }
        }
        Ok(answer)
    }
}

impl SupportedOperations {
    /// Those of a type that somebody has found to be accepted, each with whether it needs Force.
    #[must_use]
    pub fn of(built: &BuiltType, accepted: impl Iterator<Item = (Operation, bool)>) -> Self {
        let mut answer = Self::default();
        for (operation, requires_force) in accepted {
            answer.push(operation, built, requires_force);
        }
        answer
    }

    /// Those of them that somebody keeps, who is told of each whether it needs Force.
    #[must_use]
    pub fn retained(self, keep: impl Fn(Operation, bool) -> bool) -> Self {
        let all = self.supported_operations.into_iter();
        let all = all
            .zip(self.service_controlling)
            .zip(self.requires_force)
            .zip(self.updates_synchronized_path);
        let mut kept = Self::default();
        for (((operation, controlling), force), path) in all {
            if keep(operation, force) {
                kept.supported_operations.push(operation);
                kept.service_controlling.push(controlling);
                kept.requires_force.push(force);
                kept.updates_synchronized_path.push(path);
            }
        }
        kept
    }

    fn push(&mut self, operation: Operation, built: &BuiltType, requires_force: bool) {
        self.supported_operations.push(operation);
        self.service_controlling.push(controlling(built));
        self.requires_force.push(requires_force);
        self.updates_synchronized_path
            .push(changes_key(operation, built));
    }
}

/// Whether an operation needs force in a state; `None` if it isn't accepted in it at all.
fn force_in(
    operation: Operation,
    copy_state: CopyState,
    scope: Scope,
    built: &BuiltType,
) -> Option<bool> {
    let association = Association::at_rest(built.sync_type(), built.mode(), copy_state);
    let ask = |force| transition(operation, &association, scope, built, force).is_ok();
    if ask(false) {
        Some(false)
    } else {
        ask(true).then_some(true)
    }
}

/// Whether there is no state in which an operation does without force.
fn always_needs_force(operation: Operation, scope: Scope, built: &BuiltType) -> bool {
    rows(operation, built.sync_type(), scope)
        .filter(|row| row.is_published(built, scope))
        .all(|row| row.needs_force())
}

/// Whose service operations are to be asked of.
fn controlling(built: &BuiltType) -> ServiceControlling {
    if built.has(Feature::AllModifyOperationsShouldBeSentToTargetService) {
        ServiceControlling::TargetOnly
    } else if built.has(Feature::AllModifyOperationsShouldBeSentToSourceService) {
        ServiceControlling::SourceOnly
    } else {
        ServiceControlling::SourceOrTarget
    }
}

/// Whether an operation exchanges the ends, so that the association has another key afterwards.
fn changes_key(operation: Operation, built: &BuiltType) -> bool {
    match operation {
        Operation::ReverseRoles => true,
        Operation::Failover | Operation::Failback => {
            built.has(Feature::UsesReverseRolesForFailoverAndFailback)
        }
        _ => false,
    }
}
